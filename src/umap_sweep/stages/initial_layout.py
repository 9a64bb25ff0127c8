"""Make the initial layout of one n_neighbors and seed, and draw the numbers that start the layout's generator."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse

from umap_sweep import environment, store
from umap_sweep.errors import InputError

# The range from which umap-learn draws the three integers that start the layout's random numbers.
INT32_MIN = np.iinfo(np.int32).min + 1
INT32_MAX = np.iinfo(np.int32).max - 1


def initial_layout(
    n_rows: int,
    n_components: int,
    init: str,
    random_state: np.random.RandomState,
    eigenvectors: np.ndarray | None = None,
    components: np.ndarray | None = None,
    edges: scipy.sparse.coo_matrix | None = None,
    features: np.ndarray | None = None,
    metric: str = "euclidean",
    metric_kwds: dict[str, float] | None = None,
    blas_threads: int = 1,
    portable: bool | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions and the generator's state that the layout of every min_dist starts from.

    Follows `umap.umap_.simplicial_set_embedding` of umap-learn 0.5.12, and draws from `random_state` what it draws.

    Parameters
    ----------
    n_rows, n_components : int
    init : {"spectral", "spectral_lean", "random", "pca", "tswspectral"}
    random_state : numpy.random.RandomState
        Seeded; advanced.
    eigenvectors : ndarray of float64, shape (n, n_components), optional
        The spectral layout, where `umap_sweep.stages.graph` has computed it, or that of each component.
    components : ndarray of int32, shape (n,), optional
        Number of each row's component, where each has eigenvectors of its own.
    edges : scipy.sparse.coo_matrix of float32, shape (n, n), optional
        The fuzzy graph; needed for a spectral layout that is not given.
    features : ndarray of float32, shape (n, d), optional
        Needed for `pca`, and for the spectral layout of a graph of several components.
    metric, metric_kwds
        Of the k-NN; for the distances between these components.
    blas_threads : int, default 1
        From about 10,000 rows on, or 1,000 in hundreds of components, the last bits of a result depend on it.
    portable : bool, optional
        Whether to compute in arithmetic that no CPU changes, which `spectral_lean` and `random` can; by default where
        this process is held to `portable`.

    Returns
    -------
    positions : ndarray of float32, shape (n, n_components)
        Scaled to 0 … 10 in each dimension.
    rng_state : ndarray of int64, shape (3,)
        Start of the layout's random numbers.

    Raises
    ------
    InputError
        Where the data allows no such layout.
    """
    portable = environment.is_portable() if portable is None else portable
    if portable:
        positions = _portable(n_rows, n_components, init, random_state, eigenvectors, components, features, metric)
    elif init == "random":
        positions = random_state.uniform(low=-10.0, high=10.0, size=(n_rows, n_components)).astype(np.float32)
    else:
        if init == "pca":
            assert features is not None  # `compute` reads them for pca
            positions = _principal_components(features, n_components, random_state, blas_threads)
        elif eigenvectors is not None and components is not None:
            from umap.distances import named_distances

            from umap_sweep.stages.spectral import place_components

            positions = place_components(
                eigenvectors,
                components,
                features,
                random_state,
                blas_threads,
                metric=named_distances[metric],
                metric_kwds=metric_kwds or {},
            )
        elif eigenvectors is not None:
            random_state.normal(size=(n_rows, n_components + 1))  # umap-learn draws a start vector and drops it
            positions = eigenvectors
        else:
            from umap.distances import named_distances

            from umap_sweep.stages.spectral import spectral_layout

            positions, failed = spectral_layout(
                init,
                features,
                edges,
                n_components,
                random_state,
                blas_threads,
                metric=named_distances[metric],
                metric_kwds=metric_kwds or {},
            )
            if failed:
                logging.getLogger("umap_sweep").warning("The eigensolver failed; the start is random, as umap-learn's.")
        positions = _scaled_with_noise(positions, random_state)
    rng_state = random_state.randint(INT32_MIN, INT32_MAX, 3).astype(np.int64)
    low, high = positions.min(axis=0), positions.max(axis=0)
    if not np.isfinite(positions).all() or (low == high).any():
        raise InputError(f"umap.init {init} puts all rows at one coordinate; use another umap.init.")
    return (10.0 * (positions - low) / (high - low)).astype(np.float32, order="C"), rng_state


