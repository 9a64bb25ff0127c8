"""AnnData files (.h5ad): the data set, the ids and the neighbours graph in one.

Only what is asked for is read, and a matrix is read in blocks, so that the file may be larger than the memory and the
matrix is held once. anndata and h5py take seconds to import, so only jobs that read such a file import this module.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse
from anndata.io import read_elem, sparse_dataset

from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, reading


@dataclass(frozen=True)
class Neighbors:
    """A neighbours graph as scanpy stores it.

    Attributes
    ----------
    distances : scipy.sparse.csr_matrix, shape (n, n)
        The entries that are stored in a row are its neighbours, in any order; a stored 0 is a distance like any other.
    metric : str or None
        The metric of the distances, where scanpy has recorded it.
    names : list of str
        The obs names.
    """

    distances: scipy.sparse.csr_matrix
    metric: str | None
    names: list[str]


def read_features(
    path: str | Path, layer: str | None = None, obsm: str | None = None, missing: str = "refuse"
) -> data_table.Features:
    """Return the features of an AnnData file.

    Parameters
    ----------
    path : str or Path
    layer, obsm : str or None
        The layer or the obsm entry that holds the features; without both, X does.
    missing : str
        See `data_table.checked_features`.

    Returns
    -------
    data_table.Features
        A sparse matrix becomes dense. The names are the var names; of an obsm entry, its columns' names where it has
        them, otherwise its own name and a number from 1, such as `X_pca_1`.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another format, lacks what is named, has no rows or features, or two
        of one name; and where a feature is not numeric and finite in float32.
    """
    with _opened(path) as file:
        rows = len(_read(file["obs"][file["obs"].attrs["_index"]]))
        element, what = _chosen(file, layer, obsm, path)
        if element.attrs.get("encoding-type") == "dataframe":
            matrix, names, rounded = _frame_values(_read(element), what)
        else:
            read_matrix = _dense if isinstance(element, h5py.Dataset) else _from_sparse
            matrix, rounded = read_matrix(element, what)
            width = matrix.shape[1]
            names = _var_names(file["var"], path) if obsm is None else [f"{obsm}_{i + 1}" for i in range(width)]
        if matrix.shape != (rows, len(names)):
            raise InputError(
                f"{what} has the shape {matrix.shape}, and the file names {rows} rows and {len(names)} columns. "
                "Write it again with anndata."
            )
    return data_table.matrix_features(matrix, what, names, missing, rounded=rounded)


def read_columns(path: str | Path, id_name: str | None = None, names: Sequence[str] = ()) -> reading.Columns:
    """Return what names and describes the rows of an AnnData file.

    Parameters
    ----------
    path : str or Path
    id_name : str or None
        A column of obs. Without it, the obs names are the ids.
    names : sequence of str
        Columns of obs. Categories are text, also where they are numbers, such as those of clusters.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another format, lacks what is named, or names rows twice.
    """
    with _opened(path) as file:
        obs = _read(file["obs"])
        others = {name: pa.chunked_array([labels(_column(obs, "label or annotations", name, path))]) for name in names}
        return reading.Columns(pa.chunked_array([_ids(obs, id_name, path)]), others)


def obs_columns(path: str | Path) -> list[str]:
    """Return the names of the columns of obs."""
    with _opened(path) as file:
        return [str(name) for name in _read(file["obs"]).columns]


def read_ids(path: str | Path, id_name: str | None = None) -> pa.Array:
    """Return the ids that `read` gives to the rows of an AnnData file, by the same arguments."""
    with _opened(path) as file:
        return _ids(_read(file["obs"]), id_name, path)


def read_neighbors(path: str | Path, key: str = "neighbors") -> Neighbors:
    """Return the neighbours graph that scanpy's `pp.neighbors` has put into an AnnData file.

    Parameters
    ----------
    path : str or Path
    key : str
        The graph's entry in uns, scanpy's `key_added`; it names the matrix of distances in obsp.

    Raises
    ------
    InputError
        Where the file is missing or damaged, or has no such graph.
    """
    with _opened(path) as file:
        uns, obsp = file.get("uns", {}), file.get("obsp", {})
        if key not in uns:
            known = [name for name, entry in uns.items() if isinstance(entry, h5py.Group) and "distances_key" in entry]
            raise InputError(
                f"{data_table.unknown(path, 'entry of uns', 'knn.neighbors_key', key, known)} "
                "Make it with scanpy's pp.neighbors."
            )
        entry = uns[key]
        # Where the entry does not name the distances, scanpy uses this name.
        place = _read(entry["distances_key"]) if "distances_key" in entry else "distances"
        if place not in obsp:
            raise InputError(
                f"{path} has no obsp[{place!r}], which uns[{key!r}] names. Run scanpy's pp.neighbors anew."
            )
        if obsp[place].attrs.get("encoding-type") not in ("csr_matrix", "csc_matrix"):
            raise InputError(f"obsp[{place!r}] of {path} is not sparse. Run scanpy's pp.neighbors with knn=True.")
        metric = _read(entry["params"]["metric"]) if "metric" in entry.get("params", {}) else None
        distances = _read(obsp[place])
        distances.check_format(full_check=True)  # damaged indices would crash what uses them
        return Neighbors(
            distances.tocsr(), metric if isinstance(metric, str) else None, _read(file["obs"]).index.tolist()
        )


@contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    reading.check_file(path)
    remedy = "write it again with anndata 0.8 or later"
    with (
        reading.explaining_damage(path, ".h5ad", (KeyError, IndexError, RuntimeError), remedy),
        h5py.File(path, "r") as file,
    ):
        if not all(isinstance(file.get(name), h5py.Group) for name in ("obs", "var")):
            raise InputError(
                f"{path} is no AnnData file, or one of a version before 0.7. Read it with anndata and write it."
            )
        if not all("_index" in file[name].attrs for name in ("obs", "var")):
            # Such as where anndata has written a column without a name over the table itself.
            raise InputError(f"obs or var of {path} is no table of named columns. Name them all and write it again.")
        yield file


def _read(element: h5py.Group | h5py.Dataset) -> Any:
    try:
        return read_elem(element)
    except MemoryError:
        raise
    except Exception as error:  # anndata's own, and whatever h5py, pandas and SciPy raise over what is stored
        raise ValueError(f"{element.name}: {error}") from error


def _chosen(
    file: h5py.File, layer: str | None, obsm: str | None, path: str | Path
) -> tuple[h5py.Group | h5py.Dataset, str]:
    """Return the matrix that was asked for, and what messages call it."""
    for key, group, name in (("layer", "layers", layer), ("obsm", "obsm", obsm)):
        if name is not None:
            known = file.get(group, {})
            if name not in known:
                raise data_table.unknown(path, "layer" if key == "layer" else "obsm entry", key, name, list(known))
            element, what = known[name], f"{group}[{name!r}] of {path}"
            break
    else:
        if "X" not in file:
            obsm_names = data_table.listed(file.get("obsm", {})) or "none"
            raise InputError(f"{path} has no X. Name a `layer`, or one of its obsm entries ({obsm_names}) as `obsm`.")
        element, what = file["X"], f"X of {path}"
    kind = element.attrs.get("encoding-type", "array")
    if kind not in ("array", "csr_matrix", "csc_matrix", "dataframe"):
        raise InputError(f"{what} is of the kind {kind!r}, not a matrix of numbers. Choose another, or convert it.")
    return element, what


def _dense(dataset: h5py.Dataset, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a matrix as float32, and how many whole numbers in each column are rounded; so do the next two."""
    data_table.check_matrix(dataset.shape, dataset.dtype, what)
    matrix = np.empty(dataset.shape, dtype=np.float32)
    rows, rounded = data_table.block_rows(matrix.shape[1]), np.zeros(matrix.shape[1], dtype=np.int64)
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused later
        for start in range(0, len(matrix), rows):
            block = dataset[start : start + rows]
            matrix[start : start + rows] = block
            rounded += data_table.rounded_integers(block).sum(axis=0)
    return matrix, rounded


