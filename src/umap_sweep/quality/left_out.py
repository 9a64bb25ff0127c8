"""Tell which neighbours stay where a tenth of the rows is left out, and the rest is laid out anew.

What depends on which rows happen to be in the data shows where some are missing. Rows are left out at random, without
replacement, anew in each draw (subsampling; Politis, Romano and Wolf, 1999): a bootstrap would repeat rows, and a row
that is its own neighbour changes a k-NN by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree

from umap_sweep import store
from umap_sweep.cells.keys import OPTIONAL_COLUMNS, optional_axes
from umap_sweep.quality import measures, tables
from umap_sweep.quality.cell_metrics import NEIGHBORS
from umap_sweep.quality.seeds import setting_of

COLUMNS = {
    "n_neighbors": pa.int64(),
    "min_dist": pa.float64(),
    "knn_k": pa.int64(),
    "replicates": pa.int64(),
    "neighbors_stay": pa.float64(),
    "error": pa.float64(),
    "neighbors_stay_under_seeds": pa.float64(),
}

# What is left of the data in one draw, and the layouts of that.
Draw = tuple[str | Path, Sequence[str | Path]]


def neighbors_that_stay(whole: np.ndarray, remaining: np.ndarray) -> np.ndarray:
    """Return for each row which share of its 15 nearest points in one layout is among its 15 nearest in another.

    Only rows with coordinates in both are points and neighbours, so that nothing is lost by being absent alone.

    Parameters
    ----------
    whole : ndarray of float32, shape (m, d)
        The coordinates, in the layout of all rows, of those that are left.
    remaining : ndarray of float32, shape (m, d)
        The coordinates of the same rows where they alone are laid out.

    Returns
    -------
    ndarray of float64, shape (m,)
        NaN for a row without coordinates in one of the two. With 15 points or fewer all others are neighbours.
    """
    there = measures.placed(whole) & measures.placed(remaining)
    share = np.full(len(there), np.nan)
    if there.sum() > 1:
        share[there] = measures.overlap(_nearest(whole[there]), _nearest(remaining[there]))
    return share


def under_seeds(layouts: Sequence[np.ndarray], seeds: Sequence[int]) -> float:
    """Return which share of neighbours stays under another UMAP seed: the mean over rows, and over pairs of seeds.

    Parameters
    ----------
    layouts : sequence of ndarray of float32, shape (m, d)
        Of the rows to count, their coordinates in each cell of one setting. Rows with coordinates in all of them are
        points and neighbours.
    seeds : sequence of int
        The UMAP seed of each. Pairs of cells with one UMAP seed do not count.

    Returns
    -------
    float
        NaN where no pair counts, or fewer than two rows have coordinates.
    """
    pairs = [(one, other) for one, other in combinations(range(len(seeds)), 2) if seeds[one] != seeds[other]]
    there = np.all([measures.placed(layout) for layout in layouts], axis=0)
    if not pairs or there.sum() < 2:
        return float("nan")
    near = [_nearest(layout[there]) for layout in layouts]
    return float(np.mean([measures.overlap(near[one], near[other]).mean() for one, other in pairs]))


def _nearest(layout: np.ndarray) -> np.ndarray:
    """Return the 15 nearest points of each, or all others where there are fewer."""
    return measures.nearest(cKDTree(layout), layout, np.arange(len(layout)), min(NEIGHBORS, len(layout) - 1))


def by_draw(data: Sequence[str | Path], layouts: Sequence[str | Path]) -> list[Draw]:
    """Return the data of each draw with its layouts, of which each draw has as many, one draw after the other."""
    cells = len(layouts) // len(data)
    return [(one, layouts[draw * cells : (draw + 1) * cells]) for draw, one in enumerate(data)]


def share_of_draw(whole: np.ndarray, remaining: str | Path) -> float:
    """Return the mean of `neighbors_that_stay` over the rows of one draw; NaN where none has coordinates in both.

    Parameters
    ----------
    whole : ndarray of float32, shape (m, d)
        The coordinates of the rows that are left, in a layout of all rows.
    remaining : path
        The layout of the same setting and seeds of the rows that are left.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    shares = neighbors_that_stay(whole, tables.coordinates_of(remaining))
    known = shares[np.isfinite(shares)]
    return float(known.mean()) if len(known) else float("nan")


