"""The k-NN under `cpu: portable`: exact, or by NN-descent, with one set of bits on every CPU and any number of threads.

Distances are those of `portable_distances`; equal distances are ordered by row number. NN-descent (Dong, Charikar and
Li, 2011) starts from random trees, as pynndescent's does. In each round the neighbours of a row, and the rows that it
is a neighbour of, are compared with each other. A list holds the nearest of all rows that were compared with its own,
so that neither the order of comparisons nor threads enter. Random numbers are made of a counter (SplitMix64: Steele,
Lea and Flood, 2014).
"""

from __future__ import annotations

import logging

import numba
import numpy as np
from numba import types

from umap_sweep.stages.portable_distances import (
    COSINE,
    EUCLIDEAN,
    LEAST_SCREENED,
    MANHATTAN,
    METRICS,
    can_be_screened,
    check_metric,
    least_distance,
    measure,
    prepared,
    start_of,
)

# An exact search compares so many rows with a tile of the others, of so many numbers, at a time.
ROWS_TOGETHER, TILE_NUMBERS, LEAST_TILE = 64, 1 << 16, 64

# NN-descent's measures are those that umap-learn gives pynndescent: it ends when a smaller share of neighbours
# than this has changed, and so many candidates are drawn for each row, new ones and old ones apart.
LEAST_CHANGED = 0.001
CANDIDATES = 60
TREES, LEAF_ROWS, DEEPEST = 8, 60, 100
BLOCK_ROWS = 2048
# So many pairs are found before they are put into the lists.
PAIRS_AT_ONCE = 1 << 20

# What stands for a neighbour that came in this round; other new ones have 1.
JUST_NOW = 3

_ROWS = types.Array(types.float32, 2, "C", readonly=True)
_SQUARES = types.Array(types.float64, 1, "C", readonly=True)
_LIST = types.Array(types.int32, 1, "C", readonly=True)
_LISTS = types.Array(types.int32, 2, "C", readonly=True)
_STARTS = types.Array(types.int64, 1, "C", readonly=True)
_DATA = (types.int64, types.boolean, _ROWS, types.int64, _SQUARES)

