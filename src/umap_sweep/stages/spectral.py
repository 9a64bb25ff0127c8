"""umap-learn's spectral layout, without the one source of randomness that no seed reaches.

A connected graph, the usual case, needs SciPy alone here; importing umap-learn costs seconds.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import scipy.sparse.linalg
from threadpoolctl import threadpool_limits

from umap_sweep.errors import InputError

ARPACK_SEED = 0

# From this many rows on umap-learn uses another eigensolver, which starts from random vectors.
LOBPCG_ROWS = 2_000_000


@contextmanager
def deterministic_arpack(blas_threads: int = 1) -> Iterator[None]:
    """Fix the number of BLAS threads, and give ARPACK a fixed generator wherever `eigsh` is called inside the block.

    umap-learn starts ARPACK from a vector of ones. Where that vector lies in an invariant subspace, as it does on a
    regular graph, ARPACK asks for a random vector, and SciPy draws it from the operating system's entropy unless
    `eigsh` is given `rng`. Nothing else changes: where ARPACK does not ask, the bits are umap-learn's.

    With several threads OpenBLAS sums vectors of more than 10,000 elements in several parts, which gives other last
    bits. umap-learn leaves the number of threads to the machine.
    """
    import sklearn.manifold._spectral_embedding as scikit_learn

    seeded = functools.partial(scipy.sparse.linalg.eigsh, rng=ARPACK_SEED)
    with (
        mock.patch.object(scipy.sparse.linalg, "eigsh", seeded),
        mock.patch.object(scikit_learn, "eigsh", seeded),
        threadpool_limits(blas_threads, user_api="blas"),
    ):
        yield


def connected_layout(edges: Any, n_components: int, blas_threads: int = 1) -> np.ndarray | None:
    """Return the spectral layout of a connected graph, which depends on no seed.

    The eigenvectors of the normalised Laplacian, by the calls of `umap.spectral.spectral_layout` of umap-learn 0.5.12.

    Parameters
    ----------
    edges : scipy.sparse.coo_matrix of float32, shape (n, n)
        Symmetric and connected.
    n_components : int
    blas_threads : int, default 1
        See `deterministic_arpack`.

    Returns
    -------
    ndarray of float64, shape (n, n_components), or None
        None where umap-learn's layout does depend on the seed: with two million rows or more, because of another
        eigensolver, and where ARPACK fails, because the positions are random then.

    Raises
    ------
    InputError
        Where the graph is too small for the eigensolver.
    """
    n_rows = edges.shape[0]
    if n_rows >= LOBPCG_ROWS:
        return None
    k = n_components + 1
    if k >= n_rows:
        raise _too_small("spectral", n_components)
    n_vectors = min(max(2 * k + 1, int(np.sqrt(n_rows))), n_rows)
    scale = scipy.sparse.spdiags(1.0 / np.sqrt(np.asarray(edges.sum(axis=0)).squeeze()), 0, n_rows, n_rows)
    laplacian = scipy.sparse.identity(n_rows, dtype=np.float64) - scale * edges * scale
    with threadpool_limits(blas_threads, user_api="blas"):
        try:
            values, vectors = scipy.sparse.linalg.eigsh(
                laplacian,
                k,
                which="SM",
                ncv=n_vectors,
                tol=1e-4,
                v0=np.ones(n_rows),
                maxiter=5 * n_rows,
                rng=ARPACK_SEED,
            )
        except scipy.sparse.linalg.ArpackError as error:
            warnings.warn(f"ARPACK found no spectral layout ({error}).", stacklevel=2)
            return None
    layout: np.ndarray = vectors[:, np.argsort(values)[1:k]]
    return layout


def _too_small(kind: str, n_components: int) -> InputError:
    """Return the error of a graph that has no such layout."""
    return InputError(
        f"umap.init {kind} cannot place {n_components} dimensions: the graph, or a component of it, has fewer than "
        f"{n_components + 2} rows. Use umap.init random or pca, or more neighbours."
    )


@contextmanager
def _explaining(kind: str, n_components: int) -> Iterator[None]:
    """Turn what SciPy and scikit-learn raise for graphs and data that have no such layout into an `InputError`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if "infinity" in str(error) or "NaN" in str(error):
            raise InputError(
                "Distances between the graph's components are undefined under the metric, or beyond what numbers can "
                "hold. Use umap.init random, another metric, or features divided by a power of ten."
            ) from error
        if any(words in str(error) for words in ("ncv", "k >= N", "<= n_features")):
            raise _too_small(kind, n_components) from error
        raise


