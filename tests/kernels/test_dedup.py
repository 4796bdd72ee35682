"""Deduplication against readable references, and what it must guarantee for replicas of one truth."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pythanos._chunks import encode_floats
from pythanos._dedup import AVERAGE, CHAIN, NAIVE, PENALTY, decode_series
from pythanos.errors import CorruptData
from pythanos.model.resolution import COUNT, COUNTER, MAX, MIN, RAW, SUM
from pythanos.model.series import ABSENT
from pythanos.testing.fake_store import ChunkRow, batch_of

ALGORITHMS = (NAIVE, PENALTY, CHAIN)


def chunk(samples: list, aggregate: int = RAW, encoding: int = 1) -> ChunkRow:
    """One chunk of (t, v) samples."""
    t, v = np.array([s[0] for s in samples], np.int64), np.array([s[1] for s in samples], np.float64)
    data, _, length = encode_floats(t, v, np.array([0, len(t)]), encoding)
    return ChunkRow(int(t.min()), int(t.max()), bytes(data[: length[0]]), encoding, aggregate)


def chunks_of(samples: list, size: int) -> list:
    return [chunk(samples[i : i + size]) for i in range(0, len(samples), size)]


def decode(chunks: list, **options) -> list:
    """The samples that a series of these chunks decodes to; chunks are sorted as a merge leaves them."""
    batch = batch_of([({"a": "1"}, sorted(chunks, key=lambda c: (c.mint, c.maxt)))])
    result = decode_series(batch, **options)
    assert result.start.tolist() == [0, len(result.timestamps)]
    return list(zip(result.timestamps.tolist(), result.values.tolist(), strict=True))


def penalty_reference(a: list, b: list) -> list:
    """The penalty algorithm over (t, v) lists, with the spacing around the heads as the bound of the penalty."""
    out, i, j, last = [], 0, 0, None
    penalty = {"a": 0, "b": 0}

    def around(samples, at):
        return [abs(samples[k][0] - samples[at][0]) for k in (at - 1, at + 1) if 0 <= k < len(samples)]

    while True:
        if last is not None:
            while i < len(a) and a[i][0] <= last + penalty["a"]:
                i += 1
            while j < len(b) and b[j][0] <= last + penalty["b"]:
                j += 1
        if i == len(a) and j == len(b):
            return out
        use_a = j == len(b) or (i < len(a) and a[i][0] <= b[j][0])
        t, v = a[i] if use_a else b[j]
        if i < len(a) and j < len(b):
            gaps = [*around(a, i), *around(b, j)]
            penalty["b" if use_a else "a"] = 5000 if last is None else 2 * min([t - last, *gaps])
        penalty["a" if use_a else "b"] = 0
        out.append((t, v))
        last = t


def chain_reference(replicas: list) -> list:
    """All samples by time; of those at the same time the one of the earliest replica."""
    merged: dict = {}
    for samples in replicas:
        for t, v in samples:
            merged.setdefault(t, v)
    return sorted(merged.items())


times = st.lists(st.integers(0, 2_000), min_size=1, max_size=40, unique=True).map(sorted)
series = times.map(lambda ts: [(t * 1000, float(n)) for n, t in enumerate(ts)])


@given(series, st.integers(1, 7), st.sampled_from(ALGORITHMS), st.booleans())
def test_a_series_without_replicas_decodes_to_its_samples(samples, size, algorithm, counter):
    """Chunks that do not overlap are concatenated, whatever the algorithm, values untouched."""
    assert decode(chunks_of(samples, size), algorithm=algorithm, counter=counter) == samples


@given(
    series,
    st.integers(1, 7),
    st.integers(0, 2_000_000),
    st.integers(0, 2_000_000),
    st.sampled_from(ALGORITHMS),
)
def test_samples_outside_the_range_are_left_out(samples, size, mint, maxt, algorithm):
    """Both ends are inside."""
    found = decode(chunks_of(samples, size), mint=mint, maxt=maxt, algorithm=algorithm)
    assert found == [(t, v) for t, v in samples if mint <= t <= maxt]


@given(series, series, st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_two_replicas_are_folded_by_the_penalty_algorithm(a, b, mint, maxt):
    """QU-16, QU-19: the picks are those of the reference, over replicas that were cut to the range first."""
    b = [(t, -v) for t, v in b]
    if not (a[0][0] <= b[-1][0] and b[0][0] <= a[-1][0]):
        return
    first, second = sorted((a, b), key=lambda samples: (samples[0][0], samples[-1][0]))
    cut = [[s for s in samples if mint <= s[0] <= maxt] for samples in (first, second)]
    assert decode([chunk(a), chunk(b)], mint=mint, maxt=maxt) == penalty_reference(*cut)


@given(st.lists(series, min_size=2, max_size=4))
def test_more_replicas_are_folded_from_left_to_right(replicas):
    """QU-16: three and more overlapping chunks are folded pair by pair, in order of their start."""
    replicas = [[(500, -1.0), *((t + n + 1_000, v) for t, v in samples)] for n, samples in enumerate(replicas)]
    order = sorted(replicas, key=lambda samples: (samples[0][0], samples[-1][0]))
    expected = order[0]
    for samples in order[1:]:
        expected = penalty_reference(expected, samples)
    assert [t for t, _ in decode([chunk(samples) for samples in replicas])] == [t for t, _ in expected]


@given(st.lists(series, min_size=1, max_size=4))
def test_chain_keeps_every_sample_once(replicas):
    """QU-18: a plain merge by timestamp, without penalties."""
    replicas = [[(0, 0.0), *((t + 1, v + 1000 * n) for t, v in samples)] for n, samples in enumerate(replicas)]
    order = sorted(replicas, key=lambda samples: (samples[0][0], samples[-1][0]))
    found = decode([chunk(samples) for samples in replicas], algorithm=CHAIN)
    assert [t for t, _ in found] == [t for t, _ in chain_reference(order)]
    assert dict(found).items() <= {s for samples in replicas for s in samples}


def test_without_deduplication_what_overlaps_is_skipped():
    """QU-19: with dedup=false a later chunk adds only what is after the end of the one before it."""
    a = [(t, 1.0) for t in range(0, 100, 10)]
    b = [(t, 2.0) for t in range(55, 155, 10)]
    assert decode([chunk(a), chunk(b)], algorithm=NAIVE) == [*a, *(s for s in b if s[0] > 90)]


def test_identical_overlapping_chunks_do_not_duplicate_samples():
    """QU-19: overlapping blocks with the same samples in differently cut chunks yield each sample once."""
    samples = [(t * 15_000, float(t)) for t in range(100)]
    assert decode([*chunks_of(samples, 10), *chunks_of(samples, 17)]) == samples
    assert decode([*chunks_of(samples, 10), *chunks_of(samples, 17)], counter=True) == samples


def test_one_missed_scrape_does_not_switch_replicas_and_a_longer_gap_does():
    """QU-16: jitter and a single missed scrape stay with one replica; two missed ones bring in the other."""
    a = [(t * 15_000, 0.0) for t in range(40)]
    b = [(t * 15_000 + 3_000, 1.0) for t in range(40)]
    one = [s for s in a if s[0] != 150_000]
    assert decode([chunk(one), chunk(b)])[: len(one)] == one
    several = [s for s in a if not 150_000 <= s[0] < 300_000]
    found = decode([chunk(several), chunk(b)])
    assert {v for t, v in found if t < 150_000} == {0.0}
    assert [s for s in found if 190_000 <= s[0] < 290_000] == [s for s in b if 190_000 <= s[0] < 290_000]
    assert max(np.diff([t for t, _ in found])) <= 45_000


def test_a_gap_in_both_replicas_does_not_shut_one_of_them_out():
    """A replica that ends soon after a common gap is followed by the other within three scrapes."""
    a = [(t * 15_000, 0.0) for t in [*range(10), *range(100, 104)]]
    b = [(t * 15_000 + 7_000, 1.0) for t in [*range(10), *range(100, 200)]]
    found = [t for t, _ in decode([chunk(a), chunk(b)]) if t > 1_000_000]
    assert max(np.diff(found)) <= 45_000


# Counters: replicas of one truth.


def truth(resets: list, rate: float):
    """A counter of time in seconds that rises at a rate and falls to 0 at each reset."""
    return lambda seconds: rate * (seconds - max((r for r in resets if r <= seconds), default=0.0))


def increase(samples: list) -> float:
    """The increase over all samples as rate() sees it: a fall means a reset."""
    numbers = [v for _, v in samples if v == v]
    return sum(after - before if after >= before else after for before, after in itertools.pairwise(numbers))


def falls(samples: list) -> int:
    numbers = [v for _, v in samples if v == v]
    return sum(after < before for before, after in itertools.pairwise(numbers))


# Resets (plus half a second), the slope per second, and for each replica its offset in ms, the lag between timestamp
# and value in seconds, and its gaps as (start, length) in seconds.
fleets = st.tuples(
    st.lists(st.integers(200, 2_800), max_size=3, unique=True),
    st.sampled_from([0.1, 3.0, 500.0]),
    st.lists(
        st.tuples(
            st.integers(0, 14_999),
            st.floats(0, 0.3),
            st.lists(st.tuples(st.integers(20, 2_900), st.integers(10, 900)), max_size=3),
        ),
        min_size=2,
        max_size=3,
    ),
)


def scraped(resets: list, slope: float, offset: int, lag: float, gaps: list) -> list:
    """One replica: a scrape every 15 s but in its gaps."""
    value = truth([r + 0.5 for r in resets], slope)
    return [
        (t, value(t / 1000 + lag))
        for t in range(offset, 3_000_000, 15_000)
        if not any(start * 1000 <= t < (start + length) * 1000 for start, length in gaps)
    ]


def cut_at(samples: list, sizes: list) -> list:
    out, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        out.append(chunk(samples[at : at + size]))
        at, turn = at + size, turn + 1
    return out


@settings(max_examples=300, deadline=None)
@example(([], 0.1, [(0, 0.25, []), (1, 0.0, [(20, 566)])]), [5, 20, 111])
@example(([367], 500.0, [(0, 0.0, [(20, 401)]), (2, 0.0, [(20, 26), (331, 210)]), (90, 0.0, [])]), [5])
@example(([2679], 500.0, [(2, 0.06, []), (1, 0.22, []), (3, 0.04, [])]), [8, 74, 117])
@example(([498, 524], 0.1, [(0, 0.0, []), (10500, 0.0, [])]), [5])
@example(([300], 0.1, [(0, 0.0, [(20, 386)]), (1, 0.0, [(301, 105)]), (2, 0.0, [])]), [5])
@given(fleets, st.lists(st.integers(5, 130), min_size=1, max_size=4))
def test_replicas_of_one_counter_have_no_gap_and_no_false_reset(fleet, sizes):
    """QU-16, QU-17: data where any replica has data, falls only at resets, an increase within a scrape of the truth."""
    resets, slope, settings_of = fleet
    replicas = [scraped(resets, slope, *one) for one in settings_of]
    found = decode([c for samples in replicas for c in cut_at(samples, sizes) if samples], counter=True)
    out = [t for t, _ in found]
    assert out == sorted(set(out))
    for t in sorted({t for samples in replicas for t, _ in samples}):
        assert min(abs(np.array(out) - t)) <= 46_000
    assert falls(found) <= len(resets)
    # A reset hides the rise since the last sample before it; a lag between replicas, some of the rise at a switch.
    value = truth([r + 0.5 for r in resets], slope)
    gap = max(max(np.diff(out), default=0) / 1000, 15) + 0.6
    rise = increase([(t, value(t / 1000)) for t in range(out[0], out[-1] + 1, 500)])
    assert abs(increase(found) - rise) <= slope * (gap * len(resets) + 1) + 1e-6


@settings(max_examples=200, deadline=None)
@given(fleets, st.lists(st.integers(5, 130), min_size=1, max_size=4))
def test_a_gauge_is_never_changed(fleet, sizes):
    """Without a counter function every sample of the result is a sample of some replica."""
    replicas = [scraped(*fleet[:2], *one) for one in fleet[2]]
    found = decode([c for samples in replicas for c in cut_at(samples, sizes) if samples])
    assert set(found) <= {s for samples in replicas for s in samples}


def test_a_lagging_replica_makes_no_reset():
    """QU-17: on a switch to a replica with a lower value the offset is added, until that replica falls itself."""
    a = [(t * 15_000, 1000.0 + t) for t in range(10)]
    b = [(t * 15_000 + 100, 1000.0 + t - 3) for t in range(20)] + [(t * 15_000 + 100, t - 20.0) for t in range(20, 30)]
    found = decode([chunk(a), chunk(b)], counter=True)
    assert found[:10] == a
    assert falls(found) == 1
    assert found[-1] == (29 * 15_000 + 100, 9.0)
    assert falls(decode([chunk(a), chunk(b)])) == 2


def test_a_reset_during_the_switch_is_kept():
    """A replica that saw the counter restart after the other one's last sample brings the reset into the result."""
    a = [(t * 15_000, 1000.0 + t) for t in range(10)]
    b = [(t * 15_000 + 100, 1000.0 + t if t < 10 else t - 9.0) for t in range(20)]
    found = decode([chunk(a), chunk(b)], counter=True)
    assert falls(found) == 1
    assert found[-1] == (19 * 15_000 + 100, 10.0)


