"""Compute, in one process, every embedding that the claims on the reproducibility of UMAP are judged by.

The claims are in `umap_sweep.reproduce.judge_claims`; each compares two of the embeddings computed here, the arms. The
tutorial is the one in umap-learn's documentation on precomputed k-NN.
"""

import hashlib
import logging
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numba
import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.stages import graph, initial_layout, knn, layouts
from umap_sweep.stages.umap_learn import SMALL_DATA

# What the tutorial takes: its seeds, its metric, and by how much its two k-NN are wider than n_neighbors.
SEED, OTHER_SEED, PLAIN_SEED = 10, 15, 12
METRIC = "euclidean"
WIDER, LESS_WIDE = 20, 10

# Rows of the sample that is taken of large data, for the claims on what umap-learn does with small data.
SAMPLE_ROWS = 1500

# Of an arm: the indices and distances of its k-NN, nearest first, or None where umap-learn does not return them; and
# its coordinates.
Result = tuple[tuple[np.ndarray, np.ndarray] | None, np.ndarray]


def arms(data: str | Path, features: np.ndarray, n_neighbors: int) -> dict[str, Callable[[], Result]]:
    """Return the arms by name, in the order in which the first process computes them.

    In the figure the names stand below the embeddings. Where a name does not say otherwise, the k-NN has
    `n_neighbors` + 20 columns, is computed with seed 10 and one job, pruned to `n_neighbors` columns, and handed to
    umap-learn with UMAP seed 10.

    Parameters
    ----------
    data : path
        The stored data set, for the pipeline's own stages.
    features : ndarray of float32, shape (n, d)
        The features of the stored data set.
    n_neighbors : int
        UMAP's.

    Returns
    -------
    dict of str to callable
        Each computes a `Result`. Its coordinates are float32 of shape (n, 2), or of shape (rows of the sample, 2) where
        the name begins with `sample`.

    Raises
    ------
    InputError
        Where there are too few rows.
    """
    wide = n_neighbors + WIDER
    small = features[sample_places(len(features))]
    if wide >= len(small):
        raise InputError(
            f"claims.n_neighbors is {n_neighbors} and the wide k-NN has {WIDER} neighbours more, but the data has "
            f"{len(small)} rows to try it on; lower claims.n_neighbors to at most {len(small) - WIDER - 1}."
        )
    on_knn = partial(umap_on_knn, features, n_neighbors, k=wide)
    plain = {"k": n_neighbors, "knn_seed": PLAIN_SEED, "umap_seed": None}
    result: dict[str, Callable[[], Result]] = {
        "cell": partial(cell, data, n_neighbors),
        "cell, two threads": partial(cell, data, n_neighbors, threads=2),
        "reference": on_knn,
        "once more": on_knn,
        "whole k-NN": partial(on_knn, columns=wide),
        f"k = {n_neighbors + LESS_WIDE}": partial(on_knn, k=n_neighbors + LESS_WIDE),
        f"k-NN seed {OTHER_SEED}": partial(on_knn, knn_seed=OTHER_SEED),
        "two k-NN jobs": partial(on_knn, n_jobs=2),
        f"UMAP seed {OTHER_SEED}": partial(on_knn, umap_seed=OTHER_SEED),
        "rows reversed": partial(umap_on_reversed_rows, features, n_neighbors, wide),
        "plain UMAP": partial(plain_umap, features, n_neighbors),
        "RandomState handed on": partial(on_knn, **plain),
        "handed on, two k-NN jobs": partial(on_knn, **plain, n_jobs=2),
        "too narrow a k-NN": partial(on_knn, columns=n_neighbors - 1, umap_seed=PLAIN_SEED),
    }
    prefix = ""
    if len(small) < len(features):
        prefix = "sample, "
        on_sample = partial(umap_on_knn, small, n_neighbors, k=wide)
        result |= {"sample": on_sample, "sample, whole k-NN": partial(on_sample, columns=wide)}
    result[f"{prefix}metric's name"] = partial(umap_by_metric_name, small, n_neighbors)
    return result | {"cell, after all others": result["cell"]}


