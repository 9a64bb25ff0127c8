"""Measure the cells of one row of the grid: how well they keep near and far, and what they make of the labels."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree

from umap_sweep import store
from umap_sweep.cells.keys import KEY_COLUMNS, column_of
from umap_sweep.quality import labels, measures
from umap_sweep.quality.high_dimensional import rank_step

NEIGHBORS = 15
RECALLS = (15, 50, 150)

# The numbers of one cell; null where one is not defined: no categories, too few rows.
NUMBERS = {
    "recall_15": pa.float64(),
    "recall_50": pa.float64(),
    "recall_150": pa.float64(),
    "trustworthiness": pa.float64(),
    "continuity": pa.float64(),
    "triplet_accuracy": pa.float64(),
    "distance_correlation": pa.float64(),
    "label_accuracy": pa.float64(),
    "silhouette": pa.float64(),
    "disconnected": pa.float64(),
    "rows": pa.int64(),
    "recall_15_rows": pa.int64(),
    "sample_rows": pa.int64(),
    "sample_triplets": pa.int64(),
    "sample_pairs": pa.int64(),
}


class Cell:
    """An embedding among the data it was made from.

    A row without coordinates is in no list of neighbours, of the data or of the embedding, and counts in no rank.

    Parameters
    ----------
    coordinates : ndarray of float32, shape (n, d)
        NaN for a disconnected row.
    sampled : ndarray of int, shape (m,)
        The rows that are looked at more closely, ascending; all of them where there are few.
    exact : ndarray of int, shape (m, up to 150)
        Their nearest other rows in the data.
    """

    def __init__(self, coordinates: np.ndarray, sampled: np.ndarray, exact: np.ndarray) -> None:
        self.coordinates = coordinates
        self.placed = np.isfinite(coordinates).all(axis=1)
        self.row_of = np.flatnonzero(self.placed)
        self.place_of = np.full(len(coordinates), -1)
        self.place_of[self.row_of] = np.arange(len(self.row_of))
        self.tree = cKDTree(coordinates[self.placed])
        self.kept = self.placed[sampled]
        self.all_sampled = sampled
        self.sampled = sampled[self.kept]
        self.exact = self._without_unplaced(exact[self.kept])

    def _without_unplaced(self, neighbors: np.ndarray) -> np.ndarray:
        """Return lists of neighbours with those that have no place taken out, and -1 behind the others."""
        neighbors = np.where(self.placed[neighbors] & (neighbors >= 0), neighbors, -1)
        if (neighbors >= 0).all():
            return neighbors
        order = np.argsort(neighbors < 0, axis=1, kind="stable")
        return np.take_along_axis(neighbors, order, axis=1)

    def nearest(self, rows: np.ndarray, k: int) -> np.ndarray:
        """Return the row numbers of the k points nearest to given placed rows, fewer where there are fewer points."""
        k = min(k, len(self.row_of) - 1)
        return self.row_of[measures.nearest(self.tree, self.coordinates[rows], self.place_of[rows], k)].astype(np.int32)

    def without_unplaced(
        self, columns: Mapping[str, np.ndarray], of_rows: Sequence[str]
    ) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
        """Leave out pairs or triplets in which a row has no place, and return the others and which they are."""
        kept = np.logical_and.reduce([self.placed[columns[name]] for name in of_rows])
        if kept.all():
            return columns, kept
        return {name: values[kept] for name, values in columns.items()}, kept

    def neighbors(self) -> np.ndarray:
        """Return the 15 nearest points of every row, -1 for those of a row without coordinates.

        Returns
        -------
        ndarray of int32, shape (n, 15)
            Narrower where there are fewer points.
        """
        if len(self.row_of) < 2:
            return np.full((len(self.placed), 1), -1, dtype=np.int32)
        found = self.nearest(self.row_of, NEIGHBORS)
        if self.placed.all():
            return found
        near = np.full((len(self.placed), found.shape[1]), -1, dtype=np.int32)
        near[self.row_of] = found
        return near

    def recall_of_points(self, neighbors: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """Return the share of each row's stored k nearest neighbours, k at most 15, among its k nearest here.

        Parameters
        ----------
        neighbors : ndarray of int, shape (n, 15)
            From `neighbors`.
        stored : ndarray of int, shape (n, k + 1)
            The first columns of the k-NN, which hold the row itself.

        Returns
        -------
        ndarray of float64, shape (n,)
            NaN for a row without coordinates, or whose neighbours are all without.
        """
        k = stored.shape[1] - 1
        high = self._without_unplaced(measures.others(stored, np.arange(len(stored)), k))
        return measures.overlap(high, neighbors[:, :k])

    def recalls(self) -> dict[str, float]:
        """Return the mean recall of the sampled rows' exact neighbours at 15, 50 and 150, as far as rows reach."""
        near = self.nearest(self.sampled, max(RECALLS))
        return {
            f"recall_{k}": float(np.nanmean(measures.overlap(self.exact[:, :k], near[:, :k])))
            for k in RECALLS
            if k <= near.shape[1]
        }

    def faithfulness(self, neighbors: np.ndarray, ranks: Iterable[np.ndarray]) -> dict[str, float]:
        """Return trustworthiness and continuity for 15 neighbours, over the sampled rows.

        Parameters
        ----------
        neighbors : ndarray of int, shape (n, 15)
        ranks : iterable of ndarray of uint16, shape (some rows, n)
            From `umap_sweep.quality.high_dimensional`, together one row a sampled row.
        """
        points = len(self.row_of)
        if points <= 2 * NEIGHBORS:
            return {}
        full = (self.exact[:, :NEIGHBORS] >= 0).all(axis=1)
        low_ranks = measures.ranks_within(
            self.tree, self.coordinates[self.sampled[full]], self.place_of[self.exact[full, :NEIGHBORS]]
        )
        return {
            "trustworthiness": measures.trustworthiness(self._ranks_in_data(neighbors, ranks), NEIGHBORS, points),
            "continuity": measures.trustworthiness(low_ranks, NEIGHBORS, points),
        }

    def _ranks_in_data(self, neighbors: np.ndarray, ranks: Iterable[np.ndarray]) -> np.ndarray:
        """Return the ranks in the data, among rows with a place, of the neighbours of sampled rows."""
        step, found, start = rank_step(len(self.placed)), [], 0
        for block in ranks:
            rows = self.all_sampled[start : start + len(block)]
            start += len(block)
            near = neighbors[rows]
            stored = np.take_along_axis(block, near, axis=1)
            counted = stored * float(step) + (step - 1) / 2  # in the middle of what is stored as one
            if not self.placed.all():
                for place in range(len(block)):
                    counted[place] -= np.searchsorted(np.sort(block[place, ~self.placed]), stored[place])
            found.append(counted[self.placed[rows]])
        return np.concatenate(found)


