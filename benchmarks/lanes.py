"""Lay out cells of one row of the grid one after the other and side by side, and write down the seconds of each."""

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from umap_sweep import environment, job

# Held before numba is imported, as in the pipeline's jobs.
os.environ.update(environment.job_variables(knn_jobs=2, cpu="x86-64-v3"))

import numpy as np
import pandas as pd
import synthetic

from umap_sweep import store
from umap_sweep.cells import curve
from umap_sweep.settings import configuration
from umap_sweep.stages import graph, initial_layout, knn, layout

SEED, DIMENSIONS, REPEATS = 10, 50, 3
MIN_DIST = (0.0, 0.2, 0.5, 0.9)


def start(rows: int, n_neighbors: int, seed: int) -> dict[str, np.ndarray]:
    """Return the graph of synthetic data, and a random start, as arguments of `layout.optimize_cells`."""
    umap = configuration.complete({"umap": {"init": "random"}})["umap"]
    with TemporaryDirectory() as name:
        data, neighbors, edges, vertices, first = (
            Path(name) / f"{stage}.parquet" for stage in ("data", "knn", "edges", "vertices", "start")
        )
        synthetic.write(data, rows, DIMENSIONS, seed)
        knn.compute(data, neighbors, n_neighbors, "euclidean", "auto", SEED, 2, {}, 2)
        graph.compute(neighbors, edges, vertices, n_neighbors, umap, 1)
        initial_layout.compute(data, neighbors, edges, vertices, first, SEED, "euclidean", umap)
        head, tail, weight = (store.numbers(one) for one in store.read(edges, ["head", "tail", "weight"]).columns)
        record = store.read_record(first)
        return {
            "initial": store.matrix(store.read(first), "init_"),
            "head": head,
            "tail": tail,
            "weight": weight,
            "rng_state": np.array(record["rng_state"]),
        }


def seconds(arguments: dict[str, np.ndarray], curves: list[tuple[float, float]], n_epochs: int) -> float:
    """Return the seconds of this process that cells of these curves take in one job."""
    began = time.process_time()
    layout.optimize_cells(**arguments, curves=curves, n_epochs=n_epochs)
    return time.process_time() - began


def measure(rows: int, n_neighbors: int, n_epochs: int, seed: int, out: Path) -> None:
    """Measure one graph, in turns, and write the least of `REPEATS` turns.

    Parameters
    ----------
    rows, n_neighbors : int
    n_epochs : int
        Fewer than a layout has; its time is in proportion.
    seed : int
        Of the data.
    out : Path
        A .tsv file. Receives `rows`, `n_neighbors`, `cells`, `alone_seconds` (one after the other) and
        `together_seconds`, for one, two and four cells.
    """
    arguments = start(rows, n_neighbors, seed)
    curves = [curve.parameters(1.0, min_dist) for min_dist in MIN_DIST]
    found: dict[int, list[tuple[float, float]]] = {}
    for _ in range(REPEATS):
        for cells in (1, 2, 4):
            alone = [seconds(arguments, [curve], n_epochs) for curve in curves[:cells]]
            together = seconds(arguments, curves[:cells], n_epochs)
            found.setdefault(cells, []).append((sum(alone), together))
    table = [
        {
            "rows": rows,
            "n_neighbors": n_neighbors,
            "cells": cells,
            "alone_seconds": min(alone for alone, _ in turns),
            "together_seconds": min(together for _, together in turns),
        }
        for cells, turns in found.items()
    ]
    with store.appearing(out) as temporary:
        pd.DataFrame(table).to_csv(temporary, sep="\t", index=False, float_format="%.3f")


if "snakemake" in globals():
    snakemake = globals()["snakemake"]
    with job.running(snakemake.log[0]):
        wildcards = {name: int(value) for name, value in snakemake.wildcards.items()}
        measure(
            **wildcards, n_epochs=snakemake.params.n_epochs, seed=snakemake.params.seed, out=Path(snakemake.output[0])
        )
