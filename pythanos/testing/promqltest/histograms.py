"""Native histograms one by one, as scripts write and compare them; the package itself has them in columns."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

from pythanos.model.histogram import COUNTER_RESET, CUSTOM_BUCKETS_SCHEMA, GAUGE, NOT_COUNTER_RESET, UNKNOWN_RESET
from pythanos.promql.annotations import format_g

_PAIR = re.compile(r"\s*([A-Za-z_]+):(\[[^\]]*\]|[^\s\[\]]+)\s*")
_HINTS = {"unknown": UNKNOWN_RESET, "reset": COUNTER_RESET, "not_reset": NOT_COUNTER_RESET, "gauge": GAUGE}
_HINT_NAMES = {number: name for name, number in _HINTS.items()}
_KEYS = frozenset(
    ("schema", "sum", "count", "z_bucket", "z_bucket_w", "custom_values", "buckets", "n_buckets", "offset", "n_offset")
) | {"counter_reset_hint"}

# Counts by bucket number, rising.
Buckets = dict[int, float]


@dataclass(frozen=True, slots=True, repr=False)
class Histogram:
    """One histogram sample. ``hint_given`` where the text says ``counter_reset_hint``, so that it is to be compared."""

    schema: int = 0
    count: float = 0.0
    sum: float = 0.0
    zero_count: float = 0.0
    zero_threshold: float = 0.0
    bounds: tuple[float, ...] = ()
    positive: Buckets = field(default_factory=dict)
    negative: Buckets = field(default_factory=dict)
    hint: int = UNKNOWN_RESET
    hint_given: bool = False

    @property
    def custom(self) -> bool:
        return self.schema == CUSTOM_BUCKETS_SCHEMA

    def __str__(self) -> str:
        """The text that scripts would use; empty buckets at the ends are left out."""
        parts = [f"schema:{self.schema}"] if self.schema else []
        for key, value in (("count", self.count), ("sum", self.sum), ("z_bucket", self.zero_count)):
            parts += [f"{key}:{format_g(value)}"] if value else []
        parts += [f"z_bucket_w:{format_g(self.zero_threshold)}"] if self.zero_threshold else []
        parts += [f"custom_values:[{' '.join(map(format_g, self.bounds))}]"] if self.custom else []
        parts += [f"counter_reset_hint:{_HINT_NAMES[self.hint]}"] if self.hint != UNKNOWN_RESET else []
        parts += _bucket_parts("buckets", "offset", self.positive)
        parts += _bucket_parts("n_buckets", "n_offset", self.negative)
        return "{{" + " ".join(parts) + "}}"

    __repr__ = __str__


def parse_histogram(text: str) -> Histogram:
    """The histogram of ``{{schema:0 count:1 ...}}``. Raises ValueError."""
    body, found, position = text[2:-2], {}, 0
    while position < len(body) and body[position:].strip():
        pair = _PAIR.match(body, position)
        if pair is None:
            raise ValueError(f"not a histogram description: {text}")
        key = pair[1].lower()
        if key not in _KEYS:
            raise ValueError(f"bad histogram descriptor found: {pair[1]!r}")
        if key in found:
            raise ValueError(f'duplicate key "{key}" in histogram')
        found[key] = pair[2]
        position = pair.end()
    hint = found.get("counter_reset_hint", "unknown").lower()
    if hint not in _HINTS:
        raise ValueError(f"bad counter reset hint {hint!r}")
    return Histogram(
        schema=int(found.get("schema", "0")),
        count=float(found.get("count", "0")),
        sum=float(found.get("sum", "0")),
        zero_count=float(found.get("z_bucket", "0")),
        zero_threshold=float(found.get("z_bucket_w", "0")),
        bounds=tuple(_numbers(found.get("custom_values", "[]"))),
        positive=_from_list(found.get("buckets", "[]"), found.get("offset", "0")),
        negative=_from_list(found.get("n_buckets", "[]"), found.get("n_offset", "0")),
        hint=_HINTS[hint],
        hint_given="counter_reset_hint" in found,
    )


def added(base: Histogram, step: Histogram, sign: int) -> Histogram:
    """``base`` plus or minus ``step``, in the layout of ``base``. Raises ValueError where these do not go together."""
    if base.custom != step.custom:
        raise ValueError("histograms with a mix of exponential and custom bucket schemas")
    if base.schema > step.schema:
        raise ValueError(f"error combining histograms: cannot merge from schema {step.schema} to {base.schema}")
    if base.custom:
        base, step = _with_common_bounds(base, step)
    else:
        base, step = _with_common_zero_bucket(base, step)
    shift = 0 if base.custom else step.schema - base.schema
    return replace(
        base,
        count=base.count + sign * step.count,
        sum=base.sum + sign * step.sum,
        zero_count=base.zero_count + sign * step.zero_count,
        positive=_merged(base.positive, step.positive, shift, sign),
        negative=_merged(base.negative, step.negative, shift, sign),
        hint=_joint_hint(base.hint, step.hint),
        hint_given=step.hint_given,
    )


def without_empty(buckets: Buckets) -> Buckets:
    """The buckets that hold something."""
    return {number: count for number, count in buckets.items() if count != 0}


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text[1:-1].split()]


def _from_list(counts: str, offset: str) -> Buckets:
    return dict(enumerate(_numbers(counts), int(offset)))


def _bucket_parts(key: str, offset_key: str, buckets: Buckets) -> list[str]:
    filled = without_empty(buckets)
    if not filled:
        return []
    first, last = min(filled), max(filled)
    counts = " ".join(format_g(filled.get(number, 0.0)) for number in range(first, last + 1))
    return ([f"{offset_key}:{first}"] if first else []) + [f"{key}:[{counts}]"]


def _joint_hint(base: int, step: int) -> int:
    if base == step:
        return base
    return GAUGE if GAUGE in (base, step) else UNKNOWN_RESET


def _merged(base: Buckets, step: Buckets, shift: int, sign: int) -> Buckets:
    out = dict(base)
    for number, count in step.items():
        target = ((number - 1) >> shift) + 1
        out[target] = out.get(target, 0.0) + sign * count
    return dict(sorted(out.items()))


def _with_common_bounds(base: Histogram, step: Histogram) -> tuple[Histogram, Histogram]:
    if base.bounds == step.bounds:
        return base, step
    common = tuple(bound for bound in base.bounds if bound in set(step.bounds))
    return _mapped_to(base, common), _mapped_to(step, common)


def _mapped_to(histogram: Histogram, bounds: tuple[float, ...]) -> Histogram:
    out: Buckets = {}
    for number, count in histogram.positive.items():
        upper = histogram.bounds[number] if number < len(histogram.bounds) else math.inf
        target = next((place for place, bound in enumerate(bounds) if upper <= bound), len(bounds))
        out[target] = out.get(target, 0.0) + count
    return replace(histogram, bounds=bounds, positive=dict(sorted(out.items())))


def _with_common_zero_bucket(base: Histogram, step: Histogram) -> tuple[Histogram, Histogram]:
    while base.zero_threshold != step.zero_threshold:
        if base.zero_threshold > step.zero_threshold:
            step = _with_zero_threshold(step, base.zero_threshold)
        else:
            base = _with_zero_threshold(base, step.zero_threshold)
    return base, step


def _with_zero_threshold(histogram: Histogram, threshold: float) -> Histogram:
    """The zero bucket widened to a threshold, or further to the end of a filled bucket that the threshold cuts."""
    sides = (histogram.positive, histogram.negative)
    cut = [
        upper_bound(number, histogram.schema)
        for side in sides
        for number, count in side.items()
        if count and upper_bound(number - 1, histogram.schema) < threshold < upper_bound(number, histogram.schema)
    ]
    threshold = max([threshold, *cut])
    kept: list[Buckets] = []
    zero_count = histogram.zero_count
    for side in sides:
        inside = {number for number in side if upper_bound(number - 1, histogram.schema) < threshold}
        zero_count += sum(side[number] for number in inside)
        kept.append({number: count for number, count in side.items() if number not in inside})
    return replace(histogram, zero_threshold=threshold, zero_count=zero_count, positive=kept[0], negative=kept[1])


def upper_bound(number: int, schema: int) -> float:
    """The upper bound of a bucket of an exponential schema: 2^(number * 2^-schema)."""
    return math.pow(2.0, number * 2.0**-schema)