def measure(
    cell: Cell,
    neighbors: np.ndarray,
    ranks: Iterable[np.ndarray],
    pairs: Mapping[str, np.ndarray],
    triplets: Mapping[str, np.ndarray],
    codes: np.ndarray | None,
) -> dict[str, float | int]:
    """Return the numbers of one cell.

    Parameters
    ----------
    cell : Cell
    neighbors : ndarray of int, shape (n, 15)
        From `Cell.neighbors`.
    ranks : iterable of ndarray of uint16, shape (some rows, n)
    pairs, triplets : mapping of str to ndarray
        Columns that `umap_sweep.quality.high_dimensional` stores.
    codes : ndarray of int, shape (n,), or None
        Label of each row, where labels are categories.

    Returns
    -------
    dict
        Of `NUMBERS`, those that are defined.
    """
    numbers: dict[str, float | int] = {
        "disconnected": 1 - float(cell.placed.mean()),
        "rows": len(cell.placed),
        "sample_rows": len(cell.sampled),
    }
    if len(cell.row_of) < 3 or not len(cell.sampled):
        return numbers
    numbers |= cell.recalls() | cell.faithfulness(neighbors, ranks)
    numbers["recall_15_rows"] = len(cell.sampled)
    triplets, kept = cell.without_unplaced(triplets, ("row", "near", "far"))
    if kept.any():
        numbers["triplet_accuracy"] = measures.triplet_accuracy(cell.coordinates, **triplets)
    numbers["sample_triplets"] = int(kept.sum())
    pairs, kept = cell.without_unplaced(pairs, ("first", "second"))
    if kept.any():
        high = pairs["distance_rank"] if kept.all() else measures.average_ranks(pairs["distance_rank"])
        low = measures.average_ranks(measures.distances(cell.coordinates, pairs["first"], pairs["second"]))
        numbers["distance_correlation"] = measures.spearman(high, low)
    numbers["sample_pairs"] = int(kept.sum())
    if codes is not None:
        numbers["label_accuracy"] = measures.label_accuracy(codes, neighbors)
        numbers["silhouette"] = measures.silhouette(cell.coordinates[cell.sampled], codes[cell.sampled])
    return {name: value for name, value in numbers.items() if np.isfinite(value)}


