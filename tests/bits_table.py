"""Run every stage on other CPUs or with other numbers of threads, and print which stages change a bit.

    python tests/bits_table.py cpus       needs qemu-x86_64 (Debian's package qemu-user) and about an hour on two cores
    python tests/bits_table.py threads    about ten minutes

The tables of docs/reproducibility.md are what it prints.
"""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from umap_sweep import environment  # noqa: E402

CPUS = ("this machine", "Haswell", "EPYC", "SandyBridge", "Nehalem", "max")
# A level can only be held on CPUs that have it.
LEVELS = {"native": CPUS, "x86-64-v2": CPUS, "x86-64-v3": ("this machine", "Haswell", "EPYC", "max")}
METHODS = ("exact", "nn-descent")
STAGES = ("knn", "edges", "vertices", "start", "embedding")


def fingerprints(case: str) -> dict[str, str]:
    """Compute every stage in this process and return the fingerprint of each, by method and stage.

    For `cpus` the data are scikit-learn's breast_cancer, 569 × 30. For `threads` they are 12,000 × 20, enough for
    OpenBLAS to use its threads; there the exact k-NN is also computed with 1, 2 and 4 threads.
    """
    from conftest import Stages
    from sklearn.datasets import load_breast_cancer
    from test_exactness import clouds
    from umap_sweep import store

    warnings.simplefilter("ignore")
    features = load_breast_cancer().data if case == "cpus" else clouds(12_000, 20)
    found = {}
    for method in METHODS:
        for threads in (1, 2, 4) if case == "threads" and method == "exact" else (1,):
            with tempfile.TemporaryDirectory() as folder:
                stages = Stages(Path(folder), features, k=15, method=method, threads=threads)
                stages.cell(10, 0.1, 10, n_epochs=50)
                name = method if threads == 1 else f"{method}, {threads} cores,"
                for stage in STAGES:
                    found[f"{name} {stage}"] = store.fingerprint_of(Path(folder) / f"{stage}.parquet")
    return found


def run(case: str, variables: dict[str, str], cpu: str = "this machine") -> dict[str, str]:
    """Return the fingerprints that a process of its own gives under some environment variables and on some CPU."""
    command = [sys.executable, __file__, "--here", case]
    if cpu != "this machine":
        command = ["qemu-x86_64", "-cpu", cpu, *command]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{variables} on {cpu} failed: {done.stderr[-2000:]}")
    print(f"{cpu}, {variables}: done", file=sys.stderr, flush=True)
    return json.loads(done.stdout.splitlines()[-1])


def cases(case: str) -> dict[tuple[str, ...], tuple[dict[str, str], str]]:
    """Return what to run: the first columns of a row of the table, the environment variables and the CPU."""
    if case == "cpus":
        return {
            (level, cpu): (environment.job_variables(1, level), cpu) for level, cpus in LEVELS.items() for cpu in cpus
        }
    held = environment.job_variables(1, "x86-64-v3")
    return {
        (f"numba pool {pool}", f"BLAS threads {blas}"): (
            held | {"NUMBA_NUM_THREADS": str(pool), "OPENBLAS_NUM_THREADS": str(blas)},
            "this machine",
        )
        for pool in (1, 2, 4)
        for blas in (1, 2)
    }


def table(case: str) -> str:
    """Return the table as Markdown: in each column, equal letters are equal bits."""
    todo = cases(case)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(todo, pool.map(lambda one: run(case, *one), todo.values()), strict=True))
    names = list(next(iter(found.values())))
    letters: dict[str, dict[str, str]] = {name: {} for name in names}
    lines = ["| | | " + " | ".join(names) + " |", "| --- | --- |" + " --- |" * len(names)]
    for row, stages in found.items():
        marks = [letters[name].setdefault(stages[name], chr(ord("A") + len(letters[name]))) for name in names]
        lines.append(f"| {' | '.join(row)} | " + " | ".join(marks) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(fingerprints(sys.argv[2])) if sys.argv[1] == "--here" else table(sys.argv[1]))
