"""Native histograms through deduplication: picked by timestamp, hints kept honest, averages divided."""

import numpy as np

from pythanos._chunks import encode_floats
from pythanos._dedup import AVERAGE, CHAIN, PENALTY, decode_series
from pythanos._histogram_encode import encode_histograms
from pythanos.model.chunks import FLOAT_HISTOGRAM, XOR
from pythanos.model.histogram import GAUGE, NOT_COUNTER_RESET, UNKNOWN_RESET, HistogramColumns, HistogramLayouts
from pythanos.model.resolution import COUNT, RAW, SUM
from pythanos.testing.fake_store import ChunkRow, batch_of

# Schema 0, one positive span of two buckets.
LAYOUT = HistogramLayouts(
    np.array([0], np.int32),
    np.array([0.0]),
    np.array([0, 1]),
    np.array([1]),
    np.array([1], np.int32),
    np.array([2], np.uint32),
    np.array([0, 0]),
    np.zeros(0),
    np.array([2]),
    np.array([0]),
)


def columns(samples: list, *, gauge: bool = False) -> HistogramColumns:
    """Float histograms of two buckets: (t, a, b), count a + b, sum 10 * a."""
    t, a, b = (np.array([s[i] for s in samples], np.float64) for i in range(3))
    n = len(samples)
    return HistogramColumns(
        np.array([0, n]),
        np.array([3 if gauge else 0], np.uint8),
        t.astype(np.int64),
        a + b,
        np.zeros(n),
        10 * a,
        np.full(n, GAUGE if gauge else NOT_COUNTER_RESET, np.uint8),
        np.zeros(n, np.int32),
        LAYOUT,
        np.arange(n + 1) * 2,
        np.stack([a, b], axis=1).ravel(),
    )


def histogram_chunk(samples: list, aggregate: int = RAW, *, gauge: bool = False) -> ChunkRow:
    data, _, _, _ = encode_histograms(columns(samples, gauge=gauge), np.array([FLOAT_HISTOGRAM], np.uint8))
    return ChunkRow(samples[0][0], samples[-1][0], data, FLOAT_HISTOGRAM, aggregate)


def float_chunk(samples: list, aggregate: int = RAW) -> ChunkRow:
    t, v = np.array([s[0] for s in samples]), np.array([s[1] for s in samples], np.float64)
    data, _, _ = encode_floats(t, v, [0, len(t)])
    return ChunkRow(samples[0][0], samples[-1][0], bytes(data), XOR, aggregate)


def decode(*series: list, **options):
    batch = batch_of([({"n": str(i)}, sorted(rows, key=lambda r: (r.mint, r.maxt))) for i, rows in enumerate(series)])
    return decode_series(batch, **options)


def rows_of(histograms: HistogramColumns, series: int = 0) -> list:
    """(t, a, b, sum, reset hint) of one series."""
    out = []
    for row in range(int(histograms.start[series]), int(histograms.start[series + 1])):
        a, b = histograms.positive_counts(row).tolist()
        out.append((int(histograms.timestamps[row]), a, b, float(histograms.sum[row]), int(histograms.reset_hint[row])))
    return out


A = [(t * 15_000, float(t), 1.0) for t in range(20)]
B = [(t * 15_000 + 3_000, 100.0 + t, 1.0) for t in range(20)]


def test_histograms_of_one_replica_pass_through():
    """Values, order and hints are those of the chunks; float series beside them are untouched."""
    found = decode(
        [histogram_chunk(A[:10]), histogram_chunk(A[10:])], [float_chunk([(5, 1.0), (6, 2.0)])], algorithm=PENALTY
    )
    assert found.start.tolist() == [0, 0, 2]
    assert found.values.tolist() == [1.0, 2.0]
    assert found.histograms.start.tolist() == [0, 20, 20]
    hints = [UNKNOWN_RESET if i in (0, 10) else NOT_COUNTER_RESET for i in range(20)]
    assert rows_of(found.histograms) == [(t, a, b, 10 * a, hint) for (t, a, b), hint in zip(A, hints, strict=True)]
    assert found.histograms.count.tolist() == [a + b for _, a, b in A]


def test_replicas_are_folded_by_time_and_a_switch_forgets_the_hint():
    """QU-16: where the first replica has a gap the other steps in; across the switch nothing is known about resets."""
    gap = [s for s in A if not 75_000 <= s[0] < 180_000]
    found = rows_of(decode([histogram_chunk(gap), histogram_chunk(B)], algorithm=PENALTY).histograms)
    times = [row[0] for row in found]
    assert max(np.diff(times)) <= 45_000
    sources = ["b" if row[1] >= 100 else "a" for row in found]
    assert set(sources) == {"a", "b"}
    for i in range(1, len(found)):
        if sources[i] != sources[i - 1]:
            assert found[i][4] == UNKNOWN_RESET


def test_chain_takes_all_and_the_range_is_cut():
    """QU-18 for histograms, and samples outside the range are left out."""
    found = decode([histogram_chunk(A), histogram_chunk(B)], algorithm=CHAIN, mint=15_000, maxt=100_000).histograms
    expected = sorted(s[0] for s in A + B if 15_000 <= s[0] <= 100_000)
    assert found.timestamps.tolist() == expected


def test_gauges_stay_gauges():
    found = decode([histogram_chunk(A, gauge=True)], algorithm=PENALTY).histograms
    assert set(found.reset_hint.tolist()) == {GAUGE}


def test_floats_and_histograms_of_one_series_are_folded_together():
    """A series that turned from floats into histograms: each sample once, at its time."""
    floats = [(t * 15_000, float(t)) for t in range(10)]
    late = [s for s in A if s[0] >= 150_000]
    found = decode([float_chunk(floats), histogram_chunk(late), histogram_chunk(B)], algorithm=PENALTY, counter=True)
    everything = sorted([*found.timestamps.tolist(), *found.histograms.timestamps.tolist()])
    assert everything == sorted(set(everything))
    assert max(np.diff(everything)) <= 45_000
    assert set(found.timestamps.tolist()) <= {t for t, _ in floats}


def test_averages_of_downsampled_histograms_are_divided():
    """QU-22: SUM as a histogram over COUNT as a float; counts, sums and buckets alike."""
    sums = [(300_000, 8.0, 4.0), (600_000, 9.0, 3.0)]
    counts = [(300_000, 4.0), (600_000, 3.0)]
    found = decode([float_chunk(counts, COUNT), histogram_chunk(sums, SUM)], aggregate=AVERAGE)
    assert len(found.timestamps) == 0
    assert [row[:4] for row in rows_of(found.histograms)] == [(300_000, 2.0, 1.0, 20.0), (600_000, 3.0, 1.0, 30.0)]
    assert found.histograms.count.tolist() == [3.0, 4.0]
