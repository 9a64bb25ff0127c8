"""Place new points on a layout that stays as it is: umap-learn's `transform`, bit for bit, point by point.

The arithmetic, its order and its types follow `UMAP.transform` of umap-learn 0.5.12 from the neighbours of the new rows
on: `smooth_knn_dist`, `compute_membership_strengths(bipartite=True)` and `init_graph_transform` in `umap.umap_`, and
`optimize_layout_euclidean(move_other=False)` in `umap.layouts` (McInnes, Healy and Melville, 2018, arXiv:1802.03426),
each on one thread.

No new point moves an old one or another new one. What umap-learn does with one of them nevertheless depends on those
that it is given beside it, in four numbers: the mean distance to neighbours, below a thousandth of which no bandwidth
may be; the largest weight, by which edges are left out as too weak; the same, by which the others are sampled more
often; and the number of epochs, by the number of rows. Here the batch that these four are taken from is a parameter:
each row by itself, or all rows. umap-learn adds the mean up on all threads that numba has, so that its own last bits
may depend on their number too; here it is that of one.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from umap_sweep.stages.fuzzy import LEAST_SHARE_OF_MEAN, bandwidth, mean_distance, nearest_distance
from umap_sweep.stages.initial_layout import INT32_MAX, INT32_MIN
from umap_sweep.stages.layout import clip, divide, next_random, squared_distance

# umap-learn's numbers of epochs, up to how many rows it takes the first of them, and which parts of the epochs and of
# the learning rate of a fit it takes where these are given.
EPOCHS, FEWER_EPOCHS, FEW_ROWS = 100, 30, 10_000
SHARE_OF_EPOCHS, SHARE_OF_RATE = 3.0, 4.0

# How many rows a thread takes at a time, which changes no bit.
MOVED_TOGETHER = 256

# Each kernel has one signature, so that jobs that compile it at the same moment write the same file into the cache.
_INDEX_TABLE = types.Array(types.int32, 2, "C", readonly=True)
_FLOAT_TABLE = types.Array(types.float32, 2, "C", readonly=True)
_TOTALS = types.Array(types.float32, 1, "C", readonly=True)
_RATES = types.Array(types.float64, 1, "C", readonly=True)
_STATE = types.Array(types.int64, 1, "C", readonly=True)


def epochs(n_epochs: int | None, rows: int) -> int:
    """Return how many epochs umap-learn takes for a batch of new rows.

    Parameters
    ----------
    n_epochs : int or None
        Those of the fit, where they were given.
    rows : int
        Of the batch.
    """
    if n_epochs is not None:
        return int(n_epochs // SHARE_OF_EPOCHS)
    return EPOCHS if rows <= FEW_ROWS else FEWER_EPOCHS


@numba.njit(
    types.void(_INDEX_TABLE, _FLOAT_TABLE, types.float64, types.float64, types.boolean, types.float32[:, ::1]),
    cache=True,
    nogil=True,
)
def _strengths(indices, distances, target, local_connectivity, together, strengths):
    """Write the strength of each new row's connection to each of its neighbours."""
    mean = types.float32(mean_distance(distances)) if together else types.float32(0.0)
    for i in range(distances.shape[0]):
        row = distances[i]
        rho = nearest_distance(row, local_connectivity)
        sigma = bandwidth(row, rho, target)
        of_row = mean_distance(distances[i : i + 1])
        least = LEAST_SHARE_OF_MEAN * (of_row if rho > 0.0 else mean if together else types.float32(of_row))
        if sigma < least:
            sigma = types.float32(least)
        for j in range(indices.shape[1]):
            if indices[i, j] == -1:
                strengths[i, j] = 0.0
            elif row[j] - rho <= 0.0 or sigma == 0.0:
                strengths[i, j] = 1.0
            else:
                strengths[i, j] = np.exp(-((row[j] - rho) / sigma))


