"""What the chunk tests share: the golden chunks, and decoding a list of chunks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pythanos._chunks import decode_chunks
from pythanos.model.chunks import FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST, HISTOGRAM, HISTOGRAM_ST, XOR, XOR2, DecodedChunks

GOLDEN = Path(__file__).parents[1] / "golden" / "chunks"
FLOATS = (XOR, XOR2)
HISTOGRAMS = (HISTOGRAM, FLOAT_HISTOGRAM, HISTOGRAM_ST, FLOAT_HISTOGRAM_ST)


def golden(name: str) -> list[dict[str, Any]]:
    with gzip.open(GOLDEN / name) as lines:
        return [json.loads(line) for line in lines]


CASES = golden("chunks.jsonl.gz")


def case_name(case: dict[str, Any]) -> str:
    return f"{case['Encoding']} {case['Name']}"


def decode(chunks: Sequence[bytes], encodings: Sequence[int], **options: Any) -> DecodedChunks:
    length = np.array([len(chunk) for chunk in chunks], np.int32)
    offset = np.concatenate([[0], np.cumsum(length)])[:-1].astype(np.int64)
    return decode_chunks(b"".join(chunks), offset, length, np.array(encodings, np.uint8), **options)
