"""How long a run will still take, from what its finished jobs took."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from umap_sweep.planning import resources

# That at least a few seconds are left says nothing.
LEAST_SECONDS = 30


@dataclass(frozen=True)
class Planned:
    """A job that has not finished yet.

    Attributes
    ----------
    kind : str
        Jobs of one kind take as long as each other, in proportion to what is predicted of them.
    predicted : float or None
        Seconds; None where nothing is known of such jobs.
    above : tuple of int
        The jobs that it waits for, those that have finished among them or not.
    threads : int
        Cores that it takes.
    priority : int
        Of the jobs that could start, those of the highest priority do.
    """

    kind: str
    predicted: float | None
    above: tuple[int, ...] = ()
    threads: int = 1
    priority: int = 0


@dataclass(frozen=True)
class Left:
    """What is left of a run: seconds, and whether it may well be more, because nothing is known of some jobs."""

    seconds: float
    at_least: bool

    def __str__(self) -> str:
        """Return a sentence for the terminal."""
        minutes = round(self.seconds / 60)
        if minutes < 1:
            return "Less than a minute left."
        hours = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        return f"{'At least' if self.at_least else 'About'} {hours} left."


class Watch:
    """What the jobs of a run took so far.

    Parameters
    ----------
    cores : int
        How many of them the run has.
    """

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._started: dict[int, float] = {}
        self._took: dict[str, list[tuple[float, float | None]]] = {}
        self._finished: set[int] = set()

    def start(self, job: int, now: float) -> None:
        """Note that a job starts, at a time in seconds; a job that is tried again starts once more."""
        self._started[job] = now

    def finish(self, job: int, planned: Planned, now: float) -> None:
        """Note that a job has finished."""
        self._finished.add(job)
        if job in self._started:
            self._took.setdefault(planned.kind, []).append((now - self._started.pop(job), planned.predicted))

    def expected(self, planned: Planned) -> float | None:
        """Return how many seconds a job will take, or None where nothing is known of such jobs.

        What is predicted holds for one machine; here it takes as many times longer as it took jobs of the same kind, or
        else all jobs together.
        """
        if planned.predicted == 0:
            return 0.0
        alike = self._took.get(planned.kind, [])
        if planned.predicted is None:
            return median(took for took, _ in alike) if alike else None
        ratios = [took / predicted for took, predicted in alike if predicted]
        if ratios:
            # The first of a kind may compile what the others find compiled; the median forgets it.
            return planned.predicted * median(ratios)
        every = [(took, predicted) for kind in self._took.values() for took, predicted in kind if predicted]
        if not every:
            return None
        return planned.predicted * sum(took for took, _ in every) / sum(predicted for _, predicted in every)

    def left(self, jobs: Mapping[int, Planned], now: float, grows: bool = False) -> Left | None:
        """Return what is left of a run, or None where nothing can be said.

        Parameters
        ----------
        jobs : mapping of int to Planned
            Those that are left; one that was noted to have finished may still be among them.
        now : float
            Seconds, of the same clock as in `start` and `finish`.
        grows : bool
            Whether more jobs may be planned later.
        """
        jobs = {job: planned for job, planned in jobs.items() if job not in self._finished}
        expected = {job: self.expected(planned) for job, planned in jobs.items()}
        if all(wanted == 0 for wanted in expected.values()):
            return None
        seconds, at_least = {}, grows
        for job, wanted in expected.items():
            passed = now - self._started[job] if job in self._started else 0.0
            at_least = at_least or wanted is None or passed > wanted
            seconds[job] = max((wanted or 0.0) - passed, 0.0)
        running = [job for job in jobs if job in self._started]
        left = Left(_end(jobs, seconds, running, self.cores), at_least)
        return None if at_least and left.seconds < LEAST_SECONDS else left


def _end(jobs: Mapping[int, Planned], seconds: Mapping[int, float], running: list[int], cores: int) -> float:
    """Return when the last job ends, where each starts as soon as what it waits for has ended and cores are free."""
    waits = {job: {one for one in jobs[job].above if one in jobs} for job in jobs}
    below: dict[int, list[int]] = {}
    for job, above in waits.items():
        for one in above:
            below.setdefault(one, []).append(job)
    threads = {job: min(max(jobs[job].threads, 1), cores) for job in jobs}
    ends = [(seconds[job], job) for job in running]
    heapq.heapify(ends)
    ready = [(-jobs[job].priority, -seconds[job], job) for job in jobs if not waits[job] and job not in running]
    heapq.heapify(ready)
    free, now = cores - sum(threads[job] for job in running), 0.0
    while ready or ends:
        held = []
        while ready and free > 0:
            first = heapq.heappop(ready)
            if threads[first[-1]] > free:
                held.append(first)
                continue
            free -= threads[first[-1]]
            heapq.heappush(ends, (now + seconds[first[-1]], first[-1]))
        for first in held:
            heapq.heappush(ready, first)
        now, job = heapq.heappop(ends)
        free += threads[job]
        for one in below.get(job, []):
            waits[one].discard(job)
            if not waits[one]:
                heapq.heappush(ready, (-jobs[one].priority, -seconds[one], one))
    return now


def predicted(kind: str, size: resources.Size) -> float | None:
    """Return the predicted seconds of a job, or None where such jobs were not measured.

    Parameters
    ----------
    kind : str
        Name of its script.
    size : Size
        Of what it works on; without rows nothing is known.
    """
    return resources.seconds(kind, size) if size.rows and resources.is_measured(kind) else None
