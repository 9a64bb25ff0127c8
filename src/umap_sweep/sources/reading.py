"""Tables and arrays as files have them, read into the checked table of `umap_sweep.sources.data_table`."""

from __future__ import annotations

import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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


def read_file(
    path: str | Path, id_name: str | None = None, label_name: str | None = None, feature_names: list[str] | None = None
) -> tuple[pa.Table, list[str]]:
    """Return the data set of a file in one of the formats of `SUFFIXES`, recognised by the end of its name.

    Parameters
    ----------
    path : str or Path
    id_name, label_name : str or None
        Columns, or arrays of an .npz. Without an id, rows are numbered from 0. Without a label, an .npz's array `y` is
        the label.
    feature_names : list of str or None
        Feature columns, in this order. Without them, all columns but id and label, which then must be numeric.

    Returns
    -------
    table : pyarrow.Table
        See `data_table.checked_table`. Text is kept as it is, but in text formats ids and labels that are numbers
        throughout become numbers; see `data_table.id_from_text` and `data_table.label_from_text`.
    names : list of str
        The feature columns' names; of an array, the columns' numbers from 0.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another format, has no rows or features, a name is unknown or names
        two things, an id is missing or occurs twice, a feature is not numeric and finite in float32, or a label is
        infinite.
    """
    path = Path(path)
    suffix = suffix_of(path.name, path)
    check_exists(path)
    read = _read_arrays if suffix in (".npy", ".npz") else _read_columns
    with explaining_damage(path, suffix):
        return read(path, suffix, id_name, label_name, feature_names)


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
        data_table.check_matrix(matrix.shape, matrix.dtype, f"The array in {path}")
    else:
        with zipfile.ZipFile(path):  # np.load would take a file that is no archive for one of another format
            pass
        with np.load(path, allow_pickle=False) as archive:
            if "X" not in archive:
                known = data_table.listed(archive.files)
                raise InputError(f"{path} has no array 'X', only {known}. Save the features as X.")
            for key, name in (("id", id_name), ("label", label_name)):
                if name is not None and name not in archive:
                    raise data_table.unknown(path, "array", key, name, archive.files)
            if label_name is None and "y" in archive and id_name != "y":
                label_name = "y"
            if "X" in (id_name, label_name) or (id_name is not None and id_name == label_name):
                raise InputError(
                    f"`id` is {id_name!r} and `label` is {label_name!r}, and X of {path} holds the features. "
                    "Each needs an array of its own."
                )
            matrix = archive["X"]
            data_table.check_matrix(matrix.shape, matrix.dtype, f"The array 'X' in {path}")
            ids, labels = (
                None if name is None else _values_for(matrix, archive, name, path) for name in (id_name, label_name)
            )
    names = data_table.numbered(matrix.shape[1])
    return data_table.matrix_table(matrix, path, names, ids, labels), names


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
        data_table.check_header(schema.names, path)
    names = data_table.choose_features(schema, id_name, label_name, feature_names, path)
    beside: dict[str, list[pa.Array]] = {name: [] for name in (id_name, label_name) if name is not None}
    blocks = []
    rows = data_table.block_rows(len(names))
    for batch in read(names, list(beside)):
        for name, values in beside.items():
            values.append(batch.column(name))
        blocks += [
            data_table.rows_as_lists(batch.slice(start, rows), names) for start in range(0, batch.num_rows, rows)
        ]
    data_table.check_not_empty(path, len(blocks), len(names))
    ids, labels = (None if name is None else pa.chunked_array(beside[name]) for name in (id_name, label_name))
    if is_text and ids is not None:
        ids = data_table.id_from_text(ids)
    if is_text and labels is not None:
        labels = data_table.label_from_text(labels)
    return data_table.checked_table(pa.chunked_array(blocks), names, ids, labels, path), names


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
                "Mend the value, name the column as `id` or `label`, or leave it out of `features`."
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
