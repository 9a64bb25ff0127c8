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
from umap_sweep.cells.keys import KEY_COLUMNS
from umap_sweep.errors import InputError
from umap_sweep.quality import annotation_metrics, cell_metrics, high_dimensional
from umap_sweep.settings.configuration import complete
from umap_sweep.sources.data_table import label_column, matrix_features, numbered
from umap_sweep.stages import graph, initial_layout, knn, layouts, new_rows


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
    if method not in ("auto", "exact", "nn-descent"):
        raise InputError(f"method is {method!r}; allowed is one of auto, exact, nn-descent.")
    k, seed = _whole("k", k), _whole("seed", seed)
    n_jobs, threads = _whole("n_jobs", n_jobs), _whole("threads", threads)
    complete({"knn": {"metric": metric, "method": method, "n_neighbors": k, "seed": seed, "n_jobs": n_jobs}})
    if threads < 1:
        raise InputError(f"threads is {threads}; allowed is a whole number from 1.")
    with TemporaryDirectory() as folder:
        values = store.read_features(_store_data(Path(folder), features))
    random_state = np.random.RandomState(seed)
    return knn.nearest_neighbors(values, k, metric, method, random_state, n_jobs, None, threads)[:2]


def compute_cell(
    features: np.ndarray,
    n_neighbors: int,
    min_dist: float = 0.1,
    seed: int = 10,
    neighbors: Sequence[np.ndarray] | None = None,
    metric: str = "euclidean",
    target: Sequence[Any] | np.ndarray | None = None,
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
    target : sequence of n values, optional
        What the run is supervised by, umap-learn's `y`; None, NaN and -1 are no label.
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
    n_neighbors, seed = _whole("n_neighbors", n_neighbors), _whole("seed", seed)
    min_dist = _number("min_dist", min_dist)
    if target is not None:
        umap = {"target": "label", **umap}
    settings = complete(
        {
            "knn": {"metric": metric, "n_neighbors": n_neighbors},
            "grid": {"n_neighbors": [n_neighbors], "min_dist": [min_dist], "seed": [seed]},
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
            folder / f"{stage}.parquet" for stage in ("knn", "edges", "vertices", "start", "layout")
        )
        width = _store_knn(stored_knn, neighbors, metric, len(features))
        if width < n_neighbors:
            raise InputError(f"The k-NN has {width} columns, fewer than n_neighbors {n_neighbors}; give a wider one.")
        rows = None if target is None else _store_rows(folder, len(features), target)
        graph.compute(stored_knn, edges, vertices, n_neighbors, settings["umap"], settings["blas_threads"], rows)
        initial_layout.compute(data, stored_knn, edges, vertices, start, seed, metric, settings["umap"])
        layouts.compute(edges, vertices, start, [out], [min_dist], {}, settings["umap"])
        return store.matrix(store.read(out), "umap_")


def transform(
    features: np.ndarray,
    coordinates: np.ndarray,
    new: np.ndarray,
    n_neighbors: int,
    min_dist: float = 0.1,
    metric: str = "euclidean",
    seed: int = 42,
    together: bool = False,
    threads: int = 1,
    **umap: Any,
) -> np.ndarray:
    """Return where new rows come to lie on a finished cell, as the target `transform` places them.

    Below 4,096 rows of features it equals, bit for bit, umap-learn's own `UMAP.transform`; see docs/transform.md.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        The rows of the cell; computed with in float32.
    coordinates : ndarray of float32, shape (n, n_components)
        Where they are, such as `compute_cell` returns it.
    new : ndarray, shape (m, d)
        The new rows, with the same columns.
    n_neighbors, min_dist, metric
        Of the cell.
    seed : int, default 42
        umap-learn's transform_seed.
    together : bool, default False
        Whether rows are placed as umap-learn places them when it is given all of them at once; otherwise each is placed
        as it is when it is given alone.
    threads : int, default 1
        They change no bit.
    **umap
        Keys of the configuration's section `umap`, as the cell was made with.

    Returns
    -------
    ndarray of float32, shape (m, n_components)

    Raises
    ------
    InputError
        Where the arrays do not fit each other, or the data does not allow it.
    """
    n_neighbors, seed = _whole("n_neighbors", n_neighbors), _whole("seed", seed)
    min_dist = _number("min_dist", min_dist)
    settings = complete(
        {
            "knn": {"metric": metric, "n_neighbors": n_neighbors},
            "grid": {"n_neighbors": [n_neighbors], "min_dist": [min_dist]},
            "umap": umap,
            "transform": {
                "cell": {"n_neighbors": n_neighbors, "min_dist": min_dist},
                "dataset": "mnist",
                "seed": seed,
            },
        }
    )
    grid.cells(settings)  # refuses what contradicts itself
    layout = np.asarray(coordinates, dtype=np.float32)
    if layout.ndim != 2 or len(layout) != len(features) or not layout.size or not np.isfinite(layout).all():
        raise InputError(
            f"The coordinates have the shape {layout.shape}, and there are {len(features)} rows of features; give one "
            f"row of finite coordinates for each."
        )
    with TemporaryDirectory() as folder:
        old = store.read_features(_store_data(Path(folder), features))
        rows = store.read_features(_store_data(Path(folder), new))
    if rows.shape[1] != old.shape[1]:
        raise InputError(f"The new rows have {rows.shape[1]} columns, and the features {old.shape[1]}; give the same.")
    if n_neighbors >= len(old):
        raise InputError(f"n_neighbors is {n_neighbors}, and there are {len(old)} rows of features; give more rows.")
    near = new_rows.neighbors_among(rows, old, n_neighbors, metric, settings["umap"]["metric_kwds"], threads)
    return new_rows.positions(layout, *near, min_dist, metric, settings["umap"], seed, together, threads)


def measure(
    features: np.ndarray,
    coordinates: np.ndarray,
    labels: Sequence[Any] | np.ndarray | None = None,
    neighbors: Sequence[np.ndarray] | None = None,
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
        The columns of `metrics.parquet` that measure the embedding, by name; see docs/metrics.md. `cross_entropy` is
        not one of them: it is UMAP's loss on the graph that a cell was laid out from, which other embeddings lack.

    Raises
    ------
    InputError
        Where the arrays do not fit each other, or the data does not allow it.
    """
    coordinates = np.asarray(coordinates, dtype=np.float32)
    if coordinates.ndim != 2 or len(coordinates) != len(features) or not coordinates.shape[1]:
        raise InputError(
            f"The coordinates have the shape {coordinates.shape}, and there are {len(features)} rows of features; "
            f"give one row of coordinates for each."
        )
    settings = complete({"metrics": metrics, "knn": {"metric": metric}})
    if len(coordinates) < 4:
        raise InputError(f"There are {len(coordinates)} rows; metrics need at least 4.")
    width = min(cell_metrics.NEIGHBORS + 1, len(features) - 1)
    if neighbors is None:
        neighbors = nearest_neighbors(features, width, metric)
    elif np.asarray(neighbors[0]).shape[-1] < width:
        raise InputError(f"The k-NN has {np.asarray(neighbors[0]).shape[-1]} columns; give one with {width} or more.")
    with TemporaryDirectory() as name:
        folder = Path(name)
        data, rows = _store_data(folder, features), _store_rows(folder, len(coordinates), labels)
        stored_knn, placed = folder / "knn.parquet", folder / "layout.parquet"
        key: dict[str, Any] = dict.fromkeys(KEY_COLUMNS, 0)
        key |= {"knn_k": _store_knn(stored_knn, neighbors, metric, len(coordinates)), "min_dist": 0.0}
        table = pa.table({f"umap_{axis + 1}": coordinates[:, axis] for axis in range(coordinates.shape[1])})
        store.write(placed, table, store.make_record("layout", key, store.fingerprint(table)))
        names = ("sample", "ranks", "pairs", "triplets")
        sample, ranks, pairs, triplets = (folder / f"{part}.parquet" for part in names)
        of_data = sample, ranks, pairs, triplets
        results = ("points", "neighbors", "metrics", "contributions")
        points_out, neighbors_out, metrics_out, contributions_out = (folder / f"{part}.parquet" for part in results)
        of_cell = points_out, neighbors_out, metrics_out, contributions_out
        labels_out, annotations_out = folder / "labels.parquet", folder / "annotations.parquet"
        high_dimensional.compute(data, *of_data, metric, {}, settings["metrics"])
        # As in a job: the last bits of long sums depend on the threads of BLAS.
        with threadpool_limits(1):
            cell_metrics.compute([placed], stored_knn, *of_data, *of_cell, keys=[key])
            annotation_metrics.compute(
                [placed],
                [neighbors_out],
                rows,
                [stored_knn],
                sample,
                labels_out,
                annotations_out,
                folder / "annotations.csv",
                keys=[key],
                label_kind="auto",
            )
        measured = store.read(metrics_out).to_pylist()[0] | store.read(labels_out).to_pylist()[0]
    of_coordinates = [name for name in cell_metrics.NUMBERS if name not in cell_metrics.OF_GRAPH]
    return {name: measured[name] for name in (*of_coordinates, *annotation_metrics.LABEL_NUMBERS)}


def _store_data(folder: Path, features: np.ndarray) -> Path:
    try:
        matrix = np.asarray(features)
    except ValueError as error:
        raise InputError(f"The features are no array ({error}); give rows of one length.") from error
    if matrix.ndim != 2 or not matrix.size or matrix.dtype.kind not in "biuf":
        raise InputError(
            f"The features have the shape {matrix.shape} and the type {matrix.dtype}; "
            f"give an array of rows and columns of numbers."
        )
    table = matrix_features(matrix, "features", numbered(matrix.shape[1])).table()
    path = folder / "data.parquet"
    store.write(path, table, store.make_record("data", {}, store.fingerprint(table)))
    return path


def _store_rows(folder: Path, rows: int, labels: Sequence[Any] | np.ndarray | None) -> Path:
    columns: dict[str, Any] = {"id": np.arange(rows)}
    if labels is not None:
        of_rows = np.asarray(labels)
        if of_rows.shape != (rows,):
            count = len(of_rows) if of_rows.ndim == 1 else f"labels of the shape {of_rows.shape}, and not"
            raise InputError(f"There are {count} labels for {rows} rows; give one for each.")
        columns["label"] = label_column(pa.chunked_array([pa.array(of_rows)]), "labels")
    table = pa.table(columns)
    path = folder / "rows.parquet"
    store.write(path, table, store.make_record("rows", {}, store.fingerprint(table)))
    return path


def _whole(name: str, value: Any) -> int:
    """Return a whole number of any type, such as a row of a data frame holds it, as an int."""
    number = _number(name, value)
    if number != int(number):
        raise InputError(f"{name} is {value!r}; allowed is a whole number.")
    return int(number)


def _number(name: str, value: Any) -> float:
    known = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not known or not np.isfinite(value):
        raise InputError(f"{name} is {value!r}; allowed is a number.")
    return float(value)


def _store_knn(path: Path, neighbors: Sequence[np.ndarray], metric: str, rows: int) -> int:
    """Store a k-NN as its stage does, and return how many columns it has."""
    indices, distances = (np.asarray(part) for part in neighbors[:2])
    if indices.shape != distances.shape or indices.ndim != 2 or len(indices) != rows:
        raise InputError(
            f"The k-NN has indices of the shape {indices.shape} and distances of {distances.shape}, and the data has "
            f"{rows} rows; give two arrays with one row for each."
        )
    if indices.dtype.kind not in "iu" or indices.min() < -1 or indices.max() >= rows:
        raise InputError(
            f"The k-NN's indices are of the type {indices.dtype}, from {indices.min()} to {indices.max()}; "
            f"give numbers of rows, whole and from 0 to {rows - 1}, or -1 where there is no neighbour."
        )
    there = distances[indices >= 0]
    if distances.dtype.kind != "f" or not (there >= 0).all() or (distances[:, 1:] < distances[:, :-1]).any():
        raise InputError(
            "The k-NN's distances are no floats from 0 on, nearest first; give them as they were computed."
        )
    table = knn.as_table(indices.astype(np.int32, copy=False), distances)
    key = {"metric": metric, "n_neighbors": indices.shape[1]}
    store.write(path, table, store.make_record("knn", key, store.fingerprint(table)))
    return int(indices.shape[1])
