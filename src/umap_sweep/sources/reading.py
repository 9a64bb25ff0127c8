"""Tables and arrays as files have them, read into the checked tables of `umap_sweep.sources.data_table`."""

from __future__ import annotations

import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from umap_sweep import packing
from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, text_format

# Of files of Arrow, which Feather's second version is too.
ARROW = (".feather", ".arrow", ".ipc")

SUFFIXES = (".parquet", *ARROW, *text_format.SEPARATORS, ".npy", ".npz")

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

# What a stream of Arrow begins with; a file of Arrow begins with its name.
_STREAM = b"\xff\xff\xff\xff"

# Columns that are not numeric of which a value is looked for.
_MOST_EXAMPLES = 8

# Arrow's message for a line of another length than the first.
_OTHER_WIDTH = re.compile(r"Expected ([0-9]+) columns, got ([0-9]+)")

# Arrow's message for a value that is not of its column's type.
_BAD_NUMBER = re.compile(r"In CSV column #([0-9]+): .*(invalid value '.*')")


# The column that says of each row of several files which one it is from, where it is asked for and none has its name.
FILE_COLUMN = "file"

# What `path` may be: a file, or several that are one table.
Files = str | Path | Sequence[str] | Sequence[Path]


def files_of(path: Files) -> list[Path]:
    """Return the files of a source, in their order."""
    return [Path(path)] if isinstance(path, str | Path) else [Path(one) for one in path]


def called(path: Files) -> str:
    """Return what messages call the file or the files of a source."""
    files = files_of(path)
    return f"{files[0]}" + (f" with {len(files) - 1} more" if files[1:] else "")


@dataclass(frozen=True)
class Columns:
    """What names and describes the rows of a source, as the source has it.

    Attributes
    ----------
    ids : pyarrow.ChunkedArray or None
        None where rows have no names but their numbers.
    others : dict of str to pyarrow.ChunkedArray
        The columns asked for, by name.
    """

    ids: pa.ChunkedArray | None
    others: dict[str, pa.ChunkedArray]


def read_features(
    path: Files,
    beside: Mapping[str, Sequence[str]] | None = None,
    wanted: str | Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    missing: str = "refuse",
    text: Mapping[str, Any] | None = None,
) -> data_table.Features:
    """Return the features of a file in one of the formats of `SUFFIXES`, recognised by the end of its name.

    Parameters
    ----------
    path : str or Path, or sequence of them
        Several files, of columns of the same names, are one table: rows file after file.
    beside : mapping of str to sequence of str
        The columns, or arrays of an .npz, that are `id`, `label` and `annotations`. Without an id, a column of names of
        rows (see `data_table.row_names`) is no feature either, unless `exclude` or `wanted` names it.
    wanted, exclude
        See `data_table.choose_features`. Those of an array are all of its columns, named by their numbers from 0.
    missing : str
        See `data_table.checked_features`.
    text : mapping, optional
        How text is written, where the source says it: keys of `text_format.KEYS`, and `max_unpacked_mb`.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another format, has no rows or features, a name is unknown or names
        two things, or a feature is not numeric and finite in float32.
    """
    files, suffix = _checked_files(path)
    left_out = {key: list(names) for key, names in (beside or {}).items()}
    with explaining_damage(called(path), suffix):
        if suffix in (".npy", ".npz"):
            if wanted is not None or exclude:
                key = "features" if wanted is not None else "exclude"
                raise InputError(f"`{key}` selects columns by name, and those of {files[0]} have none. Leave it out.")
            return _array_features(files[0], suffix, left_out, missing)
        for one in files:
            text_format.check_unpacked(one, suffix, (text or {}).get("max_unpacked_mb"))
        return _column_features(files, suffix, left_out, wanted, exclude, missing, text or {})


