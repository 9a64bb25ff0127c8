"""Run the whole pipeline, write down the peak memory and time of its jobs, and fit what rules ask for to it.

Run by the benchmarks' Snakefile, or, to fit anew to the committed table, as
`python benchmarks/jobs.py benchmarks/measured/MACHINE`. Other work on the machine changes seconds, but not memory.
"""

import csv
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import machine
import numpy as np
import pandas as pd
import point
import pyarrow.parquet as pq
import synthetic
import yaml
from scipy.optimize import nnls

from umap_sweep import job, store
from umap_sweep.planning import layout_jobs, resources
from umap_sweep.quality import measures
from umap_sweep.settings import schema as rules
from umap_sweep.timing import arms as timing_arm
from umap_sweep.timing import watching

HEAD = """# What memory (bytes) and time (seconds) of each rule's jobs grow with, for umap_sweep.planning.resources.
# Fitted by benchmarks/jobs.py to benchmarks/measured/{name}/jobs.tsv; do not edit.
"""

# What the memory of each script's jobs grows with beside a constant; their time grows with the same. A pixel, a row of
# a table of cells and the like do not count. `lean_graph` is the graph's script where it does not run ARPACK.
TERMS = {
    "knn": ["rows × dimensions", "rows × n_neighbors", "candidates²", "rows²"],
    "graph": ["rows × n_neighbors", "rows × √rows", "rows × (√rows)²"],
    "lean_graph": ["rows", "rows × n_neighbors"],
    "initial_layout": ["rows"],
    "layout": ["rows", "edges"],
    "sweep": ["rows"],
    "manifest": [],
    "plot_grid": ["points"],
    "high_dimensional": ["rows × dimensions", "rows × compared", "distances", "compared²"],
    "cell_metrics": ["rows", "rows × ranked", "compared²", "points"],
    "metrics": [],
    "neighboring_cells": ["rows", "points"],
    "seed_pairs": ["points"],
    "stability": [],
    "shortlist": [],
    "plot_metrics": [],
    "plot_changes": [],
    "plot_stability": [],
    "plot_instability": ["points"],
    "atlas": ["rows", "rows × dimensions", "points"],
}


