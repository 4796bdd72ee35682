"""``stats=all``: how many samples a query looked at and read, in all and for each step, as a Prometheus 3.14 counts."""

from typing import Any

import pytest
from real.both import Both
from real.plant import START_MS

START = START_MS // 1000
FIXED = START + 3600
QUESTIONS: list[tuple[str, dict[str, str]]] = [
    ("query", {"time": str(START + 9000)}),
    ("query_range", {"start": str(START + 8000), "end": str(START + 9000), "step": "200"}),
    ("query_range", {"start": str(START + 8000), "end": str(START + 8600), "step": "7"}),
]
EXPRESSIONS = [
    "1",
    "time()",
    "up",
    "up offset 5m",
    "timestamp(up)",
    "absent(up)",
    "rate(requests_total[5m])",
    "rate(requests_total[1m])",
    "sum by (job) (rate(requests_total[5m]))",
    "up + on (job, instance) start_time_seconds",
    "topk(2, up)",
    "info(up)",
    f"up @ {FIXED}",
    "up @ end()",
    f"sum_over_time(up[5m] @ {FIXED})",
    f"predict_linear(up[5m] @ {FIXED}, time())",
    "max_over_time(sum(up)[10m:1m])",
    "max_over_time(up[2m:30s])",
    "max_over_time(max_over_time(up[2m:30s])[3m:1m])",
    "max_over_time(rate(requests_total[5m])[2m:30s] offset 3m)",
    f"max_over_time((up @ {FIXED})[5m:1m])",
    f"changes(up[2m:30s] @ {FIXED})",
    "scalar(max_over_time(sum(up)[5m:1m])) + time()",
    "native_seconds",
    "rate(native_seconds[5m])",
    "rate(native_mixed[5m])",
    "histogram_quantile(0.5, sum(rate(native_custom[5m])))",
    "timestamp(native_seconds)",
    "rate(requests_total[5m] anchored)",
    "rate(requests_total[5m] smoothed)",
]
FIGURES = ("totalQueryableSamples", "totalQueryableSamplesPerStep", "samplesRead", "samplesReadPerStep")


def figures(body: dict[str, Any]) -> dict[str, Any]:
    samples = body["data"]["stats"]["samples"]
    return {name: samples.get(name) for name in FIGURES}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_samples_are_counted_as_prometheus_counts_them(both_next: Both, expression: str) -> None:
    """QU-26: at one time, at few and at many steps."""
    for path, times in QUESTIONS:
        theirs, ours = both_next.ask(path, {"query": expression, "stats": "all", **times})
        assert figures(ours.body) == figures(theirs.body), times


@pytest.mark.parametrize("expression", ["up[5m]", "native_seconds[5m]", "rate(requests_total[5m])[10m:1m]"])
def test_ranges_are_counted_at_their_one_step(both_next: Both, expression: str) -> None:
    path, times = QUESTIONS[0]
    theirs, ours = both_next.ask(path, {"query": expression, "stats": "all", **times})
    assert figures(ours.body) == figures(theirs.body)
    assert figures(ours.body)["totalQueryableSamplesPerStep"][0][1] > 0


def test_counts_by_step_come_only_where_all_statistics_are_asked_for(both_next: Both) -> None:
    """QU-26: any other value of ``stats`` gives the totals; none gives no statistics."""
    path, times = QUESTIONS[1]
    ours = both_next.ask(path, {"query": "up", "stats": "true", **times})[1].body["data"]["stats"]
    assert "totalQueryableSamplesPerStep" not in ours["samples"]
    assert ours["samples"]["totalQueryableSamples"] > 0
    assert "stats" not in both_next.ask(path, {"query": "up", **times})[1].body["data"]
