"""Deduplication gives what Thanos gives."""

import json
from pathlib import Path

import numpy as np
import pytest

from pythanos._chunks import encode_floats
from pythanos._dedup import CHAIN, PENALTY, decode_series
from pythanos.testing.fake_store import ChunkRow, batch_of

CASES = json.loads((Path(__file__).parent / "dedup" / "thanos_0.43.json").read_text())
ALGORITHMS = {"penalty": PENALTY, "chain": CHAIN}


def chunk(samples: list) -> ChunkRow:
    times, values = np.array([t for t, _ in samples]), np.array([v for _, v in samples])
    data, _, _ = encode_floats(times, values, [0, len(times)])
    return ChunkRow(samples[0][0], samples[-1][0], bytes(data))


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{case['algorithm']}" for i, case in enumerate(CASES)])
def test_replicas_are_folded_as_thanos_folds_them(case):
    """QU-16, QU-18: the same samples of the same replicas."""
    batch = batch_of([({}, [chunk(samples) for samples in case["replicas"]])])
    result = decode_series(batch, algorithm=ALGORITHMS[case["algorithm"]])
    found = [list(sample) for sample in zip(result.timestamps.tolist(), result.values.tolist(), strict=True)]
    assert found == case["result"]
