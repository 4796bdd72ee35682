"""Native histograms as text, and the hints of those that are read without their buckets."""

from __future__ import annotations

import numpy as np
import pytest

from pythanos.model.histogram import COUNTER_RESET, GAUGE, NOT_COUNTER_RESET, UNKNOWN_RESET
from pythanos.model.series import ABSENT
from pythanos.promql.histograms.printed import print_histogram
from pythanos.promql.histograms.statistics import without_buckets
from pythanos.promql.plan.build import build_plan
from pythanos.promql.plan.histogram_statistics import skip_buckets
from pythanos.promql.plan.nodes import Node, Select, children
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.parser import parse
from pythanos.testing.promqltest.histogram_columns import to_columns
from pythanos.testing.promqltest.histograms import Histogram

# After FloatHistogram.String of Prometheus.
PRINTED = [
    (Histogram(), "{count:0, sum:0}"),
    (
        Histogram(
            count=9.5,
            sum=-1e21,
            zero_count=2.5,
            zero_threshold=0.001,
            positive={0: 1.0, 1: 0.0, 2: 3.0},
            negative={1: 3.0},
        ),
        "{count:9.5, sum:-1e+21, [-2,-1):3, [-0.001,0.001]:2.5, (0.5,1]:1, (2,4]:3}",
    ),
    (
        Histogram(schema=1, count=1e6, sum=0.25, positive={1: 1e6}),
        "{count:1e+06, sum:0.25, (1,1.414213562373095]:1e+06}",
    ),
    (
        Histogram(schema=-53, count=6.0, sum=8.0, bounds=(1.0, 2.5), positive={0: 1.0, 1: 2.0, 2: 3.0}),
        "{count:6, sum:8, [-Inf,1]:1, (1,2.5]:2, (2.5,+Inf]:3}",
    ),
]


@pytest.mark.parametrize(("histogram", "text"), PRINTED, ids=["empty", "both sides", "fine", "custom"])
def test_histograms_print_as_in_prometheus(histogram: Histogram, text: str) -> None:
    """Filled buckets in rising order; brackets say which ends belong to a bucket."""
    columns = to_columns([[(0, Histogram(count=1.0), 0, 0), (1, histogram, 0, 0)]])
    assert print_histogram(columns, 1) == text


def test_hints_are_explicit_where_buckets_go() -> None:
    """A reset that only buckets show is seen; first rows, given hints and rows before the query stay as they are."""
    small, large = Histogram(count=2.0, positive={0: 2.0}), Histogram(count=4.0, positive={0: 1.0, 1: 3.0})
    stale = Histogram(sum=ABSENT)
    series = [
        [(0, large, UNKNOWN_RESET, 0), (60, small, UNKNOWN_RESET, 0), (120, stale, UNKNOWN_RESET, 0)],
        [(70, small, UNKNOWN_RESET, 0), (80, large, UNKNOWN_RESET, 0), (90, large, UNKNOWN_RESET, 0)],
        [(70, large, GAUGE, 0), (80, small, GAUGE, 0)],
    ]
    bare = without_buckets(to_columns(series), 60)
    assert bare.reset_hint.tolist() == [
        *(UNKNOWN_RESET, UNKNOWN_RESET, UNKNOWN_RESET),
        *(UNKNOWN_RESET, COUNTER_RESET, NOT_COUNTER_RESET),
        *(GAUGE, GAUGE),
    ]
    assert not bare.buckets.size
    assert bare.count.tolist()[:2] == [4.0, 2.0]
    assert without_buckets(to_columns(series), 0).reset_hint[1] == COUNTER_RESET
    assert np.array_equal(bare.timestamps, to_columns(series).timestamps)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("histogram_count(m)", True),
        ("histogram_sum(sum(rate(m[5m])))", True),
        ("m", False),
        ("sum(m)", False),
        ("histogram_count(sum_over_time(m[5m:1m]))", False),
        ("histogram_count(m </ 1)", False),
        ("histogram_quantile(0.9, histogram_count(m))", False),
    ],
)
def test_selectors_know_whether_buckets_matter(text: str, marked: bool) -> None:
    """They do, but for counts and sums that no function of the buckets, trimming or subquery has to do with."""

    def selects(node: Node) -> list[Select]:
        return [node] if isinstance(node, Select) else [found for child in children(node) for found in selects(child)]

    plan = skip_buckets(build_plan(parse(text, EVERYTHING), 60_000))
    assert [select.statistics for select in selects(plan)] == [marked]
