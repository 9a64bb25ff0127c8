"""What names and describes the rows of a data set, stored as one table: `id`, `label` where there is one, annotations.

Nothing of it is seen by UMAP, so that it may change without anything being computed anew.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, fetch, reading, subset

# Names that the columns of results have, beside which an annotation of the same name could not stand.
TAKEN = re.compile(r"id|label|metric|n_neighbors|min_dist|seed|knn_k|knn_seed|knn_jobs|umap_\d+|")

# Rows that are left out are named up to this number.
MOST_NAMED = 1000


def compute(
    dataset: str,
    source: Mapping[str, Any],
    path: reading.Files | None,
    data: str | Path,
    out: str | Path,
    download: str | Path | None = None,
    parent: subset.Parent | None = None,
) -> None:
    """Read what names and describes the rows of a stored data set, and store it.

    Parameters
    ----------
    dataset : str
        Its name in the configuration.
    source : mapping
        One of the configuration's sources, valid by its schema.
    path : str or Path, or sequence of them, or None
        The file of sources `file` and `anndata`, or several that are one table; other sources have none.
    data : str or Path
        The stored features of the same data set.
    out : str or Path
        Receives `id`, `label` where there is one, and the annotations. Its record says how many rows of each annotation
        file found their partner, and which rows were left out for missing values.
    download : str or Path or None
        Folder of raw downloads; beside `data` where it is not given.
    parent : mapping of str to path, optional
        The stored files of the data set that a subset, or permuted data, is of, whose label and annotations its rows
        have.

    Raises
    ------
    InputError
        Where the source or an annotation file is missing, damaged or has other rows or features than those stored, a
        name is unknown or taken, or an id is missing or occurs twice.
    """
    record = store.read_record(data)
    download = Path(download or Path(data).with_name("download"))
    path = _files_of(source, path, download)
    read_from, described = fetch.origin(source, path, parent), description(source)
    _check_features(source, path, download, data, read_from, parent)
    if parent is None:
        all_ids, label, annotations = _columns(source, path, data, record["source_rows"])
    else:
        all_ids, label, annotations = _of_parent(source, parent)
    joined: dict[str, dict[str, int]] = {}
    for entry in source.get("annotations", []):
        if not isinstance(entry, str):
            annotations += _joined(entry, all_ids, joined)
    _check_names([name for name, _ in annotations])
    columns = {"id": all_ids} | ({} if label is None else {"label": label}) | dict(annotations)
    table = pa.table(columns)
    kept = store.read(data, ["row"]).column("row") if "row" in store.column_names(data) else None
    left_out = _left_out(all_ids, kept) if parent is None else []
    if kept is not None:
        table = table.take(kept).combine_chunks()
    for name in table.column_names[1:]:
        if missing := table.column(name).null_count:
            logging.getLogger("umap_sweep").info("%s is missing in %d of %d rows", name, missing, table.num_rows)
    inputs = store.inputs_of(data)
    also = {"origin": read_from, "description": described, "annotation_files": joined, "left_out": left_out}
    made = store.make_record("rows", {"dataset": dataset}, store.fingerprint(table), inputs, **also)
    store.write(out, table, made, dictionary=table.column_names[1:])


def description(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a source describes its rows, by which a change is noticed without reading it.

    Returns
    -------
    dict
        `settings`, and `files`: size and time of change of each annotation file that is there.
    """
    paths = [Path(entry["path"]) for entry in source.get("annotations", []) if not isinstance(entry, str)]
    status = {str(path): path.stat() for path in paths if path.exists()}
    return {
        "settings": {key: source[key] for key in ("id", "label", "annotations", "exclude") if key in source},
        "files": {path: [one.st_size, one.st_mtime_ns] for path, one in status.items()},
    }


def _files_of(source: Mapping[str, Any], path: reading.Files | None, download: Path) -> reading.Files | None:
    if source["source"] == "url":
        return fetch.file_of_url(source, download)
    if path is not None:
        fetch.check_pinned(source, path)
    return path


def _check_features(
    source: Mapping[str, Any],
    path: reading.Files | None,
    download: Path,
    data: str | Path,
    read_from: Mapping[str, Any],
    parent: subset.Parent | None,
) -> None:
    """Raise an `InputError` where the source no longer has the features that are stored."""
    if store.read_record(data)["origin"] == read_from:
        return
    origin = reading.called(path) if path else source.get("of", source["source"])
    if not fetch.is_stored(fetch.fetch(source, path, download, parent), data):
        raise InputError(
            f"{data} has other features than {origin}, which was changed during the run, or the file is another's. "
            f"Run again, and if this is said once more delete the file."
        )
    logging.getLogger("umap_sweep").info("%s or its settings have changed, and its features are those stored", origin)