def columns_of(path: str | Path) -> dict[str, np.ndarray]:
    """Return all columns of a stored table of numbers."""
    table = store.read(path)
    return {name: store.numbers(table.column(name)) for name in table.column_names}


def compute(
    embeddings: Sequence[str | Path],
    knn: str | Path,
    sample: str | Path,
    ranks: str | Path,
    pairs: str | Path,
    triplets: str | Path,
    points_out: str | Path,
    neighbors_out: str | Path,
    metrics_out: str | Path,
    label_kind: str,
    keys: Sequence[dict[str, Any]],
) -> None:
    """Measure stored embeddings of one k-NN, n_neighbors and seed, one after the other.

    Parameters
    ----------
    embeddings : sequence of path
    knn : path
    sample, ranks, pairs, triplets : path
        From `umap_sweep.quality.high_dimensional`.
    points_out : path
        Receives the recall of each point (float32), one row a data row, in their order, and a column a cell, which
        `sweep.column_of` names.
    neighbors_out : path
        Receives, in columns that are named alike, lists of int32: the 15 nearest points of each row in the embedding,
        -1 where it has no coordinates.
    metrics_out : path
        Receives the key columns of the tidy table and the columns `NUMBERS`, one row a cell.
    label_kind : str
        The configuration's `plot.label_kind`.
    keys : sequence of mapping
        Of the cells, which differ in their min_dist alone.
    """
    sampled = store.read(sample)
    rows, exact = store.numbers(sampled.column("row")), store.from_lists(sampled.column("neighbors"))
    width = min(NEIGHBORS, keys[0]["knn_k"] - 1)
    stored = store.matrix(store.read(knn, [f"index_{rank}" for rank in range(width + 1)]), "index_")
    far = columns_of(pairs), columns_of(triplets)
    points, nearest, measured = {}, {}, []
    for path, key in zip(embeddings, keys, strict=True):
        table = store.read(path)
        cell = Cell(store.matrix(table, "umap_"), rows, exact)
        codes = None
        if "label" in table.column_names:
            given = table.column("label").combine_chunks()
            codes = labels.category_codes(given) if labels.are_categories(given, label_kind) else None
        neighbors = cell.neighbors()
        recall = cell.recall_of_points(neighbors, stored)
        numbers = measure(cell, neighbors, store.read_binary_rows(ranks, "ranks", "<u2"), *far, codes)
        if width == NEIGHBORS and np.isfinite(recall).any():
            numbers |= {"recall_15": float(np.nanmean(recall)), "recall_15_rows": int(np.isfinite(recall).sum())}
        measured.append(key | numbers)
        points[column_of(key)] = recall.astype(np.float32)
        nearest[column_of(key)] = store.lists(neighbors)
    columns = KEY_COLUMNS | NUMBERS
    outputs = {
        points_out: pa.table(points),
        neighbors_out: pa.table(nearest),
        metrics_out: pa.table(
            {name: pa.array([row.get(name) for row in measured], kind) for name, kind in columns.items()}
        ),
    }
    files = {column_of(key): path for path, key in zip(embeddings, keys, strict=True)}
    files |= {"knn": knn, "high_dimensional": sample}
    inputs = {name: store.read_record(path)["fingerprint"] for name, path in files.items()}
    shared = {name: value for name, value in keys[0].items() if name != "min_dist"}
    for out, result in outputs.items():
        store.write(out, result, store.make_record("metrics", shared, store.fingerprint(result), inputs))
