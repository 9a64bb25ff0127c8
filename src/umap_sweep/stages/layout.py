"""The layout: umap-learn's seeded stochastic gradient descent, bit for bit, in half its time.

The arithmetic, its order and its types follow `umap.layouts.optimize_layout_euclidean` of umap-learn 0.5.12
(McInnes, Healy and Melville, 2018, arXiv:1802.03426, section 4.3) in the case a sweep needs: Euclidean output,
both ends of an edge move, one thread. This module needs numpy and numba alone, and its machine code is loaded from
numba's file cache.

Three things make it faster, and none changes a bit:

- *When* an edge is sampled, and with how many negative samples, does not depend on positions. `_schedule` finds it
  for a window of epochs in one pass over the edges; the descent then reads a short list, where umap-learn looks at
  every edge in every epoch.
- Most of umap-learn's time goes to `pow`. In two dimensions `_descend` takes the force from a table of polynomials,
  whose relative error is below `TABLE_ERROR`. Positions are stored in single precision, so that error is nearly
  always lost in the rounding: where both ends of the interval of error round to the same number, that number is
  umap-learn's. Where they do not the step is done again as umap-learn does it.
- Neither the sampled edges nor the negative samples depend on positions, so all cells of one graph and seed have the
  same ones. `_descend` walks them once for several cells side by side, each in a lane of its own (`vectors`). Their
  steps take about as long as those of one cell, because most of a step is waiting for the result of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from numba import types

from umap_sweep import environment
from umap_sweep.stages.lanes import LANES
from umap_sweep.stages.vectors import (
    FIRST_SEGMENT,
    SEGMENT_BITS,
    SEGMENT_CENTRE,
    SEGMENT_SHIFT,
    SEGMENTS,
    TABLE_RANGE,
    TERMS,
    chosen,
    difference,
    load,
    moved,
    pointer_to,
    positions_of,
    prefetch,
    squared_length,
    step_along,
    store,
    tabulated,
)

# The largest relative error of a polynomial; where one has a larger error, the table is not used.
TABLE_ERROR = 2.0**-32
# The relative errors that a step allows for: twice that of the force, and four roundings of a sum in double precision.
FORCE_MARGIN = 2.0 * TABLE_ERROR
SUM_MARGIN = 2.0**-50

# Negative samples are drawn so many sampled edges before they are needed, so that the memory can bring their positions
# meanwhile. Where positions fit into a core's own cache it neither helps nor costs.
AHEAD = 4

# How many sampled edges are scheduled at once, at 12 bytes each; as many as there are edges where that is more.
SCHEDULE_ROWS = 4_000_000


@numba.njit(types.float32(types.float32[::1], types.float32[::1]), fastmath=True)
def squared_distance(x, y):
    """Return the squared distance of two points, as umap-learn's `rdist` does."""
    total = types.float32(0.0)
    for d in range(x.shape[0]):
        difference = x[d] - y[d]
        total += difference * difference
    return total


@numba.njit
def clip(step):
    """Return a step that is 4 long at most."""
    if step > 4.0:
        return 4.0
    if step < -4.0:
        return -4.0
    return step


@numba.njit(fastmath=True)
def _attract(embedding, j, k, a, b, alpha):
    current = embedding[j]
    other = embedding[k]
    squared = squared_distance(current, other)
    if squared > 0.0:
        coefficient = -2.0 * a * b * pow(squared, b - 1.0)
        coefficient /= a * pow(squared, b) + 1.0
    else:
        coefficient = 0.0
    for d in range(embedding.shape[1]):
        step = clip(coefficient * (current[d] - other[d]))
        current[d] += step * alpha
        other[d] += -step * alpha


@numba.njit(fastmath=True)
def _repel(embedding, j, k, a, b, gamma, alpha):
    current = embedding[j]
    other = embedding[k]
    squared = squared_distance(current, other)
    if squared > 0.0:
        coefficient = 2.0 * gamma * b
        coefficient /= (0.001 + squared) * (a * pow(squared, b) + 1)
    elif j == k:
        return
    else:
        coefficient = 0.0
    for d in range(embedding.shape[1]):
        step = clip(coefficient * (current[d] - other[d])) if coefficient > 0.0 else 0.0
        current[d] += step * alpha


