"""A k-NN that was made elsewhere: read, checked, and brought into the form that the other stages take."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.sparse

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, reading

# Names that scanpy or umap-learn has for a metric beside the one that they are compared by.
SAME_METRIC = {
    "l2": "euclidean",
    "cityblock": "manhattan",
    "l1": "manhattan",
    "taxicab": "manhattan",
    "linf": "chebyshev",
    "linfty": "chebyshev",
    "linfinity": "chebyshev",
}

# How far from 0 a row's distance to itself, or to a copy of it, may come out, as a share of the largest distance.
ROUNDING = 1e-6


def read(
    path: str | Path, k: int, ids: pa.ChunkedArray, metric: str, neighbors_key: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest neighbours of every row, itself included, from a file.

    Parameters
    ----------
    path : str or Path
        `.npz` with the arrays `indices` and `distances`, both of shape (n, at least k); `.parquet` with columns
        `index_0` … and `distance_0` …, as `umap_sweep.stages.knn` stores them, or with the two columns of lists
        `indices` and `distances`; `.h5ad` with a neighbours graph of scanpy. Where no row is its own neighbour, each is
        put before its neighbours, at the distance 0. Otherwise only copies of a row may come before it.
    k : int
        Neighbours to take, the row itself included.
    ids : pyarrow.ChunkedArray
        The ids of the data, n values. Where they are text and the file names its rows, the names must agree.
    metric : str
        Of the distances. Where the file names its metric, the two must agree.
    neighbors_key : str, optional
        Of an `.h5ad`, the entry in uns; `neighbors` where none is given.

    Returns
    -------
    indices : ndarray of int32, shape (n, k)
    distances : ndarray of float32 or float64, shape (n, k)
        float32 stays, every other type becomes float64. umap-learn and the later stages use them in single precision.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another format, has other rows than the data, or too few neighbours;
        for a neighbour that is no row of the data or is there twice; for distances that are missing, infinite,
        negative or do not ascend; and where another row is nearer than the row itself, or its distance to itself is
        not 0.
    """
    suffix = Path(path).suffix.lower()
    reading.check_file(path)
    if suffix == ".h5ad":
        indices, distances = _from_graph(path, k, ids, metric, neighbors_key or "neighbors")
    else:
        with reading.explaining_damage(path, suffix):
            indices, distances = _read_npz(path) if suffix == ".npz" else _read_parquet(path)
        indices, distances = _from_arrays(indices, distances, k, len(ids), path)
    _check(indices, distances, path)
    return indices.astype(np.int32), distances


