"""Measure how each cell treats the labels and annotations of the rows, beside how the data itself has them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree

from umap_sweep import store
from umap_sweep.cells.keys import key_columns, neighbors_of
from umap_sweep.quality import labels, measures, sampling, tables
from umap_sweep.quality.cell_metrics import NEIGHBORS
from umap_sweep.sources.target import UNLABELLED, target_of

# Null where labels are no categories.
LABEL_NUMBERS = {"label_accuracy": pa.float64(), "silhouette": pa.float64(), "silhouette_sample_error": pa.float64()}

# Only of a supervised run, whose own labels say nothing of it. Null where no row with a label lacks the target.
OF_UNSEEN = {"label_accuracy_unseen": pa.float64()}

# What is said of one annotation in one cell.
ANNOTATION_COLUMNS = {
    "categories": pa.int64(),
    "rows": pa.int64(),
    "purity": pa.float64(),
    "purity_in_data": pa.float64(),
    "purity_by_chance": pa.float64(),
}


def purity(codes: np.ndarray, neighbors: np.ndarray) -> float:
    """Return which share of the near neighbours of a row is of the row's own category, as a mean over rows.

    The purity of `neighborPurity` in Bioconductor's bluster, without its weights, and among k neighbours in place of
    those in a sphere: 1 where categories lie apart, `purity_by_chance` where they are mixed throughout.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        The category of each row; -1 where there is none.
    neighbors : ndarray of int, shape (n, k)
        Row numbers, the row itself left out; -1 where there is none.

    Returns
    -------
    float
        Over the rows that have a category and a neighbour with one; NaN without any.
    """
    near = np.where(neighbors >= 0, codes[neighbors], -1)
    counted = (near >= 0).sum(axis=1)
    rows = (codes >= 0) & (counted > 0)
    if not rows.any():
        return float("nan")
    same = ((near == codes[:, None]) & (near >= 0)).sum(axis=1)
    return float((same[rows] / counted[rows]).mean())


def purity_by_chance(codes: np.ndarray) -> float:
    """Return the purity of rows whose neighbours are drawn at random: the chance of two rows to share a category."""
    counts = np.bincount(codes[codes >= 0])
    rows = counts.sum()
    return float((counts * (counts - 1)).sum() / (rows * (rows - 1))) if rows > 1 else float("nan")


def categories_of(rows: pa.Table, label_kind: str) -> dict[str, np.ndarray]:
    """Return the codes of each column of the rows whose values are categories.

    Parameters
    ----------
    rows : pyarrow.Table
        From `umap_sweep.sources.rows`.
    label_kind : str
        The configuration's `plot.label_kind`, for the label; annotations are as their values are.

    Returns
    -------
    dict of str to ndarray of int32, shape (n,)
        -1 where there is no value.
    """
    found = {}
    for name in rows.column_names[1:]:
        values = rows.column(name).combine_chunks()
        if labels.are_categories(values, label_kind if name == "label" else "auto"):
            found[name] = labels.category_codes(values)
    return found


def compute(
    layouts: Sequence[str | Path],
    neighbors: Sequence[str | Path],
    rows: str | Path,
    knn: Sequence[str | Path],
    sample: str | Path,
    labels_out: str | Path,
    out: str | Path,
    csv_out: str | Path,
    keys: Sequence[dict[str, Any]],
    label_kind: str,
    target: str | None = None,
    target_metric: str = "categorical",
) -> None:
    """Measure the labels and annotations in all cells.

    Parameters
    ----------
    layouts : sequence of path
        One for each cell.
    neighbors : sequence of path
        From `umap_sweep.quality.cell_metrics`, one for each cell; the cells of a row of the grid share one file.
    rows : path
        From `umap_sweep.sources.rows`.
    knn : sequence of path
        The k-NN that each cell is made from.
    sample : path
        From `umap_sweep.quality.high_dimensional`: the rows that the silhouette is taken of.
    labels_out : path
        Receives one row for each cell: its key (`umap_sweep.cells.keys.key_columns`) and `LABEL_NUMBERS`, of a
        supervised run `OF_UNSEEN` too.
    out, csv_out : path
        Receives one row for each annotation with categories, the label among them, and each cell: `annotation`,
        the cell's key, and `ANNOTATION_COLUMNS`.
    keys : sequence of mapping
        The key of each cell.
    label_kind : str
        The configuration's `plot.label_kind`.
    target : str, optional
        What the run is supervised by.
    target_metric : str, default "categorical"

    Raises
    ------
    InputError
        Where a file is missing or damaged, or `label_kind` is `numeric` and the labels are text.
    """
    codes = categories_of(store.read(rows), label_kind)
    sampled = store.numbers(store.read(sample, ["row"]).column("row"))
    in_data: dict[str | Path, dict[str, float]] = {}
    of_labels, of_annotations = [], []
    unseen, of_unseen = np.zeros(0, dtype=bool), {} if target is None else OF_UNSEEN
    if target not in (None, "label"):
        unseen = target_of(rows, target, target_metric) == UNLABELLED
    # The same in all cells.
    of_values = {
        name: {
            "annotation": name,
            "categories": len(np.unique(values[values >= 0])),
            "rows": int((values >= 0).sum()),
            "purity_by_chance": purity_by_chance(values),
        }
        for name, values in codes.items()
    }
    for layout, near, search, key in zip(layouts, neighbors, knn, keys, strict=True):
        cell: dict[str, float] = {}
        if codes:
            near_points = neighbors_of(near, key)
            if search not in in_data:
                in_data[search] = _in_data(search, codes)
            coordinates = tables.coordinates_of(layout)
        if "label" in codes:
            cell = of_label(coordinates, near_points, codes["label"], sampled)
            if unseen.any():
                accuracy = accuracy_of_unseen(coordinates, codes["label"], unseen)
                cell |= {"label_accuracy_unseen": accuracy} if np.isfinite(accuracy) else {}
        of_labels.append(key | cell)
        for name, values in codes.items():
            measured = of_values[name] | {
                "purity": purity(values, near_points),
                "purity_in_data": in_data[search][name],
            }
            of_annotations.append(key | {part: value for part, value in measured.items() if value == value})
    of_annotations.sort(key=lambda row: list(codes).index(row["annotation"]))
    inputs = store.inputs_of(rows, sample, *layouts)
    key_of_cell = key_columns(keys[0])
    table = tables.table_of(of_labels, key_of_cell | LABEL_NUMBERS | of_unseen)
    tables.write(labels_out, table, "annotation_metrics", inputs)
    table = tables.table_of(of_annotations, {"annotation": pa.string()} | key_of_cell | ANNOTATION_COLUMNS)
    tables.write(out, table, "annotation_metrics", inputs, csv_out=csv_out)


def accuracy_of_unseen(coordinates: np.ndarray, codes: np.ndarray, unseen: np.ndarray) -> float:
    """Return how often the nearest row that a partly labelled run was told the label of has a row's own label.

    Parameters
    ----------
    coordinates : ndarray of float32, shape (n, d)
        NaN for a row without a place.
    codes : ndarray of int, shape (n,)
        The category of each row's label, -1 for none.
    unseen : ndarray of bool, shape (n,)
        Whether the target has no value for a row.

    Returns
    -------
    float
        Over the unseen rows with a label and a place. It does not fall where few rows are told, as votes among a fixed
        number of neighbours would. NaN without any.
    """
    counted = (codes >= 0) & measures.placed(coordinates)
    asked, told = counted & unseen, counted & ~unseen
    if not asked.any() or not told.any():
        return float("nan")
    _, nearest = cKDTree(coordinates[told]).query(coordinates[asked])
    return float((codes[told][nearest] == codes[asked]).mean())


def _in_data(knn: str | Path, codes: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the purity of each annotation among the neighbours in the data, as many as in an embedding."""
    names = store.column_names(knn, "index_")[: NEIGHBORS + 1]
    stored = store.matrix(store.read(knn, names), "index_")
    near = measures.others(stored, np.arange(len(stored)), stored.shape[1] - 1)
    return {name: purity(values, near) for name, values in codes.items()}