def _from_sparse(group: h5py.Group, what: str) -> tuple[np.ndarray, np.ndarray]:
    stored = sparse_dataset(group)
    data_table.check_matrix(stored.shape, stored.dtype, what)
    n_rows, n_columns = stored.shape
    logging.getLogger("umap_sweep").info(
        "%s is sparse (%s), %.1f %% of its values are stored; dense, as it is used, it takes %.3g GiB.",
        *(what, stored.format, 100 * group["data"].size / (n_rows * n_columns), 4 * n_rows * n_columns / 2**30),
    )
    matrix = np.empty(stored.shape, dtype=np.float32)
    rounded = np.zeros(n_columns, dtype=np.int64)
    by_rows = stored.format == "csr"
    step = data_table.block_rows(n_columns if by_rows else n_rows)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, n_rows if by_rows else n_columns, step):
            part = np.s_[start : start + step] if by_rows else np.s_[:, start : start + step]
            block = stored[part]
            block.check_format(full_check=True)  # damaged indices would make toarray write outside of the block
            matrix[part] = block.toarray()
            if (places := np.flatnonzero(data_table.rounded_integers(block.data))).size:
                columns = block.tocoo().col[places] + (0 if by_rows else start)
                rounded += np.bincount(columns, minlength=n_columns)
    return matrix, rounded


