"""Fuzzing of postings: lists, cache values and set operations. See mutation.py for how to run it.

The first byte chooses the target, the rest is its input.
"""

from __future__ import annotations

from pathlib import Path

import cramjam
import mutation
import numpy as np

from pythanos._postings import decode_dss, decode_postings, encode_dss, encode_postings, intersect, subtract, union
from pythanos.errors import CorruptData

CORPUS = Path(__file__).parent / "corpus" / "postings"


def fuzz_one(data: bytes) -> None:
    """One input: raises only what is a bug."""
    if not data:
        return
    targets = (plain, cached, deltas, sets)
    try:
        targets[data[0] % len(targets)](data[1:])
    except CorruptData as error:
        assert error.offset >= -1
        assert error.reason


def plain(body: bytes) -> None:
    found = decode_postings(body)
    assert body.startswith(encode_postings(found))
    assert (np.diff(found.astype(np.int64)) > 0).all()


def cached(body: bytes) -> None:
    found = decode_dss(body)
    assert np.array_equal(decode_dss(encode_dss(found)), found)


def deltas(body: bytes) -> None:
    cached(b"dss" + bytes(cramjam.snappy.compress(body)))
    cached(b"dvs" + bytes(cramjam.snappy.compress_raw(body)))


def sets(body: bytes) -> None:
    """Against numpy: three lists, cut from the input by its first two bytes; gaps up to 2^24."""
    cuts = sorted(byte % (len(body) + 1) for byte in body[:2].ljust(2))
    parts = body[: cuts[0]], body[cuts[0] : cuts[1]], body[cuts[1] :]
    lists = []
    for part in parts:
        gaps = np.frombuffer(part, np.uint8).astype(np.int64)
        gaps = np.where(gaps >= 250, gaps << 16, gaps)
        values = np.unique(np.cumsum(gaps))
        lists.append(values[values < 2**32].astype(np.uint32))
    a, b, c = lists
    assert np.array_equal(intersect(lists), np.intersect1d(np.intersect1d(a, b), c))
    assert np.array_equal(union(lists), np.union1d(np.union1d(a, b), c))
    assert np.array_equal(union([a, b]), np.union1d(a, b))
    assert np.array_equal(subtract(a, [b, c]), np.setdiff1d(np.setdiff1d(a, b), c))
    assert np.array_equal(subtract(c, a), np.setdiff1d(c, a))


if __name__ == "__main__":
    mutation.main(fuzz_one, CORPUS)