def test_a_reset_hidden_in_a_gap_of_a_virtual_replica_is_kept():
    """Chunks of two replicas in one virtual one, the counter restarted and half regrown between them: a reset."""
    a = [(t * 15_000, 40.0 + t) for t in range(10)]
    b = [(t * 15_000 + 1, 1.0) for t in range(3)]
    late = [(t * 15_000 + 1, 30.0 + t) for t in range(40, 60)]
    found = decode([chunk(a), chunk(b), chunk(late)], counter=True)
    assert found[-1] == late[-1]


def test_staleness_markers_survive():
    """Markers are samples; they neither count as a fall nor hide one."""
    a = [(t * 15_000, 1000.0 + t) for t in range(10)] + [(150_000, ABSENT)]
    b = [(t * 15_000 + 100, 990.0 + t) for t in range(30)]
    found = decode([chunk(a), chunk(b)], counter=True)
    assert np.isnan(dict(found)[150_000])
    assert falls(found) == 0


# Aggregates of downsampled data.


def aggregates(t: list, **columns) -> list:
    kinds = {"count": COUNT, "sum": SUM, "min": MIN, "max": MAX, "counter": COUNTER}
    return [chunk(list(zip(t, columns[name], strict=True)), kinds[name]) for name in kinds if name in columns]


