"""The fuzzy graph of a pruned k-NN: umap-learn's, bit for bit, without its imports and its compilation.

The arithmetic, its order and its types follow `smooth_knn_dist`, `compute_membership_strengths` and
`fuzzy_simplicial_set` in `umap.umap_` of umap-learn 0.5.12 (McInnes, Healy and Melville, 2018, arXiv:1802.03426,
section 3.1) on one thread. The union of the edges in both directions is made by merging sorted rows, where umap-learn
adds, multiplies and sorts sparse matrices; merging takes less time and half the memory.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from umap_sweep import arithmetic, environment

# umap-learn's constants: when the search for a bandwidth ends, and the least bandwidth as a share of the mean distance.
TOLERANCE = 1e-5
LEAST_SHARE_OF_MEAN = 1e-3
SEARCH_STEPS = 64
LARGEST = np.finfo(np.float32).max

# Each kernel has one signature, so that jobs that compile it at the same moment write the same file into the cache.
_INDEX_TABLE = types.Array(types.int32, 2, "C", readonly=True)
_FLOAT_TABLE = types.Array(types.float32, 2, "C", readonly=True)
_INDICES = types.Array(types.int32, 1, "C", readonly=True)
_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
_STARTS = types.Array(types.int64, 1, "C", readonly=True)


@numba.njit
def mean_distance(distances):
    """Return a mean as numba computes it in a parallel loop: a sum in single precision, divided in double."""
    total = types.float32(0.0)
    for i in range(distances.shape[0]):
        for j in range(distances.shape[1]):
            total += distances[i, j]
    return types.float64(total) / distances.size


@numba.njit
def nearest_distance(distances, local_connectivity):
    """Return the distance within which a row's neighbours count as fully connected."""
    positive = distances[distances > 0.0]
    whole = int(np.floor(local_connectivity))
    rest = local_connectivity - whole
    rho = types.float32(0.0)
    if positive.shape[0] > 0 and positive.shape[0] >= local_connectivity:
        if whole == 0:
            rho = types.float32(rest * positive[0])
        else:
            rho = positive[whole - 1]
            if rest > TOLERANCE:
                rho = types.float32(rho + rest * (positive[whole] - positive[whole - 1]))
    elif positive.shape[0] > 0:
        rho = positive.max()
    return rho


@numba.njit
def falling(x, portable):
    """Return e to the power of -x, by the C library or by `arithmetic`."""
    return arithmetic.exp(-x) if portable else np.exp(-x)


@numba.njit
def bandwidth(distances, rho, target, portable=False):
    """Return the bandwidth under which a row's strengths add up to `target`, by bisection.

    umap-learn declares the variables of this search single precision, but in its parallel loop numba makes them double.
    """
    low, high, middle = 0.0, types.float64(LARGEST), 1.0
    for _ in range(SEARCH_STEPS):
        total = 0.0
        for j in range(1, distances.shape[0]):
            beyond = distances[j] - rho
            total += falling(beyond / middle, portable) if beyond > 0 else 1.0
        if np.fabs(total - target) < TOLERANCE:
            break
        if total > target:
            high = middle
            middle = (low + high) / 2.0
        else:
            low = middle
            middle = middle * 2 if high >= LARGEST else (low + high) / 2.0
    return types.float32(middle)


@numba.njit(
    types.void(_INDEX_TABLE, _FLOAT_TABLE, types.float64, types.float64, types.boolean, types.float32[:, ::1]),
    cache=True,
)
def _strengths(indices, distances, target, local_connectivity, portable, strengths):
    """Write the strength of each row's connection to each of its neighbours."""
    mean_of_all = types.float32(mean_distance(distances))
    for i in range(distances.shape[0]):
        row = distances[i]
        rho = nearest_distance(row, local_connectivity)
        sigma = bandwidth(row, rho, target, portable)
        least = LEAST_SHARE_OF_MEAN * (mean_distance(distances[i : i + 1]) if rho > 0.0 else mean_of_all)
        if sigma < least:
            sigma = types.float32(least)
        for j in range(indices.shape[1]):
            if indices[i, j] == -1 or indices[i, j] == i:
                strengths[i, j] = 0.0
            elif row[j] - rho <= 0.0 or sigma == 0.0:
                strengths[i, j] = 1.0
            else:
                strengths[i, j] = falling((row[j] - rho) / sigma, portable)


def membership_strengths(
    indices: np.ndarray, distances: np.ndarray, local_connectivity: float = 1.0, portable: bool | None = None
) -> np.ndarray:
    """Return how strongly each row is connected to each of its neighbours.

    Parameters
    ----------
    indices : ndarray of int32, shape (n, n_neighbors)
        -1 where there is no neighbour.
    distances : ndarray of float32 or float64, shape (n, n_neighbors)
        Nearest first, the row itself included; used in single precision.
    local_connectivity : float, default 1
        Number of nearest neighbours that count as fully connected.
    portable : bool, optional
        Whether to compute in arithmetic that no CPU changes, with other last bits than umap-learn's; by default where
        this process is held to `portable`.

    Returns
    -------
    ndarray of float32, shape (n, n_neighbors)
        From 0 to 1; 0 for the row itself and for no neighbour.
    """
    strengths = np.empty(indices.shape, dtype=np.float32)
    distances = np.ascontiguousarray(distances, dtype=np.float32)
    portable = environment.is_portable() if portable is None else portable
    width = float(indices.shape[1])
    target = arithmetic.log2(width) if portable else np.log2(width)
    _strengths(
        np.ascontiguousarray(indices, dtype=np.int32), distances, target, local_connectivity, portable, strengths
    )
    return strengths


