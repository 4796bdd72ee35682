"""The decoders of chunks are compiled twice, plainly and for processors with BMI2: both give the same bits (ST-9)."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np
import pytest
from chunk_cases import CASES, FLOATS, HISTOGRAMS, case_name, decode

from pythanos import _chunks, _histogram_decode
from pythanos.errors import CorruptData
from pythanos.model.chunks import DecodedChunks

DAMAGES = 40

pytestmark = pytest.mark.skipif(
    _chunks.addresses is None or _histogram_decode.addresses is None, reason="the processor has no BMI2"
)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    limit_instructions(plain=False)


def limit_instructions(*, plain: bool) -> None:
    _chunks.limit_instructions(plain)
    _histogram_decode.limit_instructions(plain)


def bits(decoded: DecodedChunks) -> dict[str, bytes]:
    """All arrays of what was decoded, tables of layouts and exact counts too."""
    found: dict[str, bytes] = {}
    parts: list[tuple[str, object]] = [("", decoded)]
    while parts:
        name, part = parts.pop()
        if isinstance(part, np.ndarray):
            found[name] = part.tobytes()
        elif part is not None:
            slots = type(part).__slots__
            parts += [(f"{name}.{slot}", getattr(part, slot)) for slot in slots]
    return found


def outcome(chunk: bytes, encoding: int, behind: bytes, *, plain: bool) -> object:
    """What decoding gives or says."""
    limit_instructions(plain=plain)
    try:
        # A second chunk behind the first, as a reader may look into it.
        return bits(decode([chunk, behind], [encoding, encoding], exact=encoding in HISTOGRAMS))
    except CorruptData as error:
        return str(error), error.offset


def require_same(chunk: bytes, encoding: int, behind: bytes) -> object:
    plain = outcome(chunk, encoding, behind, plain=True)
    assert outcome(chunk, encoding, behind, plain=False) == plain, (encoding, chunk.hex())
    return plain


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_golden_chunks_and_damaged_ones(case: dict[str, str]) -> None:
    """As Prometheus wrote them; with bits turned over, cut short, with other bytes inside."""
    chunk, encoding = base64.b64decode(case["Data"]), int(case["Encoding"])
    assert isinstance(require_same(chunk, encoding, chunk), dict)
    rng = np.random.default_rng(len(chunk))
    for _ in range(DAMAGES):
        damaged = bytearray(chunk)
        kind, at = rng.integers(3), int(rng.integers(len(chunk)))
        if kind == 0:
            damaged[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del damaged[at:]
        else:
            damaged[at : at + 9] = rng.bytes(9)
        require_same(bytes(damaged), encoding, chunk)


@pytest.mark.parametrize("encoding", [*FLOATS, *HISTOGRAMS])
def test_made_up_chunks(encoding: int) -> None:
    """The head of a real chunk with anything behind it, so that all widths of numbers occur."""
    rng = np.random.default_rng(encoding)
    own = [base64.b64decode(case["Data"]) for case in CASES if int(case["Encoding"]) == encoding]
    decoded = 0
    for _ in range(400):
        chunk = own[int(rng.integers(len(own)))]
        head = chunk[: int(rng.integers(2, 40))]
        body = rng.bytes(int(rng.integers(1, 600)))
        if rng.random() < 0.5:
            # Mostly zeros, as most bits of real chunks are.
            body = bytes(a & b & c for a, b, c in zip(body, rng.bytes(len(body)), rng.bytes(len(body)), strict=True))
        decoded += isinstance(require_same(head + body, encoding, chunk), dict)
    assert decoded
