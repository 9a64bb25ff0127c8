"""Join the metrics of all cells into one table, and add what each layout cost."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from umap_sweep import store
from umap_sweep.cells.keys import key_columns
from umap_sweep.errors import InputError
from umap_sweep.quality import sampling, tables
from umap_sweep.quality.annotation_metrics import LABEL_NUMBERS, OF_UNSEEN
from umap_sweep.quality.measures import MEASURED
from umap_sweep.quality.seeds import by_seed, setting_of

# The column that the metrics of labels come after.
BEFORE_LABELS = "distance_correlation"

# Metrics that another seed changes.
SEEDED = (*sampling.SAMPLED, "label_accuracy", "cross_entropy")

# The same, of metrics that only some sweeps have.
SEEDED_OF_SOME = ("label_accuracy_unseen", "density_correlation")


def _cost(path: str | Path) -> dict[str, float]:
    try:
        cost = json.loads(Path(path).read_text(encoding="utf-8"))
        return {name: float(cost[name]) for name in MEASURED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}). {store.how_to_mend(path)}") from error


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
        Receives one row for each cell, in the order of `keys`. What ends in `_seed_error` is the standard deviation of
        the metric over the seeds of the cell's setting; null where there is one. The columns of `MEASURED` do not enter
        the fingerprint in its record.
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
        row = stored[path].filter(pc.field("min_dist") == key["min_dist"])
        if row.num_rows != 1:
            raise InputError(
                f"{path} has {row.num_rows} rows of min_dist {key['min_dist']}, and not one. Delete it and run again."
            )
        rows.append(row)
    table = pa.concat_tables(rows)
    of_labels = store.read(label_metrics)
    if any(of_labels.column(name).to_pylist() != [key[name] for key in keys] for name in key_columns(keys[0])):
        raise InputError(f"{label_metrics} is of other cells than the configuration has. Delete it and run again.")
    place = table.column_names.index(BEFORE_LABELS) + 1
    for name in reversed([name for name in LABEL_NUMBERS | OF_UNSEEN if name in of_labels.column_names]):
        table = table.add_column(place, name, of_labels.column(name))
    for name, error in seed_errors(table).items():
        table = table.append_column(f"{name}_seed_error", pa.array(error, pa.float64(), from_pandas=True))
    measured = [_cost(path) for path in costs]
    for column in MEASURED:
        table = table.append_column(column, pa.array([one[column] for one in measured], pa.float64()))
    inputs = store.inputs_of(*stored, label_metrics)
    tables.write(out, table, "metrics", inputs, csv_out=csv_out, measured=MEASURED)


def seed_errors(table: pa.Table) -> dict[str, np.ndarray]:
    """Return the standard deviation over seeds of each metric of `SEEDED`, float64, one number for each cell.

    And of those of `SEEDED_OF_SOME` that the table has.
    """
    frame = table.to_pandas()
    settings = pd.MultiIndex.from_frame(frame[setting_of(frame)])
    found = {}
    for name in (*SEEDED, *[name for name in SEEDED_OF_SOME if name in frame]):
        values = by_seed(frame, name) if frame[name].notna().any() else None
        if values is not None and values.shape[1] > 1:
            found[name] = values.std(axis=1).reindex(settings).to_numpy(float)
        else:
            found[name] = np.full(len(frame), np.nan)
    return found
