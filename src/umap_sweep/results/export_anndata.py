"""Write the sweep as an AnnData file for scanpy: the coordinates of every cell in `obsm`, their origin in `uns`."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
from anndata import AnnData
from anndata.io import read_elem, write_elem

from umap_sweep import store
from umap_sweep.cells.keys import SWEPT, optional_axes
from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, h5ad

# What is added to the name of a column of the user's file whose place an annotation takes.
BEFORE = "_before"

# The part of a key that tells cells apart; the rest is the same for all cells.
CELL_COLUMNS = ("n_neighbors", "min_dist", "seed", "knn_k", "knn_seed")


def obsm_names(keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the name of each cell in `obsm`.

    Parameters
    ----------
    keys : sequence of mapping
        The key of each cell.

    Returns
    -------
    list of str
        Such as `X_umap_n_neighbors=15_min_dist=0.1_seed=10`. The k-NN seed is part of the names where there are several
        and they are not simply the UMAP seeds.
    """
    axes = [*optional_axes(keys[0]), "n_neighbors", "min_dist", "seed"]
    if len({key["knn_seed"] for key in keys}) > 1 and any(key["knn_seed"] != key["seed"] for key in keys):
        axes.append("knn_seed")
    return ["_".join(["X_umap", *(f"{axis}={key[axis]}" for axis in axes)]) for key in keys]


def obs_names_of(names: Sequence[str], own: Sequence[str] = ()) -> dict[str, str]:
    """Return by column of the rows the name that it has in obs.

    A slash in a name would be a folder in the file, a dot alone the folder itself, and `_index` is anndata's own. What
    is renamed gets as many underscores as tell it from all others, and from the user's `own` columns.
    """
    found = {name: name for name in names if "/" not in name and name not in (".", "_index")}
    for name in names:
        if name not in found:
            plain = name.replace("/", "_") if "/" in name else f"{name}_"
            while plain in found.values() or plain in own:
                plain += "_"
            found[name] = plain
    return found


