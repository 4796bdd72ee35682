"""The engine over series in memory: answers, and that they do not depend on batches and threads."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from pythanos import _labels
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, NotSupported, QueryFailed
from pythanos.model.series import STALE_NAN_BITS
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, RangeQuery
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.values import Matrix, RangeVector, Scalar, String, Value, Vector
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.workers import InlinePool, ThreadPool, Workers

MINUTE = 60_000
OPTIONS = EngineOptions(parser=EVERYTHING)


def counters(series: int = 40, batch: int = 7) -> MemoryQueryable:
    """Counters of different speeds with resets, scraped every 15 s for an hour, some of them with gaps."""
    rng = np.random.default_rng(3)
    queryable = MemoryQueryable(batch_series=batch)
    for number in range(series):
        times = np.arange(0, 60 * MINUTE, 15_000) + number
        kept = rng.random(len(times)) > (0.3 if number % 5 == 0 else 0)
        values = np.cumsum(rng.random(len(times)) * 10 ** (number % 7))
        values[len(times) // 2 :] -= values[len(times) // 2]
        labels = {"__name__": "requests_total", "g": str(number % 3), "pod": f"p{number}"}
        queryable.add(labels, times[kept].tolist(), values[kept].tolist())
    return queryable


def ask(queryable: MemoryQueryable, text: str, time_ms: int, options: EngineOptions = OPTIONS) -> Value:
    engine = Engine(options, Workers.inline())
    return engine.instant(RequestContext(), queryable, InstantQuery(text, time_ms)).value


def ask_range(queryable: MemoryQueryable, text: str, start: int, end: int, step: int) -> Matrix:
    value = Engine(OPTIONS, Workers.inline()).range(
        RequestContext(), queryable, RangeQuery(text, start, end, step)
    )  # fmt: skip
    assert isinstance(value.value, Matrix)
    return value.value


def rows(value: Value) -> list[tuple[dict[str, str], list[float]]]:
    """(labels, values) of a vector or matrix; None for what is absent."""
    assert isinstance(value, Vector | Matrix)
    values = value.values if isinstance(value, Matrix) else value.values[:, np.newaxis]
    shown = [
        [None if bits == STALE_NAN_BITS else x for x, bits in zip(row, row.view(np.int64), strict=True)]
        for row in values
    ]
    return list(zip(_labels.to_dicts(value.labels), shown, strict=True))


@pytest.fixture
def small() -> MemoryQueryable:
    """Three gauges with a sample each minute: 0, 1, 2, ...; twice that; constant 5 until minute 3, then stale."""
    queryable = MemoryQueryable()
    times = [k * MINUTE for k in range(11)]
    queryable.add({"__name__": "m", "a": "x", "b": "1"}, times, [float(k) for k in range(11)])
    queryable.add({"__name__": "m", "a": "y", "b": "2"}, times, [2.0 * k for k in range(11)])
    stale = float(np.int64(STALE_NAN_BITS).view(np.float64))
    queryable.add({"__name__": "n", "a": "x"}, times[:5], [5.0, 5.0, 5.0, 5.0, stale])
    return queryable


def threads() -> Iterator[ThreadPool | InlinePool]:
    yield InlinePool()
    yield ThreadPool("test", 3)


@pytest.mark.parametrize(
    "text", ["sum by (g) (rate(requests_total[5m]))", "avg(requests_total)", "stddev(requests_total)"]
)
def test_sums_have_the_same_bits_for_all_batch_sizes_and_threads(text: str) -> None:
    """Additions happen in the order of the series, wherever their windows were computed."""
    query = RangeQuery(text, 10 * MINUTE, 55 * MINUTE, 30_000)
    answers = set()
    for batch in (1, 40):
        for pool in threads():
            engine = Engine(OPTIONS, Workers(InlinePool(), pool))
            value = engine.range(RequestContext(), counters(batch=batch), query).value
            assert isinstance(value, Matrix)
            answers.add(value.values.tobytes())
            pool.stop()
    assert len(answers) == 1


def test_a_large_batch_is_taken_in_parts() -> None:
    """A step row of 10,000 points makes jobs of few series; the answer is that of the whole."""
    start, end, step = 10 * MINUTE, 20 * MINUTE, 60
    parts = ask_range(counters(batch=64), "rate(requests_total[5m])", start, end, step)
    assert parts.values.shape == (40, 10_001)
    single = ask_range(counters(batch=1), "rate(requests_total[5m])", start, end, step)
    assert parts.values.tobytes() == single.values.tobytes()


def test_an_instant_selector_gives_the_last_sample_and_respects_staleness(small: MemoryQueryable) -> None:
    """Within the lookback, left-open; a staleness marker ends a series at once."""
    assert rows(ask(small, "n", 3 * MINUTE)) == [({"__name__": "n", "a": "x"}, [5.0])]
    assert rows(ask(small, "n", 4 * MINUTE)) == []
    assert rows(ask(small, "m{a='x'}", 15 * MINUTE - 1)) == [({"__name__": "m", "a": "x", "b": "1"}, [10.0])]
    assert rows(ask(small, "m{a='x'}", 15 * MINUTE)) == []


def test_offset_and_at_move_the_time_of_a_selector(small: MemoryQueryable) -> None:
    """Also together, to the future, and to the ends of the range."""
    labels = {"__name__": "m", "a": "x", "b": "1"}
    assert rows(ask(small, "m{a='x'} offset 2m", 5 * MINUTE)) == [(labels, [3.0])]
    assert rows(ask(small, "m{a='x'} offset -2m", 5 * MINUTE)) == [(labels, [7.0])]
    assert rows(ask(small, "m{a='x'} @ 120 offset 1m", 5 * MINUTE)) == [(labels, [1.0])]
    got = ask_range(small, "m{a='x'} @ end() - m{a='x'} @ start()", 2 * MINUTE, 4 * MINUTE, MINUTE)
    assert rows(got) == [({"a": "x", "b": "1"}, [2.0, 2.0, 2.0])]


def test_a_bare_range_selector_gives_samples_at_their_own_times(small: MemoryQueryable) -> None:
    """Left-open, without staleness markers, series in label order."""
    value = ask(small, '{__name__=~"m|n", a="x"}[2m]', 4 * MINUTE)
    assert isinstance(value, RangeVector)
    assert value.samples.start.tolist() == [0, 2, 3]
    assert value.samples.timestamps.tolist() == [3 * MINUTE, 4 * MINUTE, 3 * MINUTE]
    assert value.samples.values.tolist() == [3.0, 4.0, 5.0]


def test_a_bare_subquery_gives_a_matrix_on_multiples_of_its_step(small: MemoryQueryable) -> None:
    """The first step is the first multiple after the beginning of the range."""
    value = ask(small, "m{a='x'}[3m:2m]", 7 * MINUTE)
    assert isinstance(value, Matrix)
    assert value.steps.times().tolist() == [6 * MINUTE]
    assert rows(value) == [({"__name__": "m", "a": "x", "b": "1"}, [6.0])]


def test_a_subquery_that_is_shorter_than_its_step_asks_for_nothing(small: MemoryQueryable) -> None:
    """Where no multiple of the step lies in the range, no store is asked."""
    assert rows(ask(small, "sum_over_time(m[30s:2m])", 3 * MINUTE)) == []
    assert small.asked == []


def test_scalars_and_strings_have_types_of_their_own(small: MemoryQueryable) -> None:
    """A number, time(), scalar() of one, of none, of many; a string."""
    assert ask(small, "1 + 2 * 3", 0) == Scalar(0, 7.0)
    assert ask(small, "time() + pi() * 0", 90_500) == Scalar(90_500, 90.5)
    assert ask(small, 'scalar(m{a="x"})', 5 * MINUTE) == Scalar(5 * MINUTE, 5.0)
    many = ask(small, "scalar(m)", 5 * MINUTE)
    assert isinstance(many, Scalar)
    assert math.isnan(many.value)
    assert ask(small, '"text"', 5) == String(5, "text")


def test_a_range_query_over_a_scalar_is_one_series_without_labels(small: MemoryQueryable) -> None:
    """As Prometheus answers it."""
    assert rows(ask_range(small, "time()", 0, 2000, 1000)) == [({}, [0.0, 1.0, 2.0])]


def test_a_matrix_comes_in_label_order_without_empty_series(small: MemoryQueryable) -> None:
    """And holds absence where a series has no sample."""
    got = rows(ask_range(small, '{a="x"} < 6', 3 * MINUTE, 7 * MINUTE, 2 * MINUTE))
    assert got == [
        ({"__name__": "m", "a": "x", "b": "1"}, [3.0, 5.0, None]),
        ({"__name__": "n", "a": "x"}, [5.0, None, None]),
    ]


def test_topk_of_an_instant_query_is_ordered_and_of_a_range_is_not(small: MemoryQueryable) -> None:
    """Best first at one time; label order over a range, where each step has its own best."""
    assert [row[1] for row in rows(ask(small, "topk(2, m)", 5 * MINUTE))] == [[10.0], [5.0]]
    assert [row[1] for row in rows(ask(small, "bottomk(2, m)", 5 * MINUTE))] == [[5.0], [10.0]]
    got = rows(ask_range(small, "topk(1, {a='x'})", 3 * MINUTE, 7 * MINUTE, 4 * MINUTE))
    assert [row[1] for row in got] == [[None, 7.0], [5.0, None]]


def test_names_that_are_dropped_must_not_make_series_equal(small: MemoryQueryable) -> None:
    """Prometheus' error, also below an aggregation that would hide the collision."""
    small.add({"__name__": "k", "a": "x"}, [0, MINUTE], [1.0, 2.0])
    for text in ('rate({__name__=~"n|k"}[5m])', 'sum(rate({__name__=~"n|k"}[5m]))', 'abs({__name__=~"n|k"})'):
        with pytest.raises(QueryFailed, match="vector cannot contain metrics with the same labelset"):
            ask(small, text, MINUTE)