def summary(of_draws: Sequence[float]) -> dict[str, float | int | None]:
    """Return `replicates`, `neighbors_stay` and `error` from the shares of the draws, of which those known count."""
    known = [share for share in of_draws if np.isfinite(share)]
    return {
        "replicates": len(known),
        "neighbors_stay": float(np.mean(known)) if known else None,
        "error": float(np.std(known, ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None,
    }


def compute(
    whole: Sequence[str | Path],
    draws: Sequence[Draw],
    under_all_seeds: Sequence[str | Path],
    out: str | Path,
    csv_out: str | Path,
) -> None:
    """Hold stored cells against those of the same settings on fewer rows.

    The cells of one setting are in memory at a time, with one of the draws.

    Parameters
    ----------
    whole : sequence of path
        Layouts of all rows; of several of one setting the first counts.
    draws : sequence of (path, sequence of path)
        From `by_draw`: data from `umap_sweep.sources.subset.read_subsample`, and its layouts, in the order of `whole`.
    under_all_seeds : sequence of path
        Layouts of all rows, of all cells of the grid.
    out, csv_out : path
        Receive the grid's further axes and the columns `COLUMNS` as Parquet and as CSV, one row for each setting.
        `neighbors_stay` is the mean of
        `neighbors_that_stay` over rows, and over the draws, of which there are `replicates`; `error` its standard error
        over the draws, null with one; `neighbors_stay_under_seeds` that of `under_seeds` on the rows of each draw, the
        mean over the draws, null where there is one seed.

    Raises
    ------
    InputError
        Where a file is missing or damaged, or what is left is of other data.
    """
    for data, _ in draws:
        tables.check_same_data(whole[0], data)
    rows_of_draws = [store.numbers(store.read(data, ["row"]).column("row")) for data, _ in draws]
    seeds_of: dict[tuple[object, ...], list[tuple[int, str | Path]]] = {}
    for path in under_all_seeds:
        key = store.read_record(path)["key"]
        seeds_of.setdefault(tuple(key[name] for name in setting_of(key)), []).append((key["seed"], path))
    found: dict[tuple[object, ...], dict[str, object]] = {}
    for cell, path in enumerate(whole):
        key = store.read_record(path)["key"]
        setting = tuple(key[name] for name in setting_of(key))
        if setting in found:
            continue
        seeds, paths = zip(*seeds_of[setting], strict=True)
        layout, cells = tables.coordinates_of(path), [tables.coordinates_of(one) for one in paths]
        shares, shares_of_seeds = [], []
        for rows, (_, layouts) in zip(rows_of_draws, draws, strict=True):
            _say_other_epochs(path, layouts[cell])
            shares.append(share_of_draw(layout[rows], layouts[cell]))
            shares_of_seeds.append(under_seeds([one[rows] for one in cells], seeds))
        own = dict(zip(setting_of(key), setting, strict=True))
        found[setting] = own | summary(shares)
        found[setting]["neighbors_stay_under_seeds"] = summary(shares_of_seeds)["neighbors_stay"]
    inputs = store.inputs_of(*dict.fromkeys([*whole, *under_all_seeds]))
    for data, layouts in draws:
        inputs |= tables.inputs_of_derived(data, *layouts)
    columns = {axis: OPTIONAL_COLUMNS[axis] for axis in optional_axes(key)} | COLUMNS
    tables.write(out, tables.table_of(list(found.values()), columns), "left_out", inputs, csv_out=csv_out)


def _say_other_epochs(whole: str | Path, remaining: str | Path) -> None:
    """Warn where UMAP takes more epochs for the rows that are left, as it does up to 10,000 rows."""
    epochs, others = (store.read_record(path)["key"]["n_epochs"] for path in (whole, remaining))
    if epochs != others:
        logging.getLogger("umap_sweep").warning(
            "%s has %d epochs, and %s has %d, so that more than rows differs; set umap.n_epochs.",
            whole,
            epochs,
            remaining,
            others,
        )
