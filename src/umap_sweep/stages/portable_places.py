"""Where the connected components of a graph are placed under `cpu: portable`, in arithmetic that no CPU changes."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from umap_sweep import arithmetic
from umap_sweep.stages import lean_spectral
from umap_sweep.stages.portable_distances import EUCLIDEAN, METRICS, measure, prepared, start_of
from umap_sweep.stages.spectral import is_placed_at_random

_ROWS = types.Array(types.float32, 2, "C", readonly=True)


@numba.njit(
    types.void(_ROWS, types.Array(types.int32, 1, "C", readonly=True), types.float64[:, ::1], types.int64[::1]),
    cache=True,
)
def _add_up(features, components, totals, counts):
    """Add the rows of each component in their order."""
    for i in range(features.shape[0]):
        counts[components[i]] += 1
        for c in range(features.shape[1]):
            totals[components[i], c] += features[i, c]


@numba.njit(
    types.void(
        types.int64, _ROWS, types.int64, types.Array(types.float64, 1, "C", readonly=True), types.float64[:, ::1]
    ),
    cache=True,
)
def _measure_all(metric, rows, columns, squares, distances):
    start, square = start_of(rows), start_of(squares)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[0]):
            distances[i, j] = measure(metric, start, rows.shape[1], columns, square, i, j) if i != j else 0.0


def place_components(
    vectors: np.ndarray,
    components: np.ndarray,
    features: np.ndarray | None,
    random_state: np.random.RandomState,
    metric: str,
) -> np.ndarray:
    """Return the layout of a graph of several components from the eigenvectors of each.

    Up to twice as many components as dimensions lie on the axes, as `umap_sweep.stages.spectral.place_components` puts
    them. More are placed by the eigenvectors of the normalised Laplacian of their centroids, whose affinities are
    1 / (1 + (d / s)²), with s the mean distance d of a centroid to its nearest one: they fall more slowly than
    umap-learn's exp(-d²), which leaves nothing of components that are far apart.

    Parameters
    ----------
    vectors : ndarray of float64, shape (n, n_components)
        From `umap_sweep.stages.lean_spectral.layout`.
    components : ndarray of int32, shape (n,)
        Number of each row's component, from 0 on.
    features : ndarray of float32, shape (n, d), or None
        Needed where centroids are.
    random_state : numpy.random.RandomState
        Advanced.
    metric : str
        One of `portable_distances.METRICS`.

    Returns
    -------
    ndarray of float32, shape (n, n_components)
    """
    n_components = vectors.shape[1]
    sizes = np.bincount(components)
    if len(sizes) > 2 * n_components:
        assert features is not None  # `compute` reads them where there are several components
        places = _by_centroids(features, components, len(sizes), n_components, metric)
    else:
        half = -(-len(sizes) // 2)
        places = np.concatenate([np.eye(half, n_components), -np.eye(half, n_components)])[: len(sizes)]
    layout = np.empty(vectors.shape, dtype=np.float32)
    order = np.argsort(components, kind="stable")
    for place, rows in zip(places, np.split(order, np.cumsum(sizes)[:-1]), strict=True):
        squares = np.zeros(len(places))
        for d in range(n_components):
            apart = places[:, d] - place[d]
            squares = squares + apart * apart
        reach = np.sqrt(squares[squares > 0.0].min(initial=np.inf)) / 2.0
        if is_placed_at_random(len(rows), n_components):
            own = arithmetic.uniform(random_state, -reach, reach, (len(rows), n_components))
        else:
            arithmetic.normal(random_state, (len(rows), n_components + 1))  # an eigensolver's start elsewhere
            own = vectors[rows] * (reach / np.abs(vectors[rows]).max())
        layout[rows] = own + place
    return layout


def _by_centroids(
    features: np.ndarray, components: np.ndarray, count: int, n_components: int, metric: str
) -> np.ndarray:
    totals, counts = np.zeros((count, features.shape[1])), np.zeros(count, dtype=np.int64)
    _add_up(np.ascontiguousarray(features, dtype=np.float32), components.astype(np.int32), totals, counts)
    rows, squares = prepared((totals / counts[:, None]).astype(np.float32), metric)
    distances = np.empty((count, count))
    _measure_all(METRICS[metric], rows, features.shape[1], squares, distances)
    if METRICS[metric] == EUCLIDEAN:
        distances = np.sqrt(distances)
    nearest = np.where(np.eye(count, dtype=bool), np.inf, distances).min(axis=1)
    scale = np.cumsum(nearest)[-1] / count
    shares = distances / (scale if scale > 0.0 else 1.0)
    affinity = (1.0 / (1.0 + shares * shares)).astype(np.float32)
    head, tail = (one.ravel().astype(np.int32) for one in np.indices((count, count)))
    apart = head != tail
    # What is infinitely far away in single precision is still a neighbour: the graph has one component.
    weight = np.maximum(affinity.ravel()[apart], np.finfo(np.float32).tiny)
    found = lean_spectral.eigenvectors(head[apart], tail[apart], weight, count, n_components).vectors
    places: np.ndarray = found / np.abs(found).max()
    return places
