"""Write one cell for other tools: Embedding Atlas, TensorBoard's projector, and a CSV for R and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.job import say

# Text that a spreadsheet takes for a formula, and what looks as if `as_text` had made it of such; a number is none.
FORMULA = re.compile(r"'+[=@+\-\t\r]|[=@\t\r]|[+-](?!\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?$)")

# What Excel needs to read other characters than those of ASCII.
MARK = "\ufeff"


def read_cell(layout: str | Path, rows: str | Path) -> tuple[pa.Table, np.ndarray]:
    """Return what describes the rows, and the coordinates of a cell, float32 of shape (n, d).

    Parameters
    ----------
    layout : path
        From `umap_sweep.stages.layouts`.
    rows : path
        From `umap_sweep.sources.rows`.

    Raises
    ------
    InputError
        Where a file is missing or damaged, or they have other rows than each other.
    """
    about = store.read(rows).replace_schema_metadata(None)
    points = store.matrix(store.read(layout), "umap_")
    if len(points) != about.num_rows:
        raise InputError(f"{layout} has {len(points)} rows, and the data {about.num_rows}. Delete it and run again.")
    return about, points


def embedding_atlas(layout: str | Path, rows: str | Path, knn: str | Path, out: str | Path) -> None:
    """Write a cell as Embedding Atlas reads it, with the neighbours by which it was laid out.

    Parameters
    ----------
    layout, rows : path
        See `read_cell`.
    knn : path
        From `umap_sweep.stages.knn`.
    out : path
        Receives id, label and annotations under their names; `x` and `y` (float32, null for a disconnected row; of one
        dimension `y` is 0, and of more than two the others follow as `umap_3` …); and `neighbors`, a struct of two
        lists, `ids` (numbers of rows, from 0, nearest first, the row itself among them) and `distances`.

    Raises
    ------
    InputError
        As for `read_cell`.
    """
    about, points = read_cell(layout, rows)
    record = store.read_record(layout)
    stored = store.read(knn)
    k = record["key"]["n_neighbors"]
    indices, distances = (store.matrix(stored, prefix)[:, :k] for prefix in ("index_", "distance_"))
    plane = _padded(points, 2)
    axes = dict(zip(["x", "y", *(f"umap_{axis}" for axis in range(3, plane.shape[1] + 1))], plane.T, strict=True))
    names = other_names(about.column_names, [*axes, "neighbors"])
    columns: dict[str, Any] = {names[name]: about[name] for name in about.column_names}
    texts = [name for name, values in columns.items() if pa.types.is_string(values.type)]
    columns |= {name: pa.array(axis, mask=~np.isfinite(axis)) for name, axis in axes.items()}
    columns["neighbors"] = _neighbors(indices, distances)
    made = store.make_record("export", record["key"], record["fingerprint"], store.inputs_of(layout, rows, knn))
    store.write(out, pa.table(columns), made, dictionary=texts)


def _padded(points: np.ndarray, dimensions: int) -> np.ndarray:
    """Return points with so many coordinates at least: those that are added are 0 where the point has a place."""
    lacking = max(dimensions - points.shape[1], 0)
    return np.column_stack([points, *[points[:, 0] * 0] * lacking])


def _neighbors(indices: np.ndarray, distances: np.ndarray) -> pa.StructArray:
    """Return each row's neighbours as Embedding Atlas has them; where NN-descent found fewer, fewer."""
    found = indices >= 0
    starts = pa.array(np.r_[0, np.cumsum(found.sum(axis=1))].astype(np.int32))
    lists = []
    for values in map(pa.array, (indices[found], distances[found])):
        kind = pa.list_(pa.field("element", values.type))  # as Parquet calls it, so that it is the same when it is read
        lists.append(pa.ListArray.from_arrays(starts, values, type=kind))
    return pa.StructArray.from_arrays(lists, ["ids", "distances"])


