"""Measure how new rows lie on a cell: how many are strange, and whether they lie among rows of their own label."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.spatial import cKDTree

from umap_sweep import store
from umap_sweep.quality import labels, measures, tables
from umap_sweep.quality.cell_metrics import NEIGHBORS
from umap_sweep.stages.new_rows import STRANGE

COLUMNS = {
    "rows": pa.int64(),
    "disconnected": pa.int64(),
    "strangers": pa.int64(),
    "median_strangeness": pa.float64(),
    "stored_ids": pa.int64(),
    "labelled": pa.int64(),
    "unknown_labels": pa.int64(),
    "label_accuracy": pa.float64(),
    "labels_not_compared": pa.string(),
}


def of_labels(
    layout: np.ndarray, stored: pa.Array, positions: np.ndarray, new: pa.Array, label_kind: str
) -> dict[str, Any]:
    """Return in how many new points the most frequent label among the 15 nearest stored points is their own.

    Parameters
    ----------
    layout : ndarray of float32, shape (n, d)
    stored : pyarrow.Array
        Label of each stored row.
    positions : ndarray of float32, shape (m, d)
    new : pyarrow.Array
        Label of each new row.
    label_kind : str
        The configuration's `plot.label_kind`.

    Returns
    -------
    dict
        `labelled`: new rows whose label some stored row has, and that have a place; `unknown_labels`: those whose label
        no stored row has, which no vote could find; `label_accuracy`: of the labelled ones, the share that is found.
        Labels of two types are compared as `umap_sweep.quality.labels.in_common` says; where that is ambiguous, there
        is `labels_not_compared` alone, why. Nothing where labels are no categories.
    """
    if not labels.are_categories(stored, label_kind):
        return {}
    in_common = labels.in_common(stored, new, label_kind)
    if in_common is None:
        types = f"those of the new rows are {new.type} and those of the stored ones {stored.type}"
        return {
            "labels_not_compared": f"{types}, and one of the two has different ones that say the same, as 1 and 01 do"
        }
    if stored.type != new.type:
        logging.getLogger("umap_sweep").info(
            "The labels of the new rows are %s, and those of the stored ones %s: they are compared by what they say.",
            new.type,
            stored.type,
        )
    stored, new = in_common
    codes = labels.category_codes(pa.concat_arrays([stored, new]))
    of_stored, of_new = codes[: len(stored)], codes[len(stored) :]
    known = np.isin(of_new, of_stored[of_stored >= 0])
    unknown = int(((of_new >= 0) & ~known).sum())
    counted = known & measures.placed(positions)
    if not counted.any():
        return {"labelled": 0, "unknown_labels": unknown}
    there = np.flatnonzero(measures.placed(layout))
    k = min(NEIGHBORS, len(there))
    near = there[cKDTree(layout[there]).query(positions[counted], list(range(1, k + 1)))[1]]
    # New points are counted as such, and stored ones only vote: they have no neighbours.
    votes = np.full((len(stored) + len(near), k), -1)
    votes[len(stored) :] = near
    found = measures.label_accuracy(np.concatenate([of_stored, of_new[counted]]), votes)
    return {"labelled": int(counted.sum()), "unknown_labels": unknown, "label_accuracy": found}


def ids_in_common(stored: pa.ChunkedArray, new: pa.ChunkedArray) -> int:
    """Return how many new rows have the id of a stored one, as it is written."""
    found = pc.is_in(new.cast(pa.string()), stored.cast(pa.string()).combine_chunks())
    return int(pc.sum(found).as_py() or 0)


def _are_numbered(path: str | Path, ids: pa.ChunkedArray) -> bool:
    """Return whether the ids of a data set are the numbers of its rows, because its source names no ids."""
    if "id" in store.read_record(path).get("description", {}).get("settings", {}) or not pa.types.is_integer(ids.type):
        return False
    return bool(np.array_equal(store.numbers(ids), np.arange(len(ids))))


def compute(
    layout: str | Path, rows: str | Path, placed: str | Path, new_rows: str | Path, out: str | Path, label_kind: str
) -> None:
    """Measure stored new rows.

    Parameters
    ----------
    layout, rows : path
        Of the cell and of the stored rows.
    placed : path
        From `umap_sweep.stages.new_rows`.
    new_rows : path
        What names and describes the new rows.
    out : path
        Receives one row, `COLUMNS`: how many new rows there are; how many of them have no place; how many have a
        p-value up to 0.01; the median of their strangeness; how many have the id of a stored row, null where their ids
        are their row numbers; and what `of_labels` returns, null where it returns nothing or one of the two has no
        labels.
    label_kind : str
        As for `of_labels`.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    new, stored = store.read(placed), store.read_rows(rows)
    strangeness = store.numbers(new.column("strangeness"))
    known = strangeness[~np.isnan(strangeness)]
    found: dict[str, Any] = {
        "rows": new.num_rows,
        "disconnected": int((~measures.placed(store.matrix(new, "umap_"))).sum()),
        "strangers": int((store.numbers(new.column("p_value")) <= STRANGE).sum()),
        "median_strangeness": float(np.median(known)) if len(known) else None,
    }
    if not _are_numbered(new_rows, new.column("id")):
        found["stored_ids"] = ids_in_common(stored.column("id"), new.column("id"))
    if "label" in new.column_names and "label" in stored.column_names:
        of_stored, of_new = (one.column("label").combine_chunks() for one in (stored, new))
        found |= of_labels(tables.coordinates_of(layout), of_stored, store.matrix(new, "umap_"), of_new, label_kind)
    inputs = store.inputs_of(layout, rows, placed)
    tables.write(out, tables.table_of([found], COLUMNS), "new_rows_metrics", inputs)


def sentences(path: str | Path) -> list[str]:
    """Return what a run says of its new rows.

    Parameters
    ----------
    path : path
        From `compute`.
    """
    found = store.read(path).to_pylist()[0]
    rows, lost, strangers = found["rows"], found["disconnected"], found["strangers"]
    new, stranger = f"{rows:,} new {'row' if rows == 1 else 'rows'}", "stranger than 99 in 100 of the stored ones"
    if lost:
        said = [
            f"{rows - lost:,} of {new} {_is(rows - lost)} placed; {lost:,} {'has' if lost == 1 else 'have'} no place, "
            f"because the metric counts no stored row as near.",
            f"Of all, {strangers:,} {_is(strangers)} {stranger}; of rows like these 1 in 100 is.",
        ]
    else:
        said = [
            f"{new} {_is(rows)} placed, of which {strangers:,} {_is(strangers)} {stranger}; "
            f"of rows like these 1 in 100 is."
        ]
    if found["labelled"] == 1:
        lies = "lies" if found["label_accuracy"] else "does not lie"
        said.append(f"The one that has a label which stored rows have {lies} among points of it.")
    elif found["labelled"]:
        said.append(
            f"Of {found['labelled']:,} that have a label which stored rows have, {100 * found['label_accuracy']:.1f} % "
            f"lie among points of it."
        )
    elif found["unknown_labels"]:
        said.append("No label of the new rows is one that a stored row has, so that none is looked for among them.")
    if found["labels_not_compared"]:
        said.append(f"Labels are not compared: {found['labels_not_compared']}.")
    if found["stored_ids"]:
        have = "new row has an id" if found["stored_ids"] == 1 else "new rows have ids"
        said.append(
            f"{found['stored_ids']:,} {have} that a stored row has; this is as it should be only where they are the "
            f"same rows once more."
        )
    return said


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
