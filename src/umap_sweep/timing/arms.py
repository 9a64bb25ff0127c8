"""Time one way of running the grid in fresh processes, stage by stage.

Each way is an arm. Four run umap-learn: each fit computes its own k-NN (`plain_`), or the fits share one (`shared_`);
they have no seed (`_parallel`), or they have one (`_seeded`). The fifth, `pipeline`, runs this pipeline.
"""

import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from umap_sweep import environment, store
from umap_sweep.errors import InputError
from umap_sweep.timing import benchmark, watching

# In the order in which they run. For umap-learn `start` is imports and reading the data, and `other` is everything else
# in a fit. For the pipeline `start` is Snakemake's own time and the start of its jobs, and `other` is all other jobs.
STAGES = ("start", "compilation", "knn", "graph", "initial_layout", "layout", "other")

# The stage of each job of the pipeline, by the first part of the path of its benchmark, and by the name of its script.
# All other jobs are `other`.
STAGE_OF_JOB = {
    "knn": "knn",
    "graph": "graph",
    "initial_layout": "initial_layout",
    "layouts": "layout",
    "layout": "layout",
}

# The variables that libraries take their number of threads from.
POOLS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# The sections of the configuration that the timed pipeline takes over as they are.
SETTINGS = ("knn", "umap", "cpu", "blas_threads")

# Start and end, in seconds, of something that ran, and what it was.
Interval = tuple[float, float, Any]


def shares(begin: float, end: float, jobs: Iterable[Interval], compiling: Iterable[Interval]) -> dict[Any, float]:
    """Divide the time from `begin` to `end` among the stages that ran in it.

    Every moment is divided equally among the jobs that run at that moment, and counts as `start` where none does. For
    the time that a job compiles, its part counts as `compilation` and not as its stage.

    Parameters
    ----------
    begin, end : float
        Seconds.
    jobs : iterable of (float, float, hashable)
        Start, end and stage of each job.
    compiling : iterable of (float, float, hashable)
        The same for each time that numba compiled within a job. None for the stage means that there is one job at a
        time, whose stage need not be known.

    Returns
    -------
    dict of hashable to float
        Seconds by stage; their sum is `end` - `begin`.
    """
    changes: list[tuple[float, tuple[int, Any] | None, int]] = [(begin, None, 0), (end, None, 0)]
    for kind, intervals in enumerate((jobs, compiling)):
        for start, stop, stage in intervals:
            start, stop = max(start, begin), min(stop, end)
            if start < stop:
                changes += [(start, (kind, stage), 1), (stop, (kind, stage), -1)]
    changes.sort(key=lambda change: change[0])
    running: Counter[tuple[int, Any]] = Counter()
    result: defaultdict[Any, float] = defaultdict(float)
    before = begin
    for moment, what, change in changes:
        if moment > before:
            for stage, share in _divided(running).items():
                result[stage] += share * (moment - before)
        if what is not None:
            running[what] += change
        before = moment
    return dict(result)


def _divided(running: Counter[tuple[int, Any]]) -> dict[Any, float]:
    """Return the part of each stage in a moment, from how many jobs run (0, stage) and compile (1, stage) in it."""
    at_work = {stage: count for (kind, stage), count in running.items() if kind == 0 and count}
    compiling = {stage: count for (kind, stage), count in running.items() if kind == 1 and count}
    if None in compiling:
        return {"compilation": 1.0}
    for stage, count in compiling.items():
        at_work[stage] = max(at_work.get(stage, 0) - count, 0)
    at_work["compilation"] = sum(compiling.values())
    total = sum(at_work.values())
    return {stage: count / total for stage, count in at_work.items()} if total else {"start": 1.0}


