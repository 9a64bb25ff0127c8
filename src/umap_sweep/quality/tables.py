"""What the modules that measure and compare cells share: reading cells, and storing a table with its record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import neighbors_of


def read_cells(
    embeddings: Sequence[str | Path], neighbors: Sequence[str | Path], keys: Sequence[dict[str, Any]]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Read the coordinates of cells, and the nearest points of each of their points.

    Parameters
    ----------
    embeddings : sequence of path
        From `umap_sweep.stages.embedding`, one for each cell.
    neighbors : sequence of path
        From `umap_sweep.quality.cell_metrics`, one for each cell; the cells of a row of the grid share one file.
    keys : sequence of mapping
        The key of each cell.

    Returns
    -------
    coordinates : list of ndarray of float32, shape (n, d)
    nearest : list of ndarray of int32, shape (n, 15)

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    coordinates = [store.matrix(store.read(path), "umap_") for path in embeddings]
    return coordinates, [neighbors_of(path, key) for path, key in zip(neighbors, keys, strict=True)]


def table_of(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, pa.DataType]) -> pa.Table:
    """Return rows as a table with these columns, by name and type; null where a row has no value."""
    return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in columns.items()})


def fingerprints(files: Mapping[str, str | Path]) -> dict[str, str]:
    """Return the fingerprint in each file's record: what the record of a table made from these files has as inputs."""
    return {name: store.read_record(path)["fingerprint"] for name, path in files.items()}


def by_path(paths: Sequence[str | Path]) -> dict[str, str]:
    """Return the fingerprint in each file's record, by the file's path."""
    return fingerprints({str(path): path for path in paths})


def write(
    out: str | Path,
    table: pa.Table,
    stage: str,
    inputs: Mapping[str, str],
    key: Mapping[str, Any] | None = None,
    csv_out: str | Path | None = None,
    measured: Sequence[str] = (),
    group_rows: int | None = None,
) -> None:
    """Write a table with its record.

    Parameters
    ----------
    out : path
    table : pyarrow.Table
    stage : str
        What the record calls the table.
    inputs : mapping of str to str
        From `fingerprints` or `by_path`, of what the table is made from.
    key : mapping, optional
        What determines the values beside the inputs.
    csv_out : path, optional
        Receives the same as CSV.
    measured : sequence of str, optional
        Columns that another run does not repeat: time and memory. They are left out of the fingerprint.
    group_rows : int, optional
        Rows that `store.read_binary_rows` yields at one time.
    """
    record = store.make_record(stage, key or {}, store.fingerprint(table.drop_columns(list(measured))), inputs)
    store.write(out, table, record, group_rows=group_rows)
    if csv_out is not None:
        store.write_csv(csv_out, table)
