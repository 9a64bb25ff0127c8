"""Make the atlas: one HTML page, complete in itself, that shows every cell of the sweep and links their points.

The page is the template in `page_files/` with the style, the scripts and the data written into it. It loads nothing
from elsewhere: it holds the data as a JSON header and as one gzip stream in base64. Text from the data cannot become
markup, because every `<`, `>` and `&` in the header is escaped, the scripts insert text only as text, and the content
security policy allows no script but the one whose hash it names.
"""

import base64
import gzip
import hashlib
import json
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from umap_sweep import store
from umap_sweep.cells.keys import OPTIONAL_COLUMNS, column_of, is_number, optional_axes
from umap_sweep.cells.lines import line_of, name_of
from umap_sweep.errors import InputError
from umap_sweep.quality import labels as label_kinds
from umap_sweep.quality import measures
from umap_sweep.quality.seeds import means, setting_of
from umap_sweep.sources.subset import stratified

# The template, the style, and the scripts, each after those that it uses.
PAGE = [
    Path(__file__).parent / "page_files" / name
    for name in (
        *("page.html", "atlas.css"),
        *("painter.js", "data.js", "state.js", "drawing.js", "moved.js", "page.js", "choosing.js"),
        *("strangers.js", "saving.js", "controls.js"),
    )
]

# Of the sample and of the drawing order: fixed, so that the page's bytes follow from its input.
SEED = 0

# Coordinates are stored as 0 to this; one more stands for a point without coordinates.
LARGEST = 65534

# Colours on a scale are stored as 0 to this; one more stands for no value.
LARGEST_LEVEL = 254

# A page of this size a browser opens within seconds. Where it would become larger, it shows fewer points.
MOST_BYTES = 200_000_000

# Into how many strata of equal size numeric labels are divided, so that the sample has its share of each.
STRATA = 20

# Values of labels and annotations that are held in memory at one time, unless one column has more.
VALUES_AT_ONCE = 2**22
# Above this the p-value of a point's neighbourhood does not speak for it.
TRUSTED_UP_TO = 0.05
TRUSTED, NOT_TRUSTED, UNKNOWN_TRUST = 0, 1, 255

# What each metric is, in a sentence, where its number stands. docs/metrics.md has the whole of it.
EXPLANATIONS = {
    "recall_15": (
        "Mean share of a point's 15 nearest points in the data that are among its 15 nearest in the picture; 1 keeps "
        "all."
    ),
    "recall_50": (
        "Mean share of a point's 50 nearest points in the data that are among its 50 nearest in the picture; it looks "
        "at larger neighbourhoods."
    ),
    "recall_150": (
        "Mean share of a point's 150 nearest points in the data that are among its 150 nearest in the picture; it "
        "looks at whole clusters."
    ),
    "trustworthiness": (
        "1 less a penalty for points that are near in the picture and far in the data; tearing a cluster apart costs "
        "nothing."
    ),
    "continuity": (
        "1 less a penalty for points that are near in the data and far in the picture; crushing all into one heap "
        "costs little."
    ),
    "label_accuracy": "How often the most frequent label among a point's 15 nearest in the picture is its own.",
    "label_accuracy_unseen": (
        "In a partly labelled run, how often a point that it was not told the label of has the label of the nearest "
        "point in the picture that it was told."
    ),
    "triplet_accuracy": (
        "Share of random triplets, a point and two others, of which the picture keeps which of the two is nearer; 0.5 "
        "is chance."
    ),
    "distance_correlation": (
        "Spearman's rank correlation between distances in the data and in the picture, which the far pairs decide."
    ),
    "density_correlation": (
        "Pearson's correlation between the logarithms of local radii in the data and in the picture, which densMAP "
        "keeps; 1 where dense places are dense in both."
    ),
    "silhouette": (
        "How much nearer points lie to their own label than to the nearest other; it rewards tight clumps, and with "
        "them a small min_dist, whatever the data looks like."
    ),
    "cross_entropy": (
        "UMAP's own loss of the picture and its graph, less is better; another n_neighbors is another graph, so that "
        "it compares none of them."
    ),
    "disconnected": "Share of points without a place, because the metric leaves them without a neighbour.",
    "layout_seconds": (
        "Time of the job that laid the cell out, divided by the cells that it laid out; another run has other values."
    ),
    "layout_memory_mb": "The largest memory of the process that laid the cell out; another run has other values.",
}

