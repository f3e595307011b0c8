"""What the scans are made of: operations on 64 codes at once, as LLVM vector instructions.

Codes are compared in blocks of 64 that stand byte by byte: plane j of a block holds byte j of its 64 codes, so one
512-bit register. A plane is XORed with the query's byte, its ones are counted (one instruction where the processor
has VPOPCNTB) and added up in 8 bits, saturating at 255. Eight queries share each load of a plane. LLVM makes of
the same code what the processor has: 512, 256 or 128 bits, counting by instruction, by table or by arithmetic.

Where there is AVX2 and no VPOPCNTB, a byte makes two planes, one of each half, and the query's half byte is a table
of 16 distances that one PSHUFB looks up: the XOR and the counting in one (the way of FAISS's PQ fast scan, André et
al., "Quicker ADC", 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 64  # codes in a block
TOGETHER = 8  # queries that share each load of a plane

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_BYTES = ir.VectorType(_I8, LANES)
_HALF = ir.VectorType(_I8, 32)
_WORDS = ir.VectorType(_I64, 8)


def _number(value: int) -> Any:
    return ir.Constant(_I64, value)


def _order(places: Sequence[int]) -> Any:
    return ir.Constant(ir.VectorType(_I32, len(places)), list(places))


def _data(context: Any, builder: Any, signature: Any, arguments: Any, which: int) -> Any:
    """Where the entries of an argument that is an array begin."""
    return context.make_array(signature.args[which])(context, builder, arguments[which]).data


def _address(builder: Any, begin: Any, offset: Any, kind: Any) -> Any:
    return builder.bitcast(builder.gep(begin, [offset]), kind.as_pointer())


def _load(builder: Any, begin: Any, offset: Any, kind: Any) -> Any:
    loaded = builder.load(_address(builder, begin, offset, kind))
    loaded.align = 1
    return loaded


def _store(builder: Any, value: Any, begin: Any, offset: Any) -> None:
    builder.store(value, _address(builder, begin, offset, value.type)).align = 1


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    """An LLVM intrinsic whose arguments and result are of one vector type."""
    kind = arguments[0].type
    full = f"llvm.{name}" if name.startswith("x86") else f"llvm.{name}.v{kind.count}i{kind.element.width}"
    signature = ir.FunctionType(kind, [argument.type for argument in arguments])
    return builder.call(function_named(builder, full, signature), arguments)


def function_named(builder: Any, name: str, signature: Any) -> Any:
    """An LLVM intrinsic by its full name."""
    return cast(Any, cgutils).get_or_insert_function(builder.module, signature, name)


def _part(builder: Any, vector: Any, begin: int, length: int) -> Any:
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), _order(range(begin, begin + length)))


def _by_tables(context: Any) -> bool:
    features = context.codegen().magic_tuple()[2].split(",")
    return "+avx2" in features and "+avx512bitalg" not in features


def _sums_in_registers(context: Any) -> int:
    """How many queries' sums the processor's registers hold: 32 of 64 bytes, 16 of 32, or fewer."""
    features = context.codegen().magic_tuple()[2].split(",")
    return 8 if "+avx512bw" in features else 4 if "+avx2" in features else 2


def _look_up(builder: Any, table: Any, places: Any) -> Any:
    """table[places] within each 16 bytes, by the 64 lanes."""
    halves = [
        _call(builder, "x86.avx2.pshuf.b", _part(builder, table, begin, 32), _part(builder, places, begin, 32))
        for begin in (0, 32)
    ]
    return builder.shuffle_vector(halves[0], halves[1], _order(range(LANES)))


def _differing(context: Any, builder: Any, plane: Any, query: Any) -> Any:
    """How many bits of each lane differ from the query's; query: its byte in every lane, or its table."""
    if _by_tables(context):
        return _look_up(builder, query, plane)
    return _call(builder, "ctpop", builder.xor(plane, query))


def _sum_over_planes(
    context: Any, builder: Any, planes: tuple[Any, Any, Any], n_queries: int, queries: Callable[[Any], list[Any]]
) -> list[Any]:
    """Distances of a block of 64 codes to each of a few queries, as bytes.

    planes: where they begin, the block's offset, and their number, which is even: two are added up each turn.
    queries: from a plane's number, the queries' vectors for it.
    """
    begin, at, n_planes = planes
    before = builder.block
    loop, after = builder.append_basic_block("planes"), builder.append_basic_block("summed")
    builder.branch(loop)
    builder.position_at_end(loop)
    number = builder.phi(_I64)
    number.add_incoming(_number(0), before)
    sums = [builder.phi(_BYTES) for _ in range(n_queries)]
    totals = list(sums)
    for turn in range(2):
        own = builder.add(number, _number(turn))
        plane = _load(builder, begin, builder.add(at, builder.mul(own, _number(LANES))), _BYTES)
        for lane, one in enumerate(queries(own)):
            totals[lane] = _call(builder, "uadd.sat", totals[lane], _differing(context, builder, plane, one))
    following = builder.add(number, _number(2))
    number.add_incoming(following, loop)
    for one, total in zip(sums, totals, strict=True):
        one.add_incoming(ir.Constant(_BYTES, None), before)
        one.add_incoming(total, loop)
    builder.cbranch(builder.icmp_unsigned("<", following, n_planes), loop, after)
    builder.position_at_end(after)
    return totals


