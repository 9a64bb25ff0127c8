"""A grid as it is run in a notebook: umap-learn's own calls, one after the other in one process, with a clock.

Run as `python -m umap_sweep.timing.notebook TASK INTERVALS` in a fresh process. TASK is a JSON file with `data` (the
stored data set), `arm`, `fits` (n_neighbors, min_dist, seed, knn_seed of each), `k`, `metric`, `metric_kwds` and `umap`
(further parameters of UMAP). INTERVALS receives a list of [start, end, stage, number of the fit or null], in seconds
since the epoch.
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

# Which part of a fit each function of umap.umap_ is. What a stage calls of another is the other's time.
STAGES = {
    "pairwise_distances": "knn",
    "nearest_neighbors": "knn",
    "fuzzy_simplicial_set": "graph",
    "simplicial_set_embedding": "initial_layout",
    "optimize_layout_euclidean": "layout",
}


class Clock:
    """Writes down which stage runs when; a stage that begins within another interrupts it."""

    def __init__(self) -> None:
        self.intervals: list[tuple[float, float, str, int | None]] = []
        self.fit: int | None = None
        self._running: list[str] = []
        self._since = 0.0

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` with its time counted as `stage`."""

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
        """Time the functions of umap.umap_ that `STAGES` names, while the block runs."""
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
        See the module.
    clock : Clock
        Receives when what ran. Everything up to the first call is start-up, and has no interval.

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
                    # The tutorial's call. It takes all cores, with a seed too.
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
                also |= {"random_state": fit["seed"], "n_jobs": 1}  # it takes one job anyway, and warns if not told so
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
