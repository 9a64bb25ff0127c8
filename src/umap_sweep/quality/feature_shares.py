"""Which features decide the distances between rows, and which columns and rows repeat what others say.

The distances of most metrics grow with a sum that has one part for each feature. A feature's share in the distance of
two rows is its part of that sum, and its share in the distances is the mean over random pairs of rows.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from umap_sweep import store
from umap_sweep.quality import tables

# So many random pairs, where there are more. A mean of numbers from 0 to 1 over 10,000 of them has a standard error of
# at most half a per cent.
PAIRS = 10_000

# Values that are held in float64 at one time.
BLOCK_VALUES = 2**20

# Two rows lie in one direction where the squared distance of their directions is not above this. Rounding leaves up to
# 1e-28, and float32 tells no directions apart whose squared distance is below 1e-15.
ONE_DIRECTION = 1e-24

# Where a row varies by no more than this part of its largest value, rounding of its mean is all of it.
CONSTANT_ROW = 1e-12

# What umap-learn's symmetric_kl adds to each value.
KL_ADDED = 1e-11

# Few columns decide where one in so many, at least one, hold more than this share, and there are enough to choose from.
ONE_IN, MOST_OF_IT, ENOUGH_COLUMNS = 10, 0.9, 3

# More names than this are not said.
MOST_NAMED = 3

COLUMNS = {"feature": pa.string(), "share": pa.float64(), "constant": pa.bool_(), "duplicate_of": pa.string()}

Parts = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _powers(p: float) -> Parts:
    """Return the parts |x - y|^p of Minkowski's distance."""

    def parts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        apart = np.abs(x - y)
        largest = apart.max(axis=1, keepdims=True)
        # Relative to the largest difference, of which no power is infinite.
        relative: np.ndarray = np.divide(apart, largest, out=np.zeros_like(apart), where=largest > 0)
        return relative**p

    return parts