def test_an_average_is_sum_over_count_and_raw_chunks_stand_for_themselves():
    """QU-22: SUM / COUNT where the data is downsampled, raw samples where it is not."""
    down = aggregates([300, 600], count=[4, 5], sum=[8, 20], min=[1, 2], max=[3, 9])
    raw = chunk([(700, 7.0), (715, 7.5)])
    assert decode([*down, raw], aggregate=AVERAGE) == [(300, 2.0), (600, 4.0), (700, 7.0), (715, 7.5)]


@pytest.mark.parametrize(("kind", "expected"), [(COUNT, [4, 5]), (SUM, [8, 20]), (MIN, [1, 2]), (MAX, [3, 9])])
def test_single_aggregates_and_raw_in_their_place(kind, expected):
    """QU-22: min_over_time reads MIN and so on; a raw chunk is used where there is no aggregate."""
    down = aggregates([300, 600], count=[4, 5], sum=[8, 20], min=[1, 2], max=[3, 9])
    found = decode([*down, chunk([(700, 7.0)])], aggregate=kind)
    assert found == [(300, expected[0]), (600, expected[1]), (700, 7.0)]


def test_counter_chunks_become_totals_across_resets():
    """Counter chunks hold the first and last raw value: a fall between chunks counts, a repeated timestamp does not."""
    first = chunk([(0, 10.0), (300, 40.0), (600, 70.0), (600, 25.0)], COUNTER)
    second = chunk([(615, 5.0), (900, 20.0), (900, 20.0)], COUNTER)
    assert decode([first, second], aggregate=COUNTER) == [(0, 10), (300, 40), (600, 70), (615, 75), (900, 90)]
    raw = chunk([(915, 30.0), (930, 2.0), (945, ABSENT)])
    assert decode([first, second, raw], aggregate=COUNTER)[-2:] == [(915, 100.0), (930, 102.0)]


