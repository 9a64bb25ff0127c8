"""Measure the cells of one row of the grid: how well each keeps the neighbours and distances of the data.

The measures themselves are in `umap_sweep.quality.measures`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree

from umap_sweep import store
from umap_sweep.cells import curve
from umap_sweep.cells.keys import column_of, key_columns
from umap_sweep.quality import measures, sampling, tables
from umap_sweep.quality.high_dimensional import rank_step

NEIGHBORS = 15
RECALLS = (15, 50, 150)

# The columns of one cell's metrics. Null where a metric is not defined, as with too few rows.
NUMBERS = {
    "recall_15": pa.float64(),
    "recall_50": pa.float64(),
    "recall_150": pa.float64(),
    "trustworthiness": pa.float64(),
    "continuity": pa.float64(),
    "triplet_accuracy": pa.float64(),
    "distance_correlation": pa.float64(),
    "cross_entropy": pa.float64(),
    "disconnected": pa.float64(),
    "rows": pa.int64(),
    "recall_15_rows": pa.int64(),
    "sample_rows": pa.int64(),
    "sample_triplets": pa.int64(),
    "sample_pairs": pa.int64(),
    **{f"{name}_sample_error": pa.float64() for name in sampling.SAMPLED if name != "silhouette"},
    "cross_entropy_sample_error": pa.float64(),
}
# Only of cells that densMAP has laid out.
OF_DENSMAP = {"density_correlation": pa.float64()}
# Those that need the graph a cell was laid out from, beside its coordinates.
OF_GRAPH = ("cross_entropy", "cross_entropy_sample_error")


class Cell:
    """The coordinates of a cell, and the exact neighbours in the data that they are compared with.

    Rows without coordinates are left out of every list of neighbours, also of those in the data, and of every rank.

    Parameters
    ----------
    coordinates : ndarray of float32, shape (n, d)
        NaN for a disconnected row.
    sampled : ndarray of int, shape (m,)
        The rows whose exact neighbours and ranks are known, ascending; all rows where there are few.
    exact : ndarray of int, shape (m, up to 150)
        The rows of the data nearest to each of them, itself left out.

    Attributes
    ----------
    placed : ndarray of bool, shape (n,)
        Whether a row has coordinates.
    row_of : ndarray of int, shape (placed rows,)
        The row numbers of the points in `tree`.
    place_of : ndarray of int, shape (n,)
        The place of each row in `tree`; -1 for a row without coordinates.
    tree : scipy.spatial.cKDTree
        Of the placed rows.
    """

    def __init__(self, coordinates: np.ndarray, sampled: np.ndarray, exact: np.ndarray) -> None:
        self.coordinates = coordinates
        self.placed = measures.placed(coordinates)
        self.row_of = np.flatnonzero(self.placed)
        self.place_of = np.full(len(coordinates), -1)
        self.place_of[self.row_of] = np.arange(len(self.row_of))
        self.tree = cKDTree(coordinates[self.placed])
        self.kept = self.placed[sampled]
        self.all_sampled = sampled
        self.sampled = sampled[self.kept]
        self.exact = self._without_unplaced(exact[self.kept])

    def _without_unplaced(self, neighbors: np.ndarray) -> np.ndarray:
        """Take rows without coordinates out of lists of neighbours, and fill the ends of the lists with -1."""
        neighbors = np.where(self.placed[neighbors] & (neighbors >= 0), neighbors, -1)
        if (neighbors >= 0).all():
            return neighbors
        order = np.argsort(neighbors < 0, axis=1, kind="stable")
        return np.take_along_axis(neighbors, order, axis=1)

    def nearest(self, rows: np.ndarray, k: int) -> np.ndarray:
        """Return the numbers of the k other rows nearest to each of some rows, all with coordinates.

        Parameters
        ----------
        rows : ndarray of int, shape (m,)
        k : int

        Returns
        -------
        ndarray of int32, shape (m, k)
            Nearest first; narrower where there are fewer other points.
        """
        k = min(k, len(self.row_of) - 1)
        places = measures.nearest(self.tree, self.coordinates[rows], self.place_of[rows], k)
        found: np.ndarray = self.row_of[places].astype(np.int32)
        return found

    def without_unplaced(
        self, columns: Mapping[str, np.ndarray], of_rows: Sequence[str]
    ) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
        """Leave out pairs or triplets in which a row has no coordinates.

        Parameters
        ----------
        columns : mapping of str to ndarray, shape (pairs or triplets,)
        of_rows : sequence of str
            Names of the columns that hold row numbers.

        Returns
        -------
        columns : mapping of str to ndarray
            What is left of each column.
        kept : ndarray of bool, shape (pairs or triplets,)
            Which ones are left.
        """
        kept = np.logical_and.reduce([self.placed[columns[name]] for name in of_rows])
        if kept.all():
            return columns, kept
        return {name: values[kept] for name, values in columns.items()}, kept

    def neighbors(self) -> np.ndarray:
        """Return the 15 nearest points of every row.

        Returns
        -------
        ndarray of int32, shape (n, 15)
            Row numbers, nearest first; -1 throughout for a row without coordinates. Narrower where there are fewer
            other points.
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
        """Return for each row which share of its k nearest neighbours in the data is among its k nearest points.

        Parameters
        ----------
        neighbors : ndarray of int, shape (n, 15)
            The nearest points, from the method `neighbors`.
        stored : ndarray of int, shape (n, k + 1)
            The first columns of the k-NN, the row itself included; k at most 15.

        Returns
        -------
        ndarray of float64, shape (n,)
            NaN for a row that has no coordinates, or none of whose neighbours has any.
        """
        k = stored.shape[1] - 1
        high = self._without_unplaced(measures.others(stored, np.arange(len(stored)), k))
        return measures.overlap(high, neighbors[:, :k])

    def of_sample(self, values: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
        """Return values of the sampled rows that have coordinates, or of some of these, with NaN for all others.

        Parameters
        ----------
        values : ndarray of float, shape (counted rows,)
        counted : ndarray of bool, shape (sampled rows with coordinates,), optional

        Returns
        -------
        ndarray of float64, shape (sampled rows,)
        """
        places = np.flatnonzero(self.kept)
        spread = np.full(len(self.kept), np.nan)
        spread[places if counted is None else places[counted]] = values
        return spread

    def recalls(self) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Return `recall_15`, `recall_50`, `recall_150`, as far as there are points, and those of each sampled row."""
        near = self.nearest(self.sampled, max(RECALLS))
        shares = {
            f"recall_{k}": measures.overlap(self.exact[:, :k], near[:, :k]) for k in RECALLS if k <= near.shape[1]
        }
        numbers = {name: float(np.nanmean(values)) for name, values in shares.items()}
        return numbers, {name: self.of_sample(values) for name, values in shares.items()}

    def continuity(self) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Return `continuity` for 15 neighbours, and that of each sampled row; nothing with 30 points or fewer."""
        points = len(self.row_of)
        if points <= 2 * NEIGHBORS:
            return {}, {}
        full = np.asarray((self.exact[:, :NEIGHBORS] >= 0).all(axis=1))
        low_ranks = measures.ranks_within(
            self.tree, self.coordinates[self.sampled[full]], self.place_of[self.exact[full, :NEIGHBORS]]
        )
        of_rows = measures.trustworthiness_of_points(low_ranks, NEIGHBORS, points)
        number = measures.trustworthiness(low_ranks, NEIGHBORS, points)
        return {"continuity": number}, {"continuity": self.of_sample(of_rows, full)}


class Near:
    """What trustworthiness takes of a cell: which points of the embedding are near to each sampled row.

    Parameters
    ----------
    cell : Cell
    neighbors : ndarray of int, shape (n, 15)
        From `Cell.neighbors`.
    """

    def __init__(self, cell: Cell, neighbors: np.ndarray) -> None:
        self.placed, self.all_placed = cell.placed, bool(cell.placed.all())
        self.points = len(cell.row_of)
        self.kept = cell.kept
        self.near = neighbors[cell.all_sampled]
        self.ranks: list[np.ndarray] = []

    def look_up(self, start: int, block: np.ndarray) -> None:
        """Take the ranks in the data, among rows with coordinates, of the points near to some of the sampled rows.

        Parameters
        ----------
        start : int
            The place of the first of them among the sampled rows.
        block : ndarray of uint16, shape (some rows, n)
            What `umap_sweep.quality.high_dimensional` stores of them.
        """
        rows = slice(start, start + len(block))
        step = rank_step(len(self.placed))
        stored = np.take_along_axis(block, self.near[rows], axis=1)
        counted = stored * float(step) + (step - 1) / 2  # the mean of the ranks that are stored as this number
        if not self.all_placed:
            for place in range(len(block)):
                counted[place] -= np.searchsorted(np.sort(block[place, ~self.placed]), stored[place])
        self.ranks.append(counted[self.kept[rows]])

    def trustworthiness(self) -> tuple[float, np.ndarray]:
        """Return the trustworthiness for 15 neighbours, and what each sampled row contributes to it.

        Returns
        -------
        number : float
            NaN where there are 30 points or fewer, and where no sampled row has coordinates.
        of_rows : ndarray of float64, shape (sampled rows,)
            NaN for a row without coordinates.
        """
        of_rows = np.full(len(self.kept), np.nan)
        if self.points <= 2 * NEIGHBORS:
            return float("nan"), of_rows
        ranks = np.concatenate(self.ranks)
        of_rows[self.kept] = measures.trustworthiness_of_points(ranks, NEIGHBORS, self.points)
        return measures.trustworthiness(ranks, NEIGHBORS, self.points), of_rows


def trustworthiness(cells: Sequence[Near], ranks: Iterable[np.ndarray]) -> list[tuple[float, np.ndarray]]:
    """Return the trustworthiness of several cells, for which the ranks are read once.

    Parameters
    ----------
    cells : sequence of Near
    ranks : iterable of ndarray of uint16, shape (some rows, n)
        The ranks that `umap_sweep.quality.high_dimensional` stores, in blocks of sampled rows.

    Returns
    -------
    list of tuple
        As `Near.trustworthiness` has it.
    """
    start = 0
    for block in ranks:
        for cell in cells:
            cell.look_up(start, block)
        start += len(block)
    return [cell.trustworthiness() for cell in cells]


def measure(
    cell: Cell,
    pairs: Mapping[str, np.ndarray],
    triplets: Mapping[str, np.ndarray],
) -> tuple[dict[str, float | int], dict[str, np.ndarray]]:
    """Return the metrics of one cell, apart from its trustworthiness, and what each part of the sample says.

    Parameters
    ----------
    cell : Cell
    pairs, triplets : mapping of str to ndarray
        The columns of the tables that `umap_sweep.quality.high_dimensional` stores.

    Returns
    -------
    numbers : dict of str to float or int
        The metrics that are defined, by the names of `NUMBERS`.
    contributions : dict of str to ndarray
        By metric, of each sampled row, of each triplet (float32: 1 where its order is kept, 0 where not), or of each
        of `sampling.PAIR_BATCHES` batches of the pairs; NaN where one does not count.
    """
    numbers: dict[str, float | int] = {
        "disconnected": 1 - float(cell.placed.mean()),
        "rows": len(cell.placed),
        "sample_rows": len(cell.sampled),
    }
    if len(cell.row_of) < 3 or not len(cell.sampled):
        return numbers, {}
    contributions: dict[str, np.ndarray] = {}
    for defined, of_rows in (cell.recalls(), cell.continuity()):
        numbers |= defined
        contributions |= of_rows
    numbers["recall_15_rows"] = len(cell.sampled)
    triplets, kept = cell.without_unplaced(triplets, ("row", "near", "far"))
    if kept.any():
        in_order = measures.triplets_kept(cell.coordinates, **triplets)
        numbers["triplet_accuracy"] = float(in_order.mean())
        contributions["triplet_accuracy"] = np.full(len(kept), np.nan, np.float32)
        contributions["triplet_accuracy"][kept] = in_order
    numbers["sample_triplets"] = int(kept.sum())
    pairs, kept = cell.without_unplaced(pairs, ("first", "second"))
    if kept.any():
        high = pairs["distance_rank"] if kept.all() else measures.average_ranks(pairs["distance_rank"])
        low = measures.distances(cell.coordinates, pairs["first"], pairs["second"])
        numbers["distance_correlation"] = measures.spearman(high, measures.average_ranks(low))
        if len(cell.all_sampled) < len(cell.placed):
            contributions["distance_correlation"] = correlation_of_batches(high, low)
    numbers["sample_pairs"] = int(kept.sum())
    return {name: value for name, value in numbers.items() if np.isfinite(value)}, contributions


def correlation_of_batches(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each of `sampling.PAIR_BATCHES` batches of pairs.

    Parameters
    ----------
    high, low : ndarray of float, shape (pairs,)
        Distances of random pairs in the data, or their ranks, and in the embedding.

    Returns
    -------
    ndarray of float64, shape (batches,)
        Of independent batches; the standard error of their mean is nearly that of the correlation over all pairs
        (batch means; Schmeiser, 1982).
    """
    batches = zip(*(np.array_split(values, sampling.PAIR_BATCHES) for values in (high, low)), strict=True)
    return np.array(
        [measures.spearman(*map(measures.average_ranks, batch)) if len(batch[0]) > 1 else np.nan for batch in batches]
    )


def cross_entropy(
    cell: Cell, pairs: Mapping[str, np.ndarray], edges: pa.Table, spread: float, min_dist: float
) -> dict[str, float]:
    """Return UMAP's own loss of a cell on the stored graph, and its error where pairs of rows are a sample.

    Parameters
    ----------
    cell : Cell
    pairs : mapping of str to ndarray
        From `umap_sweep.quality.high_dimensional`: `first` and `second` of all pairs, or of random ones.
    edges : pyarrow.Table
        From `umap_sweep.stages.graph`, each edge in both directions.
    spread, min_dist : float
        Of the curve that the cell was laid out by.

    Returns
    -------
    dict of str to float
        Empty where too few rows have coordinates.
    """
    head, tail, weight = (store.numbers(edges.column(name)) for name in ("head", "tail", "weight"))
    once = (head < tail) & cell.placed[head] & cell.placed[tail]
    pairs, kept = cell.without_unplaced(pairs, ("first", "second"))
    if len(cell.row_of) < 3 or not kept.any():
        return {}
    number, error = measures.cross_entropy(
        measures.distances(cell.coordinates, head[once], tail[once]),
        weight[once],
        measures.distances(cell.coordinates, pairs["first"], pairs["second"]),
        len(cell.row_of),
        *curve.parameters(spread, min_dist),
    )
    if len(cell.all_sampled) == len(cell.placed):
        error = 0.0  # all pairs are no sample
    found = {"cross_entropy": number, "cross_entropy_sample_error": error}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def density_correlation(layout: str | Path) -> dict[str, float]:
    """Return how well a cell of densMAP keeps densities: Pearson's correlation of local radii in data and embedding.

    Of their logarithms, as Narayan, Berger and Cho (2021) have it; empty where all radii are one.

    Parameters
    ----------
    layout : path
        From `umap_sweep.stages.layouts`.
    """
    radii = store.matrix(store.read(layout, ["rad_orig", "rad_emb"]), "rad_").astype(np.float64)
    if (radii.std(axis=0) == 0).any():
        return {}
    return {"density_correlation": float(np.asarray(np.corrcoef(radii.T))[0, 1])}


def table_of_contributions(cells: Sequence[Mapping[str, np.ndarray]], keys: Sequence[dict[str, Any]]) -> pa.Table:
    """Return what each part of the sample says of each cell as a table; NaN in a list stands for what is not there."""
    table = tables.table_of(keys, key_columns(keys[0]))
    for name in sampling.SAMPLED:
        widths = {len(cell[name]) for cell in cells if name in cell}
        if widths:
            nothing = np.full(widths.pop(), np.nan)
            values = np.stack([cell.get(name, nothing) for cell in cells]).astype(np.float32)
            table = table.append_column(name, store.lists(values))
    return table


def columns_of(path: str | Path) -> dict[str, np.ndarray]:
    """Return all columns of a stored table of numbers, by name."""
    table = store.read(path)
    return {name: store.numbers(table.column(name)) for name in table.column_names}


def compute(
    layouts: Sequence[str | Path],
    knn: str | Path,
    sample: str | Path,
    ranks: str | Path,
    pairs: str | Path,
    triplets: str | Path,
    points_out: str | Path,
    neighbors_out: str | Path,
    metrics_out: str | Path,
    contributions_out: str | Path,
    keys: Sequence[dict[str, Any]],
    edges: str | Path | None = None,
    spread: float = 1.0,
) -> None:
    """Measure the cells of one row of the grid, one after the other.

    Parameters
    ----------
    layouts : sequence of path
        The cells, which differ in their min_dist alone.
    knn : path
        The k-NN that they are made from.
    sample, ranks, pairs, triplets : path
        From `umap_sweep.quality.high_dimensional`.
    points_out : path
        Receives the recall of each point, float32: a row for each row of the data, in the data's order, and a column
        for each cell, named by `umap_sweep.cells.keys.column_of`.
    neighbors_out : path
        Receives, in columns with the same names, lists of int32: the 15 nearest points of each row in the embedding,
        -1 where the row has no coordinates.
    metrics_out : path
        Receives one row for each cell: its key (`umap_sweep.cells.keys.key_columns`) and `NUMBERS`, for densMAP
        `OF_DENSMAP`. Where the grid has preparations, `recall_15` is over the sample too. What ends in `_sample_error`
        is the standard error that the metric has because it looks at a sample; 0 where it looks at all there is.
    contributions_out : path
        Receives one row for each cell: its key, and for each metric that is a mean over rows, or looks at a
        sample, a list (float32) of what `measure` returns of it; `points_out` has that of `recall_15` where it looks at
        all rows.
    keys : sequence of mapping
        The key of each cell.
    edges : path, optional
        The graph that the cells are laid out from, without which there is no `cross_entropy`.
    spread : float, default 1.0
        Of the curve that they are laid out by.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    sampled = store.read(sample)
    rows, exact = store.numbers(sampled.column("row")), store.from_lists(sampled.column("neighbors"))
    width = min(NEIGHBORS, keys[0]["knn_k"] - 1)
    stored = store.matrix(store.read(knn, [f"index_{rank}" for rank in range(width + 1)]), "index_")
    pair_columns, triplet_columns = columns_of(pairs), columns_of(triplets)
    graph = None if edges is None else store.read(edges)
    points, nearest, measured, near, contributions = {}, {}, [], [], []
    for path, key in zip(layouts, keys, strict=True):
        cell = Cell(tables.coordinates_of(path), rows, exact)
        neighbors = cell.neighbors()
        recall = cell.recall_of_points(neighbors, stored)
        near.append(Near(cell, neighbors))
        numbers, of_sample = measure(cell, pair_columns, triplet_columns)
        # The k-NN of prepared data is that of one preparation; all are measured against the same neighbours.
        if width == NEIGHBORS and "preparation" not in key and np.isfinite(recall).any():
            numbers |= {"recall_15": float(np.nanmean(recall)), "recall_15_rows": int(np.isfinite(recall).sum())}
            of_sample.pop("recall_15", None)  # it looks at all rows
        if graph is not None:
            numbers |= cross_entropy(cell, pair_columns, graph, spread, key["min_dist"])
        if key.get("densmap"):
            numbers |= density_correlation(path)
        measured.append(key | numbers)
        contributions.append(of_sample)
        points[column_of(key)] = recall.astype(np.float32)
        nearest[column_of(key)] = store.lists(neighbors)
    kept_ranks = trustworthiness(near, store.read_binary_rows(ranks, "ranks", "<u2"))
    for numbers, of_sample, (value, of_rows) in zip(measured, contributions, kept_ranks, strict=True):
        if np.isfinite(value):
            numbers["trustworthiness"] = value
            of_sample["trustworthiness"] = of_rows
        share = len(rows) / len(stored)
        for name in [name for name in sampling.SAMPLED if name in numbers]:
            error = sampling.error(of_sample[name], sampling.share_of(name, share)) if name in of_sample else 0.0
            numbers |= {f"{name}_sample_error": error} if np.isfinite(error) else {}
    inputs = store.inputs_of(*layouts, knn, sample, *([] if edges is None else [edges]))
    shared = {name: value for name, value in keys[0].items() if name != "min_dist"}
    for out, table in (
        (points_out, pa.table(points)),
        (neighbors_out, pa.table(nearest)),
        (
            metrics_out,
            tables.table_of(measured, key_columns(keys[0]) | NUMBERS | (OF_DENSMAP if keys[0].get("densmap") else {})),
        ),
        (contributions_out, table_of_contributions(contributions, keys)),
    ):
        tables.write(out, table, "cell_metrics", inputs, shared)
