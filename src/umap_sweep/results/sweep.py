"""Join all cells into one tidy table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from umap_sweep import store
from umap_sweep.cells.keys import KEY_COLUMNS, check_key, check_one_code


def join(
    embeddings: Sequence[str | Path],
    keys: Sequence[dict[str, Any]],
    out: str | Path,
    today: Mapping[str, str] | None = None,
) -> None:
    """Write every cell into one table, cell after cell, each in the data's row order.

    One cell is held in memory at a time.

    Parameters
    ----------
    embeddings : sequence of path
        From `umap_sweep.stages.embedding`.
    keys : sequence of mapping
        The key that each of them must carry.
    out : path
        Receives n_neighbors, min_dist, seed, knn_k, knn_seed, id, label (where there is one), umap_1 … umap_d.
    today : mapping of str to str, optional
        The digest of today's code of each stage.

    Raises
    ------
    InputError
        Where a stored embedding is not the one that its path and the configuration say, or some were laid out by other
        code than the rest.
    """
    check_one_code({path: store.read_record(path) for path in embeddings}, (today or {}).get("embedding"))
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
