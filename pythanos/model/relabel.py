"""Relabelling: Prometheus' rules over one label set.

``regex`` is RE2, matched against the whole of the joined source values; ``replacement`` and the target of ``replace``
may refer to its groups as ``$1``, ``${1}`` or ``${name}``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

from pythanos.config import Section
from pythanos.errors import BadRequest, ConfigError
from pythanos.model.matchers import compile_pattern

DEFAULT_REGEX = "(.*)"
DEFAULT_REPLACEMENT = "$1"
DEFAULT_SEPARATOR = ";"
SELECTOR_ACTIONS = ("keep", "drop", "hashmod")

_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")

Scalar = str | int | float | bool | None


class RelabelRule(Section, frozen=True):
    """One rule, with Prometheus' keys. YAML scalars stand for their text: ``regex: 0`` is ``"0"``."""

    source_labels: tuple[str, ...] = ()
    separator: Scalar = DEFAULT_SEPARATOR
    regex: Scalar = DEFAULT_REGEX
    modulus: int = 0
    target_label: str = ""
    replacement: Scalar = DEFAULT_REPLACEMENT
    action: str = "replace"


def relabel(labels: dict[str, str], rules: Sequence[RelabelRule]) -> dict[str, str] | None:
    """The label set after all rules, in a new dict; None where a rule drops it. The rules are checked ones."""
    changed = dict(labels)
    for rule in rules:
        value = _text(rule.separator).join(changed.get(name, "") for name in rule.source_labels)
        if not _ACTIONS[rule.action.lower()](rule, changed, value):
            return None
    return changed


def check_rules(rules: Sequence[RelabelRule], path: str, *, actions: Sequence[str] | None = None) -> None:
    """Raises ConfigError for a rule that cannot work, or whose action is not among ``actions`` (None: all)."""
    for number, rule in enumerate(rules):
        for key, wrong, hint in _mistakes(rule, actions or tuple(_ACTIONS)):
            if wrong:
                raise ConfigError(path, f"[{number}].{key}", hint)
        try:
            compile_pattern(_text(rule.regex))
        except BadRequest as error:
            raise ConfigError(path, f"[{number}].regex", str(error)) from error


def _mistakes(rule: RelabelRule, actions: Sequence[str]) -> list[tuple[str, Any, str]]:
    action = rule.action.lower()
    plain_target = action in ("hashmod", "lowercase", "uppercase", "keepequal", "dropequal")
    bare = rule.modulus == 0 and _text(rule.separator) == DEFAULT_SEPARATOR and rule.replacement == DEFAULT_REPLACEMENT
    return [
        ("action", action not in actions, f"{rule.action!r} is not one of {', '.join(actions)}"),
        ("modulus", action == "hashmod" and rule.modulus <= 0, "hashmod needs a modulus above 0"),
        ("target_label", (plain_target or action == "replace") and not rule.target_label, f"{action} needs a label"),
        (
            "replacement",
            action in ("lowercase", "uppercase") and rule.replacement != DEFAULT_REPLACEMENT,
            f"not valid with {action}",
        ),
        ("replacement", action == "labelmap" and not _text(rule.replacement), "labelmap needs a replacement"),
        (
            "action",
            action in ("keepequal", "dropequal") and not (bare and rule.regex == DEFAULT_REGEX),
            f"{action} takes source_labels and target_label only",
        ),
        (
            "action",
            action in ("labeldrop", "labelkeep") and not (bare and not rule.source_labels and not rule.target_label),
            f"{action} takes regex only",
        ),
    ]


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _match(rule: RelabelRule, value: str) -> Any:
    return compile_pattern(_text(rule.regex)).fullmatch(value.encode("utf-8", "surrogateescape"))


def _set(labels: dict[str, str], name: str, value: str) -> None:
    """An empty value is no label."""
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


def _expand(template: str, found: Any) -> str:
    """The template with references to the groups of a match replaced, an unknown group by nothing."""

    def group(reference: re.Match[str]) -> str:
        if reference[0] == "$$":
            return "$"
        name = reference[1] or reference[2]
        try:
            value = found[int(name) if name.isdecimal() else name.encode()]
        except (IndexError, KeyError):
            return ""
        return (value or b"").decode("utf-8", "surrogateescape")

    return _REFERENCE.sub(group, template)


def _replace(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    found = _match(rule, value)
    if found is not None:
        target = _expand(rule.target_label, found)
        if target:
            _set(labels, target, _expand(_text(rule.replacement), found))
    return True


def _keep(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    return _match(rule, value) is not None


def _drop(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    return _match(rule, value) is None


def _keep_equal(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    return labels.get(rule.target_label, "") == value


def _drop_equal(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    return labels.get(rule.target_label, "") != value


def _hash_mod(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    digest = hashlib.md5(value.encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()
    labels[rule.target_label] = str(int.from_bytes(digest[8:], "big") % rule.modulus)
    return True


def _lower_case(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    _set(labels, rule.target_label, _each(str.lower, value))
    return True


def _upper_case(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    _set(labels, rule.target_label, _each(str.upper, value))
    return True


def _each(change: Callable[[str], str], text: str) -> str:
    """Go changes character by character; Python's whole-string rules would turn one into two."""
    return "".join(changed if len(changed := change(char)) == 1 else char for char in text)


def _label_map(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    for name, text in list(labels.items()):
        found = _match(rule, name)
        if found is not None:
            _set(labels, _expand(_text(rule.replacement), found), text)
    return True


def _label_drop(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    for name in [name for name in labels if _match(rule, name) is not None]:
        del labels[name]
    return True


def _label_keep(rule: RelabelRule, labels: dict[str, str], value: str) -> bool:
    for name in [name for name in labels if _match(rule, name) is None]:
        del labels[name]
    return True


_ACTIONS: dict[str, Callable[[RelabelRule, dict[str, str], str], bool]] = {
    "replace": _replace,
    "keep": _keep,
    "drop": _drop,
    "keepequal": _keep_equal,
    "dropequal": _drop_equal,
    "hashmod": _hash_mod,
    "labelmap": _label_map,
    "labeldrop": _label_drop,
    "labelkeep": _label_keep,
    "lowercase": _lower_case,
    "uppercase": _upper_case,
}
