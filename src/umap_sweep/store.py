"""Stored tables: Parquet with page checksums, a record of where they come from, and a fingerprint of their values.

Every result of a sweep is one Parquet file. Its schema metadata carries, under `umap_sweep`, a JSON record:
the stage, the full key, where the file belongs, the fingerprint of the decoded values, the fingerprints of the files it
was made from, the digest of the code that made it, and the environment it was computed in. Under `umap_sweep_sha256` it
carries the SHA-256 of that record. Files appear whole or not at all, and are read from where they belong alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from umap_sweep import environment
from umap_sweep.errors import InputError

RECORD = b"umap_sweep"
RECORD_SHA256 = b"umap_sweep_sha256"

# States of random generators that belong to a stage's values and stand in its record.
GENERATOR_STATES = ("random_state", "rng_state")

WRITE_OPTIONS: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}


class _NoPandas:
    """An importer that pretends that pandas is not installed."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ImportError(name)


def look_for_pandas_without_import() -> None:
    """Keep PyArrow from importing pandas when it makes its first array.

    It would import pandas only to see whether it was given a series, which takes 0.3 s, longer than the work of most
    jobs. Where a job asks PyArrow for a data frame, it gets one as always; before that PyArrow does not know a data
    frame that it is given. So this is for jobs alone: elsewhere it would break what others do with pandas.
    """
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas)
        try:
            pa.array([0])
        finally:
            sys.meta_path.remove(_NoPandas)


def fingerprint(table: pa.Table, **also: Any) -> str:
    """Return the SHA-256 of a table's decoded values, row order included.

    The file's encoding (compression, row groups, dictionaries, metadata) has no part in it, so that the same values
    have the same fingerprint whichever library version wrote them.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of integers, floats, booleans or strings, fixed-size lists of numbers, or binary values of one size.
    **also
        Values outside the table that belong to it; anything JSON can hold.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for field in table.schema:
        digest.update(_column_head(field, table.num_rows))
        chunks = table.column(field.name).chunks
        # How a column is cut into chunks must not matter: all of its nulls go first, then all of its values.
        if table.column(field.name).null_count:
            for chunk in chunks:
                digest.update(_buffer(numbers(chunk.is_null())))
        for chunk in chunks:
            for part in _value_bytes(chunk):
                digest.update(part)
    if also:
        digest.update(json.dumps(also, sort_keys=True).encode())
    return digest.hexdigest()


def fingerprint_of_joined(paths: Sequence[str | Path], columns: Sequence[str]) -> str:
    """Return the fingerprint that some columns of stored tables would have if the tables stood one below the other.

    One column of one table is held in memory at a time.

    Parameters
    ----------
    paths : sequence of path
        All with these columns, of the same types and without missing values.
    columns : sequence of str

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    digest = hashlib.sha256()
    for name in columns:
        for number, path in enumerate(paths):
            table = read(path, [name])
            if not number:
                digest.update(_column_head(table.schema.field(name), rows))
            for chunk in table.column(name).chunks:
                for part in _value_bytes(chunk):
                    digest.update(part)
    return digest.hexdigest()


def _column_head(field: pa.Field, n_rows: int) -> bytes:
    """Return what the fingerprint has of a column before its values."""
    return f"{field.name}\0{_type_name(field.type)}\0{n_rows}\0".encode()


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_large_string(kind):
        return "string"
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.value_type}[{kind.list_size}]"
    return str(kind)


def _value_bytes(chunk: pa.Array) -> Iterator[memoryview | bytes]:
    kind = chunk.type
    if chunk.null_count:
        chunk = chunk.fill_null("" if _is_text(kind) else False if pa.types.is_boolean(kind) else 0)
    if pa.types.is_fixed_size_list(kind):
        yield _buffer(numbers(chunk.flatten()))
    elif pa.types.is_fixed_size_binary(kind):
        width = kind.byte_width
        if len(chunk):
            yield memoryview(chunk.buffers()[1])[chunk.offset * width : (chunk.offset + len(chunk)) * width]
    elif _is_text(kind):
        # Each value's length goes before its bytes, so that ("ab", "c") and ("a", "bc") differ.
        for value in chunk.to_pylist():
            encoded = value.encode()
            yield len(encoded).to_bytes(8, "little")
            yield encoded
    else:
        yield _buffer(numbers(chunk))


def _buffer(values: np.ndarray) -> memoryview:
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).data.cast("B")