def sample_places(n_rows: int) -> np.ndarray:
    """Return the rows that are small data for umap-learn: all rows where there are few, else always the same 1,500.

    Returns
    -------
    ndarray of int
        Row numbers, ascending.
    """
    if n_rows < SMALL_DATA:
        return np.arange(n_rows)
    return np.sort(np.random.RandomState(0).permutation(n_rows)[:SAMPLE_ROWS])


def umap_on_knn(
    features: np.ndarray,
    n_neighbors: int,
    k: int,
    columns: int | None = None,
    knn_seed: int = SEED,
    n_jobs: int = 1,
    umap_seed: int | None = SEED,
) -> Result:
    """Compute a k-NN as umap-learn does, and umap-learn's embedding on it.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    n_neighbors : int
        UMAP's.
    k : int
        The k-NN's.
    columns : int, optional
        How many of the k-NN's columns to hand to umap-learn; `n_neighbors` by default.
    knn_seed, n_jobs : int
        Of the k-NN.
    umap_seed : int or None
        Of UMAP; with None, UMAP continues with the RandomState that the k-NN has advanced.
    """
    random_state = np.random.RandomState(knn_seed)
    indices, distances, _ = knn.nearest_neighbors(features, k, METRIC, "auto", random_state, n_jobs, portable=False)
    columns = n_neighbors if columns is None else columns
    handed = indices[:, :columns], distances[:, :columns]
    pruned = indices[:, :n_neighbors], distances[:, :n_neighbors]
    return pruned, umap_learn(features, n_neighbors, random_state if umap_seed is None else umap_seed, handed)


def umap_by_metric_name(features: np.ndarray, n_neighbors: int) -> Result:
    """Compute umap-learn's embedding on a k-NN from scikit-learn's metric, and not umap-learn's function of that name.

    For small data alone, because all distances are held in memory.
    """
    from sklearn.metrics import pairwise_distances
    from umap.umap_ import nearest_neighbors

    matrix = pairwise_distances(features, metric=METRIC)
    indices, distances, _ = nearest_neighbors(matrix, n_neighbors, "precomputed", {}, False, None)
    return (indices, distances), umap_learn(features, n_neighbors, SEED, (indices, distances))


def umap_on_reversed_rows(features: np.ndarray, n_neighbors: int, k: int) -> Result:
    """Compute umap-learn's embedding of the rows in reverse order, and return the coordinates in the data's order."""
    _, coordinates = umap_on_knn(np.ascontiguousarray(features[::-1]), n_neighbors, k)
    return None, coordinates[::-1]


def plain_umap(features: np.ndarray, n_neighbors: int) -> Result:
    """Compute umap-learn's seeded embedding, with the k-NN that it computes itself."""
    return None, umap_learn(features, n_neighbors, PLAIN_SEED, (None, None))


def umap_learn(
    features: np.ndarray,
    n_neighbors: int,
    random_state: int | np.random.RandomState,
    neighbors: tuple[np.ndarray | None, np.ndarray | None],
) -> np.ndarray:
    """Return umap-learn's embedding with all other parameters at their defaults: float32, shape (n, 2)."""
    from umap import UMAP

    # Copies, because umap-learn writes into the arrays that it is given.
    handed = [part if part is None else np.array(part, order="C") for part in neighbors]
    with warnings.catch_warnings():
        # It warns that a model with such a k-NN cannot transform new rows, and that it ignores a k-NN with too few
        # columns, which one of the arms is for.
        warnings.filterwarnings("ignore", "precomputed_knn")
        # A seeded UMAP uses one job anyway, and warns where it is not told so.
        model = UMAP(n_neighbors=n_neighbors, random_state=random_state, n_jobs=1, precomputed_knn=(*handed, None))
        coordinates: np.ndarray = model.fit(features).embedding_
        return coordinates


