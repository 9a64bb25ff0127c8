"""Watch the Python processes that a command starts: when numba compiles in them, and their peak memory."""

from __future__ import annotations

import atexit
import importlib.abc
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from umap_sweep import job

# The environment variable that names the file to which every watched process adds its lines.
VARIABLE = "UMAP_SWEEP_WATCH"

EVENTS = "numba.core.event"


def variables(folder: Path, out: Path) -> dict[str, str]:
    """Return environment variables under which a Python process, and all that it starts, are watched.

    Parameters
    ----------
    folder : Path
        Is made, and receives a module `sitecustomize`, which Python imports as it starts, and which calls `watch`.
    out : Path
        Receives lines of JSON. Each has `script`, the name of the process's script (of a rule's, that in `scripts`).
        A line has `start` and `end` (seconds since the epoch) for each time that numba compiled, or, when the process
        ends, `peak_memory_mb` (MiB) and `seconds` since its start. A function that numba reads from its file cache
        gives no line, nor does one that is compiled while another is.
    """
    folder.mkdir(parents=True)
    lines = ["from umap_sweep.timing import watching", "watching.watch()"]
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), VARIABLE: str(out)}


def watch() -> None:
    """Watch this process, without importing numba where the process itself does not."""
    started = time.monotonic()
    atexit.register(lambda: _write({"peak_memory_mb": job.peak_memory_mb(), "seconds": time.monotonic() - started}))
    sys.meta_path.insert(0, _Finder())


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines that processes have written to `path`; none where there is no such file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _write(line: dict[str, Any]) -> None:
    # Snakemake runs a copy of a rule's script that has a name such as tmp1234.graph.py.
    script = ".".join(os.path.basename(sys.argv[0]).split(".")[-2:])
    # A single short write in append mode, so that the lines of several processes do not mix.
    with open(os.environ[VARIABLE], "a", encoding="utf-8") as file:
        file.write(json.dumps({"script": script, **line}) + "\n")


class _Finder(importlib.abc.MetaPathFinder):
    """An import hook that installs a listener as soon as the module of numba's events is imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != EVENTS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            loader: Any = spec.loader
            run = loader.exec_module

            def run_and_listen(module: Any) -> None:
                run(module)
                _listen(module)

            loader.exec_module = run_and_listen
        return spec


def _listen(events: Any) -> None:
    class Listener(events.Listener):  # type: ignore[misc]  # numba has no types
        """Writes down the outermost events alone; those within them are of functions that a compiled function calls."""

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