@intrinsic
def _planes_per_byte(typing_context: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _number(2 if _by_tables(context) else 1)

    return types.int64(), generate


@intrinsic
def _spread(typing_context: Any, byte: Any, to: Any, at: Any, stride: Any) -> Any:
    """Write a query's byte for all lanes at an offset; by tables, two tables, the second `stride` bytes on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        begin, at, stride = _data(context, builder, signature, arguments, 1), arguments[2], arguments[3]
        everywhere = ir.Constant(_order(range(LANES)).type, [0] * LANES)
        single = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), arguments[0], ir.Constant(_I32, 0))
        lanes = builder.shuffle_vector(single, ir.Constant(_BYTES, ir.Undefined), everywhere)
        if not _by_tables(context):
            _store(builder, lanes, begin, at)
            return context.get_dummy_value()
        ones = ir.Constant(_BYTES, [(lane % 16).bit_count() for lane in range(LANES)])
        places = ir.Constant(_BYTES, [lane % 16 for lane in range(LANES)])
        for half in (_low(builder, lanes), _high(builder, lanes)):
            _store(builder, _look_up(builder, ones, builder.xor(places, half)), begin, at)
            at = builder.add(at, stride)
        return context.get_dummy_value()

    return types.void(byte, to, types.int64, types.int64), generate


def _low(builder: Any, lanes: Any) -> Any:
    return builder.and_(lanes, ir.Constant(lanes.type, [15] * LANES))


def _high(builder: Any, lanes: Any) -> Any:
    return builder.lshr(lanes, ir.Constant(lanes.type, [4] * LANES))


@intrinsic
def _eight_to_planes(
    typing_context: Any, codes: Any, rows: Any, at: Any, offset: Any, n_bytes: Any, to: Any, begin: Any
) -> Any:
    """Write 8 bytes of each of 8 codes, rows[at : at + 8], to 8 planes (16 by tables) from offset `begin` on.

    offset: which 8 bytes of a code. One shuffle turns the 8 by 8 bytes over.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, listed, planes = (_data(context, builder, signature, arguments, which) for which in (0, 1, 5))
        _, _, at, offset, n_bytes, _, begin = arguments
        words = ir.Constant(_WORDS, ir.Undefined)
        for code in range(8):
            row = builder.load(builder.gep(listed, [builder.add(at, _number(code))]))
            word = _load(builder, source, builder.add(builder.mul(row, n_bytes), offset), _I64)
            words = builder.insert_element(words, word, ir.Constant(_I32, code))
        lanes = builder.bitcast(words, _BYTES)
        turned = _order([8 * (lane % 8) + lane // 8 for lane in range(LANES)])
        lanes = builder.shuffle_vector(lanes, ir.Constant(_BYTES, ir.Undefined), turned)
        halves = [_low(builder, lanes), _high(builder, lanes)] if _by_tables(context) else [lanes]
        for number, half in enumerate(halves):
            words = builder.bitcast(half, _WORDS)
            for byte in range(8):
                place = builder.add(begin, _number((byte * len(halves) + number) * LANES))
                _store(builder, builder.extract_element(words, ir.Constant(_I32, byte)), planes, place)
        return context.get_dummy_value()

    return types.void(codes, rows, types.int64, types.int64, types.int64, to, types.int64), generate


@intrinsic
def _block_hits(typing_context: Any, planes: Any, at: Any, n_planes: Any, spread: Any, limits: Any, hits: Any) -> Any:
    """Which of a block's 64 codes lie within each of 8 queries' limits, a word a query in hits; returns their OR.

    planes: the block's begin at offset `at`. spread: (n_planes, 8, 64) as `spread` writes it. limits: (8, 64), the
    largest distance kept, at most 255, at which all are kept.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        begin, queries, most, out = (_data(context, builder, signature, arguments, which) for which in (0, 3, 4, 5))

        def vectors(some: range, number: Any) -> list[Any]:
            row = builder.mul(number, _number(LANES * TOGETHER))
            return [_load(builder, queries, builder.add(row, _number(LANES * query)), _BYTES) for query in some]

        totals: list[Any] = []
        at_once = _sums_in_registers(context)
        for first in range(0, TOGETHER, at_once):
            some = range(first, first + at_once)
            block = (begin, arguments[1], arguments[2])
            totals += _sum_over_planes(context, builder, block, at_once, partial(vectors, some))
        found = _number(0)
        for query, total in enumerate(totals):
            limit = _load(builder, most, _number(query * LANES), _BYTES)
            inside = builder.bitcast(builder.icmp_unsigned("<=", total, limit), _I64)
            builder.store(inside, builder.gep(out, [_number(query)]))
            found = builder.or_(found, inside)
        return found

    return types.uint64(planes, types.int64, types.int64, spread, limits, hits), generate


@intrinsic
def _block_distances(
    typing_context: Any, planes: Any, at: Any, n_planes: Any, spread: Any, query: Any, out: Any
) -> Any:
    """Write a block's 64 distances to one of the 8 queries, as bytes, 255 for that and all beyond."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        begin, queries, to = (_data(context, builder, signature, arguments, which) for which in (0, 3, 5))

        def vectors(number: Any) -> list[Any]:
            row = builder.add(builder.mul(number, _number(TOGETHER)), arguments[4])
            return [_load(builder, queries, builder.mul(row, _number(LANES)), _BYTES)]

        (total,) = _sum_over_planes(context, builder, (begin, arguments[1], arguments[2]), 1, vectors)
        _store(builder, total, to, _number(0))
        return context.get_dummy_value()

    return types.void(planes, types.int64, types.int64, spread, types.int64, out), generate


@intrinsic
def _lowest(typing_context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


# As compiled code calls them, without the typing context.
planes_per_byte: Callable[[], int] = cast(Any, _planes_per_byte)
spread: Callable[..., None] = cast(Any, _spread)
eight_to_planes: Callable[..., None] = cast(Any, _eight_to_planes)
block_hits: Callable[..., int] = cast(Any, _block_hits)
block_distances: Callable[..., None] = cast(Any, _block_distances)
lowest: Callable[[Any], int] = cast(Any, _lowest)
