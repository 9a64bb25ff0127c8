"""Run every stage on other CPUs, CPU levels or numbers of threads, and print which stages change a bit.

    python tests/bits_table.py levels      on this machine's CPU, held to each level that it has
    python tests/bits_table.py threads
    python tests/bits_table.py cpus        on CPUs emulated by qemu-x86_64 (Debian's package qemu-user)
    python tests/bits_table.py compiled    the same; numba's compiler runs on the emulated CPU too

The tables of docs/reproducibility.md are what it prints. The first two take some minutes on two cores, the third half
an hour, the last more than an hour. `taskset -c 0` before it makes it use one core.
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

from umap_sweep import environment  # noqa: E402

LEVELS = ("native", "x86-64-v4", "x86-64-v3", "x86-64-v2")
METHODS = ("exact", "nn-descent")
STAGES = ("knn", "edges", "vertices", "start", "layout")
# By qemu's names. A level can only be held on a CPU that has it.
NEWER, OLDER = ("Haswell", "EPYC", "max"), ("SandyBridge", "Nehalem")
EMULATED = {"native": NEWER + OLDER, "x86-64-v3": NEWER, "x86-64-v2": NEWER + OLDER}


def fingerprints(case: str) -> dict[str, dict[str, str]]:
    """Compute every stage in this process and return the fingerprint of each, by cores, and by method and stage.

    For `threads` the data are 12,000 × 20, enough for OpenBLAS to use its threads; there the exact k-NN is also
    computed with 1, 2 and 4 threads. For the others they are scikit-learn's breast_cancer, 569 × 30.
    """
    from conftest import Stages
    from sklearn.datasets import load_breast_cancer
    from test_exactness import clouds

    from umap_sweep import store
    from umap_sweep.stages import compiled

    warnings.simplefilter("ignore")
    if case == "cpus":
        import umap  # noqa: F401

        compiled.keep()
    features = clouds(12_000, 20) if case == "threads" else load_breast_cancer().data
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


def target() -> dict[str, str]:
    """Return the variables that make numba compile, on any CPU, what it compiles in this process."""
    from numba.core.registry import cpu_target

    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    return {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}


def run(what: str, variables: dict[str, str], cpu: str | None = None) -> dict[str, dict[str, str]]:
    """Return what one of the functions above gives in a process of its own, on this or on an emulated CPU."""
    command = [sys.executable, __file__, "--here", what]
    if cpu is not None:
        command = ["qemu-x86_64", "-cpu", cpu, *command]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{variables} on {cpu or 'this CPU'} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_emulated(case: str, variables: dict[str, str], cpu: str) -> dict[str, dict[str, str]]:
    """Return the fingerprints that an emulated CPU gives, with an empty numba cache or with one that was filled here.

    numba's compiler takes minutes under emulation. For `cpus` it runs on this CPU first, told to compile for the other.
    """
    with tempfile.TemporaryDirectory() as cache:
        variables = variables | {"NUMBA_CACHE_DIR": cache}
        if case == "cpus":
            run(case, variables | run("target", variables, cpu))
        return run(case, variables, cpu)


def row(case: str, variables: dict[str, str], cpu: str | None) -> dict[str, dict[str, str]]:
    """Return the fingerprints of one row of a table, and say that it is done."""
    found = run(case, variables) if cpu is None else run_emulated(case, variables, cpu)
    print(case, cpu or "", variables, json.dumps(found), file=sys.stderr, flush=True)
    return found


def cases(case: str) -> dict[str, tuple[dict[str, str], str | None]]:
    """Return what to run: what a row of the table is called, its environment variables, and its CPU if emulated."""
    if case == "levels":
        return {level: (environment.job_variables(1, level), None) for level in LEVELS}
    if case == "threads":
        held = environment.job_variables(1, "x86-64-v3")
        return {
            f"numba pool {pool}, BLAS threads {blas}": (
                held | {"NUMBA_NUM_THREADS": str(pool), "OPENBLAS_NUM_THREADS": str(blas)},
                None,
            )
            for pool in (1, 2, 4)
            for blas in (1, 2)
        }
    return {
        f"{level}, {cpu or 'this machine'}": (environment.job_variables(1, level), cpu)
        for level, cpus in EMULATED.items()
        for cpu in (None, *cpus)
    }


def table(case: str) -> str:
    """Return the table as Markdown: in each column, equal letters are equal bits."""
    todo = cases(case)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = dict(zip(todo, pool.map(lambda one: row(case, *one), todo.values()), strict=True))
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
    if sys.argv[1] == "--here":
        print(json.dumps(target() if sys.argv[2] == "target" else fingerprints(sys.argv[2])))
    else:
        print(table(sys.argv[1]))