def test_equal_series_that_never_meet_are_merged(small: MemoryQueryable) -> None:
    """Over a range, two metrics that take turns become one series when their names go."""
    small.add({"__name__": "k", "a": "x"}, [9 * MINUTE], [9.0])
    got = rows(ask_range(small, 'abs({__name__=~"n|k"})', 3 * MINUTE, 9 * MINUTE, 6 * MINUTE))
    assert got == [({"a": "x"}, [5.0, 9.0])]


def test_many_to_many_is_refused_with_the_series_that_collide(small: MemoryQueryable) -> None:
    """The text names the match group, the side and both series."""
    with pytest.raises(QueryFailed) as caught:
        ask(small, "m + on () m", MINUTE)
    assert str(caught.value) == (
        "found duplicate series for the match group {} on the right hand-side of the operation:"
        ' [{__name__="m", a="x", b="1"}, {__name__="m", a="y", b="2"}];many-to-many matching not allowed:'
        " matching labels must be unique on one side"
    )
    with pytest.raises(QueryFailed, match="on the left hand-side"):
        ask(small, "m + on () group_right m", MINUTE)


def test_a_match_that_must_be_explicit_is_refused(small: MemoryQueryable) -> None:
    """Two on the left for one on the right, and labels from the one side that make results equal."""
    with pytest.raises(QueryFailed, match="many-to-one matching must be explicit"):
        ask(small, "m + on () n", MINUTE)
    with pytest.raises(QueryFailed, match="grouping labels must ensure unique matches"):
        ask(small, 'label_replace(m, "a", "", "", "") * on () group_left (b) n', MINUTE)


