"""What labels are: categories or numbers."""

from __future__ import annotations

import math
import re
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
    """Return the two ends of a scale of colours that outliers do not stretch.

    An end is the extreme value, unless that lies farther from the 1st to 99th percentile than half their distance.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Those that are not finite do not count.

    Returns
    -------
    low, high : float
        The first is less than the second; 0 and 1 where no value is finite.
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
    """Return labels as codes of their categories, with null and NaN as null."""
    if pa.types.is_floating(labels.type):
        labels = pc.if_else(pc.is_nan(labels), None, labels)
    return labels.dictionary_encode()


def category_codes(labels: pa.Array) -> np.ndarray:
    """Return each label as the place of its category among all of them in ascending order.

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
    return place[store.numbers(encoded.indices.fill_null(-1))]