def numbers(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers or booleans as an array; read-only, and no copy where it is in one piece.

    The values are those of PyArrow's `to_numpy`. Because that imports pandas, it is called only for columns that are
    empty or have nulls.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.null_count or not len(array):
        values: np.ndarray = array.to_numpy(zero_copy_only=False)
        return values
    if pa.types.is_boolean(array.type):
        # Not cast by Arrow, which imports its compute functions for it: 50 ms, more than most checks take.
        bits = np.frombuffer(array.buffers()[1], np.uint8)
        ends = array.offset, array.offset + len(array)
        return np.unpackbits(bits, count=ends[1], bitorder="little")[ends[0] :].view(np.bool_)
    return np.from_dlpack(array)


def _is_text(kind: pa.DataType) -> bool:
    return any(matches(kind) for matches in (pa.types.is_string, pa.types.is_large_string))


def make_record(
    stage: str, key: Mapping[str, Any], values: str, inputs: Mapping[str, str] | None = None, **also: Any
) -> dict[str, Any]:
    """Return the record of a result: what it is, what it was made from, by which code and in which environment.

    Parameters
    ----------
    stage : str
        Such as `data`, `rows`, `knn`, `graph`, `initial_layout`, `layout` or `embedding`.
    key : mapping
        Everything that, with the inputs and the code, determines the values.
    values : str
        Fingerprint of the decoded values.
    inputs : mapping of str to str, optional
        From `inputs_of`, of the files that this one is made from.
    **also
        Further entries of the record.
    """
    return {
        "stage": stage,
        "key": dict(key),
        "fingerprint": values,
        "inputs": dict(inputs or {}),
        **also,
        "code": os.environ.get(environment.CODE_VARIABLE, "unknown"),
        "environment": environment.describe(),
    }


def place_of(path: str | Path) -> str:
    """Return the end of a path that says what a file is: the folders that are its key and the one above, and its name.

    Such as `graph/metric=euclidean/knn_k=50/…/edges.parquet`, `data/data.parquet` or `digits/sweep.parquet`. The folder
    of results may be anywhere, and be moved.
    """
    parts = Path(path).absolute().parts
    first = len(parts) - 1
    while "=" in parts[first - 1]:
        first -= 1
    return "/".join(parts[first - 1 :])


def inputs_of(*paths: str | Path) -> dict[str, str]:
    """Return what the record of a table has of the files that it is made from: the fingerprint of each, by its place.

    The data set is always among them, so that files of several cannot be mixed.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    found = {}
    for path in paths:
        record = read_record(path)
        found[place_of(path)] = record["fingerprint"]
        found |= {place: value for place, value in record["inputs"].items() if place.endswith("/data.parquet")}
    return found


def fingerprint_of(path: str | Path) -> str:
    """Return the fingerprint of a stored table's values as they are now, whatever its record says.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    return fingerprint_by_record(read_record(path), read(path))


def fingerprint_by_record(record: Mapping[str, Any], table: pa.Table) -> str:
    """Return the fingerprint of a table as its stage's record has it.

    Of an embedding and a sweep it is that of the coordinates and radii alone, and of a data set that of its features.
    Columns of measured time and memory are no part of it; the states of random generators in the record are.
    """
    if record["stage"] in ("embedding", "sweep"):
        table = table.select([name for name in table.column_names if name.startswith(("umap_", "rad_"))])
    if record["stage"] == "data":
        table = table.select(["features"])
    table = table.drop_columns(record.get("measured", []))
    return fingerprint(table, **{name: record[name] for name in GENERATOR_STATES if name in record})


def state_of(random_state: np.random.RandomState) -> list[Any]:
    """Return the state of a Mersenne Twister in a form that JSON holds exactly."""
    state: Any = random_state.get_state()
    name, words, position, has_normal, normal = state
    return [name, words.tolist(), int(position), int(has_normal), float(normal)]


def random_state_from(state: Sequence[Any]) -> np.random.RandomState:
    """Return a generator that goes on from a state given by `state_of`."""
    name, words, position, has_normal, normal = state
    random_state = np.random.RandomState(0)
    random_state.set_state((name, np.array(words, dtype=np.uint32), position, has_normal, normal))
    return random_state


@contextmanager
def appearing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and move the file to `path` once the block has ended without an error.

    A job that is killed, or a disk that fills up, leaves no file at `path`.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write(
    path: str | Path,
    table: pa.Table,
    record: Mapping[str, Any],
    dictionary: Sequence[str] | bool = False,
    final: str | Path | None = None,
) -> None:
    """Write a table with its record, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Where to.
    table : pyarrow.Table
        The values.
    record : mapping
        From `make_record`.
    dictionary : sequence of str or bool, default False
        Columns to encode by dictionary, which pays for those with few distinct values.
    final : str or Path, optional
        Where the file is moved to once it is written, if not `path`.
    """
    metadata = {**(table.schema.metadata or {}), **record_metadata(record, final or path, table.schema)}
    with appearing(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(metadata),
            temporary,
            use_dictionary=dictionary,
            **WRITE_OPTIONS,
        )


def record_metadata(record: Mapping[str, Any], path: str | Path, schema: pa.Schema) -> dict[bytes, bytes]:
    """Return a file's metadata: its record, with its place and the digest of its columns, and the record's SHA-256."""
    text = json.dumps({**record, "place": place_of(path), "columns": _digest_of(schema)}, sort_keys=True).encode()
    return {RECORD: text, RECORD_SHA256: hashlib.sha256(text).hexdigest().encode()}


def _digest_of(schema: pa.Schema) -> str:
    """Return a digest of the columns' names and types."""
    columns = "".join(f"{field.name}\0{_type_name(field.type)}\0" for field in schema)
    return hashlib.sha256(columns.encode()).hexdigest()


def write_csv(path: str | Path, table: pa.Table) -> None:
    """Write a table as CSV, for people and for the report, whole or not at all."""
    import pyarrow.csv

    with appearing(path) as temporary:
        pyarrow.csv.write_csv(table, temporary)


def read(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table, or some of its columns, with every page's checksum verified.

    Only the columns asked for are read from disk. Where these are all there are, and none is text, the fingerprint in
    the record is held against the values too.

    Raises
    ------
    InputError
        Where the file is missing, cut short, damaged, or that of another place.
    """
    with _explaining_damage(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        record = _checked_record(file.schema_arrow, path)
        table = file.read(None if columns is None else list(columns))
    names = file.schema_arrow.names
    if len(names) == len(table.column_names) and not any(_is_text(field.type) for field in table.schema):
        check_values(path, record, table.select(names))
    return table if columns is None else table.select(list(columns))


def read_as_it_is(path: str | Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return a table and its record, also where the values are other ones or the file belongs in another place.

    For looking at what is wrong; what is computed is made from `read`.

    Raises
    ------
    InputError
        Where the file is missing or cut short, or a page or the record is damaged.
    """
    with _explaining_damage(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        return file.read(), _intact_record(file.schema_arrow, path)


def check_values(path: str | Path, record: Mapping[str, Any], table: pa.Table) -> None:
    """Raise an `InputError` where the values of a table are not those that its record has the fingerprint of.

    Parameters
    ----------
    path : str or Path
        Of the file, for the message.
    record : mapping
        From `read_record`.
    table : pyarrow.Table
        The whole table.
    """
    if fingerprint_by_record(record, table) != record["fingerprint"]:
        raise InputError(f"{path} is damaged: it has other values than it was written with. {how_to_mend(path)}")


def column_names(path: str | Path, prefix: str = "") -> list[str]:
    """Return the names of a table's columns that begin with `prefix`, in the table's order, without reading values.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    with _explaining_damage(path):
        return [name for name in pq.read_schema(path).names if name.startswith(prefix)]


def read_rows(path: str | Path) -> pa.Table:
    """Return what names the rows of a data set, from the table of its rows: `id` and, where it has one, `label`."""
    names = column_names(path)
    return read(path, [name for name in ("id", "label") if name in names])


def matrix(table: pa.Table, prefix: str) -> np.ndarray:
    """Return the columns whose names begin with `prefix`, in the table's order, as an array of shape (n, columns)."""
    return np.stack([numbers(table.column(name)) for name in table.column_names if name.startswith(prefix)], axis=1)


def lists(array: np.ndarray) -> pa.FixedSizeListArray:
    """Return an array of shape (n, k) as a column of n lists of one length."""
    return pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])


def from_lists(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column made by `lists` as an array of shape (n, k)."""
    return numbers(column.combine_chunks().flatten()).reshape(len(column), column.type.list_size)


def binary_rows(array: np.ndarray) -> pa.FixedSizeBinaryArray:
    """Return an array of shape (n, k) as a column of n binary values, which reads faster than wide lists do."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    kind = pa.binary(little.itemsize * little.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(little), [None, pa.py_buffer(little)])


def write_binary_rows(
    path: str | Path,
    column: str,
    n_rows: int,
    groups: Iterable[np.ndarray],
    record_of: Callable[[str], Mapping[str, Any]],
) -> None:
    """Write a table of one column of `binary_rows`, whole or not at all, with one group of rows in memory at a time.

    Parameters
    ----------
    path : str or Path
    column : str
    n_rows : int
        Rows of all groups together, at least one.
    groups : iterable of ndarray, shape (rows of the group, k)
        All of one k and one type. `read_binary_rows` yields the same groups.
    record_of : callable
        Returns the record, from `make_record`, for the fingerprint that it is given.
    """
    digest = hashlib.sha256()
    with appearing(path) as temporary:
        writer = None
        try:
            for group in groups:
                table = pa.table({column: binary_rows(group)})
                if writer is None:
                    digest.update(_column_head(table.schema.field(column), n_rows))
                    # Without Arrow's own schema in the file, which hides what is added to the metadata in the end.
                    options = {"use_dictionary": False, "store_schema": False, **WRITE_OPTIONS}
                    writer = pq.ParquetWriter(temporary, table.schema, **options)
                for chunk in table.column(column).chunks:
                    for part in _value_bytes(chunk):
                        digest.update(part)
                writer.write_table(table)
            assert writer is not None  # there is a group
            record = record_of(digest.hexdigest())
            writer.add_key_value_metadata(record_metadata(record, path, table.schema))
        finally:
            if writer is not None:
                writer.close()


def read_binary_rows(path: str | Path, column: str, dtype: str) -> Iterator[np.ndarray]:
    """Yield a column written by `write_binary_rows`, one group of rows after the other.

    Parameters
    ----------
    path : str or Path
    column : str
    dtype : str
        Type of the values, such as `<f4`.

    Yields
    ------
    ndarray of `dtype`, shape (rows of the group, k)
        Read-only.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    with _explaining_damage(path):
        file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
        _checked_record(file.schema_arrow, path)
        for group in range(file.num_row_groups):
            values = file.read_row_group(group, [column]).column(0).combine_chunks()
            yield np.frombuffer(values.buffers()[1], dtype).reshape(len(values), -1)


def read_features(path: str | Path) -> np.ndarray:
    """Return the features of a stored data set.

    Returns
    -------
    ndarray of float32, shape (n, d)
        In C order and writable, as umap-learn's compiled functions require.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    with _explaining_damage(path):
        rows = pq.read_metadata(path).num_rows
    start, features = 0, np.empty((0, 0), dtype=np.float32)
    for batch in read_feature_batches(path):
        if not start:
            features = np.empty((rows, batch.shape[1]), dtype=np.float32)
        features[start : start + len(batch)] = batch
        start += len(batch)
    return features


def read_feature_batches(path: str | Path) -> Iterator[np.ndarray]:
    """Yield the features of a stored data set, one batch of rows after the other, so that they are in memory only once.

    Yields
    ------
    ndarray of float32, shape (rows of the batch, d)
        Read-only.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    with _explaining_damage(path):
        # Without `buffer_size`, whole columns of a row group would be read at once.
        file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=2**16)
        _checked_record(file.schema_arrow, path)
        width = file.schema_arrow.field("features").type.list_size
        for batch in file.iter_batches(batch_size=8192, columns=["features"]):
            yield numbers(batch.column("features").flatten()).reshape(-1, width)


def read_record(path: str | Path) -> dict[str, Any]:
    """Return the record of a stored table without reading its values.

    Raises
    ------
    InputError
        Where the file is missing or damaged, was not written by a sweep, or belongs in another place.
    """
    with _explaining_damage(path):
        return _checked_record(pq.read_schema(path), path)


def _checked_record(schema: pa.Schema, path: str | Path) -> dict[str, Any]:
    """Return the record in a file's metadata, if it is as it was written, and of a file that belongs there."""
    record = _intact_record(schema, path)
    here, place = place_of(path), record["place"]
    # The folder of a data set may be renamed, where folders with a key may not.
    if here.rpartition("/")[2] != place.rpartition("/")[2] or ("=" in place + here and here != place):
        raise InputError(f"{path} is another file, {place}, in the place of the right one. {how_to_mend(path)}")
    return record


def _intact_record(schema: pa.Schema, path: str | Path) -> dict[str, Any]:
    text, expected = ((schema.metadata or {}).get(name) for name in (RECORD, RECORD_SHA256))
    if text is None:
        raise InputError(f"{path} was not written by umap-sweep: it carries no record. {how_to_mend(path)}")
    if expected is None or hashlib.sha256(text).hexdigest().encode() != expected:
        raise InputError(f"{path} is damaged: its record is not as it was written. {how_to_mend(path)}")
    record: dict[str, Any] = json.loads(text)
    if _digest_of(schema) != record["columns"]:
        raise InputError(f"{path} is damaged: its columns are not as they were written. {how_to_mend(path)}")
    return record


def how_to_mend(path: str | Path) -> str:
    """Return the sentence that says what to do about a file that must not be used."""
    # A result that came from Snakemake's cache is a link into it; with the link alone deleted, it would come again.
    cached = f", and {os.path.realpath(path)} that it links to," if os.path.islink(path) else ""
    return f"Delete it{cached} and run again."


@contextmanager
def _explaining_damage(path: str | Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist. Run the sweep again to make it.") from error
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} is damaged ({reason}). {how_to_mend(path)}") from error
