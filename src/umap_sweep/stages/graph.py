"""Prune the k-NN to one n_neighbors and make its fuzzy graph, and what of a spectral layout depends on no seed."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse
import scipy.sparse.csgraph

from umap_sweep import store
from umap_sweep.cells.keys import OF_GRAPH
from umap_sweep.errors import InputError
from umap_sweep.stages import fuzzy
from umap_sweep.stages.spectral import connected_layout
from umap_sweep.stages.umap_learn import DISCONNECTION_DISTANCES, default_epochs


def prune(knn: str | Path, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the first `n_neighbors` columns of a stored k-NN.

    Parameters
    ----------
    knn : str or Path
        Stored by `umap_sweep.stages.knn`.
    n_neighbors : int
        At most the k it was computed for.

    Returns
    -------
    indices : ndarray of int32, shape (n, n_neighbors)
    distances : ndarray of float32 or float64, shape (n, n_neighbors)
        Both are copies and writable, because `fuzzy_graph` overwrites them.

    Raises
    ------
    InputError
        Where the k-NN has fewer neighbours, or is damaged.
    """
    width = store.read_record(knn)["key"]["n_neighbors"]
    if n_neighbors > width:
        raise InputError(
            f"{knn} holds {width} neighbours, fewer than n_neighbors {n_neighbors}; raise knn.n_neighbors."
        )
    table = store.read(knn, [f"{kind}_{rank}" for kind in ("index", "distance") for rank in range(n_neighbors)])
    return store.matrix(table, "index_"), store.matrix(table, "distance_")


def fuzzy_graph(
    indices: np.ndarray,
    distances: np.ndarray,
    metric: str,
    n_epochs: int,
    set_op_mix_ratio: float = 1.0,
    local_connectivity: float = 1.0,
    disconnection_distance: float | None = None,
    target: np.ndarray | None = None,
    target_metric: str = "categorical",
    target_weight: float = 0.5,
    densmap: bool = False,
) -> tuple[scipy.sparse.coo_matrix, np.ndarray]:
    """Return the fuzzy graph that `umap.UMAP.fit` of umap-learn 0.5.12 lays out, from a pruned k-NN.

    Parameters
    ----------
    indices, distances : ndarray, shape (n, n_neighbors)
        From `prune`. As in umap-learn, overwritten with -1 and infinity where the metric disconnects two rows.
    metric : str
        Decides from which distance on rows count as disconnected, where `disconnection_distance` does not.
    n_epochs : int
        Edges that are too weak to be sampled once in as many epochs are left out.
    set_op_mix_ratio, local_connectivity, disconnection_distance, target_metric, target_weight
        umap-learn's parameters of these names.
    target : ndarray, shape (n,), optional
        From `umap_sweep.sources.target.target_of`, where the run is supervised.
    densmap : bool, default False
        Whether the layout keeps densities, for which umap-learn's default number of epochs is another one.

    Returns
    -------
    edges : scipy.sparse.coo_matrix of float32, shape (n, n)
        Membership strengths, in the order in which the layout walks them.
    disconnected : ndarray of bool, shape (n,)
        Rows without any neighbour.
    """
    if disconnection_distance is None:
        disconnection_distance = DISCONNECTION_DISTANCES.get(metric, np.inf)
    separate = distances >= disconnection_distance
    indices[separate] = -1
    distances[separate] = np.inf
    strengths = fuzzy.membership_strengths(indices, distances, local_connectivity)
    # With ten epochs or fewer, umap-learn drops edges by its default number of epochs instead.
    epochs = n_epochs if n_epochs > 10 else default_epochs(len(indices), densmap)
    # A target meets all edges, also those that are too weak to be sampled.
    kept_by = epochs if target is None else np.inf
    head, tail, weight, disconnected = fuzzy.union(indices, strengths, set_op_mix_ratio, kept_by)
    n_rows, n_neighbors = indices.shape
    edges = scipy.sparse.coo_matrix((weight, (head, tail)), shape=(n_rows, n_rows))
    if target is None:
        return edges, disconnected
    from umap_sweep.stages import supervised  # umap-learn takes seconds to import

    return supervised.sampled(supervised.intersection(edges, target, target_metric, target_weight, n_neighbors), epochs)