def read_columns(
    path: Files,
    id_name: str | None,
    names: Sequence[str] = (),
    exclude: Sequence[str] = (),
    rows: int | None = None,
    text: Mapping[str, Any] | None = None,
) -> Columns:
    """Return what names and describes the rows of a file, or of several that are one table.

    Parameters
    ----------
    path : str or Path, or sequence of them
        Of several, `FILE_COLUMN` may be asked for too.
    id_name : str or None
        The column (or array of an .npz) of the ids. Without it, a column of names of rows is taken, where the file has
        one that `exclude` does not name.
    names : sequence of str
        Further columns, or arrays of an .npz.
    exclude : sequence of str
        As for `read_features`.
    rows : int, optional
        How many values an array of an .npz must have.
    text : mapping, optional
        As for `read_features`.

    Returns
    -------
    Columns
        Text is kept as it is, but in text formats columns that are numbers throughout become numbers; see
        `data_table.id_from_text` and `data_table.label_from_text`.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another format, or a name is unknown.
    """
    files, suffix = _checked_files(path)
    with explaining_damage(called(path), suffix):
        if suffix == ".npy":
            if id_name is not None or names:
                raise InputError(
                    f"{files[0]} holds features alone. Save an .npz with X, y and what describes the rows."
                )
            return Columns(None, {})
        if suffix == ".npz":
            with _opened_arrays(files[0]) as archive:
                found = {name: _row_values(archive, name, files[0], rows) for name in names}
                ids = None if id_name is None else _row_values(archive, id_name, files[0], rows)
                return Columns(ids, found)
        for one in files:
            text_format.check_unpacked(one, suffix, (text or {}).get("max_unpacked_mb"))
        return _row_columns(files, suffix, id_name, names, exclude, text or {})


def column_names(path: str | Path, text: Mapping[str, Any] | None = None) -> list[str]:
    """Return the names of the columns of a table, without a column of names of its rows.

    Raises
    ------
    InputError
        Where the file is missing, damaged, or no table.
    """
    path = Path(path)
    suffix = suffix_of(path.name, path)
    check_file(path)
    if suffix in (".npy", ".npz"):
        raise InputError(f"{path} is no table. Give a file of named columns, such as CSV or Parquet.")
    with explaining_damage(path, suffix):
        schema, _ = _open_columns(path, suffix, text or {})
        own = data_table.row_names(schema)
        # Of an index of several columns all but those without a name say something.
        unnamed = own if len(own) == 1 else [name for name in own if name.startswith("__index_level_")]
        return [name for name in schema.names if name not in unnamed]


def default_label(path: Files) -> str | None:
    """Return the array that is the label of a file where none is named: `y` of an .npz."""
    files, suffix = _checked_files(path)
    if suffix != ".npz":
        return None
    with explaining_damage(files[0], ".npz"), _opened_arrays(files[0]) as archive:
        return "y" if "y" in archive else None


def _checked_files(path: Files) -> tuple[list[Path], str]:
    """Return the files of a source and the format of all of them, after checking that they are there."""
    files = files_of(path)
    suffixes = [suffix_of(one.name, one) for one in files]
    for one in files:
        check_file(one)
    suffix = suffixes[0]
    for one, other in zip(files, suffixes, strict=True):
        if other != suffix and not {suffix, other} <= set(ARROW):
            raise InputError(f"{files[0]} and {one} are of several formats. Give files of one as `path`.")
    if files[1:] and suffix in (".npy", ".npz"):
        raise InputError(f"{files[0]} has no names of columns, by which several files would be one table. Join them.")
    return files, suffix


def _array_features(path: Path, suffix: str, beside: Mapping[str, list[str]], missing: str) -> data_table.Features:
    named = [(key, name) for key, names in beside.items() for name in names]
    if suffix == ".npy":
        if named:
            raise InputError(f"{path} holds features alone. Leave out `{named[0][0]}`, or save an .npz with X and y.")
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
        data_table.check_matrix(matrix.shape, matrix.dtype, f"The array in {path}")
    else:
        with _opened_arrays(path) as archive:
            for key, name in named:
                if name not in archive:
                    raise data_table.unknown(path, "array", key, name, archive.files)
            ids, labels = (next(iter(beside.get(key, [])), None) for key in ("id", "label"))
            if "X" in [name for _, name in named] or (ids is not None and ids == labels):
                raise InputError(
                    f"`id` is {ids!r} and `label` is {labels!r}, and X of {path} holds the features. "
                    "Each needs an array of its own."
                )
            matrix = _array(archive, "X", path)
            data_table.check_matrix(matrix.shape, matrix.dtype, f"The array 'X' in {path}")
            for _, name in named:
                _of_rows(archive, name, path, len(matrix))
    return data_table.matrix_features(matrix, path, data_table.numbered(matrix.shape[1]), missing)


