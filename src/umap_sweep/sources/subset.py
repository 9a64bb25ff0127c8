"""A part of a stored data set as a data set of its own: rows by what describes them, by id, or as a seeded sample.

Nothing is fetched again, and ids stay those of the whole, so that tables of both can be joined.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, reading

# The files of the data set that a subset is of: `data`, its features, and `rows`, what describes them.
Parent = Mapping[str, str | Path]


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
        kept &= _fulfils(_column(name, "where", source, parent), condition, f"where.{name}")
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


def _fulfils(values: pa.Array, condition: Any, key: str) -> np.ndarray:
    """Return which values a condition allows: one value, a list of them, `not` of a list, or a range of numbers."""
    if isinstance(condition, Mapping) and "not" in condition:
        return ~_is_in(values, condition["not"], key)
    if not isinstance(condition, Mapping):
        return _is_in(values, condition if isinstance(condition, list) else [condition], key)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise InputError(f"{key} asks for a range, but the values are {values.type}. List the values in place of it.")
    numbers = store.numbers(values.cast(pa.float64(), safe=False))
    low, high = condition.get("min", -np.inf), condition.get("max", np.inf)
    with np.errstate(invalid="ignore"):  # a missing value is in no range
        within: np.ndarray = (numbers >= low) & (numbers <= high)
    return within


def _is_in(values: pa.Array, wanted: Sequence[Any], key: str) -> np.ndarray:
    as_text = values.cast(pa.string())
    # Numbers are written in as many ways as there are types; text and booleans in one.
    numeric = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in wanted]
    if numeric:
        compared = values.cast(pa.float64(), safe=False)
        try:
            asked = pa.array([float(one) for one in wanted], pa.float64())
        except (TypeError, ValueError):
            raise InputError(f"{key} asks for {data_table.listed(wanted)}, but the values are numbers.") from None
    else:
        compared, asked = as_text, pa.array(texts, pa.string())
    missing = [text for text, known in zip(texts, pc.is_in(asked, compared).to_pylist(), strict=True) if not known]
    if missing:
        known = [str(one) for one in pc.unique(as_text.drop_null()).to_pylist()]
        raise data_table.unknown("the data set", "value", key, missing[0], known)
    found: np.ndarray = store.numbers(pc.fill_null(pc.is_in(compared, asked), False))
    return found


def _named(entry: Mapping[str, Any], ids: pa.Array) -> np.ndarray:
    """Return which rows a file of ids names; ids are compared as text."""
    path = Path(entry["path"])
    columns = reading.read_columns(path, entry.get("id", "id"))
    assert columns.ids is not None  # a name was given
    wanted = columns.ids.cast(pa.string())
    found: np.ndarray = store.numbers(pc.is_in(ids.cast(pa.string()), wanted.combine_chunks()))
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
    while quota.sum() < most:
        quota[np.argmax(np.where(quota < sizes, exact - quota, -np.inf))] += 1
    while quota.sum() > most:
        quota[np.argmax(np.where(quota > 1, quota - exact, -np.inf))] -= 1
    return quota
