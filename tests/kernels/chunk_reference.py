"""The chunk encodings, written to be read: bits are a string of "0" and "1", samples are tuples.

The oracle of the kernels' property tests, itself checked against chunks that Prometheus wrote (tests/golden/chunks).
docs/formats/chunks.md draws the layouts.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

STALE = 0x7FF0000000000002
U64 = (1 << 64) - 1
VARBIT_WIDTHS = (3, 6, 9, 12, 18, 25, 56, 64)
CUSTOM_BUCKETS = -53


def float_bits(value: float) -> int:
    return struct.unpack(">Q", struct.pack(">d", value))[0]


def bits_float(bits: int) -> float:
    return struct.unpack(">d", struct.pack(">Q", bits))[0]


def signed(value: int) -> int:
    value &= U64
    return value - (1 << 64) if value >> 63 else value


def fits(value: int, width: int) -> bool:
    """The odd range of Prometheus' signed fields: one more at the top, one less at the bottom."""
    return -((1 << (width - 1)) - 1) <= value <= 1 << (width - 1)


class Writer:
    def __init__(self) -> None:
        self.parts: list[str] = []

    def bits(self, value: int, width: int) -> None:
        self.parts.append(format(value & ((1 << width) - 1), f"0{width}b"))

    def text(self, bits: str) -> None:
        self.parts.append(bits)

    def uvarint(self, value: int) -> None:
        while value >= 0x80:
            self.bits(value & 0x7F | 0x80, 8)
            value >>= 7
        self.bits(value, 8)

    def varint(self, value: int) -> None:
        self.uvarint((value << 1 ^ value >> 63) & U64)

    def varbit_int(self, value: int) -> None:
        if value == 0:
            self.text("0")
            return
        rank = next((i for i, width in enumerate(VARBIT_WIDTHS[:-1]) if fits(value, width)), 7)
        self.text("1" * (rank + 1) + ("0" if rank < 7 else ""))
        self.bits(value, VARBIT_WIDTHS[rank])

    def varbit_uint(self, value: int) -> None:
        if value == 0:
            self.text("0")
            return
        rank = next(i for i, width in enumerate(VARBIT_WIDTHS) if value < 1 << width)
        self.text("1" * (rank + 1) + ("0" if rank < 7 else ""))
        self.bits(value, VARBIT_WIDTHS[rank])

    def bytes(self) -> bytes:
        text = "".join(self.parts)
        text += "0" * (-len(text) % 8)
        return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


class Reader:
    def __init__(self, data: bytes) -> None:
        self.text = "".join(format(byte, "08b") for byte in data)
        self.at = 0

    def bits(self, width: int) -> int:
        if self.at + width > len(self.text):
            raise EOFError
        self.at += width
        return int(self.text[self.at - width : self.at], 2)

    def ones(self, most: int) -> int:
        """The number of ones before the first zero, which is consumed, or `most` ones and nothing behind them."""
        for count in range(most):
            if not self.bits(1):
                return count
        return most

    def signed(self, width: int) -> int:
        value = self.bits(width)
        return value - (1 << width) if value > 1 << (width - 1) else value

    def uvarint(self) -> int:
        value = shift = 0
        while True:
            byte = self.bits(8)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value > U64:
                    raise ValueError("varint")
                return value
            shift += 7

    def varint(self) -> int:
        raw = self.uvarint()
        return raw >> 1 ^ -(raw & 1)

    def varbit_int(self) -> int:
        ones = self.ones(8)
        if ones == 0:
            return 0
        return signed(self.bits(64)) if ones == 8 else self.signed(VARBIT_WIDTHS[ones - 1])

    def varbit_uint(self) -> int:
        ones = self.ones(8)
        return self.bits(VARBIT_WIDTHS[ones - 1]) if ones else 0


@dataclass
class Value:
    """A float in XOR form: its bits and the window of significant bits that was last sent."""

    bits: int = 0
    window: tuple[int, int] | None = None  # leading and trailing zeros

    def same_window(self, bits: int) -> bool:
        """Whether the change to `bits` fits the window; else the window becomes that of the change."""
        change = bits ^ self.bits
        leading = min(64 - change.bit_length(), 31)
        trailing = (change & -change).bit_length() - 1
        if self.window and leading >= self.window[0] and trailing >= self.window[1]:
            return True
        self.window = (leading, trailing)
        return False

    def put(self, w: Writer, bits: int, unchanged: str = "0", reuse: str = "10", new: str = "11") -> None:
        change = bits ^ self.bits
        if change == 0:
            w.text(unchanged)
            return
        if self.same_window(bits):
            w.text(reuse)
        else:
            w.text(new)
            w.bits(self.window[0], 5)
            w.bits(64 - sum(self.window), 6)
        w.bits(change >> self.window[1], 64 - sum(self.window))
        self.bits = bits

    def take_reuse(self, r: Reader) -> None:
        leading, trailing = self.window or (0, 0)
        self.bits ^= r.bits(64 - leading - trailing) << trailing

    def take_new(self, r: Reader) -> None:
        leading = r.bits(5)
        width = r.bits(6) or 64
        if leading + width > 64:
            raise ValueError("window")
        self.window = (leading, 64 - leading - width)
        self.take_reuse(r)

    def take(self, r: Reader) -> None:
        code = r.ones(2)
        if code == 1:
            self.take_reuse(r)
        elif code == 2:
            self.take_new(r)


# XOR

Sample = tuple[int, int]  # timestamp, bits of the value


