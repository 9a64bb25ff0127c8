"""Run every stage under other CPU levels or numbers of threads, and print which stages change a bit.

    python tests/bits_table.py levels     on this machine's CPU, held to each level that it has
    python tests/bits_table.py threads

The tables of docs/reproducibility.md are what it prints. Each takes some minutes on two cores.
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

LEVELS = ("native", "x86-64-v4", "x86-64-v3", "x86-64-v2")
METHODS = ("exact", "nn-descent")
STAGES = ("knn", "edges", "vertices", "start", "embedding")


def fingerprints(case: str) -> dict[str, dict[str, str]]:
    """Compute every stage in this process and return the fingerprint of each, by cores, and by method and stage.

    For `levels` the data are scikit-learn's breast_cancer, 569 × 30. For `threads` they are 12,000 × 20, enough for
    OpenBLAS to use its threads; there the exact k-NN is also computed with 1, 2 and 4 threads.
    """
    from conftest import Stages
    from sklearn.datasets import load_breast_cancer
    from test_exactness import clouds
    from umap_sweep import store

    warnings.simplefilter("ignore")
    features = load_breast_cancer().data if case == "levels" else clouds(12_000, 20)
    found: dict[str, dict[str, str]] = {}
    for method in METHODS:
        for cores in (1, 2, 4) if case == "threads" and method == "exact" else (1,):
            with tempfile.TemporaryDirectory() as folder:
                stages = Stages(Path(folder), features, k=15, method=method, threads=cores)
                stages.cell(10, 0.1, 10, n_epochs=50)
                row = found.setdefault(f", cores {cores}" if case == "threads" else "", {})
                for stage in STAGES:
                    row[f"{method} {stage}"] = store.fingerprint_of(Path(folder) / f"{stage}.parquet")
    return found


def run(case: str, variables: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the fingerprints that a process of its own gives under some environment variables."""
    command = [sys.executable, __file__, "--here", case]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{variables} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def cases(case: str) -> dict[str, dict[str, str]]:
    """Return what to run: what a row of the table is called, and its environment variables."""
    if case == "levels":
        return {level: environment.job_variables(1, level) for level in LEVELS}
    held = environment.job_variables(1, "x86-64-v3")
    return {
        f"numba pool {pool}, BLAS threads {blas}": held
        | {"NUMBA_NUM_THREADS": str(pool), "OPENBLAS_NUM_THREADS": str(blas)}
        for pool in (1, 2, 4)
        for blas in (1, 2)
    }


def table(case: str) -> str:
    """Return the table as Markdown: in each column, equal letters are equal bits."""
    todo = cases(case)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(todo, pool.map(lambda variables: run(case, variables), todo.values()), strict=True))
    names = [f"{method} {stage}" for method in METHODS for stage in STAGES]
    letters: dict[str, dict[str, str]] = {name: {} for name in names}
    lines = ["| | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for case_name, by_cores in found.items():
        for cores, stages in by_cores.items():
            marks = [
                letters[name].setdefault(stages[name], chr(ord("A") + len(letters[name]))) if name in stages else ""
                for name in names
            ]
            lines.append(f"| {case_name}{cores} | " + " | ".join(marks) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(fingerprints(sys.argv[2])) if sys.argv[1] == "--here" else table(sys.argv[1]))
