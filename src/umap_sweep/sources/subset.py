"""A part of a stored data set as a data set of its own: rows by what describes them, by id, or as a seeded sample.

Nothing is fetched again, and ids stay those of the whole, so that tables of both can be joined.
"""

from __future__ import annotations

import heapq
import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, reading

# The files of the data set that a subset is of: `data`, its features, and `rows`, what describes them.
Parent = Mapping[str, str | Path]

# What a whole number is stored as.
SMALLEST, LARGEST = -(2**63), 2**63 - 1


def read_features(source: Mapping[str, Any], parent: Parent) -> data_table.Features:
    """Return the features of the rows that a subset chooses, in the order of the whole.

    Parameters
    ----------
    source : mapping
        The configuration's source `subset`, valid by its schema.
    parent : mapping of str to path
        The stored files of the data set that it is of.

    Raises
    ------
    InputError
        As for `choose`.
    """
    places = choose(source, parent)
    record = store.read_record(parent["data"])
    matrix = store.read_features(parent["data"])[places]
    logging.getLogger("umap_sweep").info("%d of %d rows of %s", len(places), record["rows"], source["of"])
    chosen = data_table.matrix_features(matrix, source["of"], record["feature_names"])
    return data_table.Features(chosen.values, chosen.names, places, record["rows"])


def read_subsample(source: Mapping[str, Any], parent: Parent) -> data_table.Features:
    """Return the features of a stored data set without a tenth of its rows, which are drawn at random.

    Parameters
    ----------
    source : mapping
        `of`, the name of the data set; `seed`; and where it is known `k`, how many neighbours a row is to have.
    parent : mapping of str to path
        Its stored files, of which the features alone are read.

    Raises
    ------
    InputError
        Where the file is missing or damaged, or too few rows are left for `k`.
    """
    record = store.read_record(parent["data"])
    places = nine_tenths(record["rows"], source["seed"])
    if len(places) <= source.get("k", 0):
        raise InputError(
            f"choose.leave_out leaves {len(places)} of the {record['rows']} rows of {source['of']}, too few for "
            f"knn.n_neighbors {source['k']}; choose at most {len(places) - 1}, or set choose.leave_out to 0."
        )
    matrix = store.read_features(parent["data"])[places]
    remaining = data_table.matrix_features(matrix, source["of"], record["feature_names"])
    return data_table.Features(remaining.values, remaining.names, places, record["rows"])


