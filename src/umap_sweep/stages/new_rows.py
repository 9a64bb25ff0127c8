"""New rows on a finished cell: their neighbours among the stored rows, their places, and how strange they are."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells import curve
from umap_sweep.errors import InputError
from umap_sweep.sources.data_table import listed
from umap_sweep.stages import placing, preparation
from umap_sweep.stages.knn import check_metric
from umap_sweep.stages.umap_learn import DISCONNECTION_DISTANCES, SMALL_DATA

# How many distances of new rows to all stored ones are in memory at a time, and how many new rows are searched together
# for, so that stored ones are read from memory once for all of them. Neither changes a bit.
MOST_DISTANCES, SEARCHED_TOGETHER = 2**23, 32

# From which p-value down a new row counts as a stranger: as many of the rows that are like the stored ones do.
STRANGE = 0.01


def matched(names: Sequence[str], stored: Sequence[str]) -> np.ndarray:
    """Return in which column of new rows each column of the stored ones is, int64, shape (d,).

    Raises
    ------
    InputError
        Where new rows lack columns, or have others, with their names.
    """
    if list(names) == list(stored):
        return np.arange(len(stored))
    lacking, other = (
        [name for name in some if name not in set(rest)] for some, rest in ((stored, names), (names, stored))
    )
    if lacking or other or len(set(stored)) < len(stored):
        parts = (
            [f"lack {len(lacking)} of the {len(stored)} columns of the stored ones: {listed(lacking)}"]
            if lacking
            else []
        )
        parts += [f"have {len(other)} that the stored ones lack: {listed(other)}"] if other else []
        parts = parts or ["have columns of the same name in another order"]
        raise InputError(
            f"The new rows {', and '.join(parts)}. Give them the columns that were swept; those that are no features "
            f"can be named as `id`, `label` or `annotations`, or left out by `exclude`."
        )
    place = {name: at for at, name in enumerate(names)}
    return np.array([place[name] for name in stored])


def neighbors_among(
    new: np.ndarray,
    old: np.ndarray,
    k: int,
    metric: str,
    metric_kwds: Mapping[str, float] | None = None,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k stored rows that are nearest to each new one: exactly, each by itself, whatever the others are.

    Below 4,096 stored rows it is, bit for bit, what `UMAP.transform` of umap-learn 0.5.12 finds, which takes equally
    far rows in an order of its own. From there on umap-learn asks its index of NN-descent, which approximates; here all
    rows are compared by umap-learn's function, and equally far ones taken by their number.

    Parameters
    ----------
    new : ndarray of float32, shape (m, d)
    old : ndarray of float32, shape (n, d)
        In C order, and writable, both.
    k : int
        Less than n.
    metric : str
        umap-learn's name of the distance.
    metric_kwds : mapping of str to float, optional
        Keywords of the metric.
    threads : int, default 1
        They change no bit.

    Returns
    -------
    indices : ndarray of int32, shape (m, k)
        Nearest first.
    distances : ndarray of float64, shape (m, k)

    Raises
    ------
    InputError
        Where the metric is not defined on the new rows.
    """
    check_metric(new, metric)
    search = _small if len(old) < SMALL_DATA else _large
    indices, distances = search(new, old, k, metric, dict(metric_kwds or {}), threads)
    if np.isnan(distances).any() or (metric not in DISCONNECTION_DISTANCES and np.isinf(distances).any()):
        wrong = int((~np.isfinite(distances)).any(axis=1).sum())
        raise InputError(
            f"The metric {metric} gives no distance to stored rows (NaN, or beyond what numbers can hold) for {wrong} "
            f"of {len(new)} new rows; remove those rows."
        )
    return indices, distances


