"""The stages and the metrics on arrays of one's own, as a sweep computes them, from a notebook.

Each runs the functions of the pipeline's jobs on files in a temporary folder, so that the results are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from umap_sweep import store
from umap_sweep.cells import grid
from umap_sweep.errors import InputError
from umap_sweep.quality import cell_metrics, high_dimensional
from umap_sweep.settings.configuration import complete
from umap_sweep.sources.data_table import matrix_table, numbered
from umap_sweep.stages import embedding, graph, initial_layout, knn


def nearest_neighbors(
    features: np.ndarray,
    k: int,
    metric: str = "euclidean",
    method: str = "auto",
    seed: int = 10,
    n_jobs: int = 1,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest neighbours of every row, itself included, as a sweep computes them.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Numbers; computed with in float32.
    k : int
        2 <= k < n.
    metric : str, default "euclidean"
        umap-learn's name of the distance.
    method : {"auto", "exact", "nn-descent"}, default "auto"
        See docs/configuration.md.
    seed : int, default 10
        Of NN-descent.
    n_jobs : int, default 1
        Logical threads of NN-descent, on which its result depends; at most as many as numba was started with.
    threads : int, default 1
        Threads that an exact search may use. They do not change its result.

    Returns
    -------
    indices : ndarray of int32, shape (n, k)
    distances : ndarray of float32 or float64, shape (n, k)

    Raises
    ------
    InputError
        Where the data has too few rows, values that are not finite, or the metric is not defined on it.
    """
    with TemporaryDirectory() as folder:
        values = store.read_features(_store_data(Path(folder), features))
    random_state = np.random.RandomState(seed)
    return knn.nearest_neighbors(values, k, metric, method, random_state, n_jobs, None, threads)[:2]


def compute_cell(
    features: np.ndarray,
    n_neighbors: int,
    min_dist: float = 0.1,
    seed: int = 10,
    neighbors: tuple[np.ndarray, np.ndarray] | None = None,
    metric: str = "euclidean",
    **umap: Any,
) -> np.ndarray:
    """Return one cell of a sweep.

    At one CPU level and with the same versions it equals, bit for bit, umap-learn's own
    `UMAP(n_neighbors=…, min_dist=…, random_state=seed, precomputed_knn=(*neighbors, None),
    force_approximation_algorithm=True).fit(features).embedding_` on a k-NN pruned to n_neighbors columns.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Numbers; computed with in float32.
    n_neighbors, min_dist, seed
        Of UMAP; seed is its random_state.
    neighbors : tuple of ndarray, optional
        Indices and distances of a k-NN with at least n_neighbors columns, such as `nearest_neighbors` returns. Without
        it one of n_neighbors columns is computed.
    metric : str, default "euclidean"
        Of the k-NN.
    **umap
        Keys of the configuration's section `umap`, such as n_components or n_epochs.

    Returns
    -------
    ndarray of float32, shape (n, n_components)
        NaN for rows without any neighbour.

    Raises
    ------
    InputError
        Where an argument or the data does not allow it.
    """
    settings = complete(
        {
            "knn": {"metric": metric, "n_neighbors": int(n_neighbors)},
            "grid": {"n_neighbors": [int(n_neighbors)], "min_dist": [float(min_dist)], "seed": [int(seed)]},
            "umap": umap,
        }
    )
    grid.cells(settings)  # refuses what contradicts itself
    if neighbors is None:
        neighbors = nearest_neighbors(features, n_neighbors, metric)
    with TemporaryDirectory() as name:
        folder = Path(name)
        data = _store_data(folder, features)
        stored_knn, edges, vertices, start, out = (
            folder / f"{stage}.parquet" for stage in ("knn", "edges", "vertices", "start", "embedding")
        )
        width = _store_knn(stored_knn, neighbors, metric, store.read_rows(data).num_rows)
        if width < n_neighbors:
            raise InputError(f"The k-NN has {width} columns, fewer than n_neighbors {n_neighbors}; give a wider one.")
        graph.compute(stored_knn, edges, vertices, n_neighbors, settings["umap"], settings["blas_threads"])
        initial_layout.compute(data, stored_knn, edges, vertices, start, seed, metric, settings["umap"])
        embedding.compute(data, edges, vertices, start, out, min_dist, {}, settings["umap"])
        return store.matrix(store.read(out), "umap_")


