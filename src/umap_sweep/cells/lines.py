"""The lines of pictures of the grid: one for each n_neighbors, and for each value of the grid's further axes.

Across the lines stand the min_dist, as columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from umap_sweep.cells.keys import is_number, optional_axes

# An n_neighbors; with further axes, their values before it, such as ("pca50", 15) or ("dens_lambda 2", 15).
Line = int | tuple[Any, ...]


def line_of(cell: Mapping[Any, Any]) -> Line:
    """Return the line of a cell or a setting, from its key or from a row of a table."""
    further = further_of(cell)
    return (*further, int(cell["n_neighbors"])) if further else int(cell["n_neighbors"])


def further_of(cell: Mapping[Any, Any]) -> list[str]:
    """Return what a cell has on each further axis: a name, or a number that says of what, such as `dens_lambda 2`."""
    return [f"{axis} {float(cell[axis]):g}" if is_number(axis) else str(cell[axis]) for axis in optional_axes(cell)]


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Return each line once: values of further axes as they come first, and below each n_neighbors ascending."""
    known = list(dict.fromkeys(lines))
    further = list(dict.fromkeys(line[:-1] for line in known if isinstance(line, tuple)))

    def place(line: Line) -> tuple[int, int]:
        return (further.index(line[:-1]), line[-1]) if isinstance(line, tuple) else (0, line)

    return sorted(known, key=place)


def short_name(line: Line) -> str:
    """Return what a line is called along an axis, such as `15`, `pca50 · 15` or `2 · 15`."""
    # The axis is named beside them all; no name of a preparation has a space.
    return " · ".join(str(part).rpartition(" ")[2] for part in line) if isinstance(line, tuple) else str(line)


def name_of(line: Line) -> str:
    """Return what a line is called in a title, such as `n_neighbors 15` or `pca50 · n_neighbors 15`."""
    *further, n_neighbors = line if isinstance(line, tuple) else (line,)
    return " · ".join([*further, f"n_neighbors {n_neighbors}"])