@numba.njit
def next_random(first, second, third):
    """Return the next state of umap-learn's generator, `tau_rand_int`."""
    first = (((first & 0xFFFFFFFE) << 12) & 0xFFFFFFFF) ^ ((((first << 13) & 0xFFFFFFFF) ^ first) >> 19)
    second = (((second & 0xFFFFFFF8) << 4) & 0xFFFFFFFF) ^ ((((second << 2) & 0xFFFFFFFF) ^ second) >> 25)
    third = (((third & 0xFFFFFFF0) << 17) & 0xFFFFFFFF) ^ ((((third << 3) & 0xFFFFFFFF) ^ third) >> 11)
    return first, second, third


@numba.njit(error_model="numpy")
def divide(x, y):
    """Return a quotient, infinite where the divisor is 0."""
    return x / y


# Each kernel has one signature, so that jobs that compile it at the same moment write the same file into the cache.
FLOATS = types.Array(types.float32, 1, "C", readonly=True)
INTEGERS = types.Array(types.int32, 1, "C", readonly=True)


@numba.njit(
    types.void(FLOATS, types.float64, types.float64[::1], types.float64[::1], types.int64[::1]),
    cache=True,
)
def _start_schedule(samples, negative_sample_rate, next_sample, next_negative_sample, counts):
    """Set when each edge is first due to be sampled, and count the edges that each epoch samples."""
    n_epochs = counts.shape[0]
    for edge in range(samples.shape[0]):
        epochs_per_sample = divide(types.float64(n_epochs), types.float64(samples[edge]))
        next_sample[edge] = epochs_per_sample
        next_negative_sample[edge] = divide(epochs_per_sample, negative_sample_rate)
        due = epochs_per_sample
        epoch = 0
        while due <= n_epochs - 1:
            epoch = max(epoch, types.int64(np.ceil(due)))
            if epoch == n_epochs:
                break
            counts[epoch] += 1
            due += epochs_per_sample
            epoch += 1


@numba.njit(
    types.void(
        INTEGERS,
        INTEGERS,
        FLOATS,
        types.int64,
        types.float64,
        types.float64[::1],
        types.float64[::1],
        types.int64,
        types.int64[::1],
        types.int32[:, ::1],
    ),
    fastmath={"contract"},
    cache=True,
)
def _schedule(
    head,
    tail,
    samples,
    n_epochs,
    negative_sample_rate,
    next_sample,
    next_negative_sample,
    first,
    places,
    scheduled,
):
    """Write head, tail and number of negative samples of each edge sampled in a window of epochs, epoch by epoch.

    `places` holds the row of `scheduled` for each epoch's next edge, and at its end the row where the last epoch ends.
    """
    end = first + places.shape[0] - 1
    for edge in range(samples.shape[0]):
        due = next_sample[edge]
        if due > end - 1:
            continue
        epochs_per_sample = divide(types.float64(n_epochs), types.float64(samples[edge]))
        epochs_per_negative_sample = divide(epochs_per_sample, negative_sample_rate)
        negative_due = next_negative_sample[edge]
        epoch = first
        while due <= end - 1:
            epoch = max(epoch, types.int64(np.ceil(due)))
            if epoch == end:
                break
            n_negative = int(divide(epoch - negative_due, epochs_per_negative_sample))
            place = places[epoch - first]
            scheduled[place, 0] = head[edge]
            scheduled[place, 1] = tail[edge]
            scheduled[place, 2] = n_negative
            places[epoch - first] = place + 1
            due += epochs_per_sample
            negative_due += n_negative * epochs_per_negative_sample
            epoch += 1
        next_sample[edge] = due
        next_negative_sample[edge] = negative_due


@numba.njit(
    types.void(
        types.float32[:, ::1],
        types.int32[:, ::1],
        types.float64,
        types.float64,
        types.float64,
        types.float64,
        types.int64[:, ::1],
    ),
    cache=True,
)
def _descend_any(embedding, scheduled, a, b, gamma, alpha, rng_states):
    """Walk the edges of one epoch in any number of dimensions, with every force computed as umap-learn does."""
    n_vertices = embedding.shape[0]
    for sample in range(scheduled.shape[0]):
        j = scheduled[sample, 0]
        _attract(embedding, j, scheduled[sample, 1], a, b, alpha)
        first, second, third = rng_states[j]
        for _ in range(scheduled[sample, 2]):
            first, second, third = next_random(first, second, third)
            k = types.int32(first ^ second ^ third) % n_vertices
            _repel(embedding, j, k, a, b, gamma, alpha)
        rng_states[j, 0], rng_states[j, 1], rng_states[j, 2] = first, second, third


