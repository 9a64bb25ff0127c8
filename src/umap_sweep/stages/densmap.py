"""densMAP: umap-learn's own layout, which keeps local densities, and the local radii in the data and in the embedding.

Narayan, Berger and Cho (2021, doi:10.1038/s41587-020-00801-7), as `umap.umap_.simplicial_set_embedding` of umap-learn
0.5.12 computes it: what it says of a graph is found here without its loops in Python and its dictionary of distances;
the gradient descent is umap-learn's function itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
import scipy.sparse
from numba import types

from umap_sweep.stages import compiled, fuzzy, knn

# Added to a radius before its logarithm is taken.
EPSILON = 1e-8

_INDICES = types.Array(types.int32, 1, "C", readonly=True)
_FLOATS = types.Array(types.float32, 1, "C", readonly=True)


def distances_of_edges(indices: np.ndarray, distances: np.ndarray, head: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """Return the distance between the ends of each edge: the larger one of what a k-NN has for both directions.

    Parameters
    ----------
    indices : ndarray of int32, shape (n, k)
        -1 where there is no neighbour.
    distances : ndarray of float, shape (n, k)
    head, tail : ndarray of int32, shape (n_edges,)

    Returns
    -------
    ndarray of float32, shape (n_edges,)
        0 for an edge that is in neither direction in the k-NN, as a numeric target may add it.
    """
    n_rows, k = indices.shape
    there = (indices >= 0).ravel()
    rows = np.repeat(np.arange(n_rows), k)[there]
    values = distances.astype(np.float32).ravel()[there]
    one_way = scipy.sparse.coo_matrix((values, (rows, indices.ravel()[there])), shape=(n_rows, n_rows))
    both: np.ndarray = np.asarray(one_way.maximum(one_way.transpose()).tocsr()[head, tail]).ravel()
    return both


@numba.njit(
    types.void(_INDICES, _INDICES, _FLOATS, _FLOATS, types.float32[::1], types.float32[::1]),
    cache=True,
)
def _add_up(head, tail, weight, distance, weighted, total):
    """Add the distance of each edge, times its weight, to both of its ends, and the weight alone."""
    for edge in range(head.shape[0]):
        j, k = head[edge], tail[edge]
        weighted[j] += weight[edge] * distance[edge]
        weighted[k] += weight[edge] * distance[edge]
        total[j] += weight[edge]
        total[k] += weight[edge]


def log_radii(
    head: np.ndarray, tail: np.ndarray, weight: np.ndarray, distance: np.ndarray, n_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithm of each row's local radius: the mean distance along its edges, by their weight.

    Parameters
    ----------
    head, tail, weight, distance : ndarray, shape (n_edges,)
        Each edge in both directions, in the order in which the layout walks them.
    n_rows : int

    Returns
    -------
    radii, total : ndarray of float32, shape (n,)
        `total` is twice the weight of a row's edges.
    """
    weighted, total = (np.zeros(n_rows, dtype=np.float32) for _ in range(2))
    _add_up(head, tail, weight, distance, weighted, total)
    return np.log(EPSILON + weighted / total), total


def optimize(
    initial: np.ndarray,
    head: np.ndarray,
    tail: np.ndarray,
    weight: np.ndarray,
    distance: np.ndarray,
    rng_state: np.ndarray,
    curve: tuple[float, float],
    n_epochs: int,
    umap: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the embedding of a cell by densMAP, and the radii in the data, `rad_orig_` of umap-learn.

    Parameters
    ----------
    initial, head, tail, weight, rng_state, n_epochs
        As for `umap_sweep.stages.layout.optimize`.
    distance : ndarray of float32, shape (n_edges,)
        From `distances_of_edges`.
    curve : (float, float)
        a and b.
    umap : mapping
        The configuration's `umap` section.

    Returns
    -------
    embedding : ndarray of float32, shape (n, n_components)
    radii : ndarray of float32, shape (n,)
        Logarithms of mean squared distances.
    """
    radii, total = log_radii(head, tail, weight, distance * distance, len(initial))
    densities = {
        "lambda": umap["dens_lambda"],
        "frac": umap["dens_frac"],
        "var_shift": umap["dens_var_shift"],
        "mu": weight,
        "mu_sum": total,
        "R": (radii - np.mean(radii)) / np.std(radii),
    }
    return _descend(initial, head, tail, weight, rng_state, curve, n_epochs, umap, densities), radii


def _descend(
    initial: np.ndarray,
    head: np.ndarray,
    tail: np.ndarray,
    weight: np.ndarray,
    rng_state: np.ndarray,
    curve: tuple[float, float],
    n_epochs: int,
    umap: Mapping[str, Any],
    densities: Mapping[str, Any],
) -> np.ndarray:
    from umap.layouts import optimize_layout_euclidean
    from umap.umap_ import make_epochs_per_sample

    positions = np.array(initial, dtype=np.float32, order="C")
    found: np.ndarray = optimize_layout_euclidean(
        positions,
        positions,
        head,
        tail,
        n_epochs,
        len(positions),
        make_epochs_per_sample(weight, n_epochs),
        *curve,
        rng_state,
        umap["repulsion_strength"],
        umap["learning_rate"],
        umap["negative_sample_rate"],
        parallel=False,
        verbose=False,
        densmap=True,
        densmap_kwds=densities,
        tqdm_kwds={},
        move_other=True,
    )
    return found


def radii_of_embedding(embedding: np.ndarray, n_neighbors: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return the logarithm of each row's local radius in an embedding, `rad_emb_` of umap-learn.

    It is that of mean distances, where in the data it is that of mean squared ones.

    Parameters
    ----------
    embedding : ndarray of float32, shape (n, n_components)
    n_neighbors : int
    random_state : numpy.random.RandomState
        For NN-descent, which finds the neighbours in the embedding; as the initial layout has left it. Advanced.

    Returns
    -------
    ndarray of float32, shape (n,)
    """
    indices, distances, _ = knn.nearest_neighbors(
        embedding, n_neighbors, "euclidean", "nn-descent", random_state, n_jobs=1
    )
    strengths = fuzzy.membership_strengths(indices, distances)
    head, tail, weight, _ = fuzzy.union(indices, strengths, 1.0, np.inf)
    distance = distances_of_edges(indices, distances, head, tail)
    return log_radii(head, tail, weight, distance, len(embedding))[0]


def compile_once(n_components: int, umap: Mapping[str, Any]) -> None:
    """Have numba keep umap-learn's layout compiled, by laying out three rows; before any of it is compiled.

    Parameters
    ----------
    n_components : int
    umap : mapping
        The configuration's `umap` section.
    """
    importlib.import_module("umap.umap_")  # what is not imported yet would not be kept

    initial = np.arange(3 * n_components, dtype=np.float32).reshape(3, n_components)
    head, tail = np.array([0, 1, 1, 2], dtype=np.int32), np.array([1, 0, 2, 1], dtype=np.int32)
    weight, distance = np.ones(4, dtype=np.float32), np.array([1, 1, 2, 2], dtype=np.float32)
    for array in (head, tail, weight, distance):
        array.flags.writeable = False  # as what is read from files is, for which numba compiles code of its own
    compiled.keep()
    with compiled.one_at_a_time():
        optimize(initial, head, tail, weight, distance, np.arange(3), (1.5, 0.9), 4, umap)
