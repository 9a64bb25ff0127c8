"""Files into one checked table: `id`, `label` where there is one, and `features`.

Every reader ends in the same table, in the file's row order: `id` (int64 or string, unique), `label` (int64, float64 or
string, null where missing) and `features` (a fixed-size list of float32, all finite). Input that cannot give such a
table is an `InputError`, never a guess.
"""

from __future__ import annotations

import difflib
import re
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from umap_sweep.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_DELIMITERS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
SUFFIXES = (".parquet", ".feather", *_DELIMITERS, ".npy", ".npz")

# Rows are converted and checked in blocks of this many values, so that a wide or long table costs little beyond itself.
BLOCK_VALUES = 2**22

_READ_ERRORS = (
    pa.ArrowException,
    OSError,
    ValueError,
    EOFError,
    NotImplementedError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)

_Reader = Callable[[list[str], list[str]], Iterable[pa.RecordBatch]]

# Numbers as programs write them. "007" is none: it would not come back as it was.
_INTEGER = r"^(0|-?[1-9][0-9]*)$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"

# Arrow's message for a value that is not of its column's type.
_BAD_NUMBER = re.compile(r"In CSV column #([0-9]+): .*(invalid value '.*')")


def read_file(
    path: str | Path, id_name: str | None = None, label_name: str | None = None, feature_names: list[str] | None = None
) -> tuple[pa.Table, list[str]]:
    """Return the data set of a file in any of the formats of `SUFFIXES`, told by the name's ending.

    Parameters
    ----------
    path : str or Path
    id_name, label_name : str or None
        Columns; in an .npz, arrays. Without an id, rows are numbered. An .npz's label is `y` where it has one.
    feature_names : list of str or None
        Feature columns, in this order. Without them, all columns but id and label, which then must be numeric.

    Returns
    -------
    table : pyarrow.Table
        Text is kept as it is. In text formats, an id of whole numbers as programs write them becomes int64
        ("007" is text), and so does a label; a label of other numbers becomes float64.
    names : list of str
        The feature columns' names; of an array, the columns' numbers.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another format, has no rows or features, a name is unknown or names
        two things, an id is missing or occurs twice, or a feature is not numeric and finite in float32.
    """
    path = Path(path)
    suffix = suffix_of(path.name, path)
    check_exists(path)
    read = _read_arrays if suffix in (".npy", ".npz") else _read_columns
    with explaining_damage(path, suffix):
        return read(path, suffix, id_name, label_name, feature_names)


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
        As for `read_file`.
    origin : str or Path
        What messages call the table.

    Raises
    ------
    InputError
        As for `read_file`, as far as names and types tell.
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
    # pandas stores row labels among the columns. Taken for a feature, row numbers would outweigh all others.
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