@numba.njit
def _taken_out(place, width, lane, j, k):
    """Return the positions of two vertices in one lane, shape (2, 2)."""
    pair = np.empty((2, 2), np.float32)
    for axis in range(2):
        pair[0, axis] = place[(2 * j + axis) * width + lane]
        pair[1, axis] = place[(2 * k + axis) * width + lane]
    return pair


@numba.njit
def _attract_again(positions, width, j, k, curves, alpha, certain):
    """Attract as umap-learn computes it in the lanes whose bits are not set in `certain`."""
    place = pointer_to(positions)
    for lane in range(width):
        if (certain >> lane) & 1:
            continue
        pair = _taken_out(place, width, lane, j, k)
        # The two ends of a loop are one vertex.
        _attract(pair, 0, 0 if j == k else 1, curves[2 * lane], curves[2 * lane + 1], alpha)
        for axis in range(2):
            place[(2 * j + axis) * width + lane] = pair[0, axis]
            if j != k:
                place[(2 * k + axis) * width + lane] = pair[1, axis]


@numba.njit
def _repel_again(positions, width, j, k, curves, gamma, alpha, certain):
    """Repel likewise."""
    place = pointer_to(positions)
    for lane in range(width):
        if (certain >> lane) & 1:
            continue
        pair = _taken_out(place, width, lane, j, k)
        _repel(pair, 0, 1, curves[2 * lane], curves[2 * lane + 1], gamma, alpha)
        for axis in range(2):
            place[(2 * j + axis) * width + lane] = pair[0, axis]


@numba.njit(forceinline=True)
def _attract_by_table(positions, width, j, k, table, curves, alpha):
    """Attract the ends of an edge to each other, and return the new position of the first."""
    x, y = load(positions, j, 0), load(positions, j, 1)
    other_x, other_y = load(positions, k, 0), load(positions, k, 1)
    dx, dy = difference(x, other_x), difference(y, other_y)
    force, certain = tabulated(table, squared_length(dx, dy))
    step_x, step_y = step_along(force, dx), step_along(force, dy)
    new_x, certain_x = moved(x, step_x, alpha, FORCE_MARGIN, SUM_MARGIN)
    new_y, certain_y = moved(y, step_y, alpha, FORCE_MARGIN, SUM_MARGIN)
    new_other_x, certain_other_x = moved(other_x, step_x, -alpha, FORCE_MARGIN, SUM_MARGIN)
    new_other_y, certain_other_y = moved(other_y, step_y, -alpha, FORCE_MARGIN, SUM_MARGIN)
    certain &= certain_x & certain_y & certain_other_x & certain_other_y
    if certain == (1 << width) - 1:
        store(positions, k, 0, new_other_x)
        store(positions, k, 1, new_other_y)
        return new_x, new_y
    _attract_again(positions, width, j, k, curves, alpha, certain)
    store(positions, k, 0, chosen(certain, new_other_x, load(positions, k, 0)))
    store(positions, k, 1, chosen(certain, new_other_y, load(positions, k, 1)))
    return chosen(certain, new_x, load(positions, j, 0)), chosen(certain, new_y, load(positions, j, 1))


@numba.njit(forceinline=True)
def _repel_by_table(positions, width, j, k, x, y, table, curves, gamma, alpha):
    """Return the position of the first vertex, now at x and y, after the second has repelled it."""
    dx, dy = difference(x, load(positions, k, 0)), difference(y, load(positions, k, 1))
    force, certain = tabulated(table, squared_length(dx, dy))
    new_x, certain_x = moved(x, step_along(force, dx), alpha, FORCE_MARGIN, SUM_MARGIN)
    new_y, certain_y = moved(y, step_along(force, dy), alpha, FORCE_MARGIN, SUM_MARGIN)
    certain &= certain_x & certain_y
    if certain == (1 << width) - 1:
        return new_x, new_y
    store(positions, j, 0, x)
    store(positions, j, 1, y)
    _repel_again(positions, width, j, k, curves, gamma, alpha, certain)
    return chosen(certain, new_x, load(positions, j, 0)), chosen(certain, new_y, load(positions, j, 1))


_TABLES = types.Array(types.float64, 3, "C")
_CURVES = types.Array(types.float64, 2, "C")


def descent_signature(dimensions: int) -> Any:
    """Return the signature of a walk over the edges of one epoch, for positions of so many dimensions of array."""
    positions = types.Array(types.float32, dimensions, "C")
    numbers = (types.float64, types.float64, types.int64[:, ::1])
    return types.void(positions, types.int32[:, ::1], _TABLES, _TABLES, _CURVES, *numbers)


