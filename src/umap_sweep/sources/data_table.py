"""The one checked table that a sweep starts from: how columns become `id`, `label` and `features`.

Every source ends in this table, its rows in the source's order: `id` (int64 or string, unique), `label` where there is
one (int64, float64 or string, null where missing) and `features` (a fixed-size list of float32, all finite). Columns
that cannot give such a table are an `InputError`, never a guess.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from umap_sweep.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# Features are converted and checked in blocks of this many values, which keeps the memory beside the table small.
BLOCK_VALUES = 2**22

# Numbers as programs write them. "007" is none of them: as a number it would lose its zeros.
_INTEGER = r"^(0|-?[1-9][0-9]*)$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"


def choose_features(
    schema: pa.Schema,
    id_name: str | None,
    label_name: str | None,
    feature_names: list[str] | None,
    origin: str | Path,
) -> list[str]:
    """Return the feature columns of a table, after checking that every name given is right.

    Parameters
    ----------
    schema : pyarrow.Schema
        The table's columns.
    id_name, label_name, feature_names
        As for `reading.read_file`.
    origin : str or Path
        What messages call the table.

    Returns
    -------
    list of str
        The names given, or those of all columns but id and label.

    Raises
    ------
    InputError
        Where a name is unknown, occurs twice or names two things, where a feature is not numeric, where the table has
        no features, and where an index of pandas would be taken for one.
    """
    if repeated := [name for name, count in Counter(schema.names).items() if count > 1]:
        raise InputError(
            f"{origin} has more than one column of the name {listed(repeated)}. Give every column its own."
        )
    for key, name in [("id", id_name), ("label", label_name), *(("features", name) for name in feature_names or [])]:
        if name is not None and name not in schema.names:
            raise unknown(origin, "column", key, name, schema.names)
    if id_name is not None and id_name == label_name:
        raise InputError(
            f"`id` and `label` both name the column {id_name!r} of {origin}. Name two columns, or leave one out."
        )

    def text(names: Iterable[str]) -> list[str]:
        return [name for name in names if not _is_numeric(schema.field(name).type)]

    if feature_names is not None:
        if taken := [name for name in feature_names if name in (id_name, label_name)]:
            raise InputError(f"`features` lists {listed(taken)}, which is already `id` or `label`. Take it out of one.")
        if wrong := text(feature_names):
            raise InputError(
                f"`features` lists columns of {origin} that are not numeric: {listed(wrong)}. Leave them out."
            )
        return list(feature_names)

    rest = [name for name in schema.names if name not in (id_name, label_name)]
    # pandas stores row labels among the columns. As a feature, row numbers would outweigh all other features.
    index_columns = (schema.pandas_metadata or {}).get("index_columns", [])
    if index := [name for name in rest if name == "" or name in index_columns]:
        raise InputError(
            f"{origin} has an index among its columns: {listed(index)}. Write the file without it, name it as `id`, "
            "or list the feature columns in `features`."
        )
    if wrong := text(rest):
        raise InputError(
            f"{origin} has columns that are not numeric: {listed(wrong)}. Name them as `id` or `label`, "
            "or list the feature columns in `features`."
        )
    if not rest:
        raise InputError(f"{origin} has no columns of features. Give it at least one.")
    return rest


def check_header(names: Sequence[str], origin: str | Path) -> None:
    """Raise an `InputError` where the column names of a text format look like a row of data."""
    numbers = [float(name) for name in names if re.match(_NUMBER, name)]
    # Columns named by number, such as wavelengths, ascend; a row of data hardly ever does.
    if numbers != sorted(numbers):
        raise InputError(
            f"The first line of {origin} looks like data, not like the columns' names: {listed(names)}. "
            "Put a line with names above it; if these are names, list the feature columns in `features`."
        )


def matrix_table(
    matrix: np.ndarray,
    origin: str | Path,
    names: Sequence[str],
    ids: np.ndarray | pa.Array | None = None,
    labels: np.ndarray | pa.Array | None = None,
) -> pa.Table:
    """Return the checked table of a matrix of features.

    Parameters
    ----------
    matrix : ndarray of shape (n, d)
        Booleans, integers or floats, in any byte and memory order.
    origin : str or Path
        What messages call the data.
    names : sequence of str
        d names.
    ids, labels : ndarray or pyarrow.Array of n values, optional
        Without ids, rows are numbered from 0.

    Returns
    -------
    pyarrow.Table
        See `checked_table`.

    Raises
    ------
    InputError
        As for `checked_table`.
    """
    rows = block_rows(len(names))
    blocks = []
    with np.errstate(over="ignore", invalid="ignore"):  # What becomes infinite is found by the check.
        for start in range(0, len(matrix), rows):
            blocks.append(_as_lists(np.ascontiguousarray(matrix[start : start + rows], dtype=np.float32)))
    id_values, label_values = (
        None if given is None else pa.chunked_array([given if isinstance(given, pa.Array) else pa.array(given)])
        for given in (ids, labels)
    )
    return checked_table(pa.chunked_array(blocks), names, id_values, label_values, origin)


def frame_table(
    features: pd.DataFrame, target: pd.Series | pd.DataFrame | None, origin: str
) -> tuple[pa.Table, list[str]]:
    """Return the checked table of a frame of features and a series of labels.

    Parameters
    ----------
    features : pandas.DataFrame
        n rows.
    target : pandas.Series or pandas.DataFrame or None
        The label, n values. A frame is what scikit-learn gives for several targets.
    origin : str
        What messages call the data.

    Returns
    -------
    table : pyarrow.Table
        See `checked_table`; rows are numbered from 0.
    names : list of str
        The features' names.

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
            f"{origin} has features that are not numbers: {listed(text)}. "
            "Encode or drop them in a file of your own and use `source: file`."
        )
    names = columns.column_names
    check_not_empty(origin, columns.num_rows, len(names))
    blocks = [rows_as_lists(batch, names) for batch in columns.to_batches(block_rows(len(names)))]
    labels = None if target is None else frame_columns(target.to_frame()).column(0)
    return checked_table(pa.chunked_array(blocks), names, None, labels, origin), names


