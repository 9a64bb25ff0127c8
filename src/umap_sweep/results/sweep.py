"""Join all cells into one tidy table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from umap_sweep import store
from umap_sweep.cells.keys import KEY_COLUMNS, check_one_code
from umap_sweep.results import embedding


def join(
    layouts: Sequence[str | Path],
    rows: str | Path,
    keys: Sequence[dict[str, Any]],
    out: str | Path,
    today: Mapping[str, str] | None = None,
) -> None:
    """Write every cell into one table, cell after cell, each in the data's row order.

    One cell is held in memory at a time.

    Parameters
    ----------
    layouts : sequence of path
        From `umap_sweep.stages.layouts`.
    rows : path
        From `umap_sweep.sources.rows`.
    keys : sequence of mapping
        The key that each of the layouts must carry.
    out : path
        Receives n_neighbors, min_dist, seed, knn_k, knn_seed, id, label (where there is one), umap_1 … umap_d.
    today : mapping of str to str, optional
        The digest of today's code of each stage.

    Raises
    ------
    InputError
        Where a stored layout is not the one that its path and the configuration say, or some were laid out by other
        code than the rest.
    """
    check_one_code({path: store.read_record(path) for path in layouts}, (today or {}).get("layout"))
    ids_and_labels = store.read_rows(rows)
    writer = None
    with store.appearing(out) as temporary:
        try:
            for layout, key in zip(layouts, keys, strict=True):
                cell = embedding.joined(layout, ids_and_labels, key)
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