@numba.njit([descent_signature(2), descent_signature(3)], cache=True)
def _descend(embedding, scheduled, attraction, repulsion, curves, gamma, alpha, rng_states):
    """Walk the edges of one epoch in two dimensions, with forces from the tables where the result is certain.

    `embedding` is (n, 2), or (n, 2, `LANES`) for several cells; `attraction` and `repulsion` are their tables, and
    `curves` their a and b.
    """
    n_vertices = embedding.shape[0]
    n_samples = scheduled.shape[0]
    width = curves.shape[0]
    positions = positions_of(embedding)
    attracting, repelling, curve = pointer_to(attraction), pointer_to(repulsion), pointer_to(curves)
    most = 0
    for sample in range(n_samples):
        most = max(most, scheduled[sample, 2])
    # The negative samples of the current edge and of those that come next, in a ring.
    drawn = np.empty((AHEAD + 1, most), np.int32)
    counts = np.zeros(AHEAD + 1, np.int64)
    slot = 0
    for sample in range(-AHEAD, n_samples):
        x = y = load(positions, 0, 0)
        j = 0
        if sample >= 0:
            j = scheduled[sample, 0]
            x, y = _attract_by_table(positions, width, j, scheduled[sample, 1], attracting, curve, alpha)
        next_j = 0
        n_draws = 0
        if sample + AHEAD < n_samples:
            next_j = scheduled[sample + AHEAD, 0]
            n_draws = scheduled[sample + AHEAD, 2]
            prefetch(positions, next_j)
            prefetch(positions, scheduled[sample + AHEAD, 1])
        next_slot = slot - 1 if slot > 0 else AHEAD
        first, second, third = rng_states[next_j, 0], rng_states[next_j, 1], rng_states[next_j, 2]
        n_drawn = 0
        # Drawing beside the steps takes no time of its own: the steps mostly wait for each other.
        for place in range(max(n_draws, counts[slot])):
            if place < n_draws:
                first, second, third = next_random(first, second, third)
                k = types.int32(first ^ second ^ third) % n_vertices
                if k != next_j:
                    prefetch(positions, k)
                    drawn[next_slot, n_drawn] = k
                    n_drawn += 1
            if place < counts[slot]:
                k = drawn[slot, place]
                x, y = _repel_by_table(positions, width, j, k, x, y, repelling, curve, gamma, alpha)
        if sample >= 0:
            store(positions, j, 0, x)
            store(positions, j, 1, y)
        if n_draws > 0:
            rng_states[next_j, 0], rng_states[next_j, 1], rng_states[next_j, 2] = first, second, third
        counts[next_slot] = n_drawn
        slot = slot + 1 if slot < AHEAD else 0