def _small(
    new: np.ndarray, old: np.ndarray, k: int, metric: str, metric_kwds: dict[str, float], _: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.metrics import pairwise_distances
    from umap.distances import named_distances

    found, step = [], max(MOST_DISTANCES // len(old), 1)
    for first in range(0, len(new), step):
        matrix = pairwise_distances(new[first : first + step], old, metric=named_distances[metric], **metric_kwds)
        near = np.argpartition(matrix, k, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(matrix, near, axis=1), axis=1)
        near = np.take_along_axis(near, order, axis=1)
        distances = np.take_along_axis(matrix, near, axis=1)
        distances[np.isnan(matrix).any(axis=1)] = np.nan  # NaN sorts behind those that are taken
        found.append((near.astype(np.int32), distances))
    indices, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return indices, distances


def _large(
    new: np.ndarray, old: np.ndarray, k: int, metric: str, metric_kwds: dict[str, float], threads: int
) -> tuple[np.ndarray, np.ndarray]:
    import numba
    from joblib import Parallel, delayed
    from umap.distances import named_distances

    function, keywords = named_distances[metric], tuple(metric_kwds.values())

    @numba.njit(nogil=True)
    def search(new, old, indices, distances):  # type: ignore[no-untyped-def]
        last = indices.shape[1] - 1
        for j in range(old.shape[0]):
            for i in range(new.shape[0]):
                distance = function(new[i], old[j], *keywords)
                if np.isnan(distance):
                    distances[i, last] = distance  # nothing is nearer than that, so that it stays
                elif distance < distances[i, last]:
                    place = last
                    while place > 0 and distance < distances[i, place - 1]:
                        indices[i, place], distances[i, place] = indices[i, place - 1], distances[i, place - 1]
                        place -= 1
                    indices[i, place], distances[i, place] = j, distance

    indices, distances = np.full((len(new), k), -1, dtype=np.int32), np.full((len(new), k), np.inf)

    def search_block(first: int) -> None:
        block = slice(first, first + SEARCHED_TOGETHER)
        search(new[block], old, indices[block], distances[block])

    search(new[:0], old, indices[:0], distances[:0])  # compiled before threads ask for it
    starts = range(0, len(new), SEARCHED_TOGETHER)
    Parallel(n_jobs=threads, prefer="threads")(delayed(search_block)(first) for first in starts)
    return indices, distances


def strangeness(
    stored_indices: np.ndarray, stored_distances: np.ndarray, indices: np.ndarray, distances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how far new rows are from their neighbours, by what is usual where these are.

    A row's distance is the mean of those to its n_neighbors - 1 nearest other rows among the stored ones. Its
    strangeness is that, divided by the mean of the same of these: 1 where the row is among others like it, whether they
    are dense or sparse there. It is a local outlier factor (Breunig, Kriegel, Ng and Sander, 2000) without reachability
    distances, as Schubert, Zimek and Kriegel (2014) simplify it, of means in place of the farthest distance. Stored
    rows have it too, so that a p-value follows without a model of the data, as in conformal prediction (Vovk, Gammerman
    and Shafer, 2005): the share of stored rows that are at least as strange, the new row itself counted among them. Of
    new rows that are like the stored ones, about a hundredth has a p-value up to 0.01.

    Parameters
    ----------
    stored_indices : ndarray of int, shape (n, n_neighbors)
        The neighbours of each stored row, itself first; -1 where there is none.
    stored_distances : ndarray of float, shape (n, n_neighbors)
    indices : ndarray of int, shape (m, n_neighbors)
        The neighbours of each new row among the stored ones, nearest first.
    distances : ndarray of float, shape (m, n_neighbors)

    Returns
    -------
    distance, strangeness, p_value : ndarray of float64, shape (m,)
    """
    there = stored_indices[:, 1:] >= 0
    with np.errstate(invalid="ignore", divide="ignore"):
        own = np.where(there, stored_distances[:, 1:], 0).sum(axis=1, dtype=np.float64) / there.sum(axis=1)
        usual = np.where(there, own[stored_indices[:, 1:]], 0).sum(axis=1) / there.sum(axis=1)
        of_stored = _ratio(own, usual)
        distance = distances[:, :-1].mean(axis=1, dtype=np.float64)
        of_new = _ratio(distance, own[indices[:, :-1]].mean(axis=1))
    known = np.sort(of_stored[~np.isnan(of_stored)])
    stranger = len(known) - np.searchsorted(known, of_new, side="left")
    return distance, of_new, (1 + stranger) / (1 + len(known))


def _ratio(distance: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return distances by what is usual; 1 where both are 0, as among rows that are all the same."""
    ratio: np.ndarray = np.where((distance == 0) & (usual == 0), 1.0, distance / usual)
    return ratio


def positions(
    layout: np.ndarray,
    indices: np.ndarray,
    distances: np.ndarray,
    min_dist: float,
    metric: str,
    umap: Mapping[str, Any],
    seed: int = 42,
    together: bool = False,
    threads: int = 1,
) -> np.ndarray:
    """Return where new rows come to lie in a cell; see `umap_sweep.stages.placing`.

    Parameters
    ----------
    layout : ndarray of float32, shape (n, n_components)
        Of the cell.
    indices, distances : ndarray, shape (m, n_neighbors)
        From `neighbors_among`, at the cell's n_neighbors.
    min_dist, metric
        Of the cell.
    umap : mapping
        The configuration's section `umap`.
    seed : int, default 42
        umap-learn's `transform_seed`.
    together : bool, default False
        Whether rows are placed as umap-learn places them when it is given all of them at once; otherwise each is placed
        as it is when it is given alone, and no other row changes it.
    threads : int, default 1
        They change no bit.

    Returns
    -------
    ndarray of float32, shape (m, n_components)
        NaN for a row without neighbours: those of some metrics are so far that umap-learn does not count them.
    """
    farthest = umap.get("disconnection_distance", DISCONNECTION_DISTANCES.get(metric, np.inf))
    near = np.where(distances.astype(np.float32) >= farthest, -1, indices)
    strengths = placing.strengths_of(
        near.astype(np.int32), distances.astype(np.float32), umap["local_connectivity"], together
    )
    return placing.place(
        near.astype(np.int32),
        strengths,
        layout,
        placing.state_of_seed(seed),
        *curve.parameters(umap["spread"], min_dist),
        placing.epochs(umap["n_epochs"], len(indices) if together else 1),
        umap["repulsion_strength"],
        umap["learning_rate"],
        umap["negative_sample_rate"],
        strengths.max() if together else None,
        threads,
    )


def compute(
    data: str | Path,
    knn: str | Path,
    layout: str | Path,
    new_data: str | Path,
    new_rows: str | Path,
    out: str | Path,
    neighbors_out: str | Path,
    name: str,
    n_neighbors: int,
    min_dist: float,
    metric: str,
    umap: Mapping[str, Any],
    seed: int,
    together: bool,
    threads: int,
    fitted: str | Path | None = None,
) -> None:
    """Place stored new rows on a stored cell, and store them.

    Parameters
    ----------
    data, knn, layout : path
        Of the cell; where its data was prepared, `data` is the prepared data.
    new_data, new_rows : path
        From `umap_sweep.sources.fetch` and `umap_sweep.sources.rows`.
    out : path
        Receives `id`, `label` where the new rows have one, `umap_1` … `umap_d` (float32), and `distance`, `strangeness`
        and `p_value` (float64) from `strangeness`, in the order of the new rows.
    neighbors_out : path
        Receives for each new row the n_neighbors nearest stored rows: `index_0` … (int32), their numbers, nearest
        first, and `distance_0` … (float64).
    name : str
        Of the new rows' data set, under which the record has what they are made from.
    n_neighbors, min_dist, metric
        Of the cell.
    umap, seed, together, threads
        As for `positions`.
    fitted : path, optional
        Where the cell's data was prepared, what its steps took from it; the new rows are prepared by the same.

    Raises
    ------
    InputError
        Where the new rows have other columns than the stored ones or values that were made up, a step of the
        preparation means nothing on them, or the cell has rows without a place.
    """
    logger = logging.getLogger("umap_sweep")
    new_record = store.read_record(new_data)
    # Of prepared data these are the columns before the first step.
    places = matched(new_record["feature_names"], store.read_record(fitted or data)["feature_names"])
    if (places[1:] < places[:-1]).any():
        logger.info("The columns of the new rows stand in another order, and are taken by their names.")
    if new_record["missing"] and new_record["source_rows"] == new_record["rows"]:
        raise InputError(
            f"Values of new rows are missing in {listed(new_record['missing'])}, and medians of the new rows alone "
            f"would stand for them, so that a row would depend on the others. Fill them in, or set `missing: drop`."
        )
    coordinates = store.matrix(store.read(layout), "umap_")
    lost = int(np.isnan(coordinates).any(axis=1).sum())
    if lost:
        raise InputError(
            f"{lost} rows of the cell have no place, because they have no neighbour under the metric {metric}, and new "
            f"rows near them would have none; choose another cell or metric, or take those rows out of the data."
        )
    old = store.read_features(data)
    if fitted:
        new = preparation.read_applied(preparation.read_fit(fitted), new_data, places)
    else:
        new = np.ascontiguousarray(store.read_features(new_data)[:, places])
    indices, distances = neighbors_among(new, old, n_neighbors, metric, umap["metric_kwds"], threads)
    placed = positions(coordinates, indices, distances, min_dist, metric, umap, seed, together, threads)
    if together and np.array_equal(new, old):
        placed = coordinates  # umap-learn knows its own data
    del old, new
    if lost := int(np.isnan(placed).any(axis=1).sum()):
        logger.warning(
            "Of %d new rows %d without a neighbour under this metric have no place: their coordinates are NaN.",
            len(placed),
            lost,
        )
    columns = [f"{kind}_{rank}" for kind in ("index", "distance") for rank in range(n_neighbors)]
    stored = store.read(knn, columns)
    measured = strangeness(store.matrix(stored, "index_"), store.matrix(stored, "distance_"), indices, distances)
    logger.info(
        "%d new rows, of which %d have a p-value up to %g", len(placed), (measured[2] <= STRANGE).sum(), STRANGE
    )
    rows = store.read_rows(new_rows)
    if rows.num_rows != len(placed):
        raise InputError(f"{new_rows} has {rows.num_rows} rows, and the data {len(placed)}. Delete it and run again.")
    table = pa.table(
        {
            **dict(zip(rows.column_names, rows.columns, strict=True)),
            **{f"umap_{axis + 1}": placed[:, axis] for axis in range(placed.shape[1])},
            **dict(zip(("distance", "strangeness", "p_value"), measured, strict=True)),
        }
    )
    inputs = store.inputs_of(data, *([fitted] if fitted else []), knn, layout)
    inputs |= {f"{name}/{place}": one for place, one in store.inputs_of(new_data, new_rows).items()}
    key = {**store.read_record(layout)["key"], "transform_seed": seed, "together": together}
    near = pa.table(
        {f"index_{rank}": indices[:, rank] for rank in range(n_neighbors)}
        | {f"distance_{rank}": distances[:, rank].astype(np.float64) for rank in range(n_neighbors)}
    )
    store.write(neighbors_out, near, store.make_record("new_rows", key, store.fingerprint(near), inputs))
    store.write(
        out,
        table,
        store.make_record("new_rows", key, store.fingerprint(table), inputs),
        dictionary=["label"] if "label" in table.column_names else False,
    )
