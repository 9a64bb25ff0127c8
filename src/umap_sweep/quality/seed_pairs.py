"""Measure how much one n_neighbors and min_dist changes with its seeds: between pairs of runs, and for each point."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import neighbors_of
from umap_sweep.quality import measures

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
ACROSS = {(False, True): "UMAP seed", (True, False): "k-NN seed", (True, True): "both seeds"}


def compare(
    coordinates: Sequence[np.ndarray], neighbors: Sequence[np.ndarray], keys: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Compare every run with every other.

    Parameters
    ----------
    coordinates : sequence of ndarray of float32, shape (n, d)
        One a run.
    neighbors : sequence of ndarray of int, shape (n, 15)
        The nearest points of each point in them.
    keys : sequence of mapping
        Alike but for `knn_seed` and `seed`.

    Returns
    -------
    pairs : list of dict
        By the names of `COLUMNS`.
    instability : ndarray of float32, shape (n,)
        1 minus the mean share of a point's nearest points that two runs have in common: 0 where they always stay, 1
        where they never do. Over the pairs whose UMAP seeds differ, because the seed of an exact k-NN changes nothing;
        over all pairs where there is one UMAP seed. NaN for a point that no two runs place.
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
            {name: keys[left][name] for name in ("n_neighbors", "min_dist", "knn_k", "knn_seed", "seed")}
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
    embeddings: Sequence[str | Path],
    neighbors: Sequence[str | Path],
    keys: Sequence[dict[str, Any]],
    points_out: str | Path,
    pairs_out: str | Path,
) -> None:
    """Compare stored runs of one n_neighbors and min_dist.

    Parameters
    ----------
    embeddings : sequence of path
    neighbors : sequence of path
        Of the same cells, from `umap_sweep.quality.cell_metrics`; cells that differ in min_dist alone share theirs.
    keys : sequence of mapping
    points_out : path
        Receives `instability` (float32), one row a data row, in their order.
    pairs_out : path
        Receives one row a pair of runs, the columns `COLUMNS`.
    """
    pairs, instability = compare(
        [store.matrix(store.read(path), "umap_") for path in embeddings],
        [neighbors_of(path, key) for path, key in zip(neighbors, keys, strict=True)],
        keys,
    )
    tables = {
        points_out: pa.table({"instability": instability}),
        pairs_out: pa.table({name: pa.array([pair[name] for pair in pairs], kind) for name, kind in COLUMNS.items()}),
    }
    inputs = {str(path): store.read_record(path)["fingerprint"] for path in embeddings}
    for out, table in tables.items():
        store.write(out, table, store.make_record("seed_pairs", {}, store.fingerprint(table), inputs))
