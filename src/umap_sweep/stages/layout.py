"""The layout: umap-learn's seeded stochastic gradient descent, bit for bit, in half its time.

The arithmetic, its order and its types follow `umap.layouts.optimize_layout_euclidean` of umap-learn 0.5.12
(McInnes, Healy and Melville, 2018, arXiv:1802.03426, section 4.3) in the case a sweep needs: Euclidean output,
both ends of an edge move, one thread. This module needs numpy and numba alone, and its machine code is loaded from
numba's file cache.

Two things make it faster, and neither changes a bit:

- *When* an edge is sampled, and with how many negative samples, does not depend on positions. `_schedule` finds it
  for a window of epochs in one pass over the edges; the descent then reads a short list, where umap-learn looks at
  every edge in every epoch.
- Most of umap-learn's time goes to `pow`. In two dimensions `_descend` takes the force from a table of polynomials,
  whose relative error is below `TABLE_ERROR`. Positions are stored in single precision, so that error is nearly
  always lost in the rounding: where both ends of the interval of error round to the same number, that number is
  umap-learn's. Where they do not, about once in a thousand steps, the step is done again as umap-learn does it.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# The powers of two between which squared distances have their forces tabulated. Others are rare; their forces are
# computed as umap-learn computes them.
TABLE_RANGE = (-40, 24)
# Each power of two is cut into 2**SEGMENT_BITS pieces, each with a polynomial of TERMS terms.
SEGMENT_BITS = 3
TERMS = 8
# The largest relative error of a polynomial; where one has a larger error, the table is not used.
TABLE_ERROR = 2.0**-32
# The relative errors that `_moved` allows for: twice that of the force, and four roundings of a sum in double
# precision.
FORCE_MARGIN = 2.0 * TABLE_ERROR
SUM_MARGIN = 2.0**-50

# How many sampled edges are scheduled at once, at 12 bytes each; half the number of edges where that is more.
SCHEDULE_ROWS = 4_000_000

# A float32 has 23 bits after its exponent. The first SEGMENT_BITS of them tell the piece of a power of two, the others
# the place within the piece.
SEGMENT_SHIFT = 23 - SEGMENT_BITS
SEGMENT_MASK = (1 << SEGMENT_SHIFT) - 1
SEGMENT_CENTRE = 1 << (SEGMENT_SHIFT - 1)


@intrinsic
def _multiply_add(typing_context, x, y, z):
    """Return x y + z, rounded once where the target CPU has an instruction for it, as LLVM contracts umap-learn's."""

    def generate(context, builder, signature, arguments):
        number = ir.FloatType()
        function = ir.FunctionType(number, [number, number, number])
        return builder.call(cgutils.get_or_insert_function(builder.module, function, "llvm.fmuladd.f32"), arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


@numba.njit(types.float32(types.float32[::1], types.float32[::1]), fastmath=True)
def _squared_distance(x, y):
    total = types.float32(0.0)
    for d in range(x.shape[0]):
        difference = x[d] - y[d]
        total += difference * difference
    return total


@numba.njit
def _clip(step):
    if step > 4.0:
        return 4.0
    if step < -4.0:
        return -4.0
    return step


@numba.njit(fastmath=True)
def _attract(embedding, j, k, a, b, alpha):
    current = embedding[j]
    other = embedding[k]
    squared = _squared_distance(current, other)
    if squared > 0.0:
        coefficient = -2.0 * a * b * pow(squared, b - 1.0)
        coefficient /= a * pow(squared, b) + 1.0
    else:
        coefficient = 0.0
    for d in range(embedding.shape[1]):
        step = _clip(coefficient * (current[d] - other[d]))
        current[d] += step * alpha
        other[d] += -step * alpha


@numba.njit(fastmath=True)
def _repel(embedding, j, k, a, b, gamma, alpha):
    current = embedding[j]
    other = embedding[k]
    squared = _squared_distance(current, other)
    if squared > 0.0:
        coefficient = 2.0 * gamma * b
        coefficient /= (0.001 + squared) * (a * pow(squared, b) + 1)
    elif j == k:
        return
    else:
        coefficient = 0.0
    for d in range(embedding.shape[1]):
        step = _clip(coefficient * (current[d] - other[d])) if coefficient > 0.0 else 0.0
        current[d] += step * alpha


@numba.njit
def _next_random(first, second, third):
    first = (((first & 0xFFFFFFFE) << 12) & 0xFFFFFFFF) ^ ((((first << 13) & 0xFFFFFFFF) ^ first) >> 19)
    second = (((second & 0xFFFFFFF8) << 4) & 0xFFFFFFFF) ^ ((((second << 2) & 0xFFFFFFFF) ^ second) >> 25)
    third = (((third & 0xFFFFFFF0) << 17) & 0xFFFFFFFF) ^ ((((third << 3) & 0xFFFFFFFF) ^ third) >> 11)
    return first, second, third


@numba.njit(error_model="numpy")
def _divide(x, y):
    return x / y


# Each kernel has one signature, so that jobs that compile it at the same moment write the same file into the cache.
_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
_INTEGERS = types.Array(types.int32, 1, "C", readonly=True)


@numba.njit(
    types.void(_FLOATS, types.float64, types.float64[::1], types.float64[::1], types.int64[::1]),
    cache=True,
)
def _start_schedule(samples, negative_sample_rate, next_sample, next_negative_sample, counts):
    """Set when each edge is first due to be sampled, and count the edges that each epoch samples."""
    n_epochs = counts.shape[0]
    for edge in range(samples.shape[0]):
        epochs_per_sample = _divide(types.float64(n_epochs), types.float64(samples[edge]))
        next_sample[edge] = epochs_per_sample
        next_negative_sample[edge] = _divide(epochs_per_sample, negative_sample_rate)
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
        _INTEGERS,
        _INTEGERS,
        _FLOATS,
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
        epochs_per_sample = _divide(types.float64(n_epochs), types.float64(samples[edge]))
        epochs_per_negative_sample = _divide(epochs_per_sample, negative_sample_rate)
        negative_due = next_negative_sample[edge]
        epoch = first
        while due <= end - 1:
            epoch = max(epoch, types.int64(np.ceil(due)))
            if epoch == end:
                break
            n_negative = int(_divide(epoch - negative_due, epochs_per_negative_sample))
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
            first, second, third = _next_random(first, second, third)
            k = types.int32(first ^ second ^ third) % n_vertices
            _repel(embedding, j, k, a, b, gamma, alpha)
        rng_states[j, 0], rng_states[j, 1], rng_states[j, 2] = first, second, third


@numba.njit(fastmath={"contract"})
def _force(table, first_segment, squared):
    """Return the force by its polynomial at a squared distance, and whether the table has one for that distance."""
    bits = np.float32(squared).view(np.int32)
    segment = (bits >> SEGMENT_SHIFT) - first_segment
    if not 0 <= segment < table.shape[0]:
        return 0.0, False
    t = types.float64((bits & SEGMENT_MASK) - SEGMENT_CENTRE)
    t2 = t * t
    low = (table[segment, 3] * t + table[segment, 2]) * t2 + (table[segment, 1] * t + table[segment, 0])
    high = (table[segment, 7] * t + table[segment, 6]) * t2 + (table[segment, 5] * t + table[segment, 4])
    return high * (t2 * t2) + low, True


@numba.njit(fastmath={"contract"})
def _moved(position, step, alpha):
    """Return the position after a step, and whether it is the same at both ends of the interval of error."""
    moved = position + step * alpha
    margin = abs(step * alpha) * FORCE_MARGIN + abs(position) * SUM_MARGIN
    return types.float32(moved), types.float32(moved - margin) == types.float32(moved + margin)


@numba.njit(
    types.void(
        types.float32[:, ::1],
        types.int32[:, ::1],
        types.float64,
        types.float64,
        types.float64,
        types.float64,
        types.int64[:, ::1],
        types.float64[:, ::1],
        types.int64,
        types.float64[:, ::1],
        types.int64,
    ),
    cache=True,
)
def _descend(
    embedding, scheduled, a, b, gamma, alpha, rng_states, attraction, attraction_start, repulsion, repulsion_start
):
    """Walk the edges of one epoch in two dimensions, with forces from the tables where the result is certain."""
    n_vertices = embedding.shape[0]
    for sample in range(scheduled.shape[0]):
        j = scheduled[sample, 0]
        k = scheduled[sample, 1]
        x, y = embedding[j, 0], embedding[j, 1]
        other_x, other_y = embedding[k, 0], embedding[k, 1]
        dx, dy = x - other_x, y - other_y
        force, certain = _force(attraction, attraction_start, _multiply_add(dy, dy, dx * dx))
        if certain:
            step_x, step_y = _clip(force * dx), _clip(force * dy)
            new_x, certain_x = _moved(x, step_x, alpha)
            new_y, certain_y = _moved(y, step_y, alpha)
            other_x, certain_other_x = _moved(other_x, -step_x, alpha)
            other_y, certain_other_y = _moved(other_y, -step_y, alpha)
            certain = certain_x and certain_y and certain_other_x and certain_other_y
        if certain:
            x, y = new_x, new_y
            embedding[k, 0], embedding[k, 1] = other_x, other_y
        else:
            _attract(embedding, j, k, a, b, alpha)
            x, y = embedding[j, 0], embedding[j, 1]

        first, second, third = rng_states[j, 0], rng_states[j, 1], rng_states[j, 2]
        for _ in range(scheduled[sample, 2]):
            first, second, third = _next_random(first, second, third)
            k = types.int32(first ^ second ^ third) % n_vertices
            if k == j:
                continue
            dx, dy = x - embedding[k, 0], y - embedding[k, 1]
            force, certain = _force(repulsion, repulsion_start, _multiply_add(dy, dy, dx * dx))
            if certain:
                new_x, certain_x = _moved(x, _clip(force * dx), alpha)
                new_y, certain_y = _moved(y, _clip(force * dy), alpha)
                certain = certain_x and certain_y
            if certain:
                x, y = new_x, new_y
            else:
                embedding[j, 0], embedding[j, 1] = x, y
                _repel(embedding, j, k, a, b, gamma, alpha)
                x, y = embedding[j, 0], embedding[j, 1]
        embedding[j, 0], embedding[j, 1] = x, y
        rng_states[j, 0], rng_states[j, 1], rng_states[j, 2] = first, second, third


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
    lowest, highest = (int(np.float32(2.0**power).view(np.int32)) >> SEGMENT_SHIFT for power in TABLE_RANGE)
    edges = (np.arange(lowest, highest + 1) << SEGMENT_SHIFT).astype(np.int32).view(np.float32).astype(np.float64)
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
    return np.ascontiguousarray(coefficients[start : max(start, stop)] * scale), lowest + start


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
        Of the curve 1 / (1 + a x^(2b)), from `curve_parameters`.
    n_epochs : int
    repulsion_strength, learning_rate : float
    negative_sample_rate : int

    Returns
    -------
    ndarray of float32, shape (n, n_components)
    """
    embedding = np.array(initial, dtype=np.float32, order="C")
    samples = weight / weight.max()
    samples *= n_epochs
    next_sample, next_negative_sample = np.empty(len(samples)), np.empty(len(samples))
    counts = np.zeros(n_epochs, dtype=np.int64)
    _start_schedule(samples, negative_sample_rate, next_sample, next_negative_sample, counts)
    # Each vertex has its own generator, set apart by the bit pattern of its first coordinate.
    rng_states = np.asarray(rng_state, dtype=np.int64) + embedding[:, :1].astype(np.float64).view(np.int64)

    def attraction(squared: np.ndarray) -> np.ndarray:
        return -2.0 * a * b * squared ** (b - 1.0) / (a * squared**b + 1.0)

    def repulsion(squared: np.ndarray) -> np.ndarray:
        return 2.0 * repulsion_strength * b / ((0.001 + squared) * (a * squared**b + 1.0))

    descend: Callable[..., None] = _descend_any
    tables: tuple[np.ndarray | int, ...] = ()
    if embedding.shape[1] == 2:
        descend, tables = _descend, (*force_table(attraction), *force_table(repulsion))

    ends = np.concatenate([[0], np.cumsum(counts)])
    # A longer window saves passes over the edges, but its schedule takes memory.
    rows = max(SCHEDULE_ROWS, len(samples) // 2, counts.max())
    scheduled = np.empty((min(rows, ends[-1]), 3), dtype=np.int32)
    first = 0
    while first < n_epochs:
        last = int(np.searchsorted(ends, ends[first] + rows, side="right")) - 1
        places = ends[first : last + 1] - ends[first]
        _schedule(
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
            descend(embedding, part, a, b, repulsion_strength, rate, rng_states, *tables)
        first = last
    return embedding


def curve_parameters(spread: float, min_dist: float) -> tuple[float, float]:
    """Return a and b of the curve 1 / (1 + a x^(2b)) that fits a spread and a min_dist.

    Least squares on 300 points of [0, 3 spread], as `umap.umap_.find_ab_params` of umap-learn 0.5.12 does it.

    Parameters
    ----------
    spread : float
    min_dist : float
        Distance up to which points count as close; at most `spread`.

    Returns
    -------
    a, b : float
    """
    from scipy.optimize import curve_fit

    def curve(x: np.ndarray, a: float, b: float) -> np.ndarray:
        return 1.0 / (1.0 + a * x ** (2 * b))

    distance = np.linspace(0, spread * 3, 300)
    closeness = np.where(distance < min_dist, 1.0, np.exp(-(distance - min_dist) / spread))
    with np.errstate(divide="ignore"):  # on its way the fit tries a negative b at distance 0
        (a, b), _ = curve_fit(curve, distance, closeness)
    return float(a), float(b)
