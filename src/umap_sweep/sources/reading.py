"""Tables and arrays as files have them, read into the checked tables of `umap_sweep.sources.data_table`."""

from __future__ import annotations

import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from umap_sweep.errors import InputError
from umap_sweep.sources import data_table

_DELIMITERS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
SUFFIXES = (".parquet", ".feather", *_DELIMITERS, ".npy", ".npz")

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

# Arrow's message for a value that is not of its column's type.
_BAD_NUMBER = re.compile(r"In CSV column #([0-9]+): .*(invalid value '.*')")


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
    path: str | Path,
    beside: Mapping[str, Sequence[str]] | None = None,
    wanted: str | Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    missing: str = "refuse",
) -> data_table.Features:
    """Return the features of a file in one of the formats of `SUFFIXES`, recognised by the end of its name.

    Parameters
    ----------
    path : str or Path
    beside : mapping of str to sequence of str
        The columns, or arrays of an .npz, that are `id`, `label` and `annotations`. Without an id, a column of names of
        rows (see `data_table.row_names`) is no feature either, unless `exclude` or `wanted` names it.
    wanted, exclude
        See `data_table.choose_features`. Those of an array are all of its columns, named by their numbers from 0.
    missing : str
        See `data_table.checked_features`.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another format, has no rows or features, a name is unknown or names
        two things, or a feature is not numeric and finite in float32.
    """
    path = Path(path)
    suffix = suffix_of(path.name, path)
    check_exists(path)
    left_out = {key: list(names) for key, names in (beside or {}).items()}
    with explaining_damage(path, suffix):
        if suffix in (".npy", ".npz"):
            if wanted is not None or exclude:
                key = "features" if wanted is not None else "exclude"
                raise InputError(f"`{key}` selects columns by name, and those of {path} have none. Leave it out.")
            return _array_features(path, suffix, left_out, missing)
        return _column_features(path, suffix, left_out, wanted, exclude, missing)


