"""What tells cells apart: the key in the record of each of their files, and the columns that hold it in tables."""

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store

# The columns of a cell's key in the tables of a sweep's results, and their types.
KEY_COLUMNS = {
    "n_neighbors": pa.int64(),
    "min_dist": pa.float64(),
    "seed": pa.int64(),
    "knn_k": pa.int64(),
    "knn_seed": pa.int64(),
}

# The axes that a grid need not have, and their types. They are in the cells' folders, keys and tables only where it has
# them, so that what other sweeps store stays as it is.
OPTIONAL_COLUMNS = {"preparation": pa.string(), "target_weight": pa.float64(), "dens_lambda": pa.float64()}

# Those of them that are parameters of UMAP, which the grid has in place of the section `umap`.
UMAP_AXES = ("target_weight", "dens_lambda")

# What a cell has of its own beside its row's graph and seed, from which the layout starts.
OF_LAYOUT_ALONE = ("dens_lambda", "min_dist")

# The entry of a key that names the `UMAP_AXES` of its grid; where there are none, keys have no such entry.
SWEPT = "swept"


def optional_axes(names: Container[str]) -> list[str]:
    """Return which of the axes that a grid need not have are among the names of columns, or the entries of a key."""
    found = [axis for axis in OPTIONAL_COLUMNS if axis in names]
    # A whole key has parameters of UMAP by these names also where they are the same for all cells.
    if isinstance(names, Mapping) and "blas_threads" in names:
        found = [axis for axis in found if axis not in UMAP_AXES or axis in names.get(SWEPT, ())]
    return found


def umap_axes(settings: Mapping[str, Any]) -> list[str]:
    """Return which parameters of UMAP are axes of the grid."""
    return [axis for axis in UMAP_AXES if axis in settings.get("grid", {})]


def is_number(axis: str) -> bool:
    """Return whether an axis has numbers, which ascend, and not names."""
    return axis not in OPTIONAL_COLUMNS or bool(OPTIONAL_COLUMNS[axis] != pa.string())


def key_columns(names: Container[str]) -> dict[str, pa.DataType]:
    """Return the columns of a cell's key in tables, and their types: `KEY_COLUMNS`, and before them `optional_axes`."""
    return {axis: OPTIONAL_COLUMNS[axis] for axis in optional_axes(names)} | KEY_COLUMNS


# The parameters of UMAP that a graph's key holds where a sweep uses them.
OF_GRAPH = ("disconnection_distance", "target", "target_metric", "target_weight", "densmap")

# And those that a layout's key holds beside them.
OF_LAYOUT = ("densmap", "dens_lambda", "dens_frac", "dens_var_shift")


def cell_key(cell: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the full key of a cell: what its folders' names say, and what is the same for all cells.

    Parameters
    ----------
    cell : mapping
        A row of the table of `umap_sweep.cells.grid.cells`.
    settings : mapping
        From `umap_sweep.settings.configuration.complete`.
    """
    shared = {"method": settings["knn"]["method"], **settings["umap"], **held(settings)}
    if shared["n_epochs"] is None:
        del shared["n_epochs"]  # follows from the number of rows, and is added to the key where they are known
    if umap_axes(settings):
        shared[SWEPT] = umap_axes(settings)
    return {**cell, **shared}


def held(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every result depends on beside its own parameters: the CPU level, and the threads of BLAS."""
    return {name: settings[name] for name in ("cpu", "blas_threads")}


def column_of(key: dict[str, Any]) -> str:
    """Return the name of a cell's column in a table with one column for each min_dist; its folder has the same name."""
    return f"min_dist={key['min_dist']}"


def neighbors_of(path: str | Path, key: dict[str, Any]) -> np.ndarray:
    """Return a cell's nearest points, int32, shape (n, 15), which `quality.cell_metrics` stores by row of the grid.

    Parameters
    ----------
    path : str or Path
        The table of the cell's row of the grid.
    key : dict
        The cell's key.
    """
    return store.from_lists(store.read(path, [column_of(key)]).column(0))


def settings_of_stage(stage: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those entries of a stage's key that neither its path nor what it is made from says.

    Parameters
    ----------
    stage : str
        As records call it.
    settings : mapping
        From `umap_sweep.settings.configuration.complete`.
    """
    umap, cpu = settings["umap"], {"cpu": settings["cpu"]}
    if stage == "knn":
        return {"method": settings["knn"]["method"], "metric_kwds": umap["metric_kwds"], **cpu}
    if stage in ("graph", "initial_layout"):
        names = ["set_op_mix_ratio", "local_connectivity", "init", "n_components"]
        names += ["n_epochs"] if umap["n_epochs"] is not None else []
        names += [name for name in OF_GRAPH if name in umap]
        return {**{name: umap[name] for name in names}, **held(settings)}
    if stage in ("layout", "embedding", "cell_metrics"):
        return cell_key({}, settings)
    if stage == "high_dimensional":
        return {"metric_kwds": umap["metric_kwds"], **settings["metrics"], **cpu}
    if stage == "prepared":
        return held(settings)
    return {}
