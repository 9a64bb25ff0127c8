"""The one cell that a configuration names, such as `cell: {n_neighbors: 15, min_dist: 0.1, seed: 10}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from umap_sweep.cells.keys import optional_axes
from umap_sweep.errors import InputError

# What a cell is named by, beside further axes of the grid; the rest is the same for all cells of a sweep, or follows
# from these.
NAMES = ["n_neighbors", "min_dist", "seed", "knn_seed"]

# How many cells a message lists.
MOST_LISTED = 12


def named_cell(cells: pd.DataFrame, asked: Mapping[str, Any] | None, where: str) -> pd.DataFrame:
    """Return the cell of a sweep that a configuration names.

    Parameters
    ----------
    cells : pandas.DataFrame
        From `umap_sweep.cells.grid.cells`.
    asked : mapping or None
        `n_neighbors` and `min_dist`, and `seed`, `knn_seed` and further axes where the grid has several for them. None
        is the only cell of a grid that has one alone.
    where : str
        The key of the configuration that names it, such as `export.cell`, for messages.

    Returns
    -------
    pandas.DataFrame
        The one row of the table.

    Raises
    ------
    InputError
        Where the grid has no such cell, with those that it has, or several.
    """
    every = [*optional_axes(cells), *NAMES]
    if asked and (strange := [axis for axis in optional_axes(asked) if axis not in every]):
        raise InputError(f"{where} has {strange[0]} {asked[strange[0]]}, and there is no grid.{strange[0]}; remove it.")
    wanted = {name: asked[name] for name in every if name in asked} if asked else {}
    found = cells
    for name, value in wanted.items():
        found = found[found[name] == value]
    if len(found) == 1:
        return found
    if not wanted:
        first = ", ".join(f"{name}: {cells[name].iloc[0]}" for name in every[:-1])
        raise InputError(f"{where} is missing, and the grid has {len(cells)} cells; name one, as in {{{first}}}.")
    words = f"{where} is {_written(wanted)}"
    if len(found):
        # The k-NN of a plain UMAP has the seed of its cell.
        names = [name for name in every if name != "knn_seed" or (found["knn_seed"] != found["seed"]).any()]
        values = "; ".join(f"{name} {_values(found, name)}" for name in names if found[name].nunique() > 1)
        raise InputError(f"{words}, and the grid has {len(found)} such cells; say which, of {values}.")
    unknown = [name for name, value in wanted.items() if value not in set(cells[name])]
    if unknown:
        has = "; ".join(f"{name} {_values(cells, name)}" for name in unknown)
    else:  # a table of cells need not have every combination, nor has a plain k-NN
        near = cells[cells["n_neighbors"] == wanted["n_neighbors"]].drop_duplicates(list(wanted))
        has = _listed(near, list(wanted))
    raise InputError(f"{words}, which the grid does not have; it has {has}. Name one of these, or add it to the grid.")


def _written(cell: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in cell.items())


def _values(cells: pd.DataFrame, name: str) -> str:
    values = sorted(set(cells[name].tolist()))
    more = f" and {len(values) - MOST_LISTED} more" if len(values) > MOST_LISTED else ""
    return ", ".join(map(str, values[:MOST_LISTED])) + more


def _listed(cells: pd.DataFrame, names: list[str]) -> str:
    written = [_written(dict(zip(names, row, strict=True))) for row in cells[names].itertuples(index=False, name=None)]
    more = [f"and {len(written) - MOST_LISTED} more"] if len(written) > MOST_LISTED else []
    return "; ".join(written[:MOST_LISTED] + more)
