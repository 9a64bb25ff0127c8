"""umap-learn's spectral layout, without the one source of randomness that no seed reaches."""

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


@contextmanager
def deterministic_arpack(blas_threads: int = 1) -> Iterator[None]:
    """Fix the number of BLAS threads, and give ARPACK a fixed generator wherever `eigsh` is called inside the block.

    umap-learn starts ARPACK from a vector of ones. Where that vector lies in an invariant subspace, as it does on a
    regular graph, ARPACK asks for a random vector, and SciPy draws it from the operating system's entropy unless
    `eigsh` is given `rng`. Nothing else changes: where ARPACK does not ask, the bits are umap-learn's.

    With several threads OpenBLAS sums vectors of more than 10,000 elements in several parts, which gives other last
    bits. umap-learn leaves their number to the machine.
    """
    import sklearn.manifold._spectral_embedding as scikit_learn

    seeded = functools.partial(scipy.sparse.linalg.eigsh, rng=0)
    with (
        mock.patch.object(scipy.sparse.linalg, "eigsh", seeded),
        mock.patch.object(scikit_learn, "eigsh", seeded),
        threadpool_limits(blas_threads, user_api="blas"),
    ):
        yield


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
        Places the components of a graph that has more than twice `n_components`.
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
        try:
            layout = function(data, edges, n_components, random_state, **metric)
        except ValueError as error:
            if "ncv" not in str(error):
                raise
            raise InputError(
                f"umap.init {kind} cannot place {n_components} dimensions: the graph, or a component of it, has fewer "
                f"than {2 * n_components + 3} rows. Use umap.init random or pca, or more neighbours."
            ) from error
    failed = False
    for warning in caught:
        failed = failed or "Spectral initialisation failed" in str(warning.message)
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return layout, failed
