"""What a result was computed under: versions of the libraries that shape the bits, and the CPU."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

# The libraries whose version can change a bit of a result, not every package installed.
SHAPING_PACKAGES = ("llvmlite", "numba", "numpy", "pynndescent", "scikit-learn", "scipy", "umap-learn")


def describe() -> dict[str, str]:
    """Return the environment of this process, sorted by name, as text.

    Returns
    -------
    dict of str to str
        `python`, `platform`, `cpu` (the model's name), and the version of each of `SHAPING_PACKAGES`.
    """
    found = {name: version(name) for name in SHAPING_PACKAGES}
    found["python"] = platform.python_version()
    found["platform"] = f"{platform.system()} {platform.machine()}"
    found["cpu"] = _cpu_model()
    return dict(sorted(found.items()))


def job_variables(knn_jobs: int) -> dict[str, str]:
    """Return the environment variables that every job of a sweep runs under.

    Parameters
    ----------
    knn_jobs : int
        The logical number of threads of NN-descent. numba refuses to use more threads than it was started with,
        so the pool is made this large even where the machine has fewer cores.

    Returns
    -------
    dict of str to str
        To be set before a job's Python starts.
    """
    return {
        "NUMBA_NUM_THREADS": str(max(knn_jobs, 1)),
        # The layer that every numba build has; which other layers are installed must not matter.
        "NUMBA_THREADING_LAYER": "workqueue",
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or os.uname().machine
