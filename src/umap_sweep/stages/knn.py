"""Compute the k-NN of a data set, once for the largest k of a sweep, or bring in one that was made elsewhere."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import environment, store
from umap_sweep.errors import InputError
from umap_sweep.stages import compiled
from umap_sweep.stages.umap_learn import DISCONNECTION_DISTANCES, SMALL_DATA

# The size of a search that is made only to compile what the full search needs.
WARM_UP_ROWS, WARM_UP_NEIGHBORS = 500, 5

# For how many rows scikit-learn searches in one call. Fixed, so that no result depends on the number of threads.
BLOCK_ROWS = 4096

# For how many rows of an imported k-NN the distances are computed again, and from which difference on there is a
# warning, as a share of the largest distance.
MEASURED_ROWS, NEARLY_EQUAL = 200, 1e-3

# umap-learn's names of the metrics that scikit-learn searches fast, with scikit-learn's names of them. For all other
# metrics it is given umap-learn's function.
FAST_METRICS = {
    "braycurtis": "braycurtis",
    "canberra": "canberra",
    "chebyshev": "chebyshev",
    "linf": "chebyshev",
    "linfinity": "chebyshev",
    "linfty": "chebyshev",
    "correlation": "correlation",
    "cosine": "cosine",
    "euclidean": "euclidean",
    "l2": "euclidean",
    "manhattan": "manhattan",
    "l1": "manhattan",
    "taxicab": "manhattan",
    "minkowski": "minkowski",
}


def nearest_neighbors(
    features: np.ndarray,
    k: int,
    metric: str,
    method: str,
    random_state: np.random.RandomState,
    n_jobs: int,
    metric_kwds: dict[str, float] | None = None,
    threads: int = 1,
    portable: bool | None = None,
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the k nearest neighbours of every row, itself included.

    Under `method="auto"` the result is, bit for bit, what `umap.umap_.nearest_neighbors` of umap-learn 0.5.12
    computes: from a matrix of all distances below 4,096 rows, by seeded NN-descent (Dong, Charikar and Li, 2011) from
    there on.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
        The rows.
    k : int
        Neighbours of each row, itself included; 2 <= k < n.
    metric : str
        umap-learn's name of the distance.
    method : {"auto", "exact", "nn-descent", "plain"}
        How to search; `plain` searches as `auto` does.
    random_state : numpy.random.RandomState
        For NN-descent; advanced by it as a plain seeded UMAP advances its own.
    n_jobs : int
        Logical threads of NN-descent, on which its result depends.
    metric_kwds : dict of str to float, optional
        Keywords of the metric.
    threads : int, default 1
        Threads that an exact search may use. They do not change its result.
    portable : bool, optional
        Whether to search in arithmetic that no CPU changes, see `umap_sweep.stages.portable_knn`; by default where this
        process is held to `portable`. Then no number of threads changes the result, and keywords are not taken.

    Returns
    -------
    indices : ndarray of int32, shape (n, k)
        Row numbers, nearest first; -1 where NN-descent found fewer than k.
    distances : ndarray of float32 or float64, shape (n, k)
        In the type that umap-learn computes them in.
    method : str
        `exact` or `nn-descent`, whichever was used.

    Raises
    ------
    InputError
        Where the data has too few rows, or the metric is not defined on it.
    """
    n_rows = features.shape[0]
    _check_k(k, n_rows)
    check_metric(features, metric)
    metric_kwds = metric_kwds or {}
    if method in ("auto", "plain"):
        method = "exact" if n_rows < SMALL_DATA else "nn-descent"
    if environment.is_portable() if portable is None else portable:
        from umap_sweep.stages import portable_knn  # its kernels take seconds to compile

        most = max(threads, n_jobs)
        indices, distances = portable_knn.nearest_neighbors(features, k, metric, method, random_state, most)
    elif method == "nn-descent":
        indices, distances = _nn_descent(features, k, metric, metric_kwds, random_state, n_jobs)
    elif n_rows < SMALL_DATA:
        indices, distances = _all_pairs(features, k, metric, metric_kwds)
    else:
        indices, distances = _exact(features, k, metric, metric_kwds, threads)
    _refuse_undefined(distances, metric)
    _refuse_overflow(indices, distances, features, metric)
    return indices.astype(np.int32, copy=False), distances, method


