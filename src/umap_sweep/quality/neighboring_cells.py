"""Measure how much an embedding changes from a cell of the grid to the next one."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import neighbors_of
from umap_sweep.quality import measures

COLUMNS = {
    "along": pa.string(),
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
    """Yield the pairs of cells that differ in one of the two axes alone, by no more than one step of the grid.

    Parameters
    ----------
    keys : sequence of mapping
        Of the cells.

    Yields
    ------
    along : {"n_neighbors", "min_dist"}
    first, second : int
        Places in `keys`; the second has the larger value.
    """
    for along in AXES:
        (other,) = (axis for axis in AXES if axis != along)
        lines: dict[tuple[Any, ...], list[int]] = {}
        for place, key in enumerate(keys):
            lines.setdefault((key["knn_seed"], key["seed"], key[other]), []).append(place)
        for line in lines.values():
            ascending = sorted(line, key=lambda place: keys[place][along])
            yield from ((along, first, second) for first, second in itertools.pairwise(ascending))


def compute(
    embeddings: Sequence[str | Path],
    neighbors: Sequence[str | Path],
    keys: Sequence[dict[str, Any]],
    out: str | Path,
    csv_out: str | Path,
) -> None:
    """Compare stored neighbouring cells.

    Parameters
    ----------
    embeddings : sequence of path
    neighbors : sequence of path
        Of the same cells, from `umap_sweep.quality.cell_metrics`; cells that differ in min_dist alone share theirs.
    keys : sequence of mapping
    out : path
        Receives one row a pair of cells, the columns `COLUMNS`. `neighbor_overlap` is the mean share of a point's 15
        nearest points that stay, `procrustes_disparity` that of `measures.disparity`.
    csv_out : path
        Receives the same as CSV.
    """
    coordinates = [store.matrix(store.read(path), "umap_") for path in embeddings]
    near = [neighbors_of(path, key) for path, key in zip(neighbors, keys, strict=True)]
    rows = []
    for along, first, second in next_cells(keys):
        shared = {name: keys[first][name] for name in ("n_neighbors", "min_dist", "knn_k", "knn_seed", "seed")}
        rows.append(
            shared
            | {f"other_{axis}": keys[second][axis] for axis in AXES}
            | {
                "along": along,
                "neighbor_overlap": float(np.nanmean(measures.overlap(near[first], near[second]))),
                "procrustes_disparity": measures.disparity(coordinates[first], coordinates[second]),
            }
        )
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in COLUMNS.items()})
    inputs = {str(path): store.read_record(path)["fingerprint"] for path in embeddings}
    store.write(out, table, store.make_record("neighboring_cells", {}, store.fingerprint(table), inputs))
    store.write_csv(csv_out, table)
