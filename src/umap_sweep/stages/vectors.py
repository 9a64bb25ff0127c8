"""Arithmetic of the layout for several cells side by side: numba types behind which vectors of LLVM stand.

A lane is one cell. The same functions work on one lane, whose numbers are numba's own float32 and float64, and on
`LANES` lanes, whose numbers are vectors; a kernel written with them reads the same for both. LLVM turns its vectors
into the registers of whatever CPU it compiles for. Every operation rounds each lane as the operation on one number
does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from umap_sweep.stages.lanes import LANES

# Forces are tabulated over squared distances between these powers of two.
TABLE_RANGE = (-40, 24)
# Each power of two is cut into 2**SEGMENT_BITS pieces, each with a polynomial of TERMS terms: one line of the cache.
SEGMENT_BITS = 3
TERMS = 8
# A float32 has 23 bits after its exponent. The first SEGMENT_BITS of them tell the piece of a power of two, the others
# the place within the piece.
SEGMENT_SHIFT = 23 - SEGMENT_BITS
SEGMENT_MASK = (1 << SEGMENT_SHIFT) - 1
SEGMENT_CENTRE = 1 << (SEGMENT_SHIFT - 1)
# The number of the first piece (the bits of a float32 in it, shifted right by SEGMENT_SHIFT), and how many there are.
FIRST_SEGMENT = (127 + TABLE_RANGE[0]) << SEGMENT_BITS
SEGMENTS = (TABLE_RANGE[1] - TABLE_RANGE[0]) << SEGMENT_BITS

_INT1, _INT8, _INT32, _INT64 = (ir.IntType(bits) for bits in (1, 8, 32, 64))
_FLOAT, _DOUBLE = ir.FloatType(), ir.DoubleType()


class Vector(types.Type):
    """One number for each lane."""

    def __init__(self, name: str, element: ir.Type) -> None:
        self.element = element
        super().__init__(name=f"{name}x{LANES}")


class Positions(types.Type):
    """Where the coordinates of all lanes begin in memory: vertex by vertex, axis by axis, lane by lane.

    An array would be counted by numba at each step of the layout, which takes longer than the step.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Positions{width}")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(kind.element, LANES))  # type: ignore[no-untyped-call]


@register_model(Positions)
class _PositionsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Positions) -> None:
        super().__init__(manager, kind, _INT64)  # type: ignore[no-untyped-call]


_FLOATS, _DOUBLES = Vector("float32", _FLOAT), Vector("float64", _DOUBLE)
_SINGLE = {1: types.float32, LANES: _FLOATS}
_WIDE = {1: types.float64, LANES: _DOUBLES}
_POSITIONS = {1: Positions(1), LANES: Positions(LANES)}


def _width(kind: types.Type) -> int:
    return LANES if isinstance(kind, Vector) else 1


def _of(element: ir.Type, width: int) -> ir.Type:
    return element if width == 1 else ir.VectorType(element, width)


def _all(builder: ir.IRBuilder, value: ir.Value, width: int) -> ir.Value:
    """Return a vector with the same number in each lane."""
    if width == 1:
        return value
    kind = ir.VectorType(value.type, width)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(
        first, ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(_INT32, width), [0] * width)
    )


def _constant(element: ir.Type, value: float, width: int) -> ir.Constant:
    return ir.Constant(element, value) if width == 1 else ir.Constant(ir.VectorType(element, width), [value] * width)


