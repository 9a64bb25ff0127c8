"""Data that hypothesis makes up: what a library wrote is read back exactly, or refused in a sentence or two.

No example may end in another error, and none in a result that is not what was written. `HOSTILE_EXAMPLES=2000` tries
more of them.
"""

import csv
import functools
import io
import json
import math
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import scipy.sparse
from conftest import snakemake, store_data
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from pyarrow import feather

from umap_sweep import store
from umap_sweep.atlas import page
from umap_sweep.errors import InputError
from umap_sweep.quality import high_dimensional, tables
from umap_sweep.quality import labels as label_kinds
from umap_sweep.results import embedding, export_anndata, sweep
from umap_sweep.sources import fetch, imported_knn, rows, subset

# The same examples in each run, so that a test passes or fails by the code alone.
odd = settings(
    max_examples=int(os.environ.get("HOSTILE_EXAMPLES", "25")),
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

TEXTS = [
    *("", " ", " x ", "a,b", 'say "x"', "two\nlines", "cr\rlf\r\n", "tab\t", "semi;colon", "back\\slash", "'"),
    *("=cmd|'/c calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1+1", "<script>alert(1)</script>", "&amp;", "{{data}}", "-->"),
    *("../../etc/passwd", "a/b", "a_b", "C:\\x", "\ufeffmark", "\u202eright", "خلية", "細胞", "🦠"),
    *("é", "e\u0301", "\x1b[31m"),
    *("NaN", "NA", "null", "None", "nan", "inf", "-inf", "true", "False", "1", "2", "007", "1e5", "1.0", "-0", "1,5"),
    *("99999999999999999999", "1_000", "0x1", "2024-01-02", "\x00", "nul\x00inside", "n" * 3000),
]
NAMES = [
    *("umap_1", "id", "label", "features", "index_0", "distance_0", "knn_seed", "n_neighbors", "seed", "row", "metric"),
    *("_index", ".", "..", "index", "__index_level_0__", "Unnamed: 0", "X", "y", "obs", "a.b", "a*", "[ab]", "numeric"),
]
NUMBERS = [
    *(0.0, -0.0, 1.0, 0.1, 5e-324, 1e-45, 1.4e-45, -1e-40, 2.0**24, 2.0**24 + 1, -(2.0**24) - 1, 2.0**53, 1e16),
    *(3.4028234e38, 3.4028235677973366e38, 3.5e38, -1e308, math.inf, -math.inf, math.nan, 1.00000005960464477539),
]

text = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
name = st.one_of(st.sampled_from(NAMES), text)
tame_number = st.one_of(st.integers(-9, 9).map(float), st.floats(-1e6, 1e6, width=32))
number = st.one_of(tame_number, tame_number, st.sampled_from(NUMBERS), st.floats())
whole = st.one_of(st.integers(-9, 9), st.sampled_from([2**24 + 1, 2**53 + 1, 2**60 + 2**36 + 1, 2**63 - 1, -(2**63)]))
policy = st.sampled_from(["refuse", "drop", "median"])
labels = st.one_of(text, st.none())


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or None where it is refused, after a look at the sentences."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return call()
    except InputError as error:
        message = str(error)
        assert re.fullmatch(r"\S.*[.?]", message) and message.isprintable(), repr(message)
        assert len(message) < 800, message
        return None


@contextmanager
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as made:
        yield Path(made)


def fetched(path: Path, source: dict[str, Any]) -> tuple[np.ndarray, pa.Table, dict[str, Any]]:
    """Return the features, what describes the rows, and the record, as the two stages store them."""
    data, described = path.parent / "stored" / "data.parquet", path.parent / "stored" / "rows.parquet"
    fetch.compute("odd", source, path, None, data)
    rows.compute("odd", source, path, data, described)
    return store.read_features(data), store.read(described), store.read_record(data)


def as_float32(columns: list[list[Any]], missing: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the features that columns of numbers must become and the rows that are kept, None where they cannot.

    A number is rounded to float32 once, whole ones from their exact value; None is missing.
    """

    def rounded(value: Any) -> np.float32:
        if value is None or value != value:
            return np.float32(np.nan)
        with np.errstate(over="ignore"):
            return np.array([value]).astype(np.float32)[0]

    matrix = np.array([[rounded(value) for value in column] for column in columns], np.float32).T
    absent = np.isnan(matrix)
    kept = np.flatnonzero(~absent.any(axis=1)) if missing == "drop" else np.arange(len(matrix))
    if np.isinf(matrix).any() or (missing == "refuse" and absent.any()) or absent.all(axis=0).any() or not len(kept):
        return None
    if missing == "median":
        for column in np.flatnonzero(absent.any(axis=0)):
            matrix[absent[:, column], column] = np.nanmedian(matrix[:, column])
    return matrix[kept], kept


def lost(values: list[Any]) -> int:
    """Return how many whole numbers float32 cannot hold."""
    known = [value for value in values if value is not None and math.isfinite(value) and value == int(value)]
    with np.errstate(over="ignore"):
        stored = [np.array([value]).astype(np.float32)[0] for value in known]
    return sum(math.isfinite(one) and int(one) != int(value) for one, value in zip(stored, known, strict=True))


def same_bits(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


KINDS = ["?", "i1", "u2", "<i4", ">i8", "u8", "<f2", ">f4", "<f8", ">f8"]


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Make up a matrix of one to nine rows, often with equal rows or constant columns."""
    kind = np.dtype(draw(st.sampled_from(KINDS)))
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 4)))
    element = number if kind.kind == "f" else whole
    values = draw(st.lists(element, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    with np.errstate(all="ignore"):
        if kind.kind == "f":
            matrix = np.array(values, np.float64).astype(kind).reshape(shape)
        else:
            matrix = np.array([value % 2**63 for value in values], np.int64).astype(kind).reshape(shape)
    how = draw(st.sampled_from(["as they are", "rows", "columns"]))
    if how == "rows":
        matrix[:] = matrix[:1]
    if how == "columns":
        matrix[:, 0] = matrix[0, 0]
    return np.asarray(matrix, order=draw(st.sampled_from("CF")))


def columns_of(matrix: np.ndarray) -> list[list[Any]]:
    return [matrix[:, place].tolist() for place in range(matrix.shape[1])]


@odd
@given(arrays(), policy, st.sampled_from([".npy", ".npz"]), st.data())
def test_arrays(matrix, missing, suffix, data):
    names = data.draw(st.lists(text, min_size=len(matrix), max_size=len(matrix)))
    with folder() as made:
        path = made / f"data{suffix}"
        source = {"source": "file", "path": str(path), "missing": missing}
        if suffix == ".npy":
            np.save(path, matrix)
        else:
            np.savez(path, X=matrix, y=np.array(names))
        found = outcome(functools.partial(fetched, path, source))
    expected = as_float32(columns_of(matrix), missing)
    if expected is None or (suffix == ".npz" and any("\0" in one.rstrip("\0") for one in names)):
        assert found is None
        return
    features, described, record = found
    same_bits(features, expected[0])
    assert described["id"].to_pylist() == expected[1].tolist()
    assert sum(record["rounded"].values()) == sum(lost(column) for column in columns_of(matrix))
    if suffix == ".npz":  # NumPy itself cuts NULs at the end
        assert described["label"].to_pylist() == [names[row].rstrip("\0") for row in expected[1]]


@st.composite
def tabular(draw: st.DrawFn) -> dict[str, Any]:
    """Make up columns of features by name, ids, labels and annotations of one to nine rows."""
    count = draw(st.integers(1, 9))
    names = draw(st.lists(name, min_size=4, max_size=6, unique=True))

    def column(element: st.SearchStrategy) -> st.SearchStrategy:
        return st.one_of(st.lists(element, min_size=count, max_size=count), element.map(lambda value: [value] * count))

    kinds = [
        column(number),
        column(st.one_of(number, st.none())),
        column(whole),
        column(st.one_of(whole, st.none())),
        column(st.booleans()),
    ]
    features = [draw(st.one_of(kinds)) for _ in names[3:]]
    some_labels = [column(labels), column(whole), column(st.booleans()), column(st.one_of(number, st.none()))]
    return {
        "names": names,
        "features": features,
        "id": draw(
            st.one_of(
                st.lists(text, min_size=count, max_size=count, unique=True),
                st.lists(whole, min_size=count, max_size=count, unique=True),
                st.just(list(range(count))) if count > 5 else st.lists(text, min_size=count, max_size=count),
            )
        ),
        "label": draw(st.one_of(some_labels)),
        "annotation": draw(st.one_of(some_labels)),
    }


def described_as(values: list[Any], annotation: bool = False) -> list[Any] | None:
    """Return what labels of a typed file must become, None where they must be refused."""
    if any(isinstance(value, str) and "\0" in value for value in values):
        return None
    if any(isinstance(value, float) and math.isinf(value) for value in values):
        return None
    if isinstance(next((value for value in values if value is not None), None), bool) and not annotation:
        return [None if value is None else str(value).lower() for value in values]
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values]


def ids_as(values: list[Any]) -> list[Any] | None:
    bad = any(value == "" or (isinstance(value, str) and "\0" in value) for value in values)
    return None if bad or len(set(values)) < len(values) else values


def is_taken(called: str) -> bool:
    return rows.TAKEN.fullmatch(called) is not None or "\0" in called


@odd
@given(tabular(), policy, st.sampled_from(["parquet", "feather"]), st.booleans())
def test_typed_tables(table, missing, suffix, categories):
    id_name, label_name, annotation_name, *names = table["names"]
    written = {id_name: pa.array(table["id"]), label_name: pa.array(table["label"])}
    written |= {annotation_name: pa.array(table["annotation"])}
    if categories and written[label_name].null_count < len(written[label_name]):
        written[label_name] = written[label_name].dictionary_encode()
    written |= dict(zip(names, map(pa.array, table["features"]), strict=True))
    source = {"source": "file", "missing": missing, "id": id_name, "label": label_name}
    source["annotations"] = [annotation_name]
    with folder() as made:
        path = made / f"data.{suffix}"
        (pq.write_table if suffix == "parquet" else feather.write_feather)(pa.table(written), path)
        found = outcome(functools.partial(fetched, path, source | {"path": str(path)}))
    expected = as_float32(table["features"], missing)
    ids, label = ids_as(table["id"]), described_as(table["label"])
    annotation = described_as(table["annotation"], annotation=True)
    unnamed = is_taken(annotation_name) or "\0" in "".join(names)
    if expected is None or None in (ids, label, annotation) or unnamed:
        assert found is None
        return
    features, described, record = found
    matrix, kept = expected
    same_bits(features, matrix)
    assert record["feature_names"] == names
    assert record["rounded"] == {
        one: count for one, values in zip(names, table["features"], strict=True) if (count := lost(values))
    }
    assert described["id"].to_pylist() == [ids[row] for row in kept]
    assert described["label"].to_pylist() == [label[row] for row in kept]
    assert described[annotation_name].to_pylist() == [annotation[row] for row in kept]


MISSING = set(pa.csv.ConvertOptions().null_values)


def from_text(values: list[str]) -> list[Any]:
    """Return what labels of a text file must become: all whole numbers, all numbers, or text; null where missing."""
    known = [value for value in values if value not in MISSING]
    for pattern, kind in ((r"0|-?[1-9][0-9]*", int), (r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", float)):
        if all(re.fullmatch(pattern, value, re.ASCII) for value in known):
            if kind is int and any(not -(2**63) <= int(value) < 2**63 for value in known):
                break
            return [None if value in MISSING else kind(value) for value in values]
    return [None if value in MISSING else value for value in values]


def ids_from_text(values: list[str]) -> list[Any]:
    if all(re.fullmatch(r"0|-?[1-9][0-9]*", value, re.ASCII) and -(2**63) <= int(value) < 2**63 for value in values):
        return [int(value) for value in values]
    return values


def cell(value: Any, decimal: str = ".") -> str:
    written = "" if value is None else repr(value) if isinstance(value, float) else str(value)
    return written.replace(".", decimal) if isinstance(value, float) else written


def with_points(values: list[str]) -> list[str]:
    """Return a column with points for decimal commas, where all of it is numbers or missing."""
    known = [value for value in values if value not in MISSING]
    numbers = all(re.fullmatch(r"-?[0-9]+(,[0-9]+)?([eE][+-]?[0-9]+)?", value, re.ASCII) for value in known)
    return [value.replace(",", ".") for value in values] if numbers and known else values


def first_mark_cut(names: list[str]) -> list[str]:
    """Return the names as they are read: a byte-order mark that begins a file is none of its first name."""
    return [names[0].removeprefix("\ufeff"), *names[1:]]


WRITINGS = [
    *(("csv", ",", ".", code) for code in ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")),
    *(("csv", ";", ",", code) for code in ("utf-8", "utf-16")),
    ("tsv", "\t", ".", "utf-8"),
    ("csv", "|", ".", "utf-8"),
    ("csv.gz", ",", ".", "utf-8"),
]


@odd
@given(tabular(), policy, st.sampled_from(WRITINGS), st.booleans(), st.booleans())
def test_tables_of_text(table, missing, writing, is_said, quoted):
    suffix, separator, decimal, encoding = writing
    names = first_mark_cut(table["names"])
    assume(len(set(names)) == len(names) and not (names != table["names"] and encoding != "utf-8"))
    columns = [[cell(value) for value in table["id"]]]
    columns += [[cell(one, decimal) for one in one_of] for one_of in (table["label"], table["annotation"])]
    columns += [[cell(value, decimal) for value in values] for values in table["features"]]
    made_of = io.StringIO(newline="")
    # Python's csv leaves a carriage return that stands alone without quotes, where it ends the line.
    has_return = "\r" in "".join([*names, *(one for column in columns for one in column)])
    quoting = csv.QUOTE_ALL if quoted or has_return else csv.QUOTE_MINIMAL
    # In quotes, a mark is a character like any other.
    assume(names == table["names"] or (quoting == csv.QUOTE_MINIMAL and not re.search('[,;|\t"\n]', names[0])))
    writer = csv.writer(made_of, delimiter=separator, quoting=quoting, lineterminator="\n")
    writer.writerows([table["names"], *zip(*columns, strict=True)])
    try:
        content = made_of.getvalue().encode(encoding)
    except UnicodeEncodeError:
        assume(False)
    source = {"source": "file", "missing": missing, "id": names[0], "label": names[1], "annotations": [names[2]]}
    source |= {"features": names[3:]}
    if is_said or encoding in ("latin-1", "cp1252"):
        source |= {"separator": separator, "decimal": decimal, "encoding": encoding}
    with folder() as made:
        path = made / f"data.{suffix}"
        if suffix.endswith("gz"):
            import gzip

            content = gzip.compress(content)
        path.write_bytes(content)
        found = outcome(functools.partial(fetched, path, source | {"path": str(path)}))
    values = [[None if one is None else float(one) for one in column] for column in table["features"]]
    expected = as_float32(values, missing)
    is_whole = "\0" not in "".join([*names[2:], *(one for column in columns for one in column)])
    if expected is None or ids_as(columns[0]) is None or is_taken(names[2]) or not is_whole:
        assert found is None
        return
    if found is None:  # what is not said need not be plain
        assert "separator" not in source
        return
    features, described, record = found
    matrix, kept = expected
    same_bits(features, matrix)
    assert record["feature_names"] == names[3:]
    assert described["id"].to_pylist() == [ids_from_text(columns[0])[row] for row in kept]
    for key, written in zip(("label", names[2]), columns[1:], strict=False):
        there = from_text(with_points(written) if decimal == "," else written)
        assert described[key].to_pylist() == [there[row] for row in kept]


STRUCTURES = [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csc_matrix]


def frame_column(values: list[Any]) -> Any:
    """Return values as a column of obs that anndata writes."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in known):
        return pd.Categorical(values, categories=sorted(set(known)))
    if all(isinstance(value, bool) for value in known):
        return pd.array(values, "boolean")
    if all(isinstance(value, int) for value in known):
        return pd.array(values, "Int64")
    return np.array([math.nan if value is None else value for value in values])


def obs_as(values: list[Any], annotation: bool = False) -> list[Any] | None:
    return described_as(values, annotation) if any(value is not None for value in values) else [None] * len(values)


@odd
@given(tabular(), arrays(), policy, st.sampled_from(STRUCTURES), st.sampled_from(["X", "layer", "obsm", "frame"]))
def test_anndata_files(table, matrix, missing, structure, place):
    count = len(table["id"])
    matrix = np.resize(matrix.astype(matrix.dtype.newbyteorder("=")), (count, matrix.shape[1]))
    if matrix.dtype == np.float16:
        matrix = matrix.astype(np.float64)
    var_names = [*table["names"], *map(str, range(4))][: matrix.shape[1]]
    label_name, annotation_name = (one.replace("/", "|") for one in table["names"][:2])
    assume(label_name != annotation_name and "" not in (label_name, annotation_name))
    obs = pd.DataFrame(
        {label_name: frame_column(table["label"]), annotation_name: frame_column(table["annotation"])},
        index=[str(one) for one in table["id"]],
    )
    stored = structure(matrix)
    matrix = stored if structure is np.asarray else stored.toarray()  # where -0 is 0
    shape = None if place == "X" else (count, len(var_names))
    made_of = anndata.AnnData(stored if place == "X" else None, obs, pd.DataFrame(index=var_names), shape=shape)
    source = {"source": "anndata", "missing": missing, "label": label_name, "annotations": [annotation_name]}
    if place == "layer":
        made_of.layers["layer"] = stored
        source["layer"] = "layer"
    if place == "obsm":
        made_of.obsm["place"] = stored
        source["obsm"] = "place"
    if place == "frame":
        made_of.obsm["place"] = pd.DataFrame(matrix, index=obs.index).add_prefix("c")
        source["obsm"] = "place"
    with folder() as made:
        path = made / "data.h5ad"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made_of.write_h5ad(path)
        except Exception:
            assume(False)  # anndata itself refuses it
        found = outcome(functools.partial(fetched, path, source | {"path": str(path)}))
    expected, ids = as_float32(columns_of(matrix), missing), ids_as([str(one) for one in table["id"]])
    label, annotation = obs_as(table["label"]), obs_as(table["annotation"], annotation=True)
    unnamed = is_taken(annotation_name) or (place in ("X", "layer") and "\0" in "".join(var_names))
    if expected is None or None in (ids, label, annotation) or unnamed:
        assert found is None
        return
    features, described, record = found
    same_bits(features, expected[0])
    assert sum(record["rounded"].values()) == sum(lost(column) for column in columns_of(matrix))
    if place in ("X", "layer"):
        assert record["feature_names"] == var_names
    assert described["id"].to_pylist() == [ids[row] for row in expected[1]]
    assert described["label"].to_pylist() == [label[row] for row in expected[1]]
    assert described[annotation_name].to_pylist() == [annotation[row] for row in expected[1]]


@odd
@given(tabular(), st.sampled_from(["csv", "parquet", "feather", "h5ad"]), st.permutations(range(9)), st.integers(0, 9))
def test_annotation_files(table, suffix, order, left_out):
    ids, order = table["id"], [place for place in order if place < len(table["id"])][left_out:]
    others = dict(zip(table["names"][1:3], (table["label"], table["annotation"]), strict=True))
    id_name = table["names"][0]
    others = {called: [values[place] for place in order] for called, values in others.items()}
    with folder() as made:
        pq.write_table(pa.table({"key": pa.array(ids), "x": np.arange(len(ids))}), made / "data.parquet")
        path = made / f"notes.{suffix}"
        if suffix == "csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                columns = [[cell(ids[place]) for place in order], *(map(cell, values) for values in others.values())]
                csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
                    [[id_name, *others], *zip(*columns, strict=True)]
                )
            id_name = id_name.removeprefix("\ufeff")
        elif suffix == "h5ad":
            index = [str(ids[place]) for place in order]
            frame = pd.DataFrame({called: frame_column(values) for called, values in others.items()}, index=index)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    anndata.AnnData(obs=frame).write_h5ad(path)
            except Exception:
                assume(False)  # anndata itself refuses it
        else:
            columns = {called: pa.array(values) for called, values in others.items()}
            notes = pa.table({id_name: pa.array([ids[place] for place in order], pa.array(ids).type), **columns})
            (pq.write_table if suffix == "parquet" else feather.write_feather)(notes, path)
        entry = {"path": str(path)} | ({} if suffix == "h5ad" else {"id": id_name})
        source = {"source": "file", "path": str(made / "data.parquet"), "id": "key", "annotations": [entry]}
        found = outcome(functools.partial(fetched, made / "data.parquet", source))
    expected = {}
    for called, values in others.items():
        if suffix == "csv":
            written = [cell(value) for value in values]
            there = None if "\0" in "".join(written) else from_text(written)
        else:
            there = (obs_as if suffix == "h5ad" else described_as)(values, annotation=True)
        expected[called] = there
    if ids_as(ids) is None or not order or any(map(is_taken, others)) or any(one is None for one in expected.values()):
        assert found is None
        return
    if suffix == "csv" and found is None:
        return
    for called, there in expected.items():
        by_place = dict(zip(order, there, strict=True))
        assert found[1][called].to_pylist() == [by_place.get(place) for place in range(len(ids))]


# A k-NN that was made elsewhere


@st.composite
def searches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Make up a k-NN, a right one with a change or none."""
    count, width = draw(st.integers(3, 9)), draw(st.integers(2, 4))
    width = min(width, count)
    random = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    points = draw(st.sampled_from([random.normal(size=count), np.zeros(count), np.arange(count) // 2 * 1e-30]))
    matrix = np.abs(points[:, None] - points)
    indices = np.argsort(matrix, axis=1, kind="stable")
    distances = np.take_along_axis(matrix, indices, axis=1)[:, :width]
    kind = draw(st.sampled_from(["<f4", "<f8", ">f8", "<f2", "<i4"]))
    index_kind = draw(st.sampled_from(["<i4", "<i8", ">i8", "u8", "<f8"]))
    distances, indices = distances.astype(kind), indices[:, :width].astype(index_kind)
    place = draw(st.integers(0, count - 1)), draw(st.integers(0, width - 1))
    how = draw(st.sampled_from(["right", "index", "distance", "swap", "row more", "itself left out", "shape"]))
    with np.errstate(all="ignore"):
        if how == "index":
            other = draw(st.sampled_from([-1, 0, 1, count, 2**31, 2**32, 2**63 - 1]))
            indices[place] = np.array(other).astype(indices.dtype)
        if how == "distance":
            distances[place] = np.array(draw(number)).astype(distances.dtype)
    if how == "swap":
        indices[[0, 1]] = indices[[1, 0]]
    if how == "row more":
        indices, distances = np.vstack([indices, indices[:1]]), np.vstack([distances, distances[:1]])
    if how == "itself left out":
        indices, distances = indices[:, 1:], distances[:, 1:]
    if how == "shape":
        distances = distances[:, :-1]
    return indices, distances


@odd
@given(searches(), st.integers(2, 5), st.sampled_from([0, 0, 0, -1]), st.sampled_from(["npz", "parquet", "lists"]))
def test_an_imported_knn(search, k, fewer, form):
    indices, distances = search
    k = k if k == 5 else min(k, indices.shape[1])
    with folder() as made:
        path = made / f"knn.{'npz' if form == 'npz' else 'parquet'}"
        try:
            if form == "npz":
                np.savez(path, indices=indices, distances=distances)
            elif form == "lists":
                native = [one.astype(one.dtype.newbyteorder("=")) for one in search]
                pq.write_table(pa.table({"indices": list(native[0]), "distances": list(native[1])}), path)
            else:
                columns = {}
                for called, array in (("index", indices), ("distance", distances)):
                    native = array.astype(array.dtype.newbyteorder("="))
                    columns |= {f"{called}_{place}": native[:, place] for place in range(native.shape[1])}
                pq.write_table(pa.table(columns), path)
        except pa.ArrowException:
            assume(False)
        ids = pa.chunked_array([np.arange(len(indices) + fewer)])
        found = outcome(lambda: imported_knn.read(path, k, ids, "euclidean"))
    if found is None:
        return
    taken, measured = found
    absent = not (indices[:, :k] == np.arange(len(indices))[:, None]).any()
    assert taken.dtype == np.int32 and taken.shape == measured.shape == (len(ids), k) == (len(indices), k)
    np.testing.assert_array_equal(taken[:, absent:], indices[:, : k - absent])
    np.testing.assert_array_equal(measured[:, absent:], distances[:, : k - absent].astype(measured.dtype))
    assert ((taken >= 0) & (taken < len(taken))).all() and all(len(set(row)) == k for row in taken.tolist())
    assert np.isfinite(measured).all() and (np.diff(measured) >= 0).all()
    own = np.where(taken == np.arange(len(taken))[:, None], measured, np.inf).min(axis=1)
    assert (np.where(np.isinf(own), measured[:, -1], own) <= 1e-6 * measured.max()).all()


# What is written


KEY = {"n_neighbors": 5, "min_dist": 0.1, "seed": 10, "knn_k": 5, "knn_seed": 10}
ALSO = {"metric": "euclidean", "knn_jobs": 1, "method": "auto", "n_components": 2, "init": "spectral"}


def store_results(made: Path, described: dict[str, Any], names: list[str]) -> tuple[np.ndarray, Path, Path]:
    """Store a sweep of one cell of such rows; return its coordinates, the rows and the layout."""
    count = len(described["id"])
    points = np.random.RandomState(count).normal(size=(count, 2)).astype(np.float32)
    data = store_data(made, np.arange(count * len(names), dtype=np.float32).reshape(count, -1))
    store.write(data, store.read(data), store.read_record(data) | {"feature_names": names})
    table = pa.table(described)
    inputs = store.inputs_of(data)
    store.write(made / "rows.parquet", table, store.make_record("rows", {}, store.fingerprint(table), inputs))
    table = pa.table({"umap_1": points[:, 0], "umap_2": points[:, 1]})
    record = store.make_record("layout", KEY | ALSO, store.fingerprint(table), inputs)
    store.write(made / "layout.parquet", table, record)
    return points, made / "rows.parquet", made / "layout.parquet"


@st.composite
def descriptions(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """Make up what describes rows, as it is stored, and names of features."""
    table = draw(tabular())
    ids = ids_as(table["id"])
    label, annotation = (described_as(table[key], key == "annotation") for key in ("label", "annotation"))
    assume(None not in (ids, label, annotation))
    one, other = table["names"][:2]
    assume(not is_taken(one) and not is_taken(other) and "\0" not in "".join(table["names"]))
    columns = {"id": ids, "label": label, one: annotation, other: label}
    kept = {called: pa.array(values) for called, values in columns.items()}
    kept = {called: one.cast(pa.string()) if one.type == pa.null() else one for called, one in kept.items()}
    return kept, table["names"][2:]


@odd
@given(descriptions())
def test_tables_that_are_written(described_and_names):
    described, names = described_and_names
    with folder() as made:
        points, described_in, layout = store_results(made, described, names)
        embedding.compute([layout], described_in, [made / "embedding.parquet"])
        sweep.join([layout], described_in, [KEY], made / "sweep.parquet")
        for written in ("embedding", "sweep"):
            table = pq.read_table(made / f"{written}.parquet")
            assert table["id"].to_pylist() == described["id"].to_pylist()
            assert table["label"].to_pylist() == described["label"].to_pylist()
            np.testing.assert_array_equal(table["umap_1"].to_numpy(), points[:, 0])
        kind = {"annotation": pa.string(), "purity": pa.float64()}
        table = tables.table_of([{"annotation": called, "purity": 0.5} for called in [*described, *names]], kind)
        tables.write(made / "table.parquet", table, "table", {}, csv_out=made / "table.csv")
        with (made / "table.csv").open(newline="", encoding="utf-8") as file:
            written = [[called, "0.5"] for called in [*described, *names]]
            assert list(csv.reader(file)) == [["annotation", "purity"], *written]
        read_again = pa.csv.read_csv(made / "table.csv", parse_options=pa.csv.ParseOptions(newlines_in_values=True))
        assert read_again["purity"].to_pylist() == table["purity"].to_pylist()


@odd
@given(descriptions())
def test_anndata_that_is_written(described_and_names):
    described, names = described_and_names
    with folder() as made:
        points, described_in, layout = store_results(made, described, names)
        arguments = {"data": made / "data.parquet", "stored_rows": described_in, "layouts": [layout], "keys": [KEY]}
        outcome(functools.partial(export_anndata.export, **arguments, out=made / "sweep.h5ad", dataset="odd"))
        found = anndata.read_h5ad(made / "sweep.h5ad")
    assert found.obs_names.tolist() == [str(value) for value in described["id"].to_pylist()]
    assert found.var_names.tolist() == names
    np.testing.assert_array_equal(next(iter(found.obsm.values())), points)
    assert len(found.obs.columns) == len(described) - 1
    for place, (called, values) in enumerate(list(described.items())[1:]):
        column = found.obs.iloc[:, place]
        there = [None if absent else value for value, absent in zip(column.tolist(), column.isna(), strict=True)]
        expected = values.to_pylist()
        if pa.types.is_boolean(values.type) and values.null_count:
            expected = [None if value is None else str(value).lower() for value in expected]
        assert there == expected
        assert called in ("_index", ".") or "/" in called or called == column.name


class Elements(HTMLParser):
    """Takes down the elements of a page, and the text of those with an id."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: dict[str, str] = {}
        self.within: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.within = dict(attributes).get("id")

    def handle_data(self, data: str) -> None:
        if self.within is not None:
            self.texts[self.within] = self.texts.get(self.within, "") + data


def elements_of(made: Path, described: dict[str, Any], names: list[str]) -> Elements:
    _, described_in, layout = store_results(made, described, names)
    count = len(described["id"])
    table = pa.table({f"index_{place}": np.full(count, place, np.int32) for place in range(min(count, 3))})
    store.write(made / "knn.parquet", table, store.make_record("knn", {}, store.fingerprint(table)))
    options = {"neighbors": 2, "features": len(names), "max_points": 100}
    shared = {"knn": {"method": "auto"}}
    arguments = (made / "data.parquet", described_in, made / "knn.parquet", [layout], made / "atlas.html")
    page.make(*arguments, "odd", "euclidean", [KEY], shared, options)
    found = Elements()
    found.feed((made / "atlas.html").read_text(encoding="utf-8"))
    return found


@functools.cache
def tame_tags() -> list[str]:
    with folder() as made:
        return elements_of(made, {"id": pa.array(range(3)), "label": pa.array(["a", "b", "c"])}, ["a"]).tags


@odd
@given(descriptions())
def test_pages_that_are_written(described_and_names):
    described, names = described_and_names
    with folder() as made:
        found = elements_of(made, described, names)
    assert found.tags == tame_tags()
    header = json.loads(found.texts["header"])
    assert [entry["name"] for entry in header["annotations"]] == list(described)[2:]
    assert sorted(entry["name"] for entry in header["features"]) == sorted(names)
    for entry, values in zip([header["label"], *header["annotations"]], list(described.values())[1:], strict=True):
        if "names" in entry and pa.types.is_string(values.type):
            assert set(entry["names"]) == set(values.drop_null().to_pylist())
    if header["ids"] is not None:
        assert sorted(header["ids"]) == sorted(str(value) for value in described["id"].to_pylist())


# By hand


def test_a_million_categories():
    """A page shows its default number of them, and looks for them once, not once for each."""
    values = pa.array([f"category {place}" for place in np.random.RandomState(0).permutation(50_000)])
    names, codes = label_kinds.natural_categories(values)
    assert names[:3] == ["category 0", "category 1", "category 2"] and len(np.unique(codes)) == 50_000
    assert len(np.unique(page.choose_rows(np.arange(1_000_000), 100_000))) == 100_000


@pytest.mark.parametrize("most", [3, 7, 39])
def test_shares_of_many_categories_go_by_largest_remainders(most):
    sizes = np.array([1, 30, 2, 0, 5, 2])
    found = subset.shares(sizes, most)
    assert found.sum() == most and (found <= sizes).all()
    assert most < 5 or (found[sizes > 0] > 0).all()
    assert np.abs(found - sizes * most / sizes.sum()).max() < (1 if most == 39 else 3)


def test_whole_numbers_beside_missing_ones_are_rounded_once():
    """By way of float64 this one would come out as its neighbour."""
    value = 2**60 + 2**36 + 1
    with folder() as made:
        pq.write_table(pa.table({"a": pa.array([value, None]), "b": [1, 2]}), made / "data.parquet")
        features, _, record = fetched(
            made / "data.parquet", {"source": "file", "path": "data.parquet", "missing": "drop"}
        )
    assert features[0, 0] == np.array([value]).astype(np.float32)[0] != np.float32(float(value))
    assert record["rounded"] == {"a": 1}


def test_a_text_of_an_array_does_not_end_at_a_nul():
    with folder() as made:
        np.savez(made / "data.npz", X=np.eye(2), y=np.array(["a\0b", "a\0c"]))
        with pytest.raises(InputError, match=r"`label` of .* has a NUL character in row 0"):
            fetched(made / "data.npz", {"source": "file", "path": "data.npz"})


def test_an_annotation_file_without_rows():
    with folder() as made:
        np.save(made / "data.npy", np.eye(2))
        (made / "notes.csv").write_text("key,x\n")
        entry = {"path": str(made / "notes.csv"), "id": "key"}
        with pytest.raises(InputError, match="have no rows"):
            fetched(made / "data.npy", {"source": "file", "path": "data.npy", "annotations": [entry]})


def test_a_column_of_obs_without_a_name():
    """Anndata writes it over the table itself."""
    with folder() as made:
        made_of = anndata.AnnData(
            np.eye(2, dtype=np.float32), pd.DataFrame({"": pd.Categorical(["a", "b"])}, index=["x", "y"])
        )
        made_of.write_h5ad(made / "data.h5ad")
        with pytest.raises(InputError, match=r"obs or var of .* is no table of named columns"):
            fetched(made / "data.h5ad", {"source": "anndata", "path": "data.h5ad", "id": "x"})


def test_annotations_whose_names_would_be_one_in_obs():
    described = {called: [place] for place, called in enumerate(["id", "a/b", "a_b", "a_b_", "_index", "_index_", "."])}
    obs = export_anndata.obs_of(pa.table(described))
    assert obs.columns.tolist() == ["a_b__", "a_b", "a_b_", "_index__", "_index_", "._"]
    assert obs.iloc[0].tolist() == [1, 2, 3, 4, 5, 6]


def test_many_annotations_open_the_rows_few_times(monkeypatch):
    """A file of thousands of columns takes long to open, and there may be as many annotations."""
    described = {"id": pa.array(range(5))} | {f"note {place}": pa.array(range(5)) for place in range(300)}
    opened = []
    read = store.read
    monkeypatch.setattr(store, "read", lambda path, columns=None: opened.append(path) or read(path, columns))
    with folder() as made:
        elements_of(made, described, ["a"])
        assert opened.count(made / "rows.parquet") < 5


def test_pairs_of_wide_rows_are_measured_some_at_a_time(monkeypatch):
    """A value of a distance does not depend on how many pairs are measured together."""
    features = np.random.RandomState(0).normal(size=(12, 20_000)).astype(np.float32)
    first, second = np.triu_indices(12, 1)
    whole = high_dimensional.distances_of_pairs(features, first, second, "euclidean")
    monkeypatch.setattr(high_dimensional, "PAIR_VALUES", 1)
    parts = high_dimensional.distances_of_pairs(features, first, second, "euclidean")
    same_bits(parts, whole)


def test_pandas_is_as_it_was_beside_the_package(tmp_path):
    """What a notebook does with data frames goes on working once the package is imported."""
    code = "from umap_sweep import store; import pandas, pyarrow; frame = pandas.DataFrame({'a': [1.0, None]}); "
    code += "frame.to_feather('a.feather'); assert pyarrow.array(frame['a']).null_count == 1"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)


@pytest.mark.parametrize(("count", "targets"), [(5, ["results/odd/sweep.parquet"]), (9, ["all", "anndata"])])
def test_a_sweep_of_few_odd_rows(tmp_path, count, targets):
    """Two islands, one of equal rows, with names that are also ours; each figure, table and page is made of them."""
    names = ["umap_1", "id", "features", "index_0", "knn_seed"]
    matrix = np.zeros((count, 5), np.float32)
    matrix[:, 0] = [0] * (count // 2) + [1e6] * (count - count // 2)
    matrix[count // 2 :, 1] = np.arange(count - count // 2) * 1e-45
    table = pd.DataFrame(matrix, columns=names)
    table["path"] = [f"../../{row}/é" for row in range(count)]
    table["note"] = [*TEXTS[11:15], "a\nb", "\u202eright", "خلية", None, "NA"][:count]
    table["a/b"] = [1.5, None, *[2.5] * (count - 2)]
    table.to_parquet(tmp_path / "odd.parquet")
    source = {"source": "file", "path": "odd.parquet", "id": "path", "label": "note", "annotations": ["a/b"]}
    config = {"dataset": "odd", "datasets": {"odd": source}, "grid": {"n_neighbors": [3], "min_dist": [0.1]}}
    config |= {"knn": {"n_neighbors": 3}, "umap": {"n_epochs": 20}}
    run = snakemake(tmp_path, *targets, config=config)
    assert "Traceback" not in run.output
    assert run.code == 0, run.output
    results = tmp_path / "results/odd"
    found = pd.read_parquet(results / "sweep.parquet")
    assert found["id"].tolist() == table["path"].tolist()
    assert found["label"].tolist() == table["note"].tolist()
    if "anndata" in targets:
        made_of = anndata.read_h5ad(results / "sweep.h5ad")
        assert made_of.var_names.tolist() == names and made_of.obs.columns.tolist() == ["label", "a_b"]
        np.testing.assert_array_equal(made_of.X, matrix)
        assert (results / "atlas.html").stat().st_size and (results / "plots/grid.png").stat().st_size


def test_an_imported_knn_whose_row_is_far_from_itself():
    with folder() as made:
        np.savez(made / "knn.npz", indices=[[0, 1], [1, 0], [2, 0]], distances=[[0.0, 0.4], [0.0, 0.4], [1.0, 1.7]])
        with pytest.raises(InputError, match="a distance to itself that is not 0, first in row 2"):
            imported_knn.read(made / "knn.npz", 2, pa.chunked_array([range(3)]), "euclidean")
