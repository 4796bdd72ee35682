"""Selections with several readers."""

from __future__ import annotations

from pythanos._labels import to_dicts
from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.accounting import Account, QueryLimits
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery
from pythanos.promql.queryable import SelectHints, Selection
from pythanos.promql.shared_reads import SharedReads
from pythanos.testing import answers
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.workers import Workers

M = Matcher(MatchType.EQ, "__name__", "m")
ODD = Matcher(MatchType.EQ, "g", "1")
HINTS = SelectHints(0, 100_000)


def series() -> MemoryQueryable:
    queryable = MemoryQueryable(batch_series=2, warnings=("slow store",))
    for number in range(10):
        queryable.add(
            {"__name__": "m", "n": str(number), "g": str(number % 2)}, [1000 * k for k in range(50)], [1.0] * 50
        )
    return queryable


def numbers(selection: Selection) -> list[str]:
    return [labels["n"] for batch in selection.batches for labels in to_dicts(batch.labels)]


def test_two_readers_read_once_and_one_of_them_a_part() -> None:
    """One after the other: the batches wait for the second, counted as held, and are let go."""
    queryable, account = series(), Account(QueryLimits())
    reads = SharedReads(RequestContext(), queryable, account)
    everything, odd = reads.select((M,), (), HINTS), reads.select((M,), (ODD,), HINTS)
    assert sorted(numbers(everything)) == [str(n) for n in range(10)]
    assert account.kept > 0
    assert numbers(odd) == ["1", "3", "5", "7", "9"]
    assert account.kept == 0
    assert len(queryable.asked) == 1
    assert (everything.warnings, odd.warnings) == (["slow store"], [])


def test_readers_may_take_turns() -> None:
    """What both have had is kept no longer."""
    queryable, account = series(), Account(QueryLimits())
    reads = SharedReads(RequestContext(), queryable, account)
    pairs = zip(reads.select((M,), (), HINTS).batches, reads.select((M,), (), HINTS).batches, strict=True)
    held = [account.kept for one, other in pairs if to_dicts(one.labels) == to_dicts(other.labels)]
    assert held == [0] * 5


def test_too_much_is_not_kept_for_a_reader_that_has_not_begun() -> None:
    """It asks for its own part, and its warnings are told."""
    queryable, account = series(), Account(QueryLimits())
    reads = SharedReads(RequestContext(), queryable, account, kept_max=10)
    everything, odd = reads.select((M,), (), HINTS), reads.select((M,), (ODD,), HINTS)
    assert len(numbers(everything)) == 10
    assert account.kept == 0
    assert numbers(odd) == ["1", "3", "5", "7", "9"]
    assert [matchers for matchers, _ in queryable.asked] == [(M,), (M, ODD)]
    assert odd.warnings == ["slow store"]


def test_a_reader_that_gives_up_frees_what_waits_for_it() -> None:
    """Closed early, or never begun at all when the query ends."""
    queryable, account = series(), Account(QueryLimits())
    reads = SharedReads(RequestContext(), queryable, account)
    first, second = reads.select((M,), (), HINTS), reads.select((M,), (), HINTS)
    next(second.batches)
    second.batches.close()  # type: ignore[attr-defined]
    assert len(numbers(first)) == 10
    assert account.kept == 0


def test_a_ratio_reads_its_metric_once() -> None:
    """The numerator is looked up in what the denominator reads; both answers and statistics are as before."""
    found = []
    for optimize in (True, False):
        queryable = series()
        engine = Engine(EngineOptions(optimize=optimize), Workers.inline())
        query = InstantQuery('sum(rate(m{g="1"}[30s])) / sum(rate(m[30s]))', 50_000)
        result = engine.instant(RequestContext(), queryable, query)
        found.append((answers.plain(result.value), result.stats.total_queryable_samples, result.store_warnings))
        assert len(queryable.asked) == (1 if optimize else 2)
    assert found[0] == found[1]


def test_labels_that_the_series_do_not_show_are_left_to_the_store() -> None:
    """A replica is chosen by the select; nothing could be filtered afterwards."""
    queryable = series()
    queryable.hidden_labels = frozenset({"g"})
    Engine(EngineOptions(), Workers.inline()).instant(
        RequestContext(), queryable, InstantQuery('sum(m{g="1"}) / sum(m)', 50_000)
    )
    assert len(queryable.asked) == 2
