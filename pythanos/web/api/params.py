"""Parameters of the query API, parsed and refused as Thanos does, with its texts.

Times are ms, durations ns where a division has to be exact and ms elsewhere. Functions raise BadRequest.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

from pythanos.errors import BadRequest
from pythanos.model.matchers import Matcher
from pythanos.promql.syntax.parser import parse_metric_selector
from pythanos.storeapi.requests import ShardInfo
from pythanos.units import parse_duration
from pythanos.web.api.responses import quoted
from pythanos.web.messages import Args

T = TypeVar("T")

# The ends of time that Prometheus gives its API; clients send them back as text.
MIN_TIME_MS = (-(2**63 // 1000) + 62135596801) * 1000
MAX_TIME_MS = (2**63 // 1000 - 62135596801) * 1000 + 999
_ENDS_OF_TIME = {"-292273086-05-16T16:47:06Z": MIN_TIME_MS, "292277025-08-18T07:12:54.999999999Z": MAX_TIME_MS}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INT64_MAX = 2**63 - 1


def parse_time(text: str) -> int:
    """ms of a Unix time in seconds, or of an RFC 3339 time."""
    if _NUMBER.fullmatch(text):
        seconds = float(text)
        # Beyond the ends of time, where Go's numbers wrap around, is no time.
        if MIN_TIME_MS <= seconds * 1000 <= MAX_TIME_MS:
            fraction, whole = math.modf(seconds)
            # Rounded to ms, then cut at ns, as Go's two conversions do it.
            rounded = _half_away(fraction * 1000) / 1000
            return (int(whole) * 1_000_000_000 + int(rounded * 1e9)) // 1_000_000
    elif text in _ENDS_OF_TIME:
        return _ENDS_OF_TIME[text]
    else:
        found = _RFC3339.fullmatch(text)
        if found:
            time_ms = _rfc3339_ms(found)
            if time_ms is not None:
                return time_ms
    raise BadRequest(f"cannot parse {quoted(text)} to a valid timestamp")


def parse_duration_ns(text: str) -> int:
    """ns of a number of seconds, or of a Prometheus duration."""
    if _NUMBER.fullmatch(text):
        ns = float(text) * 1e9
        if ns > _INT64_MAX or ns < -_INT64_MAX - 1:
            raise BadRequest(f"cannot parse {quoted(text)} to a valid duration. It overflows int64")
        return int(ns)
    try:
        return _prometheus_duration_ms(text) * 1_000_000
    except ValueError:
        raise BadRequest(f"cannot parse {quoted(text)} to a valid duration") from None


def parse_bool(text: str) -> bool:
    """Go's strconv.ParseBool."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise BadRequest(f"strconv.ParseBool: parsing {quoted(text)}: invalid syntax")


def parse_limit(text: str) -> int:
    """A number of results; 0 is no limit."""
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?\d+", text, re.ASCII) or abs(int(text)) > _INT64_MAX:
        raise BadRequest(f"cannot parse {quoted(text)} to a valid limit")
    if int(text) < 0:
        raise BadRequest("limit must be non-negative")
    return int(text)


def time_or(args: Args, name: str, default: int) -> int:
    """An optional time."""
    text = args.get(name)
    return _prefixed(f"Invalid time value for '{name}': ", parse_time, text) if text else default


def named(args: Args, name: str, parse: Callable[[str], T], default: T) -> T:
    """An optional parameter whose mistakes are reported with its name."""
    text = args.get(name)
    return _prefixed(f"'{name}' parameter: ", parse, text) if text else default


def metadata_range(args: Args, now_ms: int, default_range_ms: int) -> tuple[int, int]:
    """The time range of a labels or series request: all time, or the last ``default_range_ms``."""
    first, last = (now_ms - default_range_ms, now_ms) if default_range_ms else (MIN_TIME_MS, MAX_TIME_MS)
    try:
        start, end = time_or(args, "start", first), time_or(args, "end", last)
        if end < start:
            raise BadRequest("end timestamp must not be before start time")
    except BadRequest as error:
        # Thanos nests one API error in another here, and both print their type.
        raise BadRequest(f"bad_data: {error}") from None
    return start, end


def selectors(texts: Iterable[str]) -> tuple[tuple[Matcher, ...], ...]:
    """The matcher sets of ``match[]`` or ``storeMatch[]``."""
    return tuple(tuple(parse_metric_selector(text).matchers) for text in texts)


def max_resolution_ms(args: Args, auto_ms: int, *, auto_downsampling: bool) -> int:
    """``max_source_resolution``: ``auto`` is ``auto_ms``; without the parameter raw data, or auto where that is on."""
    text = args.get("max_source_resolution")
    if text and text != "auto":
        resolution = named(args, "max_source_resolution", parse_duration_ns, 0)
        if resolution < 0:
            raise BadRequest("negative 'max_source_resolution' is not accepted. Try a positive integer")
        return resolution // 1_000_000
    return auto_ms if auto_downsampling or text == "auto" else 0


def shard_info(args: Args) -> ShardInfo | None:
    """``shard_info``: the JSON of a ShardInfo."""
    text = args.get("shard_info")
    if not text:
        return None
    try:
        given = json.loads(text)
        if not isinstance(given, dict):
            raise ValueError(f"cannot unmarshal {type(given).__name__} into a ShardInfo")
        labels = tuple(_typed(label, str) for label in given.get("labels") or ())
        shard = ShardInfo(
            shard_index=_int64(given.get("shard_index", 0)),
            total_shards=_int64(given.get("total_shards", 0)),
            by=_typed(given.get("by", False), bool),
            labels=labels,
        )
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"could not unmarshal parameter shard_info: {error}") from error
    return shard if shard.total_shards > 0 else None


def _typed(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, got {json.dumps(value)}")
    return value


def _int64(value: Any) -> int:
    if abs(_typed(value, int)) > _INT64_MAX:
        raise ValueError(f"{value} overflows int64")
    return int(value)


def _prefixed(prefix: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except BadRequest as error:
        raise BadRequest(f"{prefix}{error}") from None


def _prometheus_duration_ms(text: str) -> int:
    """Prometheus' durations only: units from large to small, no fractions, no sign."""
    if not text or text[0] in "+-" or "." in text or "µ" in text or text != text.strip():
        raise ValueError(text)
    duration = parse_duration(text)
    if not re.fullmatch(r"0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?", text, re.ASCII):
        raise ValueError(text)
    if duration * 1_000_000 > _INT64_MAX:
        raise ValueError(text)
    return int(duration)


def _half_away(value: float) -> float:
    """Go's math.Round: halves away from zero."""
    return math.copysign(math.floor(abs(value) + 0.5), value)


def _rfc3339_ms(found: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    offset = timedelta(hours=int(found[9] or 0), minutes=int(found[10] or 0)) * (-1 if found[8] == "-" else 1)
    # datetime knows no year 0; the calendar repeats after 400 years.
    shift = 400 if year == 0 else 0
    try:
        moment = datetime(year + shift, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return None
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) - shift * 31_556_952
    return seconds * 1000 + int(((found[7] or "") + "000")[:3])
