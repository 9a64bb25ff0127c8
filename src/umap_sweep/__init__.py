"""umap-sweep: one seeded k-NN, a grid of UMAP embeddings, the same bytes every time.

What a notebook wants is here: `hold_cpu` first of all, then `read_sweep`, `read_metrics`, `read_cell`, `read_graph` and
`read_knn` for a finished sweep, `nearest_neighbors`, `compute_cell`, `transform` and `measure` for arrays of your own.
All else is in the sub-packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.3.0"

__all__ = [
    "InputError",
    "__version__",
    "compute_cell",
    "hold_cpu",
    "measure",
    "nearest_neighbors",
    "read_cell",
    "read_graph",
    "read_knn",
    "read_metrics",
    "read_sweep",
    "transform",
]

if TYPE_CHECKING:
    from umap_sweep.arrays import compute_cell, measure, nearest_neighbors, transform
    from umap_sweep.environment import hold_cpu
    from umap_sweep.errors import InputError
    from umap_sweep.stored import read_cell, read_graph, read_knn, read_metrics, read_sweep

_MODULES = {
    "errors": ("InputError",),
    "environment": ("hold_cpu",),
    "arrays": ("compute_cell", "measure", "nearest_neighbors", "transform"),
    "stored": ("read_cell", "read_graph", "read_knn", "read_metrics", "read_sweep"),
}


def __getattr__(name: str) -> Any:
    # Nothing is imported before it is asked for: a rule's job starts in a fifth of a second, and `hold_cpu` must come
    # before numpy and numba.
    from importlib import import_module

    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"umap_sweep.{module}"), name)
    raise AttributeError(f"module 'umap_sweep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