def projector(layout: str | Path, rows: str | Path, name: str, out: Mapping[str, str | Path]) -> None:
    """Write a cell for TensorBoard's projector. Disconnected rows, which it cannot place, are left out.

    Parameters
    ----------
    layout, rows : path
        See `read_cell`.
    name : str
        What the projector calls the cell.
    out : mapping of str to path
        Of one folder: `vectors` receives the coordinates, with zeros for a third, without which its first view is
        empty; `metadata` id, label and annotations; `config` (JSON) and `pbtxt` say which belong together, for the page
        on the web and for TensorBoard.

    Raises
    ------
    InputError
        As for `read_cell`.
    """
    about, points = read_cell(layout, rows)
    placed = np.isfinite(points).all(axis=1)
    if left := int((~placed).sum()):
        rows_are = "row has no coordinates, and is" if left == 1 else "rows have no coordinates, and are"
        say(f"{left:,} disconnected {rows_are} not in {out['vectors']}.")
    about, points = about.filter(pa.array(placed)), points[placed]
    points = _padded(points, 3)
    _write_text(out["vectors"], "".join("\t".join(map(str, row)) + "\n" for row in points))
    columns = [[_on_one_line(value) for value in _texts(about[column])] for column in about.column_names]
    # A single column is read without a header.
    header = [[_on_one_line(column) for column in about.column_names]] if len(columns) > 1 else []
    _write_text(out["metadata"], "".join("\t".join(row) + "\n" for row in [*header, *zip(*columns, strict=True)]))
    files = {"tensorPath": Path(out["vectors"]).name, "metadataPath": Path(out["metadata"]).name}
    one = {"tensorName": name, "tensorShape": list(points.shape), **files}
    _write_text(out["config"], json.dumps({"embeddings": [one]}, indent=1) + "\n")
    quoted = {"tensor_name": name, "tensor_path": files["tensorPath"], "metadata_path": files["metadataPath"]}
    lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in quoted.items())
    _write_text(out["pbtxt"], f"embeddings {{\n{lines}}}\n")


def table(layout: str | Path, rows: str | Path, out: str | Path) -> None:
    """Write a cell as CSV for R and spreadsheets.

    Text that a spreadsheet would take for a formula gets an apostrophe before it, and the log and the terminal say of
    how many values. The file is UTF-8, with a mark where it has other characters than those of ASCII, which Excel would
    otherwise misread.

    Parameters
    ----------
    layout, rows : path
        See `read_cell`.
    out : path
        Receives id, label, annotations and `umap_1` … `umap_d`, with nothing where a value is missing.

    Raises
    ------
    InputError
        As for `read_cell`.
    """
    about, points = read_cell(layout, rows)
    axes = [f"umap_{place}" for place in range(1, points.shape[1] + 1)]
    names = other_names(about.column_names, axes)
    columns, changed = [], []
    for name in about.column_names:
        values = _texts(about[name])
        if pa.types.is_string(about[name].type) or pa.types.is_large_string(about[name].type):
            safe = [as_text(value) for value in values]
            if count := sum(one != other for one, other in zip(values, safe, strict=True)):
                changed.append(f"{count:,} in {name}")
            values = safe
        columns.append([as_text(names[name]), *values])
    for name, axis in zip(axes, points.T, strict=True):
        columns.append([name, *(str(value) if np.isfinite(value) else "" for value in axis)])
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(zip(*columns, strict=True))
    _write_text(out, text.getvalue() if text.getvalue().isascii() else MARK + text.getvalue())
    if changed:
        say(f"Values begin as a formula does ({', '.join(changed)}): in {out} each has an apostrophe before it.")


def as_text(value: str) -> str:
    """Return text that no spreadsheet takes for a formula: with one more apostrophe before it, where it needs one."""
    return f"'{value}" if FORMULA.match(value) else value


def other_names(names: list[str], taken: list[str]) -> dict[str, str]:
    """Return what each column is called beside others whose names are taken: with underscores, where it needs them.

    DuckDB takes `X` for the same name as `x`.
    """
    found: dict[str, str] = {}
    for name in names:
        called = name
        while called.lower() in taken or (called != name and called in names):
            called += "_"
        found[name] = called
    return found


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Return values as text, nothing where one is missing; numbers with as many digits as tell them apart."""
    said = {True: "TRUE", False: "FALSE"} if pa.types.is_boolean(column.type) else {}
    return ["" if value is None or value != value else said.get(value, str(value)) for value in column.to_pylist()]


def _on_one_line(text: str) -> str:
    return " ".join(text.split()) if re.search(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", text) else text


def _write_text(path: str | Path, text: str) -> None:
    with store.appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