def _check_k(k: int, n_rows: int) -> None:
    if k >= n_rows:
        raise InputError(
            f"knn.n_neighbors is {k}, but the data has {n_rows} rows; choose at most {n_rows - 1}, or give more rows."
        )


def check_metric(features: np.ndarray, metric: str) -> None:
    """Raise an `InputError` where a metric is not defined on some features, float32, shape (n, d)."""
    if metric == "haversine" and features.shape[1] != 2:
        raise InputError(
            f"The metric haversine needs 2 columns (latitude and longitude in radians), "
            f"but the data has {features.shape[1]}; choose another knn.metric."
        )
    if metric in ("hellinger", "symmetric_kl") and features.min() < 0:
        raise InputError(f"The metric {metric} needs values from 0, but the data has {features.min()}; choose another.")


def _refuse_undefined(distances: np.ndarray, metric: str) -> None:
    undefined = int(np.isnan(distances).any(axis=1).sum())
    if undefined:
        raise InputError(
            f"The metric {metric} is undefined (NaN) for {undefined} of {len(distances)} rows; "
            f"choose another knn.metric or remove those rows."
        )


def _refuse_overflow(indices: np.ndarray, distances: np.ndarray, features: np.ndarray, metric: str) -> None:
    """Raise an `InputError` where a distance between rows is beyond what its numbers can hold."""
    if metric not in DISCONNECTION_DISTANCES and np.isinf(distances[indices >= 0]).any():
        raise InputError(
            f"Distances under the metric {metric} are beyond what numbers can hold: values of the features reach "
            f"{np.abs(features).max():.3g}. Divide the features by a power of ten."
        )


def _metric_function(metric: str) -> Any:
    from umap.distances import named_distances

    return named_distances[metric]


