"""Run every stage on other CPUs, CPU levels or numbers of threads, and print which stages change a bit.

    python tests/bits_table.py levels      on this machine's CPU, held to each level that it has
    python tests/bits_table.py threads
    python tests/bits_table.py cpus        on CPUs emulated by qemu-x86_64 (Debian's package qemu-user)
    python tests/bits_table.py compiled    the same; numba's compiler runs on the emulated CPU too
    python tests/bits_table.py portable    `cpu: portable` on this CPU, held to each level, and on the emulated CPUs
    python tests/bits_table.py portable ROOT    and in a Debian of another architecture, emulated by qemu-user-static

The tables of docs/reproducibility.md are what it prints. The first two take some minutes on two cores, the third half
an hour, the fourth more than an hour; the last takes a quarter of an hour and three or four minutes more for each ROOT,
on one core. `taskset -c 0` before it makes it use one core. ROOT is the folder of a Debian (made by debootstrap) that
`chroot` can enter. Its /opt/umap-sweep is a copy of this repository, and its /opt/site holds the pinned packages for
its architecture (pip install --target … --platform …); where there are none, Debian 12's python3-numba and
python3-sklearn do.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))  # from which tests/test_exactness.py imports

from umap_sweep import environment  # noqa: E402

if TYPE_CHECKING:
    import numpy as np

LEVELS = ("native", "x86-64-v4", "x86-64-v3", "x86-64-v2")
METHODS = ("exact", "nn-descent")
STAGES = ("knn", "edges", "vertices", "start", "layout")
# By qemu's names. A level can only be held on a CPU that has it.
NEWER, OLDER = ("Haswell", "EPYC", "max"), ("SandyBridge", "Nehalem")
PORTABLE_ON = ("Nehalem", "SandyBridge", "Haswell", "EPYC", "max")
# What is computed under `portable`: rows and columns, groups of rows, dimensions, and how neighbours are searched.
PORTABLE_CASES = {
    "exact": (400, 20, 1, 2, "exact"),
    "NN-descent": (1000, 20, 5, 2, "nn-descent"),
    "seven components": (350, 12, 7, 2, "exact"),
    "three dimensions": (400, 20, 5, 3, "nn-descent"),
}
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


def portable_fingerprints() -> dict[str, dict[str, str]]:
    """Compute every stage of `PORTABLE_CASES` in this process and return the fingerprint of each."""
    found = {}
    for name in PORTABLE_CASES:
        for stage, arrays in portable_stages(*portable_case(name)).items():
            digest = hashlib.sha256()
            for array in arrays:
                digest.update(f"{array.dtype.name} {array.shape}".encode())
                digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
            found[f"{name} {stage}"] = digest.hexdigest()
    return {"": found}


def portable_case(name: str) -> "tuple[np.ndarray, int, str]":
    """Return the features, float32, of one of `PORTABLE_CASES`, its number of dimensions, and the k-NN's method."""
    import numpy as np

    n_rows, columns, groups, n_components, method = PORTABLE_CASES[name]
    # Whole numbers over 7: real values that no library's random normal numbers had a part in.
    random = np.random.RandomState(1)
    reach = 5000 if groups > 5 else 30
    centres = random.randint(-reach, reach, size=(groups, columns))
    features = (centres[np.arange(n_rows) % groups] + random.randint(-20, 20, size=(n_rows, columns))) / 7.0
    return features.astype(np.float32), n_components, method


def portable_stages(features: "np.ndarray", n_components: int, method: str) -> "dict[str, list[np.ndarray]]":
    """Return the arrays of each stage. Nothing is stored, since PyArrow is not to be had for every architecture."""
    import numpy as np

    try:
        import pyarrow  # noqa: F401
    except ImportError:
        # The modules of the stages name it and its types; the functions that are called here use none of it.
        sys.modules |= dict.fromkeys(("pyarrow", "pyarrow.parquet"), MagicMock())
    from scipy.sparse import csgraph

    from umap_sweep.cells import curve
    from umap_sweep.stages import graph, initial_layout, knn, layout, lean_spectral

    n_rows, n_epochs = len(features), 30
    neighbors = knn.nearest_neighbors(features, 15, "euclidean", method, np.random.RandomState(10), 1)[:2]
    pruned = [np.ascontiguousarray(array[:, :10]) for array in neighbors]
    edges, disconnected = graph.fuzzy_graph(*pruned, "euclidean", n_epochs)
    n_parts, parts = csgraph.connected_components(edges)
    eigenvectors, _ = lean_spectral.layout(edges, parts, n_components)
    components = parts if n_parts > 1 else None
    random_state = np.random.RandomState(10)
    start, rng_state = initial_layout.initial_layout(
        n_rows, n_components, "spectral_lean", random_state, eigenvectors, components, None, features
    )
    of_edges = [edges.row, edges.col, edges.data]
    curves = [curve.parameters(1.0, 0.1)]
    return {
        "knn": list(neighbors),
        "edges": of_edges,
        "vertices": [disconnected, eigenvectors, parts],
        "start": [start, rng_state],
        "layout": layout.optimize_cells(start, *of_edges, rng_state, curves, n_epochs),
    }


def target() -> dict[str, str]:
    """Return the variables that make numba compile, on any CPU, what it compiles in this process."""
    from numba.core.registry import cpu_target

    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    return {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}


def run(what: str, variables: dict[str, str], cpu: str | None = None) -> dict[str, dict[str, str]]:
    """Return what one of the functions above gives in a process of its own, on this or on an emulated CPU."""
    command = [sys.executable, __file__, "--here", what]
    if cpu is not None and Path(cpu).is_dir():
        variables = variables | {"PYTHONPATH": "/opt/site:/opt/umap-sweep/src", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        variables["NUMBA_CACHE_DIR"] = f"/tmp/{Path(variables['NUMBA_CACHE_DIR']).name}"
        command = ["chroot", cpu, "/usr/bin/python3", "/opt/umap-sweep/tests/bits_table.py", "--here", what]
    elif cpu is not None:
        command = ["qemu-x86_64", "-cpu", cpu, *command]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{variables} on {cpu or 'this CPU'} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_emulated(case: str, variables: dict[str, str], cpu: str) -> dict[str, dict[str, str]]:
    """Return the fingerprints that an emulated CPU gives, with an empty numba cache or with one that was filled here.

    numba's compiler takes minutes under emulation. For `cpus` it runs on this CPU first, told to compile for the other.
    """
    if Path(cpu).is_dir():
        return run(case, variables, cpu)
    with tempfile.TemporaryDirectory() as cache:
        variables = variables | {"NUMBA_CACHE_DIR": cache}
        if case in ("cpus", "portable"):
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
    if case == "portable":
        held = environment.job_variables(1, environment.PORTABLE)
        rows = {}
        for level in LEVELS:
            of_level = environment.job_variables(1, level) | {environment.CPU_VARIABLE: environment.PORTABLE}
            rows[f"this machine, libraries held to {level}"] = (of_level, None)
        return rows | {f"{cpu}, emulated": (held, cpu) for cpu in PORTABLE_ON + tuple(sys.argv[2:])}
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
    of_case = PORTABLE_CASES if case == "portable" else METHODS
    names = [f"{method} {stage}" for method in of_case for stage in STAGES]
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
        what = {"target": target, "portable": portable_fingerprints}
        print(json.dumps(what[sys.argv[2]]() if sys.argv[2] in what else fingerprints(sys.argv[2])))
    else:
        print(table(sys.argv[1]))
