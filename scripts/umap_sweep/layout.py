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


@numba.njit(fastmath=True, cache=True, nogil=True)
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


def optimize(initial, head, tail, weight, rng_state, a, b, n_epochs, gamma=1.0, learning_rate=1.0, negative_sample_rate=5):
    embedding = np.array(initial, dtype=np.float32, order="C")
    share = n_epochs * (weight / weight.max())
    epochs_per_sample = -1.0 * np.ones(weight.shape[0])
    epochs_per_sample[share > 0] = float(n_epochs) / np.float64(share[share > 0])
    epochs_per_negative_sample = epochs_per_sample / negative_sample_rate
    next_sample = epochs_per_sample.copy()
    next_negative_sample = epochs_per_negative_sample.copy()
    rng_states = np.asarray(rng_state, dtype=np.int64) + embedding[:, :1].astype(np.float64).view(np.int64)
    alpha = learning_rate
    for epoch in range(n_epochs):
        _run_epoch(embedding, head, tail, a, b, gamma, alpha, epoch, epochs_per_sample, epochs_per_negative_sample, next_sample, next_negative_sample, rng_states)
        alpha = learning_rate * (1.0 - float(epoch) / float(n_epochs))
    return embedding
