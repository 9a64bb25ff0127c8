"""What the processes under a command do: when numba compiles in them, and how much memory they take at most."""

from __future__ import annotations

import atexit
import importlib.abc
import importlib.util
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

# Names the file that every watched process adds its lines to.
VARIABLE = "UMAP_SWEEP_WATCH"

EVENTS = "numba.core.event"


def variables(folder: Path, out: Path) -> dict[str, str]:
    """Return environment variables under which a Python process, and those that it starts, are watched.

    Parameters
    ----------
    folder : Path
        Made here; Python finds in it, by the name `sitecustomize`, what calls `watch`.
    out : Path
        Receives JSON lines with `script` (the name of the process's script, a rule's as it is in `scripts`) and either
        `start` and `end` (seconds since the epoch) of an outermost `numba:compile` event, or `peak_memory_mb` when the
        process ends. Reading a function from numba's file cache is no such event.
    """
    folder.mkdir(parents=True)
    lines = ["from umap_sweep.timing import watching", "watching.watch()"]
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), VARIABLE: str(out)}


def watch() -> None:
    """Watch this process, and import nothing for it that the process would not."""
    started = time.monotonic()
    atexit.register(lambda: _write({"peak_memory_mb": peak_memory_mb(), "seconds": time.monotonic() - started}))
    sys.meta_path.insert(0, _Finder())


def read(path: Path) -> list[dict[str, Any]]:
    """Return what processes have written to `path`."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def peak_memory_mb() -> float:
    """Return the most memory that this process has held so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not from `resource`, which on Linux counts in what the process held from which this one was started.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _write(line: dict[str, Any]) -> None:
    # Snakemake runs a copy of a rule's script, tmp1234.graph.py.
    script = ".".join(os.path.basename(sys.argv[0]).split(".")[-2:])
    # One short write in append mode, so that the lines of several processes do not mix.
    with open(os.environ[VARIABLE], "a", encoding="utf-8") as file:
        file.write(json.dumps({"script": script, **line}) + "\n")


class _Finder(importlib.abc.MetaPathFinder):
    """Has a listener installed as soon as numba's events are there."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != EVENTS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def run_and_listen(module: Any) -> None:
            run(module)
            _listen(module)

        spec.loader.exec_module = run_and_listen
        return spec


def _listen(events: Any) -> None:
    class Listener(events.Listener):
        """Notes the outermost event: a function compiles within it those that it calls."""

        def __init__(self) -> None:
            self.depth, self.start = 0, 0.0

        def on_start(self, event: Any) -> None:
            if self.depth == 0:
                self.start = time.time()
            self.depth += 1

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if self.depth == 0:
                _write({"start": self.start, "end": time.time()})

    events.register("numba:compile", Listener())
