"""The pipeline on a cluster: a real Slurm, the profiles as they are, and the bits of a local run."""

import re

import pytest
import slurm
from conftest import Run, snakemake
from umap_sweep import store

pytestmark = pytest.mark.skipif(slurm.reason_to_skip() is not None, reason=f"{slurm.reason_to_skip()}")

IRIS = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 15},
    "grid": {"n_neighbors": [5, 15], "min_dist": [0.1], "seed": [10]},
}

# The node answers at once, and nobody else waits for it.
SOON = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "4"]


@pytest.fixture(scope="module")
def cluster():
    """Return the environment variables that lead to a Slurm, which ends with this module."""
    with slurm.running() as variables:
        yield variables


def fingerprints(folder, dataset) -> dict[str, str]:
    """Return what the coordinates, or the table, of every stage and cell are, by file."""
    results = folder / "results" / dataset
    stages = ("data", "knn", "graph", "initial_layout", "embeddings")
    paths = [*results.glob("sweep.parquet")]
    paths += [path for stage in stages for path in (results / stage).rglob("*.parquet")]
    return {str(path.relative_to(results)): store.read_record(path)["fingerprint"] for path in paths}


def submissions(run: Run) -> dict[int, int]:
    """Return the number of sbatch calls by how many jobs each of them submitted."""
    sizes = [ids.count(",") + 1 for ids in re.findall(r"Submitted array job with Snakemake IDs ([\d,]+)", run.output)]
    sizes += [1] * len(re.findall(r"Job \d+ has been submitted with SLURM jobid", run.output))
    return {size: sizes.count(size) for size in sorted(set(sizes))}


def test_default_sweep_in_arrays_with_a_job_out_of_memory(tmp_path, cluster):
    """The initial layouts get too little memory at first: Slurm ends them, and their second attempts succeed."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    target = "results/digits/sweep.parquet"
    too_little = ["--set-resources", "initial_layout:mem_mb=60 if attempt == 1 else 3000"]
    run = snakemake(there, target, *SOON, *too_little, cores=None, profile="slurm", variables=cluster)
    assert run.code == 0, run.output
    print(run.output)
    local = snakemake(here, target)
    assert local.code == 0, local.output
    assert fingerprints(there, "digits") == fingerprints(here, "digits")
    assert len(fingerprints(here, "digits")) == 1 + 1 + 1 + 2 * 4 + 4 + 16
