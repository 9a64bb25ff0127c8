"""What the modules that measure and compare cells share: reading cells, and storing a table with its record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import neighbors_of


def coordinates_of(path: str | Path) -> np.ndarray:
    """Return the coordinates of a stored layout, float32, shape (n, d); nothing else is read of it.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    return store.matrix(store.read(path, store.column_names(path, "umap_")), "umap_")


def read_cell(layout: str | Path, neighbors: str | Path, key: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Read the coordinates of a cell, and the nearest points of each of its points.

    Parameters
    ----------
    layout : path
        From `umap_sweep.stages.layouts`.
    neighbors : path
        From `umap_sweep.quality.cell_metrics`; the cells of a row of the grid share one file.
    key : mapping
        The key of the cell.

    Returns
    -------
    coordinates : ndarray of float32, shape (n, d)
    nearest : ndarray of int32, shape (n, 15)

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    return coordinates_of(layout), neighbors_of(neighbors, key)


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
    also: Mapping[str, Any] | None = None,
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
    also : mapping, optional
        Further entries of the record.
    """
    values = store.fingerprint(table.drop_columns(list(measured)))
    record = store.make_record(stage, key or {}, values, inputs, **(also or {}))
    store.write(out, table, record)
    if csv_out is not None:
        store.write_csv(csv_out, table)