def matrix_table(
    matrix: np.ndarray,
    origin: str | Path,
    names: Sequence[str],
    ids: np.ndarray | pa.Array | None = None,
    labels: np.ndarray | pa.Array | None = None,
) -> pa.Table:
    """Return the table of a matrix of features.

    Parameters
    ----------
    matrix : ndarray of shape (n, d)
        Booleans, integers or floats, in any byte and memory order.
    origin : str or Path
        What messages call the data.
    names : sequence of str
        d names.
    ids, labels : ndarray or pyarrow.Array of n values, optional

    Raises
    ------
    InputError
        For values that are not finite in float32, and for ids that are missing or occur twice.
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
    return _finished(pa.chunked_array(blocks), names, id_values, label_values, origin)


def frame_table(
    features: pd.DataFrame, target: pd.Series | pd.DataFrame | None, origin: str
) -> tuple[pa.Table, list[str]]:
    """Return the table of a frame of features and a series of labels.

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
    names : list of str

    Raises
    ------
    InputError
        Where a feature is not numeric, where there are several targets, and for values that are not finite.
    """
    if target is not None and target.ndim > 1:
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
    _check_any(origin, columns.num_rows, len(names))
    blocks = [_rows_as_lists(batch, names) for batch in columns.to_batches(block_rows(len(names)))]
    labels = None if target is None else frame_columns(target.to_frame()).column(0)
    return _finished(pa.chunked_array(blocks), names, None, labels, origin), names


def frame_columns(frame: pd.DataFrame) -> pa.Table:
    """Return the columns of a data frame, without its index."""
    # Until PyArrow has been asked for something of pandas', `store` has it take each column for a sequence of objects.
    pa.array([0]).to_pandas()
    return pa.Table.from_pandas(frame, preserve_index=False)


def _read_arrays(
    path: Path, suffix: str, id_name: str | None, label_name: str | None, feature_names: list[str] | None
) -> tuple[pa.Table, list[str]]:
    if feature_names is not None:
        raise InputError(f"`features` selects columns by name, and those of {path} have none. Leave it out.")
    ids = labels = None
    if suffix == ".npy":
        if id_name is not None or label_name is not None:
            raise InputError(f"{path} holds features alone. Leave out `id` and `label`, or save an .npz with X and y.")
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
        check_matrix(matrix.shape, matrix.dtype, f"The array in {path}")
    else:
        with zipfile.ZipFile(path):  # np.load would take a file that is no archive for something else.
            pass
        with np.load(path, allow_pickle=False) as archive:
            if "X" not in archive:
                raise InputError(f"{path} has no array 'X', only {listed(archive.files)}. Save the features as X.")
            for key, name in (("id", id_name), ("label", label_name)):
                if name is not None and name not in archive:
                    raise unknown(path, "array", key, name, archive.files)
            if label_name is None and "y" in archive and id_name != "y":
                label_name = "y"
            if "X" in (id_name, label_name) or (id_name is not None and id_name == label_name):
                raise InputError(
                    f"`id` is {id_name!r} and `label` is {label_name!r}, and X of {path} holds the features. "
                    "Each needs an array of its own."
                )
            matrix = archive["X"]
            check_matrix(matrix.shape, matrix.dtype, f"The array 'X' in {path}")
            ids, labels = (
                None if name is None else _values_for(matrix, archive, name, path) for name in (id_name, label_name)
            )
    names = numbered(matrix.shape[1])
    return matrix_table(matrix, path, names, ids, labels), names


def check_matrix(shape: Sequence[int], dtype: np.dtype, what: str) -> None:
    """Raise an `InputError` unless an array of this shape and type is a matrix of real numbers, and not empty."""
    if len(shape) != 2:
        raise InputError(f"{what} has the shape {tuple(shape)}. Reshape it to rows and columns.")
    if dtype.kind not in "biuf":
        raise InputError(f"{what} is of type {dtype}, not real numbers. Convert it, for instance to float32.")
    _check_any(what, *shape)


def _values_for(matrix: np.ndarray, archive: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    values = archive[name]
    if values.shape != matrix.shape[:1]:
        raise InputError(
            f"The array {name!r} in {path} has the shape {values.shape}, and X has {len(matrix)} rows. "
            "Save one value for each row."
        )
    return values


def _read_columns(
    path: Path, suffix: str, id_name: str | None, label_name: str | None, feature_names: list[str] | None
) -> tuple[pa.Table, list[str]]:
    schema, read = _open_columns(path, suffix)
    is_text = suffix in _DELIMITERS
    if is_text and feature_names is None:
        _check_header(schema.names, path)
    names = choose_features(schema, id_name, label_name, feature_names, path)
    beside: dict[str, list[pa.Array]] = {name: [] for name in (id_name, label_name) if name is not None}
    blocks = []
    rows = block_rows(len(names))
    for batch in read(names, list(beside)):
        for name, values in beside.items():
            values.append(batch.column(name))
        blocks += [_rows_as_lists(batch.slice(start, rows), names) for start in range(0, batch.num_rows, rows)]
    _check_any(path, len(blocks), len(names))
    ids, labels = (None if name is None else pa.chunked_array(beside[name]) for name in (id_name, label_name))
    if is_text and ids is not None:
        ids = _plain_numbers(ids, {_INTEGER: pa.int64()})
    if is_text and labels is not None:
        labels = _plain_numbers(_missing_as_null(labels), {_INTEGER: pa.int64(), _NUMBER: pa.float64()})
    return _finished(pa.chunked_array(blocks), names, ids, labels, path), names


def _open_columns(path: Path, suffix: str) -> tuple[pa.Schema, _Reader]:
    """Return the columns of a file, and a function that reads those of its two lists: features, and id and label."""
    if suffix == ".parquet":
        # Without a buffer, whole columns of a row group are read at once.
        stored = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=2**16)
        return stored.schema_arrow, lambda names, beside: stored.iter_batches(
            block_rows(len(names)), columns=[*names, *beside]
        )
    if suffix == ".feather":
        opened = pa.ipc.open_file(pa.memory_map(str(path)))

        def read_feather(names: list[str], beside: list[str]) -> Iterator[pa.RecordBatch]:
            for number in range(opened.num_record_batches):
                batch = opened.get_batch(number).select([*names, *beside])
                batch.validate(full=True)  # The format has no checksums, and damaged offsets crash the process.
                yield batch

        return opened.schema, read_feather

    def open_text(**conversion: Any) -> pa.csv.CSVStreamingReader:
        return pa.csv.open_csv(
            pa.input_stream(str(path), compression="gzip" if suffix.endswith(".gz") else None),
            # A row must fit in a block, and from the first one the columns' types are inferred.
            read_options=pa.csv.ReadOptions(block_size=2**22),
            parse_options=pa.csv.ParseOptions(delimiter=_DELIMITERS[suffix], newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(**conversion),
        )

    with open_text() as started:
        schema = started.schema

    def read_text(names: list[str], beside: list[str]) -> Iterator[pa.RecordBatch]:
        # A column that starts with whole numbers may go on with others; only booleans stay what they seem.
        types = {name: kind if (kind := schema.field(name).type) == pa.bool_() else pa.float64() for name in names}
        types |= dict.fromkeys(beside, pa.string())
        try:
            yield from open_text(column_types=types, include_columns=list(types))
        except pa.ArrowInvalid as error:
            if (found := _BAD_NUMBER.search(str(error))) is None:
                raise
            raise InputError(
                f"The column {schema.names[int(found[1])]!r} of {path} is not numeric throughout ({found[2]}). "
                "Mend the value, name the column as `id` or `label`, or leave it out of `features`."
            ) from error

    return schema, read_text


def _check_header(names: list[str], path: Path) -> None:
    numbers = [float(name) for name in names if re.match(_NUMBER, name)]
    # Columns named by number, such as wavelengths, ascend; a row of data hardly ever does.
    if numbers != sorted(numbers):
        raise InputError(
            f"The first line of {path} looks like data, not like the columns' names: {listed(names)}. "
            "Put a line with names above it; if these are names, list the feature columns in `features`."
        )


def _finished(
    features: pa.ChunkedArray,
    names: Sequence[str],
    ids: pa.ChunkedArray | None,
    labels: pa.ChunkedArray | None,
    origin: str | Path,
) -> pa.Table:
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
        bad_rows += np.count_nonzero(~finite.all(axis=1))
    if bad_rows:
        columns = listed([names[column] for column in np.flatnonzero(bad_columns)])
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


def _rows_as_lists(batch: pa.RecordBatch, names: Sequence[str]) -> pa.FixedSizeListArray:
    block = np.empty((batch.num_rows, len(names)), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for column, name in enumerate(names):
            block[:, column] = batch.column(name).to_numpy(zero_copy_only=False)
    return _as_lists(block)


def _as_lists(block: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), block.shape[1])


def block_rows(dimensions: int) -> int:
    """Return how many rows, or columns, of so many values are converted at one time."""
    return max(1, BLOCK_VALUES // max(1, dimensions))


def _is_numeric(kind: pa.DataType) -> bool:
    # A column of nulls has no type of its own; it is a feature whose every value is missing.
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    return any(matches(kind) for matches in numeric)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def numbered(dimensions: int) -> list[str]:
    """Return the names of features that have none."""
    return [str(column) for column in range(dimensions)]


def suffix_of(name: str, origin: str | Path) -> str:
    """Return the ending of a file's name that tells its format.

    Raises
    ------
    InputError
        Where it is none of `SUFFIXES`.
    """
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return suffix
    if name.lower().endswith(".h5ad"):
        raise InputError(f"{origin} is an AnnData file. Read it from disk with `source: anndata`.")
    raise InputError(
        f"The name of {origin} ends in none of the formats that can be read: {', '.join(SUFFIXES)}. "
        "Rename or convert the file."
    )


def check_exists(path: str | Path) -> None:
    """Raise an `InputError` where there is no such file."""
    if not Path(path).is_file():
        raise InputError(f"There is no file {path}. Mend `path`; it is relative to the folder the sweep runs in.")


def _check_any(origin: str | Path, rows: int, dimensions: int) -> None:
    if not rows or not dimensions:
        raise InputError(f"{origin} has no {'features' if rows else 'rows'}. Give data with at least one.")


def unknown(origin: str | Path, what: str, key: str, name: str, known: Sequence[str]) -> InputError:
    """Return the error of a configured name that a file does not have, with the nearest that it has."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"It has {listed(known)}." if known else "It has none."
    return InputError(f"`{key}` names the {what} {name!r}, which {origin} does not have. {hint}")


def listed(names: Iterable[object], most: int = 5) -> str:
    """Return the first of some names for a message, and how many more there are."""
    quoted = [repr(str(name)) for name in names]
    more = f" and {len(quoted) - most} more" if len(quoted) > most else ""
    return ", ".join(quoted[:most]) + more


@contextmanager
def explaining_damage(
    path: str | Path,
    suffix: str,
    also: tuple[type[Exception], ...] = (),
    remedy: str = "save it again as plain numbers and UTF-8 text",
) -> Iterator[None]:
    """Turn what readers raise over a file that is cut short, damaged or of another format into an `InputError`.

    Parameters
    ----------
    path : str or Path
    suffix : str
        The format that it should have.
    also : tuple of exception classes
        What a reader of this format raises beside the usual.
    remedy : str
        What helps where the file is whole.
    """
    try:
        yield
    except MemoryError:
        raise
    except (*_READ_ERRORS, *also) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read as {suffix[1:]} ({reason}). "
            f"Copy it again if it was cut short or damaged; otherwise {remedy}."
        ) from error
