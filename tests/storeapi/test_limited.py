"""What a Series call may send at most."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from pythanos.context import RequestContext
from pythanos.errors import LimitExceeded
from pythanos.storeapi.limited import LimitedStore, LimitMetrics, SelectLimits
from pythanos.storeapi.requests import LabelNamesRequest, LabelValuesRequest, SeriesRequest
from pythanos.testing.fake_store import ChunkRow, FakeStore, series_of

ALL = SeriesRequest(0, 100, (), response_batch_size=1)
SERIES = [({"__name__": "up", "job": job}, [ChunkRow(0, 9, b"x"), ChunkRow(10, 19, b"y")]) for job in "abc"]


def limited(**limits: int) -> tuple[LimitedStore, CollectorRegistry]:
    registry = CollectorRegistry()
    return LimitedStore(FakeStore(SERIES), SelectLimits(**limits), LimitMetrics(registry)), registry


def dropped(registry: CollectorRegistry, reason: str) -> float | None:
    return registry.get_sample_value("thanos_store_selects_dropped_total", {"reason": reason})


@pytest.mark.parametrize("limits", [{}, {"series": 3}, {"samples": 720}, {"series": 3, "samples": 720}])
def test_what_is_within_the_limits_is_sent(limits: dict[str, int]) -> None:
    """XC-42: a chunk counts as 120 samples; 0 is no limit. Calls do not add up."""
    store, registry = limited(**limits)
    for _ in range(2):
        assert sum(len(series_of(frame)) for frame in store.series(RequestContext(), ALL)) == 3
    assert (dropped(registry, "series"), dropped(registry, "chunks")) == (0, 0)


@pytest.mark.parametrize(
    ("limits", "sent", "reason", "text"),
    [
        ({"series": 2}, 2, "series", "failed to send series: limit 2 violated (got 3)"),
        ({"samples": 479}, 1, "chunks", "failed to send samples: limit 479 violated (got 480)"),
    ],
)
def test_a_call_over_a_limit_ends(limits: dict[str, int], sent: int, reason: str, text: str) -> None:
    """XC-42: with Thanos' texts, and counted once for each call."""
    store, registry = limited(**limits)
    frames, got = store.series(RequestContext(), ALL), []
    with pytest.raises(LimitExceeded) as raised:
        got.extend(frames)
    assert (len(got), str(raised.value), dropped(registry, reason)) == (sent, text, 1)


def test_labels_are_not_limited() -> None:
    store, _ = limited(series=1)
    assert store.label_names(RequestContext(), LabelNamesRequest(0, 100)).values == ("__name__", "job")
    assert store.label_values(RequestContext(), LabelValuesRequest("job", 0, 100)).values == ("a", "b", "c")
    assert store.info() == FakeStore(SERIES).info()
