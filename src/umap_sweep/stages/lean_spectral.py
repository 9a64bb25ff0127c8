"""The start `spectral_lean`: the eigenvectors of a spectral layout, found with a few vectors in memory.

They are those of umap-learn's `spectral`, of the smallest eigenvalues of the normalised Laplacian 1 - D^-1/2 A D^-1/2,
found as those of the largest eigenvalues of D^-1/2 A D^-1/2. Where umap-learn has ARPACK keep √n vectors, this keeps
two blocks of 8 or a multiple: Chebyshev-filtered subspace iteration (Zhou, Saad, Tiago and Chelikowsky, 2006, Journal
of Computational Physics 219, 172-184). A polynomial of the matrix damps what belongs to the eigenvalues below those of
the block, and the Rayleigh-Ritz step then finds the eigenvectors within the block. A block finds equal eigenvalues too.

The bits depend on the graph alone: one thread, sums in an order that is written down here, and no library of linear
algebra, whose kernels differ from CPU to CPU. Without `fastmath`, numba neither reorders sums nor fuses multiplications
with additions, whatever instructions a CPU has.

Vectors are kept as u = D^-1/2 v, so that the matrix is D^-1 A, and lengths and angles are weighted by the degrees: the
first eigenvector is then constant.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
import scipy.sparse
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from umap_sweep.errors import InputError
from umap_sweep.stages.spectral import is_placed_at_random

# Columns of a block are in groups of so many, a row of which fills one line of a CPU's cache.
COLUMNS = 8

# While one edge is worked on, the row at the end of the edge so many places later is fetched from memory.
AHEAD = 16

# So many more columns than eigenvectors are wanted, at least. The more there are, the fewer products it takes.
SPARE_COLUMNS = 4

# An eigenvector v with the Laplacian's eigenvalue λ is found when |L v - λ v| is at most this share of λ. umap-learn
# asks the same of ARPACK. Below the second number nothing is asked, because rounding makes as much.
TOLERANCE = 1e-4
ROUNDING = 1e-13

# A filter magnifies nothing more than this, because columns become too much alike otherwise.
MOST_GROWTH = 1e5

# The damped eigenvalues begin a little beyond the block's last one: where many are equal, it lies among them.
BEYOND = 0.1
LOWEST = -0.9

# A direction that is a smaller share than this of the columns of a block is not scaled up to length 1 at once.
LEAST_SHARE = 1e-14

# Where the filter would need a higher degree than this, the block is widened by a group, up to so many groups.
HIGH_DEGREE = 300
MOST_GROUPS = 8

# After so many products, each with one group of columns, the vectors are taken as they are.
MOST_PRODUCTS = 10_000

# Up to this many rows the whole matrix is diagonalised, and so it is where a block would be half as wide as the matrix.
DENSE_ROWS = 128

# Sums over rows are made of sums over so many rows, added in order.
SUMMED_ROWS = 1024

# Each kernel has one signature, so that jobs that compile it at the same moment write the same file into the cache.
_STARTS = types.Array(types.int64, 1, "C", readonly=True)
_TAIL = types.Array(types.int32, 1, "C", readonly=True)
_WEIGHT = types.Array(types.float32, 1, "C", readonly=True)
_DEGREE = types.Array(types.float64, 1, "C", readonly=True)
_GROUP = types.float64[:, ::1]
_BLOCK = types.float64[:, :, ::1]
_MATRIX = types.float64[:, ::1]
_NUMBERS = types.float64[::1]


@numba.njit(types.void(_STARTS, _WEIGHT, _NUMBERS), cache=True)
def _add_degrees(starts, weight, degree):
    """Write the sum of each row's weights."""
    for i in range(degree.shape[0]):
        total = 0.0
        for edge in range(starts[i], starts[i + 1]):
            total += weight[edge]
        degree[i] = total


