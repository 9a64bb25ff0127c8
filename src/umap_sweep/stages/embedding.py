"""Lay out one cell of the sweep: one n_neighbors, min_dist and seed."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import store
from umap_sweep.stages import layout


def compute(
    data: str | Path,
    edges: str | Path,
    vertices: str | Path,
    initial_layout: str | Path,
    out: str | Path,
    min_dist: float,
    key: dict[str, Any],
    umap: dict[str, Any],
) -> None:
    """Compute and store one embedding.

    Parameters
    ----------
    data, edges, vertices, initial_layout : path
        What the earlier stages stored.
    out : path
        Receives `id`, `label` (where the data has one) and `umap_1` … `umap_d` (float32, NaN for a disconnected row),
        in the data's row order. The fingerprint in its record is that of the coordinates alone.
    min_dist : float
    key : mapping
        The full key of the cell, stored with it.
    umap : mapping
        The configuration's `umap` section.
    """
    start = store.read_record(initial_layout)
    initial = store.matrix(store.read(initial_layout), "init_")
    # The table gets no name, so that it does not stay in memory beside its arrays.
    head, tail, weight = (store.numbers(column) for column in store.read(edges, ["head", "tail", "weight"]).columns)
    a, b = layout.curve_parameters(umap["spread"], min_dist)
    coordinates = layout.optimize(
        initial,
        head,
        tail,
        weight,
        np.array(start["rng_state"]),
        a,
        b,
        start["key"]["n_epochs"],
        umap["repulsion_strength"],
        umap["learning_rate"],
        umap["negative_sample_rate"],
    )
    disconnected = store.numbers(store.read(vertices, ["disconnected"]).column("disconnected"))
    coordinates[disconnected] = np.nan
    if disconnected.any():
        logging.getLogger("umap_sweep").warning(
            "%d rows have no neighbour under this metric and no place in the embedding: their coordinates are NaN.",
            disconnected.sum(),
        )
    axes = pa.table({f"umap_{d + 1}": coordinates[:, d] for d in range(umap["n_components"])})
    rows = store.read_rows(data)
    columns = dict(zip(rows.column_names, rows.columns, strict=True))
    table = pa.table(columns | dict(zip(axes.column_names, axes.columns, strict=True)))
    inputs = {
        "data": store.read_record(data)["fingerprint"],
        "graph": store.read_record(edges)["fingerprint"],
        "initial_layout": start["fingerprint"],
    }
    record = store.make_record(
        "embedding", key | {"n_epochs": start["key"]["n_epochs"]}, store.fingerprint(axes), inputs
    )
    store.write(out, table, record, dictionary=["label"] if "label" in table.column_names else False)