# The columns that identify a cell in the table of metrics.
CELL_COLUMNS = ("knn_k", "knn_seed", "n_neighbors", "min_dist", "seed")
KEY_COLUMNS = (*OPTIONAL_COLUMNS, *CELL_COLUMNS)


class Payload:
    """The arrays of a page, one after the other in one stream."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def add(self, values: np.ndarray) -> list[Any]:
        """Append an array, and return its place: its type by numpy's name, its first byte, its number of values."""
        little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        place = [values.dtype.name, self._length, values.size]
        padding = -little.nbytes % 8  # in a browser, a typed array must begin at a multiple of its item size
        self._parts += [little.tobytes(), bytes(padding)]
        self._length += little.nbytes + padding
        return place

    def encode(self) -> str:
        """Return everything as gzip in base64; the same arrays give the same text."""
        # At level 1, because coordinates hardly compress: higher levels take four times as long and save nothing.
        return base64.b64encode(gzip.compress(b"".join(self._parts), 1, mtime=0)).decode()


def choose_rows(strata: np.ndarray, most: int) -> np.ndarray:
    """Return the rows to show, in the order in which they are drawn.

    The order is random, so that no stratum lies on top of the others. Of more than `most` rows a sample is shown: each
    stratum has its share of it, rounded by largest remainders, and at least one row where there are no more strata than
    rows to show.

    Parameters
    ----------
    strata : ndarray of int, shape (n,)
        The stratum of each row, from 0: the category or the size of its label.
    most : int
        Rows to show at most.

    Returns
    -------
    ndarray of int64, shape (min(n, most),)
        Row numbers.
    """
    generator = np.random.default_rng(SEED)
    order = generator.permutation(len(strata))
    if len(order) <= most:
        return order
    kept = np.zeros(len(order), bool)
    kept[stratified(strata, order, most)] = True
    return order[kept[order]]


def quantise(points: np.ndarray) -> np.ndarray:
    """Return coordinates as uint16 in a square that holds all points, with one scale for both axes.

    Parameters
    ----------
    points : ndarray of float, shape (n, 2)
        Not finite for a point without coordinates.

    Returns
    -------
    ndarray of uint16, shape (n, 2)
        0 to `LARGEST`; both are 65535 for a point without coordinates.
    """
    placed = measures.placed(points)
    quantised = np.full(points.shape, LARGEST + 1, np.uint16)
    if placed.any():
        low, high = measures.corners(points[placed])
        side = float((high - low).max()) or 1.0
        inside = (points[placed] - (low + high) / 2) / side + 0.5
        quantised[placed] = np.rint(inside * LARGEST).astype(np.uint16)
    return quantised


def nearest(others: np.ndarray, rows: np.ndarray, count: int, n_rows: int) -> np.ndarray:
    """Return the nearest neighbours of each row that the page shows, the row itself left out.

    Parameters
    ----------
    others : ndarray of int, shape (m, k)
        Row numbers, nearest first; -1 where there is none.
    rows : ndarray of int, shape (m,)
        The rows shown, in the page's order.
    count : int
        Neighbours to keep at most; less than k.
    n_rows : int
        Rows of the data.

    Returns
    -------
    ndarray of uint32, shape (m, count)
        Places in the page's order; m where a neighbour is not shown, or there is none.
    """
    is_self_or_none = (others == rows[:, None]) | (others < 0)
    # Wherever the row itself is in its list, because where rows are equal it need not be the first.
    last = np.argsort(is_self_or_none, axis=1, kind="stable")
    others = np.where(is_self_or_none, -1, others)
    others = np.take_along_axis(others, last, axis=1)[:, :count]
    place_of = np.full(n_rows + 1, len(rows), np.uint32)
    place_of[rows] = np.arange(len(rows))
    places: np.ndarray = place_of[others]  # -1 is the last entry, which belongs to no row
    return places