def _call(builder: ir.IRBuilder, name: str, *arguments: ir.Value) -> ir.Value:
    kind = arguments[0].type
    element, width = (kind.element, kind.count) if isinstance(kind, ir.VectorType) else (kind, 1)
    suffix = ("" if width == 1 else f"v{width}") + ("f64" if element == _DOUBLE else "f32")
    function = ir.FunctionType(kind, [kind] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.{suffix}"), arguments)


def _multiply_add(builder: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """Return x y + z, rounded once where the target CPU has an instruction for it, as LLVM contracts umap-learn's."""
    return _call(builder, "fmuladd", x, y, z)


def _multiply_then_add(builder: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """Return x y + z, rounded twice, on every CPU."""
    return builder.fadd(builder.fmul(x, y), z)


def _bits(builder: ir.IRBuilder, truths: ir.Value, width: int) -> ir.Value:
    """Return truths as the bits of an integer, that of the first lane lowest."""
    return builder.zext(truths if width == 1 else builder.bitcast(truths, ir.IntType(width)), _INT64)


def _row(builder: ir.IRBuilder, positions: ir.Value, vertex: ir.Value, width: int) -> ir.Value:
    return builder.add(positions, builder.mul(vertex, ir.Constant(_INT64, 2 * 4 * width)))


def _place(builder: ir.IRBuilder, arguments: Any, width: int) -> ir.Value:
    row = _row(builder, arguments[0], arguments[1], width)
    address = builder.add(row, builder.mul(arguments[2], ir.Constant(_INT64, 4 * width)))
    return builder.inttoptr(address, _of(_FLOAT, width).as_pointer())


@intrinsic
def positions_of(typing_context: Any, array: Any) -> tuple[Any, Callable[..., Any]]:
    """Return where the coordinates of an array begin: of (n, 2) for one lane, of (n, 2, `LANES`) for several."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(context.make_array(signature.args[0])(context, builder, arguments[0]).data, _INT64)

    return _POSITIONS[1 if array.ndim == 2 else LANES](array), generate


@intrinsic
def pointer_to(typing_context: Any, array: Any) -> tuple[Any, Callable[..., Any]]:
    """Return a pointer to the first element of an array, or to the first coordinate in positions."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if isinstance(array, Positions):
            return builder.inttoptr(arguments[0], _FLOAT.as_pointer())
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(types.float32 if isinstance(array, Positions) else array.dtype)(array), generate


@intrinsic
def load(typing_context: Any, positions: Any, vertex: Any, axis: Any) -> tuple[Any, Callable[..., Any]]:
    """Return one coordinate of a vertex in each lane, in single precision."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = builder.load(_place(builder, arguments, positions.width))
        value.align = 4 * positions.width
        return value

    return _SINGLE[positions.width](positions, types.intp, types.intp), generate


@intrinsic
def store(typing_context: Any, positions: Any, vertex: Any, axis: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """Set one coordinate of a vertex in each lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[3], _place(builder, arguments, positions.width)).align = 4 * positions.width
        return context.get_dummy_value()

    return types.void(positions, types.intp, types.intp, value), generate


@intrinsic
def prefetch(typing_context: Any, positions: Any, vertex: Any) -> tuple[Any, Callable[..., Any]]:
    """Have the memory bring a vertex nearer, because it will be needed soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(_row(builder, arguments[0], arguments[1], positions.width), _INT8.as_pointer())
        function = ir.FunctionType(ir.VoidType(), [_INT8.as_pointer(), _INT32, _INT32, _INT32])
        for_reading, kept_near, data = (ir.Constant(_INT32, number) for number in (0, 3, 1))
        builder.call(
            cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0i8"),
            [pointer, for_reading, kept_near, data],
        )
        return context.get_dummy_value()

    return types.void(positions, types.intp), generate


@intrinsic
def difference(typing_context: Any, x: Any, y: Any) -> tuple[Any, Callable[..., Any]]:
    """Return x - y in single precision."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fsub(*arguments)

    return x(x, y), generate


@intrinsic
def squared_length(typing_context: Any, x: Any, y: Any) -> tuple[Any, Callable[..., Any]]:
    """Return x² + y² in single precision, in the order and with the roundings of umap-learn's squared distance."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x_value, y_value = arguments
        return _multiply_add(builder, y_value, y_value, builder.fmul(x_value, x_value))

    return x(x, y), generate


@intrinsic
def squared_length_unfused(typing_context: Any, x: Any, y: Any) -> tuple[Any, Callable[..., Any]]:
    """Return x² + y² in single precision, each operation rounded by itself."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x_value, y_value = arguments
        return builder.fadd(builder.fmul(x_value, x_value), builder.fmul(y_value, y_value))

    return x(x, y), generate


@intrinsic
def tabulated(typing_context: Any, table: Any, squared: Any) -> tuple[Any, Callable[..., Any]]:
    """Return each lane's force at a squared distance by its polynomial, and the lanes that have one, as bits.

    `table` points to the polynomials of all lanes, float64, (lanes, `SEGMENTS`, `TERMS`).
    """
    return _tabulated(squared, table, _multiply_add)


@intrinsic
def tabulated_unfused(typing_context: Any, table: Any, squared: Any) -> tuple[Any, Callable[..., Any]]:
    """Return what `tabulated` does, each operation rounded by itself; a lane whose polynomial is NaN has none."""
    kinds, generate = _tabulated(squared, table, _multiply_then_add)
    width = _width(squared)

    def generate_with_gaps(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pair = generate(context, builder, signature, arguments)
        force, known = builder.extract_value(pair, 0), builder.extract_value(pair, 1)
        known = builder.and_(known, _bits(builder, builder.fcmp_ordered("ord", force, force), width))
        return context.make_tuple(builder, signature.return_type, [force, known])

    return kinds, generate_with_gaps


def _tabulated(squared: Any, table: Any, multiply_add: Callable[..., ir.Value]) -> tuple[Any, Callable[..., Any]]:
    width = _width(squared)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = builder.ptrtoint(arguments[0], _INT64)
        bits = builder.bitcast(arguments[1], _of(_INT32, width))
        shifted = builder.ashr(bits, _constant(_INT32, SEGMENT_SHIFT, width))
        segment = builder.sub(shifted, _constant(_INT32, FIRST_SEGMENT, width))
        known = builder.icmp_unsigned("<", segment, _constant(_INT32, SEGMENTS, width))
        segment = builder.select(known, segment, _constant(_INT32, 0, width))
        place = builder.and_(bits, _constant(_INT32, SEGMENT_MASK, width))
        t = builder.sitofp(builder.sub(place, _constant(_INT32, SEGMENT_CENTRE, width)), _of(_DOUBLE, width))
        rows = []
        for lane in range(width):
            one = segment if width == 1 else builder.extract_element(segment, ir.Constant(_INT32, lane))
            offset = builder.mul(builder.zext(one, _INT64), ir.Constant(_INT64, 8 * TERMS))
            table_of_lane = builder.add(start, ir.Constant(_INT64, 8 * TERMS * SEGMENTS * lane))
            rows.append(builder.add(table_of_lane, offset))
        terms = _terms_of_one(builder, rows[0]) if width == 1 else _transposed_terms(builder, rows)
        # Summed in pairs, then pairs of pairs, the polynomial takes fewer steps that wait for each other.
        power = t
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=True)
            terms = [multiply_add(builder, upper, power, lower) for lower, upper in pairs]
            power = builder.fmul(power, power)
        return context.make_tuple(builder, signature.return_type, [terms[0], _bits(builder, known, width)])

    return types.Tuple((_WIDE[width], types.int64))(table, squared), generate


def _terms_of_one(builder: ir.IRBuilder, row: ir.Value) -> list[ir.Value]:
    first = builder.inttoptr(row, _DOUBLE.as_pointer())
    return [builder.load(builder.gep(first, [ir.Constant(_INT32, term)])) for term in range(TERMS)]


def _transposed_terms(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Return the vector of all lanes' numbers for each term, from a row of terms in memory for each lane."""

    def interleaved(x: ir.Value, y: ir.Value, places: list[int]) -> ir.Value:
        return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_INT32, LANES), places))

    pointers = [builder.inttoptr(row, ir.VectorType(_DOUBLE, LANES).as_pointer()) for row in rows]
    terms = []
    for part in range(TERMS // LANES):
        loaded = []
        for pointer in pointers:
            loaded.append(builder.load(builder.gep(pointer, [ir.Constant(_INT32, part)])))
            loaded[-1].align = 8
        even = [interleaved(x, y, [0, 4, 2, 6]) for x, y in (loaded[:2], loaded[2:])]
        odd = [interleaved(x, y, [1, 5, 3, 7]) for x, y in (loaded[:2], loaded[2:])]
        for places in ([0, 1, 4, 5], [2, 3, 6, 7]):
            terms += [interleaved(pair[0], pair[1], places) for pair in (even, odd)]
    return terms


@intrinsic
def step_along(typing_context: Any, force: Any, distance: Any) -> tuple[Any, Callable[..., Any]]:
    """Return force times distance in double precision, at most 4 in either direction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        width = _width(force)
        step = builder.fmul(arguments[0], builder.fpext(arguments[1], _of(_DOUBLE, width)))
        for sign, limit in (("<", _constant(_DOUBLE, 4.0, width)), (">", _constant(_DOUBLE, -4.0, width))):
            step = builder.select(builder.fcmp_ordered(sign, limit, step), limit, step)
        return step

    return force(force, distance), generate


@intrinsic
def moved(
    typing_context: Any, position: Any, step: Any, rate: Any, force_margin: Any, sum_margin: Any
) -> tuple[Any, Callable[..., Any]]:
    """Return the position after a step, and the lanes where it is certain, as bits.

    It is certain where both ends of the interval of error, given by the relative errors of the step and of the sum,
    round to the same number.
    """
    width = _width(position)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rates, of_step, of_sum = (_all(builder, value, width) for value in arguments[2:])
        start = builder.fpext(arguments[0], _of(_DOUBLE, width))
        end = _multiply_add(builder, arguments[1], rates, start)
        way = _call(builder, "fabs", builder.fmul(arguments[1], rates))
        margin = _multiply_add(builder, _call(builder, "fabs", start), of_sum, builder.fmul(way, of_step))
        single = _of(_FLOAT, width)
        low, high = (builder.fptrunc(f(end, margin), single) for f in (builder.fsub, builder.fadd))
        certain = _bits(builder, builder.fcmp_ordered("==", low, high), width)
        return context.make_tuple(builder, signature.return_type, [builder.fptrunc(end, single), certain])

    kinds = (position, step, types.float64, types.float64, types.float64)
    return types.Tuple((position, types.int64))(*kinds), generate


@intrinsic
def moved_unfused(typing_context: Any, position: Any, step: Any, rate: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the position after a step, each operation rounded by itself."""
    width = _width(position)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = builder.fpext(arguments[0], _of(_DOUBLE, width))
        way = builder.fmul(arguments[1], _all(builder, arguments[2], width))
        return builder.fptrunc(builder.fadd(start, way), _of(_FLOAT, width))

    return position(position, step, types.float64), generate


@intrinsic
def chosen(typing_context: Any, lanes: Any, x: Any, y: Any) -> tuple[Any, Callable[..., Any]]:
    """Return x in the lanes whose bits are set, y in the others."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        width = _width(x)
        truths = builder.trunc(arguments[0], ir.IntType(width))
        if width > 1:
            truths = builder.bitcast(truths, ir.VectorType(_INT1, width))
        return builder.select(truths, *arguments[1:])

    return x(types.int64, x, y), generate
