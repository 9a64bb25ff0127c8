"""Make the page that shows new rows over the cell that they are placed on: the atlas of one cell, with more points."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from umap_sweep import store
from umap_sweep.atlas import page
from umap_sweep.cells.keys import optional_axes
from umap_sweep.errors import InputError
from umap_sweep.quality import labels, measures
from umap_sweep.stages.new_rows import STRANGE

# What `umap_sweep.stages.new_rows` measures of each new row, and what the page calls it.
MEASURED = {"distance": "distance to neighbours", "strangeness": "strangeness", "p_value": "p-value"}
# The kinds of points, in the order of their codes.
KINDS = ["new row", "stranger", "stored row"]


def collect(
    stored_rows: str | Path,
    knn: str | Path,
    layout: str | Path,
    placed: str | Path,
    neighbors: str | Path,
    new_rows: str | Path,
    cell: Mapping[str, Any],
    shared: Mapping[str, Any],
    options: Mapping[str, Any],
    label_kind: str = "auto",
) -> tuple[dict[str, Any], page.Payload]:
    """Return what the page shows: a header that JSON can hold, and the arrays that it refers to.

    Stored points come first, then new ones, each of them in an order that no label leads. Labels and annotations of
    both are one field where they have the same name.

    Parameters
    ----------
    stored_rows, knn, layout : path
        Of the cell.
    placed, neighbors : path
        From `umap_sweep.stages.new_rows`.
    new_rows : path
        What names and describes the new rows.
    cell : mapping
        The key of the cell.
    shared, options, label_kind
        As for `umap_sweep.atlas.page.collect`.

    Returns
    -------
    header : dict
        As that of an atlas without metrics, and `new`: what is known of the new rows alone.
    payload : Payload

    Raises
    ------
    InputError
        Where a stored table is missing or damaged or has another number of rows than another one.
    """
    payload = page.Payload()
    stored, new, table = store.read(stored_rows), store.read(new_rows), store.read(placed)
    n_rows, n_new = stored.num_rows, new.num_rows
    for path in (placed, neighbors):
        if pq.read_metadata(path).num_rows != n_new:
            raise InputError(f"{path} and {new_rows} have different numbers of rows. Delete both and run again.")
    names = [name for name in dict.fromkeys([*stored.column_names, *new.column_names]) if name != "id"]
    asked = dict.fromkeys(names, "auto") | {"label": label_kind}
    described = {name: in_one(name, stored, new, asked[name]) for name in names}
    kinds = {name: kind_of(values, n_rows, asked[name]) for name, values in described.items()}
    strange = store.numbers(table.column("p_value")) <= STRANGE
    n_neighbors = len(store.column_names(neighbors, "index_"))
    count = min(options["neighbors"], n_neighbors - 1)

    # Of row number, neighbours and coordinates, of what is measured and the kind, of label and annotations.
    bytes_of_point = 4 + 4 * count + 4 + 9 * len(MEASURED) + 4
    bytes_of_point += sum(page.bytes_of(values, kinds[name]) for name, values in described.items())
    room = max(page.MOST_BYTES // bytes_of_point, 2)
    of_new = page.choose_rows(strange.astype(np.int64), min(options["max_points"], room // 2))
    strata = np.zeros(n_rows, np.int64)
    if "label" in stored.column_names:
        strata = page.strata_of(stored.column("label").combine_chunks(), label_kind)
    most = min(options["max_points"], room - len(of_new))
    of_stored = page.choose_rows(strata, most)
    rows = np.concatenate([of_stored, n_rows + of_new])

    fields = {
        name: page.described_by(values, kinds[name], rows, payload, leading=n_rows)
        for name, values in described.items()
    }
    ids = [str(one) for column in (stored, new) for one in column.column("id").to_pylist()]
    points = np.concatenate([coordinates(layout), coordinates(placed)])
    dimensions = len(store.column_names(layout, "umap_"))
    kind = np.concatenate([np.full(n_rows, KINDS.index("stored row")), strange.astype(np.int64)])
    header: dict[str, Any] = {
        "rows": n_rows,
        "points": len(rows),
        "full": len(of_stored) == room - len(of_new),
        "row": payload.add(rows.astype(np.uint32)),
        "ids": [ids[row] for row in rows.tolist()],
        "label": fields.pop("label", None),
        "annotations": [{"name": name, **entry} for name, entry in fields.items()],
        "neighbors": {
            "count": count,
            "places": payload.add(places_of_neighbors(knn, neighbors, of_stored, of_new, n_rows, count)),
        },
        "features": [],
        "metrics": [],
        "titles": [],
        "settings": [],
        "shortlist": [],
        "dimensions": dimensions,
        "axes": optional_axes(cell),
        "imported": False,
        "cells": [
            {
                "key": {name: cell[name] for name in (*optional_axes(cell), *page.CELL_COLUMNS)},
                "points": payload.add(page.quantise(points[rows])),
                "missing": int(np.sum(~measures.placed(points))),
                "metrics": [],
                "configuration": page.configuration_of(cell, shared),
            }
        ],
        "new": {
            "first": len(of_stored),
            "rows": n_new,
            "strangers": int(strange.sum()),
            "neighbors": n_neighbors - 1,
            "labelled": "label" in new.column_names,
            "kind": {"names": KINDS, "codes": payload.add(kind[rows].astype(np.uint32))},
            "measured": [
                {"name": title} | page.described_by(measured(table, name, n_rows), "numeric", rows, payload)
                for name, title in MEASURED.items()
            ],
        },
    }
    return header, payload


def in_one(name: str, stored: pa.Table, new: pa.Table, kind: str) -> pa.Array:
    """Return a column of stored and new rows, one after the other, with nulls for those that do not have it.

    What the two do not have in common is compared as text, as it is written.
    """
    columns = [table.column(name).combine_chunks() if name in table.column_names else None for table in (stored, new)]
    of_stored, of_new = columns
    if of_stored is None or of_new is None:
        type_of_both = next(column.type for column in columns if column is not None)
        both = [
            pa.nulls(table.num_rows, type_of_both) if column is None else column
            for table, column in zip((stored, new), columns, strict=True)
        ]
        return pa.concat_arrays(both)
    in_common = labels.in_common(of_stored, of_new, kind)
    return pa.concat_arrays(in_common or [of_stored.cast(pa.string()), of_new.cast(pa.string())])


def kind_of(values: pa.Array, n_rows: int, kind: str) -> str:
    """Return whether a column is `categorical` or `numeric`, by the stored rows, which are the first ones."""
    choosing = values[:n_rows] if values[:n_rows].drop_null() else values
    text = pa.types.is_string(values.type) or pa.types.is_boolean(values.type)
    return "categorical" if text or labels.are_categories(choosing, kind) else "numeric"


def coordinates(path: str | Path) -> np.ndarray:
    """Return the first two dimensions, float64, shape (n, 2); where there is one, random heights are the second."""
    names = store.column_names(path, "umap_")
    points = store.matrix(store.read(path, names[:2]), "umap_").astype(np.float64)
    if len(names) == 1:
        width = np.nanmax(points, initial=0) - np.nanmin(points, initial=0)
        heights = np.random.default_rng(page.SEED).uniform(-0.1, 0.1, len(points)) * width
        points = np.column_stack([points, heights])
    return points


def places_of_neighbors(
    knn: str | Path, neighbors: str | Path, of_stored: np.ndarray, of_new: np.ndarray, n_rows: int, count: int
) -> np.ndarray:
    """Return the nearest stored rows of each point.

    Parameters
    ----------
    knn, neighbors : path
        Of stored and of new rows.
    of_stored, of_new : ndarray of int64, shape (m,) and (p,)
        The rows shown.
    n_rows, count : int
        How many stored rows there are, and how many neighbours are kept of each.

    Returns
    -------
    ndarray of uint32, shape (m + p, count)
        Places in the page's order; m + p where a neighbour is not shown, or there is none.
    """
    shown = len(of_stored) + len(of_new)
    names = [f"index_{rank}" for rank in range(count + 1)]
    stored = page.nearest(store.matrix(store.read(knn, names), "index_")[of_stored], of_stored, count, n_rows)
    place_of = np.full(n_rows + 1, shown, np.uint32)
    place_of[of_stored] = np.arange(len(of_stored))
    new = store.matrix(store.read(neighbors, names[:count]), "index_")[of_new]
    return np.concatenate([np.where(stored == len(of_stored), np.uint32(shown), stored), place_of[new]])


def measured(table: pa.Table, name: str, n_rows: int) -> pa.Array:
    """Return what is measured of new rows, float64, with nulls for the stored rows before them."""
    return pa.concat_arrays([pa.nulls(n_rows, pa.float64()), table.column(name).combine_chunks().cast(pa.float64())])


def make(
    stored_rows: str | Path,
    knn: str | Path,
    layout: str | Path,
    placed: str | Path,
    neighbors: str | Path,
    new_rows: str | Path,
    out: str | Path,
    dataset: str,
    name: str,
    metric: str,
    cell: Mapping[str, Any],
    shared: Mapping[str, Any],
    settings: Mapping[str, Any],
    label_kind: str = "auto",
) -> None:
    """Make the page of new rows.

    Parameters
    ----------
    stored_rows, knn, layout, placed, neighbors, new_rows, cell, shared, label_kind
        As for `collect`.
    out : path
        Receives the page.
    dataset, name, metric : str
        What the stored and the new rows are called, and the metric, for the page to name.
    settings : mapping
        The configuration's section `atlas`.

    Raises
    ------
    InputError
        As `collect` does.
    """
    header, payload = collect(
        *(stored_rows, knn, layout, placed, neighbors, new_rows, cell, shared, settings, label_kind)
    )
    header |= {"dataset": dataset, "metric": metric}
    header["new"]["dataset"] = name
    page.write(header, payload, out)
    logging.getLogger("umap_sweep").info(
        "Wrote %s: %d of %d new rows over %d of %d stored ones.",
        *(out, header["points"] - header["new"]["first"], header["new"]["rows"]),
        *(header["new"]["first"], header["rows"]),
    )