def _frame_values(frame: pd.DataFrame, what: str) -> tuple[np.ndarray, list[str], np.ndarray]:
    numeric = frame.select_dtypes([np.bool, np.integer, np.floating]).columns
    if wrong := [name for name in frame.columns if name not in numeric]:
        said = data_table.with_examples(wrong, partial(data_table.first_values, frame))
        raise InputError(f"{what} has columns that are not numeric: {said}. Drop or encode them.")
    data_table.check_matrix(frame.shape, np.dtype(np.float32), what)
    names = [str(name) for name in frame.columns]
    columns = (frame.iloc[:, place].dropna().to_numpy() for place in range(len(names)))
    rounded = [int(data_table.rounded_integers(column).sum()) for column in columns]
    with np.errstate(over="ignore", invalid="ignore"):
        return frame.to_numpy(dtype=np.float32, na_value=np.nan), names, np.array(rounded)


def _var_names(var: h5py.Group, path: str | Path) -> list[str]:
    names = [str(name) for name in _read(var[var.attrs["_index"]])]
    if repeated := _repeated(names):
        raise InputError(
            f"{path} has more than one variable of the name {data_table.listed(repeated)}. "
            "Call adata.var_names_make_unique() and write it again."
        )
    return names


def _ids(obs: pd.DataFrame, id_name: str | None, path: str | Path) -> pa.Array:
    if id_name is not None:
        return _values(_column(obs, "id", id_name, path))
    names = [str(name) for name in obs.index]
    if repeated := _repeated(names):
        raise InputError(
            f"The obs names of {path} are not unique: {data_table.listed(repeated)} occur more than once. "
            "Call adata.obs_names_make_unique() and write it again, or name a column of obs as `id`."
        )
    return pa.array(names, pa.string())


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _column(obs: pd.DataFrame, key: str, name: str, path: str | Path) -> pd.Series:
    if name not in obs.columns:
        raise data_table.unknown(path, "column of obs", key, name, list(obs.columns))
    return obs[name]


def labels(column: pd.Series) -> pa.Array:
    """Return the values of a column of obs as label or annotation; categories are text."""
    values = _values(column)
    # Numbers that are categories, such as those of clusters, are names.
    return values.dictionary_decode().cast(pa.string()) if pa.types.is_dictionary(values.type) else values


def _values(column: pd.Series) -> pa.Array:
    return data_table.frame_columns(column.to_frame()).column(0).combine_chunks()
