"""Join all cells into one tidy table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from umap_sweep import job, store
from umap_sweep.errors import InputError

# The key columns of the tidy table, and what they are called in a cell's key.
KEY_COLUMNS = {
    "n_neighbors": pa.int64(),
    "min_dist": pa.float64(),
    "seed": pa.int64(),
    "knn_k": pa.int64(),
    "knn_seed": pa.int64(),
}


def join(embeddings: Sequence[str | Path], keys: Sequence[dict[str, Any]], out: str | Path) -> None:
    """Write every cell into one table, cell after cell, each in the data's row order.

    One cell is held in memory at a time.

    Parameters
    ----------
    embeddings : sequence of path
        From `scripts/embedding.py`.
    keys : sequence of mapping
        The key that each of them must carry.
    out : path
        Receives n_neighbors, min_dist, seed, knn_k, knn_seed, id, label (where there is one), umap_1 … umap_d.

    Raises
    ------
    InputError
        Where a stored embedding is not the one that its path and the configuration say.
    """
    writer = None
    with store.appearing(out) as temporary:
        try:
            for path, key in zip(embeddings, keys, strict=True):
                check_key(path, key)
                cell = store.read(path).replace_schema_metadata(None)
                constant = {
                    name: pa.repeat(pa.scalar(key[name], kind), cell.num_rows) for name, kind in KEY_COLUMNS.items()
                }
                columns = constant | dict(zip(cell.column_names, cell.columns, strict=True))
                table = pa.table(columns)
                if writer is None:
                    repeated = [*KEY_COLUMNS, "label"]
                    writer = pq.ParquetWriter(
                        temporary,
                        table.schema,
                        use_dictionary=[name for name in repeated if name in table.column_names],
                        **store.WRITE_OPTIONS,
                    )
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()


def column_of(key: dict[str, Any]) -> str:
    """Return the name of a cell's column where a table has one for each min_dist: as its folder is named elsewhere."""
    return f"min_dist={key['min_dist']}"


def neighbors_of(path: str | Path, key: dict[str, Any]) -> np.ndarray:
    """Return a cell's nearest points, int32, shape (n, 15), from what `scripts/cell_metrics.py` stores of its row."""
    return store.from_lists(store.read(path, [column_of(key)]).column(0))


def check_key(path: str | Path, key: dict[str, Any]) -> None:
    """Raise an `InputError` unless the embedding at `path` carries `key`."""
    stored = store.read_record(path)["key"]
    for name, value in key.items():
        if stored.get(name) != value:
            raise InputError(
                f"{path} was made with {name} {stored.get(name)!r}, but the configuration says {value!r}. "
                f"Delete it and run again."
            )


if "snakemake" in globals():
    snakemake = globals()["snakemake"]
    with job.running(snakemake.log[0]):
        join(snakemake.input.embeddings, snakemake.params.cell_keys, snakemake.output[0])