def _read_npz(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    with zipfile.ZipFile(path):  # np.load would take a file that is no archive for one of another format
        pass
    with np.load(path, allow_pickle=False) as archive:
        for name in ("indices", "distances"):
            if name not in archive:
                raise InputError(
                    f"{path} has no array {name!r}, only {data_table.listed(archive.files)}. "
                    "Save the row numbers of the neighbours as indices, and their distances as distances."
                )
        return archive["indices"], archive["distances"]


def _read_parquet(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    names = pq.read_schema(path).names
    if "index_0" in names:
        width = sum(name.startswith("index_") for name in names)
        wanted = [f"{kind}_{rank}" for kind in ("index", "distance") for rank in range(width)]
    else:
        wanted = ["indices", "distances"]
    if missing := [name for name in wanted if name not in names]:
        raise InputError(
            f"{path} has no column {missing[0]!r}, only {data_table.listed(names)}. "
            "Give it index_0, distance_0 and so on, or the columns of lists indices and distances."
        )
    table = pq.read_table(path, columns=wanted, page_checksum_verification=True, partitioning=None)
    if any(column.null_count for column in table.columns):
        raise InputError(f"{path} has rows without neighbours or distances. Give every row its own.")
    if "index_0" in names:
        return store.matrix(table, "index_"), store.matrix(table, "distance_")
    return _list_rows(table["indices"], path, "indices"), _list_rows(table["distances"], path, "distances")


def _list_rows(column: pa.ChunkedArray, path: str | Path, name: str) -> np.ndarray:
    if not hasattr(column.type, "value_type"):
        raise InputError(f"The column {name!r} of {path} is of type {column.type}. Make it one of lists.")
    lengths = pc.list_value_length(column).to_numpy()
    if len(lengths) and (lengths != lengths[0]).any():
        row = int(np.argmin(lengths))
        raise InputError(
            f"The lists in {name!r} of {path} are of different lengths: that of row {row} holds {lengths[row]}, others "
            f"up to {lengths.max()}. Give every row as many neighbours."
        )
    values = column.combine_chunks().flatten()
    if values.null_count:
        raise InputError(f"The lists in {name!r} of {path} have {values.null_count} missing values. Fill them.")
    rows: np.ndarray = values.to_numpy(zero_copy_only=False).reshape(len(lengths), -1)
    return rows


def _from_arrays(
    indices: np.ndarray, distances: np.ndarray, k: int, n_rows: int, path: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first k columns, each row itself in front of its neighbours where no row is its own neighbour."""
    if indices.ndim != 2 or indices.shape != distances.shape:
        raise InputError(
            f"indices and distances of {path} have the shapes {indices.shape} and {distances.shape}. "
            "Make both of one shape: a row for each row of the data, a column for each neighbour."
        )
    if indices.dtype.kind not in "iu" or distances.dtype.kind not in "iuf":
        raise InputError(
            f"indices and distances of {path} are of type {indices.dtype} and {distances.dtype}. "
            "Make the first whole numbers, the second float32 or float64."
        )
    _check_rows(len(indices), n_rows, path)
    itself = np.arange(n_rows)[:, None]
    absent = not (indices[:, :k] == itself).any()
    reach = indices.shape[1] + absent
    if k > reach:
        raise InputError(
            f"{path} has {reach} neighbours of each row, itself included, and knn.n_neighbors is {k}. "
            f"Lower it to {reach}, or give a wider k-NN."
        )
    indices, distances = indices[:, : k - absent], _as_float(distances[:, : k - absent])
    return _with_itself(indices, distances) if absent else (indices, distances)


def _from_graph(path: str | Path, k: int, ids: pa.ChunkedArray, metric: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    from umap_sweep.sources import h5ad

    graph = h5ad.read_neighbors(path, key)
    _check_rows(graph.distances.shape[0], len(ids), path)
    _check_names(graph.names, ids, path)
    if graph.metric and SAME_METRIC.get(graph.metric, graph.metric) != SAME_METRIC.get(metric, metric):
        theirs = data_table.printable(graph.metric)
        raise InputError(
            f"uns[{key!r}] of {path} was computed with the metric {theirs}, and knn.metric is {metric}. "
            f"Set knn.metric to {theirs}, or compute the neighbours anew."
        )
    return _nearest_of_graph(graph.distances, k, path, graph.names)


def _nearest_of_graph(
    distances: scipy.sparse.csr_matrix, k: int, path: str | Path, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row itself and its k - 1 nearest stored neighbours; of equal distances, those stored first."""
    n_rows = distances.shape[0]
    rows = np.repeat(np.arange(n_rows), np.diff(distances.indptr))
    others = rows != distances.indices
    counts = np.bincount(rows[others], minlength=n_rows)
    few = counts < k - 1
    if few.any():
        row = int(np.argmin(counts))
        raise InputError(
            f"{int(few.sum())} of {n_rows} rows of {path} have fewer neighbours beside themselves than the {k - 1} of "
            f"knn.n_neighbors {k}: row {row} ({data_table.printable(names[row])}) has {counts[row]}. "
            f"Lower knn.n_neighbors to {max(counts[row] + 1, 2)}, or compute the neighbours anew with more."
        )
    logger = logging.getLogger("umap_sweep")
    # scanpy drops the nearest neighbour as the row itself. Where that was a copy, the row stays among its neighbours.
    lost = int((np.bincount(rows[~others], minlength=n_rows).astype(bool) & (counts < counts.max())).sum())
    if lost:
        logger.warning("%d rows have a copy that is missing among their neighbours, because scanpy left it out.", lost)
    values, columns = _as_float(distances.data[others]), distances.indices[others]
    order = np.lexsort((values, rows[others]))
    starts = np.cumsum(counts) - counts
    nearest = order[starts[:, None] + np.arange(k - 1)]
    return _with_itself(columns[nearest], values[nearest])


def _as_float(distances: np.ndarray) -> np.ndarray:
    return distances if distances.dtype == np.float32 else distances.astype(np.float64)


def _with_itself(indices: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logging.getLogger("umap_sweep").info("Each row is put before its neighbours, at the distance 0.")
    rows = np.arange(len(indices), dtype=np.int64)[:, None]
    return np.hstack([rows, indices]), np.hstack([np.zeros(rows.shape, dtype=distances.dtype), distances])


def _check_rows(found: int, expected: int, path: str | Path) -> None:
    if found != expected:
        raise InputError(
            f"{path} has the neighbours of {found} rows, and the data has {expected} rows. "
            "Give those of the same rows, in the same order."
        )


def _check_names(names: Sequence[str], ids: pa.ChunkedArray, path: str | Path) -> None:
    """Refuse the rows of the data in another order, which only names reveal; names that are no ids say nothing."""
    if not pa.types.is_string(ids.type):
        return
    known = ids.to_pylist()
    if names != known and set(names) & set(known):
        row = next(row for row, (name, id) in enumerate(zip(names, known, strict=True)) if name != id)
        raise InputError(
            f"Row {row} is {data_table.quoted(names[row])} in {path} and {data_table.quoted(known[row])} in the data. "
            "Give the neighbours of the same rows, in the same order."
        )


def _check(indices: np.ndarray, distances: np.ndarray, path: str | Path) -> None:
    n_rows = len(indices)

    def refuse(wrong: np.ndarray, what: str, remedy: str, values: np.ndarray) -> None:
        """Raise an error where `wrong` is true anywhere, and name the first row and place where it is."""
        bad = wrong.any(axis=1)
        if bad.any():
            row = int(np.argmax(bad))
            rank = int(np.argmax(wrong[row]))
            raise InputError(
                f"{path} has {int(bad.sum())} {'row' if bad.sum() == 1 else 'rows'} with {what}, first in row {row} "
                f"({values[row, rank]} at place {rank}). {remedy}"
            )

    none = "Where there is none, lower knn.n_neighbors or compute the k-NN anew."
    outside = (indices < 0) | (indices >= n_rows)
    refuse(outside, f"a neighbour that is no row of the data, 0 to {n_rows - 1}", none, indices)
    refuse(~np.isfinite(distances), "a distance that is missing or infinite", none, distances)
    rounding = ROUNDING * distances.max()
    refuse(distances < -rounding, "a negative distance", "Give distances, not similarities.", distances)
    descending = np.diff(distances, axis=1, prepend=distances[:, :1]) < 0
    refuse(descending, "distances that do not ascend", "Sort the neighbours of each row, nearest first.", distances)
    order = np.argsort(indices, axis=1, kind="stable")
    again = np.zeros(indices.shape, dtype=bool)
    ordered = np.take_along_axis(indices, order, axis=1)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    refuse(again, "a neighbour that is there twice", "Give every neighbour of a row once.", indices)
    # As in umap-learn, copies of a row may come before it, and k copies may take all places so that it is absent.
    itself = indices == np.arange(n_rows)[:, None]
    there = itself.any(axis=1)
    own = np.take_along_axis(distances, itself.argmax(axis=1)[:, None], axis=1)[:, 0]
    late = np.zeros(indices.shape, dtype=bool)
    late[:, 0] = np.where(there, own > distances[:, 0] + rounding, distances[:, -1] > rounding)
    first = "Put each row first, at the distance 0."
    refuse(late, "another row nearer than the row itself", first, indices)
    refuse(itself & (distances > rounding), "a distance to itself that is not 0", first, distances)
