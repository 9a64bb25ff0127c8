"""The two checked tables that a sweep starts from: how columns become features, or ids, labels and annotations.

Every source ends in these, their rows in the source's order. Features are what UMAP sees: a fixed-size list of float32
for each row, all finite. What names and describes the rows stands beside them: `id` (int64 or string, unique), `label`
where there is one, and annotations (int64, float64, boolean or string, null where missing). Columns that cannot give
such tables are an `InputError`, never a guess.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from umap_sweep.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# Features are converted and checked in blocks of this many values, which keeps the memory beside the table small.
BLOCK_VALUES = 2**22

# Names that a message has.
MOST_LISTED = 5

# Characters of a name, an id or a label that a message has.
MOST_SAID = 60

# Up to this size float32 holds every whole number.
WHOLE_IN_FLOAT32 = 2**24

# Numbers as programs write them. "007" is none of them: as a number it would lose its zeros.
_INTEGER = r"^(0|-?[1-9][0-9]*)$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class Features:
    """What UMAP sees of a data set.

    Attributes
    ----------
    values : pyarrow.ChunkedArray of fixed-size lists of d float32
        One list for each of n rows, all finite.
    names : list of str
        d names.
    rows : ndarray of int64, shape (n,), or None
        The place of each row in the source, where rows were left out.
    source_rows : int or None
        How many rows the source has, where some were left out.
    missing : dict of str to int
        How many values were missing, by column; rows that were left out, or medians, stand for them.
    label : pyarrow.ChunkedArray or None
        The label that the source itself gives its rows.
    rounded : dict of str to int
        How many whole numbers of the source float32 cannot hold, by column; the nearest that it can stand for them.
    not_numeric : dict of str to str
        The columns that were left out because they are not numeric, each with the first value that is no number, in
        words, where it is known.
    """

    values: pa.ChunkedArray
    names: list[str]
    rows: np.ndarray | None = None
    source_rows: int | None = None
    missing: dict[str, int] = field(default_factory=dict)
    label: pa.ChunkedArray | None = None
    rounded: dict[str, int] = field(default_factory=dict)
    not_numeric: dict[str, str] = field(default_factory=dict)

    def with_rounded(self, counts: np.ndarray) -> Features:
        """Return the same features with `rounded`, from the count of each column; ndarray of int, shape (d,)."""
        return replace(self, rounded={self.names[place]: int(counts[place]) for place in np.flatnonzero(counts)})

    def table(self) -> pa.Table:
        """Return the columns that are stored: `features`, and `row` and `label` where they are known."""
        columns: dict[str, Any] = {"features": self.values}
        if self.rows is not None:
            columns["row"] = pa.array(self.rows)
        if self.label is not None:
            columns["label"] = self.label
        return pa.table(columns)


def choose_features(
    schema: pa.Schema,
    beside: Mapping[str, Sequence[str]],
    wanted: str | Sequence[str] | None,
    exclude: Sequence[str],
    origin: str | Path,
    examples: Callable[[Sequence[str]], Mapping[str, str]],
) -> list[str]:
    """Return the feature columns of a table, after checking that every name given is right.

    Parameters
    ----------
    schema : pyarrow.Schema
        The table's columns.
    beside : mapping of str to sequence of str
        The columns that are no features, by the key of the configuration that names them, such as `id`.
    wanted : sequence of str or 'numeric' or None
        Names, or patterns such as `PC*`; all numeric columns that are not `beside`; or all columns that are not, which
        must be numeric.
    exclude : sequence of str
        Names or patterns of columns that are no features.
    origin : str or Path
        What messages call the table.
    examples : callable
        Returns for columns that are not numeric the first value of each that is no number, in words.

    Returns
    -------
    list of str
        In the order of the names given, otherwise in the table's.

    Raises
    ------
    InputError
        Where a name is unknown, occurs twice or names two things, where a feature is not numeric, and where the table
        has no features.
    """
    if repeated := [name for name, count in Counter(schema.names).items() if count > 1]:
        raise InputError(
            f"{origin} has more than one column of the name {listed(repeated)}. Give every column its own."
        )
    check_beside(beside, "column", schema.names, origin)
    left_out = {name for names in beside.values() for name in names}
    excluded = set(_matching("exclude", exclude, schema.names, origin))
    if wanted is None or wanted == "numeric":
        if wanted is None and (wrong := not_numeric(schema, beside, exclude, origin)):
            raise InputError(
                f"{origin} has columns that are not numeric: {with_examples(wrong, examples)}. Name them as `id`, "
                "`label` or `annotations`, set `features: numeric`, or list the feature columns in `features`."
            )
        rest = [name for name in schema.names if name not in left_out | excluded]
        numeric = [name for name in rest if _is_numeric(schema.field(name).type)]
        if not numeric:
            raise InputError(f"{origin} has no columns of features. Give it at least one.")
        return numeric
    chosen = [name for name in _matching("features", wanted, schema.names, origin) if name not in excluded]
    named = [name for name in chosen if name in left_out]
    if taken := [name for name in named if name in wanted]:
        raise InputError(
            f"`features` lists {listed(taken)}, which is already `id`, `label` or one of `annotations`. "
            "Take it out of one."
        )
    chosen = [name for name in chosen if name not in left_out]
    if wrong := [name for name in chosen if not _is_numeric(schema.field(name).type)]:
        raise InputError(
            f"`features` lists columns of {origin} that are not numeric: {with_examples(wrong, examples)}. Leave them "
            "out, or mend their values."
        )
    if not chosen:
        raise InputError(f"`features` and `exclude` leave no column of {origin}. Keep at least one.")
    return chosen


def not_numeric(
    schema: pa.Schema, beside: Mapping[str, Sequence[str]], exclude: Sequence[str], origin: str | Path
) -> list[str]:
    """Return the columns that might be features but are not numeric; arguments as for `choose_features`."""
    others = {name for names in beside.values() for name in names} | set(
        _matching("exclude", exclude, schema.names, origin)
    )
    return [name for name in schema.names if name not in others and not _is_numeric(schema.field(name).type)]


def with_examples(names: Sequence[str], examples: Callable[[Sequence[str]], Mapping[str, str]]) -> str:
    """Return the first names, quoted for a message, each with an example of its values where there is one."""
    said = examples(names[:MOST_LISTED])
    parts = [f"{quoted(name)} ({said[name]})" if said.get(name) else quoted(name) for name in names[:MOST_LISTED]]
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(parts) + more


def check_beside(beside: Mapping[str, Sequence[str]], what: str, known: Sequence[str], origin: str | Path) -> None:
    """Raise an `InputError` where a column that is no feature is unknown, or is both `id` and `label`.

    Parameters
    ----------
    beside, origin
        As for `choose_features`.
    what : str
        What messages call a column, such as `column of obs`.
    known : sequence of str
        The columns that there are.
    """
    for key, names in beside.items():
        for name in names:
            if name not in known:
                raise unknown(origin, what, key, name, known)
    if beside.get("id") and list(beside["id"]) == list(beside.get("label", [])):
        raise InputError(
            f"`id` and `label` both name the column {beside['id'][0]!r} of {origin}. "
            "Name two columns, or leave one out."
        )


def _matching(key: str, patterns: Sequence[str], names: Sequence[str], origin: str | Path) -> list[str]:
    """Return the names that patterns mean, each once: a name means itself, `*`, `?` and `[…]` are as in file names."""
    found: dict[str, None] = {}
    known = set(names)
    for pattern in patterns:
        matched = [pattern] if pattern in known else [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            raise unknown(origin, "column", key, pattern, names)
        found |= dict.fromkeys(matched)
    return list(found)


def row_names(schema: pa.Schema) -> list[str]:
    """Return the columns that hold names of the rows, where a program wrote them among the columns.

    R's `write.csv` and pandas' `to_csv` write them into a first column without a name, which a second saving calls
    `Unnamed: 0`; in Parquet pandas says which columns they are, several for an index of several levels.
    """
    stored = [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if name in schema.names]
    if stored:
        return [str(name) for name in stored]
    first = schema.names[0] if schema.names else None
    return [first] if first in ("", "Unnamed: 0") else []


def check_header(names: Sequence[str], origin: str | Path) -> None:
    """Raise an `InputError` where the column names of a text format look like a row of data."""
    numbers = [float(name) for name in names if re.match(_NUMBER, name)]
    # Columns named by number, such as wavelengths, ascend; a row of data hardly ever does.
    if numbers != sorted(numbers):
        raise InputError(
            f"The first line of {origin} looks like data, not like the columns' names: {listed(names)}. "
            "Put a line with names above it; if these are names, list the feature columns in `features`."
        )


def matrix_features(
    matrix: np.ndarray,
    origin: str | Path,
    names: Sequence[str],
    missing: str = "refuse",
    label: np.ndarray | None = None,
    rounded: np.ndarray | None = None,
) -> Features:
    """Return the checked features of a matrix.

    Parameters
    ----------
    matrix : ndarray of shape (n, d)
        Booleans, integers or floats, in any byte and memory order.
    origin : str or Path
        What messages call the data.
    names : sequence of str
        d names.
    missing : str
        See `checked_features`.
    label : ndarray of n values, optional
        What the source itself gives its rows.
    rounded : ndarray of int, shape (d,), optional
        How many whole numbers in each column were rounded before; see `rounded_integers`.

    Raises
    ------
    InputError
        As for `checked_features`.
    """
    rows = block_rows(len(names))
    blocks = []
    counts = np.zeros(len(names), dtype=np.int64) if rounded is None else rounded
    with np.errstate(over="ignore", invalid="ignore"):  # What becomes infinite is found by the check.
        for start in range(0, len(matrix), rows):
            block = matrix[start : start + rows]
            blocks.append(_as_lists(np.ascontiguousarray(block, dtype=np.float32)))
            counts = counts + rounded_integers(block).sum(axis=0)
    given = None if label is None else pa.chunked_array([pa.array(label)])
    return checked_features(pa.chunked_array(blocks), names, origin, missing, given).with_rounded(counts)


def frame_features(features: pd.DataFrame, target: pd.Series | pd.DataFrame | None, origin: str) -> Features:
    """Return the checked features of a frame, and a series of labels with them.

    Parameters
    ----------
    features : pandas.DataFrame
        n rows.
    target : pandas.Series or pandas.DataFrame or None
        The label, n values. A frame is what scikit-learn gives for several targets.
    origin : str
        What messages call the data.

    Raises
    ------
    InputError
        Where a feature is not numeric, where there are several targets, and for values that are not finite.
    """
    import pandas as pd

    if isinstance(target, pd.DataFrame):
        raise InputError(
            f"{origin} has {target.shape[1]} targets ({listed(target.columns)}), and a label is one column. "
            "Save the data with the one you want and use `source: file`."
        )
    columns = frame_columns(features)
    if text := [field.name for field in columns.schema if not _is_numeric(field.type)]:
        raise InputError(
            f"{origin} has features that are not numbers: {with_examples(text, partial(first_values, features))}. "
            "Encode or drop them in a file of your own and use `source: file`."
        )
    names = columns.column_names
    check_not_empty(origin, columns.num_rows, len(names))
    rounded = np.zeros(len(names), dtype=np.int64)
    blocks = [rows_as_lists(batch, names, rounded) for batch in columns.to_batches(block_rows(len(names)))]
    label = None if target is None else frame_columns(target.to_frame()).column(0)
    return checked_features(pa.chunked_array(blocks), names, origin, label=label).with_rounded(rounded)


def first_values(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    """Return in words the first value of each column that is not missing; empty where all are."""
    known = {name: frame[name].dropna() for name in names}
    return {name: quoted(str(values.iloc[0])) if len(values) else "" for name, values in known.items()}


def frame_columns(frame: pd.DataFrame) -> pa.Table:
    """Return the columns of a data frame as a table, without its index."""
    # In a job PyArrow believes that there is no pandas, so that it would convert each column value by value.
    # Asking PyArrow for something of pandas makes it look again.
    pa.array([0]).to_pandas()
    kinds = {name: kind for name, kind in frame.dtypes.items() if isinstance(kind, np.dtype)}
    native = {
        name: kind.newbyteorder("=") for name, kind in kinds.items() if not kind.isnative
    }  # PyArrow reads no others
    return pa.Table.from_pandas(frame.astype(native) if native else frame, preserve_index=False)


def check_matrix(shape: Sequence[int], dtype: np.dtype, what: str) -> None:
    """Raise an `InputError` unless an array of this shape and type is a matrix of numbers or booleans, not empty."""
    if len(shape) != 2:
        raise InputError(f"{what} has the shape {tuple(shape)}. Reshape it to rows and columns.")
    if dtype.kind not in "biuf":
        raise InputError(f"{what} is of type {dtype}, not real numbers. Convert it, for instance to float32.")
    check_not_empty(what, *shape)


def check_not_empty(origin: str | Path, rows: int, dimensions: int) -> None:
    """Raise an `InputError` where there are no rows or no features."""
    if not rows or not dimensions:
        raise InputError(f"{origin} has no {'features' if rows else 'rows'}. Give data with at least one.")


def checked_features(
    values: pa.ChunkedArray,
    names: Sequence[str],
    origin: str | Path,
    missing: str = "refuse",
    label: pa.ChunkedArray | None = None,
) -> Features:
    """Return features whose values are all finite.

    Parameters
    ----------
    values : pyarrow.ChunkedArray of fixed-size lists of d float32
        One list for each of n rows; see `rows_as_lists`.
    names : sequence of str
        d names of features.
    origin : str or Path
        What messages call the data.
    missing : {'refuse', 'drop', 'median'}
        What becomes of values that are missing: an error; the rows are left out; the median of the column's other
        values stands for them.
    label : pyarrow.ChunkedArray, optional
        n labels that the source itself gives its rows.

    Raises
    ------
    InputError
        For a NUL in a name, for features that are infinite or beyond float32, for missing ones where they are refused,
        for a column without any value, and where no row is left.
    """
    if unusable := [name for name in names if "\0" in name]:
        raise InputError(f"{origin} has a NUL character in the name of a column: {listed(unusable)}. Rename it.")
    of_source = None if label is None else pa.chunked_array([label_column(label, origin)])
    absent = np.zeros(len(names), dtype=np.int64)
    count, bad = 0, np.zeros(len(names), dtype=bool)
    for chunk in values.chunks:
        block = _block(chunk, len(names))
        with np.errstate(invalid="ignore"):  # of infinite values of both signs
            if np.isfinite(block.sum(dtype=np.float64)):  # as a rule, which saves looking at each value
                continue
        nan = np.isnan(block)
        absent += nan.sum(axis=0)
        wrong = ~np.isfinite(block) if missing == "refuse" else np.isinf(block)
        count += int(wrong.any(axis=1).sum())
        bad |= wrong.any(axis=0)
    if count:
        columns = listed([names[column] for column in np.flatnonzero(bad).tolist()])
        kinds = "missing, infinite or beyond float32 (3.4e38)" if missing == "refuse" else "infinite or beyond float32"
        remedy = " For missing values see `missing`." if absent.any() and missing == "refuse" else ""
        raise InputError(
            f"{origin} has {count} {'row' if count == 1 else 'rows'} with a value that is {kinds}, "
            f"in the columns {columns}. Fill, rescale or drop them.{remedy}"
        )
    if not absent.any():
        return Features(values, list(names), label=of_source)
    counted = {names[column]: int(absent[column]) for column in np.flatnonzero(absent).tolist()}
    if empty := [name for name, count in counted.items() if count == len(values)]:
        raise InputError(f"{origin} has columns without any value: {listed(empty)}. Take them out by `exclude`.")
    if missing == "median":
        filled = _with_medians(values, np.flatnonzero(absent))
        return Features(filled, list(names), missing=counted, label=of_source)
    kept = np.concatenate([~np.isnan(_block(chunk, len(names))).any(axis=1) for chunk in values.chunks])
    if not kept.any():
        raise InputError(f"Every row of {origin} lacks a value. Set `missing: median`, or `exclude` columns.")
    mask = pa.array(kept)
    left = None if of_source is None else of_source.filter(mask)
    return Features(values.filter(mask), list(names), np.flatnonzero(kept), len(values), counted, left)


def _block(chunk: pa.Array, width: int) -> np.ndarray:
    block: np.ndarray = chunk.flatten().to_numpy().reshape(len(chunk), width)
    return block


def _with_medians(values: pa.ChunkedArray, columns: np.ndarray) -> pa.ChunkedArray:
    width = values.type.list_size
    blocks = [_block(chunk, width).copy() for chunk in values.chunks]
    for column in columns.tolist():
        median = np.nanmedian(np.concatenate([block[:, column] for block in blocks]))
        for block in blocks:
            block[np.isnan(block[:, column]), column] = median
    return pa.chunked_array([_as_lists(block) for block in blocks])


def id_column(ids: pa.ChunkedArray, origin: str | Path) -> pa.Array:
    """Return n integers or texts, also as categories, as checked ids: int64 or string, none missing, none twice.

    Whole numbers beyond int64 are kept as text.
    """
    ids = _decoded(ids)
    if pa.types.is_integer(ids.type):
        ids = _whole(ids)
        missing = ids.null_count
    elif _is_text(ids.type):
        ids = ids.cast(pa.string())
        missing = ids.null_count + (pc.sum(pc.equal(ids, "")).as_py() or 0)
    else:
        raise InputError(f"The `id` of {origin} is of type {ids.type}. Make it whole numbers or text.")
    if missing:
        raise InputError(f"The `id` of {origin} is missing in {missing} of {len(ids)} rows. Give every row one.")
    _refuse_nul(ids, origin, "id")
    counts = pc.value_counts(ids)
    if len(counts) < len(ids):
        worst = counts[pc.index(counts.field("counts"), pc.max(counts.field("counts"))).as_py()].as_py()
        raise InputError(
            f"The `id` of {origin} is not unique: {quoted(worst['values'])} occurs {worst['counts']} times. "
            "Give every row its own, or leave out `id` to number the rows."
        )
    return ids.combine_chunks()


def label_column(labels: pa.ChunkedArray, origin: str | Path, name: str = "label") -> pa.Array:
    """Return n values as labels: int64, float64 (null for NaN), or otherwise string, also whole numbers beyond int64.

    Parameters
    ----------
    labels : pyarrow.ChunkedArray
        Numbers, texts, booleans, dates or categories.
    origin : str or Path
        What messages call the data.
    name : str
        What messages call the column.

    Raises
    ------
    InputError
        For infinite numbers, and for values of another kind.
    """
    labels, called = _decoded(labels), printable(name)
    if pa.types.is_integer(labels.type):
        return _whole(labels).combine_chunks()
    if not (pa.types.is_floating(labels.type) or pa.types.is_decimal(labels.type)):
        try:
            labels = labels.cast(pa.string())
            _refuse_nul(labels, origin, name)
            return labels.combine_chunks()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(
                f"The `{called}` of {origin} is of type {labels.type}. Make it text, numbers, booleans or dates."
            ) from None
    labels = labels.cast(pa.float64()).combine_chunks()
    if infinite := pc.sum(pc.is_inf(labels)).as_py():
        raise InputError(f"The `{called}` of {origin} is infinite in {infinite} rows. Make it finite, or missing.")
    return pc.if_else(pc.is_nan(labels), None, labels)


def _whole(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return integers as int64, and as text where one is beyond it, as hashes are."""
    greatest = pc.max(values).as_py()
    return values.cast(pa.string() if greatest is not None and greatest >= 2**63 else pa.int64())


