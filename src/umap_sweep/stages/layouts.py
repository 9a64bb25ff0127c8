"""Lay out cells of one row of the grid: one n_neighbors and seed, and one or several min_dist."""

import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import job, store
from umap_sweep.cells import curve
from umap_sweep.stages import layout


def compute(
    edges: str | Path,
    vertices: str | Path,
    initial_layout: str | Path,
    out: Sequence[str | Path],
    min_dist: Sequence[float],
    key: dict[str, Any],
    umap: dict[str, Any],
    costs: Sequence[str | Path] = (),
) -> None:
    """Compute and store the layouts of one or several cells. Whether they are laid out together changes no bit.

    Parameters
    ----------
    edges, vertices, initial_layout : path
        What the earlier stages stored.
    out : sequence of path
        One for each cell. Receives `umap_1` … `umap_d` (float32, NaN for a disconnected row), in the data's row order;
        for densMAP also `rad_orig` and `rad_emb` (float32), the logarithms of the local radii.
    min_dist : sequence of float
        Of each cell.
    key : mapping
        The key of the cells but for min_dist; with it, it is stored with each.
    umap : mapping
        The configuration's `umap` section.
    costs : sequence of path, optional
        One for each cell. Receives, as JSON, its part of this process's time so far (`layout_seconds`), the largest
        memory (MiB) of this process (`layout_memory_mb`), and how many cells it laid out (`cells`).
    """
    start = store.read_record(initial_layout)
    initial = store.matrix(store.read(initial_layout), "init_")
    # The table gets no name, so that it does not stay in memory beside its arrays.
    head, tail, weight = (store.numbers(column) for column in store.read(edges, ["head", "tail", "weight"]).columns)
    curves = [curve.parameters(umap["spread"], one) for one in min_dist]
    rng_state, n_epochs = np.array(start["rng_state"]), start["key"]["n_epochs"]
    radii: list[dict[str, np.ndarray]] = [{} for _ in min_dist]
    if umap.get("densmap"):
        from umap_sweep.stages import densmap  # umap-learn takes seconds to import

        densmap.compile_once(initial.shape[1], umap)
        coordinates = []
        distance = store.numbers(store.read(edges, ["distance"]).column("distance"))
        for a_and_b, of_cell in zip(curves, radii, strict=True):
            cell, in_data = densmap.optimize(initial, head, tail, weight, distance, rng_state, a_and_b, n_epochs, umap)
            random_state = store.random_state_from(start["random_state"])
            in_embedding = densmap.radii_of_embedding(cell, start["key"]["n_neighbors"], random_state)
            of_cell |= {"rad_orig": in_data, "rad_emb": in_embedding}
            coordinates.append(cell)
    else:
        coordinates = layout.optimize_cells(
            initial,
            head,
            tail,
            weight,
            rng_state,
            curves,
            n_epochs,
            umap["repulsion_strength"],
            umap["learning_rate"],
            umap["negative_sample_rate"],
        )
    disconnected = store.numbers(store.read(vertices, ["disconnected"]).column("disconnected"))
    if disconnected.any():
        logging.getLogger("umap_sweep").warning(
            "%d rows have no neighbour under this metric and no place in the embedding: their coordinates are NaN.",
            disconnected.sum(),
        )
    inputs = store.inputs_of(edges, vertices, initial_layout)
    # All results of this job appear at one time, so that it is hardly ever killed when some of them are there.
    with ExitStack() as stack:
        for path, one, cell, of_cell in zip(out, min_dist, coordinates, radii, strict=True):
            cell[disconnected] = np.nan
            table = pa.table({f"umap_{d + 1}": cell[:, d] for d in range(umap["n_components"])} | of_cell)
            own = key | {"min_dist": one, "n_epochs": n_epochs}
            record = store.make_record("layout", own, store.fingerprint(table), inputs)
            store.write(stack.enter_context(store.appearing(path)), table, record, final=path)
        spent = job.spent()
        cost = {"layout_seconds": spent.seconds / len(out), "layout_memory_mb": spent.peak_memory_mb, "cells": len(out)}
        for path in costs:
            stack.enter_context(store.appearing(path)).write_text(json.dumps(cost) + "\n")
