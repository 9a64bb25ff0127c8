"""Run the grid as in a notebook, by umap-learn's own calls one after the other, and write down when which stage ran.

Run as `python -m umap_sweep.timing.notebook TASK INTERVALS` in a fresh process. TASK is a JSON file with `data` (the
stored data set), `arm` (see `umap_sweep.timing.arms`), `fits` (n_neighbors, min_dist, seed and knn_seed of each), `k`
(of a shared k-NN), `metric`, `metric_kwds` and `umap` (further parameters of UMAP). INTERVALS is the file that
receives, as JSON, a list of [start, end, stage, number of the fit or null]; times are in seconds since the epoch.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# The functions of umap.umap_ that are timed, and the stage of each. Where one calls another, the time of the other
# counts for the other's stage alone.
STAGES = {
    "pairwise_distances": "knn",
    "nearest_neighbors": "knn",
    "fuzzy_simplicial_set": "graph",
    "simplicial_set_embedding": "initial_layout",
    "optimize_layout_euclidean": "layout",
}


class Clock:
    """Writes down when which stage runs; a stage that begins within another one interrupts it.

    Attributes
    ----------
    intervals : list of (float, float, str, int or None)
        Start, end, stage, and number of the fit.
    fit : int or None
        The number of the fit that is running.
    """

    def __init__(self) -> None:
        self.intervals: list[tuple[float, float, str, int | None]] = []
        self.fit: int | None = None
        self._running: list[str] = []
        self._since = 0.0

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that calls `function` and writes down its time as that of `stage`."""

        @wraps(function)
        def run(*arguments: Any, **keywords: Any) -> Any:
            self._close()
            self._running.append(stage)
            try:
                return function(*arguments, **keywords)
            finally:
                self._close()
                self._running.pop()

        return run

    def _close(self) -> None:
        now = time.time()
        if self._running:
            self.intervals.append((self._since, now, self._running[-1], self.fit))
        self._since = now

    @contextmanager
    def watching(self, module: Any) -> Iterator[None]:
        """Time the functions named in `STAGES` while the block runs; `module` is umap.umap_."""
        originals = {name: getattr(module, name) for name in STAGES}
        for name, stage in STAGES.items():
            setattr(module, name, self.timed(stage, originals[name]))
        try:
            yield
        finally:
            for name, function in originals.items():
                setattr(module, name, function)


def embeddings(task: Mapping[str, Any], clock: Clock) -> Iterator[np.ndarray]:
    """Run the fits of one arm, one after the other.

    Parameters
    ----------
    task : mapping
        The contents of the file TASK.
    clock : Clock
        Receives the intervals. Imports and the reading of the data are start-up, and have none.

    Yields
    ------
    ndarray of float32, shape (n, n_components)
        The embedding of each fit.
    """
    import numpy as np
    import umap
    import umap.umap_ as umap_learn

    from umap_sweep import store

    features = store.read_features(task["data"])
    shared, seeded = task["arm"].startswith("shared_"), task["arm"].endswith("_seeded")
    neighbors: dict[int | None, Any] = {}
    with clock.watching(umap_learn):
        for number, fit in enumerate(task["fits"]):
            also: dict[str, Any] = {}
            if shared:
                knn_seed = fit["knn_seed"] if seeded else None
                if knn_seed not in neighbors:
                    # This call, which the tutorial makes, uses all cores even with a seed.
                    neighbors[knn_seed] = umap_learn.nearest_neighbors(
                        features,
                        n_neighbors=task["k"],
                        metric=task["metric"],
                        metric_kwds=task["metric_kwds"],
                        angular=False,
                        random_state=np.random.RandomState(knn_seed) if seeded else None,
                    )
                also["precomputed_knn"] = neighbors[knn_seed]
            if seeded:
                # A seeded UMAP uses one job anyway, and warns where it is not told so.
                also |= {"random_state": fit["seed"], "n_jobs": 1}
            model = umap.UMAP(
                n_neighbors=fit["n_neighbors"],
                min_dist=fit["min_dist"],
                metric=task["metric"],
                metric_kwds=task["metric_kwds"],
                **task["umap"],
                **also,
            )
            clock.fit = number
            yield clock.timed("other", model.fit)(features).embedding_
            clock.fit = None


if __name__ == "__main__":
    task_file, intervals_file = map(Path, sys.argv[1:])
    task = json.loads(task_file.read_text())
    clock = Clock()
    for fit, _ in zip(task["fits"], embeddings(task, clock), strict=True):
        print(f"n_neighbors {fit['n_neighbors']}, min_dist {fit['min_dist']}: done", flush=True)
    intervals_file.write_text(json.dumps(clock.intervals))