def scaled(measured: Mapping[Any, float], fits: Sequence[int], cells: Sequence[int]) -> dict[str, tuple[float, float]]:
    """Scale the times of the fits that were run to all cells of the grid.

    Parameters
    ----------
    measured : mapping of hashable to float
        Seconds, by stage, or by a pair: the stage, and the number of the fit that the time belongs to or None.
    fits, cells : sequence of int
        n_neighbors of each fit, and of each cell of the grid.

    Returns
    -------
    dict of str to (float, float)
        For each stage, the seconds of the whole grid and the seconds measured. The time of a fit is multiplied by the
        number of cells with its n_neighbors, and divided by the number of fits with it. Time that belongs to no fit,
        such as that of a shared k-NN and of compilation, is counted once.
    """
    weights = {k: cells.count(k) / fits.count(k) for k in set(fits)}
    result = dict.fromkeys(STAGES, (0.0, 0.0))
    for what, seconds in measured.items():
        stage, fit = what if isinstance(what, tuple) else (what, None)
        whole, part = result[stage]
        result[stage] = whole + seconds * (1 if fit is None else weights[fits[fit]]), part + seconds
    return result


def clean_environment() -> dict[str, str]:
    """Return this process's environment variables without those that Snakemake or this pipeline sets for its jobs."""
    variables = environment.without_ours(os.environ)
    return {name: value for name, value in variables.items() if not name.startswith("SNAKEMAKE_")}


@dataclass(frozen=True)
class Run:
    """What was observed of one command.

    Attributes
    ----------
    begin, end : float
        When the command began and ended, in seconds since the epoch.
    jobs, compiling : list of (float, float, hashable)
        As for the function `shares`.
    peaks : dict of str to float
        Peak memory in MiB of the largest process of each stage, by stage; where processes have no stage, by the name of
        the script.
    """

    begin: float
    end: float
    jobs: list[Interval]
    compiling: list[Interval]
    peaks: dict[str, float]

    def shares(self) -> dict[Any, float]:
        """Return the seconds of each stage, which add up to the wall time of the command."""
        return shares(self.begin, self.end, self.jobs, self.compiling)


def run_umap_learn(
    data: Path,
    folder: Path,
    arm: str,
    fits: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    k: int,
    threads: int,
) -> Run:
    """Run one of umap-learn's arms.

    It runs as in a notebook: with all instructions that the CPU has, and with what umap-learn puts into numba's file
    cache when it is first imported.

    Parameters
    ----------
    data : Path
        The stored data set.
    folder : Path
        Where to run.
    arm : str
        See `compute`.
    fits : sequence of mapping
        n_neighbors, min_dist, seed and knn_seed of each fit.
    settings : mapping
        The configuration's `knn` and `umap`.
    k : int
        Of a shared k-NN.
    threads : int
        Of every library.

    Returns
    -------
    Run
        In the place of a stage, a job has a pair of the stage and the number of the fit, as `scaled` takes it.
    """
    task = {
        "data": str(data),
        "arm": arm,
        "fits": list(fits),
        "k": k,
        "metric": settings["knn"]["metric"],
        "metric_kwds": settings["umap"]["metric_kwds"],
        "umap": {name: value for name, value in settings["umap"].items() if name != "metric_kwds"},
    }
    if task["umap"]["init"] == "spectral_lean":
        task["umap"]["init"] = "spectral"  # umap-learn has no other with these eigenvectors
    (folder / "task.json").write_text(json.dumps(task))
    variables = clean_environment() | dict.fromkeys(POOLS, str(threads))
    run_logged([sys.executable, "-c", "import umap"], folder, variables)
    lines = folder / "seen.jsonl"
    watched = variables | watching.variables(folder / "watch", lines)
    command = [sys.executable, "-m", "umap_sweep.timing.notebook", "task.json", "intervals.json"]
    begin, end = run_logged(command, folder, watched)
    intervals = json.loads((folder / "intervals.json").read_text())
    jobs = [(start, stop, (stage, fit)) for start, stop, stage, fit in intervals]
    compiling, peaks = seen(lines, dict.fromkeys(["notebook.py"]))
    return Run(begin, end, jobs, compiling, peaks)