def test_raw_counters_keep_their_resets():
    """A counter function over raw data sees the samples as they are: resets() stays exact."""
    raw = [(0, 5.0), (15, 8.0), (30, 1.0), (45, ABSENT)]
    found = decode([chunk(raw)], aggregate=COUNTER, counter=True)
    assert found[:3] == raw[:3]
    assert np.isnan(found[3][1])


def test_downsampled_replicas_go_on_from_each_other():
    """Totals that start at different heights are joined by what each replica gained itself: no jump at the switch."""
    a = chunk([(t * 300_000, 10_000.0 + 30 * t) for t in range(10)], COUNTER)
    b = chunk([(t * 300_000 + 5_000, 40.0 + 30 * t) for t in range(30)], COUNTER)
    found = decode([a, b], aggregate=COUNTER, counter=True)
    assert increase(found) == pytest.approx(30 * (found[-1][0] - found[0][0]) / 300_000)
    assert max(np.diff([v for _, v in found])) <= 91


def test_missing_and_unaligned_aggregates_are_corrupt():
    """A chunk without the wanted aggregate or raw samples, and a sum without its count, are CorruptData."""
    for chunks, aggregate in (
        (aggregates([300], min=[1]), MAX),
        (aggregates([300], sum=[1]), AVERAGE),
        (
            [
                chunk([(300, 1.0), (600, 1.0)], COUNT),
                chunk([(300, 1.0), (600, 1.0)], SUM)[:2] + chunk([(300, 1.0)], SUM)[2:],
            ],
            AVERAGE,
        ),
    ):
        with pytest.raises(CorruptData):
            decode([ChunkRow(*c) for c in chunks], aggregate=aggregate)


