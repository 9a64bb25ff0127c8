"""Join the rows of the data to a cell's layout: `embedding.parquet`, the coordinates with id and label."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from umap_sweep import store
from umap_sweep.errors import InputError


def joined(layout: str | Path, rows: pa.Table) -> pa.Table:
    """Return one cell as users read it.

    Parameters
    ----------
    layout : path
        From `umap_sweep.stages.layouts`.
    rows : pyarrow.Table
        `id` and, where the data has one, `label`; see `umap_sweep.store.read_rows`.

    Returns
    -------
    pyarrow.Table
        `id`, `label` (where the data has one) and `umap_1` … `umap_d`, in the data's row order.

    Raises
    ------
    InputError
        Where the layout is damaged, belongs in another place, or has other rows.
    """
    coordinates = store.read(layout)
    if coordinates.num_rows != rows.num_rows:
        raise InputError(
            f"{layout} has {coordinates.num_rows} rows, and the data {rows.num_rows}. Delete it and run again."
        )
    columns = zip(rows.column_names + coordinates.column_names, rows.columns + coordinates.columns, strict=True)
    return pa.table(dict(columns))


def compute(layouts: Sequence[str | Path], rows: str | Path, out: Sequence[str | Path]) -> None:
    """Write cells as users read them, one after the other.

    Parameters
    ----------
    layouts : sequence of path
        From `umap_sweep.stages.layouts`.
    rows : path
        From `umap_sweep.sources.rows`.
    out : sequence of path
        Each receives what `joined` returns. Its record has the key of the layout, and the fingerprint of the
        coordinates alone.

    Raises
    ------
    InputError
        As for `joined`.
    """
    ids_and_labels, of_rows = store.read_rows(rows), store.inputs_of(rows)
    for layout, path in zip(layouts, out, strict=True):
        cell, record = joined(layout, ids_and_labels), store.read_record(layout)
        made = store.make_record("embedding", record["key"], record["fingerprint"], of_rows | store.inputs_of(layout))
        store.write(path, cell, made, dictionary=["label"] if "label" in cell.column_names else False)
