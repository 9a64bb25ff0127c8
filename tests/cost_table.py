"""Measure what it costs to hold jobs to a CPU level, and print the table of docs/reproducibility.md.

    python tests/cost_table.py
    python tests/cost_table.py DATA.npz     the rows of the array X in it, once, under x86-64-v3 and portable

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
sys.path.append(str(ROOT / "benchmarks"))  # from which tests/test_exactness.py imports

from umap_sweep import environment  # noqa: E402

LEVELS = ("native", "x86-64-v3", "x86-64-v2", "portable")
STAGES = ("exact k-NN", "NN-descent", "graph", "eigenvectors", "lean eigenvectors", "layout", "layout of four cells")
ROUNDS = 5
ROWS, COLUMNS, K, EPOCHS = 20_000, 50, 15, 200
# So many rows are enough to have a stage compiled, and for NN-descent to be used.
FEW = 4_500


def functions(data: str, n_rows: int | None) -> tuple[Callable[[], object], ...]:
    """Return what computes each of `STAGES` for so many rows; those after the second on a k-NN by NN-descent."""
    import numpy as np
    from test_exactness import clouds

    from umap_sweep.cells import curve
    from umap_sweep.stages import graph, knn, layout, lean_spectral, spectral

    features = (np.load(data)["X"] if data else clouds(ROWS, COLUMNS)).astype(np.float32)[:n_rows]
    rows = len(features)

    def neighbors(method: str) -> tuple[np.ndarray, np.ndarray]:
        return knn.nearest_neighbors(features, K, "euclidean", method, np.random.RandomState(10), n_jobs=1)[:2]

    found = neighbors("nn-descent")
    edges = graph.fuzzy_graph(found[0].copy(), found[1].copy(), "euclidean", EPOCHS)[0]
    whole = np.zeros(rows, dtype=np.int32)
    start = np.random.RandomState(0).uniform(0, 10, (rows, 2)).astype(np.float32)
    curves = [curve.parameters(1.0, min_dist) for min_dist in (0.1, 0.2, 0.5, 0.9)]
    rng_state = np.array([1, 2, 3]) << 20
    return (
        lambda: neighbors("exact"),
        lambda: neighbors("nn-descent"),
        lambda: graph.fuzzy_graph(found[0].copy(), found[1].copy(), "euclidean", EPOCHS),
        # ARPACK: `portable` has no part in it.
        lambda: spectral.connected_layout(edges, 2),
        lambda: lean_spectral.layout(edges, whole, 2),
        lambda: layout.optimize_cells(start, edges.row, edges.col, edges.data, rng_state, curves[:1], EPOCHS),
        lambda: layout.optimize_cells(start, edges.row, edges.col, edges.data, rng_state, curves, EPOCHS),
    )


def work() -> None:
    """Run each stage whose name comes in, and answer with the seconds of user CPU time that it took."""
    data = sys.argv[2]
    for compiled in functions(data, FEW):
        compiled()
    stages = dict(zip(STAGES, functions(data, None), strict=True))
    for name in sys.stdin:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        stages[name.strip()]()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_utime - before, flush=True)


def ask(process: subprocess.Popen[str], stage: str) -> float:
    """Have one stage run in one of the processes, and return its seconds."""
    process.stdin.write(f"{stage}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def table(data: str) -> str:
    """Return medians as Markdown: seconds for the first level, and times of that for the others."""
    levels, rounds = (("x86-64-v3", "portable"), 1) if data else (LEVELS, ROUNDS)
    processes = {
        level: subprocess.Popen(
            [sys.executable, __file__, "--work", data],
            env=os.environ | environment.job_variables(1, level) | {"OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for level in levels
    }
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for stage in STAGES:
            for level, process in processes.items():
                seconds.setdefault((level, stage), []).append(ask(process, stage))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    lines = ["| | " + " | ".join(STAGES) + " |", "| --- |" + " --- |" * len(STAGES)]
    for level in levels:
        medians = [statistics.median(seconds[level, stage]) for stage in STAGES]
        first = [statistics.median(seconds[levels[0], stage]) for stage in STAGES]
        cells = [f"{a:.2f} s" if level == levels[0] else f"{a / b:.2f}" for a, b in zip(medians, first, strict=True)]
        lines.append(f"| {level} | " + " | ".join(cells) + " |")
        print(level, {stage: sorted(seconds[level, stage]) for stage in STAGES}, file=sys.stderr)
    return "\n".join(lines)


if __name__ == "__main__":
    work() if sys.argv[1:2] == ["--work"] else print(table("".join(sys.argv[1:2])))
