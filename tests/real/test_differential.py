"""Blocks of a real Prometheus, through SeaweedFS, our store and our querier: the answers are that Prometheus' own."""

import pytest
from real.answers import differences
from real.expressions import EXCEPTIONS, REFUSED, expressions
from real.plant import END_MS, START_MS
from real.served import REPLICA

START = START_MS // 1000
# A scrape time, and one between scrapes.
INSTANTS = (START + 9000, START + 6500.5)
# From where only the blocks of promtool are to near the end.
RANGE = {"start": str(START - 900.123), "end": str(START + 17_400), "step": "300"}


def order_of(expression: str) -> str:
    if expression.startswith("sort_by_label"):
        return "metric"
    return "value" if expression.startswith(("sort(", "sort_desc(", "topk(", "bottomk(")) else ""


def tolerance_of(expression: str) -> float:
    """Sums of squares hang on the order of the series, which in a head is that of their creation."""
    return 1e-12 if expression.startswith(("stddev", "stdvar")) and "_over_time" not in expression else 0.0


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_has_the_same_values(both, expression):
    """At two times and over hours, by GET and by POST; to the last digit."""
    found, relative = [], tolerance_of(expression)
    for time in INSTANTS:
        answers = both.ask("query", {"query": expression, "time": str(time)}, post=time == INSTANTS[0])
        found += differences(*answers, order=order_of(expression), relative=relative)
    if not expression.startswith('"'):
        found += differences(*both.ask("query_range", {"query": expression, **RANGE}), relative=relative)
    if found and expression in EXCEPTIONS:
        pytest.xfail(EXCEPTIONS[expression])
    assert found == []


def test_the_expressions_ask_for_something(both):
    """Nearly all have a result, and there are as many as were promised."""
    asked = expressions()
    assert len(asked) >= 200
    sizes = [both.ask("query_range", {"query": text, **RANGE})[0].size for text in asked[::5]]
    assert sum(size == 0 for size in sizes) < len(sizes) / 7


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_no_query_is_refused_alike(both, expression):
    for path, times in (("query", {"time": str(INSTANTS[0])}), ("query_range", RANGE)):
        theirs, ours = both.ask(path, {"query": expression, **times})
        assert theirs.status != 200
        assert differences(theirs, ours) == []


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("query", {}),
        ("query", {"query": "up", "time": "yesterday"}),
        ("query", {"query": "up", "time": "2023-11-15T02:30:00Z"}),
        ("query", {"query": "up", "time": str(START + 9000), "timeout": "soon"}),
        ("query", {"query": "up", "time": str(START + 9000), "lookback_delta": "10s"}),
        ("query", {"query": "up[2m]", "time": str(START + 9000)}),
        ("query", {"query": "odd[7m] offset 90s", "time": str(START + 6000)}),
        ("query", {"query": "rate(requests_total[5m])[10m:2m]", "time": str(START + 9000)}),
        ("query_range", {"query": "up"}),
        ("query_range", {"query": "up", "start": "1", "end": "0", "step": "1"}),
        ("query_range", {"query": "up", "start": "0", "end": "10", "step": "0"}),
        ("query_range", {"query": "up", "start": "0", "end": "10", "step": "-1"}),
        ("query_range", {"query": "up", "start": "0", "end": "10", "step": "often"}),
        ("query_range", {"query": "up", "start": "0", "end": "11001", "step": "1"}),
        ("query_range", {"query": "up[5m]", "start": "0", "end": "10", "step": "1"}),
        (
            "query_range",
            {"query": "up", "start": "2023-11-15T02:30:00.5Z", "end": "2023-11-15T02:40:00Z", "step": "1m"},
        ),
        ("label/job/values", {}),
        ("label/job/values", {"match[]": "limit", "start": str(START), "end": str(START + 60)}),
        ("label/instance/values", {"match[]": 'up{job="db"}'}),
        ("label/__name__/values", {}),
        ("label/path/values", {}),
        ("label/nothing/values", {}),
        ("labels", {"match[]": "requests_total"}),
        ("labels", {"match[]": "up{"}),
        ("series", {}),
        ("series", {"match[]": "{}"}),
    ],
)
def test_a_request_has_the_same_answer(both, path, parameters):
    theirs, ours = both.ask(path, parameters)
    if path == "labels" and ours.status == 200:
        # A label of the blocks, which that Prometheus does not know of.
        ours.body["data"].remove(REPLICA)
    assert differences(theirs, ours) == []


@pytest.mark.parametrize("matcher", ['{__name__=~"up|odd"}', 'requests_total{code!~"2.."}', "escapes", "nothing"])
def test_the_series_are_the_same(both, matcher):
    parameters = {"match[]": matcher, "start": str(START), "end": str(END_MS // 1000)}
    theirs, ours = (answer.body["data"] for answer in both.ask("series", parameters))
    assert sorted(theirs, key=str) == sorted(({**one} for one in ours), key=str)
