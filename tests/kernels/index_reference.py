"""A readable index, versions 1 and 2, and index-header: plain Python over dicts, for comparison with the kernels."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

POLY = 0x82F63B78


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLY if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def varint(value: int) -> bytes:
    return uvarint(value << 1 if value >= 0 else (-value << 1) - 1)


def text(value: bytes) -> bytes:
    return uvarint(len(value)) + value


def section(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body + struct.pack(">I", crc32c(body))


def label_block(labels: dict[bytes, bytes]) -> bytes:
    """The wire bytes of a label set."""
    out = b""
    for name, value in sorted(labels.items()):
        body = b"\x0a" + text(name) + b"\x12" + text(value)
        out += b"\x0a" + text(body)
    return out


@dataclass
class Series:
    labels: dict[bytes, bytes]
    # (mint, maxt, ref)
    chunks: list[tuple[int, int, int]] = field(default_factory=list)


def symbols_section(symbols: list[bytes]) -> bytes:
    return section(struct.pack(">I", len(symbols)) + b"".join(text(symbol) for symbol in symbols))


def entry_body(series: Series, number: dict[bytes, int]) -> bytes:
    body = uvarint(len(series.labels))
    for name, value in sorted(series.labels.items()):
        body += uvarint(number[name]) + uvarint(number[value])
    body += uvarint(len(series.chunks))
    last = None
    for mint, maxt, ref in series.chunks:
        if last is None:
            body += varint(mint) + uvarint(maxt - mint) + uvarint(ref)
        else:
            body += uvarint(mint - last[1]) + uvarint(maxt - mint) + varint(ref - last[2])
        last = (mint, maxt, ref)
    return body


def entry(body: bytes) -> bytes:
    return text(body) + struct.pack(">I", crc32c(body))


def padded(out: bytes, align: int) -> bytes:
    return out + bytes(-len(out) % align)


def offset_table(places: list[tuple[bytes, bytes, int]]) -> bytes:
    entries = (b"\x02" + text(name) + text(value) + uvarint(place) for name, value, place in places)
    return section(struct.pack(">I", len(places)) + b"".join(entries))


def index(series: list[Series], *, version: int = 2, symbols: tuple[bytes, ...] = (b"",)) -> bytes:
    """An index of series in label order. Version 1 refers by byte offset, and its offset table is unsorted."""
    out = struct.pack(">IB", 0xBAAAD700, version)
    texts = sorted({*symbols, *(part for one in series for pair in one.labels.items() for part in pair)})
    toc = [len(out)]
    number, at = {}, len(out) + 8
    for rank, symbol in enumerate(texts):
        number[symbol] = at if version == 1 else rank
        at += len(text(symbol))
    out += symbols_section(texts)
    toc.append(len(out))
    refs, lists = [], {}
    for one in series:
        out = out if version == 1 else padded(out, 16)
        refs.append(len(out) if version == 1 else len(out) // 16)
        out += entry(entry_body(one, number))
        for pair in one.labels.items():
            lists.setdefault(pair, []).append(refs[-1])
    toc += [len(out), 0, len(out)]
    places = []
    for (name, value), own in [((b"", b""), refs), *sorted(lists.items())]:
        out = padded(out, 4)
        places.append((name, value, len(out)))
        out += section(struct.pack(f">I{len(own)}I", len(own), *own))
    toc[3] = len(out)
    toc.append(len(out))
    out += offset_table(places[::-1] if version == 1 else places)
    body = struct.pack(">6Q", *toc)
    return out + body + struct.pack(">I", crc32c(body))


def index_header(data: bytes) -> bytes:
    """The index-header of an index."""
    symbols, series, _, _, _, table = struct.unpack_from(">6Q", data, len(data) - 52)
    out = struct.pack(">IBBQ", 0xBAAAD792, 1, data[4], table) + data[symbols:series]
    places = struct.pack(">QQ", 14, len(out))
    return out + data[table:] + places + struct.pack(">I", crc32c(places))