def force_table(force: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, int]:
    """Tabulate a force over squared distances as polynomials.

    Each piece of `TABLE_RANGE` has the polynomial through the force at its Chebyshev nodes. The polynomial's error is
    measured at other points; the table keeps the pieces around distance 1 whose error stays below `TABLE_ERROR`.

    Parameters
    ----------
    force : callable
        Takes and returns an ndarray of float64.

    Returns
    -------
    coefficients : ndarray of float64, shape (pieces, TERMS)
        Of the powers of the offset from a piece's centre; its unit is the last bit of a float32 in that piece.
    first_segment : int
        Number of the first piece: the bits of a float32 distance in it, shifted right by `SEGMENT_SHIFT`.
    """
    segments = np.arange(FIRST_SEGMENT, FIRST_SEGMENT + SEGMENTS + 1)
    edges = (segments << SEGMENT_SHIFT).astype(np.int32).view(np.float32).astype(np.float64)
    left, width = edges[:-1, None], np.diff(edges)[:, None]
    nodes = np.cos((2 * np.arange(TERMS) + 1) * np.pi / (2 * TERMS))
    coefficients = force(left + width * (nodes + 1) / 2) @ np.linalg.inv(np.vander(nodes, increasing=True)).T
    tried = np.linspace(-1, 1, 3 * TERMS)
    exact = force(left + width * (tried + 1) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(coefficients @ np.vander(tried, TERMS, increasing=True).T / exact - 1).max(axis=1)
    # Half of what is allowed, because the error between the points tried may be a little larger.
    bad = np.flatnonzero(~(error < TABLE_ERROR / 2))
    middle = -TABLE_RANGE[0] << SEGMENT_BITS
    start = int(max(bad[bad < middle], default=-1)) + 1
    stop = int(min(bad[bad >= middle], default=len(edges) - 1))
    scale = float(SEGMENT_CENTRE) ** -np.arange(TERMS)
    return np.ascontiguousarray(coefficients[start : max(start, stop)] * scale), FIRST_SEGMENT + start


def optimize(
    initial: np.ndarray,
    head: np.ndarray,
    tail: np.ndarray,
    weight: np.ndarray,
    rng_state: np.ndarray,
    a: float,
    b: float,
    n_epochs: int,
    repulsion_strength: float = 1.0,
    learning_rate: float = 1.0,
    negative_sample_rate: int = 5,
) -> np.ndarray:
    """Return the embedding after `n_epochs` of seeded gradient descent.

    Equal, bit for bit, to `optimize_layout_euclidean(..., parallel=False, move_other=True)` of umap-learn 0.5.12 in
    the same environment.

    Parameters
    ----------
    initial : ndarray of float32, shape (n, n_components)
        Positions to start from; not changed.
    head, tail : ndarray of int32, shape (n_edges,)
        Ends of each edge, in the order in which an epoch walks them.
    weight : ndarray of float32, shape (n_edges,)
        Membership strengths, which decide how often an edge is sampled.
    rng_state : ndarray of int64, shape (3,)
        Start of the negative samples' random numbers.
    a, b : float
        Of the curve 1 / (1 + a x^(2b)), from `umap_sweep.cells.curve.parameters`.
    n_epochs : int
    repulsion_strength, learning_rate : float
    negative_sample_rate : int

    Returns
    -------
    ndarray of float32, shape (n, n_components)
    """
    curves = [(a, b)]
    return optimize_cells(
        initial,
        head,
        tail,
        weight,
        rng_state,
        curves,
        n_epochs,
        repulsion_strength,
        learning_rate,
        negative_sample_rate,
    )[0]


def optimize_cells(
    initial: np.ndarray,
    head: np.ndarray,
    tail: np.ndarray,
    weight: np.ndarray,
    rng_state: np.ndarray,
    curves: Sequence[tuple[float, float]],
    n_epochs: int,
    repulsion_strength: float = 1.0,
    learning_rate: float = 1.0,
    negative_sample_rate: int = 5,
    portable: bool | None = None,
) -> list[np.ndarray]:
    """Return the embeddings of several cells that share a graph and a start; each as `optimize` alone returns it.

    Parameters
    ----------
    curves : sequence of (float, float)
        The a and b of each cell.
    initial, head, tail, weight, rng_state, n_epochs, repulsion_strength, learning_rate, negative_sample_rate
        As for `optimize`.
    portable : bool, optional
        Whether to compute in arithmetic that no CPU changes, with other last bits than umap-learn's; by default where
        this process is held to `portable`.

    Returns
    -------
    list of ndarray of float32, shape (n, n_components)
        One for each of `curves`.
    """
    portable = environment.is_portable() if portable is None else portable
    schedule, kind = _schedule, _Group
    if portable:
        from umap_sweep.stages import portable_layout  # its kernels take seconds to compile

        schedule, kind = portable_layout.schedule, _PortableGroup
    start = np.array(initial, dtype=np.float32, order="C")
    samples = weight / weight.max()
    samples *= n_epochs
    next_sample, next_negative_sample = np.empty(len(samples)), np.empty(len(samples))
    counts = np.zeros(n_epochs, dtype=np.int64)
    _start_schedule(samples, negative_sample_rate, next_sample, next_negative_sample, counts)
    # Each vertex has its own generator, set apart by the bit pattern of its first coordinate.
    rng_states = np.asarray(rng_state, dtype=np.int64) + start[:, :1].astype(np.float64).view(np.int64)
    in_lanes = LANES if start.shape[1] == 2 else 1
    groups = [
        kind(start, rng_states.copy(), curves[first : first + in_lanes], repulsion_strength)
        for first in range(0, len(curves), in_lanes)
    ]

    ends = np.concatenate([[0], np.cumsum(counts)])
    # A longer window saves passes over the edges, but its schedule takes memory.
    rows = max(SCHEDULE_ROWS, len(samples), counts.max())
    scheduled = np.empty((min(rows, ends[-1]), 3), dtype=np.int32)
    first = 0
    while first < n_epochs:
        last = int(np.searchsorted(ends, ends[first] + rows, side="right")) - 1
        places = ends[first : last + 1] - ends[first]
        schedule(
            head,
            tail,
            samples,
            n_epochs,
            negative_sample_rate,
            next_sample,
            next_negative_sample,
            first,
            places.copy(),
            scheduled,
        )
        for epoch in range(first, last):
            rate = learning_rate * (1.0 - (epoch - 1) / n_epochs) if epoch > 0 else learning_rate
            part = scheduled[places[epoch - first] : places[epoch - first + 1]]
            for group in groups:
                group.descend(part, rate)
        first = last
    return [embedding for group in groups for embedding in group.embeddings()]


class _Group:
    """The cells that one walk over the edges lays out: up to `LANES` in two dimensions, otherwise one."""

    def __init__(
        self,
        start: np.ndarray,
        rng_states: np.ndarray,
        curves: Sequence[tuple[float, float]],
        repulsion_strength: float,
    ) -> None:
        self._n_cells = len(curves)
        self._rng_states = rng_states
        self._repulsion_strength = repulsion_strength
        if len(curves) == 1:
            self._positions = start.copy()
        else:
            curves = [*curves, *[curves[-1]] * (LANES - len(curves))]
            self._positions = _in_lines_of_cache((*start.shape, LANES))
            self._positions[:] = start[:, :, np.newaxis]
        self._curves = np.array(curves)
        self._tables = self._tables_of(curves)

    def _tables_of(self, curves: Sequence[tuple[float, float]]) -> list[np.ndarray]:
        """Return the tables of attraction and of repulsion, one for each curve; none but in two dimensions."""
        if self._positions.shape[1] != 2:
            return []
        tables = [_tables(*curve, self._repulsion_strength) for curve in curves]
        return [np.stack(kind) for kind in zip(*tables, strict=True)]

    def descend(self, scheduled: np.ndarray, rate: float) -> None:
        """Walk the edges of one epoch."""
        gamma, states = self._repulsion_strength, self._rng_states
        if self._positions.shape[1] == 2:
            attraction, repulsion = self._tables
            _descend(self._positions, scheduled, attraction, repulsion, self._curves, gamma, rate, states)
        else:
            a, b = self._curves[0]
            _descend_any(self._positions, scheduled, a, b, gamma, rate, states)

    def embeddings(self) -> list[np.ndarray]:
        """Return the positions of each cell."""
        if self._positions.ndim == 2:
            return [self._positions]
        return [np.ascontiguousarray(self._positions[:, :, lane]) for lane in range(self._n_cells)]


class _PortableGroup(_Group):
    """The same, in arithmetic that no CPU changes."""

    def _tables_of(self, curves: Sequence[tuple[float, float]]) -> list[np.ndarray]:
        from umap_sweep.stages import portable_layout

        tables = [portable_layout.tables(*curve, self._repulsion_strength) for curve in curves]
        return [np.stack(kind) for kind in zip(*tables, strict=True)]

    def descend(self, scheduled: np.ndarray, rate: float) -> None:
        """Walk the edges of one epoch."""
        from umap_sweep.stages import portable_layout

        walk = portable_layout.descend if self._positions.shape[1] == 2 else portable_layout.descend_any
        attraction, repulsion = self._tables
        gamma, states = self._repulsion_strength, self._rng_states
        walk(self._positions, scheduled, attraction, repulsion, self._curves, gamma, rate, states)


def _in_lines_of_cache(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of float32 that begins with a line of the cache, so that no vertex is in two of them."""
    count = int(np.prod(shape))
    numbers = np.empty(count + 16, dtype=np.float32)
    skipped = -numbers.ctypes.data % 64 // 4
    return numbers[skipped : skipped + count].reshape(shape)


def _tables(a: float, b: float, repulsion_strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the polynomials of attraction and repulsion, float64, (`SEGMENTS`, `TERMS`); NaN where there is none.

    A step of NaN is not certain, so that it is done as umap-learn does it.
    """

    def attraction(squared: np.ndarray) -> np.ndarray:
        return -2.0 * a * b * squared ** (b - 1.0) / (a * squared**b + 1.0)

    def repulsion(squared: np.ndarray) -> np.ndarray:
        return 2.0 * repulsion_strength * b / ((0.001 + squared) * (a * squared**b + 1.0))

    tables = []
    for force in (attraction, repulsion):
        coefficients, first_segment = force_table(force)
        tables.append(np.full((SEGMENTS, TERMS), np.nan))
        start = first_segment - FIRST_SEGMENT
        tables[-1][start : start + len(coefficients)] = coefficients
    return tables[0], tables[1]
