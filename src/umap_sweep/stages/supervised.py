"""The graph of a supervised run: umap-learn's intersection of the fuzzy graph with what a target says of its edges.

umap-learn's own functions do it, in the order of `UMAP.fit(X, y)` of umap-learn 0.5.12.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from umap_sweep.errors import InputError
from umap_sweep.stages.umap_learn import SMALL_DATA

# How far apart umap-learn puts categories at the least target_weight, and at the largest.
FAR, FARTHEST = 2.5, 1.0e12


def intersection(
    edges: scipy.sparse.coo_matrix, target: np.ndarray, metric: str, weight: float, n_neighbors: int
) -> Any:
    """Return a fuzzy graph as it becomes by a target.

    Parameters
    ----------
    edges : scipy.sparse.coo_matrix of float32, shape (n, n)
        All edges of the fuzzy union, also the weak ones.
    target : ndarray, shape (n,)
        From `umap_sweep.sources.target.target_of`.
    metric, weight
        umap-learn's `target_metric` and `target_weight`.
    n_neighbors : int
        Of the graph, and of the graph that a numeric target has of its own.

    Returns
    -------
    scipy.sparse matrix of float32, shape (n, n)
        As the attribute `graph_` of umap-learn.

    Raises
    ------
    InputError
        Where umap-learn would take a graph of the target that depends on the seed, and where no edge is left.
    """
    graph = _intersection(edges, target, metric, weight, n_neighbors)
    if not graph.nnz or graph.data.max() == 0:
        raise InputError(
            f"umap.target_weight {weight:g} leaves no edge of the graph of n_neighbors {n_neighbors}, because no two "
            f"neighbours have a value of umap.target in common; lower the weight, or name another target."
        )
    return graph


def _intersection(
    edges: scipy.sparse.coo_matrix, target: np.ndarray, metric: str, weight: float, n_neighbors: int
) -> Any:
    from sklearn.metrics import pairwise_distances
    from umap import distances, umap_

    graph = edges.tocsr()
    if metric == "categorical":
        far = FAR * (1.0 / (1.0 - weight)) if weight < 1.0 else FARTHEST
        return umap_.discrete_metric_simplicial_set_intersection(graph, target, far_dist=far)
    if metric in distances.DISCRETE_METRICS:
        return umap_.discrete_metric_simplicial_set_intersection(
            graph,
            target,
            metric=metric,
            metric_kws=distances.get_discrete_params(target, metric),
            metric_scale=FAR * (1.0 / (1.0 - weight)) if weight < 1.0 else FARTHEST,
        )
    if len(target) >= SMALL_DATA:
        raise InputError(
            f"umap.target_metric is {metric}, and the data has {len(target)} rows: from {SMALL_DATA} on, umap-learn "
            f"approximates the neighbours among the target's values from the UMAP seed, so that no graph is shared. "
            f"Use umap.target_metric categorical or ordinal, or a subset of the rows."
        )
    apart = pairwise_distances(target.reshape(-1, 1), metric=metric)
    # Like umap-learn's call: of its own k-NN, without the union of both directions. It draws no random numbers.
    of_target, _, _ = umap_.fuzzy_simplicial_set(
        apart, n_neighbors, None, "precomputed", {}, None, None, False, 1.0, 1.0, False
    )
    return umap_.reset_local_connectivity(umap_.general_simplicial_set_intersection(graph, of_target, weight))


def sampled(graph: Any, n_epochs: int) -> tuple[scipy.sparse.coo_matrix, np.ndarray]:
    """Return the edges that are strong enough to be sampled once in `n_epochs` epochs, and which rows have no edge.

    As `umap.umap_.simplicial_set_embedding` drops the others.

    Parameters
    ----------
    graph : scipy.sparse matrix of float32, shape (n, n)
    n_epochs : int

    Returns
    -------
    edges : scipy.sparse.coo_matrix of float32, shape (n, n)
        In the order in which the layout walks them.
    disconnected : ndarray of bool, shape (n,)
    """
    edges = graph.tocoo()
    edges.sum_duplicates()
    edges.data[edges.data < edges.data.max() / float(n_epochs)] = 0.0
    disconnected = np.asarray(graph.sum(axis=1)).ravel() == 0
    edges.eliminate_zeros()
    return edges, disconnected