def of_label(
    coordinates: np.ndarray, neighbors: np.ndarray, codes: np.ndarray, sampled: np.ndarray
) -> dict[str, float]:
    """Return the metrics of the label of one cell, as far as they are defined.

    Parameters
    ----------
    coordinates : ndarray of float32, shape (n, d)
        NaN for a row without a place.
    neighbors : ndarray of int, shape (n, 15)
        The nearest points of each row.
    codes : ndarray of int, shape (n,)
        The category of each row, -1 for none.
    sampled : ndarray of int, shape (m,)
        The rows that the silhouette is taken of.

    Returns
    -------
    dict of str to float
        By the names of `LABEL_NUMBERS`.
    """
    placed = measures.placed(coordinates)
    share = len(sampled) / len(codes)
    sampled = sampled[placed[sampled]]
    if placed.sum() < 3 or not len(sampled):
        return {}
    numbers = {"label_accuracy": measures.label_accuracy(codes, neighbors)}
    scores = measures.silhouettes(coordinates[sampled], codes[sampled])
    if np.isfinite(scores).any():
        numbers |= {
            "silhouette": float(np.nanmean(scores)),
            "silhouette_sample_error": sampling.error(scores, share),
        }
    return {name: value for name, value in numbers.items() if np.isfinite(value)}