def _columns(
    source: Mapping[str, Any], path: reading.Files | None, data: str | Path, rows: int
) -> tuple[pa.Array, pa.Array | None, list[tuple[str, pa.Array]]]:
    """Return the ids, the label, and the names and values of the own annotations, of all rows of the source."""
    if path is None:
        has_label = "label" in store.column_names(data)
        label = store.read(data, ["label"]).column("label").combine_chunks() if has_label else None
        return pa.array(np.arange(rows)), label, []
    origin = reading.called(path)
    named = source.get("label")
    names = [name for name in source.get("annotations", []) if isinstance(name, str)]
    if source["source"] == "anndata":
        from umap_sweep.sources import h5ad

        data_table.check_beside(fetch.beside(source), "column of obs", h5ad.obs_columns(origin), origin)
        found = h5ad.read_columns(origin, source.get("id"), _distinct([named, *names]))
    else:
        if named is None and (default := reading.default_label(path)) != source.get("id"):
            named = default
        wanted, excluded = _distinct([named, *names]), source.get("exclude", [])
        found = reading.read_columns(path, source.get("id"), wanted, excluded, rows, source)
    ids = pa.array(np.arange(rows)) if found.ids is None else data_table.id_column(found.ids, origin)
    if len(ids) != rows:
        raise InputError(f"{origin} has {len(ids)} rows and the stored data {rows}, because it was changed. Run again.")
    if source.get("id") is None and found.ids is not None and source["source"] != "anndata":
        logging.getLogger("umap_sweep").info("The ids are the names that %s has for its rows", origin)
    values = {name: data_table.annotation_column(found.others[name], origin, name) for name in names}
    label = None if named is None else data_table.label_column(found.others[named], origin)
    return ids, label, list(values.items())


def _of_parent(
    source: Mapping[str, Any], parent: subset.Parent
) -> tuple[pa.Array, pa.Array | None, list[tuple[str, pa.Array]]]:
    """Return the same as `_columns`, of all rows of the data set that a subset is of."""
    table = store.read(parent["rows"])
    named = source.get("label", "label")
    if named not in table.column_names and "label" in source:
        raise data_table.unknown(f"the data set {source['of']}", "annotation", "label", named, table.column_names[1:])
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    label = None
    if named in columns:
        label = data_table.label_column(pa.chunked_array([columns[named]]), source["of"])
    return columns["id"], label, [(name, columns[name]) for name in table.column_names if name not in ("id", "label")]


def _distinct(names: Sequence[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name is not None))


def _joined(entry: Mapping[str, Any], ids: pa.Array, joined: dict[str, dict[str, int]]) -> list[tuple[str, pa.Array]]:
    """Return the columns of an annotation file, in the order of the ids, null where it has no such id.

    Parameters
    ----------
    entry : mapping
        `path`, and where given `id` and `columns`.
    ids : pyarrow.Array
        Of all rows; compared as text, because one file may hold as numbers what another holds as text.
    joined : dict
        Receives, by path, `matched`: the rows that have an entry, and `unmatched`: the entries that are no row's.
    """
    path = Path(entry["path"])
    found = _annotation_columns(path, entry)
    if found.ids is None:
        raise InputError(f"The annotations in {path} have no ids. Name the column that holds them as `id`.")
    if not found.others:
        raise InputError(
            f"{path} has no column beside its ids, so that it describes nothing. Give one that has, or none."
        )
    keys = data_table.id_column(data_table.joinable(found.ids), path).cast(pa.string())
    places = pc.index_in(data_table.joinable(ids).cast(pa.string()), value_set=keys)
    matched = len(ids) - places.null_count
    if not len(keys):
        raise InputError(f"The annotations in {path} have no rows. Give a file with some, or leave it out.")
    if not matched:
        raise InputError(
            f"No id in {path} is one of the data's: it has {data_table.listed(keys[:2].to_pylist())}, and the data "
            f"{data_table.listed(ids[:2].to_pylist())}. Mend the ids, or name another column as `id`."
        )
    joined[str(path)] = {"matched": matched, "unmatched": len(keys) - matched}
    logging.getLogger("umap_sweep").info(
        "%s annotates %d of %d rows; %d of its entries are no row's", path, matched, len(ids), len(keys) - matched
    )
    return [
        (name, data_table.annotation_column(values, path, name).take(places)) for name, values in found.others.items()
    ]


def _annotation_columns(path: Path, entry: Mapping[str, Any]) -> reading.Columns:
    wanted = entry.get("columns")
    if path.suffix.lower() == ".h5ad":
        from umap_sweep.sources import h5ad

        return h5ad.read_columns(path, entry.get("id"), h5ad.obs_columns(path) if wanted is None else wanted)
    if wanted is None:
        wanted = [name for name in reading.column_names(path, entry) if name != entry.get("id")]
    return reading.read_columns(path, entry.get("id"), wanted, text=entry)


def _check_names(names: Sequence[str]) -> None:
    for name, count in Counter(names).items():
        called = data_table.quoted(name)
        if "\0" in name:
            raise InputError(f"An annotation is called {called}, with a NUL character. Rename it in its file.")
        if TAKEN.fullmatch(name):
            raise InputError(f"An annotation is called {called}, as a column of the results is. Rename it in its file.")
        if count > 1:
            raise InputError(f"Two annotations are called {called}. Rename one, or leave it out of `columns`.")


def _left_out(ids: pa.Array, kept: pa.ChunkedArray | None) -> list[Any]:
    """Return the ids of rows that were left out for missing values, the first ones of many."""
    if kept is None:
        return []
    places = np.setdiff1d(np.arange(len(ids)), store.numbers(kept))
    named: list[Any] = ids.take(pa.array(places[:MOST_NAMED])).to_pylist()
    logging.getLogger("umap_sweep").warning(
        "%d rows are left out for missing values: %s", len(places), data_table.listed(named)
    )
    return named
