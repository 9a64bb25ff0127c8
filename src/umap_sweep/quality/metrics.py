"""Join the numbers of all cells into one table, beside what each layout cost."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from umap_sweep import store
from umap_sweep.cells.keys import check_key
from umap_sweep.errors import InputError

# Measured while the layout ran, and so the only columns that another run does not repeat.
MEASURED = {"s": "layout_seconds", "max_rss": "layout_memory_mb"}


def cost(benchmark: str | Path) -> dict[str, float | None]:
    """Return what Snakemake measured of a job.

    Parameters
    ----------
    benchmark : path
        Written by Snakemake: a header and one row.

    Returns
    -------
    dict
        `layout_seconds`, wall time with the start of the process, and `layout_memory_mb`, the largest resident set in
        MiB; None for what a job was too short, or the system too unlike Linux, to measure.
    """
    with Path(benchmark).open(newline="") as file:
        row = next(csv.DictReader(file, delimiter="\t"))
    values = {}
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
    """Write the table: one row a cell, in the order of the cells.

    Parameters
    ----------
    metrics : sequence of path
        From `umap_sweep.quality.cell_metrics`, one for each cell; cells that differ in min_dist alone share theirs.
    benchmarks : sequence of path
        Of the jobs that made these cells' embeddings.
    keys : sequence of mapping
        The key that each must carry.
    out : path
        The fingerprint in its record is of what is not measured.
    csv_out : path
        Receives the same as CSV.

    Raises
    ------
    InputError
        Where stored metrics are not of the cell that their path and the configuration say.
    """
    tables = {path: store.read(path).replace_schema_metadata(None) for path in metrics}
    inputs = {str(path): store.read_record(path)["fingerprint"] for path in tables}
    rows = []
    for path, key in zip(metrics, keys, strict=True):
        check_key(path, {name: value for name, value in key.items() if name != "min_dist"})
        row = tables[path].filter(pc.field("min_dist") == key["min_dist"])
        if row.num_rows != 1:
            raise InputError(
                f"{path} has {row.num_rows} rows of min_dist {key['min_dist']}, and not one. Delete it and run again."
            )
        rows.append(row)
    table = pa.concat_tables(rows)
    record = store.make_record("metrics_table", {}, store.fingerprint(table), inputs)
    costs = [cost(path) for path in benchmarks]
    for column in MEASURED.values():
        table = table.append_column(column, pa.array([one[column] for one in costs], pa.float64()))
    store.write(out, table, record)
    store.write_csv(csv_out, table)
