"""Join the metrics of all cells into one table, and add what each layout cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from umap_sweep import store
from umap_sweep.cells.keys import check_key
from umap_sweep.errors import InputError
from umap_sweep.quality import benchmark, tables

# What Snakemake measures while the layout runs, by its own names, and the columns that hold it. These are the only
# columns that another run does not repeat.
MEASURED = {"s": "layout_seconds", "max_rss": "layout_memory_mb"}


def cost(path: str | Path) -> dict[str, float | None]:
    """Return what Snakemake measured of the job that computed a layout.

    Parameters
    ----------
    path : path
        The benchmark of the job.

    Returns
    -------
    dict of str to float or None
        `layout_seconds`: wall time, with the start of the process; `layout_memory_mb`: the largest resident set in MiB.
        None where Snakemake could not measure it, because the job was too short or the system is not Linux.
    """
    row = benchmark.read(path)
    values: dict[str, float | None] = {}
    for name, column in MEASURED.items():
        try:
            values[column] = float(row[name])
        except ValueError:  # "-" or "NA"
            values[column] = None
    return values


def join(
    metrics: Sequence[str | Path],
    benchmarks: Sequence[str | Path],
    keys: Sequence[dict[str, Any]],
    out: str | Path,
    csv_out: str | Path,
) -> None:
    """Write the table of metrics.

    Parameters
    ----------
    metrics : sequence of path
        From `umap_sweep.quality.cell_metrics`, one for each cell; the cells of a row of the grid share one file.
    benchmarks : sequence of path
        What Snakemake measured of the job of each cell's layout.
    keys : sequence of mapping
        The key of each cell.
    out : path
        Receives one row for each cell, in the order of `keys`. The columns of `MEASURED` do not enter the fingerprint
        in its record.
    csv_out : path
        Receives the same as CSV.

    Raises
    ------
    InputError
        Where stored metrics are not of the cell that their path and the configuration say.
    """
    stored = {path: store.read(path).replace_schema_metadata(None) for path in metrics}
    rows = []
    for path, key in zip(metrics, keys, strict=True):
        check_key(path, {name: value for name, value in key.items() if name != "min_dist"})
        row = stored[path].filter(pc.field("min_dist") == key["min_dist"])
        if row.num_rows != 1:
            raise InputError(
                f"{path} has {row.num_rows} rows of min_dist {key['min_dist']}, and not one. Delete it and run again."
            )
        rows.append(row)
    table = pa.concat_tables(rows)
    costs = [cost(path) for path in benchmarks]
    for column in MEASURED.values():
        table = table.append_column(column, pa.array([one[column] for one in costs], pa.float64()))
    inputs = tables.by_path(list(stored))
    tables.write(out, table, "metrics_table", inputs, csv_out=csv_out, measured=list(MEASURED.values()))