def strengths_of(
    indices: np.ndarray, distances: np.ndarray, local_connectivity: float = 1.0, together: bool = False
) -> np.ndarray:
    """Return how strongly each new row is connected to each of its neighbours.

    Parameters
    ----------
    indices : ndarray of int32, shape (m, n_neighbors)
        Rows of the old data, -1 where there is no neighbour.
    distances : ndarray of float32, shape (m, n_neighbors)
        Nearest first.
    local_connectivity : float, default 1
        That of the fit; umap-learn takes one less, because no row is its own neighbour here.
    together : bool, default False
        Whether the mean distance, below a thousandth of which no bandwidth may be, is that of all rows.

    Returns
    -------
    ndarray of float32, shape (m, n_neighbors)
        From 0 to 1; 0 for no neighbour.
    """
    strengths = np.empty(indices.shape, dtype=np.float32)
    target = np.log2(float(indices.shape[1]))
    _strengths(indices, distances, target, max(0.0, local_connectivity - 1.0), together, strengths)
    return strengths


@numba.njit(
    types.void(_INDEX_TABLE, _FLOAT_TABLE, _TOTALS, types.float32[:, ::1], types.float32[:, ::1]),
    cache=True,
    nogil=True,
)
def _average(indices, strengths, totals, old, new):
    """Write the weighted mean of each row's neighbours, or where the first of them is whose strength is 1."""
    for i in range(indices.shape[0]):
        for d in range(new.shape[1]):
            new[i, d] = 0.0 if totals[i] > 0.0 else np.nan
        for edge in range(indices.shape[1]):
            if strengths[i, edge] == 1.0:
                for d in range(new.shape[1]):
                    new[i, d] = old[indices[i, edge], d]
                break
            if strengths[i, edge] > 0.0:
                share = types.float32(strengths[i, edge] / totals[i])
                for d in range(new.shape[1]):
                    new[i, d] += types.float32(share * old[indices[i, edge], d])


def start(indices: np.ndarray, strengths: np.ndarray, layout: np.ndarray) -> np.ndarray:
    """Return where each new point starts: on an old one that its row equals, or at the weighted mean of its neighbours.

    Parameters and result are those of `place`.
    """
    # umap-learn reads a sparse matrix, whose rows are sorted, and hold nothing of strength 0.
    order = np.argsort(indices, axis=1, kind="stable")
    indices, strengths = (np.take_along_axis(one, order, axis=1) for one in (indices, strengths))
    totals = strengths.sum(axis=1)
    for row in np.flatnonzero((strengths == 0).any(axis=1)):
        # numpy adds in pairs, so that zeros among the numbers would change the last bit.
        totals[row] = strengths[row][strengths[row] != 0].sum()
    new = np.empty((len(indices), layout.shape[1]), dtype=np.float32)
    _average(indices, strengths, totals, layout, new)
    return new


@numba.njit(fastmath=True)
def _attract(current, other, a, b, alpha):
    squared = squared_distance(current, other)
    if squared > 0.0:
        coefficient = -2.0 * a * b * pow(squared, b - 1.0)
        coefficient /= a * pow(squared, b) + 1.0
    else:
        coefficient = 0.0
    for d in range(current.shape[0]):
        current[d] += clip(coefficient * (current[d] - other[d])) * alpha


@numba.njit(fastmath=True)
def _repel(current, other, a, b, gamma, alpha):
    squared = squared_distance(current, other)
    if squared > 0.0:
        coefficient = 2.0 * gamma * b
        coefficient /= (0.001 + squared) * (a * pow(squared, b) + 1)
    else:
        coefficient = 0.0
    for d in range(current.shape[0]):
        step = clip(coefficient * (current[d] - other[d])) if coefficient > 0.0 else 0.0
        current[d] += step * alpha


@numba.njit(fastmath={"contract"})
def _times_due(epoch, negative_due, epochs_per_negative_sample):
    """Return how many negative samples are due, and when the next one is."""
    count = int(divide(epoch - negative_due, epochs_per_negative_sample))
    return count, negative_due + count * epochs_per_negative_sample


