"""Units that people write in configurations and requests: durations, byte sizes, secrets.

Durations are ``int`` milliseconds after parsing, byte sizes ``int`` bytes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_DURATION_MS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_DURATION_UNITS = ("y", "w", "d", "h", "m", "s", "ms")
_GO_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_GO_DURATION_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGTPE]?)(i?)B?\s*", re.IGNORECASE)


class Duration(int):
    """Milliseconds, written ``5m``, ``1h30m``, ``1.5s``."""

    __slots__ = ()

    @property
    def seconds(self) -> float:
        return self / 1000

    def __str__(self) -> str:
        return format_duration(self)


class ByteSize(int):
    """Bytes, written ``250MB``, ``1GiB``, ``1048576``. As in Thanos, MB and MiB are both 2**20."""

    __slots__ = ()


class Secret(str):
    """A string that its repr and a printed configuration hide."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'<secret>'" if self else "''"


def parse_duration(text: str) -> Duration:
    """Milliseconds of a Prometheus duration (``1h30m``) or a Go one (``1.5h``, ``0ms``). Raises ValueError."""
    text = text.strip()
    negative = text.startswith("-")
    body = text[1:] if negative else text
    if body == "0":
        return Duration(0)
    found = _DURATION.fullmatch(body)
    if body and found:
        total = sum(int(part) * unit for part, unit in zip(found.groups(), _DURATION_MS, strict=True) if part)
        return Duration(-total if negative else total)
    parts = _GO_DURATION.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f"not a valid duration string: {text!r}")
    total = round(sum(float(number) * _GO_DURATION_MS[unit] for number, unit in parts))
    return Duration(-total if negative else total)


def format_duration(milliseconds: int) -> str:
    """The shortest exact Prometheus form: 5400000 is ``1h30m``."""
    if milliseconds == 0:
        return "0s"
    sign, rest, out = ("-" if milliseconds < 0 else ""), abs(milliseconds), []
    for unit, size in zip(_DURATION_UNITS, _DURATION_MS, strict=True):
        # As Prometheus: years and weeks only where nothing smaller is left over, as 90d reads better than 12w6d.
        if unit in "yw" and rest % size:
            continue
        if rest >= size:
            out.append(f"{rest // size}{unit}")
            rest %= size
    return sign + "".join(out)


def format_go_duration(nanoseconds: int) -> str:
    """As Go prints a duration: ``1.5ms``, ``2m0.25s``, ``48h0m0s``."""
    sign, rest = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    if rest < 1_000_000_000:
        if rest == 0:
            return "0s"
        size, unit = next((size, unit) for size, unit in ((1_000_000, "ms"), (1000, "µs"), (1, "ns")) if rest >= size)
        return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, rest = divmod(rest, 60_000_000_000)
    seconds = f"{_decimal(rest, 1_000_000_000)}s"
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}h{minutes_left}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def _decimal(count: int, size: int) -> str:
    """``count / size`` exactly, without zeros at its end; size is a power of ten."""
    whole, part = divmod(count, size)
    return f"{whole}.{part:0{len(str(size)) - 1}}".rstrip("0") if part else str(whole)


def parse_bytes(text: str) -> ByteSize:
    """Bytes of a size with a unit. Raises ValueError."""
    found = _BYTES.fullmatch(text)
    if not found:
        raise ValueError(f"not a valid size: {text!r}")
    exponent = " KMGTPE".index(found[2].upper() or " ")
    return ByteSize(round(float(found[1]) * 1024**exponent))


_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Go's year 0 is a leap year that Python's calendar does not have.
_YEAR_ZERO_MS = 366 * 86_400_000


def resolve_time(text: str, now_ms: int) -> int:
    """Unix milliseconds of an RFC 3339 time, or of a duration from now (``-6w``, ``2h45m``). Raises ValueError."""
    try:
        return _resolved(text, now_ms)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is neither a time such as 2024-01-31T12:00:00Z nor a duration such as -6w"
        ) from error


def _resolved(text: str, now_ms: int) -> int:
    found = _TIMESTAMP.fullmatch(text.strip())
    if not found:
        return now_ms + parse_duration(text)
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    shifted = datetime(year or 4, month, day, hour, minute, second, tzinfo=UTC)
    milliseconds = (shifted - _EPOCH) // timedelta(milliseconds=1) + int((found[7] or "").ljust(3, "0")[:3])
    if not year:
        milliseconds -= _YEAR_ZERO_MS + 3 * 365 * 86_400_000
    offset = (int(found[9] or 0) * 60 + int(found[10] or 0)) * 60_000
    return milliseconds + (offset if found[8] == "-" else -offset)
