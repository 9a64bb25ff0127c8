"""Rank the distances in the data, once for the metrics of all cells.

For every row, or for a seeded sample where there are many, this stores how all other rows rank by their distance, and
which are the nearest. For pairs of rows, all or random ones, it stores the ranks of their distances; for random
triplets, which of two rows is nearer to the third.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from umap_sweep import store
from umap_sweep.quality import measures, tables
from umap_sweep.stages.knn import FAST_METRICS, check_metric

MOST_NEIGHBORS = 150
TRIPLETS = 100_000
PAIRS_OF_A_SAMPLED_ROW = 200
# Metrics whose distances between pairs of rows scikit-learn computes fast.
PAIRED_METRICS = {"euclidean", "l2", "manhattan", "l1", "taxicab", "cosine"}
BLOCK_VALUES = 2**26  # distances that are held in memory at one time
BLOCK_COLUMNS = 4096
PAIR_VALUES = 2**20  # values of features of each side of the pairs that are measured at one time
BINS, MOST_IN_A_BIN = 65536, 64  # see `rank_by_bins`
RANK_ROWS = 16  # rows of ranks that are read at one time


def choose_rows(n_rows: int, full_up_to: int, sample: int, seed: int) -> np.ndarray:
    """Return the rows that are compared with all others: all rows, or a random sample without replacement.

    Parameters
    ----------
    n_rows : int
        Rows of the data.
    full_up_to : int
        Up to this many rows, all are taken.
    sample : int
        How many are taken where there are more.
    seed : int
        Of the sample.

    Returns
    -------
    ndarray of int32, shape (m,)
        Row numbers, ascending.
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
        umap-learn's name of the metric. scikit-learn computes those that it computes fast, umap-learn all others.
    metric_kwds : dict of str to float, optional
        Keywords of the metric.

    Returns
    -------
    ndarray of float32, shape (m, n)
    """
    keywords = metric_kwds or {}
    if metric in FAST_METRICS:
        from sklearn.metrics import pairwise_distances

        distances, some = np.empty((len(rows), len(features)), dtype=np.float32), features[rows]
        # In blocks, because scikit-learn makes a float64 copy of everything it is given.
        for start in range(0, len(features), BLOCK_COLUMNS):
            block = slice(start, start + BLOCK_COLUMNS)
            distances[:, block] = pairwise_distances(some, features[block], metric=FAST_METRICS[metric], **keywords)
        return distances
    import numba
    from umap.distances import named_distances

    function, values = named_distances[metric], tuple(keywords.values())

    def measure(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
        for i in range(left.shape[0]):
            for j in range(right.shape[0]):
                out[i, j] = function(left[i], right[j], *values)

    distances = np.empty((len(rows), len(features)), dtype=np.float32)
    numba.njit(measure)(features[rows], features, distances)
    return distances


def order_by_distance(distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return, for each of some rows, all rows in the order of their distance from it.

    Parameters
    ----------
    distances : ndarray of float32, shape (m, n)
        Not negative.
    rows : ndarray of int, shape (m,)
        The numbers of the rows that the distances are from.

    Returns
    -------
    ndarray of int64, shape (m, n)
        Row numbers: the row itself first, ties by row number.
    """
    # Read as integers, the bits of floats that are not negative have the order of the floats. With the row number
    # behind them no two sort keys are equal, so that the order cannot depend on how a library sorts.
    keys: NDArray[np.uint64] = np.abs(distances).view(np.uint32).astype(np.uint64)
    keys += np.uint64(1)
    keys[np.arange(len(rows)), rows] = 0
    keys <<= np.uint64(32)
    keys |= np.arange(distances.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    keys &= np.uint64(0xFFFFFFFF)
    return keys.view(np.int64)


def rank_step(n_rows: int) -> int:
    """Return by how much ranks are divided before they are stored, so that 16 bits hold them: n / 65536, rounded up.

    Trustworthiness, which is computed from these ranks, changes by less than 1 in 100,000 through the rounding.
    """
    return -(-n_rows // 65536)


def rank_rows(distances: np.ndarray, rows: np.ndarray, width: int, sorted_out: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rank all rows by their distance from each of some rows.

    Parameters
    ----------
    distances : ndarray of float32, shape (m, n)
    rows : ndarray of int, shape (m,)
        The numbers of the rows that the distances are from.
    width : int
        How many of the nearest rows are wanted, less than n.
    sorted_out : bool
        Whether all distances are sorted, so that every rank is exact. Otherwise `rank_by_bins` ranks them.

    Returns
    -------
    ranks : ndarray of uint16, shape (m, n)
        Divided by `rank_step` and rounded down; 0 for the row itself.
    nearest : ndarray of int32, shape (m, width)
        Row numbers, exact in any case; ties by row number.
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
            bins, means, order = found
            # Every bin is there, and so are its ranks: to clip saves NumPy the search for one that is not.
            np.take(stored[means], bins, out=ranks[place], mode="clip")
            ranks[place, order] = stored[: len(order)]
        nearest[place] = order[1 : width + 1]
    return ranks, nearest


def rank_by_bins(distances: np.ndarray, row: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Rank all rows by their distance from one row, in a tenth of the time that sorting takes.

    The range of the distances is cut into `BINS` equal bins, and the rows in one bin share the mean of their ranks.
    Only the nearest rows, at least `width`, are sorted, and have their exact ranks.

    Parameters
    ----------
    distances : ndarray of float32, shape (n,)
    row : int
        The number of the row that the distances are from.
    width : int

    Returns
    -------
    bins : ndarray of int, shape (n,)
        The bin of each row.
    means : ndarray of int, shape (`BINS`,)
        The mean rank of the rows in each bin, rounded down.
    nearest : ndarray of int, shape (at least `width` + 1,)
        Row numbers in the order of their distance, the row itself first; ties by row number. Their ranks are their
        places here.
    None
        In place of all three where one bin holds more than `MOST_IN_A_BIN` rows and more than one row in a thousand.
        This happens where many distances are equal, or one is far greater than all others.
    """
    line = distances.copy()
    line[row] = line.min()
    low, high = line.min(), line.max()
    if not low < high < np.inf:
        return None
    line -= low
    line *= (BINS - 1) / (high - low)
    bins = line.astype(np.intp)  # which NumPy counts and looks up without another copy
    counts = np.bincount(bins, minlength=BINS)
    if counts.max() > max(MOST_IN_A_BIN, len(line) // 1000):
        return None
    ends = np.cumsum(counts)
    near = np.flatnonzero(bins <= np.searchsorted(ends, width + 1))
    near = near[np.lexsort((near, distances[near], near != row))]
    means = np.minimum(ends - (counts + 1) // 2, len(line) - 1)  # empty bins at the end have no rank
    return bins, means, near


def distances_of_pairs(
    features: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    metric: str,
    metric_kwds: dict[str, float] | None = None,
) -> np.ndarray:
    """Return the distances of pairs of rows.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    first, second : ndarray of int, shape (pairs,)
        Row numbers.
    metric, metric_kwds
        As for `distances_from`.

    Returns
    -------
    ndarray of float32, shape (pairs,)
    """
    from sklearn.metrics import pairwise

    function: Any = FAST_METRICS.get(metric)
    if metric not in PAIRED_METRICS:
        from umap.distances import named_distances

        function = named_distances[metric]
    values = tuple((metric_kwds or {}).values())
    distances = np.empty(len(first), dtype=np.float32)
    # Of equal sizes and several rows each, because NumPy sums a row that stands alone in another order.
    count = max(min(len(first) * features.shape[1] // PAIR_VALUES + 1, len(first) // 4), 1)
    for block in np.array_split(np.arange(len(first)), count):
        left, right = features[first[block]], features[second[block]]
        if values:
            distances[block] = [function(*pair, *values) for pair in zip(left, right, strict=True)]
        else:
            distances[block] = pairwise.paired_distances(left, right, metric=function)
    return distances


def choose_pairs(n_rows: int, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of rows where no sample is taken, otherwise 200 random pairs for each row of the sample.

    The random pairs are of all rows. Pairs within the sample would have their few rows in common, and so depend on each
    other and estimate far worse.

    Parameters
    ----------
    n_rows : int
    rows : ndarray of int, shape (m,)
        From `choose_rows`.
    seed : int

    Returns
    -------
    first, second : ndarray of int32, shape (pairs,)
        Row numbers; all pairs are in the order of SciPy's `pdist`.
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
    # Drawn as steps from the row, so that neither is the row itself, and the second is not the first.
    step, other_step = draw.integers(1, n_rows, TRIPLETS), draw.integers(1, n_rows - 1, TRIPLETS)
    other_step += other_step >= step
    first, second = (row + step) % n_rows, (row + other_step) % n_rows
    return row.astype(np.int32), first.astype(np.int32), second.astype(np.int32)


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
    """Rank the distances of a stored data set.

    Parameters
    ----------
    data : path
        The stored data set.
    sample_out : path
        Receives one row for each row from `choose_rows`: its number `row` (int32), and `neighbors`, a list (int32) of
        the up to 150 nearest other rows.
    ranks_out : path
        Receives `ranks`, for the same rows: the ranks of all rows of the data from `rank_rows`, as uint16 in one binary
        value.
    pairs_out : path
        Receives the pairs from `choose_pairs` as `first` and `second` (int32), and `distance_rank` (float64): the
        average ranks of their distances.
    triplets_out : path
        Receives the triplets from `choose_triplets` as `row`, `near` and `far` (int32), which are the nearer and the
        farther row; without those whose two distances are equal.
    metric : str
        umap-learn's name of the metric.
    metric_kwds : mapping
        Keywords of the metric.
    metrics : mapping
        The configuration's section `metrics`: `full_up_to`, `sample`, `seed`.

    Raises
    ------
    InputError
        Where the file is missing or damaged, or the metric is not defined on the data.
    """
    from sklearn import config_context
    from threadpoolctl import threadpool_limits

    features = store.read_features(data)
    check_metric(features, metric)
    n_rows = len(features)
    rows = choose_rows(n_rows, metrics["full_up_to"], metrics["sample"], metrics["seed"])
    neighbors = np.empty((len(rows), min(MOST_NEIGHBORS, n_rows - 1)), dtype=np.int32)
    every_row = len(rows) == n_rows
    first, second = choose_pairs(n_rows, rows, metrics["seed"])
    of_pairs = np.empty(len(first), dtype=np.float32)
    key = {"metric": metric, "metric_kwds": metric_kwds, **metrics}
    inputs = store.inputs_of(data)

    def groups_of_ranks() -> Iterator[np.ndarray]:
        """Yield the ranks of some rows after the other, and fill in `neighbors` and the distances of all pairs."""
        block_rows, done = max(BLOCK_VALUES // n_rows, 1), 0
        for start in range(0, len(rows), block_rows):
            block = slice(start, start + block_rows)
            distances = distances_from(features, rows[block], metric, metric_kwds)
            if every_row:
                of_block = np.concatenate([line[row + 1 :] for row, line in zip(rows[block], distances, strict=True)])
                of_pairs[done : done + len(of_block)] = of_block
                done += len(of_block)
            for first_of_group in range(0, len(distances), RANK_ROWS):
                group = slice(first_of_group, first_of_group + RANK_ROWS)
                numbers = rows[block][group]
                ranks, neighbors[block][group] = rank_rows(distances[group], numbers, neighbors.shape[1], every_row)
                yield ranks

    # One thread, because the order in which a matrix product is summed depends on their number. Stored features are
    # finite, and need no check.
    with threadpool_limits(1), config_context(assume_finite=True):
        store.write_binary_rows(
            ranks_out,
            "ranks",
            len(rows),
            groups_of_ranks(),
            lambda values: store.make_record("high_dimensional", key, values, inputs),
        )
        if not every_row:
            of_pairs = distances_of_pairs(features, first, second, metric, metric_kwds)
        row, left, right = choose_triplets(n_rows, metrics["seed"])
        to_left, to_right = (distances_of_pairs(features, row, side, metric, metric_kwds) for side in (left, right))
    unequal = to_left != to_right
    nearer_left = (to_left < to_right)[unequal]
    row, left, right = row[unequal], left[unequal], right[unequal]
    logging.getLogger("umap_sweep").info("ranked %d of %d rows under the metric %s", len(rows), n_rows, metric)
    results = {
        sample_out: pa.table({"row": rows, "neighbors": store.lists(neighbors)}),
        pairs_out: pa.table({"first": first, "second": second, "distance_rank": measures.average_ranks(of_pairs)}),
        triplets_out: pa.table(
            {
                "row": row,
                "near": np.where(nearer_left, left, right),
                "far": np.where(nearer_left, right, left),
            }
        ),
    }
    for out, table in results.items():
        tables.write(out, table, "high_dimensional", inputs, key)