def run_pipeline(
    data: Path,
    folder: Path,
    cache: Path,
    cells: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    threads: int,
    snakefile: str | Path,
    target: str = "results/timed/sweep.parquet",
) -> Run:
    """Run this pipeline up to the table of the sweep, or another target, in a Snakemake process of its own.

    Parameters
    ----------
    data : Path
        The stored data set, which the run need not fetch.
    folder : Path
        Where to run.
    cache : Path
        The folder for the caches of compiled functions.
    cells : sequence of mapping
        n_neighbors, min_dist, seed and knn_seed of each cell.
    settings : mapping
        The configuration's `knn`, `umap`, `cpu` and `blas_threads`.
    threads : int
        Snakemake's cores.
    snakefile : path
        Of this pipeline.
    target : str
        What to make, below `folder`.
    """
    results = folder / "results" / "timed"
    shutil.rmtree(results, ignore_errors=True)
    features = folder / "features.npy"
    np.save(features, store.read_features(data))
    source = {"source": "file", "path": str(features.absolute())}  # it has no labels
    table = [["n_neighbors", "min_dist", "seed", "knn_seed"]]
    table += [[cell[name] for name in table[0]] for cell in cells]
    with (folder / "cells.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(table)
    config = {name: settings[name] for name in SETTINGS}
    config |= {"dataset": "timed", "grid": {"table": "cells.tsv"}, "claims": {"dataset": "timed"}}
    config["datasets"] = {"timed": source}
    (folder / "config.json").write_text(json.dumps(config))
    variables = clean_environment() | {"NUMBA_CACHE_DIR": str(cache / "numba"), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", str(threads)]
    command += ["--executor", "local", "--profile", "none", "--workflow-profile", "none"]
    command += ["--configfile=config.json"]
    # The features are fetched before time is taken.
    run_logged([*command, "results/timed/data/data.parquet"], folder, variables)
    shutil.rmtree(results / "benchmarks")
    lines = folder / "seen.jsonl"
    lines.unlink(missing_ok=True)
    shutil.rmtree(folder / "watch", ignore_errors=True)
    begin, end = run_logged([*command, target], folder, variables | watching.variables(folder / "watch", lines))
    jobs = []
    for path in (results / "benchmarks").rglob("*.tsv"):
        seconds = float(benchmark.read(path)["s"])
        stopped = path.stat().st_mtime  # Snakemake writes a benchmark when its job ends
        part = path.relative_to(results / "benchmarks").parts[0].removesuffix(".tsv")
        jobs.append((stopped - seconds, stopped, STAGE_OF_JOB.get(part, "other")))
    # Snakemake's own processes are no jobs.
    scripts = {line["script"] for line in watching.read(lines)} - {"__main__.py", "snakemake"}
    stages = {script: STAGE_OF_JOB.get(script.removesuffix(".py"), "other") for script in scripts}
    return Run(begin, end, jobs, *seen(lines, stages))


def seen(path: Path, stages: Mapping[str, Any]) -> tuple[list[Interval], dict[str, float]]:
    """Return what watched processes have written down, of the scripts that are named in `stages`.

    Parameters
    ----------
    path : Path
        From `umap_sweep.timing.watching`.
    stages : mapping of str to hashable
        The stage of each script, or None.

    Returns
    -------
    compiling : list of (float, float, hashable)
        Start, end and stage of each time that numba compiled.
    peaks : dict of str to float
        As `Run` has them.
    """
    compiling: list[Interval] = []
    peaks: dict[str, float] = {}
    for line in watching.read(path):
        script = line["script"]
        if script not in stages:
            continue
        if "start" in line:
            compiling.append((line["start"], line["end"], stages[script]))
        else:
            name = stages[script] or script
            peaks[name] = max(peaks.get(name, 0.0), line["peak_memory_mb"])
    return compiling, peaks


def run_logged(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], said: list[str] | None = None
) -> tuple[float, float]:
    """Run a command, and write its output into the log.

    Parameters
    ----------
    command : sequence of str
    folder : Path
        Where to run it.
    variables : mapping of str to str
        All of its environment variables.
    said : list of str, optional
        Receives the lines of its output.

    Returns
    -------
    begin, end : float
        When the command began and ended, in seconds since the epoch.

    Raises
    ------
    InputError
        Where the command fails with the message of an `InputError`.
    RuntimeError
        Where it fails otherwise.
    """
    logger = logging.getLogger("umap_sweep")
    said = [] if said is None else said
    # Where this job is told to stop, the command is stopped too.
    handler = signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    begin = time.time()
    with subprocess.Popen(
        command, cwd=folder, env=dict(variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None  # it is a pipe
        try:
            for line in process.stdout:
                logger.info("%s", line.rstrip())
                said.append(line)
        except BaseException:
            process.terminate()
            raise
    end = time.time()
    signal.signal(signal.SIGTERM, handler)
    if process.returncode:
        refused = [line for line in said if line.startswith("umap-sweep: ")]
        if refused:
            raise InputError(refused[-1].removeprefix("umap-sweep: ").strip())
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}:\n{''.join(said[-20:])}")
    return begin, end


def compute(
    data: str | Path,
    out: str | Path,
    arm: str,
    fits: Sequence[Mapping[str, Any]],
    cells: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    threads: int,
    snakefile: str | Path,
) -> None:
    """Time one arm, and store the time of each stage.

    Parameters
    ----------
    data : path
        The stored data set. The time to read it counts, the time to fetch it does not.
    out : path
        Receives one row for each stage: `arm`, `stage`, `measured_seconds` (those of an arm add up to its wall time),
        `seconds` (the same scaled to the whole grid), `cells` (how many the grid has), `fits` (how many were run),
        `sampled` (whether fewer were run than the grid has cells), `threads` and `peak_memory_mb` (of the arm's largest
        process, in MiB). The arm `pipeline` gives a second one, `pipeline_warm`: the same run once more, with what the
        first run has left in numba's file cache.
    arm : str
        `plain_seeded`, `plain_parallel`, `shared_parallel`, `shared_seeded` or `pipeline`.
    fits, cells : sequence of mapping
        n_neighbors, min_dist, seed, knn_seed and knn_k of the cells that umap-learn's arms run, and of all cells, which
        the pipeline runs.
    settings : mapping
        The configuration's `knn`, `umap`, `cpu` and `blas_threads`.
    threads : int
        Threads that the arm may use.
    snakefile : path
        Of this pipeline, for the arm `pipeline`.

    Raises
    ------
    InputError
        Where the data has too few rows, the k-NN is imported, the run is supervised, or the pipeline refuses it.
    """
    if settings["knn"]["method"] == "imported":
        raise InputError(
            "knn.method is imported, and there is no k-NN to time; choose another method to time the grid."
        )
    if "target" in settings["umap"]:
        raise InputError("umap.target is set, and the grid is timed without labels; remove it to time the grid.")
    data, out = Path(data).absolute(), Path(out)
    k, rows = max(cell["knn_k"] for cell in cells), store.read_record(data)["rows"]
    if k >= rows:
        raise InputError(f"The largest k is {k}, but the data has {rows} rows; choose at most {rows - 1}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    tables = []
    with TemporaryDirectory(prefix=".", dir=out.parent) as name:
        folder = Path(name).absolute()
        run_fits = cells if arm == "pipeline" else fits
        for one in ("pipeline", "pipeline_warm") if arm == "pipeline" else (arm,):
            if arm == "pipeline":
                run = run_pipeline(data, folder, folder / "cache", cells, settings, threads, snakefile)
            else:
                run = run_umap_learn(data, folder, arm, fits, settings, k, threads)
            by_stage = scaled(run.shares(), *([cell["n_neighbors"] for cell in part] for part in (run_fits, cells)))
            logging.getLogger("umap_sweep").info("%s: %.1f s measured", one, sum(part for _, part in by_stage.values()))
            columns: dict[str, Any] = {"arm": [one] * len(STAGES), "stage": list(STAGES)}
            columns["seconds"], columns["measured_seconds"] = zip(*by_stage.values(), strict=True)
            constant: dict[str, Any] = {
                "cells": len(cells),
                "fits": len(run_fits),
                "sampled": len(run_fits) < len(cells),
            }
            constant |= {"threads": threads, "peak_memory_mb": max(run.peaks.values())}
            tables.append(pa.table(columns | {name: [value] * len(STAGES) for name, value in constant.items()}))
    table = pa.concat_tables(tables).combine_chunks()
    key = {"settings": dict(settings), "cells": [dict(cell) for cell in cells], "fits": [dict(fit) for fit in run_fits]}
    inputs = store.inputs_of(data)
    also = {"rows": rows, "dimensions": pq.read_schema(data).field("features").type.list_size, "threads": threads}
    store.write(out, table, store.make_record("timing_arm", key, store.fingerprint(table), inputs, **also))
