"""Which cells share a layout job.

Cells of one row of the grid, which differ in min_dist alone, are laid out together for little more than the price of
one. But a job takes one core, so that where cores are many, more and smaller jobs are done sooner.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import pandas as pd

from umap_sweep.cells.grid import CELL_COLUMNS
from umap_sweep.cells.keys import optional_axes

# What a job of several cells costs, in times of a job of one: 1.25 measured for four cells of MNIST, and little less
# for two, because a lane without a cell costs the same. Of jobs that cost the same, the smaller are less to repeat.
SHARED_COST, COST_OF_A_CELL = 1.17, 0.02

# Fewer and larger jobs are preferred where they are done later by no more than this, because jobs side by side wait for
# the same memory: at a million rows two jobs of two cells took longer than one of four.
NEARLY_AS_SOON = 1.05

# What tells the rows of the grid apart, beside further axes.
ROW_COLUMNS = [name for name in CELL_COLUMNS if name != "min_dist"]

Rows = frozenset[tuple[object, ...]]

# The text of a min_dist, as it is in paths, and as it is in names of jobs, which have no other signs than these.
_TEXT = str.maketrans("pm", ".-")
_NAME = str.maketrans(".-", "pm")
_NUMBER = r"_\d+(?:p\d+)?(?:em?\d+)?"


def row_columns(cells: pd.DataFrame) -> list[str]:
    """Return what tells the rows of a grid apart: `ROW_COLUMNS`, and then the further axes that it has."""
    return [*ROW_COLUMNS, *optional_axes(cells)]


def cost(cells: int) -> float:
    """Return how many times as long as a job of one cell a job of several takes."""
    return 1.0 if cells == 1 else SHARED_COST + COST_OF_A_CELL * cells


def together(cells: pd.DataFrame, stored: Sequence[bool], cores: int | None, lanes: int) -> list[tuple[str, ...]]:
    """Return the min_dist that are laid out together, in every row of the grid that has them.

    Of two min_dist in one job, each row has the cells of both or of neither, and of both or of neither the results are
    stored: so a job makes no cell that the sweep has not, and none once more because another is missing.

    Parameters
    ----------
    cells : pandas.DataFrame
        From `umap_sweep.cells.grid.cells`; a further column `dataset` tells rows of several data sets apart.
    stored : sequence of bool
        Of each cell, whether its results are there.
    cores : int or None
        How many jobs run side by side; None where that is not known, and jobs are as large as they can be.
    lanes : int
        The largest number of cells in a job.

    Returns
    -------
    list of tuple of str
        Each min_dist as it is in paths. Those that stand alone are not among them.
    """
    groups = _alike(cells, stored)
    missing = [(columns, rows) for columns, _, rows in groups if rows]
    # What is stored may be made anew by changed code, and then all of it.
    every = [(columns, rows) for columns, rows, _ in groups]
    widths = {is_missing: _width(jobs, cores, lanes) for is_missing, jobs in ((True, missing), (False, every)) if jobs}
    parts = [part for columns, _, rows in groups for part in _parts(columns, widths[bool(rows)])]
    return [tuple(str(min_dist) for min_dist in part) for part in parts if len(part) > 1]


def _alike(cells: pd.DataFrame, stored: Sequence[bool]) -> list[tuple[list[float], Rows, Rows]]:
    """Return the min_dist that have the same rows, of which the same are missing; these rows; and the missing ones."""
    names = [*row_columns(cells), *(["dataset"] if "dataset" in cells else [])]
    rows = list(cells[names].itertuples(index=False, name=None))
    every: dict[float, set[tuple[object, ...]]] = {}
    missing: dict[float, set[tuple[object, ...]]] = {}
    for min_dist, row, is_stored in zip(cells["min_dist"].tolist(), rows, stored, strict=True):
        every.setdefault(min_dist, set()).add(row)
        missing.setdefault(min_dist, set()).update([] if is_stored else [row])
    groups: dict[tuple[Rows, Rows], list[float]] = {}
    for min_dist in sorted(every):
        groups.setdefault((frozenset(every[min_dist]), frozenset(missing[min_dist])), []).append(min_dist)
    return [(columns, *sets) for sets, columns in groups.items()]


def _parts(columns: Sequence[float], width: int) -> list[list[float]]:
    """Cut columns into as few parts of at most `width` as there can be, of nearly the same size."""
    count = math.ceil(len(columns) / width)
    ends = [len(columns) * part // count for part in range(count + 1)]
    return [list(columns[start:end]) for start, end in pairwise(ends)]


def _width(jobs: Sequence[tuple[list[float], Rows]], cores: int | None, lanes: int) -> int:
    """Return the number of cells in a job with which all is done soonest; of near equals, what takes least in all."""
    if cores is None:
        return lanes
    place = ROW_COLUMNS.index("n_neighbors")
    ends, sums = {}, {}
    for width in range(1, lanes + 1):
        # An epoch takes samples in proportion to the weight of the graph, of which each row has log2(n_neighbors).
        costs = [
            cost(len(part)) * math.log2(int(str(row[place])))
            for columns, rows in jobs
            for part in _parts(columns, width)
            for row in rows
        ]
        ends[width], sums[width] = _makespan(costs, cores), round(sum(costs), 6)
    soon = [width for width, end in ends.items() if end <= NEARLY_AS_SOON * min(ends.values())]
    return min(soon, key=lambda width: (sums[width], width))


def _makespan(costs: Sequence[float], cores: int) -> float:
    """Return when the last job ends, where the longest starts first, and each on the first core that is free."""
    free = [0.0] * min(cores, len(costs))
    for one in sorted(costs, reverse=True):
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def job_name(rule: str, columns: Sequence[str]) -> str:
    """Return the name of the rule that lays out some min_dist together, such as `layout_0p1_0p25`."""
    return "_".join([rule, *(text.translate(_NAME) for text in columns)])


def named_columns(name: str, rule: str, renamed: Callable[[str], str]) -> tuple[str, ...]:
    """Return the min_dist that a rule lays out together, as they are in paths, from its name.

    Parameters
    ----------
    name : str
        Of any rule, as an importing workflow may have renamed it.
    rule : str
        As for `job_name`.
    renamed : callable
        Takes the name of a rule and returns the name that it has been given.

    Returns
    -------
    tuple of str
        Empty where the rule is another one.
    """
    found = re.search(rf"{rule}((?:{_NUMBER})+)", name)
    columns = [text.translate(_TEXT) for text in found[1][1:].split("_")] if found else []
    # What an importing workflow puts behind the name may look like one more.
    for count in range(len(columns), 1, -1):
        if renamed(job_name(rule, columns[:count])) == name:
            return tuple(columns[:count])
    return ()