@intrinsic
def _step_row(typing, tail, weight, current, other, row, first, last, degree, factor, shift, rest):
    """Do for one row what `_step` does for all, 8 columns in one vector: numba would take them one by one.

    LLVM makes of such a vector what a CPU has. Rows that come later are fetched from memory ahead.
    """

    def generate(context, builder, signature, arguments):
        double, integer, half = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
        vector = ir.VectorType(double, COLUMNS)
        arrays = [
            context.make_array(kind)(context, builder, argument)
            for kind, argument in zip(signature.args[:4], arguments[:4], strict=True)
        ]
        tails, weights, now, then = (array.data for array in arrays)
        this, begin, end, *scalars = arguments[4:]

        def spread(scalar):
            single = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, half(0))
            return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(half, COLUMNS), [0] * COLUMNS))

        def place(group, number):
            return builder.bitcast(builder.gep(group, [builder.mul(number, integer(COLUMNS))]), vector.as_pointer())

        def end_of(edge):
            return builder.sext(builder.load(builder.gep(tails, [edge])), integer)

        pointer = ir.IntType(8).as_pointer()
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer], ir.FunctionType(ir.VoidType(), [pointer, half, half, half])
        )
        last_edge = builder.sub(cgutils.unpack_tuple(builder, arrays[0].shape)[0], integer(1))
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * COLUMNS))
        with cgutils.for_range_slice(builder, begin, end, integer(1), integer) as (edge, _):
            later = builder.add(edge, integer(AHEAD))
            later = builder.select(builder.icmp_signed("<", later, last_edge), later, last_edge)
            # For reading, to be kept in all caches, as data.
            builder.call(prefetch, [builder.bitcast(place(now, end_of(later)), pointer), half(0), half(3), half(1)])
            strength = spread(builder.fpext(builder.load(builder.gep(weights, [edge])), double))
            term = builder.fmul(strength, builder.load(place(now, end_of(edge)), align=8))
            builder.store(builder.fadd(builder.load(total), term), total)
        own_degree, by, less, without = (spread(scalar) for scalar in scalars)
        mean = builder.fdiv(builder.load(total), own_degree)
        stepped = builder.fmul(by, builder.fsub(mean, builder.fmul(less, builder.load(place(now, this), align=8))))
        old = builder.load(place(then, this), align=8)
        builder.store(builder.fsub(stepped, builder.fmul(without, old)), place(then, this), align=8)
        return context.get_dummy_value()

    integers, reals = [types.int64] * 3, [types.float64] * 4
    return types.void(tail, weight, current, other, *integers, *reals), generate


@numba.njit(
    types.void(_STARTS, _TAIL, _WEIGHT, _DEGREE, _GROUP, _GROUP, types.float64, types.float64, types.float64),
    cache=True,
)
def _step(starts, tail, weight, degree, current, other, factor, shift, rest):
    """Write factor (D^-1 A - shift) current - rest other over `other`."""
    for i in range(degree.shape[0]):
        _step_row(tail, weight, current, other, i, starts[i], starts[i + 1], degree[i], factor, shift, rest)


@numba.njit(types.void(_GROUP, _GROUP, types.float64, types.float64), cache=True)
def _first_step(group, product, factor, shift):
    """Replace the product of the matrix with a group by factor (product - shift group)."""
    for i in range(group.shape[0]):
        for lane in range(COLUMNS):
            product[i, lane] = factor * (product[i, lane] - shift * group[i, lane])


@numba.njit(types.void(_DEGREE, _GROUP), cache=True)
def _centre(degree, group):
    """Subtract the weighted mean of each column: what it has of the first eigenvector."""
    n_rows = degree.shape[0]
    total = 0.0
    sums = np.zeros(COLUMNS)
    for first in range(0, n_rows, SUMMED_ROWS):
        part = 0.0
        parts = np.zeros(COLUMNS)
        for i in range(first, min(first + SUMMED_ROWS, n_rows)):
            part += degree[i]
            for lane in range(COLUMNS):
                parts[lane] += degree[i] * group[i, lane]
        total += part
        sums += parts
    for lane in range(COLUMNS):
        sums[lane] /= total
    for i in range(n_rows):
        for lane in range(COLUMNS):
            group[i, lane] -= sums[lane]


