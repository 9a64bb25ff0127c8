"""Join all cells into one tidy table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from umap_sweep import store
from umap_sweep.cells.keys import key_columns
from umap_sweep.results import embedding


def join(layouts: Sequence[str | Path], rows: str | Path, keys: Sequence[Mapping[str, Any]], out: str | Path) -> None:
    """Write every cell into one table, cell after cell, each in the data's row order.

    One cell is held in memory at a time.

    Parameters
    ----------
    layouts : sequence of path
        From `umap_sweep.stages.layouts`.
    rows : path
        From `umap_sweep.sources.rows`.
    keys : sequence of mapping
        The key of each of the layouts.
    out : path
        Receives the grid's further axes, n_neighbors, min_dist, seed, knn_k, knn_seed, id, label (where there is one),
        umap_1 … umap_d. The fingerprint in its record is that of the coordinates.

    Raises
    ------
    InputError
        Where a stored layout is damaged, belongs in another place, or has other rows.
    """
    ids_and_labels = store.read_rows(rows)
    values = store.fingerprint_of_joined(layouts, store.column_names(layouts[0]))
    record = store.make_record("sweep", {}, values, store.inputs_of(rows, *layouts))
    writer = None
    with store.appearing(out) as temporary:
        try:
            for layout, key in zip(layouts, keys, strict=True):
                cell = embedding.joined(layout, ids_and_labels)
                constant = {
                    name: pa.repeat(pa.scalar(key[name], kind), cell.num_rows)
                    for name, kind in key_columns(key).items()
                }
                columns = constant | dict(zip(cell.column_names, cell.columns, strict=True))
                table = pa.table(columns)
                table = table.replace_schema_metadata(store.record_metadata(record, out, table.schema))
                if writer is None:
                    repeated = [*key_columns(key), "label"]
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
