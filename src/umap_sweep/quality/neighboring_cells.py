"""Measure how much an embedding changes from one cell of the grid to the next."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import OPTIONAL_COLUMNS, is_number, optional_axes
from umap_sweep.quality import measures, tables

COLUMNS = {
    "n_neighbors": pa.int64(),
    "min_dist": pa.float64(),
    "other_n_neighbors": pa.int64(),
    "other_min_dist": pa.float64(),
    "knn_k": pa.int64(),
    "knn_seed": pa.int64(),
    "seed": pa.int64(),
    "neighbor_overlap": pa.float64(),
    "procrustes_disparity": pa.float64(),
}
AXES = ("n_neighbors", "min_dist")


def next_cells(keys: Sequence[dict[str, Any]]) -> Iterator[tuple[str, int, int]]:
    """Yield the pairs of cells that are one step of the grid apart, along one of its axes.

    Parameters
    ----------
    keys : sequence of mapping
        The key of each cell.

    Yields
    ------
    along : str
        `n_neighbors`, `min_dist`, or a further axis of the grid.
    first, second : int
        Places in `keys`; the second cell has the larger value on the axis, or, where values are names, the one that
        comes later in `keys`.
    """
    axes = axes_of(keys)
    for along in axes:
        others = [axis for axis in axes if axis != along]
        lines: dict[tuple[Any, ...], list[int]] = {}
        for place, key in enumerate(keys):
            lines.setdefault((key["knn_seed"], key["seed"], *(key[other] for other in others)), []).append(place)
        for line in lines.values():
            ascending = sorted(line, key=lambda place: keys[place][along]) if is_number(along) else line
            yield from ((along, first, second) for first, second in itertools.pairwise(ascending))


def axes_of(keys: Sequence[dict[str, Any]]) -> list[str]:
    """Return the axes along which cells are compared: `AXES`, and those that the grid has beside them."""
    return [*optional_axes(keys[0]), *AXES]


def compute(
    layouts: Sequence[str | Path],
    neighbors: Sequence[str | Path],
    keys: Sequence[dict[str, Any]],
    out: str | Path,
    csv_out: str | Path,
) -> None:
    """Compare stored cells with their neighbours in the grid.

    Only the cells of one step are in memory, so that each is read once for each axis of the grid.

    Parameters
    ----------
    layouts, neighbors, keys
        Of each cell, as for `umap_sweep.quality.tables.read_cell`.
    out : path
        Receives one row for each pair from `next_cells`: `along`, the grid's further axes, each also as `other_…`, and
        the columns `COLUMNS`. `neighbor_overlap` is the mean share of
        a point's 15 nearest points that both cells have in common; `procrustes_disparity` is explained at
        `umap_sweep.quality.measures.disparity`.
    csv_out : path
        Receives the same as CSV.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    rows = []
    further = optional_axes(keys[0])
    cells: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for along, first, second in next_cells(keys):
        cells = {
            place: cells[place] if place in cells else tables.read_cell(layouts[place], neighbors[place], keys[place])
            for place in (first, second)
        }
        (coordinates, near), (other_coordinates, other_near) = cells[first], cells[second]
        shared = {
            name: keys[first][name] for name in (*further, "n_neighbors", "min_dist", "knn_k", "knn_seed", "seed")
        }
        rows.append(
            shared
            | {f"other_{axis}": keys[second][axis] for axis in (*further, *AXES)}
            | {
                "along": along,
                "neighbor_overlap": float(np.nanmean(measures.overlap(near, other_near))),
                "procrustes_disparity": measures.disparity(coordinates, other_coordinates),
            }
        )
    inputs = store.inputs_of(*layouts)
    columns = {"along": pa.string()}
    columns |= {name: OPTIONAL_COLUMNS[axis] for axis in further for name in (axis, f"other_{axis}")}
    tables.write(out, tables.table_of(rows, columns | COLUMNS), "neighboring_cells", inputs, csv_out=csv_out)