@numba.njit(types.void(_DEGREE, _GROUP, _GROUP, _MATRIX), cache=True)
def _inner_products(degree, left, right, products):
    """Write the weighted inner product of each column of one group with each of another."""
    n_rows = degree.shape[0]
    products[:] = 0.0
    parts = np.empty((COLUMNS, COLUMNS))
    for first in range(0, n_rows, SUMMED_ROWS):
        parts[:] = 0.0
        for i in range(first, min(first + SUMMED_ROWS, n_rows)):
            for row in range(COLUMNS):
                weighted = degree[i] * left[i, row]
                for column in range(COLUMNS):
                    parts[row, column] += weighted * right[i, column]
        products += parts


@numba.njit(types.void(_BLOCK, _MATRIX), cache=True)
def _combine(block, coefficients):
    """Replace the columns of a block by linear combinations of them."""
    n_groups, n_rows, _ = block.shape
    row = np.empty(coefficients.shape[0])
    combined = np.empty(coefficients.shape[0])
    for i in range(n_rows):
        for group in range(n_groups):
            for lane in range(COLUMNS):
                row[group * COLUMNS + lane] = block[group, i, lane]
        combined[:] = 0.0
        for k in range(row.shape[0]):
            for column in range(row.shape[0]):
                combined[column] += row[k] * coefficients[k, column]
        for group in range(n_groups):
            for lane in range(COLUMNS):
                block[group, i, lane] = combined[group * COLUMNS + lane]


@numba.njit(types.void(_DEGREE, _GROUP, _GROUP, _NUMBERS, _NUMBERS), cache=True)
def _square_residuals(degree, group, product, values, squares):
    """Write the weighted square length of `product` - `values` `group`, column by column."""
    n_rows = degree.shape[0]
    squares[:] = 0.0
    for first in range(0, n_rows, SUMMED_ROWS):
        parts = np.zeros(COLUMNS)
        for i in range(first, min(first + SUMMED_ROWS, n_rows)):
            for lane in range(COLUMNS):
                off = product[i, lane] - values[lane] * group[i, lane]
                parts[lane] += degree[i] * (off * off)
        squares += parts


@numba.njit(types.void(_MATRIX, _MATRIX), cache=True)
def _diagonalise(matrix, vectors):
    """Diagonalise a symmetric matrix in place by Jacobi's rotations, in the order of its rows.

    Writes the eigenvectors into the columns of `vectors`.
    """
    n = matrix.shape[0]
    for i in range(n):
        for j in range(n):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(100):
        square, off = 0.0, 0.0
        for i in range(n):
            square += matrix[i, i] * matrix[i, i]
            for j in range(i):
                off += matrix[i, j] * matrix[i, j]
        if off <= 1e-34 * square or off == 0.0:
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                if matrix[p, q] == 0.0:
                    continue
                ratio = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
                tangent = 1.0 / (abs(ratio) + np.sqrt(ratio * ratio + 1.0))
                if ratio < 0.0:
                    tangent = -tangent
                cosine = 1.0 / np.sqrt(tangent * tangent + 1.0)
                sine = tangent * cosine
                for k in range(n):
                    left, right = matrix[k, p], matrix[k, q]
                    matrix[k, p] = cosine * left - sine * right
                    matrix[k, q] = sine * left + cosine * right
                for k in range(n):
                    left, right = matrix[p, k], matrix[q, k]
                    matrix[p, k] = cosine * left - sine * right
                    matrix[q, k] = sine * left + cosine * right
                for k in range(n):
                    left, right = vectors[k, p], vectors[k, q]
                    vectors[k, p] = cosine * left - sine * right
                    vectors[k, q] = sine * left + cosine * right
                matrix[p, q] = matrix[q, p] = 0.0


