"""The cells of a sweep as its rules look at them: which are alike, which are neighbours, which have several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import pandas as pd


class Cells:
    """All cells of a sweep.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.cells.grid.cells`, one row a cell.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        self._groups: dict[tuple[str, ...], dict[tuple[str, ...], pd.DataFrame]] = {}
        self._places: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}

    @cached_property
    def types(self) -> dict[str, type]:
        """What turns the text of a cell's wildcards back into values, by column."""
        first = self.table.head(1).to_dict("records")[0]
        return {str(name): type(value) for name, value in first.items()}

    @cached_property
    def widest(self) -> dict[str, int]:
        """The largest n_neighbors, and the largest k of a k-NN."""
        return {name: int(self.table[name].max()) for name in ("n_neighbors", "knn_k")}

    def of(self, wildcards: Mapping[str, str]) -> pd.DataFrame:
        """Return the cells that a job's wildcards leave open.

        Parameters
        ----------
        wildcards : mapping of str to str
            Columns of the table among them, as text; others are left aside.

        Returns
        -------
        pandas.DataFrame
            A row of the grid, or the seeds of one n_neighbors and min_dist, or one cell.
        """
        names, values = self._named(wildcards)
        if names not in self._groups:
            groups = self.table.groupby(list(names), sort=False)
            self._groups[names] = {tuple(map(str, key)): cells for key, cells in groups}
        return self._groups[names][values]

    def last_place(self, wildcards: Mapping[str, str]) -> int:
        """Return the place of the last of these cells in the order in which a sweep starts them, widest first."""
        names, values = self._named(wildcards)
        if names not in self._places:
            cells = self.table.sort_values("n_neighbors", ascending=False, kind="stable")[list(names)]
            places = enumerate(cells.itertuples(index=False, name=None))
            self._places[names] = {tuple(map(str, key)): place for place, key in places}
        return self._places[names][values]

    def _named(self, wildcards: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        names = tuple(name for name in self.types if name in wildcards)
        return names, tuple(wildcards[name] for name in names)

    @cached_property
    def with_seeds(self) -> pd.DataFrame:
        """The cells of every n_neighbors and min_dist that has several seeds."""
        return self.table[self.table.duplicated(["knn_k", "n_neighbors", "min_dist"], keep=False)]

    @property
    def have_neighbors(self) -> bool:
        """Whether two cells differ in n_neighbors alone, or in min_dist alone."""
        return any(self.table.duplicated(["knn_seed", "seed", axis]).any() for axis in ("n_neighbors", "min_dist"))

    def figures(self) -> dict[str, tuple[int, int]]:
        """Return the k-NN seed and UMAP seed of each figure of the grid, by the figure's name; the first is `grid`."""
        columns = (self.table[name].tolist() for name in ("knn_seed", "seed"))
        pairs = list(dict.fromkeys(zip(*columns, strict=True)))
        names = ["grid", *(f"grid_knn_seed={knn_seed}_seed={seed}" for knn_seed, seed in pairs[1:])]
        return dict(zip(names, pairs, strict=True))

    def seeded(self) -> list[tuple[int, float]]:
        """Return n_neighbors and min_dist of those that have several seeds."""
        columns = ["metric", "knn_k", "knn_jobs", "n_neighbors", "min_dist"]
        cells = self.with_seeds[columns].drop_duplicates()
        return list(zip(cells["n_neighbors"].tolist(), cells["min_dist"].tolist(), strict=True))

    def seeds_drawn(self) -> tuple[int | None, int | None]:
        """Return the k-NN seed and the UMAP seed that most cells with several seeds have; the first of equals."""
        pairs = self.with_seeds.groupby(["knn_seed", "seed"], sort=False).size()
        if not len(pairs):
            return None, None
        knn_seed, seed = pairs.idxmax()
        return int(knn_seed), int(seed)

    def sample(self, count: int | str) -> pd.DataFrame:
        """Return all cells where `count` is `all`, or as many of them, drawn with a seed."""
        return self.table if count == "all" else self.table.sample(min(int(count), len(self.table)), random_state=0)


def as_records(cells: pd.DataFrame, columns: Sequence[str] | None = None) -> list[dict[str, object]]:
    """Return the keys of cells, or some columns of them, one mapping a cell."""
    table = cells if columns is None else cells[list(columns)]
    return [{str(name): value for name, value in cell.items()} for cell in table.to_dict("records")]
