"""Rank the data as it lies before any embedding, for the metrics of all cells: no cell enters it.

For all rows, or from a number of them on for a seeded sample, it stores the ranks of all other rows by distance, the
exact nearest of them, random triplets, and the ranks of the distances between the rows of the sample.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from knn import FAST_METRICS
from umap_sweep import job, measures, store

MOST_NEIGHBORS = 150
TRIPLETS_OF_A_ROW = 50
BLOCK_ROWS = 128
RANK_ROWS = 16  # of the ranks that are read at one time


def choose_rows(n_rows: int, full_up_to: int, sample: int, seed: int) -> np.ndarray:
    """Return the rows that are looked at: all of them, or a random sample without replacement, ascending.

    Parameters
    ----------
    n_rows : int
        Rows of the data.
    full_up_to : int
        Up to so many, all are taken.
    sample : int
        How many are taken of more.
    seed : int
        Of the sample.

    Returns
    -------
    ndarray of int32
    """
    if n_rows <= full_up_to or n_rows <= sample:
        return np.arange(n_rows, dtype=np.int32)
    return np.sort(np.random.default_rng(seed).choice(n_rows, sample, replace=False)).astype(np.int32)


def distances_from(
    features: np.ndarray, rows: np.ndarray, metric: str, metric_kwds: dict[str, float] | None = None
) -> np.ndarray:
    """Return the distances from some rows to all rows.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    rows : ndarray of int, shape (m,)
    metric : str
        umap-learn's name of the distance. Those that scikit-learn computes fast are scikit-learn's, the others
        umap-learn's own.
    metric_kwds : dict of str to float, optional

    Returns
    -------
    ndarray of float32, shape (m, n)
    """
    keywords = metric_kwds or {}
    if metric in FAST_METRICS:
        from sklearn.metrics import pairwise_distances

        return pairwise_distances(features[rows], features, metric=FAST_METRICS[metric], **keywords).astype(np.float32)
    import numba
    from umap.distances import named_distances

    function, values = named_distances[metric], tuple(keywords.values())

    @numba.njit
    def measure(left, right, out):
        for i in range(left.shape[0]):
            for j in range(right.shape[0]):
                out[i, j] = function(left[i], right[j], *values)

    distances = np.empty((len(rows), len(features)), dtype=np.float32)
    measure(features[rows], features, distances)
    return distances


def order_by_distance(distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return all rows in the order of their distance from some: each of these itself first, ties by row number.

    Parameters
    ----------
    distances : ndarray of float32, shape (m, n)
        From 0.
    rows : ndarray of int, shape (m,)
        Row numbers of these.

    Returns
    -------
    ndarray of int64, shape (m, n)
    """
    # The bits of floats from 0 ascend as the floats do. With the row number behind them no two keys are equal, so that
    # the order cannot depend on how a library sorts.
    keys = np.abs(distances).view(np.uint32).astype(np.uint64) + np.uint64(1)
    keys[np.arange(len(rows)), rows] = 0
    keys = (keys << np.uint64(32)) | np.arange(distances.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def rank_step(n_rows: int) -> int:
    """Return in which steps ranks are stored, so that 16 bits hold them: 1 up to 65,536 rows, n/65536 rounded up above.

    What they are used for, trustworthiness, changes by less than 1 in 100,000 through it.
    """
    return -(-n_rows // 65536)


def triplets(distances: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw random triplets of a point and two others, and tell which of the two is nearer.

    Parameters
    ----------
    distances : ndarray of float32, shape (m, m)
        Between the points; m is at least 3.
    seed : int

    Returns
    -------
    near, far : ndarray of int32, shape (m, `TRIPLETS_OF_A_ROW`)
        Places among the points; -1 where both are equally far.
    """
    points = len(distances)
    draw = np.random.default_rng([seed, 1])
    own = np.arange(points)[:, None]
    # Steps from the point, so that neither is the point itself, and the second is not the first.
    first = draw.integers(1, points, size=(points, TRIPLETS_OF_A_ROW))
    second = draw.integers(1, points - 1, size=(points, TRIPLETS_OF_A_ROW))
    second += second >= first
    first, second = (own + first) % points, (own + second) % points
    to_first, to_second = distances[own, first], distances[own, second]
    equal = to_first == to_second
    near, far = np.where(to_first < to_second, first, second), np.where(to_first < to_second, second, first)
    return tuple(np.where(equal, -1, side).astype(np.int32) for side in (near, far))


def compute(
    data: str | Path,
    sample_out: str | Path,
    ranks_out: str | Path,
    pairs_out: str | Path,
    metric: str,
    metric_kwds: dict[str, float],
    metrics: dict[str, Any],
) -> None:
    """Rank a stored data set.

    Parameters
    ----------
    data : path
    sample_out : path
        Receives `row` (int32) and, as lists of fixed length, `neighbors` (int32, the nearest other rows, up to 150),
        `near` and `far` (int32, from `triplets`); one row a sampled row.
    ranks_out : path
        Receives `ranks`: for each sampled row, the ranks of all rows divided by `rank_step`, as uint16 in one binary
        value.
    pairs_out : path
        Receives `distance_rank` (float64): average ranks of the distances between the sampled rows, condensed.
    metric : str
    metric_kwds : mapping
    metrics : mapping
        The configuration's section: `full_up_to`, `sample`, `seed`.
    """
    from threadpoolctl import threadpool_limits

    features = store.read_features(data)
    n_rows = len(features)
    rows = choose_rows(n_rows, metrics["full_up_to"], metrics["sample"], metrics["seed"])
    step, width = rank_step(n_rows), min(MOST_NEIGHBORS, n_rows - 1)
    ranks = np.empty((len(rows), n_rows), dtype=np.uint16)
    neighbors = np.empty((len(rows), width), dtype=np.int32)
    among = np.empty((len(rows), len(rows)), dtype=np.float32)
    stored_ranks = (np.arange(n_rows) // step).astype(np.uint16)[None]
    # How a matrix product is summed must not depend on the number of threads.
    with threadpool_limits(1):
        for start in range(0, len(rows), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            distances = distances_from(features, rows[block], metric, metric_kwds)
            order = order_by_distance(distances, rows[block])
            np.put_along_axis(ranks[block], order, stored_ranks, axis=1)
            neighbors[block] = order[:, 1 : width + 1]
            among[block] = distances[:, rows]
    near, far = triplets(among, metrics["seed"])
    logging.getLogger("umap_sweep").info("ranked %d of %d rows under the metric %s", len(rows), n_rows, metric)
    upper = np.triu_indices(len(rows), 1)
    tables = {
        sample_out: pa.table(
            {"row": rows, "neighbors": store.lists(neighbors), "near": store.lists(near), "far": store.lists(far)}
        ),
        ranks_out: pa.table({"ranks": store.binary_rows(ranks)}),
        pairs_out: pa.table({"distance_rank": measures.average_ranks(among[upper])}),
    }
    key = {"metric": metric, "metric_kwds": metric_kwds, **metrics}
    inputs = {"data": store.read_record(data)["fingerprint"]}
    for out, table in tables.items():
        record = store.make_record("high_dimensional", key, store.fingerprint(table), inputs)
        store.write(out, table, record, group_rows=RANK_ROWS if out == ranks_out else None)


if "snakemake" in globals():
    snakemake = globals()["snakemake"]
    with job.running(snakemake.log[0]):
        compute(
            snakemake.input.data,
            snakemake.output.sample,
            snakemake.output.ranks,
            snakemake.output.pairs,
            metric=snakemake.wildcards.metric,
            metric_kwds=snakemake.params.metric_kwds,
            metrics=snakemake.params.metrics,
        )
