"""Matchers become posting groups: per label name, whose postings to add and whose to take away.

A matcher that an absent label satisfies (it matches "") selects by subtraction: everything but the values that do not
match. The others select by addition. Semantics of Prometheus' PostingsForMatchers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pythanos.gateway.select.value_matcher import ValueMatcher
from pythanos.model.matchers import Matcher, MatchType

ALL_POSTINGS = ("", "")

# (name, prefix) -> the values of a label that begin so.
LabelValues = Callable[[str, str], list[str]]


@dataclass(frozen=True, slots=True)
class PostingGroup:
    """All matchers on one label name.

    With ``add_all``: every series except those of ``remove_keys``. Without: the series of any of ``add_keys``. ``lazy``
    groups are not fetched; their matchers are applied to the series themselves.
    """

    name: str
    add_all: bool
    add_keys: tuple[str, ...] = ()
    remove_keys: tuple[str, ...] = ()
    matchers: tuple[Matcher, ...] = ()
    cardinality: int = 0
    lazy: bool = False

    @property
    def matches_nothing(self) -> bool:
        return not self.add_all and not self.add_keys

    @property
    def keys(self) -> tuple[str, ...]:
        return self.add_keys or self.remove_keys

    def merged(self, other: PostingGroup) -> PostingGroup:
        """Both conditions at once, on the same name."""
        matchers = self.matchers + other.matchers
        if self.add_all and other.add_all:
            removed = set(self.remove_keys)
            more = tuple(key for key in other.remove_keys if key not in removed)
            return replace(self, remove_keys=self.remove_keys + more, matchers=matchers)
        if self.add_all or other.add_all:
            adding, removing = (other, self) if self.add_all else (self, other)
            removed = set(removing.remove_keys)
            keys = tuple(key for key in adding.add_keys if key not in removed)
        else:
            wanted = set(other.add_keys)
            keys = tuple(key for key in self.add_keys if key in wanted)
        return PostingGroup(self.name, False, keys, matchers=matchers)


def posting_groups(matchers: Iterable[ValueMatcher], label_values: LabelValues) -> list[PostingGroup] | None:
    """The groups, sorted by name; None where they cannot match anything."""
    groups: dict[str, PostingGroup] = {}
    values: dict[tuple[str, str], list[str]] = {}

    def known_values(name: str, prefix: str) -> list[str]:
        if (name, prefix) not in values:
            values[name, prefix] = label_values(name, prefix)
        return values[name, prefix]

    for matcher in matchers:
        group = _group(matcher, known_values)
        before = groups.get(group.name)
        group = group if before is None else before.merged(group)
        if group.matches_nothing:
            return None
        groups[group.name] = group
    return [groups[name] for name in sorted(groups)]


def _group(matcher: ValueMatcher, label_values: LabelValues) -> PostingGroup:
    name, value, kind = matcher.matcher.name, matcher.matcher.value, matcher.matcher.type
    one = (matcher.matcher,)
    if kind is MatchType.RE and value == ".*":
        return PostingGroup(name, True, matchers=one)
    if kind is MatchType.NRE and value == ".*":
        return PostingGroup(name, False, matchers=one)
    if matcher.matches_empty:
        return PostingGroup(name, True, remove_keys=_removed(matcher, label_values), matchers=one)
    return PostingGroup(name, False, add_keys=_added(matcher, label_values), matchers=one)


def _removed(matcher: ValueMatcher, label_values: LabelValues) -> tuple[str, ...]:
    """The values that do not match, of a matcher that "" satisfies."""
    name, value, kind = matcher.matcher.name, matcher.matcher.value, matcher.matcher.type
    if kind is MatchType.NEQ:
        return (value,)
    if kind is MatchType.NRE and matcher.set_matches:
        return tuple(sorted(matcher.set_matches))
    if value == "" or (kind is MatchType.NRE and value == ".+"):
        return tuple(label_values(name, ""))
    selected = set(matcher.select(label_values(name, "")))
    return tuple(one for one in label_values(name, "") if one not in selected)


def _added(matcher: ValueMatcher, label_values: LabelValues) -> tuple[str, ...]:
    """The values that match, of a matcher that "" does not satisfy."""
    name, value, kind = matcher.matcher.name, matcher.matcher.value, matcher.matcher.type
    if kind is MatchType.EQ:
        return (value,)
    if kind is MatchType.RE and matcher.set_matches:
        return tuple(sorted(matcher.set_matches))
    if value == "" or (kind is MatchType.RE and value == ".+"):
        return tuple(label_values(name, ""))
    return tuple(matcher.select(label_values(name, matcher.prefix)))
