"""The surroundings of one job: where its messages go, and how it ends when something is wrong."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from umap_sweep import environment
from umap_sweep.errors import InputError

# A rule's script imports this module first.
_STARTED = time.monotonic()


@contextmanager
def running(
    log: str | Path, planned: Mapping[str, Any] | None = None, inputs: Iterable[str | Path] = ()
) -> Iterator[logging.Logger]:
    """Run the work of a rule's script: messages and warnings go to the log file, errors to the terminal too.

    An `InputError` ends the process with exit code 1 and its message alone. Any other error keeps its traceback,
    in the log and on the terminal, because it is a fault of this software. A full disk is the user's to mend.

    Parameters
    ----------
    log : str or Path
        The rule's log file; overwritten.
    planned : mapping, optional
        The code that the job was planned with, from `umap_sweep.code.of_script`. Its digest goes into the records of
        what the job stores. `reads`, where it is there, is what the stages that the job reads were made with.
    inputs : iterable of path, optional
        The files of those stages, each of which has to be what it was planned to be; see `umap_sweep.lineage.check`.

    Yields
    ------
    logging.Logger
        For what the job has to say.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=log, filemode="w", level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.captureWarnings(True)
    logger = logging.getLogger("umap_sweep")
    alive = _alive()
    try:
        environment.check_cpu()
        _check_code(planned)
        from umap_sweep import store  # after the clock of this module

        store.look_for_pandas_without_import()
        if planned is not None:
            os.environ[environment.CODE_VARIABLE] = planned["digest"]
            if "reads" in planned:
                from umap_sweep import lineage

                lineage.check(inputs, planned["reads"])
        yield logger
    except InputError as error:
        _stop(logger, str(error))
    except MemoryError:
        _stop(logger, "The job ran out of memory. Use a machine with more, or fewer rows or a smaller knn.n_neighbors.")
    except OSError as error:
        logger.error(traceback.format_exc())
        _stop(logger, f"The system refused a file: {error}. Free space or mend the path, and run again.")
    except BaseException:
        logger.error(traceback.format_exc())
        raise
    finally:
        if alive is not None:
            alive.close()


def say(message: str) -> None:
    """Say in the log and on the terminal in what a result is not as it was asked for."""
    logging.getLogger("umap_sweep").warning(message)
    print(f"umap-sweep: {message}", file=sys.stderr, flush=True)


def _alive() -> TextIO | None:
    """Hold the lock by which a later run sees that this job lives. Without it nothing is lost but that."""
    name = os.environ.get(environment.JOBS_VARIABLE)
    if name is None or sys.platform == "win32":
        return None
    import fcntl

    try:
        file = open(name, "a")  # noqa: SIM115, it is closed when the job ends
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return None
    return file


def _check_code(planned: Mapping[str, Any] | None) -> None:
    """Raise an `InputError` where this process runs other code than its run was planned with."""
    if os.environ.get(environment.STAMP_VARIABLE, "") in ("", environment.stamp()):
        return
    from umap_sweep import code

    # Snakemake runs a copy of the script, and says in it where the script itself is.
    script = getattr(sys.modules["__main__"], "__file__", None)
    if planned is None or script is None or code.of_script(script)["digest"] != planned["digest"]:
        raise InputError(
            f"The code in {code.PACKAGE} is not that which this run was planned with: it was changed meanwhile, or the "
            f"job has another installation of umap-sweep. Run snakemake again, or install the same version in both."
        )


def _stop(logger: logging.Logger, message: str) -> None:
    logger.error(message)
    print(f"umap-sweep: {message}", file=sys.stderr, flush=True)
    sys.exit(1)


@dataclass(frozen=True)
class Spent:
    """What this process has taken so far: wall time since its script began, and its largest resident memory in MiB."""

    seconds: float
    peak_memory_mb: float


def spent() -> Spent:
    """Return what this process has taken so far."""
    return Spent(time.monotonic() - _STARTED, peak_memory_mb())


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not from `resource`, which on Linux includes the memory of the process that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    import resource

    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
