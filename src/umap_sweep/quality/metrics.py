"""Join the metrics of all cells into one table, and add what each layout cost."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from umap_sweep import store
from umap_sweep.cells.keys import KEY_COLUMNS, check_key
from umap_sweep.errors import InputError
from umap_sweep.quality import tables
from umap_sweep.quality.annotation_metrics import LABEL_NUMBERS

# The column that the metrics of labels come after.
BEFORE_LABELS = "distance_correlation"

# What a layout job measures of itself. These are the only columns that another run does not repeat.
MEASURED = ("layout_seconds", "layout_memory_mb")


def join(
    metrics: Sequence[str | Path],
    label_metrics: str | Path,
    costs: Sequence[str | Path],
    keys: Sequence[dict[str, Any]],
    out: str | Path,
    csv_out: str | Path,
) -> None:
    """Write the table of metrics.

    Parameters
    ----------
    metrics : sequence of path
        From `umap_sweep.quality.cell_metrics`, one for each cell; the cells of a row of the grid share one file.
    label_metrics : path
        From `umap_sweep.quality.annotation_metrics`, of all cells in the order of `keys`.
    costs : sequence of path
        From `umap_sweep.stages.layouts`, what the layout of each cell took.
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
    of_labels = store.read(label_metrics)
    if any(of_labels.column(name).to_pylist() != [key[name] for key in keys] for name in KEY_COLUMNS):
        raise InputError(f"{label_metrics} is of other cells than the configuration has. Delete it and run again.")
    place = table.column_names.index(BEFORE_LABELS) + 1
    for name in reversed(LABEL_NUMBERS):
        table = table.add_column(place, name, of_labels.column(name))
    measured = [json.loads(Path(path).read_text()) for path in costs]
    for column in MEASURED:
        table = table.append_column(column, pa.array([one[column] for one in measured], pa.float64()))
    inputs = tables.by_path([*stored, label_metrics])
    tables.write(out, table, "metrics_table", inputs, csv_out=csv_out, measured=MEASURED)
