"""What the modules that measure and compare cells share: reading cells, and storing a table with its record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import neighbors_of
from umap_sweep.errors import InputError


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


def check_same_data(of_sweep: str | Path, derived: str | Path) -> None:
    """Raise an `InputError` where a derived data set is not of the data that a file of the sweep is of.

    Parameters
    ----------
    of_sweep : path
        With the data among its inputs.
    derived : path
        The features of the derived data set, such as the null.
    """
    expected = store.read_record(of_sweep)["inputs"].get(store.place_of(derived))
    if store.read_record(derived)["origin"].get("parent", {}).get("data") != expected:
        raise InputError(f"{derived} is made from other data than {of_sweep} is of. Delete both and run again.")


def inputs_of_derived(*paths: str | Path) -> dict[str, str]:
    """Return what a record has of files of a derived data set, each by its folder below that of the results.

    Their places alone are those of the sweep's own files.
    """
    found: dict[str, str] = {}
    for path in paths:
        folder = Path(path).absolute().parents[store.place_of(path).count("/")].name
        found |= {f"{folder}/{place}": one for place, one in store.inputs_of(path).items()}
    return found


def table_of(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, pa.DataType]) -> pa.Table:
    """Return rows as a table with these columns, by name and type; null where a row has no value."""
    return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in columns.items()})


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
        From `umap_sweep.store.inputs_of`, of what the table is made from.
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
    record = store.make_record(stage, key or {}, values, inputs, measured=list(measured), **(also or {}))
    store.write(out, table, record)
    if csv_out is not None:
        store.write_csv(csv_out, table)
