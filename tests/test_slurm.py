"""The pipeline on a cluster: a real Slurm, the profiles as they are, and the bits of a local run."""

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import slurm
from conftest import Run, snakemake

from umap_sweep import store

pytestmark = pytest.mark.skipif(slurm.reason_to_skip() is not None, reason=f"{slurm.reason_to_skip()}")

IRIS = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 15},
    "grid": {"n_neighbors": [15], "min_dist": [0.1], "seed": [10]},
}

# The plugin asks after a second, and where nothing has ended, after ten more: about as long as small jobs take.
SOON = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"]


@pytest.fixture(scope="module")
def cluster():
    """Return the environment variables that lead to a Slurm, which ends with this module."""
    with slurm.running() as variables:
        yield variables


def fingerprints(folder, dataset) -> dict[str, str]:
    """Return what every stage's and every cell's values are, by file."""
    results = folder / "results" / dataset
    stages = ("data", "knn", "graph", "initial_layout", "layouts", "embeddings")
    paths = [path for stage in stages for path in (results / stage).rglob("*.parquet")]
    return {str(path.relative_to(results)): store.read_record(path)["fingerprint"] for path in paths}


def submissions(run: Run) -> dict[int, int]:
    """Return the number of sbatch calls by how many jobs each of them submitted."""
    sizes = [ids.count(",") + 1 for ids in re.findall(r"Submitted array job with Snakemake IDs ([\d,]+)", run.output)]
    sizes += [1] * len(re.findall(r"Job \d+ has been submitted with SLURM jobid", run.output))
    return {size: sizes.count(size) for size in sorted(set(sizes))}


def ended_for_memory(folder, rule) -> int:
    """Return how many jobs of a rule Slurm ended because they took more than they had asked for."""
    logs = (folder / ".snakemake" / "slurm_logs" / f"rule_{rule}").rglob("*.log")
    return sum("exceeded memory limit" in path.read_text() for path in logs)


def test_default_sweep_in_arrays_with_jobs_out_of_memory(tmp_path, cluster):
    """The initial layouts get too little memory at first: Slurm ends them, and a later attempt succeeds."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    target = "results/digits/sweep.parquet"
    too_little = ["--set-resources", "initial_layout:mem_mb=60 if attempt == 1 else 3000"]
    run = snakemake(there, target, *SOON, *too_little, cores=None, profile="slurm", variables=cluster)
    assert run.code == 0, run.output
    assert run.jobs["knn"] == 1 and run.jobs["graph"] == 4 and run.jobs["layout_0p0_0p2_0p5_0p9"] == 4
    ended = {rule: ended_for_memory(there, rule) for rule in run.jobs}
    # Slurm looks at memory once a second, and a short job may end between two looks. A job that is tried again in one
    # array with others that are not is given what these ask for, and may be ended once more.
    assert 1 <= ended.pop("initial_layout") == run.output.count("Trying to restart job")
    assert not any(ended.values())
    assert 4 in submissions(run)
    assert snakemake(here, target).code == 0
    assert len(fingerprints(here, "digits")) == 1 + 1 + 2 * 4 + 4 + 16
    assert fingerprints(there, "digits") == fingerprints(here, "digits")
    tables = [pq.read_table(folder / target) for folder in (here, there)]
    assert tables[0].equals(tables[1])
    # An array's first job asks for all of them, and any job may be the first.
    again = snakemake(here, target, "--dry-run", "--forceall", "--quiet", "host").output
    for rule in ("graph", "layout_0p0_0p2_0p5_0p9"):
        asked = re.findall(rf"(?s)\nrule {rule}:.*?n_neighbors=(\d+).*?mem_mb=(\d+)", again)
        assert {n_neighbors for n_neighbors, _ in asked} == {"5", "15", "30", "50"}
        assert min(int(mb) for _, mb in asked) >= max(int(mb) for n_neighbors, mb in asked if n_neighbors == "50")


def test_a_cluster_that_takes_scripts(tmp_path, cluster):
    """Slurm again, by its plain command: each job is submitted by itself, and asks for what its rule does."""
    submit = "sbatch --parsable --output .snakemake/log/%j.out --comment {rule} --cpus-per-task {threads} "
    submit += "--mem {resources.mem_mb} --time {resources.runtime}"
    generic = ["--cluster-generic-submit-cmd", submit, "--cluster-generic-cancel-cmd", "scancel"]
    too_little = ["--set-resources", "graph:mem_mb=60 if attempt == 1 else 3000"]
    soon = ["--seconds-between-status-checks", "1", "--latency-wait", "10"]
    target = "results/iris/sweep.parquet"
    options = {"config": IRIS, "cores": None, "profile": "cluster-generic", "variables": cluster}
    run = snakemake(tmp_path, target, *generic, *too_little, *soon, **options)
    assert run.code == 0, run.output
    assert run.output.count("Trying to restart job") == run.jobs["graph"] == 1
    local = snakemake(tmp_path, "verify", config=IRIS)
    assert local.code == 0, local.output


def pid_of_job(folder, ending, seconds=1200) -> int:
    """Return the process of a job's script that works in a folder, once there is one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                inside = (process / "cwd").resolve().is_relative_to(folder)
            except OSError:
                continue
            if inside and any(word.endswith(ending) for word in words):
                return int(process.name)
        time.sleep(0.02)
    raise AssertionError(f"no job of {ending!r}")


@pytest.mark.parametrize("retries", [3, 0])
def test_a_worker_that_dies_in_an_array(tmp_path, cluster, retries):
    """Killed, it is tried again by the same run; where nothing is tried again, the same command goes on."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    shared = "results/iris/initial_layout/metric=euclidean/knn_k=15/knn_seed=10/knn_jobs=1"
    target = [f"{shared}/n_neighbors={k}/seed=10/initial_layout.parquet" for k in (5, 10, 15)]
    config = {**IRIS, "grid": {"n_neighbors": [5, 10, 15], "min_dist": [0.1], "seed": [10]}}
    options = {"config": config, "cores": None, "profile": "slurm", "variables": cluster}
    with ThreadPoolExecutor() as pool:
        running = pool.submit(snakemake, there, *target, *SOON, "--retries", str(retries), **options)
        os.kill(pid_of_job(there, b".initial_layout.py"), signal.SIGKILL)
        run = running.result()
    assert max(submissions(run)) == 3, run.output
    if retries:
        assert "Trying to restart job" in run.output
    else:
        assert run.code != 0
        assert "type the same command again" in run.output
        run = snakemake(there, *target, *SOON, **options)
    assert run.code == 0, run.output
    assert snakemake(here, *target, config=config).code == 0
    assert len(fingerprints(here, "iris")) == 1 + 1 + 2 * 3 + 3
    assert fingerprints(there, "iris") == fingerprints(here, "iris")
    assert not list(there.rglob("*.partial"))
