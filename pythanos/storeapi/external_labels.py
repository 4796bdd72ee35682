"""External label sets: which of them a request can match, and what is left to ask of the series themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import re2

from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.relabel import RelabelRule, relabel

Labels = Mapping[str, str]

EMPTY_PATTERN = "^$"


def remaining_matchers(matchers: Sequence[Matcher], labels: Labels) -> tuple[Matcher, ...] | None:
    """The matchers on other labels than ``labels``, or None where a matcher excludes ``labels``. Raises BadRequest."""
    rest = []
    for matcher in matchers:
        value = labels.get(matcher.name, "")
        if not value:
            rest.append(matcher)
        elif not matcher.matches(value):
            return None
    return tuple(rest)


def any_can_match(matchers: Sequence[Matcher], label_sets: Sequence[Labels]) -> bool:
    """Whether one of the label sets may hold series that match; a label that a set does not have can match anything.

    True where there are no label sets: nothing is known then.
    """
    return not label_sets or any(remaining_matchers(matchers, labels) is not None for labels in label_sets)


def matchers_for(label_sets: Sequence[Labels]) -> tuple[Matcher, ...]:
    """Regular expression matchers that keep the series of these label sets, one per label name."""
    names = sorted({name for labels in label_sets for name in labels})
    out = []
    for name in names:
        values = sorted({labels[name] for labels in label_sets if name in labels})
        patterns = [re2.escape(value) for value in values]
        if any(name not in labels for labels in label_sets):
            patterns.append(EMPTY_PATTERN)
        out.append(Matcher(MatchType.RE, name, "|".join(patterns)))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class TsdbSelector:
    """Limits a querier to some label sets by relabel rules (XC-39); without rules every label set is kept."""

    rules: tuple[RelabelRule, ...] = ()

    def kept(self, label_sets: Sequence[Labels]) -> tuple[Labels, ...]:
        if not self.rules:
            return tuple(label_sets)
        return tuple(labels for labels in label_sets if relabel(dict(labels), self.rules) is not None)

    def selects(self, label_sets: Sequence[Labels]) -> bool:
        """Whether a store with these label sets may be asked at all."""
        return not self.rules or not label_sets or bool(self.kept(label_sets))

    def extra_matchers(self, label_sets: Sequence[Labels]) -> tuple[Matcher, ...]:
        """What must be asked in addition where only some of the label sets are kept."""
        kept = self.kept(label_sets)
        return matchers_for(kept) if len(kept) < len(label_sets) else ()
