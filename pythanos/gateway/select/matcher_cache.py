"""A cache of taken-apart regular expression matchers, so that a dashboard's pattern is read once."""

from __future__ import annotations

import threading

import pylru
from prometheus_client import CollectorRegistry

from pythanos.gateway.select.value_matcher import ValueMatcher
from pythanos.model.matchers import Matcher, MatchType
from pythanos.tally import TallyCounter, TallyGauge


class MatcherCache:
    """Keeps the ``size`` last used patterns; 0 keeps none. Only ``=~`` and ``!~`` are worth it. Thread-safe."""

    def __init__(self, size: int, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._items = pylru.lrucache(size, self._evicted) if size > 0 else None
        self._requests = TallyCounter(
            "thanos_matchers_cache_requests_total",
            "Total number of cache requests for series matchers",
            registry=registry,
        )
        self._hits = TallyCounter(
            "thanos_matchers_cache_hits_total", "Total number of cache hits for series matchers", registry=registry
        )
        self._count = TallyGauge("thanos_matchers_cache_items", "Total number of cached items", registry=registry)
        self._evictions = TallyCounter(
            "thanos_matchers_cache_evicted_total", "Total number of items evicted from the cache", registry=registry
        )
        text = "Maximum number of items that can be cached"
        TallyGauge("thanos_matchers_cache_max_items", text, registry=registry).set(size)

    def get(self, matcher: Matcher) -> ValueMatcher:
        """The matcher, taken apart. Raises BadRequest for a bad pattern."""
        if self._items is None or matcher.type in (MatchType.EQ, MatchType.NEQ):
            return ValueMatcher(matcher)
        self._requests.inc()
        with self._lock:
            found = self._items.get(matcher)
        if found is not None:
            self._hits.inc()
            return found
        made = ValueMatcher(matcher)
        with self._lock:
            self._items[matcher] = made
            self._count.set(len(self._items))
        return made

    def _evicted(self, matcher: Matcher, value: ValueMatcher) -> None:
        self._evictions.inc()
