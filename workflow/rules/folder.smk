# Takes the folder of a run; makes sure that it can be written, and that no result in it is later than now.
import os
import sys
import time
from contextlib import suppress
from pathlib import Path


def can_write(folder):
    """Whether something may be made in a folder, or in that in which it would be made."""
    path = Path(folder)
    while not path.exists():
        path = path.parent
    return os.access(path, os.W_OK)


def refuse_what_cannot_be_written():
    """Snakemake itself would end in a traceback, because it writes in the folder before it makes anything."""
    if not can_write(".snakemake/locks"):
        raise WorkflowError(
            f"Nothing can be written in {Path.cwd()}, where Snakemake keeps its state even if it only looks; make a "
            f"folder of your own, link all that is here into it (ln -s {Path.cwd()}/* .), and run there."
        )


def refuse_results_that_cannot_be_written():
    """Asked when a run has something to make. `check` makes nothing."""
    if set(workflow.dag_settings.targets) != {"check"} and not can_write(RESULTS):
        raise WorkflowError(
            f"Nothing can be written in {RESULTS}, where results go; copy them (cp -a) to where you may write, and run there."
        )


def leave_no_file_in_the_future():
    """Give files of this workflow that are later than now, as after the clock was set back, the time of now.

    Snakemake refuses what is made from them, because it is older.
    """
    now, count = time.time(), 0
    for name in SETTINGS["datasets"]:
        for path in Path("results", name).rglob("*.*"):
            with suppress(OSError):  # a link that leads nowhere, or a file of another user
                if path.stat().st_mtime > now + configuration.SECONDS_OFF and path.is_file():
                    os.utime(path, (now, now))
                    count += 1
    if count:
        print(
            f"umap-sweep: {count:,} files in results/ are later than now, as if the clock had been set back; they are given "
            f"the time of now.",
            file=sys.stderr,
        )


RESULTS = f"results/{DATASET}"

# `check` changes no results, so that it needs no place among them where there is none.
LOGS = f"{RESULTS}/logs"
CHECK_LOG = f"{LOGS}/check.log" if IMPORTED or can_write(LOGS) else ".snakemake/umap-sweep.check.log"

if workflow.is_main_process and not IMPORTED:
    refuse_what_cannot_be_written()
