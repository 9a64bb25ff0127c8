"""Run the pipeline once on synthetic data, and write down the seconds and the peak memory of each stage."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import machine
import numpy as np
import pandas as pd
import synthetic

from umap_sweep import job, store
from umap_sweep.settings import configuration
from umap_sweep.timing import arms as timing_arm

SEED = 10


def settings(n_neighbors: int, cores: int) -> dict:
    """Return the pipeline's defaults, with a k-NN of this width that may use all cores."""
    knn = {"metric": "euclidean", "method": "auto", "n_neighbors": n_neighbors, "seed": SEED, "n_jobs": cores}
    data = {"dataset": "digits", "datasets": {"digits": {"source": "sklearn", "name": "digits"}}}
    complete = configuration.complete(data | {"knn": knn, "grid": {}, "claims": {"dataset": "digits"}})
    return {name: complete[name] for name in timing_arm.SETTINGS}


def table(run: timing_arm.Run) -> pd.DataFrame:
    """Return one row a stage, and one of the whole run.

    Parameters
    ----------
    run : timing_arm.Run
        Of the pipeline.

    Returns
    -------
    pandas.DataFrame
        `stage`, `seconds` (its share of the wall time), `job_seconds` (of its jobs, which may run side by side, without
        compilation; null where it has no jobs) and `peak_memory_mb` (of its largest job; null likewise).
    """
    shares = run.shares()
    jobs: Counter[str] = Counter()
    for sign, intervals in ((1, run.jobs), (-1, run.compiling)):
        for start, end, stage in intervals:
            jobs[stage] += sign * (end - start)
    rows = [
        {
            "stage": stage,
            "seconds": shares.get(stage, 0.0),
            "job_seconds": max(jobs[stage], 0.0) if stage in jobs else None,
            "peak_memory_mb": run.peaks.get(stage),
        }
        for stage in timing_arm.STAGES
    ]
    rows.append({"stage": "total", "seconds": run.end - run.begin, "job_seconds": None, "peak_memory_mb": None})
    return pd.DataFrame(rows)


def measure(point: Mapping[str, int], seed: int, cache: Path, out: Path) -> None:
    """Measure one point and write its table.

    Parameters
    ----------
    point : mapping
        rows, dimensions, n_neighbors, cells and cores. The cells are that many values of min_dist from 0 to 0.9.
    seed : int
        Of the data.
    cache : Path
        Where compiled functions stay from one point to the next.
    out : Path
        A .tsv file.
    """
    cells = [
        {"n_neighbors": point["n_neighbors"], "min_dist": round(min_dist, 4), "seed": SEED, "knn_seed": SEED}
        for min_dist in np.linspace(0, 0.9, point["cells"]).tolist()
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=out.parent) as name:
        folder = Path(name).absolute()
        synthetic.write(folder / "data.parquet", point["rows"], point["dimensions"], seed)
        run = timing_arm.run_pipeline(
            folder / "data.parquet",
            folder,
            cache.absolute(),
            cells,
            settings(point["n_neighbors"], point["cores"]),
            point["cores"],
            machine.SNAKEFILE,
        )
    frame = table(run).assign(**point, commit=machine.commit())
    with store.appearing(out) as temporary:
        frame[[*point, *frame.columns.difference(list(point), sort=False)]].to_csv(temporary, sep="\t", index=False)


if "snakemake" in globals():
    snakemake = globals()["snakemake"]
    with job.running(snakemake.log[0]):
        measure(
            {name: int(value) for name, value in snakemake.wildcards.items()},
            snakemake.params.seed,
            Path(snakemake.params.cache),
            Path(snakemake.output[0]),
        )
