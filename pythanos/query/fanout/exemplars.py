"""Exemplars: which endpoint is asked for which of a query's selectors, and their answers as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pythanos.model.matchers import Matcher
from pythanos.model.promapi.exemplars import Exemplar, SeriesExemplars
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.selectors import selectors_of
from pythanos.query.fanout.clients import PromEndpoint
from pythanos.storeapi.external_labels import any_can_match

Selectors = list[tuple[Matcher, ...]]
LabelKey = tuple[tuple[str, str], ...]


def selectors_in(query: str, options: ParserOptions) -> Selectors:
    """The matchers of each selector of a query. Raises BadRequest (ParseError)."""
    return [selector.matchers for selector in selectors_of(parse(query, options))]


def exemplar_query(endpoint: PromEndpoint, selectors: Iterable[Sequence[Matcher]]) -> str:
    """What to ask an endpoint for these selectors; "" for nothing.

    A sum of the selectors that its external labels can match, without the matchers on them: a Prometheus does not know
    its own external labels.
    """
    parts = []
    for matchers in selectors:
        if not any_can_match(matchers, endpoint.label_sets):
            continue
        kept = [
            matcher
            for matcher in matchers
            if endpoint.knows_external_labels or not any(labels.get(matcher.name) for labels in endpoint.label_sets)
        ]
        parts.append("{" + ", ".join(map(str, kept)) + "}")
    return "+".join(parts)


def merge_exemplars(answers: Iterable[SeriesExemplars], replica_labels: Iterable[str]) -> list[SeriesExemplars]:
    """Every series once, without replica labels and in label order; its exemplars by time, each once."""
    replicas = frozenset(replica_labels)
    merged: dict[LabelKey, dict[tuple[int, LabelKey, str], Exemplar]] = {}
    for answer in answers:
        if not answer.exemplars:
            continue
        own = merged.setdefault(_key(answer.labels, replicas), {})
        for exemplar in answer.exemplars:
            # By its text, so that a NaN is equal to itself.
            own.setdefault((exemplar.time_ms, _key(exemplar.labels), repr(exemplar.value)), exemplar)
    return [
        SeriesExemplars(
            dict(labels),
            tuple(sorted(merged[labels].values(), key=lambda one: (one.time_ms, _key(one.labels), one.value))),
        )
        for labels in sorted(merged)
    ]


def _key(labels: Mapping[str, str], without: frozenset[str] = frozenset()) -> LabelKey:
    return tuple(sorted((name, value) for name, value in labels.items() if name not in without))
