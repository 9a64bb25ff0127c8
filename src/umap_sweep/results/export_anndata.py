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
from umap_sweep.cells.keys import check_key
from umap_sweep.errors import InputError
from umap_sweep.sources import h5ad

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
    axes = ["n_neighbors", "min_dist", "seed"]
    if len({key["knn_seed"] for key in keys}) > 1 and any(key["knn_seed"] != key["seed"] for key in keys):
        axes.append("knn_seed")
    return ["_".join(["X_umap", *(f"{axis}={key[axis]}" for axis in axes)]) for key in keys]


def obs_of(rows: pa.Table) -> pd.DataFrame:
    """Return the ids, as text, as the names of AnnData's obs, and label and annotations as its columns."""
    obs = pd.DataFrame(index=[str(value) for value in rows["id"].to_pylist()])
    for name in rows.column_names[1:]:
        values = rows.column(name)
        # HDF5 has no boolean that may be missing.
        if pa.types.is_boolean(values.type) and values.null_count:
            values = values.cast(pa.string())
        # Text becomes categories, as anndata itself makes it, which also hold where every value is missing.
        column = values.dictionary_encode().to_pandas() if pa.types.is_string(values.type) else values.to_pandas()
        # A slash in a name would be a folder in the file.
        obs[name.replace("/", "_")] = column.array
    return obs


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
        Where a stored embedding is not the one that its path and the configuration say, or does not belong to the rows
        of the data or of the user's file.
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
                _add_annotations(file, obs_of(rows))
            for group in ("obsm", "uns"):
                if group not in file:
                    write_elem(file, group, {})
            for name, path, key in zip(obsm_names(keys), layouts, keys, strict=True):
                check_key(path, key)
                cell = store.read(path)
                if cell.num_rows != len(ids):
                    raise InputError(f"{path} has other rows than {data}. Delete it and run again.")
                write_elem(file["obsm"], name, np.ascontiguousarray(store.matrix(cell, "umap_")))
                stored = store.read_record(path)
                parameters = {axis: value for axis, value in stored["key"].items() if axis not in CELL_COLUMNS}
                cells.append({axis: key[axis] for axis in CELL_COLUMNS} | {"fingerprint": stored["fingerprint"]})
            about = {
                "cells": pd.DataFrame(cells, index=obsm_names(keys)),
                "parameters": parameters,
                "dataset": dataset,
                "data_fingerprint": record["fingerprint"],
            }
            write_elem(file["uns"], "umap_sweep", about)
    logging.getLogger("umap_sweep").info("%d cells of %d rows in obsm of %s", len(cells), len(ids), out)


def _add_annotations(file: h5py.File, known: pd.DataFrame) -> None:
    """Write the annotations that the user's file does not have into its obs; the label is a column that it has."""
    obs = read_elem(file["obs"])
    added = [name for name in known.columns if name != "label" and name not in obs.columns]
    if added:
        for name in added:
            obs[name] = known[name].array
        write_elem(file, "obs", obs)
