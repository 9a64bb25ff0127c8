"""Measure how much an embedding changes with the seeds alone: between two cells, and for each point.

The cells compared have one n_neighbors and one min_dist, and differ in their k-NN seed, their UMAP seed, or both.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import OPTIONAL_COLUMNS, optional_axes
from umap_sweep.quality import measures, tables

COLUMNS = {
    "n_neighbors": pa.int64(),
    "min_dist": pa.float64(),
    "knn_k": pa.int64(),
    "across": pa.string(),
    "knn_seed": pa.int64(),
    "seed": pa.int64(),
    "other_knn_seed": pa.int64(),
    "other_seed": pa.int64(),
    "neighbor_overlap": pa.float64(),
    "procrustes_disparity": pa.float64(),
}
SHARED = ("n_neighbors", "min_dist", "knn_k", "knn_seed", "seed")
# What the column `across` says, by whether the k-NN seeds and the UMAP seeds of two cells differ.
ACROSS = {(False, True): "UMAP seed", (True, False): "k-NN seed", (True, True): "both seeds"}


def compare(
    coordinates: Sequence[np.ndarray], neighbors: Sequence[np.ndarray], keys: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Compare every cell with every other.

    Parameters
    ----------
    coordinates : sequence of ndarray of float32, shape (n, d)
        Of each cell.
    neighbors : sequence of ndarray of int, shape (n, 15)
        The nearest points of each point, in each cell.
    keys : sequence of mapping
        The key of each cell; they differ in `knn_seed` and `seed` alone.

    Returns
    -------
    pairs : list of dict
        One for each pair of cells, by the names of `COLUMNS` and of the grid's further axes.
    instability : ndarray of float32, shape (n,)
        For each point, 1 minus the mean share of its nearest points that two cells have in common: 0 where all of them
        stay, 1 where none does. The mean is over the pairs whose UMAP seeds differ, because the seed of an exact k-NN
        changes nothing; where all cells have one UMAP seed, over all pairs. NaN for a point that has coordinates in no
        two cells of a pair.
    """
    pairs = []
    total, counted = np.zeros(len(coordinates[0])), np.zeros(len(coordinates[0]), dtype=np.int64)
    one_seed = len({key["seed"] for key in keys}) == 1
    for left, right in itertools.combinations(range(len(keys)), 2):
        shared = measures.overlap(neighbors[left], neighbors[right])
        placed = np.isfinite(shared)
        changed = tuple(keys[left][name] != keys[right][name] for name in ("knn_seed", "seed"))
        if changed[1] or one_seed:
            total[placed] += shared[placed]
            counted += placed
        pairs.append(
            {name: keys[left][name] for name in (*optional_axes(keys[left]), *SHARED)}
            | {f"other_{name}": keys[right][name] for name in ("knn_seed", "seed")}
            | {
                "across": ACROSS[changed],
                "neighbor_overlap": float(shared[placed].mean()) if placed.any() else float("nan"),
                "procrustes_disparity": measures.disparity(coordinates[left], coordinates[right]),
            }
        )
    with np.errstate(invalid="ignore"):
        return pairs, (1 - total / counted).astype(np.float32)


def compute(
    layouts: Sequence[str | Path],
    neighbors: Sequence[str | Path],
    keys: Sequence[dict[str, Any]],
    points_out: str | Path,
    pairs_out: str | Path,
) -> None:
    """Compare the stored cells of one n_neighbors and min_dist.

    Parameters
    ----------
    layouts, neighbors, keys
        Of each cell, as for `umap_sweep.quality.tables.read_cell`.
    points_out : path
        Receives `instability` (float32): a row for each row of the data, in the data's order.
    pairs_out : path
        Receives one row for each pair of cells, the grid's further axes and the columns `COLUMNS`.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    cells = [tables.read_cell(*cell) for cell in zip(layouts, neighbors, keys, strict=True)]
    coordinates, nearest = zip(*cells, strict=True)
    pairs, instability = compare(coordinates, nearest, keys)
    inputs = store.inputs_of(*layouts)
    tables.write(points_out, pa.table({"instability": instability}), "seed_pairs", inputs)
    columns = {axis: OPTIONAL_COLUMNS[axis] for axis in optional_axes(keys[0])} | COLUMNS
    tables.write(pairs_out, tables.table_of(pairs, columns), "seed_pairs", inputs)
