"""The looks of `choose`: how many seeds each has, and the cells of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from umap_sweep.cells.keys import optional_axes

# Runs of one setting can fall into a few groups, such as by which of two clusters comes to lie beside a third. Under
# three seeds all can be of one group by chance, and look as if there were no noise; under five hardly ever.
FEWEST_SEEDS = 5
SETTING = ["metric", "knn_k", "knn_jobs", "n_neighbors", "min_dist"]


def seeds_of_looks(seeds: Sequence[int], most: int) -> list[list[int]]:
    """Return the UMAP seeds of each look, the first ones those of the grid.

    Each look has about twice as many as the one before, so that there are few of them: what is decided at one look is
    decided at a level that is divided by their number.

    Parameters
    ----------
    seeds : sequence of int
        Of the grid.
    most : int
        Of one setting. Where the grid has as many, there is one look, at those of the grid.

    Returns
    -------
    list of list of int
        Further seeds are the numbers that follow the largest of the grid, from 0 again beyond the largest seed.
    """
    known = list(dict.fromkeys(seeds))
    following = (number % 2**32 for number in range(max(known) + 1, max(known) + 1 + most + len(known)))
    every = known + [seed for seed in following if seed not in known][: max(most - len(known), 0)]
    counts = [max(len(known), min(FEWEST_SEEDS, most))]
    while counts[-1] < most:
        counts.append(min(2 * counts[-1], most))
    return [every[:count] for count in counts]


def with_seeds(cells: pd.DataFrame, seeds: Sequence[int], method: str) -> pd.DataFrame:
    """Return every setting of a grid under each of some UMAP seeds.

    Parameters
    ----------
    cells : pandas.DataFrame
        From `umap_sweep.cells.grid.cells`. Of several k-NN seeds the first counts.
    seeds : sequence of int
    method : str
        Of the k-NN. That of `plain` has the UMAP seed for its own.

    Returns
    -------
    pandas.DataFrame
        The same columns.
    """
    settings = cells[[*optional_axes(cells), *SETTING]].drop_duplicates()
    settings = settings.assign(knn_seed=int(cells["knn_seed"].iloc[0]))
    found = settings.merge(pd.DataFrame({"seed": list(seeds)}), how="cross")
    if method == "plain":
        found["knn_seed"] = found["seed"]
    return found[list(cells.columns)]
