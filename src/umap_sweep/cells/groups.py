"""The cells of a sweep as its rules group them: by wildcards, by seeds, by figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import pandas as pd

from umap_sweep.cells.keys import optional_axes


class Cells:
    """All cells of a sweep.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.cells.grid.cells`, one row for each cell.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        self.axes = optional_axes(table)
        self._groups: dict[tuple[str, ...], dict[tuple[str, ...], pd.DataFrame]] = {}
        self._places: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}

    @cached_property
    def types(self) -> dict[str, type]:
        """The type of each column, which turns the text of a wildcard back into a value."""
        first = self.table.head(1).to_dict("records")[0]
        return {str(name): type(value) for name, value in first.items()}

    @cached_property
    def widest(self) -> dict[str, int]:
        """The largest n_neighbors, and the largest k of a k-NN."""
        return {name: int(self.table[name].max()) for name in ("n_neighbors", "knn_k")}

    def of(self, wildcards: Mapping[str, str]) -> pd.DataFrame:
        """Return the cells that a job's wildcards select.

        Parameters
        ----------
        wildcards : mapping of str to str
            Values as text, by name. Those that name no column of the table are ignored.

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
        """Return the place of the last cell that wildcards select, in the order in which a sweep starts its cells.

        The cells of the largest n_neighbors are started first.
        """
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
        """The cells whose n_neighbors and min_dist occur with several seeds."""
        return self.table[self.table.duplicated(self._setting, keep=False)]

    @property
    def number_of_settings(self) -> int:
        """How many n_neighbors and min_dist there are, whatever their seeds."""
        return len(self.table.drop_duplicates(self._setting))

    @property
    def seeds_of_a_setting(self) -> int:
        """How many cells an n_neighbors and min_dist has, on average and rounded down."""
        return len(self.table) // self.number_of_settings

    @cached_property
    def of_first_seeds(self) -> pd.DataFrame:
        """The rows of the grid with the first cell of an n_neighbors and min_dist: those of the grid's first seeds."""
        first = ~self.table.duplicated(self._setting)
        row = [self.table[name] for name in self.table if name != "min_dist"]
        return self.table[first.groupby(row).transform("any")]

    @property
    def _setting(self) -> list[str]:
        return [*self.axes, "knn_k", "n_neighbors", "min_dist"]

    @property
    def have_neighbors(self) -> bool:
        """Whether two cells differ in one of n_neighbors, min_dist and the grid's further axes alone."""
        axes = [*self.axes, "n_neighbors", "min_dist"]
        lines = ([other for other in axes if other != axis] for axis in axes)
        return any(self.table.duplicated(["knn_seed", "seed", *line]).any() for line in lines)

    def figures(self) -> dict[str, tuple[int, int]]:
        """Return the k-NN seed and UMAP seed of each figure of the grid, by the figure's name; the first is `grid`."""
        columns = (self.table[name].tolist() for name in ("knn_seed", "seed"))
        pairs = list(dict.fromkeys(zip(*columns, strict=True)))
        names = ["grid", *(f"grid_knn_seed={knn_seed}_seed={seed}" for knn_seed, seed in pairs[1:])]
        return dict(zip(names, pairs, strict=True))

    def seeded(self) -> list[dict[str, object]]:
        """Return each setting that occurs with several seeds: n_neighbors, min_dist and the grid's further axes."""
        columns = ["metric", "knn_k", "knn_jobs", "n_neighbors", "min_dist"]
        cells = self.with_seeds[[*self.axes, *columns]].drop_duplicates()
        return as_records(cells, [*self.axes, "n_neighbors", "min_dist"])

    def seeds_drawn(self) -> tuple[int | None, int | None]:
        """Return the k-NN seed and the UMAP seed that most cells of `with_seeds` have; of equals, the first."""
        pairs = self.with_seeds.groupby(["knn_seed", "seed"], sort=False).size()
        if not len(pairs):
            return None, None
        knn_seed, seed = pairs.index[int(pairs.argmax())]
        return int(knn_seed), int(seed)

    def sample(self, count: int | str) -> pd.DataFrame:
        """Return all cells if `count` is `all`, otherwise as many of them as it says, drawn with a fixed seed."""
        return self.table if count == "all" else self.table.sample(min(int(count), len(self.table)), random_state=0)


def as_records(cells: pd.DataFrame, columns: Sequence[str] | None = None) -> list[dict[str, object]]:
    """Return one mapping for each cell, of all columns or of those given."""
    table = cells if columns is None else cells[list(columns)]
    return [{str(name): value for name, value in cell.items()} for cell in table.to_dict("records")]