@contextmanager
def _opened_arrays(path: Path) -> Iterator[Any]:
    with zipfile.ZipFile(path):  # np.load would take a file that is no archive for one of another format
        pass
    with np.load(path, allow_pickle=False) as archive:
        if "X" not in archive:
            known = data_table.listed(archive.files)
            raise InputError(f"{path} has no array 'X', only {known}. Save the features as X.")
        yield archive


def _array(archive: Any, name: str, path: Path) -> np.ndarray:
    try:
        values: np.ndarray = archive[name]
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise
        raise InputError(
            f"The array {name!r} in {path} holds objects of Python. Save it as plain numbers or text, of one type."
        ) from error
    return values


def _of_rows(archive: Any, name: str, path: Path, rows: int | None = None) -> np.ndarray:
    values = _array(archive, name, path)
    if values.ndim != 1 or (rows is not None and len(values) != rows):
        of_rows = "" if rows is None else f", and X has {rows} rows"
        raise InputError(
            f"The array {name!r} in {path} has the shape {values.shape}{of_rows}. Save one value for each row."
        )
    if values.dtype.kind not in "biufSUMm":
        raise InputError(
            f"The array {name!r} in {path} is of type {values.dtype}. Save numbers, text, booleans or dates."
        )
    return values


def _row_values(archive: Any, name: str, path: Path, rows: int | None) -> pa.ChunkedArray:
    values = _of_rows(archive, name, path, rows)
    if values.dtype.kind == "U":
        # By way of a list, because PyArrow would end a text of an array at its first NUL, without a word.
        return pa.chunked_array([pa.array(values.tolist(), pa.string())])
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] in "YMW":  # PyArrow has days, but not these
        values = values.astype("M8[D]")
    return pa.chunked_array([pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))])


def _column_features(
    files: Sequence[Path],
    suffix: str,
    beside: dict[str, list[str]],
    wanted: str | Sequence[str] | None,
    exclude: Sequence[str],
    missing: str,
    text: Mapping[str, Any],
) -> data_table.Features:
    path = called(files)
    schema, read = _open_files(files, suffix, text)
    asked = [name for names in beside.values() for name in names]
    schema = _with_file_column(schema, files, asked)

    def examples(names: Sequence[str]) -> dict[str, str]:
        return _first_not_numeric(files, suffix, text, names, read)

    if suffix in text_format.SEPARATORS and wanted is None:
        data_table.check_header(schema.names, path)
    named = [*exclude, *(wanted if wanted is not None and wanted != "numeric" else [])]
    taken = {name for of_key in beside.values() for name in of_key}
    own = [name for name in data_table.row_names(schema) if name not in taken and name not in named]
    if not beside.get("id") and len(data_table.row_names(schema)) > 1 and own:
        raise InputError(
            f"{path} has an index of several columns: {data_table.listed(own)}. Name the one that tells rows apart as "
            "`id`, or all of them in `exclude` to have the rows numbered."
        )
    beside = beside | {"names of rows" if beside.get("id") else "id": own}
    names = data_table.choose_features(schema, beside, wanted, exclude, path, examples)
    blocks = []
    rows, rounded = data_table.block_rows(len(names)), np.zeros(len(names), dtype=np.int64)
    for batch in read(names, []):
        for start in range(0, batch.num_rows, rows):
            blocks.append(data_table.rows_as_lists(batch.slice(start, rows), names, rounded))
    data_table.check_not_empty(path, len(blocks), len(names))
    found = data_table.checked_features(pa.chunked_array(blocks), names, path, missing).with_rounded(rounded)
    if wanted != "numeric":
        return found
    return replace(found, not_numeric=examples(data_table.not_numeric(schema, beside, exclude, path)))