def measure(
    features: np.ndarray,
    coordinates: np.ndarray,
    labels: Sequence[Any] | np.ndarray | None = None,
    neighbors: tuple[np.ndarray, np.ndarray] | None = None,
    metric: str = "euclidean",
    **metrics: int,
) -> dict[str, float | None]:
    """Return the metrics of any embedding of some data, of umap-learn or of another method.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        What was embedded.
    coordinates : ndarray, shape (n, c)
        Where the rows are; NaN where a row has no place.
    labels : sequence of n values, optional
        Without them the metrics of labels are None.
    neighbors : tuple of ndarray, optional
        Indices and distances of a k-NN of the features with 16 columns or more; computed where it is not given.
    metric : str, default "euclidean"
        Of the features.
    **metrics
        Keys of the configuration's section `metrics`: how many rows are sampled.

    Returns
    -------
    dict
        The columns of `metrics.parquet` that measure the embedding, by name; see docs/metrics.md.

    Raises
    ------
    InputError
        Where the arrays do not fit each other, or the data does not allow it.
    """
    coordinates = np.asarray(coordinates, dtype=np.float32)
    if coordinates.ndim != 2 or len(coordinates) != len(features):
        raise InputError(
            f"The coordinates have the shape {coordinates.shape}, and there are {len(features)} rows of features; "
            f"give one row of coordinates for each."
        )
    settings = complete({"metrics": metrics, "knn": {"metric": metric}})
    if neighbors is None:
        neighbors = nearest_neighbors(features, min(cell_metrics.NEIGHBORS + 1, len(features) - 1), metric)
    with TemporaryDirectory() as name:
        folder = Path(name)
        data = _store_data(folder, features, labels)
        stored_knn, placed = folder / "knn.parquet", folder / "embedding.parquet"
        key = {"knn_k": _store_knn(stored_knn, neighbors, metric, len(coordinates)), "min_dist": 0.0}
        rows = store.read_rows(data)
        axes = {f"umap_{axis + 1}": coordinates[:, axis] for axis in range(coordinates.shape[1])}
        table = pa.table(dict(zip(rows.column_names, rows.columns, strict=True)) | axes)
        store.write(placed, table, store.make_record("embedding", key, store.fingerprint(table)))
        sample, ranks, pairs, triplets, points_out, neighbors_out, metrics_out = (
            folder / f"{part}.parquet"
            for part in ("sample", "ranks", "pairs", "triplets", "points_out", "neighbors_out", "metrics_out")
        )
        high_dimensional.compute(data, sample, ranks, pairs, triplets, metric, {}, settings["metrics"])
        # As in a job: the last bits of long sums depend on the threads of BLAS.
        with threadpool_limits(1):
            cell_metrics.compute(
                [placed],
                stored_knn,
                sample,
                ranks,
                pairs,
                triplets,
                points_out,
                neighbors_out,
                metrics_out,
                label_kind="auto",
                keys=[key],
            )
        measured = store.read(metrics_out).to_pylist()[0]
    return {name: measured[name] for name in cell_metrics.NUMBERS}


def _store_data(folder: Path, features: np.ndarray, labels: Sequence[Any] | np.ndarray | None = None) -> Path:
    matrix = np.asarray(features)
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise InputError(
            f"The features have the shape {matrix.shape} and the type {matrix.dtype}; "
            f"give an array of rows and columns of numbers."
        )
    if labels is not None and len(labels) != len(matrix):
        raise InputError(f"There are {len(labels)} labels for {len(matrix)} rows; give one for each.")
    of_rows = None if labels is None else np.asarray(labels)
    table = matrix_table(matrix, "features", numbered(matrix.shape[1]), labels=of_rows)
    path = folder / "data.parquet"
    store.write(path, table, store.make_record("data", {}, store.fingerprint(table)))
    return path


def _store_knn(path: Path, neighbors: tuple[np.ndarray, np.ndarray], metric: str, rows: int) -> int:
    """Store a k-NN as its stage does, and return how many columns it has."""
    indices, distances = (np.asarray(part) for part in neighbors)
    if indices.shape != distances.shape or indices.ndim != 2 or len(indices) != rows:
        raise InputError(
            f"The k-NN has indices of the shape {indices.shape} and distances of {distances.shape}, and the data has "
            f"{rows} rows; give two arrays with one row for each."
        )
    table = knn.as_table(indices.astype(np.int32, copy=False), distances)
    key = {"metric": metric, "n_neighbors": indices.shape[1]}
    store.write(path, table, store.make_record("knn", key, store.fingerprint(table)))
    return int(indices.shape[1])
