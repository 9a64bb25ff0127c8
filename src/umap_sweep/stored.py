"""Read a finished sweep from a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from umap_sweep import store
from umap_sweep.errors import InputError


def read_sweep(folder: str | Path) -> pd.DataFrame:
    """Return every cell of a sweep in one table.

    Parameters
    ----------
    folder : str or Path
        Of the data set's results, such as `results/digits`.

    Returns
    -------
    pandas.DataFrame
        n_neighbors, min_dist, seed, knn_k, knn_seed, id, label (where the data has one), umap_1 … umap_d (float32);
        cell after cell, each in the data's row order.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    return _frame(Path(folder) / "sweep.parquet")


def read_metrics(folder: str | Path) -> pd.DataFrame:
    """Return the metrics of a sweep, one row a cell; see docs/metrics.md for the columns, `read_sweep` for the rest."""
    return _frame(Path(folder) / "metrics.parquet")


def read_cell(
    folder: str | Path, n_neighbors: int, min_dist: float, seed: int | None = None, **key: Any
) -> pd.DataFrame:
    """Return one cell; the folder holds every cell that was ever computed, and `read_sweep` those of the last run.

    Parameters
    ----------
    folder : str or Path
        Of the data set's results.
    n_neighbors, min_dist
        Of the cell.
    seed : int, optional
        UMAP's random_state; not needed where the sweep has one alone.
    **key
        What else tells the cell from others in the folder, where there are several: metric, knn_k, knn_seed, knn_jobs,
        preparation; None is a cell without any.

    Returns
    -------
    pandas.DataFrame
        id, label (where the data has one), umap_1 … umap_d (float32), in the data's row order.

    Raises
    ------
    InputError
        Where no cell is that, or several are.
    """
    wanted = {"n_neighbors": n_neighbors, "min_dist": min_dist, **key}
    if seed is not None:
        wanted["seed"] = seed
    return _frame(_one(folder, "embeddings", "embedding.parquet", wanted))


def read_knn(folder: str | Path, **key: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the k-NN of a sweep.

    Parameters
    ----------
    folder : str or Path
        Of the data set's results.
    **key
        What tells it from others in the folder, where there are several: metric, method, knn_k, knn_seed, knn_jobs,
        preparation; None is one without any.

    Returns
    -------
    indices : ndarray of int32, shape (n, k)
        Nearest first, the row itself included; -1 where NN-descent found fewer.
    distances : ndarray of float32 or float64, shape (n, k)

    Raises
    ------
    InputError
        Where no k-NN is that, or several are.
    """
    table = store.read(_one(folder, "knn", "knn.parquet", key))
    return store.matrix(table, "index_"), store.matrix(table, "distance_")


def read_graph(folder: str | Path, n_neighbors: int, **key: Any) -> scipy.sparse.coo_matrix:
    """Return the fuzzy graph of one n_neighbors.

    Parameters
    ----------
    folder : str or Path
        Of the data set's results.
    n_neighbors : int
    **key
        What tells it from others in the folder, where there are several: metric, knn_k, knn_seed, knn_jobs,
        preparation; None is one without any.

    Returns
    -------
    scipy.sparse.coo_matrix of float32, shape (n, n)
        Membership strengths, without the edges that no epoch of the layout samples.

    Raises
    ------
    InputError
        Where no graph is that, or several are.
    """
    path = _one(folder, "graph", "edges.parquet", {"n_neighbors": n_neighbors, **key})
    head, tail, weight = (store.numbers(column) for column in store.read(path, ["head", "tail", "weight"]).columns)
    rows = store.read(path.with_name("vertices.parquet")).num_rows
    return scipy.sparse.coo_matrix((weight, (head, tail)), shape=(rows, rows))


def _frame(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame = store.read(path).to_pandas()
    return frame


def _one(folder: str | Path, stage: str, name: str, wanted: dict[str, Any]) -> Path:
    """Return the one file of a stage whose folders say what is wanted."""
    if not Path(folder).is_dir():
        raise InputError(f"{folder} is no folder; give that of a data set's results, such as results/digits.")
    found = {path: _key_of(path.relative_to(folder)) for path in sorted((Path(folder) / stage).rglob(name))}
    fitting = [
        path for path, key in found.items() if all(_is_same(key.get(part), value) for part, value in wanted.items())
    ]
    if len(fitting) == 1:
        return fitting[0]
    asked = ", ".join(f"{part} {value}" for part, value in wanted.items()) or "anything"
    if not fitting:
        known = "; ".join(
            f"{part} {', '.join(sorted({key[part] for key in found.values() if part in key}, key=_number))}"
            for part in dict.fromkeys(part for key in found.values() for part in key)
        )
        raise InputError(f"{folder} has no {stage} with {asked}; it has {known or f'no {stage} at all'}.")
    parts = dict.fromkeys(part for path in fitting for part in found[path])
    differing = [part for part in parts if len({found[path].get(part) for path in fitting}) > 1]
    raise InputError(f"{folder} has {len(fitting)} {stage} with {asked}; give {' and '.join(differing)} too.")


def _is_same(text: str | None, value: Any) -> bool:
    """Return whether a folder says a value: numbers are compared as numbers, of whatever type; None is no folder."""
    if text is None or value is None:
        return text is value
    try:
        return bool(np.float32(text) == np.float32(value))
    except (TypeError, ValueError):
        return text == str(value)


def _key_of(path: Path) -> dict[str, str]:
    return dict(part.split("=", 1) for part in path.parent.parts if "=" in part)


def _number(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return 0.0, text
