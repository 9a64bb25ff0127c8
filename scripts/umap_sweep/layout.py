"""The layout: umap-learn's seeded stochastic gradient descent, bit for bit, compiled once and cached.

The arithmetic, its order and its types follow `umap.layouts.optimize_layout_euclidean` of umap-learn 0.5.12
(McInnes, Healy and Melville, 2018, arXiv:1802.03426, section 4.3) in the case a sweep needs: Euclidean output,
both ends of an edge move, one thread. Importing umap-learn costs seconds and its kernels are compiled anew in
every process; this module needs numpy and numba alone, and its machine code is loaded from numba's file cache.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types


@numba.njit(types.int32(types.int64[::1]))
def _next_random(state):
    first, second, third = state[0], state[1], state[2]
    first = (((first & 0xFFFFFFFE) << 12) & 0xFFFFFFFF) ^ ((((first << 13) & 0xFFFFFFFF) ^ first) >> 19)
    second = (((second & 0xFFFFFFF8) << 4) & 0xFFFFFFFF) ^ ((((second << 2) & 0xFFFFFFFF) ^ second) >> 25)
    third = (((third & 0xFFFFFFF0) << 17) & 0xFFFFFFFF) ^ ((((third << 3) & 0xFFFFFFFF) ^ third) >> 11)
    state[0], state[1], state[2] = first, second, third
    return types.int32(first ^ second ^ third)


@numba.njit(types.float32(types.float32[::1], types.float32[::1]), fastmath=True)
def _squared_distance(x, y):
    total = types.float32(0.0)
    for d in range(x.shape[0]):
        difference = x[d] - y[d]
        total += difference * difference
    return total


@numba.njit
def _clip(step):
    if step > 4.0:
        return 4.0
    if step < -4.0:
        return -4.0
    return step


@numba.njit(fastmath=True, cache=True)
def _run_epoch(
    embedding,
    head,
    tail,
    a,
    b,
    gamma,
    alpha,
    epoch,
    epochs_per_sample,
    epochs_per_negative_sample,
    next_sample,
    next_negative_sample,
    rng_states,
):
    n_vertices, n_components = embedding.shape
    for edge in range(head.shape[0]):
        if next_sample[edge] > epoch:
            continue
        j = head[edge]
        k = tail[edge]
        current = embedding[j]
        other = embedding[k]

        squared = _squared_distance(current, other)
        if squared > 0.0:
            coefficient = -2.0 * a * b * pow(squared, b - 1.0)
            coefficient /= a * pow(squared, b) + 1.0
        else:
            coefficient = 0.0
        for d in range(n_components):
            step = _clip(coefficient * (current[d] - other[d]))
            current[d] += step * alpha
            other[d] += -step * alpha
        next_sample[edge] += epochs_per_sample[edge]

        n_negative = int((epoch - next_negative_sample[edge]) / epochs_per_negative_sample[edge])
        for _ in range(n_negative):
            k = _next_random(rng_states[j]) % n_vertices
            other = embedding[k]
            squared = _squared_distance(current, other)
            if squared > 0.0:
                coefficient = 2.0 * gamma * b
                coefficient /= (0.001 + squared) * (a * pow(squared, b) + 1)
            elif j == k:
                continue
            else:
                coefficient = 0.0
            for d in range(n_components):
                step = _clip(coefficient * (current[d] - other[d])) if coefficient > 0.0 else 0.0
                current[d] += step * alpha
        next_negative_sample[edge] += n_negative * epochs_per_negative_sample[edge]


def optimize(
    initial: np.ndarray,
    head: np.ndarray,
    tail: np.ndarray,
    weight: np.ndarray,
    rng_state: np.ndarray,
    a: float,
    b: float,
    n_epochs: int,
    repulsion_strength: float = 1.0,
    learning_rate: float = 1.0,
    negative_sample_rate: int = 5,
) -> np.ndarray:
    """Return the embedding after `n_epochs` of seeded gradient descent.

    Equal, bit for bit, to `optimize_layout_euclidean(..., parallel=False, move_other=True)` of umap-learn 0.5.12 in
    the same environment.

    Parameters
    ----------
    initial : ndarray of float32, shape (n, n_components)
        Positions to start from; not changed.
    head, tail : ndarray of int32, shape (n_edges,)
        Ends of each edge, in the order in which an epoch walks them.
    weight : ndarray of float32, shape (n_edges,)
        Membership strengths, which decide how often an edge is sampled.
    rng_state : ndarray of int64, shape (3,)
        Start of the negative samples' random numbers.
    a, b : float
        Of the curve 1 / (1 + a x^(2b)), from `curve_parameters`.
    n_epochs : int
    repulsion_strength, learning_rate : float
    negative_sample_rate : int

    Returns
    -------
    ndarray of float32, shape (n, n_components)
    """
    embedding = np.array(initial, dtype=np.float32, order="C")
    epochs_per_sample = float(n_epochs) / np.float64(n_epochs * (weight / weight.max()))
    epochs_per_negative_sample = epochs_per_sample / negative_sample_rate
    next_sample = epochs_per_sample.copy()
    next_negative_sample = epochs_per_negative_sample.copy()
    # Each vertex has its own generator, set apart by the bit pattern of its first coordinate.
    rng_states = np.asarray(rng_state, dtype=np.int64) + embedding[:, :1].astype(np.float64).view(np.int64)
    rate = learning_rate
    for epoch in range(n_epochs):
        _run_epoch(
            embedding,
            head,
            tail,
            a,
            b,
            repulsion_strength,
            rate,
            epoch,
            epochs_per_sample,
            epochs_per_negative_sample,
            next_sample,
            next_negative_sample,
            rng_states,
        )
        rate = learning_rate * (1.0 - epoch / n_epochs)
    return embedding


def curve_parameters(spread: float, min_dist: float) -> tuple[float, float]:
    """Return a and b of the curve 1 / (1 + a x^(2b)) that fits a spread and a min_dist.

    Least squares on 300 points of [0, 3 spread], as `umap.umap_.find_ab_params` of umap-learn 0.5.12 does it.

    Parameters
    ----------
    spread : float
    min_dist : float
        Distance up to which points count as close; at most `spread`.

    Returns
    -------
    a, b : float
    """
    from scipy.optimize import curve_fit

    def curve(x: np.ndarray, a: float, b: float) -> np.ndarray:
        return 1.0 / (1.0 + a * x ** (2 * b))

    distance = np.linspace(0, spread * 3, 300)
    closeness = np.where(distance < min_dist, 1.0, np.exp(-(distance - min_dist) / spread))
    (a, b), _ = curve_fit(curve, distance, closeness)
    return float(a), float(b)
