"""What a supervised run is told of its rows, umap-learn's `y`, and whether it can be that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from umap_sweep import store
from umap_sweep.errors import InputError

# What umap-learn takes for a row without a label.
UNLABELLED = -1

# Metrics of a target that compare values with how far all of them are apart.
RELATIVE = ("ordinal", "count")

# What is said of a target without numbers, where the metric takes them.
NO_NUMBERS = (
    "umap.target is '{name}', whose values are no numbers, but umap.target_metric is {metric}; "
    "use categorical, or name another column."
)


def check_type_of_target(settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` where the target is a column of text and its metric takes numbers.

    A Parquet file says of what type its columns are. Of other files it is known when the rows are read.

    Parameters
    ----------
    settings : mapping
        From `umap_sweep.settings.configuration.complete`, whose files are there.
    """
    umap, source = settings["umap"], settings["datasets"][settings["dataset"]]
    if umap.get("target_metric", "categorical") == "categorical" or "target" not in umap:
        return
    column = source.get("label") if umap["target"] == "label" else umap["target"]
    path = source.get("path")
    if column is None or source["source"] != "file" or not isinstance(path, str) or not path.endswith(".parquet"):
        return
    try:
        names = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return  # the job that reads it says what is wrong with it
    if column not in names.names:
        return
    kind = names.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        raise InputError(NO_NUMBERS.format(name=umap["target"], metric=umap["target_metric"]))


def target_of(rows: str | Path, name: str, metric: str) -> np.ndarray:
    """Return what umap-learn's `fit` takes as `y`, from a column of the table of rows.

    Parameters
    ----------
    rows : path
        From `umap_sweep.sources.rows`.
    name : str
        Of the label, which is stored as `label`, or of an annotation.
    metric : str
        With `categorical` a missing value, NaN and -1 are no label; with others they are refused, but for -1.

    Returns
    -------
    ndarray of int32 or float64, shape (n,)
        A number for each category, by its first row, and -1 for no label; with another metric the values.

    Raises
    ------
    InputError
        Where there is no such column, it has no value, or one that the metric cannot take.
    """
    known = store.column_names(rows)[1:]
    if name not in known:
        has = f"it has {', '.join(known)}" if known else "it has neither a label nor annotations"
        raise InputError(f"umap.target is '{name}', which is no label or annotation of the data; {has}.")
    values = store.read(rows, [name]).column(0).combine_chunks()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    numeric = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if metric == "categorical" and numeric:
        values = pc.if_else(pc.equal(values, UNLABELLED), None, values)
    if values.null_count == len(values):
        raise InputError(f"umap.target is '{name}', which has no value in any row; name another column.")
    if metric == "categorical":
        return store.numbers(values.dictionary_encode().indices.fill_null(UNLABELLED)).astype(np.int32)
    if not numeric:
        raise InputError(NO_NUMBERS.format(name=name, metric=metric))
    if values.null_count:
        raise InputError(
            f"umap.target is '{name}', which is missing in {values.null_count} of {len(values)} rows. umap-learn takes "
            f"partly labelled rows only with umap.target_metric categorical; use it, or leave these rows out."
        )
    numbers = store.numbers(values.cast(pa.float64(), safe=False))
    if not np.isfinite(numbers).all():
        raise InputError(f"umap.target is '{name}', which has infinite values; name another column.")
    if metric in RELATIVE and (numbers == numbers[0]).all():
        raise InputError(
            f"umap.target is '{name}', which is {numbers[0]:g} in every row, and umap.target_metric {metric} divides "
            f"by how far values are apart; name another column."
        )
    return numbers
