"""Series in memory give the engine what they were given, native histograms too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pythanos import _labels
from pythanos.context import RequestContext
from pythanos.errors import NotSupported
from pythanos.model.histogram import HistogramColumns
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.values import RangeVector, Value, Vector
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.testing.promqltest.histogram_columns import to_columns
from pythanos.testing.promqltest.histograms import parse_histogram
from pythanos.workers import Workers


def growing(every_ms: int, counts: Sequence[int], schema: int = 0) -> HistogramColumns:
    """A histogram every so often, all observations in one bucket."""
    bounds = " custom_values:[1 2]" if schema == -53 else ""
    text = "schema:{} count:{} sum:{} buckets:[{}]" + bounds
    found = [parse_histogram("{{" + text.format(schema, count, count / 2, count) + "}}") for count in counts]
    return to_columns([[(number * every_ms, histogram, 0, 0) for number, histogram in enumerate(found)]])


def ask(queryable: MemoryQueryable, text: str, time_ms: int) -> Value:
    engine = Engine(EngineOptions(parser=EVERYTHING), Workers.inline())
    return engine.instant(RequestContext(), queryable, InstantQuery(text, time_ms)).value


def numbers(value: Value, label: str) -> dict[str, float]:
    assert isinstance(value, Vector)
    names = [labels.get(label, "") for labels in _labels.to_dicts(value.labels)]
    return dict(zip(names, value.values.tolist(), strict=True))


@pytest.fixture(params=[1, 2, 64])
def mixture(request: pytest.FixtureRequest) -> MemoryQueryable:
    """Histograms alone, floats alone, one after the other, and another layout; in batches of every kind."""
    queryable = MemoryQueryable(batch_series=request.param)
    queryable.add({"__name__": "h", "k": "steady"}, histograms=growing(10_000, range(10, 100, 10)))
    queryable.add({"__name__": "f", "k": "float"}, [0, 10_000, 20_000], [1.0, 2.0, 4.0])
    queryable.add({"__name__": "h", "k": "turned"}, [200_000, 210_000], [5.0, 6.0], growing(10_000, [7, 8]))
    queryable.add({"__name__": "h", "k": "custom"}, histograms=growing(20_000, [3, 6, 9, 12], schema=-53))
    return queryable


def test_functions_of_histograms_see_every_series_by_itself(mixture: MemoryQueryable) -> None:
    found = numbers(ask(mixture, "histogram_count(increase(h[1m] anchored))", 60_000), "k")
    assert found == {"steady": 60.0, "custom": 9.0, "turned": 1.0}
    # Of the third, floats are in reach as well.
    found = numbers(ask(mixture, "histogram_sum(h smoothed)", 25_000), "k")
    assert found == pytest.approx({"steady": 17.5, "custom": 3.375})


def test_floats_stay_beside_histograms(mixture: MemoryQueryable) -> None:
    assert numbers(ask(mixture, 'count_over_time({__name__=~".+"}[5m])', 215_000), "k") == {
        "steady": 9.0,
        "custom": 4.0,
        "float": 3.0,
        "turned": 4.0,
    }
    assert numbers(ask(mixture, 'h{k="turned"}', 205_000), "k") == {"turned": 5.0}


def test_a_function_of_floats_refuses_histograms(mixture: MemoryQueryable) -> None:
    """A clear error of its own, never a wrong answer."""
    assert numbers(ask(mixture, "xincrease(f[20s])", 20_000), "k") == {"float": 3.0}
    with pytest.raises(NotSupported, match="the function xincrease does not take native histograms"):
        ask(mixture, "xincrease(h[20s])", 20_000)


def test_a_range_gives_back_the_columns_that_were_put_in(mixture: MemoryQueryable) -> None:
    value = ask(mixture, 'h{k="custom"}[5m]', 60_000)
    assert isinstance(value, RangeVector)
    held = growing(20_000, [3, 6, 9, 12], schema=-53)
    got = value.samples.histograms
    assert got is not None
    for part in ("timestamps", "count", "sum", "zero_count", "buckets"):
        np.testing.assert_array_equal(getattr(got, part), getattr(held, part))
    assert got.layouts.custom_bounds(int(got.layout[0])).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("timestamps", "values", "histograms"),
    [
        ([0, 1], [1.0], None),
        ([1, 1], [1.0, 2.0], None),
        ([2, 1], [1.0, 2.0], None),
        ([10_000], [1.0], growing(10_000, [1, 2])),
        ([], [], growing(0, [1, 2])),
    ],
)
def test_times_that_are_not_one_after_the_other_are_refused(
    timestamps: list[int], values: list[float], histograms: HistogramColumns | None
) -> None:
    with pytest.raises(ValueError, match=r"timestamps|same time"):
        MemoryQueryable().add({"__name__": "m"}, timestamps, values, histograms)
