"""Limits of a request (ST-23)."""

import pytest

from pythanos.errors import LimitExceeded
from pythanos.gateway.limits import BYTES_LIMIT, SAMPLES_LIMIT, SERIES_LIMIT, RequestLimits


def limits(dropped, **values):
    return RequestLimits(**{"series": 0, "samples": 0, "downloaded_bytes": 0, **values}, on_exceeded=dropped.append)


def test_a_limit_of_zero_is_none():
    dropped = []
    found = limits(dropped)
    found.series.take(10**12)
    found.bytes.take(10**12)
    assert dropped == []


def test_what_exceeds_is_named_and_counted_once():
    dropped = []
    found = limits(dropped, series=10)
    found.series.take(10)
    for _ in range(2):
        with pytest.raises(LimitExceeded) as raised:
            found.series.take(1)
    assert dropped == ["series"]
    assert raised.value.limit == SERIES_LIMIT
    assert str(raised.value) == "exceeded series limit: limit 10 violated (got 12)"


def test_samples_are_counted_as_chunks_of_120():
    dropped = []
    found = limits(dropped, samples=240)
    found.chunks.take(2)
    with pytest.raises(LimitExceeded) as raised:
        found.chunks.take(1)
    assert raised.value.limit == SAMPLES_LIMIT
    assert dropped == ["chunks"]


def test_bytes_say_what_was_being_done():
    with pytest.raises(LimitExceeded, match="exceeded bytes limit while fetching postings: limit 5 violated") as raised:
        limits([], downloaded_bytes=5).bytes.take(6, "fetching postings")
    assert raised.value.limit == BYTES_LIMIT