# Hostile bytes.


@given(
    st.lists(
        st.tuples(st.binary(max_size=60), st.sampled_from([0, 1, 2, 3, 4, 5, 6, 255]), st.integers(0, 5)), max_size=5
    ),
    st.sampled_from(ALGORITHMS),
    st.integers(0, 6),
    st.booleans(),
)
def test_any_bytes_give_samples_or_corrupt_data(rows, algorithm, aggregate, counter):
    """Whatever stands in the chunks: rising samples or CorruptData."""
    chunks = [ChunkRow(0, 100, data, encoding, kind) for data, encoding, kind in rows]
    try:
        result = decode_series(batch_of([({}, chunks)]), algorithm=algorithm, aggregate=aggregate, counter=counter)
    except CorruptData:
        return
    assert (np.diff(result.timestamps) > 0).all()


@given(series, st.data())
def test_flipped_bytes_never_break_the_order(samples, data):
    """A valid chunk with one byte changed gives rising samples or CorruptData."""
    good, bad = chunk(samples), chunk([(t + 1, v) for t, v in samples])
    raw = bytearray(bad.data)
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = decode_series(
            batch_of([({}, [good, bad._replace(data=bytes(raw))])]), counter=data.draw(st.booleans())
        )
    except CorruptData:
        return
    assert (np.diff(result.timestamps) > 0).all()
