"""anchored and smoothed selectors over floats and native histograms: the answers and remarks of a Prometheus 3.14.

No distribution packages one that knows the modifiers: the tests are skipped where nobody put it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from real.answers import Answer, differences
from real.both import Both
from real.plant import END_MS, START_MS

START = START_MS // 1000
# Between samples, at a change of kind in native_mixed, and where nothing follows.
INSTANTS = (START + 9013, START + 6005.25, END_MS // 1000 + 170)
RANGE = {"start": str(START - 100.5), "end": str(START + 17_400), "step": "97"}
# Prometheus gives no more than so many remarks of a kind.
REMARKS_MAX = 10

NATIVE = ("native_seconds", "native_level", "native_custom", "native_mixed")
FLOATS = ("requests_total", "odd")
WINDOWS = ("20s", "5m")
# Some of what there is to say about them.
SAID = (
    "might not be a counter",
    "is not a counter",
    "is not a gauge",
    "a mix of histograms and floats",
    "a mix of histograms with exponential and custom buckets",
    "custom buckets were reconciled during aggregation",
)
REFUSED = (
    "native_seconds[5m] anchored",
    "native_mixed[5m] smoothed",
    "max_over_time(native_seconds[5m] anchored)",
    "resets(native_seconds[5m] smoothed)",
    "changes(native_seconds[5m] smoothed)",
    "native_seconds[5m] anchored smoothed",
    "rate(native_seconds[5m:1m] anchored)",
    "rate(native_seconds[5m:1m] smoothed)",
)


def expressions() -> Iterator[str]:
    names = NATIVE + FLOATS
    for function, name, modifier in product(("rate", "increase", "delta"), names, ("anchored", "smoothed")):
        yield from (f"{function}({name}[{window}] {modifier})" for window in WINDOWS)
    yield from (f"{f}({n}[{w}] anchored)" for f, n, w in product(("resets", "changes"), names, WINDOWS))
    yield from (f"{name} smoothed" for name in names)
    yield from wrapped()
    yield from combined()


def wrapped() -> Iterator[str]:
    inner = ("rate(native_seconds[3m] smoothed)", "increase(native_custom[3m] anchored)", "native_level smoothed")
    calls = (
        *("histogram_count({})", "histogram_sum({})", "histogram_avg({})", "histogram_quantile(0.9, {})"),
        *("histogram_fraction(0.05, 1, {})", "sum({})", "avg by (job) ({})", "count({})", "{} * 2", "-{}"),
    )
    yield from (call.format(one) for call, one in product(calls, inner))
    yield from (f"histogram_count({f}(native_mixed[2m] anchored))" for f in ("rate", "delta"))
    yield "histogram_count(native_mixed smoothed)"
    yield "timestamp(native_seconds smoothed)"


def combined() -> Iterator[str]:
    yield from ("native_seconds smoothed offset 7m13s", "rate(native_seconds[5m] smoothed offset -40s)")
    yield from ("native_seconds @ 1700010000 smoothed", "increase(native_seconds[5m] smoothed @ end())")
    yield "increase(native_seconds[5m] anchored) - increase(native_seconds[5m] smoothed)"
    yield "native_seconds smoothed == native_seconds"
    yield "native_level smoothed + on (job) group_left () sum by (job) (native_level)"
    yield "native_custom smoothed and on (job) up"
    yield "rate((native_seconds smoothed)[10m:37s])"
    yield "resets((native_seconds smoothed)[10m:37s])"
    yield "sum_over_time((native_level smoothed)[5m:50s])"
    yield "last_over_time(increase(native_custom[2m] anchored)[10m:3m])"
    yield "sum(increase(native_custom[5m] smoothed)) + sum(increase(native_custom[5m] anchored))"
    yield 'sum({__name__=~"native_(seconds|level)"} smoothed)'


def remarks(answer: Answer) -> list[str]:
    return sorted([*answer.body.get("warnings", ()), *answer.body.get("infos", ())])


@pytest.mark.parametrize("expression", list(expressions()))
def test_an_expression_has_the_same_values_and_remarks(both_next: Both, expression: str) -> None:
    """At three times and over hours."""
    asked = [("query", {"query": expression, "time": str(time)}) for time in INSTANTS]
    asked.append(("query_range", {"query": expression, **RANGE}))
    found = []
    for path, parameters in asked:
        theirs, ours = both_next.ask(path, parameters)
        found += differences(theirs, ours)
        if len(remarks(theirs)) < REMARKS_MAX and remarks(theirs) != remarks(ours):
            found.append(f"remarks {remarks(theirs)} != {remarks(ours)}")
    assert found == []


def test_the_expressions_ask_for_something(both_next: Both) -> None:
    """All have results, and between them there is much to say about them."""
    answers = {text: both_next.ask("query_range", {"query": text, **RANGE})[0] for text in expressions()}
    assert [text for text, answer in answers.items() if not answer.size] == []
    said = "\n".join(remark for answer in answers.values() for remark in remarks(answer))
    assert [text for text in SAID if text not in said] == []


@pytest.mark.parametrize("expression", REFUSED)
def test_what_the_modifiers_do_not_go_with_is_refused_alike(both_next: Both, expression: str) -> None:
    theirs, ours = both_next.ask("query", {"query": expression, "time": str(INSTANTS[0])})
    assert theirs.status != 200
    assert differences(theirs, ours) == []
    assert theirs.body["error"].removeprefix('invalid parameter "query": ') == ours.body["error"]