def nine_tenths(rows: int, seed: int) -> np.ndarray:
    """Return which rows are left where a tenth of them, rounded down and at least one, is left out.

    Parameters
    ----------
    rows : int
    seed : int
        Of `numpy.random.RandomState`, whose numbers stay the same in all versions of numpy.

    Returns
    -------
    ndarray of int64, shape (rows left,)
        Row numbers, ascending.
    """
    left: np.ndarray = np.sort(np.random.RandomState(seed).permutation(rows)[max(rows // 10, 1) :])
    return left


def choose(source: Mapping[str, Any], parent: Parent) -> np.ndarray:
    """Return the rows of a data set that a subset chooses: of those that `where` and `ids` allow, the `sample`.

    Parameters
    ----------
    source, parent
        As for `read_features`.

    Returns
    -------
    ndarray of int64, shape (m,)
        Row numbers of the whole, ascending; at least one.

    Raises
    ------
    InputError
        Where a column or value is unknown, no id is known, or no row is left.
    """
    kept = np.ones(store.read_record(parent["data"])["rows"], dtype=bool)
    for name, condition in source.get("where", {}).items():
        key = f"where.{_said_as(name, parent)}"
        kept &= _fulfils(_column(name, "where", source, parent), condition, key)
    if "ids" in source:
        kept &= _named(source["ids"], store.read(parent["rows"], ["id"]).column("id").combine_chunks())
    places = np.flatnonzero(kept)
    if not len(places):
        raise InputError(f"No row of {source['of']} fulfils `where` and `ids`. Widen them.")
    if "sample" in source:
        places = places[_sampled(len(places), source, parent, places)]
    return places


def _column(name: str, key: str, source: Mapping[str, Any], parent: Parent) -> pa.Array:
    known = store.column_names(parent["rows"])
    if name not in known:
        raise data_table.unknown(f"the data set {source['of']}", "label or annotation", key, name, known)
    return store.read(parent["rows"], [name]).column(0).combine_chunks()


def _said_as(name: str, parent: Parent) -> str:
    """Return what the configuration calls a column, which is stored under `label` where it is the label."""
    described = store.read_record(parent["rows"]).get("description", {}).get("settings", {})
    return str(described.get("label", name)) if name == "label" else name


def _fulfils(values: pa.Array, condition: Any, key: str) -> np.ndarray:
    """Return which values a condition allows: one value, a list of them, `not` of a list, or a range of numbers."""
    if isinstance(condition, Mapping) and "not" in condition:
        return ~_is_in(values, condition["not"], key)
    if not isinstance(condition, Mapping):
        return _is_in(values, condition if isinstance(condition, list) else [condition], key)
    if not _is_number(values.type):
        raise InputError(f"{key} asks for a range, but the values are {values.type}. List the values in place of it.")
    within = np.ones(len(values), dtype=bool)
    for limit, bound in condition.items():
        within &= _is_beyond(values, limit, bound)
    return within


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_beyond(values: pa.Array, limit: str, bound: float) -> np.ndarray:
    """Return which numbers are at least a `min`, or at most a `max`; a missing one is neither."""
    is_least = limit == "min"
    if pa.types.is_integer(values.type):
        # As whole numbers, because float64 does not tell all of them apart above 2^53.
        bound = math.ceil(bound) if is_least else math.floor(bound)
        if not SMALLEST <= bound <= LARGEST:
            return store.numbers(values.is_valid()) & ((bound < 0) == is_least)
    else:
        bound = _as_float(bound, math.inf if is_least else -math.inf)
    compared = (pc.greater_equal if is_least else pc.less_equal)(values, pa.scalar(bound, values.type))
    found: np.ndarray = store.numbers(pc.fill_null(compared, False))
    return found


def _as_float(number: float, towards: float) -> float:
    """Return a number as the float64 that is next to it, in this direction where none equals it."""
    try:
        near = float(number)
    except OverflowError:
        near = math.copysign(math.inf, number)
    is_past = near >= number if towards > 0 else near <= number
    return near if is_past else math.nextafter(near, towards)


def _is_in(values: pa.Array, wanted: Sequence[Any], key: str) -> np.ndarray:
    is_number = _is_number(values.type)
    compared = values if is_number else values.cast(pa.string())
    known = pc.unique(compared.drop_null())
    asked = (_numbers_for if is_number else _texts_for)(known, wanted, key)
    found: np.ndarray = store.numbers(pc.fill_null(pc.is_in(compared, pa.array(asked, compared.type)), False))
    return found


def _numbers_for(known: pa.Array, wanted: Sequence[Any], key: str) -> list[float]:
    """Return the numbers that are asked for, each as the data has it exactly."""
    there = set(known.to_pylist())
    found: list[float] = []
    for one in wanted:
        try:
            number = _number(one)
        except ValueError:
            raise InputError(f"{key} asks for {data_table.listed(wanted)}, but the values are numbers.") from None
        if number not in there:
            raise data_table.unknown("the data set", "value", key, str(one), list(map(str, known.to_pylist())))
        # A whole number may be asked for as 5.0, and another as 5.
        found.append(int(number) if pa.types.is_integer(known.type) else float(number))
    return found


def _number(value: Any) -> float:
    """Return a number, which may be written as text; a whole one as such, because float64 does not hold them all."""
    if isinstance(value, bool):
        raise ValueError(value)
    if isinstance(value, str):
        return int(value) if re.fullmatch("[+-]?[0-9]+", value) else float(value)
    number: float = value
    return number


def _texts_for(known: pa.Array, wanted: Sequence[Any], key: str) -> list[str]:
    """Return the texts that are asked for, where YAML may have made something else of what stands in the configuration.

    YAML makes true of yes and True, and 1 of 01. What it made is taken for the one text of the data of which it makes
    the same, and is refused where there are several.
    """
    texts = known.to_pylist()
    there, made = set(texts), {} if all(isinstance(one, str) for one in wanted) else _made_by_yaml(texts)
    found: list[str] = []
    for one in wanted:
        possible = made.get((type(one), one), []) if not isinstance(one, str) else [one] if one in there else []
        if len(possible) > 1:
            raise InputError(
                f"{key} asks for {one}, which YAML makes of {data_table.listed(possible)} alike. Put the one that is "
                f"meant in quotes."
            )
        if not possible:
            said = str(one).lower() if isinstance(one, bool) else str(one)
            raise data_table.unknown("the data set", "value", key, said, texts)
        found += possible
    return found


def _made_by_yaml(texts: Sequence[str]) -> dict[tuple[type, Any], list[str]]:
    """Return by type and value the texts of which YAML makes a boolean or a number."""
    loader = yaml.SafeLoader("")
    made: dict[tuple[type, Any], list[str]] = {}
    for text in texts:
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        if tag.rpartition(":")[2] in ("bool", "int", "float"):
            try:
                value = loader.construct_object(yaml.ScalarNode(tag, text))
            except ValueError:  # such as 0x_, which YAML itself refuses
                continue
            made.setdefault((type(value), value), []).append(text)
    return made


def _named(entry: Mapping[str, Any], ids: pa.Array) -> np.ndarray:
    """Return which rows a file of ids names; ids are compared as text."""
    path = Path(entry["path"])
    columns = reading.read_columns(path, entry.get("id", "id"), text=entry)
    assert columns.ids is not None  # a name was given
    wanted = data_table.joinable(columns.ids).cast(pa.string())
    found: np.ndarray = store.numbers(pc.is_in(data_table.joinable(ids).cast(pa.string()), wanted.combine_chunks()))
    if not found.any():
        raise InputError(
            f"No id in {path} is one of the data's: it has {data_table.listed(wanted[:2].to_pylist())}, and the data "
            f"{data_table.listed(ids[:2].to_pylist())}. Mend the ids, or name another column as `ids.id`."
        )
    unknown = len(pc.unique(wanted)) - int(found.sum())
    if unknown:
        logging.getLogger("umap_sweep").warning("%d ids in %s are no row's", unknown, path)
    return found


def _sampled(count: int, source: Mapping[str, Any], parent: Parent, places: np.ndarray) -> np.ndarray:
    """Return the places of a seeded sample among some rows, ascending; of each category of `by` its share of them."""
    sample = source["sample"]
    order = np.random.RandomState(sample.get("seed", 0)).permutation(count)
    if sample["rows"] >= count:
        logging.getLogger("umap_sweep").info("A sample of %d of %d rows is all of them", sample["rows"], count)
        return np.arange(count)
    if "by" not in sample:
        return np.sort(order[: sample["rows"]])
    values = _column(sample["by"], "sample.by", source, parent).take(pa.array(places))
    codes = store.numbers(values.dictionary_encode(null_encoding="encode").indices)
    return np.sort(stratified(codes, order, sample["rows"]))


def stratified(codes: np.ndarray, order: np.ndarray, most: int) -> np.ndarray:
    """Return a sample in which each category has its share, the first ones of each in a random order.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        The category of each row, from 0.
    order : ndarray of int, shape (n,)
        All rows in random order.
    most : int
        Rows of the sample, fewer than n.

    Returns
    -------
    ndarray of int, shape (most,)
        Category by category.
    """
    sizes = np.bincount(codes)
    by_category = order[np.argsort(codes[order], kind="stable")]
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen: np.ndarray = by_category[rank < np.repeat(shares(sizes, most), sizes)]
    return chosen


def shares(sizes: np.ndarray, most: int) -> np.ndarray:
    """Return how many of a sample are of each category: its share by largest remainders, and one at least if it can be.

    Parameters
    ----------
    sizes : ndarray of int, shape (categories,)
        Rows of each.
    most : int
        Rows of the sample, fewer than all.

    Returns
    -------
    ndarray of int64, shape (categories,)
        Their sum is `most`.
    """
    exact = sizes * (most / sizes.sum())
    quota: np.ndarray = np.floor(exact).astype(np.int64)
    if np.count_nonzero(sizes) <= most:
        quota = np.maximum(quota, np.minimum(sizes, 1))
    if (lacking := most - int(quota.sum())) > 0:
        _step(quota, exact, quota < sizes, lacking, 1, sizes)
    elif lacking < 0:
        _step(quota, exact, quota > 1, -lacking, -1, np.ones_like(sizes))
    return quota


def _step(quota: np.ndarray, exact: np.ndarray, may: np.ndarray, steps: int, by: int, end: np.ndarray) -> None:
    """Change `quota` by 1 or -1 at one place after the other, each time where it is farthest from `exact`.

    A heap, because there may be a million categories, and as many steps.
    """
    places = np.flatnonzero(may)
    heap = list(zip((by * (quota - exact))[places].tolist(), places.tolist(), strict=True))
    heapq.heapify(heap)
    for _ in range(steps):
        place = heap[0][1]
        quota[place] += by
        if quota[place] == end[place]:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (float(by * (quota[place] - exact[place])), place))