def _row_columns(
    files: Sequence[Path],
    suffix: str,
    id_name: str | None,
    names: Sequence[str],
    exclude: Sequence[str],
    text: Mapping[str, Any],
) -> Columns:
    schema, read = _open_files(files, suffix, text)
    schema = _with_file_column(schema, files, [*([] if id_name is None else [id_name]), *names])
    if id_name is None:
        own = data_table.row_names(schema)
        id_name = own[0] if len(own) == 1 and own[0] not in exclude else None
    wanted = list(dict.fromkeys([*([] if id_name is None else [id_name]), *names]))
    for name in wanted:
        if name not in schema.names:
            key = "id" if name == id_name else "annotations"
            raise data_table.unknown(called(files), "column", key, name, schema.names)
    if not wanted:
        return Columns(None, {})
    parts: dict[str, list[pa.Array]] = {name: [] for name in wanted}
    for batch in read([], wanted):
        for name, values in parts.items():
            values.append(batch.column(name))
    is_text = suffix in text_format.SEPARATORS
    kinds = {name: pa.string() if is_text else schema.field(name).type for name in wanted}
    found = {name: pa.chunked_array(values, kinds[name]) for name, values in parts.items()}
    if is_text and any(text_format.of_file(one, suffix, text).decimal == "," for one in files):
        found |= {name: data_table.with_decimal_points(found[name]) for name in names}
    ids = None if id_name is None else found[id_name]
    others = {name: data_table.label_from_text(found[name]) if is_text else found[name] for name in names}
    return Columns(data_table.id_from_text(ids) if is_text and ids is not None else ids, others)


def _with_file_column(schema: pa.Schema, files: Sequence[Path], asked: Sequence[str]) -> pa.Schema:
    """Return the columns of several files with one more, where it is asked for, that says which file a row is from."""
    if FILE_COLUMN in schema.names or FILE_COLUMN not in asked or not files[1:]:
        return schema
    return schema.append(pa.field(FILE_COLUMN, pa.string()))


def _open_files(files: Sequence[Path], suffix: str, text: Mapping[str, Any]) -> tuple[pa.Schema, _Reader]:
    """Return the same as `_open_columns` of several files as one table, in the order of the first one's columns."""
    if not files[1:]:
        return _open_columns(files[0], suffix, text)
    opened = []
    for one in files:
        with explaining_damage(one, suffix):
            opened.append(_open_columns(one, suffix, text))
    schema = opened[0][0]
    for one, (other, _) in zip(files[1:], opened[1:], strict=True):
        lacks, has = (
            data_table.listed(name for name in names if name not in also)
            for names, also in ((schema.names, other.names), (other.names, schema.names))
        )
        if lacks or has:
            wrong = " and ".join([*([f"lacks {lacks}"] if lacks else []), *([f"has {has}"] if has else [])])
            raise InputError(f"{one} has other columns than {files[0]}: it {wrong}. Give files of the same columns.")
    is_text = suffix in text_format.SEPARATORS
    schema = pa.schema(
        [_joined_field(name, files, [one for one, _ in opened], is_text) for name in schema.names], schema.metadata
    )
    called_by_name = len({one.name for one in files}) == len(files)

    def read(names: list[str], beside: list[str]) -> Iterator[pa.RecordBatch]:
        own = [name for name in beside if name in schema.names]
        for one, (_, read_one) in zip(files, opened, strict=True):
            with explaining_damage(one, suffix):
                for batch in read_one(names, own or schema.names[: not names]):  # one column at least, for its rows
                    columns = {name: batch.column(name) for name in [*names, *own]}
                    if not is_text:  # in text they are text until all are read
                        columns |= {name: columns[name].cast(schema.field(name).type) for name in own}
                    if len(own) < len(beside):
                        columns[FILE_COLUMN] = pa.repeat(one.name if called_by_name else str(one), batch.num_rows)
                    yield pa.record_batch(columns)

    return schema, read


