"""Rank the data as it lies before any embedding, for the metrics of all cells: no cell enters it.

For all rows, or from a number of them on for a seeded sample, it stores the ranks of all other rows by distance and the
exact nearest of them. Of pairs of rows, all or random ones, it stores the ranks of their
distances, and of random triplets which side is nearer.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.quality import measures
from umap_sweep.stages.knn import FAST_METRICS, check_metric

MOST_NEIGHBORS = 150
TRIPLETS = 100_000
PAIRS_OF_A_SAMPLED_ROW = 200
PAIRED_METRICS = {"euclidean", "l2", "manhattan", "l1", "taxicab", "cosine"}  # that scikit-learn computes fast
BLOCK_VALUES = 2**26  # distances that are held at one time
BLOCK_COLUMNS = 4096
BLOCK_PAIRS = 16384
BINS, MOST_IN_A_BIN = 65536, 64  # of a row's distances, to rank them without sorting
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
    count = measures.compared_rows(n_rows, full_up_to, sample)
    if count == n_rows:
        return np.arange(n_rows, dtype=np.int32)
    return np.sort(np.random.default_rng(seed).choice(n_rows, count, replace=False)).astype(np.int32)


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

        distances, some = np.empty((len(rows), len(features)), dtype=np.float32), features[rows]
        # By columns, because scikit-learn copies all that it is given as float64.
        for start in range(0, len(features), BLOCK_COLUMNS):
            block = slice(start, start + BLOCK_COLUMNS)
            distances[:, block] = pairwise_distances(some, features[block], metric=FAST_METRICS[metric], **keywords)
        return distances
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
    keys = np.abs(distances).view(np.uint32).astype(np.uint64)
    keys += np.uint64(1)
    keys[np.arange(len(rows)), rows] = 0
    keys <<= np.uint64(32)
    keys |= np.arange(distances.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    keys &= np.uint64(0xFFFFFFFF)
    return keys.view(np.int64)


def rank_step(n_rows: int) -> int:
    """Return in which steps ranks are stored, so that 16 bits hold them: 1 up to 65,536 rows, n/65536 rounded up above.

    What they are used for, trustworthiness, changes by less than 1 in 100,000 through it.
    """
    return -(-n_rows // 65536)


def rank_rows(distances: np.ndarray, rows: np.ndarray, width: int, sorted_out: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rank all rows by their distance from some.

    Parameters
    ----------
    distances : ndarray of float32, shape (m, n)
    rows : ndarray of int, shape (m,)
        Row numbers of these.
    width : int
        How many of the nearest are wanted, less than n.
    sorted_out : bool
        Whether every rank is to be exact. Otherwise see `rank_by_bins`.

    Returns
    -------
    ranks : ndarray of uint16, shape (m, n)
        0 for a row itself; divided by `rank_step`.
    nearest : ndarray of int32, shape (m, width)
        Exact in any case; ties by row number.
    """
    ranks = np.empty(distances.shape, dtype=np.uint16)
    nearest = np.empty((len(rows), width), dtype=np.int32)
    stored = (np.arange(distances.shape[1]) // rank_step(distances.shape[1])).astype(np.uint16)
    for place, row in enumerate(rows):
        found = None if sorted_out else rank_by_bins(distances[place], row, width)
        if found is None:
            order = order_by_distance(distances[place, None], rows[place, None])[0]
            ranks[place, order] = stored
        else:
            means, order = found
            ranks[place] = stored[means]
        nearest[place] = order[1 : width + 1]
    return ranks, nearest


def rank_by_bins(distances: np.ndarray, row: int, width: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Rank all rows by their distance from one in a sixth of the time that sorting takes.

    The range of the distances is cut into `BINS` equal parts, and those in one part share the mean of their ranks. The
    nearest rows, at least `width` of them, are sorted, and have their exact ranks.

    Parameters
    ----------
    distances : ndarray of float32, shape (n,)
    row : int
        Row number of the one.
    width : int

    Returns
    -------
    ranks : ndarray of int, shape (n,)
    nearest : ndarray of int
        Row numbers in the order of their distance, the row itself first; ties by row number.
    None
        Where more than `MOST_IN_A_BIN` rows, or one in a thousand, fall into one part, as where many distances are
        equal, or one is far greater than all others.
    """
    line = distances.copy()
    line[row] = line.min()
    low, high = line.min(), line.max()
    if not low < high < np.inf:
        return None
    bins = ((line - low) * ((BINS - 1) / (high - low))).astype(np.uint16)
    counts = np.bincount(bins, minlength=BINS)
    if counts.max() > max(MOST_IN_A_BIN, len(line) // 1000):
        return None
    ends = np.cumsum(counts)
    near = np.flatnonzero(bins <= np.searchsorted(ends, width + 1))
    near = near[np.lexsort((near, line[near], near != row))]
    ranks = (ends - (counts + 1) // 2)[bins]
    ranks[near] = np.arange(len(near))
    return ranks, near


def distances_of_pairs(
    features: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    metric: str,
    metric_kwds: dict[str, float] | None = None,
) -> np.ndarray:
    """Return the distances of pairs of rows, float32, shape (pairs,); for the rest see `distances_from`."""
    from sklearn.metrics import pairwise

    function: Any = FAST_METRICS.get(metric)
    if metric not in PAIRED_METRICS:
        from umap.distances import named_distances

        function = named_distances[metric]
    values = tuple((metric_kwds or {}).values())
    distances = np.empty(len(first), dtype=np.float32)
    for start in range(0, len(first), BLOCK_PAIRS):
        block = slice(start, start + BLOCK_PAIRS)
        left, right = features[first[block]], features[second[block]]
        if values:
            distances[block] = [function(*pair, *values) for pair in zip(left, right, strict=True)]
        else:
            distances[block] = pairwise.paired_distances(left, right, metric=function)
    return distances


def choose_pairs(n_rows: int, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of rows where all rows are looked at, else random ones, 200 for each row of the sample.

    Random pairs of all rows, and not the pairs of a sample: these hang together, and estimate far worse.

    Parameters
    ----------
    n_rows : int
    rows : ndarray of int, shape (m,)
        From `choose_rows`.
    seed : int

    Returns
    -------
    first, second : ndarray of int32, shape (pairs,)
        All pairs in the order of SciPy's `pdist`.
    """
    if len(rows) == n_rows:
        first, second = np.triu_indices(n_rows, 1)
    else:
        draw, pairs = np.random.default_rng([seed, 1]), PAIRS_OF_A_SAMPLED_ROW * len(rows)
        first = draw.integers(0, n_rows, pairs)
        second = (first + draw.integers(1, n_rows, pairs)) % n_rows
    return first.astype(np.int32), second.astype(np.int32)


def choose_triplets(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw random triplets of three different rows.

    Parameters
    ----------
    n_rows : int
        At least 3.
    seed : int

    Returns
    -------
    row, first, second : ndarray of int32, shape (`TRIPLETS`,)
    """
    draw = np.random.default_rng([seed, 2])
    row = draw.integers(0, n_rows, TRIPLETS)
    # Steps from the row, so that neither is the row itself, and the second is not the first.
    step, other_step = draw.integers(1, n_rows, TRIPLETS), draw.integers(1, n_rows - 1, TRIPLETS)
    other_step += other_step >= step
    return tuple(rows.astype(np.int32) for rows in (row, (row + step) % n_rows, (row + other_step) % n_rows))


def compute(
    data: str | Path,
    sample_out: str | Path,
    ranks_out: str | Path,
    pairs_out: str | Path,
    triplets_out: str | Path,
    metric: str,
    metric_kwds: dict[str, float],
    metrics: dict[str, Any],
) -> None:
    """Rank a stored data set.

    Parameters
    ----------
    data : path
    sample_out : path
        Receives `row` (int32) and, as lists, `neighbors` (int32, the nearest other rows, up to 150), one row a sampled
        row.
    ranks_out : path
        Receives `ranks`: for each sampled row, the ranks of all rows from `rank_rows`, as uint16 in one binary value.
    pairs_out : path
        Receives `first`, `second` (int32), from `choose_pairs`, and `distance_rank` (float64), the average ranks of
        their distances.
    triplets_out : path
        Receives `row`, `near`, `far` (int32): random triplets, the nearer of the two others first, without those whose
        distances are equal.
    metric : str
    metric_kwds : mapping
    metrics : mapping
        The configuration's section: `full_up_to`, `sample`, `seed`.
    """
    from sklearn import config_context
    from threadpoolctl import threadpool_limits

    features = store.read_features(data)
    check_metric(features, metric)
    n_rows = len(features)
    rows = choose_rows(n_rows, metrics["full_up_to"], metrics["sample"], metrics["seed"])
    width = min(MOST_NEIGHBORS, n_rows - 1)
    ranks = np.empty((len(rows), n_rows), dtype=np.uint16)
    neighbors = np.empty((len(rows), width), dtype=np.int32)
    every_row = len(rows) == n_rows
    first, second = choose_pairs(n_rows, rows, metrics["seed"])
    of_pairs = np.empty(len(first), dtype=np.float32)
    done = 0
    block_rows = max(BLOCK_VALUES // n_rows, 1)
    # How a matrix product is summed must not depend on the number of threads. Stored features are finite.
    with threadpool_limits(1), config_context(assume_finite=True):
        for start in range(0, len(rows), block_rows):
            block = slice(start, start + block_rows)
            distances = distances_from(features, rows[block], metric, metric_kwds)
            ranks[block], neighbors[block] = rank_rows(distances, rows[block], width, every_row)
            if every_row:
                of_block = np.concatenate([line[row + 1 :] for row, line in zip(rows[block], distances, strict=True)])
                of_pairs[done : done + len(of_block)] = of_block
                done += len(of_block)
        if not every_row:
            of_pairs = distances_of_pairs(features, first, second, metric, metric_kwds)
        row, left, right = choose_triplets(n_rows, metrics["seed"])
        to_left, to_right = (distances_of_pairs(features, row, side, metric, metric_kwds) for side in (left, right))
    unequal = to_left != to_right
    nearer_left = (to_left < to_right)[unequal]
    row, left, right = row[unequal], left[unequal], right[unequal]
    logging.getLogger("umap_sweep").info("ranked %d of %d rows under the metric %s", len(rows), n_rows, metric)
    tables = {
        sample_out: pa.table({"row": rows, "neighbors": store.lists(neighbors)}),
        ranks_out: pa.table({"ranks": store.binary_rows(ranks)}),
        pairs_out: pa.table({"first": first, "second": second, "distance_rank": measures.average_ranks(of_pairs)}),
        triplets_out: pa.table(
            {
                "row": row,
                "near": np.where(nearer_left, left, right),
                "far": np.where(nearer_left, right, left),
            }
        ),
    }
    key = {"metric": metric, "metric_kwds": metric_kwds, **metrics}
    inputs = {"data": store.read_record(data)["fingerprint"]}
    for out, table in tables.items():
        record = store.make_record("high_dimensional", key, store.fingerprint(table), inputs)
        store.write(out, table, record, group_rows=RANK_ROWS if out == ranks_out else None)