@numba.njit(
    types.void(
        types.float32[:, ::1],
        types.float32[:, ::1],
        _INDEX_TABLE,
        _FLOAT_TABLE,
        _RATES,
        _STATE,
        types.float64,
        types.float64,
        types.float64,
        types.float64,
    ),
    cache=True,
    nogil=True,
)
def _descend(new, old, tails, samples, rates, state, a, b, gamma, negative_sample_rate):
    """Move each new point through all epochs. `samples` has how often each of its edges is sampled, 0 for never."""
    n_edges, n_epochs = tails.shape[1], rates.shape[0]
    period, negative_period = np.empty(n_edges), np.empty(n_edges)
    due, negative_due = np.empty(n_edges), np.empty(n_edges)
    begin = np.empty(1, np.float64)
    for i in range(new.shape[0]):
        current = new[i]
        # The bits of where a point starts are added to the state that all points begin with.
        begin[0] = current[0]
        bits = begin.view(np.int64)[0]
        first, second, third = state[0] + bits, state[1] + bits, state[2] + bits
        for edge in range(n_edges):
            if samples[i, edge] > 0.0:
                period[edge] = divide(types.float64(n_epochs), types.float64(samples[i, edge]))
                negative_period[edge] = divide(period[edge], negative_sample_rate)
            due[edge], negative_due[edge] = period[edge], negative_period[edge]
        for epoch in range(n_epochs):
            alpha = rates[epoch]
            for edge in range(n_edges):
                if not samples[i, edge] > 0.0 or due[edge] > epoch:
                    continue
                _attract(current, old[tails[i, edge]], a, b, alpha)
                due[edge] += period[edge]
                count, negative_due[edge] = _times_due(epoch, negative_due[edge], negative_period[edge])
                for _ in range(count):
                    first, second, third = next_random(first, second, third)
                    k = types.int32(first ^ second ^ third) % old.shape[0]
                    _repel(current, old[k], a, b, gamma, alpha)


def place(
    indices: np.ndarray,
    strengths: np.ndarray,
    layout: np.ndarray,
    rng_state: np.ndarray,
    a: float,
    b: float,
    n_epochs: int,
    repulsion_strength: float = 1.0,
    learning_rate: float = 1.0,
    negative_sample_rate: int = 5,
    largest: np.float32 | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Return where new points come to lie on a layout.

    Parameters
    ----------
    indices : ndarray of int32, shape (m, n_neighbors)
        The neighbours of each new row among the n old ones, nearest first; -1 where there is none.
    strengths : ndarray of float32, shape (m, n_neighbors)
        From `strengths_of`.
    layout : ndarray of float32, shape (n, n_components)
        Where the old points are.
    rng_state : ndarray of int64, shape (3,)
        Start of the negative samples' random numbers, from `state_of_seed`.
    a, b : float
        Of the curve 1 / (1 + a x^(2b)), from `umap_sweep.cells.curve.parameters`.
    n_epochs : int
        From `epochs`.
    repulsion_strength, learning_rate : float
        Those of the fit, of whose learning rate umap-learn takes a quarter.
    negative_sample_rate : int
    largest : float, optional
        The largest strength, by which umap-learn tells which edges are too weak to be sampled, and how often the
        others are; that of all rows, or without it each row's own.
    threads : int, default 1
        They change no bit.

    Returns
    -------
    ndarray of float32, shape (m, n_components)
        NaN for a row without neighbours.
    """
    from joblib import Parallel, delayed

    old = np.array(layout, dtype=np.float32, order="C")
    new = start(indices, strengths, old)
    of_row = strengths.max(axis=1, keepdims=True) if largest is None else largest
    weights = np.where(strengths < of_row / np.float32(n_epochs), np.float32(0), strengths)
    with np.errstate(invalid="ignore"):  # of a row without neighbours
        samples = weights / of_row
    samples *= np.float32(n_epochs)
    rate = learning_rate / SHARE_OF_RATE
    rates = np.array([rate, *(rate * (1.0 - epoch / n_epochs) for epoch in range(n_epochs - 1))])

    def move(first: int) -> None:
        block = slice(first, first + MOVED_TOGETHER)
        own = new[block], old, indices[block], samples[block]
        _descend(*own, rates, rng_state, a, b, repulsion_strength, negative_sample_rate)

    Parallel(n_jobs=threads, prefer="threads")(delayed(move)(first) for first in range(0, len(new), MOVED_TOGETHER))
    return new


def state_of_seed(seed: int) -> np.ndarray:
    """Return the state that umap-learn's negative samples start from under a `transform_seed`, int64, shape (3,)."""
    return np.random.RandomState(seed).randint(INT32_MIN, INT32_MAX, 3).astype(np.int64)