def _chebyshev(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give all to the largest difference; several that are equal share it."""
    apart = np.abs(x - y)
    return np.where((apart > 0) & (apart == apart.max(axis=1, keepdims=True)), 1.0, 0.0)


def _cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """With u and v the rows divided by their lengths, 1 - cos is half of the sum of (u - v)²."""
    x_length, y_length = (np.sqrt((rows**2).sum(axis=1, keepdims=True)) for rows in (x, y))
    with np.errstate(divide="ignore", invalid="ignore"):  # rows of length 0 have no direction, and no parts
        parts = (x / x_length - y / y_length) ** 2
        known = parts.sum(axis=1, keepdims=True) > ONE_DIRECTION
    return np.where(known, parts, 0.0)


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _cosine(_centred(x), _centred(y))


def _centred(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    largest, left = (np.abs(values).max(axis=1, keepdims=True) for values in (rows, centred))
    return np.where(left > CONSTANT_ROW * largest, centred, 0.0)


def _hellinger(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Take the square roots, whose cosine is 1 less the squared distance."""
    return _cosine(np.sqrt(x), np.sqrt(y))


def _canberra(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    sizes = np.abs(x) + np.abs(y)
    parts: np.ndarray = np.divide(np.abs(x - y), sizes, out=np.zeros_like(sizes), where=sizes > 0)
    return parts


def _braycurtis(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Take |x - y|; their sum is divided by one number for all features, and where that is 0, the distance is 0."""
    return np.where(np.abs(x + y).sum(axis=1, keepdims=True) > 0, np.abs(x - y), 0.0)


def _symmetric_kl(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """With rows p and q of sum 1, KL(p, q) + KL(q, p) is the sum of (p - q) log(p / q), which are never negative."""
    # In float32, as umap-learn does, where it is nothing to all but the smallest numbers.
    x, y = ((rows + KL_ADDED).astype(np.float32).astype(np.float64) for rows in (x, y))
    p, q = (rows / rows.sum(axis=1, keepdims=True) for rows in (x, y))
    parts = np.maximum((p - q) * (np.log(p) - np.log(q)), 0.0)
    return np.where(parts.sum(axis=1, keepdims=True) > ONE_DIRECTION, parts, 0.0)


def _unequal(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(x != y, 1.0, 0.0)


def _differing(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Count the columns that are 0 in one row alone; what their number is divided by is one number for all of them."""
    return np.where((x != 0) != (y != 0), 1.0, 0.0)


def _russellrao(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Count the columns that are 0 in one row or in both; where none differs, umap-learn's distance is 0."""
    apart = _differing(x, y).sum(axis=1, keepdims=True) > 0
    return np.where(apart & ((x == 0) | (y == 0)), 1.0, 0.0)


def _kulsinski(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Count the same, and those that differ once more."""
    parts: np.ndarray = _russellrao(x, y) + _differing(x, y)
    return parts


# By umap-learn's names. Not among them: haversine, whose part of the longitude holds both latitudes; poincare, which
# divides by the lengths of the rows, of which features have shares too; yule, which is a product of two counts.
PARTS: dict[str, Parts] = {
    **dict.fromkeys(("euclidean", "l2"), _powers(2)),
    **dict.fromkeys(("manhattan", "l1", "taxicab"), _powers(1)),
    **dict.fromkeys(("chebyshev", "linf", "linfinity", "linfty"), _chebyshev),
    "cosine": _cosine,
    "correlation": _correlation,
    "hellinger": _hellinger,
    "canberra": _canberra,
    "braycurtis": _braycurtis,
    "symmetric_kl": _symmetric_kl,
    "hamming": _unequal,
    **dict.fromkeys(
        ("matching", "jaccard", "dice", "rogerstanimoto", "sokalmichener", "sokalsneath"),
        _differing,
    ),
    "russellrao": _russellrao,
    "kulsinski": _kulsinski,
}


def parts_of(metric: str, metric_kwds: Mapping[str, float]) -> Parts | None:
    """Return the function that gives the parts of a metric's distances, or None where they have none.

    It takes two arrays of float64, shape (m, d), and returns as many numbers, none of them negative. The parts of two
    rows at no distance, or at one that umap-learn sets by rule, are all 0.
    """
    if metric == "minkowski":
        p = metric_kwds.get("p", 2)
        return _powers(p) if p > 0 else None
    return PARTS.get(metric)


def choose_pairs(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of rows, or `PAIRS` random ones of two different rows where there are more.

    Returns
    -------
    first, second : ndarray of int, shape (pairs,)
        Row numbers.
    """
    if n_rows * (n_rows - 1) // 2 <= PAIRS:
        first, second = np.triu_indices(n_rows, 1)
        return first, second
    draw = np.random.default_rng([seed, 3])  # other numbers than the pairs and triplets of the metrics
    first = draw.integers(0, n_rows, PAIRS)
    return first, (first + draw.integers(1, n_rows, PAIRS)) % n_rows


def shares(features: np.ndarray, first: np.ndarray, second: np.ndarray, parts: Parts) -> tuple[np.ndarray | None, int]:
    """Return the share of each feature in the distances of pairs of rows.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    first, second : ndarray of int, shape (pairs,)
        Row numbers.
    parts : callable
        From `parts_of`.

    Returns
    -------
    shares : ndarray of float64, shape (d,), or None
        Their sum is 1. None where no pair has a distance.
    pairs : int
        How many pairs have a distance; only these count.
    """
    total, counted = np.zeros(features.shape[1]), 0
    step = max(1, BLOCK_VALUES // features.shape[1])
    for start in range(0, len(first), step):
        block = slice(start, start + step)
        found = parts(features[first[block]].astype(np.float64), features[second[block]].astype(np.float64))
        sums = found.sum(axis=1, keepdims=True)
        apart = sums[:, 0] > 0
        total += (found[apart] / sums[apart]).sum(axis=0)
        counted += int(apart.sum())
    return (total / counted if counted else None), counted


def constant_columns(features: np.ndarray) -> np.ndarray:
    """Return which columns have one value in all rows; bool, shape (d,)."""
    constant: np.ndarray = features.min(axis=0) == features.max(axis=0)
    return constant


def duplicate_columns(features: np.ndarray) -> np.ndarray:
    """Return for each column the first one that it equals in all rows, -1 for the first of a kind; int, shape (d,)."""
    digests = [hashlib.blake2b(digest_size=16) for _ in range(features.shape[1])]
    for block in _blocks(features):
        for digest, column in zip(digests, np.ascontiguousarray(block.T), strict=True):
            digest.update(column.data)
    first: dict[bytes, int] = {}
    places = np.array([first.setdefault(digest.digest(), place) for place, digest in enumerate(digests)])
    return np.where(places == np.arange(len(places)), -1, places)


def repeated_rows(features: np.ndarray) -> int:
    """Return how many rows equal another row."""
    digests = bytearray()
    for block in _blocks(features):
        for row in block:
            digests += hashlib.blake2b(row.data, digest_size=16).digest()
    counts = store.numbers(
        pc.value_counts(store.binary_rows(np.frombuffer(digests, np.uint8).reshape(-1, 16))).field("counts")
    )
    return int(counts[counts > 1].sum())


def _blocks(features: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, BLOCK_VALUES // features.shape[1])
    for start in range(0, len(features), step):
        yield np.add(features[start : start + step], np.float32(0), order="C")  # makes -0 the 0 that it equals


def compute(
    data: str | Path, out: str | Path, csv_out: str | Path, metric: str, metric_kwds: dict[str, float], seed: int
) -> None:
    """Store which features of a data set decide its distances, and what repeats in it.

    Parameters
    ----------
    data : path
        The stored data set.
    out, csv_out : path
        Receive one row for each feature, as Parquet and as CSV: its name, `share` (null where the distances have no
        parts, see `parts_of`, or no two rows are apart), whether it is `constant`, and of which feature before it, if
        any, it is a duplicate (`duplicate_of`; not where it is constant). The record holds the number of `pairs` (null
        where the distances have no parts), of `rows`, of `repeated_rows`, and by feature the `rounded` integers.
    metric : str
        umap-learn's name of the metric.
    metric_kwds : mapping
        Keywords of the metric.
    seed : int
        Of the random pairs.

    Raises
    ------
    InputError
        Where the file is missing or damaged, or the metric is not defined on the data.
    """
    from umap_sweep.stages.knn import check_metric  # here, because its module takes long to import

    features, about = store.read_features(data), store.read_record(data)
    check_metric(features, metric)
    parts = parts_of(metric, metric_kwds)
    found, pairs = (None, None) if parts is None else shares(features, *choose_pairs(len(features), seed), parts)
    names, constant, equal_to = about["feature_names"], constant_columns(features), duplicate_columns(features)
    rows = [
        {
            "feature": name,
            "share": None if found is None else float(found[place]),
            "constant": bool(constant[place]),
            "duplicate_of": None if constant[place] or equal_to[place] < 0 else names[equal_to[place]],
        }
        for place, name in enumerate(names)
    ]
    tables.write(
        out,
        tables.table_of(rows, COLUMNS),
        "features",
        store.inputs_of(data),
        {"metric": metric, "metric_kwds": metric_kwds, "seed": seed},
        csv_out,
        also={
            "pairs": pairs,
            "rows": len(features),
            "repeated_rows": repeated_rows(features),
            "rounded": about.get("rounded", {}),
        },
    )
    for sentence in sentences(out):
        logging.getLogger("umap_sweep").info(sentence)


def sentences(path: str | Path) -> list[str]:
    """Return what a user should know of a stored table of features: one sentence, two, or none.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    table, record = store.read(path).to_pydict(), store.read_record(path)
    return [*_what_decides(table, record["key"]["metric"]), *_what_repeats(table, record)]


def _what_decides(table: Mapping[str, list[Any]], metric: str) -> Iterator[str]:
    deciding = few_that_decide(table["share"], table["constant"])
    if deciding:
        names = [table["feature"][place] for place in deciding]
        held = percent(math.fsum(table["share"][place] for place in deciding))
        verb = "decides" if len(names) == 1 else f"of {len(table['feature'])} columns decide"
        yield (
            f"{_named(names)} {verb} {held} of the {metric} distances between rows; with columns in different units "
            "rescale them, or choose another metric (docs/data.md)."
        )


def few_that_decide(shares: Sequence[float | None], constant: Sequence[bool]) -> list[int]:
    """Return the places of the columns that decide nearly alone, the largest share first; none where many decide.

    Parameters
    ----------
    shares : sequence of d numbers, or of d None
    constant : sequence of d bool
        Which columns do not count among the many, because they never could decide.
    """
    varying = [place for place, same in enumerate(constant) if not same]
    known = {place: share for place in varying if (share := shares[place]) is not None}
    if len(known) < ENOUGH_COLUMNS:
        return []
    by_share = sorted(known, key=lambda place: -known[place])
    few = by_share[: max(1, len(varying) // ONE_IN)]
    for count in range(1, len(few) + 1):
        if math.fsum(known[place] for place in few[:count]) > MOST_OF_IT:
            return few[:count]
    return []


def _what_repeats(table: Mapping[str, list[Any]], record: Mapping[str, Any]) -> Iterator[str]:
    columns = len(table["feature"])
    constant = [name for name, same in zip(table["feature"], table["constant"], strict=True) if same]
    pairs = zip(table["feature"], table["duplicate_of"], strict=True)
    duplicates = [f"{name} = {first}" for name, first in pairs if first is not None]
    found = []
    if constant:
        be = "is" if len(constant) == 1 else "are"
        found.append(f"{len(constant)} of {columns} columns {be} constant ({_named(constant)})")
    if duplicates:
        repeat = "repeats" if len(duplicates) == 1 else "repeat"
        found.append(f"{len(duplicates)} of {columns} columns {repeat} another ({_named(duplicates)})")
    if record["repeated_rows"]:
        found.append(f"{record['repeated_rows']:,} of {record['rows']:,} rows equal another row")
    if record["rounded"]:
        count = sum(record["rounded"].values())
        found.append(f"{count:,} whole numbers beyond 2^24 are rounded to float32 ({_named(list(record['rounded']))})")
    if found:
        yield f"In the data, {'; '.join(found)} (docs/data.md)."


def _named(names: Sequence[str]) -> str:
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    said = [*names[:MOST_NAMED], *more]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def percent(share: float) -> str:
    """Return a share in per cent, rounded down to a tenth, so that only all is 100."""
    tenths = math.floor(1000 * share + 1e-9)
    return "< 0.1 %" if share > 0 and not tenths else f"{tenths / 10:g} %"