_GOLDEN, _FIRST, _SECOND = (np.uint64(one) for one in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@numba.njit(types.uint64(types.uint64, types.uint64))
def _random(state, counter):
    """Return the number of a sequence that a counter says."""
    bits = state + (counter + np.uint64(1)) * _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@numba.njit
def _below(state, counter, count):
    """Return a random row number below a count."""
    return types.int64(_random(state, types.uint64(counter)) % types.uint64(count))


@numba.njit
def _put_in(distances, indices, row, distance, index):
    """Put a neighbour into a row's sorted list, whose last is dropped, and return where; -1 where it stays out.

    It stays out where it is farther or in the list already, so that no order in which neighbours come changes the list.
    """
    place = distances.shape[1] - 1
    last = distances[row, place]
    if distance > last or (distance == last and index >= indices[row, place]):
        return -1
    while place > 0 and (
        distance < distances[row, place - 1]
        or (distance == distances[row, place - 1] and index < indices[row, place - 1])
    ):
        place -= 1
    if place > 0 and distance == distances[row, place - 1] and index == indices[row, place - 1]:
        return -1
    for at in range(distances.shape[1] - 1, place, -1):
        distances[row, at] = distances[row, at - 1]
        indices[row, at] = indices[row, at - 1]
    distances[row, place] = distance
    indices[row, place] = index
    return place


@numba.njit(
    types.void(*_DATA, _ROWS, types.int64, types.int64, types.float64[:, ::1], types.int32[:, ::1]),
    cache=True,
    nogil=True,
)
def _search(metric, screened, rows, columns, squares, turned, first, tile, distances, indices):
    """Write the nearest other rows of the rows from `first` on, one for each row of `distances`.

    `turned` has the columns of the rows as its rows, under `COSINE` those of rows of unit length. Where `screened`, a
    distance is computed in single precision first, and left there where its largest error cannot make it near enough.
    """
    n_rows, width = rows.shape
    start, square = start_of(rows), start_of(squares)
    error = (width + 16) * 2.0**-23
    rough = np.zeros(tile, np.float32)
    for begin in range(0, n_rows, tile):
        count = min(tile, n_rows - begin)
        for own in range(distances.shape[0]):
            i = first + own
            # A row of length 0 is near those of length 0 alone, which their products do not tell.
            by_screen = screened and not (metric == COSINE and squares[i] == 0.0)
            if by_screen:
                rough[:] = 0.0
                for column in range(0, width, 4):
                    x0, x1, x2, x3 = (
                        turned[column, i],
                        turned[column + 1, i],
                        turned[column + 2, i],
                        turned[column + 3, i],
                    )
                    one = turned[column, begin : begin + count]
                    two = turned[column + 1, begin : begin + count]
                    three = turned[column + 2, begin : begin + count]
                    four = turned[column + 3, begin : begin + count]
                    if metric == EUCLIDEAN:
                        for j in range(count):
                            d0, d1, d2, d3 = x0 - one[j], x1 - two[j], x2 - three[j], x3 - four[j]
                            rough[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
                    elif metric == MANHATTAN:
                        for j in range(count):
                            d0, d1, d2, d3 = x0 - one[j], x1 - two[j], x2 - three[j], x3 - four[j]
                            rough[j] += (abs(d0) + abs(d1)) + (abs(d2) + abs(d3))
                    else:
                        for j in range(count):
                            rough[j] -= (x0 * one[j] + x1 * two[j]) + (x2 * three[j] + x3 * four[j])
            last = distances[own, distances.shape[1] - 1]
            bound = last - 1.0 + error if metric == COSINE else last * (1.0 + error) + LEAST_SCREENED
            for j in range(count):
                if by_screen and rough[j] > bound:
                    continue
                if begin + j == i:
                    continue
                distance = measure(metric, start, width, columns, square, i, begin + j)
                if _put_in(distances, indices, own, distance, begin + j) >= 0:
                    last = distances[own, distances.shape[1] - 1]
                    bound = last - 1.0 + error if metric == COSINE else last * (1.0 + error) + LEAST_SCREENED


@numba.njit(types.void(*_DATA, types.uint64, types.int32[::1], types.int64[::1]), cache=True, nogil=True)
def _grow(metric, screened, rows, columns, squares, seed, order, ends):
    """Order the rows by the leaves of a random tree; `ends` receives where the leaf ends that each place is in.

    A branch is cut by which of two of its rows, drawn at random, is nearer.
    """
    n_rows, width = rows.shape
    start, square = start_of(rows), start_of(squares)
    for i in range(n_rows):
        order[i] = i
    right = np.empty(n_rows, np.int32)
    begins, stops, depths = (
        np.empty(2 * DEEPEST, np.int64),
        np.empty(2 * DEEPEST, np.int64),
        np.empty(2 * DEEPEST, np.int64),
    )
    begins[0], stops[0], depths[0] = 0, n_rows, 0
    waiting, drawn = 1, 0
    while waiting > 0:
        waiting -= 1
        begin, stop, depth = begins[waiting], stops[waiting], depths[waiting]
        if stop - begin <= LEAF_ROWS:
            ends[begin:stop] = stop
            continue
        one = order[begin + _below(seed, drawn, stop - begin)]
        two = order[begin + _below(seed, drawn + 1, stop - begin)]
        drawn += 2
        n_left = n_right = 0
        if one != two and depth < DEEPEST - 2:
            for place in range(begin, stop):
                i = order[place]
                to_one = measure(metric, start, width, columns, square, i, one)
                to_two = measure(metric, start, width, columns, square, i, two)
                if to_one < to_two or (
                    to_one == to_two and (_random(seed + types.uint64(depth), types.uint64(i)) & np.uint64(1)) == 0
                ):
                    order[begin + n_left] = i
                    n_left += 1
                else:
                    right[n_right] = i
                    n_right += 1
            for place in range(n_right):
                order[begin + n_left + place] = right[place]
        if n_left == 0 or n_right == 0:
            n_left = (stop - begin) // 2
        # The smaller part is taken first, so that few wait.
        for part in range(2):
            smaller = (n_left * 2 <= stop - begin) == (part == 1)
            begins[waiting] = begin if smaller else begin + n_left
            stops[waiting] = begin + n_left if smaller else stop
            depths[waiting] = depth + 1
            waiting += 1


@numba.njit(
    types.void(*_DATA, _LIST, _STARTS, types.int64, types.int64, types.float64[:, ::1], types.int32[:, ::1]),
    cache=True,
    nogil=True,
)
def _compare_leaves(metric, screened, rows, columns, squares, order, ends, first, stop, distances, indices):
    """Put into the lists of the rows of a tree's leaves, which begin from `first` on, the nearest in the same leaf."""
    width, last = rows.shape[1], distances.shape[1] - 1
    start, square = start_of(rows), start_of(squares)
    begin = first if first == 0 or ends[first - 1] == first else ends[first]
    while begin < stop:
        end = ends[begin]
        for at in range(begin, end):
            i = order[at]
            for other in range(begin, at):
                j = order[other]
                bound = max(distances[i, last], distances[j, last])
                if least_distance(metric, screened, start, width, square, i, j) <= bound:
                    distance = measure(metric, start, width, columns, square, i, j)
                    _put_in(distances, indices, i, distance, j)
                    _put_in(distances, indices, j, distance, i)
        begin = end


@numba.njit(types.void(*_DATA, types.uint64, types.float64[:, ::1], types.int32[:, ::1]), cache=True, nogil=True)
def _fill(metric, screened, rows, columns, squares, seed, distances, indices):
    """Put rows at random into the lists of those rows whose leaves were too small to fill these."""
    n_rows, width = rows.shape
    start, square = start_of(rows), start_of(squares)
    k = distances.shape[1]
    for i in range(n_rows):
        drawn = 0
        while distances[i, k - 1] == np.inf:
            j = _below(seed + types.uint64(i), drawn, n_rows) if drawn < 4 * k else (i + drawn) % n_rows
            drawn += 1
            if i != j:
                distance = measure(metric, start, width, columns, square, i, j)
                _put_in(distances, indices, i, distance, j)
                _put_in(distances, indices, j, distance, i)


@numba.njit
def _offer(priorities, candidates, row, priority, index):
    """Put a candidate among those with the smallest priorities, once."""
    most = candidates.shape[1]
    if priority >= priorities[most - 1]:
        return
    place = most - 1
    while place > 0 and priority < priorities[place - 1]:
        place -= 1
    if place > 0 and priorities[place - 1] == priority and candidates[row, place - 1] == index:
        return
    for at in range(most - 1, place, -1):
        priorities[at] = priorities[at - 1]
        candidates[row, at] = candidates[row, at - 1]
    priorities[place] = priority
    candidates[row, place] = index


@numba.njit(
    types.void(
        types.uint64,
        _LISTS,
        types.uint8[:, ::1],
        _STARTS,
        _LIST,
        _LIST,
        types.int64,
        types.int64,
        types.int32[:, ::1],
        types.int32[:, ::1],
    ),
    cache=True,
    nogil=True,
)
def _draw(seed, indices, new, starts, owners, ranks, first, stop, new_candidates, old_candidates):
    """Draw for each row some of its neighbours and of those that it is one of, new ones and old ones apart."""
    k, most = indices.shape[1], new_candidates.shape[1]
    for i in range(first, stop):
        new_priorities = np.full(most, np.uint64(0xFFFFFFFFFFFFFFFF))
        old_priorities = np.full(most, np.uint64(0xFFFFFFFFFFFFFFFF))
        for place in range(k + starts[i + 1] - starts[i]):
            if place < k:
                j, is_new = indices[i, place], new[i, place] & 1
            else:
                at = starts[i] + place - k
                j, is_new = owners[at], new[owners[at], ranks[at]] & 1
            low, high = types.uint64(min(i, j)), types.uint64(max(i, j))
            priority = _random(seed, (low << np.uint64(32)) | high)
            if is_new:
                _offer(new_priorities, new_candidates, i, priority, j)
            else:
                _offer(old_priorities, old_candidates, i, priority, j)


@numba.njit(types.void(_LISTS, _LISTS, types.uint8[:, ::1]), cache=True, nogil=True)
def _age(indices, candidates, new):
    """Call those neighbours old that are among the candidates that were drawn."""
    for i in range(indices.shape[0]):
        for place in range(indices.shape[1]):
            if new[i, place]:
                for one in candidates[i]:
                    if one == indices[i, place]:
                        new[i, place] = 0
                        break


@numba.njit
def _is_among(numbers, number):
    found = False
    for one in numbers:
        found |= one == number
    return found


@numba.njit(
    types.UniTuple(types.int64, 2)(
        *_DATA,
        _LISTS,
        _LISTS,
        types.int64,
        types.int64,
        types.Array(types.float64, 1, "C", readonly=True),
        _LISTS,
        types.int32[:, ::1],
        types.float64[::1],
    ),
    cache=True,
    nogil=True,
)
def _join(
    metric,
    screened,
    rows,
    columns,
    squares,
    new_candidates,
    old_candidates,
    first,
    stop,
    bounds,
    indices,
    pairs,
    measured,
):
    """Write the pairs of candidates of the same row that are near enough for the list of either, and their distances.

    `bounds` has the largest distance in the list of each row. Returns the row at which it stopped, because `pairs` may
    have no room for that row's, and how many pairs it found.
    """
    width = rows.shape[1]
    start, square = start_of(rows), start_of(squares)
    most = new_candidates.shape[1]
    found = 0
    for host in range(first, stop):
        if found + 2 * most * most > len(pairs):
            return host, found
        for one in range(most):
            i = new_candidates[host, one]
            if i < 0:
                break
            for other in range(one + 1, 2 * most):
                j = new_candidates[host, other] if other < most else old_candidates[host, other - most]
                if j < 0:
                    if other >= most:
                        break
                    continue
                least = least_distance(metric, screened, start, width, square, i, j)
                # A pair that is in the lists already, because other rows have it too, is not measured again.
                to_i = i != j and least <= bounds[i] and not _is_among(indices[i], j)
                to_j = i != j and least <= bounds[j] and not _is_among(indices[j], i)
                if to_i or to_j:
                    distance = measure(metric, start, width, columns, square, i, j)
                    if (to_i and distance <= bounds[i]) or (to_j and distance <= bounds[j]):
                        pairs[found, 0], pairs[found, 1], measured[found] = i, j, distance
                        found += 1
    return stop, found


@numba.njit(
    types.void(
        types.Array(types.int32, 2, "C", readonly=True),
        types.Array(types.float64, 1, "C", readonly=True),
        types.int64,
        types.int64,
        types.float64[:, ::1],
        types.int32[:, ::1],
        types.uint8[:, ::1],
    ),
    cache=True,
    nogil=True,
)
def _take(pairs, measured, first, stop, distances, indices, new):
    """Put the rows of each pair into each other's lists, of the rows from `first` to `stop`, and mark them there."""
    for pair in range(len(pairs)):
        for side in range(2):
            i, j = pairs[pair, side], pairs[pair, 1 - side]
            if first <= i < stop:
                to = _put_in(distances, indices, i, measured[pair], j)
                if to >= 0:
                    for later in range(indices.shape[1] - 1, to, -1):
                        new[i, later] = new[i, later - 1]
                    new[i, to] = JUST_NOW


@numba.njit(types.void(_LISTS, types.int64[::1], types.int32[::1], types.int32[::1]), cache=True, nogil=True)
def _turn(lists, places, owners, ranks):
    """Write for each row the rows in whose list it is, and its place there; `places` are where the next one goes."""
    for i in range(lists.shape[0]):
        for rank in range(lists.shape[1]):
            j = lists[i, rank]
            if j >= 0:
                owners[places[j]], ranks[places[j]] = i, rank
                places[j] += 1


def _turned(lists: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts = np.bincount(lists[lists >= 0], minlength=n_rows)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    owners, ranks = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1], dtype=np.int32)
    _turn(lists, starts[:-1].copy(), owners, ranks)
    return starts, owners, ranks


def nearest_neighbors(
    features: np.ndarray, k: int, metric: str, method: str, random_state: np.random.RandomState, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest neighbours of every row, itself first, then by distance and row number.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    k : int
        Itself included; 2 <= k <= n.
    metric : str
        One of `portable_distances.METRICS`.
    method : {"exact", "nn-descent"}
    random_state : numpy.random.RandomState
        For NN-descent; advanced.
    threads : int, default 1
        They change no bit.

    Returns
    -------
    indices : ndarray of int32, shape (n, k)
    distances : ndarray of float32, shape (n, k)
        Rounded from double precision.

    Raises
    ------
    InputError
        Where the metric is none of them.
    """
    check_metric(metric)
    rows, squares = prepared(features, metric)
    data = METRICS[metric], can_be_screened(metric, rows), rows, features.shape[1], squares
    n_rows = len(rows)
    distances, indices = np.full((n_rows, k - 1), np.inf), np.full((n_rows, k - 1), np.iinfo(np.int32).max, np.int32)
    if method == "exact":
        _exact(data, distances, indices, threads)
    else:
        _nn_descent(data, distances, indices, random_state, threads)
    if METRICS[metric] == EUCLIDEAN:
        distances = np.sqrt(distances)
    itself = np.arange(n_rows, dtype=np.int32)[:, None]
    with np.errstate(over="ignore"):  # a distance beyond single precision is infinite then, and `knn` refuses it
        rounded = np.hstack([np.zeros((n_rows, 1)), distances]).astype(np.float32)
    return np.hstack([itself, indices]), rounded


def _in_threads(function, starts, threads: int) -> list:  # type: ignore[no-untyped-def, type-arg]
    from joblib import Parallel, delayed

    found: list = Parallel(n_jobs=threads, prefer="threads")(delayed(function)(first) for first in starts)  # type: ignore[type-arg]
    return found


def _exact(data: tuple, distances: np.ndarray, indices: np.ndarray, threads: int) -> None:  # type: ignore[type-arg]
    metric, screened, rows, _, squares = data
    n_rows, width = rows.shape
    looked_at = rows
    if screened and metric == COSINE:
        lengths = np.sqrt(np.where(squares > 0.0, squares, 1.0))
        looked_at = (rows / lengths[:, None]).astype(np.float32)
    turned = np.ascontiguousarray(looked_at.T) if screened else np.zeros((0, 0), dtype=np.float32)
    tile = max(LEAST_TILE, min(n_rows, TILE_NUMBERS // width))

    def search(first: int) -> None:
        block = slice(first, first + ROWS_TOGETHER)
        own = distances[block], indices[block]
        _search(*data, turned, first, tile, *own)  # type: ignore[call-arg]

    _in_threads(search, range(0, n_rows, ROWS_TOGETHER), threads)


def _nn_descent(
    data: tuple,  # type: ignore[type-arg]
    distances: np.ndarray,
    indices: np.ndarray,
    random_state: np.random.RandomState,
    threads: int,
) -> None:
    logger = logging.getLogger("umap_sweep")
    n_rows = len(indices)
    # Each use of random numbers has a sequence of its own.
    seeds = random_state.randint(0, 2**63, size=TREES + 2, dtype=np.int64).astype(np.uint64)
    orders, ends = np.empty((TREES, n_rows), dtype=np.int32), np.empty((TREES, n_rows), dtype=np.int64)

    def grow(tree: int) -> None:
        _grow(*data, seeds[tree], orders[tree], ends[tree])  # type: ignore[call-arg]

    _in_threads(grow, range(TREES), threads)
    blocks = range(0, n_rows, BLOCK_ROWS)
    for order, end in zip(orders, ends, strict=True):

        def compare(first: int) -> None:
            lists = order, end, first, min(first + BLOCK_ROWS, n_rows), distances, indices  # noqa: B023
            _compare_leaves(*data, *lists)  # type: ignore[call-arg]

        # One tree after the other: in each a row is in one leaf alone, so that threads do not meet.
        _in_threads(compare, blocks, threads)
    _fill(*data, seeds[-2], distances, indices)  # type: ignore[call-arg]
    new = np.ones(indices.shape, dtype=np.uint8)
    for turn in range(max(5, int(n_rows).bit_length())):
        starts, owners, ranks = _turned(indices, n_rows)
        new_candidates, old_candidates = (np.full((n_rows, CANDIDATES), -1, dtype=np.int32) for _ in range(2))
        seed_of_turn = np.uint64((int(seeds[-1]) + (turn << 40)) % 2**64)

        def draw(first: int) -> None:
            last = min(first + BLOCK_ROWS, n_rows)
            _draw(seed_of_turn, indices, new, starts, owners, ranks, first, last, new_candidates, old_candidates)  # noqa: B023

        _in_threads(draw, blocks, threads)
        _age(indices, new_candidates, new)
        _join_all(data, new_candidates, old_candidates, distances, indices, new, threads)
        changed = int(np.count_nonzero(new == JUST_NOW))
        np.minimum(new, 1, out=new)
        logger.info("Round %d of NN-descent: %d of %d neighbours changed", turn + 1, changed, indices.size)
        if changed <= LEAST_CHANGED * indices.size:
            break


def _join_all(
    data: tuple,  # type: ignore[type-arg]
    new_candidates: np.ndarray,
    old_candidates: np.ndarray,
    distances: np.ndarray,
    indices: np.ndarray,
    new: np.ndarray,
    threads: int,
) -> None:
    """Compare the candidates of each row with each other.

    Some rows for each thread at a time; then each thread takes what was found for its part of the lists.
    """
    n_rows = len(indices)
    # As many rows as make these buffers full where all candidates are near; those that do not fit come next.
    room = max(PAIRS_AT_ONCE, 2 * CANDIDATES**2)
    buffers = [(np.empty((room, 2), dtype=np.int32), np.empty(room)) for _ in range(threads)]
    part = -(-n_rows // threads)
    waiting = [(first, min(first + BLOCK_ROWS, n_rows)) for first in range(0, n_rows, BLOCK_ROWS)]
    while waiting:
        ranges = [waiting.pop(0) for _ in range(min(threads, len(waiting)))]
        bounds = distances[:, -1].copy()

        def join(thread: int) -> tuple[int, int]:
            at, found = _join(*data, new_candidates, old_candidates, *ranges[thread], bounds, indices, *buffers[thread])  # type: ignore[call-arg] # noqa: B023
            return int(at), int(found)

        results = _in_threads(join, range(len(ranges)), threads)
        near = [
            (pairs[:found], measured[:found]) for (pairs, measured), (_, found) in zip(buffers, results, strict=False)
        ]

        def take(first: int) -> None:
            for pairs, measured in near:  # noqa: B023
                _take(pairs, measured, first, first + part, distances, indices, new)

        _in_threads(take, range(0, n_rows, part), threads)
        waiting[:0] = [(at, stop) for (at, _), (_, stop) in zip(results, ranges, strict=True) if at < stop]
