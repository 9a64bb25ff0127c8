"""Distances between rows whose bits depend on no CPU: sums in double precision, in an order that is written here.

A sum over columns is made in `PARTS` parts: column c belongs to part c modulo `PARTS`, each part is added from left to
right, and the parts are added in halves: 0 + 4, 1 + 5, 2 + 6, 3 + 7, then 0 + 2, 1 + 3, then 0 + 1. So a vector of LLVM
holds all parts, and LLVM makes of it what a CPU has; every part is rounded as a number alone is. `PARTS` says how wide
the rows are: they end with zeros, which add nothing to any of these sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from umap_sweep.errors import InputError

PARTS = 8

# The metrics that have such a function, under umap-learn's names of them, by the number that the kernels know them by.
EUCLIDEAN, MANHATTAN, COSINE, HAMMING, JACCARD, DICE, CHEBYSHEV, CANBERRA, BRAYCURTIS = range(9)
METRICS = {
    "euclidean": EUCLIDEAN,
    "l2": EUCLIDEAN,
    "manhattan": MANHATTAN,
    "l1": MANHATTAN,
    "taxicab": MANHATTAN,
    "cosine": COSINE,
    "correlation": COSINE,
    "hamming": HAMMING,
    "jaccard": JACCARD,
    "dice": DICE,
    "chebyshev": CHEBYSHEV,
    "linf": CHEBYSHEV,
    "linfty": CHEBYSHEV,
    "linfinity": CHEBYSHEV,
    "canberra": CANBERRA,
    "braycurtis": BRAYCURTIS,
}

# Between these sizes sums of single precision have the relative error that is reckoned with.
LARGEST_SCREENED, LEAST_SCREENED = 1e15, 1e-36

_DOUBLE, _INTEGER = ir.DoubleType(), ir.IntType(64)
_SINGLES, _DOUBLES = ir.VectorType(ir.FloatType(), PARTS), ir.VectorType(_DOUBLE, PARTS)

_ROWS = types.CPointer(types.float32)


def _of_all(value: float) -> ir.Constant:
    return ir.Constant(_DOUBLES, [value] * PARTS)


def _absolute(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered("<", x, _of_all(0.0)), builder.fsub(_of_all(0.0), x), x)


def _added(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return builder.fadd(x, y)


def _larger(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered(">", y, x), y, x)


def _as_number(builder: ir.IRBuilder, truths: ir.Value) -> ir.Value:
    return builder.uitofp(truths, _DOUBLES)


def _squares(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> list[ir.Value]:
    apart = builder.fsub(x, y)
    return [builder.fmul(apart, apart)]


def _products(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> list[ir.Value]:
    return [builder.fmul(x, y)]


def _gaps(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> list[ir.Value]:
    return [_absolute(builder, builder.fsub(x, y))]


def _unequal(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> list[ir.Value]:
    return [_as_number(builder, builder.fcmp_unordered("!=", x, y))]


def _truths(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> list[ir.Value]:
    """Return where either is not 0, and where both are not."""
    one, two = (builder.fcmp_unordered("!=", value, _of_all(0.0)) for value in (x, y))
    return [_as_number(builder, builder.or_(one, two)), _as_number(builder, builder.and_(one, two))]


def _shares(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> list[ir.Value]:
    whole = builder.fadd(_absolute(builder, x), _absolute(builder, y))
    there = builder.fcmp_ordered(">", whole, _of_all(0.0))
    share = builder.fdiv(_gaps(builder, x, y)[0], builder.select(there, whole, _of_all(1.0)))
    return [builder.select(there, share, _of_all(0.0))]


def _gaps_and_sums(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> list[ir.Value]:
    return [*_gaps(builder, x, y), _absolute(builder, builder.fadd(x, y))]


def _over_columns(terms: Callable[..., list[ir.Value]], count: int, joined: Callable[..., ir.Value] = _added) -> Any:
    """Return a function of compiled code that joins the terms of two rows over their columns.

    It takes where the rows begin in memory, their width, and the numbers of two of them.
    """

    @intrinsic
    def over_columns(typing_context: Any, rows: Any, width: Any, first: Any, second: Any) -> tuple[Any, Any]:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            start, columns, *numbers = arguments
            begins = [builder.gep(start, [builder.mul(number, columns)]) for number in numbers]
            totals = [cgutils.alloca_once_value(builder, _of_all(0.0)) for _ in range(count)]
            with cgutils.for_range_slice(builder, _INTEGER(0), columns, _INTEGER(PARTS), _INTEGER) as (column, _):
                values = []
                for begin in begins:
                    place = builder.bitcast(builder.gep(begin, [column]), _SINGLES.as_pointer())
                    values.append(builder.fpext(builder.load(place, align=4), _DOUBLES))
                for total, term in zip(totals, terms(builder, *values), strict=True):
                    builder.store(joined(builder, builder.load(total), term), total)
            found = []
            for total in totals:
                parts = [
                    builder.extract_element(builder.load(total), ir.IntType(32)(number)) for number in range(PARTS)
                ]
                while len(parts) > 1:
                    half = len(parts) // 2
                    parts = [joined(builder, x, y) for x, y in zip(parts[:half], parts[half:], strict=True)]
                found.append(parts[0])
            return found[0] if count == 1 else context.make_tuple(builder, signature.return_type, found)

        result = types.float64 if count == 1 else types.UniTuple(types.float64, count)
        return result(rows, types.int64, types.int64, types.int64), generate

    return over_columns


_sum_of_squares = _over_columns(_squares, 1)
_sum_of_products = _over_columns(_products, 1)
_sum_of_gaps = _over_columns(_gaps, 1)
_largest_gap = _over_columns(_gaps, 1, _larger)
_sum_unequal = _over_columns(_unequal, 1)
_sum_of_truths = _over_columns(_truths, 2)
_sum_of_shares = _over_columns(_shares, 1)
_sums_of_gaps_and_sums = _over_columns(_gaps_and_sums, 2)


@numba.njit(
    types.float64(types.int64, _ROWS, types.int64, types.int64, types.CPointer(types.float64), types.int64, types.int64)
)
def measure(metric, rows, width, columns, squares, i, j):
    """Return the distance of two rows; under `EUCLIDEAN` its square.

    `rows` points to float32, (n, `width`), and `squares`, under `COSINE`, to each row's sum of squares.
    """
    if metric == EUCLIDEAN:
        return _sum_of_squares(rows, width, i, j)
    if metric == MANHATTAN:
        return _sum_of_gaps(rows, width, i, j)
    if metric == COSINE:
        product = squares[i] * squares[j]
        if product > 0.0:
            return max(0.0, 1.0 - _sum_of_products(rows, width, i, j) / math.sqrt(product))
        return 0.0 if squares[i] == squares[j] else 1.0
    if metric == HAMMING:
        return _sum_unequal(rows, width, i, j) / columns
    if metric in (JACCARD, DICE):
        either, both = _sum_of_truths(rows, width, i, j)
        if either == 0.0:
            return 0.0
        return (either - both) / (either if metric == JACCARD else either + both)
    if metric == CHEBYSHEV:
        return _largest_gap(rows, width, i, j)
    if metric == CANBERRA:
        return _sum_of_shares(rows, width, i, j)
    gaps, sums = _sums_of_gaps_and_sums(rows, width, i, j)
    return gaps / sums if sums > 0.0 else 0.0


# These sums may be made in any order, because no result has their bits: they tell which distances need not be computed.
_ANY_ORDER = {"reassoc", "nsz", "contract"}


@numba.njit(types.float32(_ROWS, types.int64, types.int64, types.int64), fastmath=_ANY_ORDER)
def _rough_sum_of_squares(rows, width, i, j):
    total = types.float32(0.0)
    for column in range(width):
        apart = rows[i * width + column] - rows[j * width + column]
        total += apart * apart
    return total


@numba.njit(types.float32(_ROWS, types.int64, types.int64, types.int64), fastmath=_ANY_ORDER)
def _rough_sum_of_gaps(rows, width, i, j):
    total = types.float32(0.0)
    for column in range(width):
        total += abs(rows[i * width + column] - rows[j * width + column])
    return total


@numba.njit(types.float32(_ROWS, types.int64, types.int64, types.int64), fastmath=_ANY_ORDER)
def _rough_sum_of_products(rows, width, i, j):
    total = types.float32(0.0)
    for column in range(width):
        total += rows[i * width + column] * rows[j * width + column]
    return total


@numba.njit(
    types.float64(
        types.int64, types.boolean, _ROWS, types.int64, types.CPointer(types.float64), types.int64, types.int64
    )
)
def least_distance(metric, screened, rows, width, squares, i, j):
    """Return what the distance of two rows, as `measure` returns it, is certainly not below.

    Where `screened`, as `can_be_screened` says it, single precision and its largest error tell; elsewhere nothing does.
    """
    if not screened:
        return -math.inf
    error = (width + 16) * 2.0**-23
    if metric == COSINE:
        lengths = math.sqrt(squares[i] * squares[j])
        if lengths == 0.0:
            return -math.inf
        return 1.0 - error - (_rough_sum_of_products(rows, width, i, j) + LEAST_SCREENED) / lengths
    rough = _rough_sum_of_squares(rows, width, i, j) if metric == EUCLIDEAN else _rough_sum_of_gaps(rows, width, i, j)
    return (rough - LEAST_SCREENED) / (1.0 + error)


def can_be_screened(metric: str, rows: np.ndarray) -> bool:
    """Return whether single precision tells of a metric, and of rows as `prepared` returns them, what is farther."""
    known = METRICS[metric] in (EUCLIDEAN, MANHATTAN, COSINE)
    return known and max(float(rows.max()), -float(rows.min())) < LARGEST_SCREENED


@numba.njit(
    types.void(types.Array(types.float32, 2, "C", readonly=True), types.float64[::1], types.float64[::1]), cache=True
)
def _moments(rows, means, squares):
    """Write each row's mean, and the sum of its squares, from left to right."""
    for i in range(rows.shape[0]):
        total = square = 0.0
        for c in range(rows.shape[1]):
            value = types.float64(rows[i, c])
            total += value
            square += value * value
        means[i], squares[i] = total / rows.shape[1], square