def spectral_layout(
    kind: str,
    data: np.ndarray | None,
    edges: Any,
    n_components: int,
    random_state: np.random.RandomState,
    blas_threads: int,
    **metric: Any,
) -> tuple[np.ndarray, bool]:
    """Return umap-learn's spectral layout of a graph.

    Parameters
    ----------
    kind : {"spectral", "tswspectral"}
        umap-learn's `init`.
    data : ndarray of float32, shape (n, d), or None
        Used to place a graph's connected components, where there are more than twice `n_components` of them.
    edges : scipy.sparse.coo_matrix, shape (n, n)
    n_components : int
        Dimensions of the layout.
    random_state : numpy.random.RandomState
        Advanced as umap-learn advances it.
    blas_threads : int
        See `deterministic_arpack`.
    **metric
        `metric` and `metric_kwds`, for the distances between components.

    Returns
    -------
    layout : ndarray of float, shape (n, n_components)
    failed : bool
        Whether the eigensolver gave up, so that umap-learn fell back on uniform random positions.

    Raises
    ------
    InputError
        Where the graph, or a component of it, is too small for the eigensolver.
    """
    from umap import spectral

    function = {"spectral": spectral.spectral_layout, "tswspectral": spectral.tswspectral_layout}[kind]
    with warnings.catch_warnings(record=True) as caught, deterministic_arpack(blas_threads):
        warnings.simplefilter("always")
        with _explaining(kind, n_components):
            layout = function(data, edges, n_components, random_state, **metric)
    failed = False
    for warning in caught:
        failed = failed or "Spectral initialisation failed" in str(warning.message)
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return layout, failed


def is_placed_at_random(n_rows: int, n_components: int) -> bool:
    """Return whether umap-learn places a component of so many rows at random, because it is small."""
    return n_rows < 2 * n_components or n_rows <= n_components + 1


def place_components(
    vectors: np.ndarray,
    components: np.ndarray,
    data: np.ndarray | None,
    random_state: np.random.RandomState,
    blas_threads: int,
    **metric: Any,
) -> np.ndarray:
    """Return the layout of a graph of several components from the eigenvectors of each, placed as umap-learn does it.

    Follows `umap.spectral.multi_component_layout` of umap-learn 0.5.12, and draws what it draws. That one
    takes half the distance to the nearest other component for a component's size; or to itself, where rounding makes
    that more than 0, and then the component shrinks to a point. Here a component is never its own neighbour.

    Parameters
    ----------
    vectors : ndarray of float64, shape (n, n_components)
        From `umap_sweep.stages.lean_spectral.layout`.
    components : ndarray of int32, shape (n,)
        Number of each row's component, from 0 on.
    data : ndarray of float32, shape (n, d), or None
        Needed where there are more than twice `n_components` of them: their centroids say where they are placed.
    random_state : numpy.random.RandomState
        Advanced as umap-learn advances it.
    blas_threads : int
        See `deterministic_arpack`; of the layout of the centroids.
    **metric
        `metric` and `metric_kwds`, for the distances between centroids.

    Returns
    -------
    ndarray of float32, shape (n, n_components)
    """
    n_components = vectors.shape[1]
    sizes = np.bincount(components)
    if len(sizes) > 2 * n_components:
        from umap.spectral import component_layout

        with deterministic_arpack(blas_threads), _explaining("spectral_lean", n_components):
            places = component_layout(data, len(sizes), components, n_components, random_state, **metric)
    else:
        half = -(-len(sizes) // 2)
        places = np.concatenate([np.eye(half, n_components), -np.eye(half, n_components)])[: len(sizes)]
    layout = np.empty(vectors.shape, dtype=np.float32)
    order = np.argsort(components, kind="stable")
    for place, rows in zip(places, np.split(order, np.cumsum(sizes)[:-1]), strict=True):
        distances = np.sqrt(((places - place) ** 2).sum(axis=1))
        reach = distances[distances > 0.0].min(initial=np.inf) / 2.0
        if is_placed_at_random(len(rows), n_components):
            own = random_state.uniform(low=-reach, high=reach, size=(len(rows), n_components))
        else:
            random_state.normal(size=(len(rows), n_components + 1))  # umap-learn draws a start vector and drops it
            own = vectors[rows] * (reach / np.abs(vectors[rows]).max())
        layout[rows] = own + place
    return layout
