"""exp, log, pow and normal numbers whose bits depend on no C library, no CPU and no compiler.

Each is made of additions, multiplications, divisions and square roots, which IEEE 754 rounds to one result, in the
order that is written here. Without `fastmath`, numba neither reorders sums nor fuses a multiplication with an addition.
Exponents are taken from the bits of a number and put into them. The C library's frexp and ldexp have the same results,
but numba passes 32-bit numbers to C functions as x86 and arm64 do, which on POWER and z made exp(-1) infinite.

Accuracy, in units of the last place of the result (ulp), tested against correctly rounded values of Python's `decimal`:
`exp` and `log` below 1; `power` below 2 + |y ln x|.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# ln 2 in two parts: the first has zeros at its end, so that its product with an exponent is exact.
LN2_HIGH = 0x162E42FEE00000 * 2.0**-53
LN2_LOW = 1.90821492927058770002e-10
LN2 = LN2_HIGH + LN2_LOW

# Beyond these exp is infinite, or 0.
LARGEST_EXPONENT, SMALLEST_EXPONENT = 709.782712893384, -745.1332191019412

SQRT_HALF = 0.7071067811865476

# Of a number in double precision: how many bits the fraction has, which they are, what is added to the exponent, and
# the smallest number whose first bit is not stored.
FRACTION_BITS = 52
FRACTION = (1 << FRACTION_BITS) - 1
BIAS = 1023
SMALLEST_NORMAL = 2.0**-1022

# 1 / n! from n = 2 on, and 2 / (2 n + 1) from n = 1 on, for the series of exp and of log.
_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(2, 15))
_ODD = tuple(2.0 / (2 * n + 1) for n in range(1, 13))


@intrinsic
def _bits_of(typing_context: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the 64 bits of a number in double precision, as a whole number."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def _of_bits(typing_context: Any, bits: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the number in double precision that has these 64 bits."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@numba.njit
def _power_of_two(exponent):
    """Return 2 to the power of a whole number from -1022 to 1023."""
    return _of_bits((exponent + BIAS) << FRACTION_BITS)


@numba.njit
def exp(x):
    """Return e to the power of a number, in double precision."""
    if not x <= LARGEST_EXPONENT:
        return x * np.inf if x > 0.0 else x  # NaN stays NaN
    if x < SMALLEST_EXPONENT:
        return 0.0
    exponent = math.floor(x / LN2 + 0.5)
    high = x - exponent * LN2_HIGH
    low = exponent * LN2_LOW
    r = high - low
    rest = (high - r) - low
    total = _FACTORIALS[12]
    for n in range(11, -1, -1):
        total = total * r + _FACTORIALS[n]
    value = 1.0 + (r + (r * r * total + rest))
    # A result below the normal numbers is rounded once, in the second product.
    first = min(max(exponent, -1000), 1000)
    return value * _power_of_two(first) * _power_of_two(exponent - first)


@numba.njit
def _parts(x):
    """Return m and e with x = m 2^e, and m from √½ to √2, for x above 0."""
    exponent = 0
    if x < SMALLEST_NORMAL:
        x, exponent = x * 2.0**54, -54
    bits = _bits_of(x)
    m = _of_bits((bits & FRACTION) | ((BIAS - 1) << FRACTION_BITS))
    exponent += (bits >> FRACTION_BITS) - (BIAS - 1)
    if m < SQRT_HALF:
        return m * 2.0, exponent - 1
    return m, exponent


@numba.njit
def log(x):
    """Return the natural logarithm of a number, in double precision."""
    if not x > 0.0:
        return -np.inf if x == 0.0 else np.nan
    if x == np.inf:
        return x
    m, exponent = _parts(x)
    # With s = f / (2 + f), log(1 + f) = f - f²/2 + s (f²/2 + 2 s²/3 + 2 s⁴/5 + …).
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    total = _ODD[11]
    for n in range(10, -1, -1):
        total = total * z + _ODD[n]
    half = 0.5 * f * f
    return exponent * LN2_HIGH - ((half - (s * (half + z * total) + exponent * LN2_LOW)) - f)


@numba.njit(cache=True)
def log2(x):
    """Return the logarithm to base 2 of a number above 0; that of a power of 2 is exact."""
    m, exponent = _parts(x)
    return exponent + log(m) / LN2


@numba.njit
def power(x, y):
    """Return x to the power of y, for x from 0 on."""
    if x == 0.0:
        return 1.0 if y == 0.0 else (0.0 if y > 0.0 else np.inf)
    return exp(y * log(x))


@numba.njit(cache=True)
def _powers(values, exponent, out):
    for i in range(values.shape[0]):
        out[i] = power(values[i], exponent)


def powers(values: np.ndarray, exponent: float) -> np.ndarray:
    """Return each number of an array, from 0 on, to one power, float64."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    out = np.empty(values.shape)
    _powers(values.ravel(), exponent, out.ravel())
    return out