def sizes(script: str, at: Mapping[str, int]) -> resources.Size:
    """Return the size that a rule of the pipeline sees at one measured point."""
    metrics = rules.schema()["properties"]["metrics"]["properties"]
    rows = at["rows"]
    # A job compares the seeds of one min_dist, measures all min_dist of one seed, or reads all cells.
    cells = {"seed_pairs": at["seeds"], "cell_metrics": at["cells"] // at["seeds"]}.get(script, at["cells"])
    return resources.Size(
        rows=rows,
        dimensions=at["dimensions"],
        neighbors=at["n_neighbors"],
        edges=at["edges"],
        points=rows * cells,
        compared=measures.compared_rows(rows, metrics["full_up_to"]["default"], metrics["sample"]["default"]),
        # Older rows of a table, which do not tell it, are of one cell a job.
        laid_out=max(int(np.nan_to_num(at.get("laid_out", 1))), 1) if script == "layout" else 1,
    )


def measure(at: Mapping[str, int], seed: int, cache: Path, out: Path) -> None:
    """Run one sweep, metrics and pictures included, and write one row a script: its largest and its longest job.

    Parameters
    ----------
    at : mapping
        rows, dimensions, n_neighbors, cells and seeds (of the cells, so many to each min_dist).
    seed : int
        Of the data.
    cache : Path
        Where compiled functions stay from one run to the next.
    out : Path
        A .tsv file.
    """
    cells = [
        {"n_neighbors": at["n_neighbors"], "min_dist": round(min_dist, 4), "seed": one, "knn_seed": point.SEED}
        for min_dist in np.linspace(0, 0.9, at["cells"] // at["seeds"]).tolist()
        for one in range(at["seeds"])
    ]
    cores = min(2, machine.cores())
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=out.parent) as name:
        folder = Path(name).absolute()
        synthetic.write(folder / "data.parquet", at["rows"], at["dimensions"], seed)
        settings = point.settings(at["n_neighbors"], cores)
        timing_arm.run_pipeline(
            folder / "data.parquet", folder, cache.absolute(), cells, settings, cores, machine.SNAKEFILE, "all"
        )
        edges = next(folder.glob("results/timed/graph/**/edges.parquet"))
        costs = [json.loads(path.read_text()) for path in folder.glob("results/timed/costs/**/cost.json")]
        at = {**at, "edges": pq.read_metadata(edges).num_rows, "laid_out": max(cost["cells"] for cost in costs)}
        rows = seen(folder / "seen.jsonl", at)
        # Once more, up to the graph, with the other solver for its eigenvectors.
        lean = settings | {"umap": settings["umap"] | {"init": "spectral_lean"}}
        target = str(edges.relative_to(folder))
        timing_arm.run_pipeline(
            folder / "data.parquet", folder, cache.absolute(), cells, lean, cores, machine.SNAKEFILE, target
        )
        rows += [row | {"job": "lean_graph"} for row in seen(folder / "seen.jsonl", at) if row["job"] == "graph"]
    with store.appearing(out) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def seen(path: Path, at: Mapping[str, int]) -> list[dict[str, float | str]]:
    """Return one row for each script of the pipeline that was watched: `job`, `peak_memory_mb` and `seconds`."""
    largest: dict[str, dict[str, float]] = {}
    for line in watching.read(path):
        script = line["script"].removesuffix(".py")
        if script in TERMS and "peak_memory_mb" in line:
            found = largest.setdefault(script, {"peak_memory_mb": 0.0, "seconds": 0.0})
            for name in found:
                found[name] = round(max(found[name], line[name]), 1)
    return [{**at, "job": script, **largest[script]} for script in TERMS if script in largest]


def fitted(terms: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Fit costs as a sum of terms with weights from 0 on, by least squares of the relative error.

    Parameters
    ----------
    terms : ndarray of float, shape (n, terms)
    costs : ndarray of float, shape (n,)

    Returns
    -------
    ndarray of float, shape (terms,)
    """
    scale = np.maximum(terms.max(axis=0), 1)
    weights = nnls(terms / scale / costs[:, None], np.ones(len(costs)))[0]
    weights[weights < 1e-9 * costs.min()] = 0.0  # what rounding leaves of a term that is not needed
    return weights / scale


def weights(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Return the content of `src/umap_sweep/planning/resources.yaml`.

    Parameters
    ----------
    table : pandas.DataFrame
        A machine's `jobs.tsv`.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for script, rows in table.groupby("job"):
        names = ["constant", *TERMS[script]]
        of_rows = [sizes(script, at) for at in rows.to_dict("records")]
        terms = np.array([[size.terms()[name] for name in names] for size in of_rows], dtype=float)
        # As if each layout job had one cell.
        costs = {
            "memory": rows["peak_memory_mb"] * 2**20 - [resources.memory_of_more_cells(size) for size in of_rows],
            "seconds": rows["seconds"] / [layout_jobs.cost(size.laid_out) for size in of_rows],
        }
        found[script] = {}
        for what, values in costs.items():
            fit = zip(names, fitted(terms, values.to_numpy(float)), strict=True)
            found[script][what] = {name: float(f"{weight:.3g}") for name, weight in fit if weight}
    return {script: found[script] for script in TERMS if script in found}


def write_weights(measured: Path) -> None:
    """Fit `src/umap_sweep/planning/resources.yaml` to a machine's `jobs.tsv`."""
    table = pd.read_csv(measured / "jobs.tsv", sep="\t")
    text = HEAD.format(name=measured.name) + yaml.safe_dump(weights(table), sort_keys=False, allow_unicode=True)
    with store.appearing(resources.WEIGHTS) as temporary:
        temporary.write_text(text, encoding="utf-8")


if "snakemake" in globals():
    snakemake = globals()["snakemake"]
    with job.running(snakemake.log[0]):
        measure(
            {name: int(value) for name, value in snakemake.wildcards.items()},
            snakemake.params.seed,
            Path(snakemake.params.cache),
            Path(snakemake.output[0]),
        )
elif __name__ == "__main__":
    write_weights(Path(sys.argv[1]))