def read_columns(
    path: str | Path,
    id_name: str | None,
    names: Sequence[str] = (),
    exclude: Sequence[str] = (),
    rows: int | None = None,
) -> Columns:
    """Return what names and describes the rows of a file.

    Parameters
    ----------
    path : str or Path
    id_name : str or None
        The column (or array of an .npz) of the ids. Without it, a column of names of rows is taken, where the file has
        one that `exclude` does not name.
    names : sequence of str
        Further columns, or arrays of an .npz.
    exclude : sequence of str
        As for `read_features`.
    rows : int, optional
        How many values an array of an .npz must have.

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
    path = Path(path)
    suffix = suffix_of(path.name, path)
    check_exists(path)
    with explaining_damage(path, suffix):
        if suffix == ".npy":
            if id_name is not None or names:
                raise InputError(f"{path} holds features alone. Save an .npz with X, y and what describes the rows.")
            return Columns(None, {})
        if suffix == ".npz":
            with _opened_arrays(path) as archive:
                found = {name: pa.chunked_array([pa.array(_of_rows(archive, name, path, rows))]) for name in names}
                ids = None if id_name is None else pa.chunked_array([pa.array(_of_rows(archive, id_name, path, rows))])
                return Columns(ids, found)
        return _row_columns(path, suffix, id_name, names, exclude)


def column_names(path: str | Path) -> list[str]:
    """Return the names of the columns of a table, without a column of names of its rows.

    Raises
    ------
    InputError
        Where the file is missing, damaged, or no table.
    """
    path = Path(path)
    suffix = suffix_of(path.name, path)
    check_exists(path)
    if suffix in (".npy", ".npz"):
        raise InputError(f"{path} is no table. Give a file of named columns, such as CSV or Parquet.")
    with explaining_damage(path, suffix):
        schema, _ = _open_columns(path, suffix)
        return [name for name in schema.names if name != data_table.row_names(schema)]


def default_label(path: str | Path) -> str | None:
    """Return the array that is the label of a file where none is named: `y` of an .npz."""
    if suffix_of(Path(path).name, path) != ".npz":
        return None
    check_exists(path)
    with explaining_damage(path, ".npz"), _opened_arrays(Path(path)) as archive:
        return "y" if "y" in archive else None


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
            matrix = archive["X"]
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


def _of_rows(archive: Any, name: str, path: Path, rows: int | None = None) -> np.ndarray:
    values: np.ndarray = archive[name]
    if values.ndim != 1 or (rows is not None and len(values) != rows):
        of_rows = "" if rows is None else f", and X has {rows} rows"
        raise InputError(
            f"The array {name!r} in {path} has the shape {values.shape}{of_rows}. Save one value for each row."
        )
    return values


def _column_features(
    path: Path,
    suffix: str,
    beside: dict[str, list[str]],
    wanted: str | Sequence[str] | None,
    exclude: Sequence[str],
    missing: str,
) -> data_table.Features:
    schema, read = _open_columns(path, suffix)
    if suffix in _DELIMITERS and wanted is None:
        data_table.check_header(schema.names, path)
    named = [*exclude, *(wanted if wanted is not None and wanted != "numeric" else [])]
    own = data_table.row_names(schema)
    if not beside.get("id") and own is not None and own not in named:
        beside = beside | {"id": [own]}
    names = data_table.choose_features(schema, beside, wanted, exclude, path)
    blocks = []
    rows, rounded = data_table.block_rows(len(names)), np.zeros(len(names), dtype=np.int64)
    for batch in read(names, []):
        for start in range(0, batch.num_rows, rows):
            blocks.append(data_table.rows_as_lists(batch.slice(start, rows), names, rounded))
    data_table.check_not_empty(path, len(blocks), len(names))
    return data_table.checked_features(pa.chunked_array(blocks), names, path, missing).with_rounded(rounded)


def _row_columns(path: Path, suffix: str, id_name: str | None, names: Sequence[str], exclude: Sequence[str]) -> Columns:
    schema, read = _open_columns(path, suffix)
    if id_name is None:
        own = data_table.row_names(schema)
        id_name = own if own not in exclude else None
    wanted = list(dict.fromkeys([*([] if id_name is None else [id_name]), *names]))
    for name in wanted:
        if name not in schema.names:
            raise data_table.unknown(path, "column", "id" if name == id_name else "annotations", name, schema.names)
    if not wanted:
        return Columns(None, {})
    parts: dict[str, list[pa.Array]] = {name: [] for name in wanted}
    for batch in read([], wanted):
        for name, values in parts.items():
            values.append(batch.column(name))
    found = {name: pa.chunked_array(values) for name, values in parts.items()}
    is_text = suffix in _DELIMITERS
    ids = None if id_name is None else found[id_name]
    others = {name: data_table.label_from_text(found[name]) if is_text else found[name] for name in names}
    return Columns(data_table.id_from_text(ids) if is_text and ids is not None else ids, others)


def _open_columns(path: Path, suffix: str) -> tuple[pa.Schema, _Reader]:
    """Return the schema of a file, and a function that reads the columns of two lists: features; id and label."""
    if suffix == ".parquet":
        # Without `buffer_size`, whole columns of a row group would be read at once.
        stored = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=2**16)
        return stored.schema_arrow, lambda names, beside: stored.iter_batches(
            data_table.block_rows(len(names)), columns=[*names, *beside]
        )
    if suffix == ".feather":
        opened = pa.ipc.open_file(pa.memory_map(str(path)))

        def read_feather(names: list[str], beside: list[str]) -> Iterator[pa.RecordBatch]:
            for number in range(opened.num_record_batches):
                batch = opened.get_batch(number).select([*names, *beside])
                batch.validate(full=True)  # the format has no checksums, and damaged offsets crash the process
                yield batch

        return opened.schema, read_feather

    def open_text(**conversion: Any) -> pa.csv.CSVStreamingReader:
        return pa.csv.open_csv(
            pa.input_stream(str(path), compression="gzip" if suffix.endswith(".gz") else None),
            # A row must fit in a block, and the columns' types are inferred from the first block.
            read_options=pa.csv.ReadOptions(block_size=2**22),
            parse_options=pa.csv.ParseOptions(delimiter=_DELIMITERS[suffix], newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(**conversion),
        )

    with open_text() as started:
        schema = started.schema

    def read_text(names: list[str], beside: list[str]) -> Iterator[pa.RecordBatch]:
        # The type inferred from the first block is kept for booleans alone: whole numbers may be followed by others.
        types = {name: kind if (kind := schema.field(name).type) == pa.bool_() else pa.float64() for name in names}
        types |= dict.fromkeys(beside, pa.string())
        try:
            yield from open_text(column_types=types, include_columns=list(types))
        except pa.ArrowInvalid as error:
            if (found := _BAD_NUMBER.search(str(error))) is None:
                raise
            raise InputError(
                f"The column {schema.names[int(found[1])]!r} of {path} is not numeric throughout ({found[2]}). "
                "Mend the value, name the column as `id` or `label`, or take it out by `exclude`."
            ) from error

    return schema, read_text


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
    raise InputError(
        f"The name of {origin} ends in none of the formats that can be read: {', '.join(SUFFIXES)}. "
        "Rename or convert the file."
    )


def check_exists(path: str | Path) -> None:
    """Raise an `InputError` where there is no such file."""
    if not Path(path).is_file():
        raise InputError(f"There is no file {path}. Mend `path`; it is relative to the folder the sweep runs in.")


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
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read as {suffix[1:]} ({reason}). "
            f"Copy it again if it was cut short or damaged; otherwise {remedy}."
        ) from error
