"""Whether labels are categories or numbers, and what figures, atlas and metrics make of either."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from umap_sweep import store
from umap_sweep.errors import InputError

MOST_NUMBERS_AS_CATEGORIES = 30


def are_categories(labels: pa.Array, kind: str) -> bool:
    """Tell whether labels count as categories.

    Parameters
    ----------
    labels : pyarrow.Array
        Integers, floats or strings; null and NaN are no label.
    kind : str
        `categorical`, `numeric`, or `auto`: text and up to 30 distinct whole numbers are categories. Where there is no
        finite number there is no scale, and labels are categories whatever `kind`.

    Raises
    ------
    InputError
        Where `kind` is `numeric` and the labels are text.
    """
    text = not (pa.types.is_integer(labels.type) or pa.types.is_floating(labels.type))
    if kind == "numeric" and text:
        raise InputError(f"plot.label_kind is numeric, but the labels are {labels.type}. Use auto or categorical.")
    if text or kind == "categorical":
        return True
    values = as_numbers(labels)
    distinct = np.unique(values[~np.isnan(values)])
    few_whole = len(distinct) <= MOST_NUMBERS_AS_CATEGORIES and np.array_equal(distinct, np.rint(distinct))
    return bool((kind == "auto" and few_whole) or not np.isfinite(distinct).any())


def as_numbers(labels: pa.Array) -> np.ndarray:
    """Return numeric labels as float64, NaN where there is none."""
    return store.numbers(labels.cast(pa.float64(), safe=False))


def scale_ends(values: np.ndarray) -> tuple[float, float]:
    """Return the two ends of a colour scale that outliers do not stretch.

    The ends are the least and the greatest value. Where one of them lies farther beyond the 1st or 99th percentile than
    half the distance between these two, that percentile takes its place.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Values that are not finite do not count.

    Returns
    -------
    low, high : float
        `low` is less than `high`; 0 and 1 where no value is finite.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, first, last, high = np.percentile(finite, [0, 1, 99, 100])
    far = (last - first) / 2 or math.inf
    low, high = (first if first - low > far else low), (last if high - last > far else high)
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(high) + 0.5)


def natural_order(category: Any) -> Any:
    """Return a sort key that puts `cluster 2` before `cluster 10`."""
    if not isinstance(category, str):
        return category
    parts = re.split(r"(\d{1,18})", category)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def encode(labels: pa.Array) -> pa.DictionaryArray:
    """Return labels dictionary-encoded, in PyArrow's order of the categories; NaN becomes null."""
    if pa.types.is_floating(labels.type):
        labels = pc.if_else(pc.is_nan(labels), None, labels)
    return labels.dictionary_encode()


def natural_categories(labels: pa.Array) -> tuple[list[Any], np.ndarray]:
    """Return the categories in natural order, and each label as the place of its category among them.

    Parameters
    ----------
    labels : pyarrow.Array

    Returns
    -------
    categories : list
        By `natural_order`.
    codes : ndarray of int64, shape (n,)
        The number of categories where there is no label.
    """
    encoded = encode(labels)
    categories = encoded.dictionary.to_pylist()
    order = sorted(range(len(categories)), key=lambda place: natural_order(categories[place]))
    place_of = np.full(len(categories) + 1, len(categories))
    place_of[order] = np.arange(len(categories))
    codes: np.ndarray = place_of[store.numbers(encoded.indices.fill_null(-1))]  # -1 is the last entry
    return [categories[place] for place in order], codes


def category_codes(labels: pa.Array) -> np.ndarray:
    """Return each label as the place of its category among all categories in ascending order.

    Parameters
    ----------
    labels : pyarrow.Array

    Returns
    -------
    ndarray of int32, shape (n,)
        -1 where there is no label.
    """
    encoded = encode(labels)
    categories = encoded.dictionary.to_pylist()
    place = np.empty(len(categories) + 1, dtype=np.int32)
    place[sorted(range(len(categories)), key=categories.__getitem__)] = np.arange(len(categories))
    place[-1] = -1
    codes: np.ndarray = place[store.numbers(encoded.indices.fill_null(-1))]
    return codes


def in_common(stored: pa.Array, new: pa.Array, kind: str = "auto") -> tuple[pa.Array, pa.Array] | None:
    """Return the labels of two data sets as one type, in which those are equal that say the same.

    A column of numbers in one file is one of text in another. Numbers say the same whatever their type (1 and 1.0), and
    so does text that writes a number or a truth value (0 and "0", true and "True").

    Parameters
    ----------
    stored, new : pyarrow.Array
        Integers, floats, booleans or strings.
    kind : str, default "auto"
        As for `are_categories`. Where the stored labels are no categories, new ones that are no numbers become null.

    Returns
    -------
    tuple of pyarrow.Array, or None
        Both, as they are where their types are the same; as numbers where all are, unless the stored ones are text;
        otherwise as text, that of the stored ones unchanged. None where it is ambiguous, because two different values
        of one data set say the same, as "1" and "01" do.
    """
    if stored.type == new.type:
        return stored, new
    encoded = [encode(one) for one in (stored, new)]
    said = [_said_by(one.dictionary) for one in encoded]
    if any(len(set(one)) < len(one) for one in said):
        return None
    is_number = pa.types.is_integer(stored.type) or pa.types.is_floating(stored.type)
    is_scale = is_number and not are_categories(stored, kind)
    if is_scale:
        said[1] = [None if isinstance(one, str) else one for one in said[1]]
    every = {*said[0], *said[1]} - {None}
    if pa.types.is_string(stored.type) or pa.types.is_large_string(stored.type):
        own = dict(zip(said[0], encoded[0].dictionary.to_pylist(), strict=True))
        return _taken(encoded, said, {one: str(one) for one in every} | own, pa.string())
    whole = all(isinstance(one, int) for one in every)
    if whole and all(abs(one) < 2**63 for one in every):
        return _taken(encoded, said, {}, pa.int64())
    # A float64 holds every whole number up to 2^53.
    if is_scale or all(isinstance(one, float) or (isinstance(one, int) and abs(one) <= 2**53) for one in every):
        return _taken(encoded, said, {}, pa.float64())
    return _taken(encoded, said, {one: str(one) for one in every}, pa.string())


def _said_by(values: pa.Array) -> list[Any]:
    """Return what distinct values say: whole numbers as int, others as float, and all else as text."""
    if pa.types.is_float32(values.type):
        return [_said(float(str(value))) for value in store.numbers(values)]  # 0.1 is what it is printed as
    return [_said(value) for value in values.to_pylist()]


def _said(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        if value.lower() in ("true", "false"):
            return value.lower()
        if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", value, re.ASCII | re.IGNORECASE):
            return value
        value = float(value) if re.search(r"[.e]", value, re.IGNORECASE) else int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _taken(
    encoded: Sequence[pa.DictionaryArray], said: Sequence[Sequence[Any]], names: Mapping[Any, Any], kind: pa.DataType
) -> tuple[pa.Array, pa.Array]:
    """Return two columns with what their values say, or the names of it, as one type."""
    first, second = (
        pa.array([names.get(value, value) for value in values], kind, safe=False).take(one.indices)
        for one, values in zip(encoded, said, strict=True)
    )
    return first, second
