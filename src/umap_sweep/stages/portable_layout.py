"""The layout's descent under `cpu: portable`: the same steps as in `layout`, in arithmetic that no CPU changes.

A force comes from a table of polynomials over the squared distance, whose relative error is below `TABLE_ERROR`, and
where the table ends from `arithmetic.power`. Here the table's value *is* the force, so that no step is done again;
positions are in single precision, to which that error is small. Table, polynomials and steps are made of additions and
multiplications that are rounded one by one, on one lane as on several, so that cells side by side have the bits of a
cell alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from umap_sweep import arithmetic
from umap_sweep.stages.layout import AHEAD, FLOATS, INTEGERS, clip, descent_signature, divide, next_random
from umap_sweep.stages.vectors import (
    FIRST_SEGMENT,
    SEGMENT_CENTRE,
    SEGMENT_SHIFT,
    SEGMENTS,
    TERMS,
    Vector,
    difference,
    load,
    moved_unfused,
    pointer_to,
    positions_of,
    prefetch,
    squared_length_unfused,
    step_along,
    store,
    tabulated_unfused,
)

# The largest relative error of a polynomial at the points where it is tried.
TABLE_ERROR = 2.0**-32

# cos((2 i + 1) π / 16): where a polynomial of eight terms meets the force.
_HALF = (0.9807852804032304, 0.8314696123025452, 0.5555702330196022, 0.19509032201612828)
NODES = (*_HALF, *(-one for one in reversed(_HALF)))

# Of Chebyshev's polynomials from the first on, the coefficients of the powers.
_POWERS = (
    (1,),
    (0, 1),
    (-1, 0, 2),
    (0, -3, 0, 4),
    (1, 0, -8, 0, 8),
    (0, 5, 0, -20, 0, 16),
    (-1, 0, 18, 0, -48, 0, 32),
    (0, -7, 0, 56, 0, -112, 0, 64),
)


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
    cache=True,
)
def schedule(
    head, tail, samples, n_epochs, negative_sample_rate, next_sample, next_negative_sample, first, places, scheduled
):
    """Do what `layout._schedule` does, without a fused multiplication and addition."""
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


@numba.njit
def attraction_at(squared, a, b, gamma):
    """Return the force of an edge at a squared distance, per unit of distance; `gamma` has no part in it."""
    if squared > 0.0:
        return -2.0 * a * b * arithmetic.power(squared, b - 1.0) / (a * arithmetic.power(squared, b) + 1.0)
    return 0.0


@numba.njit
def repulsion_at(squared, a, b, gamma):
    """Return the force of a negative sample."""
    if squared > 0.0:
        return 2.0 * gamma * b / ((0.001 + squared) * (a * arithmetic.power(squared, b) + 1.0))
    return 0.0


@intrinsic
def _lane_of(typing_context: Any, values: Any, lane: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the number of one lane, in double precision."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = arguments[0]
        if isinstance(values, Vector):
            value = builder.extract_element(value, arguments[1])
        return builder.fpext(value, ir.DoubleType()) if value.type != ir.DoubleType() else value

    return types.float64(values, types.int64), generate


@intrinsic
def _with_lane(typing_context: Any, values: Any, lane: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """Return numbers with that of one lane replaced."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not isinstance(values, Vector):
            return arguments[2]
        return builder.insert_element(arguments[0], arguments[2], arguments[1])

    return values(values, types.int64, types.float64), generate


@numba.njit(forceinline=True)
def _attraction(table, squared, width, curves):
    force, known = tabulated_unfused(table, squared)
    if known != (1 << width) - 1:
        for lane in range(width):
            if not (known >> lane) & 1:
                exact = attraction_at(_lane_of(squared, lane), curves[2 * lane], curves[2 * lane + 1], 1.0)
                force = _with_lane(force, lane, exact)
    return force


@numba.njit(forceinline=True)
def _repulsion(table, squared, width, curves, gamma):
    force, known = tabulated_unfused(table, squared)
    if known != (1 << width) - 1:
        for lane in range(width):
            if not (known >> lane) & 1:
                exact = repulsion_at(_lane_of(squared, lane), curves[2 * lane], curves[2 * lane + 1], gamma)
                force = _with_lane(force, lane, exact)
    return force


@numba.njit(forceinline=True)
def _attract(positions, width, j, k, table, curves, alpha):
    """Attract the ends of an edge to each other, and return the new position of the first."""
    x, y = load(positions, j, 0), load(positions, j, 1)
    other_x, other_y = load(positions, k, 0), load(positions, k, 1)
    dx, dy = difference(x, other_x), difference(y, other_y)
    force = _attraction(table, squared_length_unfused(dx, dy), width, curves)
    step_x, step_y = step_along(force, dx), step_along(force, dy)
    store(positions, k, 0, moved_unfused(other_x, step_x, -alpha))
    store(positions, k, 1, moved_unfused(other_y, step_y, -alpha))
    return moved_unfused(x, step_x, alpha), moved_unfused(y, step_y, alpha)


@numba.njit(forceinline=True)
def _repel(positions, width, k, x, y, table, curves, gamma, alpha):
    """Return the position of a vertex, now at x and y, after another has repelled it."""
    dx, dy = difference(x, load(positions, k, 0)), difference(y, load(positions, k, 1))
    force = _repulsion(table, squared_length_unfused(dx, dy), width, curves, gamma)
    return moved_unfused(x, step_along(force, dx), alpha), moved_unfused(y, step_along(force, dy), alpha)