def encode_xor(samples: list[Sample]) -> bytes:
    w = Writer()
    w.bits(len(samples), 16)
    value = Value()
    before = delta = 0
    for i, (t, bits) in enumerate(samples):
        if i == 0:
            w.varint(t)
            w.bits(bits, 64)
            value.bits = bits
        elif i == 1:
            delta = t - before & U64
            w.uvarint(delta)
            value.put(w, bits)
        else:
            step = signed((t - before) - delta)
            delta = t - before
            for prefix, width in (("10", 14), ("110", 17), ("1110", 20)):
                if step == 0:
                    w.text("0")
                    break
                if fits(step, width):
                    w.text(prefix)
                    w.bits(step, width)
                    break
            else:
                w.text("1111")
                w.bits(step, 64)
            value.put(w, bits)
        before = t
    return w.bytes()


def decode_xor(data: bytes) -> list[Sample]:
    r = Reader(data)
    n = r.bits(16)
    samples: list[Sample] = []
    value = Value()
    t = delta = 0
    for i in range(n):
        if i == 0:
            t = r.varint()
            value.bits = r.bits(64)
        elif i == 1:
            delta = r.uvarint()
            t += delta
            value.take(r)
        else:
            code = r.ones(4)
            if code == 4:
                delta += signed(r.bits(64))
            elif code:
                delta += r.signed((14, 17, 20)[code - 1])
            t += delta
            value.take(r)
        samples.append((signed(t), value.bits))
    return samples


# Start timestamps: a field behind each sample of XOR2 and the ST histograms


@dataclass
class Starts:
    """The change of (time of the sample before - start timestamp), from the first sample on where it changes."""

    known: bool = False
    change_on: int = 0
    start: int = 0
    difference: int = 0

    @property
    def header(self) -> int:
        return self.known << 7 | self.change_on

    def put(self, w: Writer, i: int, t: int, before: int, start: int) -> None:
        if i == 0:
            if start:
                w.varint(signed(t - start))
                self.known = True
        elif self.change_on:
            w.varbit_int(signed(before - start - self.difference))
            self.difference = before - start
        elif start != self.start or i == 127:
            w.varbit_int(signed(before - start))
            self.change_on = i
            self.difference = before - start
        self.start = start

    def take(self, r: Reader, i: int, t: int, before: int) -> int:
        if i == 0:
            if self.known:
                self.start = t - r.varint()
        elif self.change_on and i >= self.change_on:
            self.difference = r.varbit_int() + (self.difference if i > self.change_on else 0)
            self.start = before - self.difference
        return signed(self.start)


# XOR2

StartedSample = tuple[int, int, int]  # start timestamp, timestamp, bits of the value


def put_xor2_change(w: Writer, step: int, value: Value, bits: int) -> None:
    if step == 0:
        if bits == STALE:
            w.text("11111")
        else:
            value.put(w, bits, "0", "100", "101")
        return
    if -(1 << 12) <= step < 1 << 12:
        w.text("110")
        w.bits(step, 13)
    elif -(1 << 19) <= step < 1 << 19:
        w.text("1110")
        w.bits(step, 20)
    else:
        w.text("11110")
        w.bits(step, 64)
    put_xor2_value(w, value, bits)


def put_xor2_value(w: Writer, value: Value, bits: int) -> None:
    if bits == STALE:
        w.text("111")
    else:
        value.put(w, bits, "0", "10", "110")


def encode_xor2(samples: list[StartedSample]) -> bytes:
    w = Writer()
    starts = Starts()
    value = Value()
    before = delta = 0
    for i, (start, t, bits) in enumerate(samples):
        if i == 0:
            w.varint(t)
            w.bits(bits, 64)
            value.bits = bits if bits != STALE else 0
        elif i == 1:
            delta = t - before & U64
            w.uvarint(delta)
            put_xor2_value(w, value, bits)
        else:
            put_xor2_change(w, signed(t - before - delta), value, bits)
            delta = t - before
        starts.put(w, i, t, before, start)
        before = t
    return struct.pack(">HB", len(samples), starts.header) + w.bytes()


def take_xor2_value(r: Reader, value: Value) -> int:
    code = r.ones(3)
    if code == 3:
        return STALE
    if code == 1:
        value.take_reuse(r)
    elif code == 2:
        value.take_new(r)
    return value.bits


def take_twos_complement(r: Reader, width: int) -> int:
    raw = r.bits(width)
    return raw - (1 << width) if raw >> (width - 1) else raw


def decode_xor2(data: bytes) -> list[StartedSample]:
    n, header = struct.unpack_from(">HB", data)
    r = Reader(data[3:])
    starts = Starts(bool(header >> 7), header & 0x7F)
    value = Value()
    samples: list[StartedSample] = []
    t = delta = 0
    for i in range(n):
        before = t
        if i == 0:
            t = r.varint()
            bits = r.bits(64)
            value.bits = bits if bits != STALE else 0
        elif i == 1:
            delta = r.uvarint()
            t += delta
            bits = take_xor2_value(r, value)
        else:
            code = r.ones(5)
            if code == 1:
                if r.bits(1):
                    value.take_new(r)
                else:
                    value.take_reuse(r)
                bits = value.bits
            elif code in (0, 5):
                bits = value.bits if code == 0 else STALE
            else:
                delta += take_twos_complement(r, (13, 20, 64)[code - 2])
                bits = None
            t += delta
            if bits is None:
                bits = take_xor2_value(r, value)
        samples.append((starts.take(r, i, t, before), signed(t), bits))
    return samples


# Histograms


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