def joinable(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return ids by which the rows of two files are told to be the same: whole floats, also as text, as whole numbers.

    A program that has met a missing value writes 1 as 1.0. Beyond 2^53, where float64 does not tell whole numbers
    apart, and where one number is not whole, ids are returned as they are.
    """
    ids = _decoded(ids)
    if pa.types.is_floating(ids.type):
        known = pc.if_else(pc.is_nan(ids), None, ids)
        is_whole = pc.all(pc.and_(pc.equal(pc.floor(known), known), pc.less(pc.abs(known), 2.0**53))).as_py()
        return known.cast(pa.int64()) if is_whole else ids
    if _is_text(ids.type) and pc.all(pc.match_substring_regex(ids, r"^-?(0|[1-9][0-9]*)\.0$")).as_py():
        return pc.replace_substring_regex(ids, r"\.0$", "")
    return ids


def _refuse_nul(values: pa.ChunkedArray, origin: str | Path, name: str) -> None:
    """Raise an `InputError` where a text has a NUL in it, which AnnData's files and many tools end at."""
    if pa.types.is_string(values.type) and pc.any(pc.match_substring(values, "\0")).as_py():
        row = pc.index(pc.match_substring(values, "\0"), True).as_py()
        raise InputError(f"The `{printable(name)}` of {origin} has a NUL character in row {row}. Take it out.")


def annotation_column(values: pa.ChunkedArray, origin: str | Path, name: str) -> pa.Array:
    """Return n values as an annotation: as `label_column` does, but booleans stay booleans."""
    decoded = _decoded(values)
    if pa.types.is_boolean(decoded.type):
        return decoded.combine_chunks()
    return label_column(decoded, origin, name)


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def id_from_text(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the ids of a text format: int64 where all are whole numbers as programs write them, text otherwise."""
    return _plain_numbers(text, {_INTEGER: pa.int64()})


def label_from_text(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the labels of a text format: int64, else float64, where all are such numbers; null where missing."""
    return _plain_numbers(_missing_as_null(text), {_INTEGER: pa.int64(), _NUMBER: pa.float64()})


def with_decimal_points(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of text with points for decimal commas, if all of it is numbers or missing."""
    there = _missing_as_null(text).drop_null()
    if not len(there) or not pc.all(pc.match_substring_regex(there, r"^-?[0-9]+(,[0-9]+)?([eE][+-]?[0-9]+)?$")).as_py():
        return text
    return pc.replace_substring(text, ",", ".")


def _missing_as_null(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_in(text, pa.array(pa.csv.ConvertOptions().null_values)), None, text)


def _plain_numbers(text: pa.ChunkedArray, kinds: Mapping[str, pa.DataType]) -> pa.ChunkedArray:
    for pattern, kind in kinds.items():
        if pc.all(pc.match_substring_regex(text, pattern)).as_py():
            try:
                return text.cast(kind)
            except pa.ArrowInvalid:  # Too long for 64 bits.
                return text
    return text


def rows_as_lists(batch: pa.RecordBatch, names: Sequence[str], rounded: np.ndarray) -> pa.FixedSizeListArray:
    """Return the named columns of a batch as one list of float32 for each row.

    Missing values become NaN, and values beyond float32 infinite; see `checked_features`.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
    names : sequence of str
        d columns.
    rounded : ndarray of int64, shape (d,)
        To each is added how many whole numbers of its column are rounded.
    """
    block = np.empty((batch.num_rows, len(names)), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for column, name in enumerate(names):
            values = batch.column(name)
            # Without those that are missing, because whole numbers beside them would become float64, and round twice.
            known = values.drop_null().to_numpy(zero_copy_only=False)
            if values.null_count:
                block[:, column] = np.nan
                block[values.is_valid().to_numpy(zero_copy_only=False), column] = known
            else:
                block[:, column] = known
            rounded[column] += rounded_integers(known).sum()
    return _as_lists(block)


def rounded_integers(values: np.ndarray) -> np.ndarray:
    """Return which values are whole numbers that float32 cannot hold, such as 2^24 + 1.

    Parameters
    ----------
    values : ndarray of any shape
        Of a numeric type, or decimal numbers as objects. What is not whole, infinite or NaN is none of them.

    Returns
    -------
    ndarray of bool, of the same shape
    """
    if values.dtype.kind == "O":
        values = values.astype(np.float64)
    kind, held = values.dtype.kind, 4 if values.dtype.kind == "f" else 2
    if kind not in "iuf" or values.dtype.itemsize <= held or not values.size:
        return np.zeros(values.shape, dtype=bool)
    # As a rule all are small, which saves looking at each. NaN is neither the least nor the greatest.
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    if not (low < -WHOLE_IN_FLOAT32 or high > WHOLE_IN_FLOAT32):
        return np.zeros(values.shape, dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        stored = values.astype(np.float32)
        if kind == "f":
            lost = (np.rint(values) == values) & np.isfinite(stored) & (stored.astype(values.dtype) != values)
        else:
            # Beyond its type a number has no meaning when it is cast back, and is another in any case.
            beyond = stored >= 2.0 ** (8 * values.dtype.itemsize - (kind == "i"))
            lost = beyond | (np.where(beyond, 0, stored).astype(values.dtype) != values)
    found: np.ndarray = lost
    return found


def _as_lists(block: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), block.shape[1])


def block_rows(dimensions: int) -> int:
    """Return how many rows (or columns) of `dimensions` values each are converted at one time."""
    return max(1, BLOCK_VALUES // max(1, dimensions))


def _is_numeric(kind: pa.DataType) -> bool:
    # A column of nulls has no type of its own: as a feature, every value of it is missing.
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    return any(matches(kind) for matches in numeric)


def is_number(kind: pa.DataType) -> bool:
    """Return whether a type is one of numbers, booleans not among them."""
    return any(matches(kind) for matches in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal))


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the same values without what only says how they are kept: text is one, encoded or not."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if _is_text(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return any(matches(kind) for matches in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def numbered(dimensions: int) -> list[str]:
    """Return names for features that have none: their numbers from 0."""
    return [str(column) for column in range(dimensions)]


def unknown(origin: str | Path, what: str, key: str, name: str, known: Sequence[str]) -> InputError:
    """Return the error for a configured name that a file does not have; it tells the nearest name that the file has.

    Parameters
    ----------
    origin : str or Path
        What the message calls the file.
    what : str
        What the name stands for in the file, such as `column`.
    key : str
        The key of the configuration that holds the name.
    name : str
        The unknown name.
    known : sequence of str
        The names that the file has.
    """
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {quoted(near[0])}?" if near else f"It has {listed(known)}." if known else "It has none."
    return InputError(f"`{key}` names the {what} {quoted(name)}, which {origin} does not have. {hint}")


def listed(names: Iterable[object], most: int = MOST_LISTED) -> str:
    """Return the first `most` names, quoted for a message, and how many more there are."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(map(quoted, texts[:most])) + more


def quoted(value: object) -> str:
    """Return a number, or a text quoted for a message and cut where it is long; what cannot be printed is escaped."""
    return repr(f"{value[:MOST_SAID]}…" if isinstance(value, str) and len(value) > MOST_SAID else value)


def printable(text: str) -> str:
    """Return what a library says as one line for a message: cut where it is long, and without control characters."""
    line = (text.splitlines() or [""])[0]
    cut = f"{line[: 4 * MOST_SAID]}…" if len(line) > 4 * MOST_SAID else line
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in cut)
