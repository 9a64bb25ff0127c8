"""What tells cells apart: the key in the record of each of their files, and the columns that hold it in tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.errors import InputError

# The columns of a cell's key in the tables of a sweep's results, and their types.
KEY_COLUMNS = {
    "n_neighbors": pa.int64(),
    "min_dist": pa.float64(),
    "seed": pa.int64(),
    "knn_k": pa.int64(),
    "knn_seed": pa.int64(),
}


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


def check_key(path: str | Path, key: dict[str, Any]) -> None:
    """Raise an `InputError` unless the record of the embedding at `path` holds everything in `key`."""
    stored = store.read_record(path)["key"]
    for name, value in key.items():
        if stored.get(name) != value:
            raise InputError(
                f"{path} was made with {name} {stored.get(name)!r}, but the configuration says {value!r}. "
                f"Delete it and run again."
            )


def check_one_code(records: Mapping[Any, Mapping[str, Any]], today: str | None = None) -> None:
    """Raise an `InputError` where results of one stage were made by different code, and name those to make anew.

    Parameters
    ----------
    records : mapping of path to mapping
        The records of several results of one stage.
    today : str, optional
        The digest of today's code, which others are to be replaced by. Without it, or where none has it, the fewer ones
        are named.
    """
    paths: dict[str, list[str]] = {}
    for path, record in records.items():
        paths.setdefault(record.get("code", "unknown"), []).append(str(path))
    if len(paths) < 2:
        return
    kept = today if today in paths else max(paths, key=lambda code: len(paths[code]))
    odd = [path for code, group in paths.items() if code != kept for path in group]
    listed = ", ".join(odd[:5]) + (f" and {len(odd) - 5} more" if len(odd) > 5 else "")
    raise InputError(
        f"{len(odd)} of {len(records)} files were made by other code than the rest: {listed}. "
        f"Delete them and run again."
    )