def _eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues, largest first, and eigenvectors of a symmetric matrix, which is overwritten."""
    vectors = np.empty_like(matrix)
    _diagonalise(matrix, vectors)
    values = np.diag(matrix)
    order = np.argsort(-values, kind="stable")
    return values[order], np.ascontiguousarray(vectors[:, order])


@dataclass(frozen=True)
class Eigenvectors:
    """What was found.

    Attributes
    ----------
    vectors : ndarray of float64, shape (n, n_vectors)
        Of unit length, by eigenvalue; the entry of largest magnitude, the first of several, is positive.
    values : ndarray of float64, shape (n_vectors,)
        Eigenvalues of the normalised Laplacian, smallest first, without the first one, 0.
    residuals : ndarray of float64, shape (n_vectors,)
        |L v - λ v|.
    products : int
        Products of the matrix with 8 vectors that it took.
    """

    vectors: np.ndarray
    values: np.ndarray
    residuals: np.ndarray
    products: int

    @property
    def converged(self) -> bool:
        """Whether every residual is within the tolerance."""
        return bool((self.residuals <= allowed(self.values)).all())


def allowed(values: np.ndarray) -> np.ndarray:
    """Return the largest residual that counts as found, for eigenvalues of the normalised Laplacian."""
    return np.maximum(TOLERANCE * values, ROUNDING)


class _Graph:
    """A connected graph as its matrix D^-1 A, and what is done with it to a block: (groups, n, 8), float64."""

    def __init__(self, head: np.ndarray, tail: np.ndarray, weight: np.ndarray, n_rows: int) -> None:
        counts = np.bincount(head, minlength=n_rows)
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.tail, self.weight = tail, weight
        self.degree = np.empty(n_rows)
        _add_degrees(self.starts, self.weight, self.degree)
        self.products = 0

    def step(self, current: np.ndarray, other: np.ndarray, factor: float, shift: float, rest: float) -> None:
        """Write factor (D^-1 A - shift) current - rest other over `other`."""
        for one, two in zip(current, other, strict=True):
            _step(self.starts, self.tail, self.weight, self.degree, one, two, factor, shift, rest)
        self.products += len(current)

    def inner_products(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the inner products of the columns of two blocks, as a matrix that is made symmetric."""
        size = len(left) * COLUMNS
        products, part = np.empty((size, size)), np.empty((COLUMNS, COLUMNS))
        for row, one in enumerate(left):
            for column, two in enumerate(right):
                _inner_products(self.degree, one, two, part)
                products[row * COLUMNS : (row + 1) * COLUMNS, column * COLUMNS : (column + 1) * COLUMNS] = part
        return (products + products.T) / 2

    def make_orthonormal(self, block: np.ndarray) -> None:
        """Free a block of the first eigenvector, and its columns of each other; twice, because of rounding."""
        for _ in range(2):
            for group in block:
                _centre(self.degree, group)
            products = self.inner_products(block, block)
            lengths = np.sqrt(np.diag(products))
            lengths[lengths == 0.0] = 1.0
            values, vectors = _eigen(products / lengths / lengths[:, None])
            # A direction that the columns lack is made of what rounding left of it.
            scale = 1.0 / np.sqrt(np.maximum(values, LEAST_SHARE))
            _combine(block, vectors * scale / lengths[:, None])

    def ritz(self, block: np.ndarray, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn a block into the best eigenvectors within it, and return their eigenvalues and residuals.

        `product` receives the matrix times the block.
        """
        self.make_orthonormal(block)
        self.step(block, product, 1.0, 0.0, 0.0)
        values, vectors = _eigen(self.inner_products(block, product))
        squares = np.empty(len(values))
        for one in (block, product):
            _combine(one, vectors)
        for group in range(len(block)):
            own = slice(group * COLUMNS, (group + 1) * COLUMNS)
            _square_residuals(self.degree, block[group], product[group], values[own], squares[own])
        return values, np.sqrt(squares)

    def filtered(
        self, block: np.ndarray, product: np.ndarray, lowest: float, degree: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the Chebyshev polynomial of a degree that damps [-1, lowest], applied to a block, and a second array.

        Both are the memory of `block` and `product`, which is the matrix times the block.
        """
        half, centre = (lowest + 1.0) / 2.0, (lowest - 1.0) / 2.0
        for now, before in zip(product, block, strict=True):
            _first_step(before, now, 1.0 / half, centre)
        now, before = product, block
        for _ in range(degree - 1):
            self.step(now, before, 2.0 / half, centre, 1.0)
            now, before = before, now
        return now, before


def _zeros(n_groups: int, n_rows: int) -> np.ndarray:
    """Return a block of zeros whose rows begin where lines of the cache begin."""
    size = n_groups * n_rows * COLUMNS
    numbers = np.zeros(size + COLUMNS)
    first = -numbers.ctypes.data // numbers.itemsize % COLUMNS
    return numbers[first : first + size].reshape(n_groups, n_rows, COLUMNS)


def _fill(group: np.ndarray, number: int) -> None:
    """Write numbers from -0.5 to 0.5 into a group: SplitMix64 (Steele, Lea and Flood, 2014) of a counter."""
    n_rows = len(group)
    for lane in range(COLUMNS):
        # Columns far apart in the counter, so that no row of one is a row of another.
        bits = np.arange(n_rows, dtype=np.uint64) + np.uint64((number * COLUMNS + lane + 1) << 40)
        bits *= np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        group[:, lane] = ((bits ^ (bits >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53 - 0.5


def _degree_that_magnifies(value: float, lowest: float, times: float) -> int:
    """Return the degree at which the filter that damps [-1, lowest] magnifies an eigenvalue so many times."""
    x = 1.0 + 2.0 * (value - lowest) / (lowest + 1.0)
    before, now, degree = 1.0, x, 1
    while now < times and degree < MOST_PRODUCTS:
        before, now, degree = now, 2.0 * x * now - before, degree + 1
    return degree


def _with_signs(vectors: np.ndarray) -> np.ndarray:
    largest = np.argmax(np.abs(vectors), axis=0)
    signed: np.ndarray = vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return signed


def eigenvectors(head: np.ndarray, tail: np.ndarray, weight: np.ndarray, n_rows: int, n_vectors: int) -> Eigenvectors:
    """Return the eigenvectors of a connected graph's normalised Laplacian with the smallest eigenvalues but 0.

    Parameters
    ----------
    head, tail : ndarray of int32, shape (n_edges,)
        Ends of each edge, by head; each edge is there in both directions.
    weight : ndarray of float32, shape (n_edges,)
        Above 0, and the same in both directions.
    n_rows : int
        More than `n_vectors`.
    n_vectors : int

    Returns
    -------
    Eigenvectors
        With residuals above the tolerance where `MOST_PRODUCTS` were not enough.
    """
    graph = _Graph(head, tail, weight, n_rows)
    n_groups = -(-(n_vectors + SPARE_COLUMNS) // COLUMNS)
    if n_rows <= max(DENSE_ROWS, 2 * COLUMNS * n_groups):
        return _of_small_graph(graph, head, n_vectors)
    most_groups = min(MOST_GROUPS, n_rows // (2 * COLUMNS))
    block, other = _zeros(n_groups, n_rows), _zeros(n_groups, n_rows)
    for number, group in enumerate(block):
        _fill(group, number)
    while True:
        values, residuals = graph.ritz(block, other)
        laplacian = 1.0 - values[:n_vectors]
        missing = (residuals[:n_vectors] / allowed(laplacian)).max()
        if missing <= 1.0 or graph.products >= MOST_PRODUCTS:
            break
        lowest = max(values[-1] - BEYOND * (1.0 - values[-1]), LOWEST)
        degree = _degree_that_magnifies(values[n_vectors - 1], lowest, 2.0 * missing)
        if degree > HIGH_DEGREE and len(block) < most_groups:
            other = _zeros(len(block) + 1, n_rows)
            other[:-1] = block
            _fill(other[-1], len(block))
            block, other = other, _zeros(len(other), n_rows)
            continue
        left = (MOST_PRODUCTS - graph.products) // len(block)
        degree = min(degree, _degree_that_magnifies(1.0, lowest, MOST_GROWTH), max(left, 1))
        block, other = graph.filtered(block, other, lowest, degree)
    columns = [block[number // COLUMNS, :, number % COLUMNS] for number in range(n_vectors)]
    vectors = np.sqrt(graph.degree)[:, None] * np.stack(columns, axis=1)
    return Eigenvectors(_with_signs(vectors), laplacian, residuals[:n_vectors], graph.products)


def _of_small_graph(graph: _Graph, head: np.ndarray, n_vectors: int) -> Eigenvectors:
    root = np.sqrt(graph.degree)
    matrix = np.zeros((len(root), len(root)))
    matrix[head, graph.tail] = graph.weight / (root[head] * root[graph.tail])
    first = root / np.sqrt(np.cumsum(graph.degree)[-1])
    # This gives the first eigenvector the eigenvalue -1, and leaves the others.
    values, vectors = _eigen(matrix - 2.0 * first * first[:, None])
    values, vectors = values[:n_vectors], vectors[:, :n_vectors]
    # Sums along the first axis are made row by row.
    off = np.stack([(matrix * vector[:, None]).sum(axis=0) for vector in vectors.T], axis=1) - values * vectors
    return Eigenvectors(_with_signs(vectors), 1.0 - values, np.sqrt((off * off).sum(axis=0)), 0)


def layout(edges: scipy.sparse.coo_matrix, components: np.ndarray, n_components: int) -> tuple[np.ndarray, bool]:
    """Return the eigenvectors that place the rows of each connected component of a graph.

    Parameters
    ----------
    edges : scipy.sparse.coo_matrix of float32, shape (n, n)
        Symmetric; by row.
    components : ndarray of int32, shape (n,)
        Number of each row's connected component, from 0 on.
    n_components : int
        Dimensions of the layout.

    Returns
    -------
    vectors : ndarray of float64, shape (n, n_components)
        Of each component, of unit length; NaN in components of so few rows that umap-learn places them at random.
    converged : bool
        Whether all were found to the tolerance.

    Raises
    ------
    InputError
        Where a connected graph is too small, as for `spectral`.
    """
    logger = logging.getLogger("umap_sweep")
    n_rows = len(components)
    sizes = np.bincount(components)
    if len(sizes) == 1 and n_rows < 2 * n_components + 3:
        raise InputError(
            f"umap.init spectral_lean cannot place {n_components} dimensions: the data has {n_rows} rows, fewer than "
            f"{2 * n_components + 3}. Use umap.init random or pca."
        )
    vectors = np.full((n_rows, n_components), np.nan)
    converged = True
    for rows, head, tail, weight in _parts(edges, components, sizes):
        if is_placed_at_random(len(rows), n_components):
            continue
        found = eigenvectors(head, tail, weight, len(rows), n_components)
        vectors[rows] = found.vectors
        logger.info(
            "%d rows: eigenvalues %s, residuals %s, %d products",
            len(rows),
            " ".join(f"{value:.6g}" for value in found.values),
            " ".join(f"{value:.2g}" for value in found.residuals),
            found.products,
        )
        if not found.converged:
            converged = False
            logger.warning(
                "Of a component of %d rows the eigenvectors were not found to the tolerance of %g in %d products; "
                "the start is made of what was found.",
                len(rows),
                TOLERANCE,
                found.products,
            )
    return vectors, converged


def _parts(
    edges: scipy.sparse.coo_matrix, components: np.ndarray, sizes: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Give the rows of each component, and head, tail and weight of its edges, numbered within it."""
    head, tail, weight = edges.row, edges.col, edges.data
    order = np.argsort(components, kind="stable")
    if len(sizes) > 1:
        number = np.empty(len(components), dtype=np.int32)
        number[order] = np.arange(len(components)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        own = components[head]
        by_component = np.argsort(own, kind="stable")
        ends = np.cumsum(np.bincount(own, minlength=len(sizes)))
        head, tail, weight = number[head[by_component]], number[tail[by_component]], weight[by_component]
    else:
        ends = np.array([len(head)])
    row_ends = np.cumsum(sizes)
    first = first_row = 0
    for end, row_end in zip(ends, row_ends, strict=True):
        yield order[first_row:row_end], head[first:end], tail[first:end], weight[first:end]
        first, first_row = end, row_end