@numba.njit([descent_signature(2), descent_signature(3)], cache=True)
def descend(embedding, scheduled, attraction, repulsion, curves, gamma, alpha, rng_states):
    """Walk the edges of one epoch in two dimensions, as `layout._descend` does."""
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
            x, y = _attract(positions, width, j, scheduled[sample, 1], attracting, curve, alpha)
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
                x, y = _repel(positions, width, drawn[slot, place], x, y, repelling, curve, gamma, alpha)
        if sample >= 0:
            store(positions, j, 0, x)
            store(positions, j, 1, y)
        if n_draws > 0:
            rng_states[next_j, 0], rng_states[next_j, 1], rng_states[next_j, 2] = first, second, third
        counts[next_slot] = n_drawn
        slot = slot + 1 if slot < AHEAD else 0


@numba.njit
def _squared(embedding, j, k, apart):
    """Write the differences of two positions, and return the sum of their squares, from left to right."""
    total = types.float32(0.0)
    for d in range(apart.shape[0]):
        apart[d] = embedding[j, d] - embedding[k, d]
        total = types.float32(total + types.float32(apart[d] * apart[d]))
    return total


@numba.njit(descent_signature(2), cache=True)
def descend_any(embedding, scheduled, attraction, repulsion, curves, gamma, alpha, rng_states):
    """Walk the edges of one epoch of one cell in any number of dimensions."""
    n_vertices, dimensions = embedding.shape
    attracting, repelling, curve = pointer_to(attraction), pointer_to(repulsion), pointer_to(curves)
    apart = np.empty(dimensions, np.float32)
    for sample in range(scheduled.shape[0]):
        j, k = scheduled[sample, 0], scheduled[sample, 1]
        force = _attraction(attracting, _squared(embedding, j, k, apart), 1, curve)
        for d in range(dimensions):
            step = clip(force * apart[d])
            embedding[j, d] = types.float32(embedding[j, d] + step * alpha)
            embedding[k, d] = types.float32(embedding[k, d] - step * alpha)
        first, second, third = rng_states[j]
        for _ in range(scheduled[sample, 2]):
            first, second, third = next_random(first, second, third)
            k = types.int32(first ^ second ^ third) % n_vertices
            if k == j:
                continue
            force = _repulsion(repelling, _squared(embedding, j, k, apart), 1, curve, gamma)
            for d in range(dimensions):
                embedding[j, d] = types.float32(embedding[j, d] + clip(force * apart[d]) * alpha)
        rng_states[j, 0], rng_states[j, 1], rng_states[j, 2] = first, second, third


def tables(a: float, b: float, repulsion_strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the polynomials of attraction and repulsion, float64, (`SEGMENTS`, `TERMS`); NaN where there is none.

    The polynomial of each piece meets the force at the zeros of Chebyshev's eighth polynomial. The pieces around
    distance 1 are kept whose error stays below half of `TABLE_ERROR` at 24 points.
    """

    def attraction(squared: np.ndarray) -> np.ndarray:
        powers = arithmetic.powers(squared, b - 1.0), arithmetic.powers(squared, b)
        force: np.ndarray = -2.0 * a * b * powers[0] / (a * powers[1] + 1.0)
        return force

    def repulsion(squared: np.ndarray) -> np.ndarray:
        force: np.ndarray = (
            2.0 * repulsion_strength * b / ((0.001 + squared) * (a * arithmetic.powers(squared, b) + 1.0))
        )
        return force

    return _table(attraction), _table(repulsion)


def _table(force: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    segments = np.arange(FIRST_SEGMENT, FIRST_SEGMENT + SEGMENTS + 1)
    edges = (segments << SEGMENT_SHIFT).astype(np.int32).view(np.float32).astype(np.float64)
    left, width = edges[:-1], edges[1:] - edges[:-1]
    at_nodes = [force(left + width * (node + 1.0) / 2.0) for node in NODES]
    coefficients = [np.zeros(SEGMENTS) for _ in range(TERMS)]
    before, now = [1.0] * TERMS, list(NODES)
    for order in range(TERMS):
        total = np.zeros(SEGMENTS)
        for value, of_node in zip(at_nodes, before, strict=True):
            total = total + value * of_node
        share = total * ((1.0 if order == 0 else 2.0) / TERMS)
        for power, factor in enumerate(_POWERS[order]):
            coefficients[power] = coefficients[power] + share * factor
        before, now = now, [2.0 * node * one - two for node, one, two in zip(NODES, now, before, strict=True)]
    worst = np.zeros(SEGMENTS)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for number in range(3 * TERMS):
            t = -1.0 + 2.0 * number / (3 * TERMS - 1)
            value = coefficients[-1]
            for power in range(TERMS - 2, -1, -1):
                value = value * t + coefficients[power]
            worst = np.maximum(worst, np.abs(value / force(left + width * (t + 1.0) / 2.0) - 1.0))
    bad = np.flatnonzero(~(worst < TABLE_ERROR / 2))
    # Squared distance 1 begins the piece at which the bits of a float32 are those of 1.
    middle = (127 << (23 - SEGMENT_SHIFT)) - FIRST_SEGMENT
    start = int(max(bad[bad < middle], default=-1)) + 1
    stop = int(min(bad[bad >= middle], default=SEGMENTS))
    found = np.full((SEGMENTS, TERMS), np.nan)
    for power, values in enumerate(coefficients):
        # A power of two: exact.
        found[start:stop, power] = values[start:stop] * float(SEGMENT_CENTRE) ** -power
    return found


assert TERMS == len(NODES) == len(_POWERS)