def _portable(
    n_rows: int,
    n_components: int,
    init: str,
    random_state: np.random.RandomState,
    eigenvectors: np.ndarray | None,
    components: np.ndarray | None,
    features: np.ndarray | None,
    metric: str,
) -> np.ndarray:
    from umap_sweep import arithmetic  # its kernels take seconds to compile

    if init == "random":
        return arithmetic.uniform(random_state, -10.0, 10.0, (n_rows, n_components)).astype(np.float32)
    if init != "spectral_lean" or eigenvectors is None:
        raise InputError(f"umap.init is {init}, which cpu portable does not have; use spectral_lean or random.")
    positions = eigenvectors
    if components is None:
        arithmetic.normal(
            random_state, (n_rows, n_components + 1)
        )  # what is drawn for an eigensolver's start elsewhere
    else:
        from umap_sweep.stages import portable_places

        positions = portable_places.place_components(eigenvectors, components, features, random_state, metric)
    expansion = 10.0 / np.abs(positions).max()
    scaled: np.ndarray = (positions * expansion).astype(np.float32)
    return scaled + (0.0001 * arithmetic.normal(random_state, positions.shape)).astype(np.float32)


def _principal_components(
    features: np.ndarray, n_components: int, random_state: np.random.RandomState, blas_threads: int
) -> np.ndarray:
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    if n_components > min(features.shape):
        raise InputError(
            f"umap.init pca cannot make {n_components} dimensions of {features.shape[0]} rows and "
            f"{features.shape[1]} columns; lower umap.n_components or use another umap.init."
        )
    with threadpool_limits(blas_threads, user_api="blas"):
        components: np.ndarray = PCA(n_components=n_components, random_state=random_state).fit_transform(features)
    return components.astype(np.float32)


def _scaled_with_noise(positions: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
    expansion = 10.0 / np.abs(positions).max()
    scaled: np.ndarray = (positions * expansion).astype(np.float32)
    return scaled + random_state.normal(scale=0.0001, size=positions.shape).astype(np.float32)


def compute(
    data: str | Path,
    knn: str | Path,
    edges: str | Path,
    vertices: str | Path,
    out: str | Path,
    seed: int,
    metric: str,
    umap: dict[str, Any],
) -> None:
    """Make and store the initial layout of one n_neighbors and seed.

    Parameters
    ----------
    data, knn, edges, vertices : path
        The stored data set, k-NN, and edges and vertices of the graph.
    out : path
        Receives `init_1` … `init_d` (float32); its record carries `rng_state`, and for densMAP `random_state`.
    seed : int
        UMAP's random_state. Not used where the k-NN's record carries the state of a generator to go on with.
    metric : str
    umap : mapping
        The configuration's `umap` section.

    Raises
    ------
    InputError
        Where an input is damaged, or as for `initial_layout`.
    """
    n_components, init = umap["n_components"], umap["init"]
    record = store.read_record(vertices)
    vertex_table = store.read(vertices)
    n_rows = vertex_table.num_rows
    eigenvectors = components = graph = features = None
    # Only what this start needs is read.
    if "spectral_1" in vertex_table.column_names:
        eigenvectors = store.matrix(vertex_table, "spectral_")
        if "component" in vertex_table.column_names:
            components = store.numbers(vertex_table.column("component"))
    elif init in ("spectral", "tswspectral"):
        table = store.read(edges, ["weight", "head", "tail"])
        weight, head, tail = (store.numbers(column) for column in table.columns)
        graph = scipy.sparse.coo_matrix((weight, (head, tail)), shape=(n_rows, n_rows))
    if init == "pca" or record["connected_components"] > 1:
        features = store.read_features(data)
    state = store.read_record(knn).get("random_state")
    random_state = np.random.RandomState(seed) if state is None else store.random_state_from(state)
    positions, rng_state = initial_layout(
        n_rows,
        n_components,
        init,
        random_state,
        eigenvectors,
        components,
        graph,
        features,
        metric,
        umap["metric_kwds"],
        record["key"]["blas_threads"],
    )
    table = pa.table({f"init_{d + 1}": positions[:, d] for d in range(n_components)})
    key = record["key"] | {"seed": seed}
    inputs = store.inputs_of(data, knn, edges, vertices)
    states: dict[str, Any] = {"rng_state": rng_state.tolist()}
    if umap.get("densmap"):  # which finds neighbours in the embedding with what is left of the generator
        states["random_state"] = store.state_of(random_state)
    values = store.fingerprint(table, **states)
    store.write(out, table, store.make_record("initial_layout", key, values, inputs, **states))
