"""The fused kernel gives what decoding a batch and then looking at its samples gives, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos import _scan, _windows
from pythanos._chunks import encode_floats
from pythanos._dedup import AVERAGE, CHAIN, NAIVE, PENALTY, SeriesDecoder
from pythanos._windows import Function
from pythanos.errors import CorruptData
from pythanos.model.resolution import COUNT, RAW, SUM
from pythanos.model.series import ABSENT, SeriesBatch
from pythanos.testing.fake_store import ChunkRow, batch_of

VALUES = st.one_of(st.integers(0, 100).map(float), st.sampled_from([ABSENT, np.nan, np.inf, -3.5, 1e300]))
GRID = {"first_end": 20_000, "end_step": 15_000}


def chunk(times: list[int], values: list[float], aggregate: int = RAW, encoding: int = 1) -> ChunkRow:
    data, _, length = encode_floats(
        np.array(times, np.int64), np.array(values, np.float64), np.array([0, len(times)]), encoding
    )
    return ChunkRow(times[0], times[-1], bytes(data[: length[0]]), encoding, aggregate)


@st.composite
def batches(draw: st.DrawFn) -> SeriesBatch:
    """Series of one or two replicas, in chunks of up to 20 samples, raw or a sum and a count."""
    rows = []
    for series in range(draw(st.integers(0, 4))):
        chunks = []
        for _ in range(draw(st.integers(0, 2))):
            gaps = draw(st.lists(st.sampled_from([1, 5000, 14_990, 15_000, 15_000, 15_010, 90_000]), max_size=60))
            times = (np.cumsum(np.array(gaps, np.int64)) + draw(st.integers(0, 15_000))).tolist()
            summed = draw(st.booleans())
            for first in range(0, len(times), 20):
                part = times[first : first + 20]
                values = [draw(VALUES) for _ in part]
                if summed:
                    chunks.append(chunk(part, [draw(st.integers(1, 5)) * 1.0 for _ in part], COUNT))
                chunks.append(chunk(part, values, SUM if summed else RAW, draw(st.sampled_from([1, 4]))))
        rows.append(({"a": str(series)}, sorted(chunks, key=lambda c: (c.mint, c.maxt, c.aggregate))))
    return batch_of(rows)


@settings(max_examples=150, deadline=None)
@given(
    batch=batches(),
    function=st.sampled_from(list(Function)),
    steps=st.integers(0, 40),
    range_ms=st.sampled_from([10_000, 60_000, 61_000]),
    algorithm=st.sampled_from([NAIVE, PENALTY, CHAIN]),
    counter=st.booleans(),
)
def test_a_scan_gives_the_rows_of_decoding_and_then_looking(
    batch: SeriesBatch, function: Function, steps: int, range_ms: int, algorithm: int, counter: bool
) -> None:
    """For every function, for instant lookups, over replicas, averages and empty series; counts included."""
    mint, maxt = GRID["first_end"] - range_ms + 1, GRID["first_end"] + steps * GRID["end_step"]
    how = {"mint": mint, "maxt": maxt, "aggregate": AVERAGE, "algorithm": algorithm, "counter": counter}
    row = np.linspace(0.1, 0.9, steps)
    windows = GRID | {"range_ms": range_ms, "eval_start": 7, "eval_step": 15_000}
    windows |= {"first_parameter": row, "second_parameter": row}
    samples = SeriesDecoder(batch, **how).samples()
    apart, fused = np.empty((2, len(batch), steps))
    counts = _windows.range_rows(function, samples.start, samples.timestamps, samples.values, apart, **windows)
    assert _scan.scan_ranges(SeriesDecoder(batch, **how), function, fused, **windows) == counts
    assert fused.tobytes() == apart.tobytes()

    half = len(batch) // 2
    decoder = SeriesDecoder(batch, **how)
    parts = [
        _scan.scan_ranges(decoder, function, fused[half:], first=half, **windows),
        _scan.scan_ranges(decoder, function, fused[:half], **windows),
    ]
    assert tuple(map(sum, zip(*parts, strict=True))) == counts
    assert fused.tobytes() == apart.tobytes()

    look = GRID | {"lookback_ms": range_ms}
    found = _windows.instant_rows(samples.start, samples.timestamps, samples.values, apart, **look)
    assert _scan.scan_instants(SeriesDecoder(batch, **how), fused, **look) == found
    assert fused.tobytes() == apart.tobytes()


def scans(batch: SeriesBatch, out: np.ndarray) -> list:
    """Both kinds of scan, as calls."""
    windows = GRID | {"range_ms": 60_000, "eval_start": 0, "eval_step": 15_000}
    return [
        lambda: _scan.scan_ranges(SeriesDecoder(batch), Function.RATE, out, **windows),
        lambda: _scan.scan_instants(SeriesDecoder(batch), out, **GRID, lookback_ms=60_000),
    ]


def test_corrupt_chunks_are_told_as_decoding_tells_them() -> None:
    """The file and the offset are those of the chunk, whichever series it belongs to."""
    good = chunk([1000, 16_000, 31_000], [1.0, 2.0, 3.0])
    bad = ChunkRow(good.mint, good.maxt, good.data[:-3], good.encoding, good.aggregate)
    batch = batch_of([({"a": "1"}, [good]), ({"a": "2"}, [bad])])
    with pytest.raises(CorruptData) as told:
        SeriesDecoder(batch).samples()
    for scan in scans(batch, np.empty((2, 4))):
        with pytest.raises(CorruptData) as found:
            scan()
        assert str(found.value) == str(told.value)


def test_what_cannot_be_scanned_is_refused() -> None:
    """Matrices of another size, missing parameters, and histograms."""
    batch = batch_of([({"a": "1"}, [chunk([1000], [1.0])])])
    for scan in scans(batch, np.empty((2, 4))):
        with pytest.raises(ValueError, match="different lengths"):
            scan()
    windows = GRID | {"range_ms": 60_000, "eval_start": 0, "eval_step": 15_000}
    for first in (-1, 1, 2**62):
        with pytest.raises(ValueError, match="different lengths"):
            _scan.scan_ranges(SeriesDecoder(batch), Function.RATE, np.empty((1, 4)), first=first, **windows)
    windows = GRID | {"range_ms": 60_000, "eval_start": 0, "eval_step": 15_000}
    with pytest.raises(ValueError, match="parameter row"):
        _scan.scan_ranges(SeriesDecoder(batch), Function.QUANTILE, np.empty((1, 4)), **windows)
    histograms = batch_of([({"a": "1"}, [ChunkRow(0, 1, b"\x00\x00\x00", 2, RAW)])])
    assert not SeriesDecoder(histograms).floats_only
    for scan in scans(histograms, np.empty((1, 4))):
        with pytest.raises(ValueError, match="histograms"):
            scan()
