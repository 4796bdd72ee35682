"""JSON text byte for byte as Go's encoding/json prints it: indent, number and string forms, HTML escaping.

Key order is the dict's own; where Go sorts (maps), the caller passes ``sort_keys`` output. Strings may hold lone
surrogates (undecodable bytes), which Go prints as ``\\ufffd``.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

_SPECIAL = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def go_json(value: Any, *, indent: str = "") -> str:
    """The JSON text of dicts, lists, tuples, strings, numbers, booleans and None.

    With an ``indent`` as json.MarshalIndent, without one as json.Marshal; no final newline. Raises TypeError for other
    types and ValueError for NaN and infinities.
    """
    out: list[str] = []
    _write(value, indent, "\n" if indent else "", out)
    return "".join(out)


def sort_keys(value: Any) -> Any:
    """The same value with every dict in Go's map order: keys by their UTF-8 bytes."""
    if isinstance(value, dict):
        return {key: sort_keys(value[key]) for key in sorted(value, key=_key_bytes)}
    if isinstance(value, list | tuple):
        return [sort_keys(item) for item in value]
    return value


def _key_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _write(value: Any, indent: str, margin: str, out: list[str]) -> None:
    inner = margin + indent
    if isinstance(value, dict):
        separator = '": ' if indent else '":'
        items = [(f'"{_escape(key)}{separator}', item) for key, item in value.items()]
        _write_items("{", "}", items, indent, margin, inner, out)
    elif isinstance(value, list | tuple):
        _write_items("[", "]", [("", item) for item in value], indent, margin, inner, out)
    elif isinstance(value, str):
        out.append(f'"{_escape(value)}"')
    elif isinstance(value, float):
        out.append(_float(value))
    elif value is None or isinstance(value, bool | int):
        out.append(json.dumps(value))
    else:
        raise TypeError(f"no JSON form for {type(value).__name__}")


def _write_items(
    left: str, right: str, items: list[tuple[str, Any]], indent: str, margin: str, inner: str, out: list[str]
) -> None:
    if not items:
        out.append(left + right)
        return
    lead = left + inner
    for key, item in items:
        out.append(lead + key)
        _write(item, indent, inner, out)
        lead = "," + inner
    out.append(margin + right)


def _escape(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)[1:-1]
    return _SPECIAL.sub(_escape_special, quoted)


def _escape_special(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def _float(value: float) -> str:
    """Go's float64 form: ES6 numbers, exponents only below 1e-6 and from 1e21."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"no JSON form for {value}")
    magnitude = abs(value)
    if magnitude and (magnitude < 1e-6 or magnitude >= 1e21):
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"
    return format(Decimal(repr(value)), "f").removesuffix(".0")