def levels(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values as uint8 levels from `low` (0) to `high` (`LARGEST_LEVEL`), 255 where there is none."""
    known = ~np.isnan(values)
    inside = np.clip((np.where(known, values, low) - low) / (high - low), 0, 1)
    return np.where(known, np.rint(inside * LARGEST_LEVEL), LARGEST_LEVEL + 1).astype(np.uint8)


def categories(labels: pa.Array) -> tuple[list[str], np.ndarray]:
    """Return the names of the categories in natural order, and the codes of `natural_categories`."""
    values, codes = label_kinds.natural_categories(labels)
    return [_name(value) for value in values], codes


def _name(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def strata_of(labels: pa.Array, kind: str) -> np.ndarray:
    """Return the stratum of each row, for `choose_rows`: its category, or which part of the numbers it lies in.

    Parameters
    ----------
    labels : pyarrow.Array
        Integers, floats or strings; null and NaN are no label, which has a stratum of its own.
    kind : str
        As for `umap_sweep.quality.labels.are_categories`.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    if label_kinds.are_categories(labels, kind):
        return label_kinds.natural_categories(labels)[1]
    values = label_kinds.as_numbers(labels)
    edges = np.nanquantile(values, np.linspace(0, 1, STRATA + 1)[1:-1])
    return np.where(np.isnan(values), STRATA, np.searchsorted(edges, values))


def bytes_of(values: pa.Array, kind: str) -> int:
    """Return how many bytes of the page a label or an annotation takes for each point, with the names of categories.

    Parameters
    ----------
    values : pyarrow.Array
        Of all rows.
    kind : str
        As for `umap_sweep.quality.labels.are_categories`.
    """
    if label_kinds.are_categories(values, kind):
        # Each name stands in the page once, so names weigh little, unless every row has a text of its own.
        names: int = values.unique().nbytes
        return 4 + math.ceil(names / max(len(values), 1))
    return 9


def described_by(
    values: pa.Array, kind: str, rows: np.ndarray, payload: Payload, leading: int | None = None
) -> dict[str, Any]:
    """Return what the page holds of a label or an annotation.

    Parameters
    ----------
    values : pyarrow.Array
        Integers, floats, booleans or strings of all rows, which determine the kind and the ends of the scale.
    kind : str
        As for `umap_sweep.quality.labels.are_categories`.
    rows : ndarray of int, shape (m,)
        The rows shown.
    payload : Payload
        Receives the arrays.
    leading : int, optional
        How many of all rows, the first ones, have their categories before those that others alone have.

    Returns
    -------
    dict
        Of categories the `names` of those among the rows shown, and each point's place among them as `codes` (uint32;
        the number of names where there is no value). Of numbers the ends of the scale, `low` and `high`, each point's
        `levels` (uint8; 255 where there is no value), and the exact `values` (int64 or float64).
    """
    shown = values.take(pa.array(rows))
    if label_kinds.are_categories(values, kind):
        names, codes = categories(shown)
        if leading is not None:
            names, codes = _leading_first(names, codes, rows < leading)
        return {"names": names, "codes": payload.add(codes.astype(np.uint32))}
    numbers = label_kinds.as_numbers(values)
    low, high = label_kinds.scale_ends(numbers)
    # A float64 does not hold every int64.
    whole = pa.types.is_integer(shown.type)
    exact = store.numbers(shown.cast(pa.int64()).fill_null(0)) if whole else label_kinds.as_numbers(shown)
    return {
        "low": low,
        "high": high,
        "levels": payload.add(levels(numbers[rows], low, high)),
        "values": payload.add(exact),
    }


def _leading_first(names: list[str], codes: np.ndarray, leads: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return names and codes with those categories first that the leading rows have."""
    first = set(codes[leads].tolist())
    order = sorted(range(len(names)), key=lambda code: code not in first)
    place_of = np.full(len(names) + 1, len(names))
    place_of[order] = np.arange(len(names))
    return [names[code] for code in order], place_of[codes]


def read_features(path: str | Path, rows: np.ndarray, wanted: int | Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Return some features of the rows shown, without holding all features in memory.

    Parameters
    ----------
    path : path
        The stored data set.
    rows : ndarray of int, shape (m,)
        The rows shown.
    wanted : int or sequence of str
        The names of the features, or how many of the features with the largest variance.

    Returns
    -------
    list of (str, ndarray of float32, shape (m,))
        The name and the values of each feature.

    Raises
    ------
    InputError
        Where a name is not that of a feature.
    """
    names = store.read_record(path)["feature_names"]
    if isinstance(wanted, int):
        columns = np.argsort(-_variances(path), kind="stable")[:wanted].tolist() if wanted else []
    else:
        for name in wanted:
            if name not in names:
                raise InputError(
                    f"atlas.features has {name!r}, which is no feature of the data; the first are "
                    f"{', '.join(map(repr, names[:5]))}."
                )
        columns = [names.index(name) for name in wanted]
    if not columns:
        return []
    values = np.concatenate([block[:, columns] for block in _feature_blocks(path)])[rows]
    return [(names[column], values[:, place]) for place, column in enumerate(columns)]


def _variances(path: str | Path) -> np.ndarray:
    """Return the variance of every feature.

    Sums are of differences from the first row, which is near enough to the mean for their squares to stay small.
    """
    first: np.ndarray | None = None
    n_rows = 0
    sums = squares = np.zeros(1)
    for block in _feature_blocks(path):
        first = block[0] if first is None else first
        moved = block - first
        sums = sums + moved.sum(axis=0, dtype=np.float64)
        squares = squares + np.einsum("ij,ij->j", moved, moved, dtype=np.float64)
        n_rows += len(block)
    return squares / n_rows - (sums / n_rows) ** 2


def _feature_blocks(path: str | Path) -> Iterator[np.ndarray]:
    file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=2**16)
    for batch in file.iter_batches(batch_size=8192, columns=["features"]):
        values = batch.column("features")
        yield store.numbers(values.flatten()).reshape(len(values), -1)


def files_of(paths: Sequence[str | Path], cells: Sequence[Mapping[str, Any]]) -> list[str | Path | None]:
    """Return for each cell the file whose `key=value` folders agree with its key, or None where there is none.

    The folders of all files must have the same names of keys.
    """
    files: dict[tuple[str, ...], str | Path] = {}
    names: list[str] = []
    for path in paths:
        keys = dict(part.split("=", 1) for part in Path(path).parts if "=" in part)
        names = [name for name in cells[0] if name in keys]
        files[tuple(keys[name] for name in names)] = path
    return [files.get(tuple(str(cell[name]) for name in names)) for cell in cells]


def configuration_of(cell: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    """Return, as YAML, a configuration whose grid is this one cell.

    Parameters
    ----------
    cell : mapping
        The key of the cell.
    shared : mapping
        The configuration apart from its grid.
    """
    knn = {**shared["knn"], "seed": [cell["knn_seed"]]}
    grid = {name: [cell[name]] for name in (*optional_axes(cell), "n_neighbors", "min_dist", "seed")}
    if "preparation" in cell:
        preparation = {cell["preparation"]: shared["preparation"][cell["preparation"]]}
        shared = {**shared, "preparation": preparation}
    text = yaml.safe_dump({**shared, "knn": knn, "grid": grid}, sort_keys=False, width=120)
    return f"# The cell {name_of(line_of(cell))}, min_dist {cell['min_dist']}.\n{text}"


def read_metrics(path: str | Path, cells: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[float | None]]]:
    """Return the names of the numeric metrics, and the values of each cell; None where a value is missing.

    Metrics that no cell has are left out, and so are the columns of errors.
    """
    table = store.read(path)
    numeric = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    names = [
        name for name in numeric if name not in KEY_COLUMNS and not name.endswith(("_sample_error", "_seed_error"))
    ]
    known = [name for name in KEY_COLUMNS if name in table.column_names]
    rows = {tuple(row[name] for name in known): row for row in table.to_pylist()}
    values = []
    for cell in cells:
        row = rows.get(tuple(cell[name] for name in known), {})
        values.append([_number(row.get(name)) for name in names])
    present = [place for place in range(len(names)) if any(row[place] is not None for row in values)]
    return [names[place] for place in present], [[row[place] for place in present] for row in values]


def read_settings(path: str | Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return each n_neighbors and min_dist with the means of the metrics over its seeds, and how far they may be off.

    Parameters
    ----------
    path : path
        From `umap_sweep.quality.metrics`.
    names : sequence of str
        Of the metrics.

    Returns
    -------
    list of dict
        `n_neighbors`, `min_dist`, `seeds`, `means` and `halves`, half of the 95 % interval of each mean
        (`umap_sweep.quality.seeds.means`), in the order of `names`; None where a number is not known. What the job of a
        layout measures of itself has no halves, because cells share jobs.
    """
    table = store.read(path).to_pandas()
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name in names:
        of_metric = means(table, name)
        for setting, (value, seeds, _, half) in zip(of_metric.index, of_metric.to_numpy(float), strict=True):
            entry = found.setdefault(setting, {"seeds": 0, "means": [], "halves": []})
            entry["seeds"] = max(entry["seeds"], int(seeds))
            entry["means"].append(_number(value))
            entry["halves"].append(None if name in measures.MEASURED else _number(half))
    return [_named(key, setting_of(table)) | entry for key, entry in found.items()]


def _named(key: tuple[Any, ...], setting: Sequence[str]) -> dict[str, Any]:
    """Return by name what tells a setting apart, without the k of its k-NN."""
    kinds: dict[str, Any] = {
        "n_neighbors": int,
        **dict.fromkeys(filter(is_number, (*OPTIONAL_COLUMNS, "min_dist")), float),
    }
    return {name: kinds.get(name, str)(value) for name, value in zip(setting, key, strict=True) if name != "knn_k"}


def read_shortlist(path: str | Path) -> list[dict[str, Any]]:
    """Return the entries of the short list: n_neighbors, min_dist, the letters of their group, and the reason."""
    further = optional_axes(store.column_names(path))
    rows: list[dict[str, Any]] = store.read(path, [*further, "n_neighbors", "min_dist", "group", "reason"]).to_pylist()
    return rows


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def trust_levels(p_values: np.ndarray) -> np.ndarray:
    """Return as uint8 whether each point's neighbourhood is trusted: `TRUSTED`, `NOT_TRUSTED`, or `UNKNOWN_TRUST`.

    Parameters
    ----------
    p_values : ndarray of float32, shape (n,)
        Of the neighbourhood against a null; trusted up to `TRUSTED_UP_TO`. NaN where it is not known.
    """
    found = np.where(p_values <= np.float32(TRUSTED_UP_TO), TRUSTED, NOT_TRUSTED)
    return np.where(np.isnan(p_values), UNKNOWN_TRUST, found).astype(np.uint8)


def collect(
    data: str | Path,
    stored_rows: str | Path,
    knn: str | Path,
    layouts: Sequence[str | Path],
    cells: Sequence[dict[str, Any]],
    shared: Mapping[str, Any],
    options: Mapping[str, Any],
    label_kind: str = "auto",
    metrics: str | Path | None = None,
    recall: Sequence[str | Path] = (),
    instability: Sequence[str | Path] = (),
    trust: Sequence[str | Path] = (),
    shortlist: str | Path | None = None,
) -> tuple[dict[str, Any], Payload]:
    """Return what the page shows: a header that JSON can hold, and the arrays that it refers to.

    Parameters
    ----------
    data, stored_rows, knn : path
        The stored features, what names and describes their rows, and the k-NN.
    layouts : sequence of path
        One for each cell.
    cells : sequence of mapping
        The key of each cell.
    shared : mapping
        The configuration apart from its grid, for the user to copy.
    options : mapping
        The configuration's section `atlas`.
    label_kind : str
        The configuration's `plot.label_kind`.
    metrics : path, optional
        From `umap_sweep.quality.metrics`.
    recall : sequence of path, optional
        For each cell, the table of points from `umap_sweep.quality.cell_metrics`.
    instability : sequence of path, optional
        The tables of points from `umap_sweep.quality.seed_pairs`, in folders that name n_neighbors and min_dist.
    trust : sequence of path, optional
        For each cell, a table with one row for each point and a column for each min_dist, named as in the table of
        `recall`: float32, the p-value of the point's neighbourhood against a null.
    shortlist : path, optional
        From `umap_sweep.quality.shortlist`. The page opens on its first entry.

    Returns
    -------
    header : dict
    payload : Payload

    Raises
    ------
    InputError
        Where a stored table is missing or damaged or has another number of rows than the data, or a feature is unknown.
    """
    names = store.read_rows(stored_rows)
    n_rows = names.num_rows
    payload = Payload()
    strata = np.zeros(n_rows, np.int64)
    if "label" in names.column_names:
        strata = strata_of(names["label"].combine_chunks(), label_kind)
    kinds = {name: "auto" for name in store.column_names(stored_rows) if name != "id"}
    kinds |= {"label": label_kind} if "label" in kinds else {}
    neighbor_names = [name for name in pq.read_schema(knn).names if name.startswith("index_")]
    count = min(options["neighbors"], len(neighbor_names) - 1)
    features = options["features"] if isinstance(options["features"], int) else len(options["features"])
    # Of row number, neighbours and features, of each cell's coordinates, recall, instability and trust, of label and
    # annotations.
    bytes_of_point = 4 + 4 * count + features + 4 * len(cells) + len(recall) + len(instability) + len(trust)
    bytes_of_point += sum(bytes_of(values, kinds[name]) for name, values in _columns(stored_rows, n_rows, list(kinds)))
    room = max(MOST_BYTES // bytes_of_point, 1)
    rows = choose_rows(strata, min(options["max_points"], room))
    described = {
        name: described_by(values, kinds[name], rows, payload)
        for name, values in _columns(stored_rows, n_rows, list(kinds))
    }

    ids = names["id"]
    header: dict[str, Any] = {
        "rows": n_rows,
        "points": len(rows),
        "full": len(rows) == room,
        "row": payload.add(rows.astype(np.uint32)),
        "ids": None if _are_row_numbers(ids) else [str(value) for value in ids.take(pa.array(rows)).to_pylist()],
        "label": described.pop("label", None),
        "annotations": [{"name": name, **entry} for name, entry in described.items()],
    }

    columns = (_table(knn, n_rows, [name]).column(0) for name in neighbor_names[: count + 1])
    indices = np.stack([store.numbers(column)[rows] for column in columns], axis=1)
    header["neighbors"] = {"count": count, "places": payload.add(nearest(indices, rows, count, n_rows))}

    header["features"] = []
    for name, values in read_features(data, rows, options["features"]):
        low, high = label_kinds.scale_ends(values)
        header["features"].append(
            {"name": name, "low": low, "high": high, "levels": payload.add(levels(values, low, high))}
        )

    metric_names, metric_values = read_metrics(metrics, cells) if metrics else ([], [[] for _ in cells])
    header["metrics"] = metric_names
    header["titles"] = [
        [*measures.TITLES.get(name, (name.replace("_", " "), "")), EXPLANATIONS.get(name, "")] for name in metric_names
    ]
    header["settings"] = read_settings(metrics, metric_names) if metrics else []
    header["shortlist"] = read_shortlist(shortlist) if shortlist else []
    header["cells"] = []
    moves = {path: store.numbers(_table(path, n_rows, ["instability"])["instability"])[rows] for path in instability}
    if moves:
        low, high = label_kinds.scale_ends(np.concatenate(list(moves.values())))
        places = {path: payload.add(levels(values, low, high)) for path, values in moves.items()}
        header["instability"] = {"low": low, "high": high}
    # All cells are turned onto the one that the figure of the grid turns its cells onto, so that both look alike.
    first = [cells[0][name] for name in ("knn_seed", "seed")]
    drawn = {
        (line_of(cell), cell["min_dist"]): path
        for path, cell in zip(layouts, cells, strict=True)
        if [cell["knn_seed"], cell["seed"]] == first
    }
    reference, dimensions = _points(drawn[measures.middle_cell(drawn)], n_rows, rows)
    recall_files: Sequence[str | Path | None] = recall or [None] * len(cells)
    trust_files: Sequence[str | Path | None] = trust or [None] * len(cells)
    for path, cell, of_cell, recall_file, trust_file, instability_file in zip(
        layouts, cells, metric_values, recall_files, trust_files, files_of(instability, cells), strict=True
    ):
        points, _ = _points(path, n_rows, rows)
        if dimensions > 1:
            points = measures.align(points, reference)
        entry = {
            "key": {name: cell[name] for name in (*optional_axes(cell), *CELL_COLUMNS)},
            "points": payload.add(quantise(points)),
            "missing": int(np.sum(~measures.placed(points))),
            "metrics": of_cell,
            "configuration": configuration_of(cell, shared),
        }
        if recall_file is not None:
            shares = store.numbers(_table(recall_file, n_rows, [column_of(cell)]).column(0))[rows]
            entry["recall"] = payload.add(levels(shares, 0, 1))
        if trust_file is not None:
            trusted = trust_levels(store.numbers(_table(trust_file, n_rows, [column_of(cell)]).column(0)))
            entry["trust"] = payload.add(trusted[rows])
            entry["trusted"] = [int(np.sum(trusted == TRUSTED)), int(np.sum(trusted != UNKNOWN_TRUST))]
        if instability_file is not None:
            entry["instability"] = places[instability_file]
        header["cells"].append(entry)
    header["dimensions"] = dimensions
    header["axes"] = optional_axes(cells[0])
    header["imported"] = shared["knn"]["method"] == "imported"
    return header, payload


def _are_row_numbers(ids: pa.ChunkedArray) -> bool:
    if not (pa.types.is_integer(ids.type) or pa.types.is_floating(ids.type)):
        return False
    return bool(np.array_equal(store.numbers(ids), np.arange(len(ids))))


def _table(path: str | Path, n_rows: int, columns: Sequence[str]) -> pa.Table:
    table = store.read(path, columns)
    if table.num_rows != n_rows:
        raise InputError(f"{path} has {table.num_rows:,} rows, and the data {n_rows:,}. Delete it and run again.")
    return table


def _columns(path: str | Path, n_rows: int, names: Sequence[str]) -> Iterator[tuple[str, pa.Array]]:
    """Yield columns by name. They are read some at a time: all may be large, and to open a wide file takes long."""
    step = max(VALUES_AT_ONCE // max(n_rows, 1), 1)
    for start in range(0, len(names), step):
        table = _table(path, n_rows, names[start : start + step])
        for name in table.column_names:
            yield name, table.column(name).combine_chunks()


def _points(path: str | Path, n_rows: int, rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the first two dimensions of the rows shown, as float64, and how many dimensions the embedding has.

    Where it has one, random heights are the second.
    """
    dimensions = sum(bool(re.fullmatch(r"umap_\d+", name)) for name in pq.read_schema(path).names)
    columns = ["umap_1", "umap_2"][:dimensions]
    points = store.matrix(_table(path, n_rows, columns), "umap_")[rows].astype(np.float64)
    if dimensions == 1:
        width = np.nanmax(points, initial=0) - np.nanmin(points, initial=0)
        heights = np.random.default_rng(SEED).uniform(-0.1, 0.1, len(points)) * width
        points = np.column_stack([points, heights])
    return points, dimensions


def render(header: Mapping[str, Any], payload: Payload, template: str, style: str, scripts: Sequence[str]) -> str:
    """Return the page's HTML.

    Parameters
    ----------
    header : mapping
        Anything that JSON can hold.
    payload : Payload
    template, style : str
    scripts : sequence of str
        The contents of the files in `page_files/`.
    """
    # All scripts are in one function, so that they share their names, and none becomes a global name of the page.
    script = "(() => {\n'use strict';\n" + "\n".join(scripts) + "})();\n"
    policy = {
        "default-src": "'none'",
        "script-src": _hash_source(script),
        "style-src": _hash_source(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    parts = {
        "policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "style": style,
        "header": json_for_html(header),
        "data": payload.encode(),
        "script": script,
    }
    # In one pass, so that what is filled in is not searched for places to fill in.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def json_for_html(value: Any) -> str:
    """Return JSON in ASCII without any character that has a meaning in HTML."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def write(header: Mapping[str, Any], payload: Payload, out: str | Path) -> None:
    """Write the page to `out`, from `collect`'s header and payload."""
    template, style, *scripts = (path.read_text(encoding="utf-8") for path in PAGE)
    with store.appearing(out) as temporary:
        temporary.write_text(render(header, payload, template, style, scripts), encoding="utf-8")


def make(
    data: str | Path,
    stored_rows: str | Path,
    knn: str | Path,
    layouts: Sequence[str | Path],
    out: str | Path,
    dataset: str,
    metric: str,
    cells: Sequence[dict[str, Any]],
    shared: Mapping[str, Any],
    settings: Mapping[str, Any],
    label_kind: str = "auto",
    metrics: str | Path | None = None,
    recall: Sequence[str | Path] = (),
    instability: Sequence[str | Path] = (),
    trust: Sequence[str | Path] = (),
    shortlist: str | Path | None = None,
) -> None:
    """Make the atlas of a sweep.

    Parameters
    ----------
    data, stored_rows, knn, layouts, cells, shared, label_kind, metrics, recall, instability, trust, shortlist
        As for `collect`.
    out : path
        Receives the page.
    dataset, metric : str
        Named on the page.
    settings : mapping
        The configuration's section `atlas`.

    Raises
    ------
    InputError
        As `collect` does.
    """
    header, payload = collect(
        *(data, stored_rows, knn, layouts, cells, shared, settings, label_kind),
        *(metrics, recall, instability, trust, shortlist),
    )
    header |= {"dataset": dataset, "metric": metric}
    write(header, payload, out)
    logging.getLogger("umap_sweep").info(
        "Wrote %s: %d of %d rows, %d cells.", out, header["points"], header["rows"], len(header["cells"])
    )
