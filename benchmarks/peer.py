"""Run one grid by one of the peers, or by this pipeline, in a fresh process, and write down time and peak memory."""

import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import machine
import pandas as pd
import point
import synthetic

from umap_sweep import job, store
from umap_sweep.errors import InputError
from umap_sweep.timing import arms as timing_arm
from umap_sweep.timing import watching

PEERS = machine.ROOT / "benchmarks" / "peers"


def run(
    who: str,
    folder: Path,
    rows: int,
    dimensions: int,
    grid: Mapping[str, Any],
    seed: int,
    cores: int,
    also_warm: bool = True,
) -> list[dict[str, Any]]:
    """Run the grid and return one row, or for the pipeline two: from an empty compile cache, and from a warm one.

    Parameters
    ----------
    who : str
        `umap-sweep`, `umap-sweep_lean` (`umap.init: spectral_lean`), one of umap-learn's arms of the target `timing`,
        `scanpy`, `uwot` or `uwot_batch`.
    folder : Path
        Of its own.
    rows, dimensions : int
        Of the synthetic data.
    grid : mapping
        n_neighbors, min_dist (lists) and seed.
    seed : int
        Of the data.
    cores : int
        What may be used.
    also_warm : bool
        Whether the pipeline runs once more, with the compiled functions of its first run.

    Returns
    -------
    list of dict
        `who`, `seconds` (wall time of the whole process), `compilation` (of them; null where nothing compiles),
        `peak_memory_mb` (of the largest process) and `version`.

    Raises
    ------
    InputError
        Where the peer is not installed.
    """
    data = folder / "data.parquet"
    synthetic.write(data, rows, dimensions, seed)
    k = max(grid["n_neighbors"])
    cells = [
        {"n_neighbors": n_neighbors, "min_dist": min_dist, "seed": grid["seed"], "knn_seed": grid["seed"]}
        for n_neighbors in grid["n_neighbors"]
        for min_dist in grid["min_dist"]
    ]
    if who.startswith("umap-sweep"):
        settings = point.settings(k, cores)
        if who == "umap-sweep_lean":
            settings["umap"]["init"] = "spectral_lean"
        names = [who, f"{who} warm"] if also_warm else [who]
        runs = [
            timing_arm.run_pipeline(data, folder, folder / "cache", cells, settings, cores, machine.SNAKEFILE)
            for _ in names
        ]
        return [_row(name, one, machine.commit()) for name, one in zip(names, runs, strict=True)]
    if who in ("plain_seeded", "plain_parallel", "shared_parallel", "shared_seeded"):
        settings = point.settings(k, cores)
        one = timing_arm.run_umap_learn(data, folder, who, cells, settings, k, cores)
        return [_row(who, one, version("umap-learn"))]
    features = folder / "features.bin"
    store.read_features(data).tofile(features)
    if who == "scanpy":
        return [_scanpy(folder, features, rows, grid, cores)]
    return [_uwot(who, folder, features, rows, grid, cores)]


def _row(who: str, run: timing_arm.Run, of_version: str) -> dict[str, Any]:
    return {
        "who": who,
        "seconds": run.end - run.begin,
        "compilation": run.shares().get("compilation", 0.0),
        "peak_memory_mb": max(run.peaks.values()),
        "version": of_version,
    }


def _scanpy(folder: Path, features: Path, rows: int, grid: Mapping[str, Any], cores: int) -> dict[str, Any]:
    try:
        of_version = version("scanpy")
    except ModuleNotFoundError:
        raise InputError("scanpy is not installed here. Use `make benchmarks`, or leave it out of peers.who.") from None
    task = {"features": str(features), "rows": rows} | dict(grid)
    (folder / "task.json").write_text(json.dumps(task))
    seen = folder / "seen.jsonl"
    variables = timing_arm.clean_environment() | dict.fromkeys(timing_arm.POOLS, str(cores))
    # Once before the clock runs, as for umap-learn: what is compiled by an import is cached by the first one.
    timing_arm.run_logged([sys.executable, "-c", "import scanpy, umap"], folder, variables)
    variables |= watching.variables(folder / "watch", seen)
    command = [sys.executable, str(PEERS / "scanpy_cells.py"), "task.json"]
    begin, end = timing_arm.run_logged(command, folder, variables)
    compiling, peaks = timing_arm.seen(seen, {"scanpy_cells.py": None})
    return _row("scanpy", timing_arm.Run(begin, end, [], compiling, peaks), of_version)


def _uwot(who: str, folder: Path, features: Path, rows: int, grid: Mapping[str, Any], cores: int) -> dict[str, Any]:
    axes = [",".join(map(str, grid[axis])) for axis in ("n_neighbors", "min_dist")]
    batch = "batch" if who == "uwot_batch" else "serial"
    command = ["Rscript", str(PEERS / "uwot_cells.R"), str(features), str(rows), str(grid["seed"]), str(cores), batch]
    said: list[str] = []
    variables = timing_arm.clean_environment() | dict.fromkeys(timing_arm.POOLS, str(cores))
    try:
        begin, end = timing_arm.run_logged([*command, *axes], folder, variables, said)
    except FileNotFoundError:
        raise InputError(
            "Rscript is not installed. Install Debian's r-base-core and r-cran-uwot, or leave uwot out of peers.who."
        ) from None
    found = {line.split()[0]: line.split()[-1] for line in said if line.startswith(("version ", "peak "))}
    row = {"who": who, "seconds": end - begin, "compilation": None}
    return row | {"peak_memory_mb": int(found["peak"]) / 1024, "version": found["version"]}


def measure(
    who: str,
    rows: int,
    dimensions: int,
    grid: Mapping[str, Any],
    seed: int,
    cores: int,
    also_warm: bool,
    out: Path,
) -> None:
    """Run the grid by one peer and write the table; see `run`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=out.parent) as name:
        found = run(who, Path(name).absolute(), rows, dimensions, grid, seed, cores, also_warm)
    cells = len(grid["n_neighbors"]) * len(grid["min_dist"])
    first = {"rows": rows, "dimensions": dimensions, "cells": cells, "cores": cores}
    with store.appearing(out) as temporary:
        pd.DataFrame([first | row for row in found]).to_csv(temporary, sep="\t", index=False)


if "snakemake" in globals():
    snakemake = globals()["snakemake"]
    with job.running(snakemake.log[0]):
        measure(
            snakemake.wildcards.who,
            int(snakemake.wildcards.rows),
            int(snakemake.wildcards.dimensions),
            snakemake.params.grid,
            snakemake.params.seed,
            snakemake.threads,
            snakemake.params.also_warm,
            Path(snakemake.output[0]),
        )