def frame_columns(frame: pd.DataFrame) -> pa.Table:
    """Return the columns of a data frame as a table, without its index."""
    # `store` lets PyArrow believe that there is no pandas, so that it would convert each column value by value.
    # Asking PyArrow for something of pandas makes it look again.
    pa.array([0]).to_pandas()
    return pa.Table.from_pandas(frame, preserve_index=False)


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


def checked_table(
    features: pa.ChunkedArray,
    names: Sequence[str],
    ids: pa.ChunkedArray | None,
    labels: pa.ChunkedArray | None,
    origin: str | Path,
) -> pa.Table:
    """Return the checked table of columns; see this module.

    Parameters
    ----------
    features : pyarrow.ChunkedArray of fixed-size lists of d float32
        One list for each of n rows; see `rows_as_lists`.
    names : sequence of str
        d names of features.
    ids : pyarrow.ChunkedArray or None
        n integers or texts, also as categories. Without ids, rows are numbered from 0.
    labels : pyarrow.ChunkedArray or None
        n values.
    origin : str or Path
        What messages call the data.

    Returns
    -------
    pyarrow.Table
        `id` (int64 or string), `label` where there is one (int64, float64, or otherwise string) and `features`.

    Raises
    ------
    InputError
        For features that are not finite, for ids that are missing, occur twice or are of another type, and for
        infinite labels.
    """
    _check_finite(features, names, origin)
    columns = {"id": pa.array(np.arange(len(features))) if ids is None else _id_column(ids, origin)}
    if labels is not None:
        columns["label"] = _label_column(labels, origin)
    return pa.table({**columns, "features": features})


