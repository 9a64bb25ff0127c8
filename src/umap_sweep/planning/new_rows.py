"""The memory and time that a job needs which places new rows: those of a k-NN's job on the stored rows, and more."""

from __future__ import annotations

import math

from umap_sweep.planning import resources
from umap_sweep.stages.umap_learn import SMALL_DATA

# Bytes of a value of a new row, which is read, put into the order of the columns and searched with; and of the
# distances to stored rows, as many of which are in memory as `stages.new_rows` says, with the places of the nearest.
VALUE_BYTES, DISTANCES_BYTES = 12, 300e6

# Seconds of a distance to one of few stored rows, which takes a call of its own; of a column of one to one of many;
# and of moving a row. Measured on digits and MNIST with two busy cores.
OF_CALL, OF_COLUMN, OF_ROW = 3e-6, 1.5e-10, 1e-3


def asked_memory_mb(stored: resources.Size, new: resources.Size, attempt: int) -> int:
    """Return the memory (MB) to ask a scheduler for; twice as much with each attempt, of which the first is 1."""
    more = math.ceil((VALUE_BYTES * new.rows * new.dimensions + DISTANCES_BYTES) / 1e6)
    asked: int = resources.asked_memory_mb("knn", stored, attempt) + more * 2 ** (attempt - 1)
    return asked


def asked_minutes(stored: resources.Size, new: resources.Size, attempt: int) -> int:
    """Return the time (minutes) to ask a scheduler for; twice as much with each attempt, of which the first is 1."""
    of_pair = OF_CALL if stored.rows < SMALL_DATA else OF_COLUMN * stored.dimensions
    seconds = new.rows * (stored.rows * of_pair + OF_ROW)
    asked: int = (resources.LEAST_MINUTES + math.ceil(resources.TIME_MARGIN * seconds / 60)) * 2 ** (attempt - 1)
    return asked