def prepared(features: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as `measure` takes them, and the sum of squares of each.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    metric : str
        One of `METRICS`. Under correlation each row's mean is taken from it, rounded to single precision.

    Returns
    -------
    rows : ndarray of float32, shape (n, width)
        The columns, and zeros up to a multiple of `PARTS`.
    squares : ndarray of float64, shape (n,)

    Raises
    ------
    InputError
        Where a row less its mean is beyond single precision.
    """
    features = np.ascontiguousarray(features, dtype=np.float32)
    n_rows, columns = features.shape
    means, squares = np.empty(n_rows), np.empty(n_rows)
    _moments(features, means, squares)
    if metric == "correlation":
        centred = features.astype(np.float64) - means[:, None]
        if np.abs(centred).max() > np.finfo(np.float32).max:
            raise InputError(
                "Distances under the metric correlation are beyond what numbers can hold: values of the features reach "
                f"{np.abs(features).max():.3g}. Divide the features by a power of ten."
            )
        features = centred.astype(np.float32)
    rows = np.zeros((n_rows, -(-columns // PARTS) * PARTS), dtype=np.float32)
    rows[:, :columns] = features
    if METRICS[metric] == COSINE:
        # In the order of the products, so that a row has the distance 0 to a copy of itself.
        _own_squares(rows, squares)
    return rows, squares


def check_metric(metric: str) -> None:
    """Raise an `InputError` where a metric has no function here."""
    if metric not in METRICS:
        raise InputError(f"knn.metric is {metric}, which cpu portable does not have; use one of {', '.join(METRICS)}.")


@intrinsic
def start_of(typing_context: Any, array: Any) -> tuple[Any, Callable[..., Any]]:
    """Return a pointer to the first element of an array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


@numba.njit(types.void(types.float32[:, ::1], types.float64[::1]), cache=True)
def _own_squares(rows, squares):
    start = start_of(rows)
    for i in range(rows.shape[0]):
        squares[i] = _sum_of_products(start, rows.shape[1], i, i)
