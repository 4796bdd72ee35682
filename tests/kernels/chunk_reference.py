"""The chunk encodings, written to be read: bits are a string of "0" and "1", samples are tuples.

The oracle of the kernels' property tests, itself checked against chunks that Prometheus wrote (tests/golden/chunks).
docs/formats/chunks.md draws the layouts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

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