@numba.njit(cache=True)
def _polar(uniform, out, filled):
    """Make normal numbers of uniform ones, by Marsaglia's polar method, and return how many uniform ones it took."""
    used = 0
    while filled < out.shape[0] and used + 1 < uniform.shape[0]:
        x, y = 2.0 * uniform[used] - 1.0, 2.0 * uniform[used + 1] - 1.0
        used += 2
        square = x * x + y * y
        if square >= 1.0 or square == 0.0:
            continue
        factor = math.sqrt(-2.0 * log(square) / square)
        out[filled] = factor * y
        if filled + 1 < out.shape[0]:
            out[filled + 1] = factor * x
        filled += 2
    return used


def normal(random_state: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers of the standard normal distribution, float64.

    The method and the numbers that it takes from the generator are those of numpy's `RandomState.normal`, whose C code
    asks the C library for a logarithm and lets the compiler fuse operations. The last of an odd count is not kept.
    """
    out = np.empty(int(np.prod(shape)))
    filled = 0
    while filled < len(out):
        # One pair of numbers of a generator whose state is known is taken after the other: the rest is put back.
        before = random_state.get_state()
        uniform = random_state.random_sample(2 * (len(out) - filled) + 32)
        used = _polar(uniform, out, filled)
        accepted = _accepted(uniform[:used])
        random_state.set_state(before)
        random_state.random_sample(used)
        filled += 2 * accepted
    return out.reshape(shape)


def _accepted(uniform: np.ndarray) -> int:
    x, y = 2.0 * uniform[::2] - 1.0, 2.0 * uniform[1::2] - 1.0
    square = x * x + y * y
    return int(((square < 1.0) & (square != 0.0)).sum())


def uniform(random_state: np.random.RandomState, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers evenly spread from low to high, float64, where numpy lets the compiler fuse two operations."""
    found: np.ndarray = low + (high - low) * random_state.random_sample(shape)
    return found


@numba.njit(cache=True)
def fitted_curve(spread, min_dist):
    """Return a and b of the curve 1 / (1 + a x^(2b)) of a spread and a min_dist, and its largest distance from the aim.

    Least squares on the 300 points of [0, 3 spread] that umap-learn takes, by the method of Levenberg and Marquardt
    from a = b = 1 on, to the last bits.
    """
    count = 300
    aim, logs = np.empty(count), np.empty(count)
    for i in range(count):
        x = i * (3.0 * spread / (count - 1))
        aim[i] = 1.0 if x < min_dist else exp(-(x - min_dist) / spread)
        logs[i] = log(x) if i > 0 else 0.0
    a, b, damping = 1.0, 1.0, 1e-3
    best = np.inf
    normal_matrix, gradient = np.zeros(3), np.zeros(2)
    new_matrix, new_gradient = np.zeros(3), np.zeros(2)
    new_a, new_b = a, b
    misfit = new_misfit = 0.0
    quiet = 0
    for _ in range(1000):
        new_matrix[:] = 0.0
        new_gradient[:] = 0.0
        cost = new_misfit = 0.0
        if new_a > 0.0 and new_b > 0.0:
            for i in range(count):
                raised = exp(2.0 * new_b * logs[i]) if i > 0 else 0.0
                value = 1.0 / (1.0 + new_a * raised)
                off = value - aim[i]
                by_a = -raised * value * value
                by_b = 2.0 * new_a * logs[i] * by_a
                cost += off * off
                new_misfit = max(new_misfit, abs(off))
                new_matrix[0] += by_a * by_a
                new_matrix[1] += by_a * by_b
                new_matrix[2] += by_b * by_b
                new_gradient[0] += by_a * off
                new_gradient[1] += by_b * off
        else:
            cost = np.inf
        if cost < best:
            quiet = quiet + 1 if best - cost <= 1e-15 * best else 0
            a, b, best, misfit = new_a, new_b, cost, new_misfit
            normal_matrix[:] = new_matrix
            gradient[:] = new_gradient
            damping *= 0.1
        else:
            damping *= 10.0
            if damping > 1e12:
                break
        if quiet > 3:
            break
        first, last = normal_matrix[0] * (1.0 + damping), normal_matrix[2] * (1.0 + damping)
        determinant = first * last - normal_matrix[1] * normal_matrix[1]
        if not determinant > 0.0:
            break
        new_a = a - (last * gradient[0] - normal_matrix[1] * gradient[1]) / determinant
        new_b = b - (first * gradient[1] - normal_matrix[1] * gradient[0]) / determinant
    return a, b, misfit