def test_label_replace_and_join_edit_labels(small: MemoryQueryable) -> None:
    """References, unmatched rows, removal by an empty value; results must stay distinct."""
    replaced = rows(ask(small, 'label_replace(m, "c", "$1-${1}$$", "a", "(x).*")', MINUTE))
    assert [row[0].get("c") for row in replaced] == ["x-x$", None]
    joined = rows(ask(small, 'label_join(m, "c", "/", "a", "none", "b")', MINUTE))
    assert [row[0]["c"] for row in joined] == ["x//1", "y//2"]
    with pytest.raises(QueryFailed, match="same labelset"):
        ask(small, 'label_replace(label_replace(m, "a", "", "", ""), "b", "", "", "")', MINUTE)


def test_absent_names_what_was_asked_for(small: MemoryQueryable) -> None:
    """Labels that one equality asks for; only at steps without a sample."""
    assert rows(ask(small, 'absent(q{a="x", b=~"1", c="1", c="2"})', 0)) == [({"a": "x"}, [1.0])]
    got = ask_range(small, 'absent_over_time(n{a="x"}[1m])', 3 * MINUTE, 5 * MINUTE, MINUTE)
    assert rows(got) == [({"a": "x"}, [None, 1.0, 1.0])]


def test_what_is_not_evaluated_says_so() -> None:
    """A clear error of its own, never a wrong answer."""
    with pytest.raises(NotSupported, match="the function xrate does not take a subquery"):
        ask(MemoryQueryable(), "xrate(m[5m:])", 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" or ".join(f'n{{a="{number}"}}' for number in range(1500)), 1),
        ("n" + " + n" * 1500, 1501 * 7),
        ("n" + " + on (a) n * 2" * 1500, 3001 * 7),
        ("1 + n" + " + 1 - n" * 1500, 1501 - 1499 * 7),
        ("n" + " and n" * 1500, 7),
    ],
    ids=lambda value: str(value)[:12],
)
def test_thousands_of_operators_in_a_row_are_evaluated(text: str, expected: float) -> None:
    """As many as Prometheus takes, in the order in which they stand, and with no more samples held than two need."""
    queryable = MemoryQueryable()
    queryable.add({"__name__": "n", "a": "1"}, [0], [1 if " or " in text else 7])
    engine = Engine(EngineOptions(parser=EVERYTHING), Workers.inline())
    for result in (
        engine.instant(RequestContext(), queryable, InstantQuery(text, 0)),
        engine.range(RequestContext(), queryable, RangeQuery(text, 0, 60_000, 60_000)),
    ):
        assert isinstance(result.value, Vector | Matrix)
        assert np.ravel(result.value.values).tolist() == [expected] * result.value.values.size
        assert result.stats.peak_samples < 20


def test_a_row_of_scalars_is_a_scalar() -> None:
    """Constants, and what only the time of evaluation tells."""
    assert ask(MemoryQueryable(), "time()" + " + 1" * 1500, 1000) == Scalar(1000, 1501.0)
    assert ask(MemoryQueryable(), "1" + " + 1" * 1500, 1000) == Scalar(1000, 1501.0)


def test_a_range_query_refuses_what_has_no_steps() -> None:
    """A step of zero, a range vector, a string: the caller's mistakes."""
    engine = Engine(OPTIONS, Workers.inline())
    for query in (RangeQuery("m", 0, 1, 0), RangeQuery("m[5m]", 0, 1, 1), RangeQuery('"text"', 0, 1, 1)):
        with pytest.raises(BadRequest):
            engine.range(RequestContext(), MemoryQueryable(), query)