def obs_of(rows: pa.Table, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return the ids, as text, as the names of AnnData's obs, and label and annotations as its columns.

    Parameters
    ----------
    rows : pyarrow.Table
    names : mapping of str to str, optional
        What each column is called, as from `obs_names_of`.
    """
    columns: dict[str, Any] = {}
    named = obs_names_of(rows.column_names[1:]) if names is None else names
    for name in rows.column_names[1:]:
        values = rows.column(name)
        # HDF5 has no boolean that may be missing.
        if pa.types.is_boolean(values.type) and values.null_count:
            values = values.cast(pa.string())
        # Text becomes categories, as anndata itself makes it, which also hold where every value is missing.
        column = values.dictionary_encode().to_pandas() if pa.types.is_string(values.type) else values.to_pandas()
        columns[named[name]] = column.array
    return pd.DataFrame(columns, index=[str(value) for value in rows["id"].to_pylist()])


def write_data(data: str | Path, rows: pa.Table, out: str | Path) -> None:
    """Write a stored data set as an AnnData file: X, ids and feature names, and label and annotations in obs."""
    var = pd.DataFrame(index=store.read_record(data)["feature_names"])
    AnnData(store.read_features(data), obs_of(rows), var).write_h5ad(out)


def export(
    data: str | Path,
    stored_rows: str | Path,
    layouts: Sequence[str | Path],
    keys: Sequence[dict[str, Any]],
    out: str | Path,
    dataset: str,
    own: str | Path | None = None,
    id_name: str | None = None,
) -> None:
    """Write all cells into one AnnData file.

    Parameters
    ----------
    data, stored_rows : path
        The stored features, and what names and describes their rows.
    layouts : sequence of path
        From `umap_sweep.stages.layouts`.
    keys : sequence of mapping
        The key of each cell.
    out : path
        Receives in `obsm` the coordinates of each cell (float32, NaN for a disconnected row), under the names from
        `obsm_names`, and in `uns["umap_sweep"]`: `cells`, a data frame with the key and the fingerprint of each cell,
        by the same names; `parameters`, the rest of the key, which all cells share; `dataset`; and `data_fingerprint`.
    dataset : str
        The data set's name.
    own : path, optional
        The AnnData file that the data is from. It is copied, and the cells are added to the copy. Without it, a new
        file is made from the stored data set.
    id_name : str, optional
        The column of obs in `own` that the ids are from.

    Raises
    ------
    InputError
        Where a stored layout is damaged, belongs in another place, or has other rows than the data or the user's file.
    """
    rows = store.read(stored_rows).replace_schema_metadata(None)
    ids = rows.column("id")
    record = store.read_record(data)
    if own is not None and record["source_rows"] != rows.num_rows:
        own = None  # rows were left out for missing values, so that the user's file has others
    if own is not None and not h5ad.read_ids(own, id_name).cast(ids.type).equals(ids.combine_chunks()):
        raise InputError(f"{own} has other rows than the data that was swept. Run the sweep again.")
    cells, parameters = [], {}
    with store.appearing(out) as temporary:
        if own is None:
            write_data(data, rows, temporary)
        else:
            shutil.copyfile(own, temporary)
        with h5py.File(temporary, "r+") as file:
            if own is not None:
                _add_annotations(file, rows, out)
            for group in ("obsm", "uns"):
                if group not in file:
                    write_elem(file, group, {})
            for name, path, key in zip(obsm_names(keys), layouts, keys, strict=True):
                cell = store.read(path)
                if cell.num_rows != len(ids):
                    raise InputError(f"{path} has other rows than {data}. Delete it and run again.")
                write_elem(file["obsm"], name, np.ascontiguousarray(store.matrix(cell, "umap_")))
                stored = store.read_record(path)
                own_axes = [*optional_axes(key), *CELL_COLUMNS]
                parameters = {axis: value for axis, value in stored["key"].items() if axis not in (*own_axes, SWEPT)}
                cells.append({axis: key[axis] for axis in own_axes} | {"fingerprint": stored["fingerprint"]})
            about = {
                "cells": pd.DataFrame(cells, index=obsm_names(keys)),
                "parameters": parameters,
                "dataset": dataset,
                "data_fingerprint": record["fingerprint"],
            }
            write_elem(file["uns"], "umap_sweep", about)
    logging.getLogger("umap_sweep").info("%d cells of %d rows in obsm of %s", len(cells), len(ids), out)


def _add_annotations(file: h5py.File, rows: pa.Table, out: str | Path) -> None:
    """Write the annotations of the rows into the obs of the user's file; the label is a column that it has.

    A column of the file that has the name of one and other values, such as an older clustering, stays under another
    name, and so does the name of the index: nothing that was swept is lost, and nothing of the user's.
    """
    own = read_elem(file["obs"])
    rows = rows.drop_columns([name for name in ("label",) if name in rows.column_names])
    names = obs_names_of(rows.column_names[1:], list(own.columns))
    wanted = {name: called for name, called in names.items() if not _is_in(own, name, rows[name])}
    if not wanted:
        return
    obs, known = own.copy(), obs_of(rows, names)
    for called in wanted.values():
        kept = f"{called}{BEFORE}"
        while kept in {*own.columns, *names.values(), own.index.name}:
            kept += "_"
        if called in own.columns:
            obs = obs.rename(columns={called: kept})
        elif called == own.index.name:
            obs = obs.rename_axis(kept)
        else:
            continue
        what = f"obs of your file has another {called!r} than the one that was swept"
        print(f"umap-sweep: {what}; in {out} it is {kept!r}.", flush=True)
    write_elem(file, "obs", pd.concat([obs, known[list(wanted.values())].set_axis(obs.index)], axis=1))


def _is_in(obs: pd.DataFrame, name: str, values: pa.ChunkedArray) -> bool:
    """Return whether obs has an annotation already: a column of its name and values."""
    if name not in obs.columns:
        return False
    try:
        own = data_table.annotation_column(pa.chunked_array([h5ad.labels(obs[name])]), "obs", name)
        return bool(own.cast(pa.string()).equals(values.combine_chunks().cast(pa.string())))
    except (InputError, pa.ArrowException):  # what no annotation can be is none
        return False