def _all_pairs(
    features: np.ndarray, k: int, metric: str, metric_kwds: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.metrics import pairwise_distances

    # The function, not its name: scikit-learn's own metric of that name has other last bits.
    matrix = pairwise_distances(features, metric=_metric_function(metric), **metric_kwds)
    _refuse_undefined(matrix, metric)  # before the k nearest are taken, because NaN sorts behind them
    indices = np.argsort(matrix, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(matrix, indices, axis=1)


def _nn_descent(
    features: np.ndarray,
    k: int,
    metric: str,
    metric_kwds: dict[str, float],
    random_state: np.random.RandomState,
    n_jobs: int,
) -> tuple[np.ndarray, np.ndarray]:
    from pynndescent.distances import named_distances
    from umap.umap_ import nearest_neighbors as umap_nearest_neighbors

    function = metric if metric in named_distances else _metric_function(metric)

    def search(rows: np.ndarray, k: int, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        # False is for `angular`, which umap-learn does not use.
        indices, distances, _ = umap_nearest_neighbors(
            rows, k, function, metric_kwds, False, random_state, n_jobs=n_jobs
        )
        return indices, distances

    if not metric_kwds:  # given keywords, pynndescent makes a new function each time, whose code cannot be kept
        compiled.keep()
        with compiled.one_at_a_time():
            # A copy, because some of umap-learn's metrics write into the rows that they are given.
            search(features[:WARM_UP_ROWS].copy(), WARM_UP_NEIGHBORS, np.random.RandomState(0))
    return search(features, k, random_state)


def _exact(
    features: np.ndarray, k: int, metric: str, metric_kwds: dict[str, float], threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Search all pairs with scikit-learn, then order each row's candidates by umap-learn's own distance.

    scikit-learn's Euclidean distances come from a matrix product, which leaves duplicates and a row itself at small
    distances other than 0; umap-learn's function does not.
    """
    from joblib import Parallel, delayed
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    function = _metric_function(metric)
    search = NearestNeighbors(
        n_neighbors=k,
        algorithm="brute",
        metric=FAST_METRICS.get(metric, function),
        metric_params=metric_kwds or None,
        n_jobs=1,
    ).fit(features)

    def search_block(start: int) -> np.ndarray:
        with threadpool_limits(1, user_api="openmp"):
            found: np.ndarray = search.kneighbors(features[start : start + BLOCK_ROWS], return_distance=False)
        return found

    # Threads take whole blocks, each searched by one thread: how ties are broken must not depend on their number.
    with threadpool_limits(1, user_api="blas"):
        blocks = Parallel(n_jobs=threads, prefer="threads")(
            delayed(search_block)(start) for start in range(0, features.shape[0], BLOCK_ROWS)
        )
    indices = np.concatenate(blocks).astype(np.int32)
    _put_itself_among(indices)
    distances = _distances(features, indices, function, tuple(metric_kwds.values()))
    # Itself first, then by distance, and equal distances by row number.
    itself = indices == np.arange(features.shape[0], dtype=np.int32)[:, None]
    order = np.lexsort((indices, distances, ~itself), axis=1)
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)


def _put_itself_among(indices: np.ndarray) -> None:
    """Put each row that the search left out among its own neighbours, in the last place.

    The search may leave a row out where it has k or more duplicates.
    """
    rows = np.arange(indices.shape[0], dtype=indices.dtype)
    absent = ~(indices == rows[:, None]).any(axis=1)
    indices[absent, -1] = rows[absent]


def _distances(features: np.ndarray, indices: np.ndarray, function: Any, keywords: tuple[float, ...]) -> np.ndarray:
    import numba

    @numba.njit
    def measure(rows, neighbors, out):  # type: ignore[no-untyped-def]
        for i in range(neighbors.shape[0]):
            for j in range(neighbors.shape[1]):
                out[i, j] = function(rows[i], rows[neighbors[i, j]], *keywords)

    distances = np.empty(indices.shape, dtype=np.float64)
    measure(features, indices, distances)
    return distances


def as_table(indices: np.ndarray, distances: np.ndarray) -> pa.Table:
    """Return a k-NN as a table with a column for each rank, so that fewer columns are read for a smaller n_neighbors.

    Parameters
    ----------
    indices : ndarray of int32, shape (n, k)
    distances : ndarray of float, shape (n, k)

    Returns
    -------
    pyarrow.Table
        Columns `index_0` … `index_{k-1}`, `distance_0` … `distance_{k-1}`, nearest first; rank 0 is the row itself or
        a duplicate of it.
    """
    k = indices.shape[1]
    columns = {f"index_{rank}": indices[:, rank] for rank in range(k)}
    columns |= {f"distance_{rank}": distances[:, rank] for rank in range(k)}
    return pa.table(columns)


def make(
    data: str | Path,
    imported: str | Path | None,
    out: str | Path,
    k: int,
    metric: str,
    method: str,
    seed: int,
    n_jobs: int,
    metric_kwds: dict[str, float],
    neighbors_key: str | None,
    threads: int,
    rows: str | Path | None = None,
) -> None:
    """Store the k-NN of a stored data set: computed (see `compute`), or made elsewhere (see `bring_in`).

    Parameters
    ----------
    data : path
        The stored data set.
    imported : path, optional
        The file of a k-NN that was made elsewhere, where the method is `imported`.
    out : path
        Receives the table; see `as_table`.
    k, metric, method, n_jobs, metric_kwds, threads
        As for `nearest_neighbors`; an imported k-NN uses k, metric and metric_kwds alone.
    seed : int
        Seed of the generator that `nearest_neighbors` takes.
    neighbors_key : str, optional
        Which k-NN of an AnnData file; see `umap_sweep.sources.imported_knn.read`.
    rows : path, optional
        What names the rows, which an imported k-NN must agree with.

    Raises
    ------
    InputError
        See `nearest_neighbors` and `umap_sweep.sources.imported_knn.read`.
    """
    if method == "imported":
        assert imported is not None
        bring_in(data, imported, out, k, metric, metric_kwds, neighbors_key, rows)
    else:
        compute(data, out, k, metric, method, seed, n_jobs, metric_kwds, threads)


def compute(
    data: str | Path,
    out: str | Path,
    k: int,
    metric: str,
    method: str,
    seed: int,
    n_jobs: int,
    metric_kwds: dict[str, float],
    threads: int,
) -> None:
    """Compute the k-NN of a stored data set and store it; see `nearest_neighbors`."""
    logger = logging.getLogger("umap_sweep")
    features = store.read_features(data)
    random_state = np.random.RandomState(seed)
    indices, distances, used = nearest_neighbors(
        features, k, metric, method, random_state, n_jobs, metric_kwds, threads
    )
    incomplete = int((indices < 0).any(axis=1).sum())
    logger.info("%s k-NN of %d rows, k=%d, metric %s", used, len(indices), k, metric)
    if incomplete:
        logger.warning("NN-descent found fewer than %d neighbours for %d rows; the rest stay empty.", k, incomplete)
    table = as_table(indices, distances)
    # A plain UMAP goes on with the generator that its k-NN search has advanced; otherwise each seed starts a new one.
    state = {"random_state": store.state_of(random_state)} if method == "plain" else {}
    record = store.make_record(
        "knn",
        key={
            "metric": metric,
            "metric_kwds": metric_kwds,
            "method": method,
            "n_neighbors": k,
            "seed": seed,
            "n_jobs": n_jobs,
        },
        values=store.fingerprint(table, **state),
        inputs=store.inputs_of(data),
        method_used=used,
        **state,
    )
    store.write(out, table, record)


def bring_in(
    data: str | Path,
    path: str | Path,
    out: str | Path,
    k: int,
    metric: str,
    metric_kwds: dict[str, float],
    neighbors_key: str | None = None,
    rows: str | Path | None = None,
) -> None:
    """Store a k-NN that was made elsewhere, for a stored data set; see `umap_sweep.sources.imported_knn.read`.

    Its key holds the fingerprint of what is taken from the file, so that the file's path and format do not matter.
    Where its distances are not those of the data, there is a warning.
    """
    from umap_sweep.sources import imported_knn

    logger = logging.getLogger("umap_sweep")
    features = store.read_features(data)
    _check_k(k, len(features))
    check_metric(features, metric)
    ids = pa.chunked_array([np.arange(len(features))]) if rows is None else store.read_rows(rows).column("id")
    indices, distances = imported_knn.read(path, k, ids, metric, neighbors_key)
    logger.info("k-NN of %d rows from %s, k=%d, metric %s", len(indices), path, k, metric)
    apart = _apart_from_data(features, indices, distances, metric, metric_kwds)
    if not apart < NEARLY_EQUAL:
        logger.warning(
            "Its distances are up to %.2g of the largest apart from those of the data: "
            "it was made from other features, or its rows are in another order.",
            apart,
        )
    table = as_table(indices, distances)
    values = store.fingerprint(table)
    record = store.make_record(
        "knn",
        key={
            "metric": metric,
            "metric_kwds": metric_kwds,
            "method": "imported",
            "n_neighbors": k,
            "imported": values,
        },
        values=values,
        inputs=store.inputs_of(data),
        method_used="imported",
        imported_from=str(path),
    )
    store.write(out, table, record)


def _apart_from_data(
    features: np.ndarray, indices: np.ndarray, distances: np.ndarray, metric: str, metric_kwds: dict[str, float]
) -> float:
    """Return the largest difference of distances from those of the features, as a share of the largest distance.

    It is computed for `MEASURED_ROWS` evenly spread rows.
    """
    rows = np.unique(np.linspace(0, len(features) - 1, MEASURED_ROWS).astype(int))
    near = indices[rows]
    # The chosen rows come first, then the neighbours of each.
    places = len(rows) + np.arange(near.size, dtype=np.int32).reshape(near.shape)
    expected = _distances(
        np.concatenate([features[rows], features[near.ravel()]]),
        places,
        _metric_function(metric),
        tuple(metric_kwds.values()),
    )
    return float(np.abs(distances[rows] - expected).max() / max(expected.max(), distances[rows].max(), 1e-300))
