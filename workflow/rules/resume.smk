# Takes what a killed run has left in the folder; lets the same command go on, where no other run is alive.
import fcntl
import os
import socket
import sys
from functools import cache
from pathlib import Path

from umap_sweep import environment

# The system gives up its locks on these when the process that holds them is gone, however it ended.
HELD_BY_RUNS = Path(".snakemake/umap-sweep.runs")
HELD_BY_JOBS = Path(".snakemake/umap-sweep.jobs")


def opened(path):
    """A file to lock, or None where nothing can be written, as in results that others share."""
    try:
        path.parent.mkdir(exist_ok=True)
        return path.open("a+")
    except OSError:
        return None


def is_taken(file, kind):
    """Whether a lock of this kind is to be had now; None where the file system has no locks."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def hold_as_only_run():
    """Hold the folder for as long as this process lives; return whether all earlier runs here are known to be dead."""
    file = opened(HELD_BY_RUNS)
    if file is None:
        return False
    HELD_FILES.append(file)  # open until this process ends
    alone = is_taken(file, fcntl.LOCK_EX)
    if alone is False:
        # Of an error raised here, where it asks for inputs, Snakemake would tell the function and its lines.
        print(
            "umap-sweep: Another run is alive in this folder. Wait for it, or end it, and run again.", file=sys.stderr
        )
        sys.exit(1)
    file.seek(0)
    here = alone and file.read() in ("", socket.gethostname())  # locks need not reach other machines
    file.truncate(0)
    file.write(socket.gethostname())
    file.flush()
    is_taken(file, fcntl.LOCK_SH)
    return here


def wait_for_jobs():
    """Jobs may outlive the run that started them, and finish their files."""
    with open(HELD_BY_JOBS, "a") as file:
        if is_taken(file, fcntl.LOCK_EX) is False:
            print("umap-sweep: waiting for a job of the run that was killed to end.", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)


def locks_of_this_workflow():
    """Snakemake's locks on results, in pairs of what a run reads and what it makes."""
    ours = tuple(f"results/{name}/" for name in SETTINGS["datasets"])
    for made in Path(".snakemake/locks").glob("*.output.lock"):
        paths = made.read_text(encoding="utf-8").splitlines()
        if all(path.startswith(ours) or path == SETTINGS["verify"]["fingerprints"] for path in paths):
            yield from (made, made.with_name(made.name.replace(".output.", ".input.")))


@cache
def go_on_after_a_killed_run():
    """Take away the locks and half-written files of a run that is dead, and make again what it had begun.

    Called where Snakemake asks for the first inputs of a plan: it has not said before what is to be done with the plan.
    """
    if IMPORTED or not workflow.is_main_process or workflow.executor_plugin is None:
        return  # an importing workflow has locks of its own, and a report or a summary changes nothing
    if not workflow.dryrun:
        os.environ[environment.JOBS_VARIABLE] = str(HELD_BY_JOBS.absolute())
        if not hold_as_only_run():
            return
        leave_no_file_in_the_future()
        left = [path for path in locks_of_this_workflow() if path.exists()]
        if left:
            print("umap-sweep: the last run here was killed; going on from what it has finished.", file=sys.stderr)
            wait_for_jobs()
            for path in [*left, *Path("results").rglob(".*.partial")]:
                path.unlink(missing_ok=True)
    workflow.dag_settings.force_incomplete = True


HELD_FILES = []
