"""The measured tables: runs are merged into them, and fitted."""

from __future__ import annotations

import json
from pathlib import Path

import machine
import numpy as np
import pandas as pd

from umap_sweep import store

AXES = ["rows", "dimensions", "n_neighbors", "cells", "cores"]
POINT_KEY = [*AXES, "stage"]
PEER_KEY = ["rows", "dimensions", "cells", "cores", "who"]
JOB_KEY = ["rows", "dimensions", "n_neighbors", "cells", "seeds", "job"]
LANES_KEY = ["rows", "n_neighbors", "cells"]
WORK = ["knn", "graph", "initial_layout", "layout"]

# A stage that took less than this many times what it took at the smallest size is mostly the start of its processes.
ABOVE_START = 2.0


def merge(runs: Path, measured: Path) -> None:
    """Take the runs into a machine's tables; a run that is in them already replaces its rows.

    Parameters
    ----------
    runs : Path
        Folder with `points/**/*.tsv`, `peers/**/*.tsv`, `jobs/**/*.tsv` and `lanes/**/*.tsv`.
    measured : Path
        Folder of the machine; receives `points.tsv`, `peers.tsv`, `jobs.tsv`, `lanes.tsv` and `machine.json`.
    """
    measured.mkdir(parents=True, exist_ok=True)
    for kind, key in (("points", POINT_KEY), ("peers", PEER_KEY), ("jobs", JOB_KEY), ("lanes", LANES_KEY)):
        path = measured / f"{kind}.tsv"
        # Hidden folders are those of runs under way.
        done = [one for one in sorted((runs / kind).rglob("*.tsv")) if "/." not in one.relative_to(runs).as_posix()]
        frames = [pd.read_csv(one, sep="\t") for one in [path] * path.exists() + done]
        if not frames:
            continue
        table = pd.concat(frames).drop_duplicates(key, keep="last")
        # Within a point the stages, and the jobs, keep their order.
        table = table.sort_values(
            [name for name in key if name not in ("stage", "job")], kind="stable", ignore_index=True
        )
        with store.appearing(path) as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.3f")
    with store.appearing(measured / "machine.json") as temporary:
        temporary.write_text(json.dumps(machine.describe(), indent=1) + "\n")


def series(points: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Return the points that differ in one axis alone: of all such series the longest, sorted by that axis."""
    others = [name for name in AXES if name != axis]
    sizes = points.groupby(others)[axis].nunique()
    base = dict(zip(others, sizes.idxmax(), strict=True))
    chosen = (points[others] == pd.Series(base)).all(axis=1)
    return points[chosen].sort_values(axis, kind="stable")


def exponent(sizes: np.ndarray, costs: np.ndarray) -> float | None:
    """Fit cost = a × size^p by least squares of the logarithms.

    Parameters
    ----------
    sizes, costs : ndarray of float, shape (n,)

    Returns
    -------
    float or None
        p; None where fewer than three costs are at least twice that of the smallest size, so that start-up hides the
        growth.
    """
    grown = (costs > 0) & (costs >= ABOVE_START * costs[sizes.argmin()])
    if grown.sum() < 3:
        return None
    return float(np.polyfit(np.log(sizes[grown]), np.log(costs[grown]), 1)[0])
