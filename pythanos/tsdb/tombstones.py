"""The tombstones file of a block: time ranges of series that count as deleted until the block is rewritten.

File: magic 0x0130BA30 u32 | version 1 | entries (uvarint series reference, varint mint, varint maxt)* | CRC-32C of the
entries. Both ends of a range are inside. Prometheus writes the series in no particular order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pythanos._symbols import crc32c_of
from pythanos.errors import CorruptData

TOMBSTONES_FILENAME = "tombstones"
MAGIC = 0x0130BA30
VERSION = 1

_HEADER = MAGIC.to_bytes(4, "big") + bytes([VERSION])


@dataclass(frozen=True, slots=True)
class Tombstones:
    """ref: uint64[n] series references; mint, maxt: int64[n] ms, both inside. Sorted by reference, then mint."""

    ref: NDArray[np.uint64]
    mint: NDArray[np.int64]
    maxt: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ref)

    @classmethod
    def of(cls, rows: list[tuple[int, int, int]]) -> Tombstones:
        """From (reference, mint, maxt) in any order."""
        ordered = sorted(rows)
        return cls(
            np.array([row[0] for row in ordered], np.uint64),
            np.array([row[1] for row in ordered], np.int64),
            np.array([row[2] for row in ordered], np.int64),
        )

    def keep(
        self, refs: NDArray[np.uint64], start: NDArray[np.int64], timestamps: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """bool[samples]: the samples that are not deleted.

        refs: uint64[k], the references of k series; start: int64[k + 1], their rows among the timestamps (ms).
        """
        kept = np.ones(len(timestamps), np.bool_)
        for row in np.flatnonzero(np.isin(refs, self.ref)).tolist():
            rows = slice(int(start[row]), int(start[row + 1]))
            own = timestamps[rows]
            for at in range(*np.searchsorted(self.ref, (refs[row], refs[row] + np.uint64(1))).tolist()):
                kept[rows] &= (own < self.mint[at]) | (own > self.maxt[at])
        return kept


def decode_tombstones(data: bytes, file: str = TOMBSTONES_FILENAME) -> Tombstones:
    """The ranges in a tombstones file. Raises CorruptData."""
    if len(data) < len(_HEADER) + 4:
        raise CorruptData(file, 0, "shorter than a tombstones file")
    if data[:4] != _HEADER[:4]:
        raise CorruptData(file, 0, f"magic number {data[:4].hex()} is not that of tombstones")
    if data[4] != VERSION:
        raise CorruptData(file, 4, f"tombstones version {data[4]} is unknown")
    end = len(data) - 4
    if crc32c_of(data[5:end]) != int.from_bytes(data[end:], "big"):
        raise CorruptData(file, end, "checksum of the tombstones does not match")
    rows, at = [], len(_HEADER)
    while at < end:
        ref, at = _take_uvarint(data, at, end, file)
        mint, at = _take_uvarint(data, at, end, file)
        maxt, at = _take_uvarint(data, at, end, file)
        rows.append((ref, _unzigzag(mint), _unzigzag(maxt)))
    return Tombstones.of(rows)


def encode_tombstones(tombstones: Tombstones | None = None) -> bytes:
    """A tombstones file; of none, the nine bytes of an empty one."""
    body = bytearray()
    if tombstones is not None:
        columns = tombstones.ref.tolist(), tombstones.mint.tolist(), tombstones.maxt.tolist()
        for ref, mint, maxt in zip(*columns, strict=True):
            for number in (ref, _zigzag(mint), _zigzag(maxt)):
                _put_uvarint(body, number)
    return _HEADER + bytes(body) + crc32c_of(body).to_bytes(4, "big")


def _take_uvarint(data: bytes, at: int, end: int, file: str) -> tuple[int, int]:
    value = shift = 0
    start = at
    while at < end and shift < 70:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            if value >> 64:
                break
            return value, at
        shift += 7
    raise CorruptData(file, start, "tombstones end inside an entry")


def _put_uvarint(out: bytearray, value: int) -> None:
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 63) if value >= 0 else ((-value) << 1) - 1


def _unzigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
