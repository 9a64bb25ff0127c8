"""The memory and time that a job needs, predicted from the size of what it works on.

The weights in `resources.yaml` are fitted by `benchmarks/jobs.py` to the peak memory and the time of measured jobs of
each rule. A scheduler that knows what jobs need runs many side by side and kills none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from umap_sweep.planning import layout_jobs
from umap_sweep.stages.umap_learn import SMALL_DATA

WEIGHTS = Path(__file__).with_name("resources.yaml")

# NN-descent compares candidates in blocks of BLOCK_ROWS rows, at most MOST_CANDIDATES of each row.
BLOCK_ROWS, MOST_CANDIDATES = 16384, 60

# The metrics hold no more distances from rows that are compared with all others in memory than these.
MOST_DISTANCES = 2**26

# How many neighbours of each row the metrics look at, where the k-NN has as many: 150, and the row itself.
RANKED = 151

# How much is asked for, as a multiple of what is predicted. No job was seen to exceed its prediction by a quarter,
# apart from figures of many panels. For time the margin is larger, because other machines are slower, and a job that
# runs out of time has worked in vain.
MEMORY_MARGIN = 1.25
TIME_MARGIN = 6
LEAST_MINUTES = 10

# On a cluster, two processes of Snakemake run beside a job's own, 180 MB each, and a scheduler counts all three.
SNAKEMAKE_MB = 400

# Bytes of each row that a layout job takes for each cell but its first: 33 were measured at two million rows of two
# dimensions, cell after cell; side by side each has its place once more.
BYTES_OF_A_CELL = 40

# What each unit of the sample contributes to a metric is a float32. A comparison of settings holds this of all cells at
# once, and of all settings the means and these again, centred: 440 kB were measured for each cell of ten seeds.
TRIPLETS, METRICS_OF_ROWS = 100_000, 6
BYTES_OF_UNIT = 4

# Two settings are compared by ten metrics, each of them a row of a table. Of a row 160 to 420 bytes were measured in
# the jobs that make and read the table of 2,000 settings, what they hold besides included.
METRICS_COMPARED, BYTES_OF_COMPARISON = 10, 300

# The neighbourhoods of one setting, 15 int32 for each row and seed.
BYTES_OF_NEIGHBORHOOD = 60

# A graph has so many edges, both directions counted, for each row and neighbour: 1.2 to 1.7 where they were counted.
EDGES_OF_NEIGHBOR = 1.5

# The least that a k-NN job takes where NN-descent is not compiled yet.
COMPILER_MB = 800


# What umap-learn itself takes in a job that imports and compiles it, and how many times as long its layout by densMAP
# takes as a layout of ours: 3.5 in processor time for a cell of digits, whose epochs are 700 where they are 500.
UMAP_LEARN_BYTES, DENSMAP_TIMES = 400e6, 4


@dataclass(frozen=True)
class Size:
    """What the memory and the time of jobs grow with.

    Attributes
    ----------
    rows, dimensions : int
        Of the data.
    neighbors : int
        k of the k-NN, or n_neighbors of a cell.
    edges : int
        Of the fuzzy graph, each counted in both directions.
    points : int
        Rows of all embeddings that the job reads, together.
    compared : int
        Rows that the metrics compare with all other rows.
    laid_out : int
        Cells that a layout job takes.
    measured : int
        Cells of which a comparison of settings holds what the sample contributes to their metrics.
    seeds : int
        How many of these one setting has.
    settings : int
        Those of which the job holds comparisons, two by two.
    umap_learn : bool
        Whether umap-learn itself has a part in the job.
    """

    rows: int = 0
    dimensions: int = 0
    neighbors: int = 0
    edges: int = 0
    points: int = 0
    compared: int = 0
    laid_out: int = 1
    measured: int = 0
    seeds: int = 1
    settings: int = 0
    umap_learn: bool = False

    def terms(self) -> dict[str, float]:
        """Return, by name, the quantities that weights are multiplied with."""
        return {
            "constant": 1,
            "rows": self.rows,
            "rows × dimensions": self.rows * self.dimensions,
            "rows × n_neighbors": self.rows * self.neighbors,
            "rows × ranked": self.rows * min(self.neighbors, RANKED),
            "rows × √rows": self.rows**1.5,  # what ARPACK works in: √rows vectors
            "rows × (√rows)²": self.rows**2,  # what it makes orthogonal: each of them to all others
            "rows²": self.rows**2 if self.rows < SMALL_DATA else 0,
            "edges": self.edges,
            "points": self.points,
            "rows × compared": self.rows * self.compared,
            "distances": min(self.rows * self.compared, MOST_DISTANCES),
            "compared²": self.compared**2,
            "candidates²": min(self.rows, BLOCK_ROWS) * min(self.neighbors, MOST_CANDIDATES) ** 2,
        }


@cache
def _weights() -> dict[str, dict[str, dict[str, float]]]:
    import yaml

    weights: dict[str, dict[str, dict[str, float]]] = yaml.safe_load(WEIGHTS.read_text(encoding="utf-8"))
    return weights


def is_measured(job: str) -> bool:
    """Return whether there are weights for a job."""
    return job in _weights()


def _sum(weights: Mapping[str, float], size: Size) -> float:
    terms = size.terms()
    return sum(weight * terms[name] for name, weight in weights.items())


def memory(job: str, size: Size) -> float:
    """Return the predicted peak memory of a job, in bytes.

    Parameters
    ----------
    job : str
        Name of its rule, which is that of its script too.
    size : Size
        Of what it works on.
    """
    own = UMAP_LEARN_BYTES if size.umap_learn else 0
    of_cells = memory_of_more_cells(size) + memory_of_measured_cells(size) + memory_of_comparisons(size)
    return _sum(_weights()[job]["memory"], size) + of_cells + own


def memory_of_more_cells(size: Size) -> float:
    """Return what a layout job takes more than if it had one cell, in bytes."""
    return BYTES_OF_A_CELL * size.rows * (size.laid_out - 1)


def memory_of_measured_cells(size: Size) -> float:
    """Return what a comparison of settings takes for the cells that it compares, in bytes."""
    units = TRIPLETS + METRICS_OF_ROWS * size.compared
    of_neighbors = BYTES_OF_NEIGHBORHOOD * size.rows * size.seeds if size.measured else 0
    return BYTES_OF_UNIT * units * size.measured * (1 + 2 / size.seeds) + of_neighbors


def memory_of_comparisons(size: Size) -> float:
    """Return what a job takes for the comparisons of settings that it holds, in bytes."""
    return BYTES_OF_COMPARISON * METRICS_COMPARED * size.settings * (size.settings - 1) / 2


def seconds(job: str, size: Size) -> float:
    """Return the predicted time of a job, in seconds, the start of its process included; parameters as in `memory`."""
    times = DENSMAP_TIMES if job == "layout" and size.umap_learn else 1
    return _sum(_weights()[job]["seconds"], size) * layout_jobs.cost(size.laid_out) * times


def edges_of(rows: int, neighbors: int) -> int:
    """Return about how many edges a graph will have, both directions counted."""
    return int(EDGES_OF_NEIGHBOR * rows * neighbors)


def minutes_of_long_start(size: Size) -> float | None:
    """Return how long the start `spectral` is predicted to take (minutes), or None where a layout takes longer.

    Parameters
    ----------
    size : Size
        Of the data and of one n_neighbors; `edges` is not used.
    """
    size = replace(size, edges=edges_of(size.rows, size.neighbors))
    start = seconds("graph", size) - seconds("lean_graph", size)
    return start / 60 if start > seconds("layout", size) else None


def asked_memory_mb(job: str, size: Size, attempt: int) -> int:
    """Return the memory (MB) to ask a scheduler for; twice as much with each attempt, of which the first is 1."""
    own = max(math.ceil(MEMORY_MARGIN * memory(job, size) / 1e6), COMPILER_MB if job == "knn" else 0)
    asked: int = (SNAKEMAKE_MB + own) * 2 ** (attempt - 1)
    return asked


def asked_minutes(job: str, size: Size, attempt: int) -> int:
    """Return the time (minutes) to ask a scheduler for; twice as much with each attempt, of which the first is 1."""
    asked: int = (LEAST_MINUTES + math.ceil(TIME_MARGIN * seconds(job, size) / 60)) * 2 ** (attempt - 1)
    return asked
