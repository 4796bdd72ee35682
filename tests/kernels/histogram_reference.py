"""Histogram chunks, written to be read; see chunk_reference for the bit streams and the XOR values."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

from chunk_reference import CUSTOM_BUCKETS, STALE, U64, Reader, Starts, Value, Writer, bits_float, float_bits, signed


@dataclass
class Layout:
    schema: int = 0
    zero_threshold: float = 0.0
    positive: list[tuple[int, int]] = field(default_factory=list)  # (offset, length)
    negative: list[tuple[int, int]] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, int]:
        return sum(length for _, length in self.positive), sum(length for _, length in self.negative)


@dataclass
class Histogram:
    """One sample, buckets absolute; counts are ints, or the bits of floats in a float histogram."""

    t: int
    count: int
    zero_count: int
    sum: int  # bits
    positive: list[int] = field(default_factory=list)
    negative: list[int] = field(default_factory=list)
    start: int = 0


def put_layout(w: Writer, layout: Layout) -> None:
    fraction, exponent = math.frexp(layout.zero_threshold)
    if layout.zero_threshold == 0:
        w.bits(0, 8)
    elif fraction == 0.5 and -242 <= exponent <= 11:
        w.bits(exponent + 243, 8)
    else:
        w.bits(255, 8)
        w.bits(float_bits(layout.zero_threshold), 64)
    w.varbit_int(layout.schema)
    for spans in (layout.positive, layout.negative):
        w.varbit_uint(len(spans))
        for offset, length in spans:
            w.varbit_uint(length)
            w.varbit_int(offset)
    if layout.schema == CUSTOM_BUCKETS:
        w.varbit_uint(len(layout.bounds))
        for bound in layout.bounds:
            put_bound(w, bound)


def put_bound(w: Writer, bound: float) -> None:
    scaled = bound * 1000
    if 0 <= scaled <= 33554430 and math.floor(scaled + 0.5) / 1000 == bound:
        w.varbit_uint(math.floor(scaled + 0.5) + 1)
    else:
        w.text("0")
        w.bits(float_bits(bound), 64)


def take_layout(r: Reader) -> Layout:
    code = r.bits(8)
    threshold = 0.0 if code == 0 else bits_float(r.bits(64)) if code == 255 else math.ldexp(0.5, code - 243)
    layout = Layout(r.varbit_int(), threshold)
    for spans in (layout.positive, layout.negative):
        for _ in range(r.varbit_uint()):
            length = r.varbit_uint()
            spans.append((r.varbit_int(), length))
    if layout.schema == CUSTOM_BUCKETS:
        for _ in range(r.varbit_uint()):
            scaled = r.varbit_uint()
            layout.bounds.append((scaled - 1) / 1000 if scaled else bits_float(r.bits(64)))
    return layout


def deltas(counts: list[int]) -> list[int]:
    return [signed(b - a) for a, b in zip([0, *counts], counts, strict=False)]


def absolute(steps: list[int]) -> list[int]:
    total, counts = 0, []
    for step in steps:
        total += step
        counts.append(signed(total))
    return counts


class IntegerFields:
    """The numbers of an integer histogram: raw once, then deltas of deltas; the sum in XOR form."""

    def __init__(self, layout: Layout) -> None:
        self.sizes = layout.counts
        self.numbers: list[int] = []
        self.changes: list[int] = []
        self.sum = Value()

    def put(self, w: Writer, h: Histogram) -> None:
        stale = h.sum == STALE
        buckets = [] if stale else deltas(h.positive) + deltas(h.negative)
        numbers = [h.t, 0 if stale else h.count, 0 if stale else h.zero_count, *buckets]
        if not self.numbers:
            w.varbit_int(h.t)
            w.varbit_uint(numbers[1])
            w.varbit_uint(numbers[2])
            w.bits(h.sum, 64)
            self.sum.bits = h.sum
            for bucket in buckets:
                w.varbit_int(bucket)
            self.numbers, self.changes = numbers, [0] * len(numbers)
            return
        for i, number in enumerate(numbers):
            change = signed(number - self.numbers[i])
            w.varbit_int(0 if stale and i in (1, 2) else signed(change - self.changes[i]))
            if i == 2:
                self.sum.put(w, h.sum)
            self.numbers[i], self.changes[i] = number, change

    def take(self, r: Reader) -> Histogram:
        if not self.numbers:
            self.numbers = [r.varbit_int(), r.varbit_uint(), r.varbit_uint()]
            self.sum.bits = r.bits(64)
            self.numbers += [r.varbit_int() for _ in range(sum(self.sizes))]
            self.changes = [0] * len(self.numbers)
        else:
            self.step(r, range(3))
            self.sum.take(r)
            if self.sum.bits != STALE:
                self.step(r, range(3, len(self.numbers)))
        t = signed(self.numbers[0])
        if self.sum.bits == STALE:
            return Histogram(t, 0, 0, STALE)
        _, count, zero_count, *steps = self.numbers
        middle = self.sizes[0]
        return Histogram(
            t, count & U64, zero_count & U64, self.sum.bits, absolute(steps[:middle]), absolute(steps[middle:])
        )

    def step(self, r: Reader, which: range) -> None:
        for i in which:
            self.changes[i] += r.varbit_int()
            self.numbers[i] += self.changes[i]


class FloatFields:
    """The numbers of a float histogram: all in XOR form, each with its own window."""

    def __init__(self, layout: Layout) -> None:
        self.sizes = layout.counts
        self.values: list[Value] = []
        self.t = self.delta = 0

    def put(self, w: Writer, h: Histogram) -> None:
        stale = h.sum == STALE
        numbers = [0, 0, STALE] if stale else [h.count, h.zero_count, h.sum, *h.positive, *h.negative]
        if not self.values:
            w.varbit_int(h.t)
            for bits in numbers:
                w.bits(bits, 64)
            self.values = [Value(bits) for bits in numbers]
        else:
            w.varbit_int(signed(h.t - self.t - self.delta))
            self.delta = h.t - self.t
            for value, bits in zip(self.values, numbers, strict=False):
                value.put(w, bits)
        self.t = h.t

    def take(self, r: Reader) -> Histogram:
        if not self.values:
            self.t = r.varbit_int()
            self.values = [Value(r.bits(64)) for _ in range(3 + sum(self.sizes))]
        else:
            self.delta += r.varbit_int()
            self.t += self.delta
            for value in self.values[:3]:
                value.take(r)
            if self.values[2].bits != STALE:
                for value in self.values[3:]:
                    value.take(r)
        if self.values[2].bits == STALE:
            return Histogram(signed(self.t), 0, 0, STALE)
        count, zero_count, total, *buckets = [value.bits for value in self.values]
        middle = self.sizes[0]
        return Histogram(signed(self.t), count, zero_count, total, buckets[:middle], buckets[middle:])


def encode_histograms(
    layout: Layout, samples: list[Histogram], *, flags: int = 0, floats: bool = False, with_starts: bool = False
) -> bytes:
    """`flags` are the two bits of the counter reset header."""
    if samples and samples[0].sum == STALE:
        layout = Layout()
    w = Writer()
    put_layout(w, layout)
    fields = FloatFields(layout) if floats else IntegerFields(layout)
    starts = Starts()
    before = 0
    for i, h in enumerate(samples):
        fields.put(w, h)
        if with_starts:
            starts.put(w, i, h.t, before, h.start)
        before = h.t
    if with_starts:
        return struct.pack(">HB", flags << 14 | len(samples), starts.header) + w.bytes()
    return struct.pack(">HB", len(samples), flags << 6) + w.bytes()


def decode_histograms(
    data: bytes, *, floats: bool = False, with_starts: bool = False
) -> tuple[int, Layout, list[Histogram]]:
    n, header = struct.unpack_from(">HB", data)
    flags = n >> 14 if with_starts else header >> 6
    starts = Starts(bool(header >> 7), header & 0x7F) if with_starts else Starts()
    n = n & 0x3FFF if with_starts else n
    r = Reader(data[3:])
    layout = take_layout(r) if n else Layout()
    fields = FloatFields(layout) if floats else IntegerFields(layout)
    samples: list[Histogram] = []
    before = 0
    for i in range(n):
        h = fields.take(r)
        h.start = starts.take(r, i, h.t, before)
        before = h.t
        samples.append(h)
    return flags, layout, samples