def _joined_field(name: str, files: Sequence[Path], schemas: Sequence[pa.Schema], is_text: bool) -> pa.Field:
    """Return a column of several files, of a type that holds the values of each."""
    kinds = {one: data_table.plain_type(schema.field(name).type) for one, schema in zip(files, schemas, strict=True)}
    known = {kind: one for one, kind in reversed(kinds.items()) if not pa.types.is_null(kind)}
    if len(known) < 2:
        return pa.field(name, next(iter(known), pa.null()))
    if all(map(data_table.is_number, known)):
        return pa.field(name, pa.int64() if all(map(pa.types.is_integer, known)) else pa.float64())
    if is_text:  # where types are inferred from the beginning of a file, and other values may follow
        return pa.field(name, pa.string())
    first, second = (f"{kind} in {one}" for kind, one in list(known.items())[-2:])
    raise InputError(f"The column {data_table.quoted(name)} is {second} and {first}. Give it one type in all files.")


def _open_columns(path: Path, suffix: str, text: Mapping[str, Any]) -> tuple[pa.Schema, _Reader]:
    """Return the schema of a file, and a function that reads the columns of two lists: features; id and label."""
    if suffix == ".parquet":
        # Without `buffer_size`, whole columns of a row group would be read at once.
        stored = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=2**16)
        return stored.schema_arrow, lambda names, beside: stored.iter_batches(
            data_table.block_rows(len(names)), columns=[*names, *beside]
        )
    if suffix in ARROW:
        with path.open("rb") as file:
            is_stream = file.read(len(_STREAM)) == _STREAM

        def batches() -> Iterator[pa.RecordBatch]:
            if is_stream:
                yield from pa.ipc.open_stream(pa.memory_map(str(path)))
            else:
                opened = pa.ipc.open_file(pa.memory_map(str(path)))
                yield from (opened.get_batch(number) for number in range(opened.num_record_batches))

        def read_arrow(names: list[str], beside: list[str]) -> Iterator[pa.RecordBatch]:
            for batch in batches():
                batch = batch.select([*names, *beside])
                batch.validate(full=True)  # the format has no checksums, and damaged offsets crash the process
                yield batch

        return (pa.ipc.open_stream if is_stream else pa.ipc.open_file)(pa.memory_map(str(path))).schema, read_arrow

    written = text_format.of_file(path, suffix, text)

    def open_text(**conversion: Any) -> pa.csv.CSVStreamingReader:
        return pa.csv.open_csv(
            pa.input_stream(str(path), compression="gzip" if suffix.endswith(".gz") else None),
            # A row must fit in a block, and the columns' types are inferred from the first block.
            read_options=pa.csv.ReadOptions(block_size=2**22, encoding=written.encoding),
            parse_options=pa.csv.ParseOptions(delimiter=written.separator, newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(decimal_point=written.decimal, **conversion),
        )

    with open_text() as started:
        schema = started.schema
    # Where each line ends in a separator there is a last column without a name and without a value.
    ends = len(schema.names) > 1 and schema.names.count("") == 1 and schema.names[-1] == ""
    ends = ends and pa.types.is_null(schema.types[-1])

    def check_end(batch: pa.RecordBatch) -> pa.RecordBatch:
        if ends and (value := pc.max(batch.column("")).as_py()):
            raise InputError(
                f"{path} has a value in its last column, {data_table.quoted(value)}, and the column has no name. "
                "Name it in the first line."
            )
        return batch

    def read_text(names: list[str], beside: list[str]) -> Iterator[pa.RecordBatch]:
        # The type inferred from the first block is kept for booleans alone: whole numbers may be followed by others.
        types = {name: kind if (kind := schema.field(name).type) == pa.bool_() else pa.float64() for name in names}
        types |= dict.fromkeys([*beside, *([""] if ends else [])], pa.string())
        try:
            for batch in open_text(column_types=types, include_columns=list(types)):
                yield check_end(batch)
        except pa.ArrowInvalid as error:
            if (found := _BAD_NUMBER.search(str(error))) is None:
                raise
            name = schema.names[int(found[1])]
            place = text_format.first_not_numeric(path, suffix, text, [name]).get(name)
            line = "" if place is None else f" in line {place[1]}"
            raise InputError(
                f"The column {data_table.quoted(name)} of {path} is not numeric throughout "
                f"({data_table.printable(found[2])}{line}). "
                "Mend the value, name the column as `id` or `label`, or take it out by `exclude`."
            ) from error

    return (schema.remove(len(schema) - 1) if ends else schema), read_text


def _first_not_numeric(
    files: Sequence[Path], suffix: str, text: Mapping[str, Any], names: Sequence[str], read: _Reader
) -> dict[str, str]:
    """Return in words the first value of each column that is no number, and where it is; empty where none is found."""
    looked_at = list(names)[:_MOST_EXAMPLES]
    found = dict.fromkeys(names, "")
    if suffix not in text_format.SEPARATORS:
        # A few rows, because a block for columns that describe rows holds millions of them.
        stored = pq.ParquetFile(files[0], pre_buffer=False, buffer_size=2**16) if suffix == ".parquet" else None
        few = read([], looked_at) if stored is None else stored.iter_batches(1024, columns=looked_at)
        for batch in few:
            for name in looked_at:
                values = batch.column(name).drop_null()
                if len(values) and not found[name]:
                    found[name] = data_table.quoted(str(values[0].as_py()))
            break
        return found
    for one in files:
        for name, (value, line) in text_format.first_not_numeric(one, suffix, text, looked_at).items():
            of_file = f" of {one}" if files[1:] else ""
            found[name] = found[name] or f"{data_table.quoted(value)} in line {line}{of_file}"
    return found


def suffix_of(name: str, origin: str | Path) -> str:
    """Return the end of a file's name that tells its format, one of `SUFFIXES`.

    Parameters
    ----------
    name : str
        The file's name.
    origin : str or Path
        What messages call the file.

    Raises
    ------
    InputError
        Where the name ends in none of them.
    """
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return suffix
    if name.lower().endswith(".h5ad"):
        raise InputError(f"{origin} is an AnnData file. Read it from disk with `source: anndata`.")
    if name.lower().endswith(".zip"):
        raise InputError(f"{origin} is an archive. Unpack it, and give the files in it as `path`.")
    raise InputError(
        f"The name of {origin} ends in none of the formats that can be read: {', '.join(SUFFIXES)}. "
        "Rename or convert the file."
    )


def check_there(path: str | Path) -> None:
    """Raise an `InputError` where there is no such file."""
    if not Path(path).is_file():
        raise InputError(f"There is no file {path}. Mend `path`; it is relative to the folder the sweep runs in.")


def check_file(path: str | Path) -> None:
    """Raise an `InputError` where a file is not there, is empty, or is packed and its name does not say so."""
    check_there(path)
    if not Path(path).stat().st_size:
        raise InputError(f"{path} is empty: it has 0 bytes. Write or copy it again, or leave it out.")
    packing.check(path)


@contextmanager
def explaining_damage(
    path: str | Path,
    suffix: str,
    also: tuple[type[Exception], ...] = (),
    remedy: str = "save it again as plain numbers and UTF-8 text",
) -> Iterator[None]:
    """Turn what readers raise for a file that is cut short, damaged or of another format into an `InputError`.

    Parameters
    ----------
    path : str or Path
    suffix : str
        The format that it should have.
    also : tuple of exception classes
        What a reader of this format raises beside `_READ_ERRORS`.
    remedy : str
        What the message advises for a file that is not damaged.
    """
    try:
        yield
    except MemoryError:
        raise
    except (*_READ_ERRORS, *also) as error:
        reason = data_table.printable(str(error)) or type(error).__name__
        if (counts := _OTHER_WIDTH.search(reason)) is not None:
            raise InputError(
                f"{path} has a line with {counts[2]} and not {counts[1]} values. Copy it again if it was cut short or "
                f"damaged; otherwise put values with the separator in quotes, and give decimal commas another "
                f"separator (`separator`, `decimal`)."
            ) from error
        if "invalid UTF8" in reason:
            raise InputError(
                f"{path} is not UTF-8 text. Set `encoding` to what it was written in, such as latin-1 or cp1252."
            ) from error
        raise InputError(
            f"{path} cannot be read as {suffix[1:]} ({reason}). "
            f"Copy it again if it was cut short or damaged; otherwise {remedy}."
        ) from error