def compute(
    knn: str | Path,
    edges_out: str | Path,
    vertices_out: str | Path,
    n_neighbors: int,
    umap: dict[str, Any],
    blas_threads: int = 1,
    rows: str | Path | None = None,
) -> None:
    """Make and store the graph of one n_neighbors.

    Parameters
    ----------
    knn : path
        The stored k-NN.
    edges_out : path
        Receives `head`, `tail` (int32) and `weight` (float32), one row for each direction of each edge; for densMAP
        `distance` (float32) too.
    vertices_out : path
        Receives `disconnected` (bool), one row for each row of the data. Where the graph is connected and `init` is
        spectral, it receives the spectral layout `spectral_1` … `spectral_d` (float64) too. Where `init` is
        spectral_lean, it receives the eigenvectors of each component under the same names; and if there are several,
        `component` (int32), the number of each row's.
    n_neighbors : int
    umap : mapping
        The configuration's `umap` section.
    blas_threads : int, default 1
        See `umap_sweep.stages.spectral.deterministic_arpack`.
    rows : path, optional
        The table of rows that has the target of a supervised run.

    Raises
    ------
    InputError
        Where an input is damaged, a target cannot be taken, or the k-NN has fewer neighbours, where no row has a
        neighbour, or one has none and densMAP is asked for, where an edge's weight is undefined, and where the graph is
        too small for its spectral layout.
    """
    logger = logging.getLogger("umap_sweep")
    knn_record = store.read_record(knn)
    indices, distances = prune(knn, n_neighbors)
    n_rows = len(indices)
    densities = umap.get("densmap", False)
    n_epochs = umap["n_epochs"] or default_epochs(n_rows, densities)
    target = None
    if rows is not None:
        from umap_sweep.sources.target import UNLABELLED, target_of

        target = target_of(rows, umap["target"], umap["target_metric"])
        logger.info("Supervised by %s: %d rows without a label", umap["target"], (target == UNLABELLED).sum())
    edges, disconnected = fuzzy_graph(
        indices,
        distances,
        knn_record["key"]["metric"],
        n_epochs,
        umap["set_op_mix_ratio"],
        umap["local_connectivity"],
        umap.get("disconnection_distance"),
        target,
        umap.get("target_metric", "categorical"),
        umap.get("target_weight", 0.5),
        densities,
    )
    if densities:
        from umap_sweep.stages import densmap

        apart = densmap.distances_of_edges(indices, distances, edges.row, edges.col)
    del indices, distances
    if undefined := int(np.isnan(edges.data).sum()):
        raise InputError(
            f"{undefined} of {edges.nnz} edges at n_neighbors {n_neighbors} have an undefined weight, because rows are "
            f"at the largest distance of {knn_record['key']['metric']} from nearest neighbours; a layout would mean "
            f"nothing. Use umap.local_connectivity 1 or another metric, or leave out rows that share nothing."
        )
    if edges.nnz == 0:
        within = umap.get("disconnection_distance")
        raise InputError(
            f"With n_neighbors {n_neighbors} no row has a neighbour "
            + (
                f"under the metric {knn_record['key']['metric']}; choose another metric or more neighbours."
                if within is None
                else f"nearer than umap.disconnection_distance {within}; raise it, or remove the key."
            )
        )
    if densities and disconnected.any():
        raise InputError(
            f"{disconnected.sum()} rows have no neighbour at n_neighbors {n_neighbors}, and so no radius, by which "
            f"densMAP would lose the place of every row; leave these rows out, or set umap.densmap to false."
        )
    logger.info("n_neighbors %d: %d rows, %d disconnected", n_neighbors, n_rows, disconnected.sum())
    n_components, components = scipy.sparse.csgraph.connected_components(edges)
    logger.info("%d edges, %d connected component(s), %d epochs", edges.nnz, n_components, n_epochs)

    vertices = {"disconnected": disconnected}
    eigenvectors = None
    shared = {"connected_components": int(n_components), "disconnected": int(disconnected.sum())}
    if umap["init"] == "spectral" and n_components == 1:
        eigenvectors = connected_layout(edges, umap["n_components"], blas_threads)
    elif umap["init"] == "spectral_lean":
        from umap_sweep.stages import lean_spectral  # its kernels take seconds to compile

        eigenvectors, shared["eigenvectors_converged"] = lean_spectral.layout(edges, components, umap["n_components"])
        if n_components > 1:
            vertices["component"] = components
    if eigenvectors is not None:
        vertices |= {f"spectral_{d + 1}": eigenvectors[:, d] for d in range(umap["n_components"])}
    key = {name: umap[name] for name in ("set_op_mix_ratio", "local_connectivity", "init", "n_components")}
    key |= {name: umap[name] for name in OF_GRAPH if name in umap}
    key |= {"n_neighbors": n_neighbors, "n_epochs": n_epochs, "blas_threads": blas_threads}
    of_edges = {"head": edges.row, "tail": edges.col, "weight": edges.data} | ({"distance": apart} if densities else {})
    edge_table = pa.table(of_edges)
    vertex_table = pa.table(vertices)
    inputs = store.inputs_of(knn, *([] if rows is None else [rows]))
    for out, table in ((edges_out, edge_table), (vertices_out, vertex_table)):
        record = store.make_record("graph", key=key, values=store.fingerprint(table), inputs=inputs, **shared)
        store.write(out, table, record, dictionary=["head"] if "head" in table.column_names else False)