@numba.njit(types.void(_STARTS, _INDICES, _FLOATS, types.int64[::1], types.int32[::1], types.float32[::1]), cache=True)
def _transpose(starts, columns, values, places, transposed_columns, transposed_values):
    """Write a sparse matrix's transpose; its rows come out sorted, because those of the matrix are read in order."""
    for i in range(starts.shape[0] - 1):
        for edge in range(starts[i], starts[i + 1]):
            place = places[columns[edge]]
            transposed_columns[place] = i
            transposed_values[place] = values[edge]
            places[columns[edge]] = place + 1


@numba.njit
def _mixed(own, other, mix, rest):
    """Return the weight of an edge from its strengths in both directions, rounded wherever umap-learn rounds."""
    product = types.float32(own * other)
    union = types.float32(types.float32(own + other) - product)
    return types.float32(types.float32(mix * union) + types.float32(rest * product))


@numba.njit(
    types.void(
        _STARTS,
        _INDICES,
        _FLOATS,
        _STARTS,
        _INDICES,
        _FLOATS,
        types.float32,
        types.float32,
        types.float32,
        types.int64[::1],
        types.float32[::1],
        types.int32[::1],
        types.int32[::1],
        types.float32[::1],
    ),
    cache=True,
)
def _merge(
    own_starts,
    own_columns,
    own_values,
    other_starts,
    other_columns,
    other_values,
    mix,
    rest,
    least,
    counts,
    largest,
    head,
    tail,
    weight,
):
    """Merge the sorted rows of two sparse matrices into edges whose weight is at least `least`.

    If `head` is empty, count each row's edges and find its largest weight; otherwise write the edges.
    """
    edge = 0
    for i in range(counts.shape[0]):
        p, p_end = own_starts[i], own_starts[i + 1]
        q, q_end = other_starts[i], other_starts[i + 1]
        while p < p_end or q < q_end:
            own, other = types.float32(0.0), types.float32(0.0)
            if q == q_end or (p < p_end and own_columns[p] <= other_columns[q]):
                column = own_columns[p]
            else:
                column = other_columns[q]
            if p < p_end and own_columns[p] == column:
                own = own_values[p]
                p += 1
            if q < q_end and other_columns[q] == column:
                other = other_values[q]
                q += 1
            value = _mixed(own, other, mix, rest)
            if value == 0.0 or value < least:
                continue
            if head.shape[0] == 0:
                counts[i] += 1
                largest[i] = max(largest[i], value)
            else:
                head[edge], tail[edge], weight[edge] = i, column, value
                edge += 1


def _transposed(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_rows = len(starts) - 1
    transposed_starts = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=n_rows))])
    transposed = np.empty_like(columns), np.empty_like(values)
    _transpose(starts, columns, values, transposed_starts[:-1].copy(), *transposed)
    return transposed_starts, *transposed


def union(
    indices: np.ndarray, strengths: np.ndarray, set_op_mix_ratio: float, n_epochs: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the fuzzy graph as edges, without those that are too weak to be sampled once in `n_epochs` epochs.

    `umap.umap_.simplicial_set_embedding` of umap-learn 0.5.12 drops weights below the largest one / n_epochs.

    Parameters
    ----------
    indices : ndarray of int32, shape (n, n_neighbors)
    strengths : ndarray of float32, shape (n, n_neighbors)
        From `membership_strengths`.
    set_op_mix_ratio : float
        1 for the fuzzy union of both directions, 0 for their intersection.
    n_epochs : float
        With infinity no edge is left out.

    Returns
    -------
    head, tail : ndarray of int32, shape (n_edges,)
        By head, then by tail; each edge is there in both directions.
    weight : ndarray of float32, shape (n_edges,)
    disconnected : ndarray of bool, shape (n,)
        Rows without any edge. Those whose every edge was left out are among them, because umap-learn leaves edges out
        of the graph in which it looks for such rows.
    """
    n_rows = len(indices)
    there = strengths != 0.0
    unsorted = np.concatenate([[0], np.cumsum(there.sum(axis=1))]), indices[there], strengths[there]
    other = _transposed(*unsorted)
    own = _transposed(*other)
    del unsorted, there

    def merge(least: np.float32, n_edges: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        found = (
            np.zeros(n_rows, dtype=np.int64),
            np.zeros(n_rows, dtype=np.float32),
            np.empty(n_edges, dtype=np.int32),
            np.empty(n_edges, dtype=np.int32),
            np.empty(n_edges, dtype=np.float32),
        )
        _merge(*own, *other, set_op_mix_ratio, 1.0 - set_op_mix_ratio, least, *found)
        return found

    _, largest, *_ = merge(np.float32(0.0), 0)
    least = largest.max() / np.float32(n_epochs)
    kept, *_ = merge(least, 0)
    _, _, head, tail, weight = merge(least, int(kept.sum()))
    return head, tail, weight, kept == 0