def _check_finite(features: pa.ChunkedArray, names: Sequence[str], origin: str | Path) -> None:
    bad_columns = np.zeros(len(names), dtype=bool)
    bad_rows = 0
    for chunk in features.chunks:
        finite = np.isfinite(chunk.flatten().to_numpy()).reshape(len(chunk), len(names))
        bad_columns |= ~finite.all(axis=0)
        bad_rows += int(np.count_nonzero(~finite.all(axis=1)))
    if bad_rows:
        columns = listed([names[column] for column in np.flatnonzero(bad_columns).tolist()])
        raise InputError(
            f"{origin} has {bad_rows} {'row' if bad_rows == 1 else 'rows'} with a value that is missing, infinite or "
            f"beyond float32 (3.4e38), in the columns {columns}. Fill, rescale or drop them."
        )


def _id_column(ids: pa.ChunkedArray, origin: str | Path) -> pa.Array:
    ids = _decoded(ids)
    if pa.types.is_integer(ids.type):
        ids = ids.cast(pa.int64())
        missing = ids.null_count
    elif _is_text(ids.type):
        ids = ids.cast(pa.string())
        missing = ids.null_count + pc.sum(pc.equal(ids, "")).as_py()
    else:
        raise InputError(f"The `id` of {origin} is of type {ids.type}. Make it whole numbers or text.")
    if missing:
        raise InputError(f"The `id` of {origin} is missing in {missing} of {len(ids)} rows. Give every row one.")
    counts = pc.value_counts(ids)
    if len(counts) < len(ids):
        worst = counts[pc.index(counts.field("counts"), pc.max(counts.field("counts"))).as_py()].as_py()
        raise InputError(
            f"The `id` of {origin} is not unique: {worst['values']!r} occurs {worst['counts']} times. "
            "Give every row its own, or leave out `id` to number the rows."
        )
    return ids.combine_chunks()


def _label_column(labels: pa.ChunkedArray, origin: str | Path) -> pa.Array:
    labels = _decoded(labels)
    if pa.types.is_integer(labels.type):
        return labels.cast(pa.int64()).combine_chunks()
    if not (pa.types.is_floating(labels.type) or pa.types.is_decimal(labels.type)):
        return labels.cast(pa.string()).combine_chunks()
    labels = labels.cast(pa.float64()).combine_chunks()
    if infinite := pc.sum(pc.is_inf(labels)).as_py():
        raise InputError(f"The `label` of {origin} is infinite in {infinite} rows. Make it finite, or missing.")
    return pc.if_else(pc.is_nan(labels), None, labels)


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def id_from_text(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the ids of a text format: int64 where all are whole numbers as programs write them, text otherwise."""
    return _plain_numbers(text, {_INTEGER: pa.int64()})


def label_from_text(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the labels of a text format: int64, else float64, where all are such numbers; null where missing."""
    return _plain_numbers(_missing_as_null(text), {_INTEGER: pa.int64(), _NUMBER: pa.float64()})


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


def rows_as_lists(batch: pa.RecordBatch, names: Sequence[str]) -> pa.FixedSizeListArray:
    """Return the named columns of a batch as one list of float32 for each row.

    Missing values become NaN, and values beyond float32 infinite; `checked_table` refuses both.
    """
    block = np.empty((batch.num_rows, len(names)), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for column, name in enumerate(names):
            block[:, column] = batch.column(name).to_numpy(zero_copy_only=False)
    return _as_lists(block)


def _as_lists(block: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), block.shape[1])


def block_rows(dimensions: int) -> int:
    """Return how many rows (or columns) of `dimensions` values each are converted at one time."""
    return max(1, BLOCK_VALUES // max(1, dimensions))


def _is_numeric(kind: pa.DataType) -> bool:
    # A column of nulls has no type of its own: as a feature, every value of it is missing.
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    return any(matches(kind) for matches in numeric)


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
    hint = f"Did you mean {near[0]!r}?" if near else f"It has {listed(known)}." if known else "It has none."
    return InputError(f"`{key}` names the {what} {name!r}, which {origin} does not have. {hint}")


def listed(names: Iterable[object], most: int = 5) -> str:
    """Return the first `most` names, quoted for a message, and how many more there are."""
    quoted = [repr(str(name)) for name in names]
    more = f" and {len(quoted) - most} more" if len(quoted) > most else ""
    return ", ".join(quoted[:most]) + more
