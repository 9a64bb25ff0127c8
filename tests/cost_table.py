"""Measure what it costs to hold jobs to a CPU level, and print the table of docs/reproducibility.md.

    python tests/cost_table.py

One process for each level stays alive, so that nothing is compiled while it is measured, and they take turns: one
stage of one level at a time. What counts is user CPU time. It takes about ten minutes.
"""

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]

from umap_sweep import environment  # noqa: E402

LEVELS = ("native", "x86-64-v3", "x86-64-v2")
STAGES = ("exact k-NN", "NN-descent", "eigenvectors", "layout")
ROUNDS = 5
ROWS, COLUMNS, K, EPOCHS = 20_000, 50, 15, 200


def functions() -> tuple[Callable[[], object], ...]:
    """Return what computes each of `STAGES`; the last two on the k-NN of the second."""
    import numpy as np
    from test_exactness import clouds

    from umap_sweep.stages import graph, knn, layout, spectral

    features = clouds(ROWS, COLUMNS).astype(np.float32)

    def neighbors(method: str) -> tuple[np.ndarray, np.ndarray]:
        return knn.nearest_neighbors(features, K, "euclidean", method, np.random.RandomState(10), n_jobs=1)[:2]

    edges = graph.layout_edges(graph.fuzzy_graph(*neighbors("nn-descent"), "euclidean"), EPOCHS)
    start = np.random.RandomState(0).uniform(0, 10, (ROWS, 2)).astype(np.float32)
    a, b = layout.curve_parameters(1.0, 0.1)
    rng_state = np.array([1, 2, 3]) << 20
    return (
        lambda: neighbors("exact"),
        lambda: neighbors("nn-descent"),
        lambda: spectral.spectral_layout("spectral", None, edges, 2, np.random.RandomState(0), 1),
        lambda: layout.optimize(start, edges.row, edges.col, edges.data, rng_state, a, b, EPOCHS),
    )


def work() -> None:
    """Run each stage whose name comes in, and answer with the seconds of user CPU time that it took."""
    stages = dict(zip(STAGES, functions(), strict=True))
    for name in sys.stdin:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        stages[name.strip()]()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_utime - before, flush=True)


def ask(process: subprocess.Popen[str], stage: str) -> float:
    """Have one stage run in one of the processes, and return its seconds."""
    process.stdin.write(f"{stage}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def table() -> str:
    """Return medians as Markdown: seconds where the CPU's own instructions are used, and times of that otherwise."""
    processes = {
        level: subprocess.Popen(
            [sys.executable, __file__, "--work"],
            env=os.environ | environment.job_variables(1, level) | {"OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for level in LEVELS
    }
    for process in processes.values():
        for stage in STAGES:
            ask(process, stage)  # compiles
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for stage in STAGES:
            for level, process in processes.items():
                seconds.setdefault((level, stage), []).append(ask(process, stage))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    lines = ["| | " + " | ".join(STAGES) + " |", "| --- |" + " --- |" * len(STAGES)]
    for level in LEVELS:
        medians = [statistics.median(seconds[level, stage]) for stage in STAGES]
        native = [statistics.median(seconds["native", stage]) for stage in STAGES]
        cells = [f"{a:.2f} s" if level == "native" else f"{a / b:.2f}" for a, b in zip(medians, native, strict=True)]
        lines.append(f"| {level} | " + " | ".join(cells) + " |")
        print(level, {stage: sorted(seconds[level, stage]) for stage in STAGES}, file=sys.stderr)
    return "\n".join(lines)


if __name__ == "__main__":
    work() if sys.argv[1:] == ["--work"] else print(table())
