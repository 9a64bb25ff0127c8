# Takes Snakemake's events and its plan; makes the sentence that says, once a minute, how long a run will still take.
import logging
import time
from pathlib import Path

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent
from umap_sweep.planning import remaining
from umap_sweep.planning.sizes import expected_size

# What is said takes a line no more often than this.
SECONDS_BETWEEN = 60


def kind_of(job):
    """Jobs that run one script are of one kind; that of a graph is measured with each of its two solvers."""
    kind = Path(str(job.rule.script)).stem if job.rule.script else job.rule.name
    return GRAPH_JOB if kind == "graph" else kind


def number_of(files):
    return 1 if isinstance(files, str) else len(files)


def planned_job(job):
    """What is known of a job before it runs."""
    kind, names, cores = kind_of(job), dict(job.wildcards.items()), job.rule.resources["_cores"]
    read, made = (number_of(files.get("layouts", "")) for files in (job.input, job.output))
    size = expected_size(
        DATA_FILE.format(dataset=names.get("dataset", DATASET)), names, CELLS, SETTINGS["metrics"], read, made
    )
    return remaining.Planned(
        kind=kind,
        predicted=0.0 if job.is_norun else remaining.predicted(kind, size),
        above=tuple(map(workflow.dag.jobid, workflow.dag.job_dependencies(job))),
        threads=1 if cores.is_evaluable() else cores.value,
        priority=job.priority,
    )


class Watching(logging.Handler):
    """Listens to a run as Snakemake's logger plugins do, and says after the steps that are done what is left.

    Where Snakemake is quiet about steps, it tells of none, and nothing is said.
    """

    def __init__(self):
        super().__init__()
        self.watch = remaining.Watch(workflow.cores)
        self.jobs = {}
        self.last = None

    def emit(self, record):
        try:
            self.listen(getattr(record, "event", None), record, time.monotonic())
        except Exception:
            # What is said of a run must not end it.
            self.setLevel(logging.CRITICAL + 1)
            logger.debug("umap-sweep: how long the run takes is not watched any more", exc_info=True)

    def listen(self, event, record, now):
        if event == LogEvent.JOB_STARTED:
            for job in record.jobs:
                self.watch.start(job, now)
        elif event == LogEvent.JOB_FINISHED:
            self.watch.finish(record.job_id, planned_job(self.job(record.job_id)), now)
        elif event == LogEvent.PROGRESS and (self.last is None or now >= self.last + SECONDS_BETWEEN):
            self.say_what_is_left(now)

    def job(self, number):
        """A checkpoint adds jobs to the plan."""
        if number not in self.jobs:
            every = workflow.dag.needrun_jobs(exclude_finished=False)
            self.jobs = {workflow.dag.jobid(job): job for job in every}
        return self.jobs[number]

    def say_what_is_left(self, now):
        planned = {workflow.dag.jobid(job): planned_job(job) for job in workflow.dag.needrun_jobs()}
        left = self.watch.left(planned, now, grows=any(workflow.dag.checkpoint_jobs))
        if left is not None:
            logger.info(str(left))
            self.last = now


def watch_this_run():
    """How long jobs of a cluster wait for their turn is not known, so that nothing is said of them."""
    if workflow.local_exec and not workflow.touch:
        logger.addHandler(Watching())
