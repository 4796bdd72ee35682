"""The windows kernel against a readable reference that follows Prometheus' functions.go sample by sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos import _windows
from pythanos._windows import Function
from pythanos.model.series import ABSENT, STALE_NAN_BITS

# The reference: one window, lists of times and values, the result or None.


def kahan(x: float, total: float, c: float) -> tuple[float, float]:
    t = total + x
    if math.isinf(t):
        return t, 0.0
    if abs(total) >= abs(x):
        return t, c + ((total - t) + x)
    return t, c + ((x - t) + total)


def division(a: float, b: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(a) / np.float64(b))


@dataclass
class Window:
    times: list[int]
    values: list[float]
    end: int
    range_ms: int
    now: int
    p0: float = math.nan
    p1: float = math.nan


def extrapolated(w: Window, counter: bool, per_second: bool) -> float | None:
    if len(w.values) < 2:
        return None
    increase = w.values[-1] - w.values[0]
    if counter:
        for before, after in zip(w.values, w.values[1:], strict=False):
            if after < before:
                increase += before
    to_start = (w.times[0] - (w.end - w.range_ms)) / 1000
    to_end = (w.end - w.times[-1]) / 1000
    sampled = (w.times[-1] - w.times[0]) / 1000
    average = sampled / (len(w.values) - 1)
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if counter:
        to_zero = to_start
        if increase > 0 and w.values[0] >= 0:
            to_zero = sampled * division(w.values[0], increase)
        if to_zero < to_start:
            to_start = to_zero
    if to_end >= threshold:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    if per_second:
        factor /= w.range_ms // 1000 + (w.range_ms % 1000) * 1e6 / 1e9
    return increase * factor


def last_two(w: Window, per_second: bool) -> float | None:
    if len(w.values) < 2:
        return None
    before, after = w.values[-2:]
    change = after if per_second and after < before else after - before
    return change / ((w.times[-1] - w.times[-2]) / 1000) if per_second else change


def total(w: Window) -> float:
    s = c = 0.0
    for value in w.values:
        s, c = kahan(value, s, c)
    return s if math.isinf(s) else s + c


def mean(w: Window) -> float:
    s, c, average, incremental = w.values[0], 0.0, 0.0, False
    count = 1.0
    for number, value in enumerate(w.values[1:], 2):
        count = float(number)
        if not incremental:
            new_s, new_c = kahan(value, s, c)
            if not math.isinf(new_s):
                s, c = new_s, new_c
                continue
            incremental = True
            average = s / (count - 1)
            c /= count - 1
        q = (count - 1) / count
        average, c = kahan(value / count, q * average, q * c)
    return average + c if incremental else s / count + c / count


def extreme(w: Window, sign: int, time: bool = False) -> float:
    best, at = w.values[0], w.times[0]
    for when, value in zip(w.times, w.values, strict=True):
        better = value * sign > best * sign or (time and value == best)
        if better or math.isnan(best):
            best, at = value, when
    return at / 1000 if time else best


def variance(w: Window) -> float:
    count = average = average_c = aux = aux_c = 0.0
    with np.errstate(all="ignore"):
        for value in w.values:
            count += 1
            delta = value - (average + average_c)
            average, average_c = kahan(delta / count, average, average_c)
            aux, aux_c = kahan(float(np.float64(delta) * (value - (average + average_c))), aux, aux_c)
    return (aux + aux_c) / count


def regression(w: Window, zero: int) -> tuple[float, float]:
    sums = [(0.0, 0.0)] * 4
    for when, y in zip(w.times, w.values, strict=True):
        x = (when - zero) / 1e3
        sums = [kahan(term, *acc) for term, acc in zip((x, y, x * y, x * x), sums, strict=True)]
    if all(value == w.values[0] for value in w.values):
        return (math.nan, math.nan) if math.isinf(w.values[0]) else (0.0, w.values[0])
    sum_x, sum_y, sum_xy, sum_xx = (s + c for s, c in sums)
    n = float(len(w.values))
    slope = division(sum_xy - sum_x * sum_y / n, sum_xx - sum_x * sum_x / n)
    return slope, sum_y / n - slope * sum_x / n


def quantile(q: float, values: list[float]) -> float:
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return -math.inf if q < 0 else math.inf
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = q * (len(values) - 1)
    lower = max(0, math.floor(rank))
    upper = min(len(values) - 1, lower + 1)
    weight = rank - math.floor(rank)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def deviation(w: Window) -> float:
    if any(map(math.isnan, w.values)):
        return math.nan
    median = quantile(0.5, w.values)
    return quantile(0.5, [abs(value - median) for value in w.values])


def smoothed(w: Window) -> float | None:
    if len(w.values) < 2:
        return None
    before, now, slope = 0.0, w.values[0], w.values[1] - w.values[0]
    for number in range(1, len(w.values)):
        if number > 1:
            slope = w.p1 * (now - before) + (1 - w.p1) * slope
        before, now = now, w.p0 * w.values[number] + (1 - w.p0) * (now + slope)
    return now


def transitions(w: Window, resets: bool) -> float:
    pairs = list(zip(w.values, w.values[1:], strict=False))
    if resets:
        return float(sum(after < before for before, after in pairs))
    return float(sum(a != b and not (math.isnan(a) and math.isnan(b)) for a, b in pairs))


def trend(w: Window, predict: bool) -> float | None:
    if len(w.values) < 2:
        return None
    slope, intercept = regression(w, w.now if predict else w.times[0])
    return slope * w.p0 + intercept if predict else slope


REFERENCE = {
    Function.RATE: lambda w: extrapolated(w, True, True),
    Function.INCREASE: lambda w: extrapolated(w, True, False),
    Function.DELTA: lambda w: extrapolated(w, False, False),
    Function.IRATE: lambda w: last_two(w, True),
    Function.IDELTA: lambda w: last_two(w, False),
    Function.SUM: total,
    Function.AVG: mean,
    Function.MIN: lambda w: extreme(w, -1),
    Function.MAX: lambda w: extreme(w, 1),
    Function.COUNT: lambda w: float(len(w.values)),
    Function.PRESENT: lambda w: 1.0,
    Function.FIRST: lambda w: w.values[0],
    Function.LAST: lambda w: w.values[-1],
    Function.STDDEV: lambda w: float(np.sqrt(variance(w))),
    Function.STDVAR: variance,
    Function.QUANTILE: lambda w: quantile(w.p0, w.values),
    Function.MAD: deviation,
    Function.CHANGES: lambda w: transitions(w, False),
    Function.RESETS: lambda w: transitions(w, True),
    Function.DERIV: lambda w: trend(w, False),
    Function.PREDICT_LINEAR: lambda w: trend(w, True),
    Function.SMOOTH: smoothed,
    Function.TS_OF_FIRST: lambda w: w.times[0] / 1000,
    Function.TS_OF_LAST: lambda w: w.times[-1] / 1000,
    Function.TS_OF_MIN: lambda w: extreme(w, -1, True),
    Function.TS_OF_MAX: lambda w: extreme(w, 1, True),
}

VALUES = st.one_of(
    st.integers(-5, 50).map(float),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, -1.5e308, 1e-300, ABSENT]),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple:
    """Some series with irregular samples, and a grid of windows over them."""
    series = []
    for _ in range(draw(st.integers(1, 3))):
        gaps = draw(st.lists(st.sampled_from([1, 500, 1000, 1001, 15_000, 60_000]), max_size=40))
        times = np.cumsum(np.array(gaps, np.int64)) + draw(st.integers(-20_000, 20_000))
        series.append((times, [draw(VALUES) for _ in gaps]))
    steps = draw(st.integers(1, 20))
    step = draw(st.sampled_from([0, 1000, 1500, 15_000, 60_000]))
    first_end = draw(st.integers(-10_000, 200_000))
    range_ms = draw(st.sampled_from([1, 1000, 3000, 15_000, 60_000, 300_300]))
    return series, steps, step, first_end, range_ms, draw(st.sampled_from([2, 4, 8]))


def columns(series: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start = np.zeros(len(series) + 1, np.int64)
    np.cumsum([len(times) for times, _ in series], out=start[1:])
    times = np.concatenate([times for times, _ in series]).astype(np.int64)
    return start, times, np.concatenate([np.array(values, np.float64) for _, values in series])


def is_stale(value: float) -> bool:
    return int(np.float64(value).view(np.int64)) == STALE_NAN_BITS


def same(expected: float | None, got: float) -> bool:
    if expected is None:
        return is_stale(got)
    if math.isnan(expected):
        return math.isnan(got) and not is_stale(got)
    return expected == got


@pytest.mark.parametrize("function", list(Function), ids=lambda function: function.name)
@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_each_function_gives_the_bits_of_the_reference_in_every_window(function: Function, case: tuple) -> None:
    """Left-open ranges, staleness markers left out, absence where there is no result; for 2, 4 and 8 lanes."""
    series, steps, step, first_end, range_ms, lanes = case
    start, times, values = columns(series)
    p0, p1 = np.linspace(0.1, 0.9, steps), np.linspace(0.8, 0.2, steps)
    out = np.empty((len(series), steps))
    _windows.limit_lanes(lanes)
    try:
        scanned, _ = _windows.range_rows(
            function, start, times, values, out, first_end=first_end, end_step=step, range_ms=range_ms,
            eval_start=first_end + 7, eval_step=step, first_parameter=p0, second_parameter=p1,
        )  # fmt: skip
    finally:
        _windows.limit_lanes(0)
    counted = 0
    for row, (series_times, series_values) in enumerate(series):
        for k in range(steps):
            end = first_end + k * step
            chosen = [
                (int(when), value)
                for when, value in zip(series_times, series_values, strict=True)
                if end - range_ms < when <= end and not is_stale(value)
            ]
            counted += len(chosen)
            window = Window(
                [when for when, _ in chosen], [value for _, value in chosen], end, range_ms, end + 7, p0[k], p1[k]
            )
            with np.errstate(all="ignore"):
                expected = REFERENCE[function](window) if chosen else None
            assert same(expected, out[row, k]), (function, window, expected, out[row, k])
    assert scanned == counted


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("function", [Function.RATE, Function.INCREASE, Function.DELTA], ids=lambda f: f.name)
@pytest.mark.parametrize("begin", [0.0, 1e3, -5.0])
def test_extrapolation_follows_prometheus_across_all_distances_to_the_edges(
    function: Function, lanes: int, begin: float
) -> None:
    """Ends sweep over a gap in the scrapes in steps of 7 ms, past 1.1 intervals and the zero of the counter."""
    times = np.concatenate([np.arange(0, 20_000, 1000), np.arange(23_000, 40_000, 1000)])
    values = begin + np.cumsum(np.where(np.arange(len(times)) % 11 == 10, -30.0, 1.5))
    steps, out = 5000, np.empty((1, 5000))
    _windows.limit_lanes(lanes)
    try:
        _windows.range_rows(
            function, np.array([0, len(times)]), times, values, out, first_end=2000, end_step=7, range_ms=5000,
            eval_start=0, eval_step=7,
        )  # fmt: skip
    finally:
        _windows.limit_lanes(0)
    for k in range(steps):
        end = 2000 + 7 * k
        chosen = (times > end - 5000) & (times <= end)
        window = Window(times[chosen].tolist(), values[chosen].tolist(), end, 5000, end)
        assert same(REFERENCE[function](window), out[0, k]), (k, window)


# Where a first value comes from: any number at all, or just as much of the increase as a counter had before the window
# if it began at zero there, give or take little.
EXTREMES = st.sampled_from(
    [0.0, -0.0, 5e-324, 1e-310, 2.3e-308, 1e-300, 1e-281, 1e-280, 1.1e-280, 1e-100, 1.0, 3.0, 1e15, 8.9e307, 1.79e308,
     math.inf, -math.inf, math.nan, -1.0, -5e-324, -1e308]
)  # fmt: skip
NEARLY_ONE = st.sampled_from([1.0, math.nextafter(1, 0), math.nextafter(1, 2), 0.9999, 1.0001, 1.00011, 0.5])


@st.composite
def edges(draw: st.DrawFn) -> tuple:
    """One series whose first window lies near what rate() decides by: 1.1 intervals to an edge, a counter's zero."""
    range_ms = draw(st.sampled_from([4, 1000, 60_000, 300_300, 10**9, 4 * 10**15]))
    count = draw(st.integers(2, 5))
    gap = max(1, range_ms * draw(st.sampled_from([300, 500, 900, 909, 1000, 1100])) // 1000 // count)
    before = max(1, gap * draw(st.sampled_from([1, 500, 1000, 1099, 1100, 1101])) // 1000 + draw(st.integers(-1, 1)))
    times = before - range_ms + gap * np.arange(count)
    times = times[times <= 0] if (times <= 0).sum() > 1 else np.array([1 - range_ms, 2 - range_ms])
    if draw(st.booleans()):
        return times, [draw(EXTREMES) for _ in times], range_ms
    increase = draw(st.one_of(st.floats(min_value=5e-324, max_value=1e308), st.floats(1e-3, 1e3)))
    sampled, start = int(times[-1] - times[0]) / 1000, int(times[0] + range_ms) / 1000
    if start >= 1.1 * sampled / (len(times) - 1):
        start = sampled / (len(times) - 1) / 2
    first = division(start, sampled) * increase * draw(NEARLY_ONE)
    return times, [first] + [first + increase] * (len(times) - 1), range_ms


@pytest.mark.parametrize("function", [Function.RATE, Function.INCREASE, Function.DELTA], ids=lambda f: f.name)
@settings(max_examples=300, deadline=None)
@given(case=edges(), steps=st.sampled_from([1, 8, 9]), step=st.sampled_from([1, 7, 1000]))
def test_extrapolation_leaves_no_division_out_that_matters(
    function: Function, case: tuple, steps: int, step: int
) -> None:
    """Denormal, huge and infinite counters, and edges cut or just not: the bits of the formula with every division."""
    times, values, range_ms = case
    start, columns = np.array([0, len(times)]), (times.astype(np.int64), np.array(values))
    for lanes in (2, 4, 8):
        out = np.empty((1, steps))
        _windows.limit_lanes(lanes)
        try:
            _windows.range_rows(
                function, start, *columns, out, first_end=0, end_step=step, range_ms=range_ms, eval_start=0,
                eval_step=step,
            )  # fmt: skip
        finally:
            _windows.limit_lanes(0)
        for k in range(steps):
            end = k * step
            chosen = (times > end - range_ms) & (times <= end)
            window = Window(times[chosen].tolist(), columns[1][chosen].tolist(), end, range_ms, end)
            with np.errstate(all="ignore"):
                assert same(REFERENCE[function](window), out[0, k]), (lanes, window, out[0, k])


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_an_instant_lookup_takes_the_last_sample_within_the_lookback(case: tuple) -> None:
    """The sample exactly one lookback old is out; a staleness marker means absence."""
    series, steps, step, first_end, lookback, _ = case
    start, times, values = columns(series)
    out, when = np.empty((len(series), steps)), np.empty((len(series), steps))
    grid = {"first_end": first_end, "end_step": step, "lookback_ms": lookback}
    found = _windows.instant_rows(start, times, values, out, **grid)
    _windows.instant_rows(start, times, values, when, times=True, **grid)
    present = 0
    for row, (series_times, series_values) in enumerate(series):
        for k in range(steps):
            end = first_end + k * step
            before = [(t, v) for t, v in zip(series_times, series_values, strict=True) if t <= end]
            expected = None
            if before and before[-1][0] > end - lookback and not is_stale(before[-1][1]):
                expected = before[-1]
            present += expected is not None
            assert same(expected and expected[1], out[row, k])
            assert same(expected and expected[0] / 1000, when[row, k])
    assert found == present


def test_rows_become_samples_at_their_steps_without_the_absent_ones() -> None:
    """What a subquery's range function sees."""
    rows = np.array([[1.0, ABSENT, 3.0], [ABSENT, ABSENT, ABSENT]])
    start, times, values = _windows.row_samples(rows, 100, 10)
    assert (start.tolist(), times.tolist(), values.tolist()) == ([0, 2, 2], [100, 120], [1.0, 3.0])


def test_a_range_of_samples_is_left_open_and_has_no_staleness_markers() -> None:
    """What a bare range selector answers."""
    start, times, values = _windows.select_samples(
        np.array([0, 4]), np.array([0, 10, 20, 30]), np.array([1.0, 2.0, ABSENT, 4.0]), 0, 30
    )
    assert (start.tolist(), times.tolist(), values.tolist()) == ([0, 2], [10, 30], [2.0, 4.0])


@pytest.mark.parametrize("start", [[0, 5], [2, 1, 2], [-1, 2]])
def test_bounds_outside_the_samples_are_refused(start: list[int]) -> None:
    """A wrong start column is a ValueError, never a read out of bounds."""
    with pytest.raises(ValueError, match="start"):
        _windows.range_rows(
            Function.SUM, np.array(start), np.array([1, 2]), np.array([1.0, 2.0]), np.empty((len(start) - 1, 1)),
            first_end=0, end_step=1, range_ms=1, eval_start=0, eval_step=1,
        )  # fmt: skip
