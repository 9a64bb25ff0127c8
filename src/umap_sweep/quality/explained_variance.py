"""Join what the preparations of a sweep say of their principal components into one table."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from umap_sweep import store
from umap_sweep.quality import tables

COLUMNS = {
    "preparation": pa.string(),
    "component": pa.int64(),
    "explained_variance": pa.float64(),
    "share": pa.float64(),
    "cumulative_share": pa.float64(),
}


def join(prepared: Sequence[str | Path], out: str | Path, csv_out: str | Path) -> None:
    """Write one row for each principal component of each preparation.

    Parameters
    ----------
    prepared : sequence of path
        From `umap_sweep.stages.preparation`, each of steps with `pca`.
    out, csv_out : path
        Receive the columns `COLUMNS` as Parquet and as CSV. `share` is the part that the component explains of the
        variance of what goes into the PCA, and `cumulative_share` that of the components up to it.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    rows = []
    for path in prepared:
        record = store.read_record(path)
        found, total = record["facts"]["pca"], 0.0
        both = zip(found["explained_variance"], found["explained_variance_ratio"], strict=True)
        for number, (variance, share) in enumerate(both, 1):
            total += share
            values = record["key"]["preparation"], number, variance, share, total
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    tables.write(out, tables.table_of(rows, COLUMNS), "explained_variance", store.inputs_of(*prepared), csv_out=csv_out)