def cell(data: str | Path, n_neighbors: int, threads: int = 1) -> Result:
    """Compute a cell by the pipeline's stages on the stored data, with `threads` threads in every library."""
    from umap import UMAP

    umap = UMAP().get_params() | {"metric_kwds": {}}
    with TemporaryDirectory() as folder, threadpool_limits(threads):
        names = ("knn", "edges", "vertices", "start", "layout")
        stored_knn, edges, vertices, start, out = (Path(folder) / f"{name}.parquet" for name in names)
        numba.set_num_threads(threads)
        knn.compute(data, stored_knn, n_neighbors + WIDER, METRIC, "auto", SEED, 1, {}, threads)
        # Graph and layout must use one thread by themselves, however many they are given.
        numba.set_num_threads(threads)
        graph.compute(stored_knn, edges, vertices, n_neighbors, umap)
        numba.set_num_threads(threads)
        initial_layout.compute(data, stored_knn, edges, vertices, start, SEED, METRIC, umap)
        layouts.compute(edges, vertices, start, [out], [umap["min_dist"]], {}, umap)
        numba.set_num_threads(1)
        return graph.prune(stored_knn, n_neighbors), store.matrix(store.read(out), "umap_")


def as_table(name: str, rows: pa.Table, result: Result) -> pa.Table:
    """Return one arm as a table.

    Parameters
    ----------
    name : str
        Of the arm.
    rows : pyarrow.Table
        `id` and, where the data has one, `label` of the rows that the arm embeds.
    result : tuple
        A `Result`.

    Returns
    -------
    pyarrow.Table
        `arm`, the columns of `rows`, `umap_1`, `umap_2` (float32), and `knn`: a digest of the row's indices (as int32)
        and distances (as float32) in the k-NN; null where the k-NN is not known.
    """
    neighbors, coordinates = result
    digests: list[str | None] = [None] * rows.num_rows
    if neighbors is not None:
        bits = [
            np.ascontiguousarray(part, dtype=kind) for part, kind in zip(neighbors, (np.int32, np.float32), strict=True)
        ]
        digests = [
            hashlib.blake2b(indices.tobytes() + distances.tobytes(), digest_size=8).hexdigest()
            for indices, distances in zip(*bits, strict=True)
        ]
    columns: dict[str, Any] = {"arm": [name] * rows.num_rows}
    columns |= dict(zip(rows.column_names, rows.columns, strict=True))
    columns |= {"umap_1": coordinates[:, 0], "umap_2": coordinates[:, 1], "knn": pa.array(digests, pa.string())}
    return pa.table(columns)


def compute(data: str | Path, stored_rows: str | Path, out: str | Path, n_neighbors: int, backwards: bool) -> None:
    """Compute and store all arms.

    Parameters
    ----------
    data, stored_rows : path
        The stored features of a data set, and what names its rows.
    out : path
        Receives one row for each arm and data row; see `as_table`.
    n_neighbors : int
        UMAP's.
    backwards : bool
        Whether to compute the arms in reverse order.
    """
    logger = logging.getLogger("umap_sweep")
    features = store.read_features(data)
    rows = store.read_rows(stored_rows)
    todo = list(arms(data, features, n_neighbors).items())
    tables = []
    for name, run in reversed(todo) if backwards else todo:
        start = time.perf_counter()
        here = rows.take(sample_places(rows.num_rows)) if name.startswith("sample") else rows
        # From some 10,000 rows on, the number of OpenBLAS's threads changes the last bits of umap-learn's embedding.
        with threadpool_limits(1):
            tables.append(as_table(name, here, run()))
        logger.info("%s: %.1f s", name, time.perf_counter() - start)
    table = pa.concat_tables(tables).combine_chunks()
    record = store.make_record(
        "claim_runs",
        key={"n_neighbors": n_neighbors, "backwards": backwards},
        values=store.fingerprint(table),
        inputs=store.inputs_of(data),
        whole_numbers=bool(np.array_equal(features, np.rint(features))),
    )
    store.write(out, table, record, dictionary=["arm"])
