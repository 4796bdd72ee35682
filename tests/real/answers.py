"""The same question to two servers of the query API, and in what their answers differ."""

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]

    @property
    def size(self) -> int:
        """Samples in the answer."""
        data = self.body.get("data", {})
        if data.get("resultType") in ("scalar", "string"):
            return 1
        return sum(len(_samples(one)) + len(_histograms(one)) for one in data.get("result", ()))


def ask(url: str, path: str, parameters: dict[str, str], *, post: bool = False) -> Answer:
    """What ``/api/v1/<path>`` answers, errors included."""
    query = urllib.parse.urlencode(parameters)
    address = f"{url}/api/v1/{path}"
    request = urllib.request.Request(address, data=query.encode()) if post else f"{address}?{query}"
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return Answer(answer.status, json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode()
        try:
            return Answer(error.code, json.loads(text))
        except ValueError:
            return Answer(error.code, {"text": text})


def differences(theirs: Answer, ours: Answer, *, order: str = "", relative: float = 0.0) -> list[str]:
    """Nothing where the answers are equal: status, error type, result type, series, times, and values: to the last
    digit, or to ``relative``.

    ``order`` says by what the series are ordered: ``value``, ``metric``, or nothing that counts.
    """
    if theirs.status != ours.status:
        return [f"status {theirs.status} {_error(theirs)} != {ours.status} {_error(ours)}"]
    kinds = [answer.body.get("errorType") for answer in (theirs, ours)]
    if kinds[0] != kinds[1]:
        return [f"errorType {_error(theirs)} != {_error(ours)}"]
    if kinds[0] is not None:
        return []
    left, right = theirs.body["data"], ours.body["data"]
    if not isinstance(left, dict) or "resultType" not in left:
        return [] if left == right else [f"{left} != {right}"]
    if left["resultType"] != right["resultType"]:
        return [f"type {left['resultType']} != {right['resultType']}"]
    if left["resultType"] in ("scalar", "string"):
        text = left["resultType"] == "string"
        return _sample_difference("value", left["result"], right["result"], relative, text=text)
    return _series_differences(left["result"], right["result"], order=order, relative=relative)


def _error(answer: Answer) -> str:
    return f"{answer.body.get('errorType')}: {answer.body.get('error')}"


def _series_differences(left: list[Any], right: list[Any], *, order: str, relative: float) -> list[str]:
    theirs, ours = ({_key(one): one for one in side} for side in (left, right))
    found = [f"missing {key}" for key in theirs if key not in ours]
    found += [f"unexpected {key}" for key in ours if key not in theirs]
    if len(theirs) != len(left) or len(ours) != len(right):
        found.append("a series comes twice")
    # Which of equal values comes first is nowhere said.
    if order and [one[order] for one in left] != [one[order] for one in right]:
        found.append(f"order {list(theirs)} != {list(ours)}")
    for key, one in theirs.items():
        if key in ours:
            found += _samples_differences(key, _samples(one), _samples(ours[key]), relative)
            found += _histograms_differences(key, _histograms(one), _histograms(ours[key]), relative)
    return found


def _key(series: dict[str, Any]) -> str:
    return json.dumps(series["metric"], sort_keys=True, ensure_ascii=False)


def _samples(series: dict[str, Any]) -> list[Any]:
    return series["values"] if "values" in series else [series["value"]] if "value" in series else []


def _samples_differences(key: str, left: list[Any], right: list[Any], relative: float) -> list[str]:
    if [at for at, _ in left] != [at for at, _ in right]:
        only = sorted({at for at, _ in left} ^ {at for at, _ in right})
        return [f"{key} has other times: {len(left)} != {len(right)}, first {only[:1]}"]
    for one, other in zip(left, right, strict=True):
        found = _sample_difference(key, one, other, relative)
        if found:
            return found
    return []


def _histograms(series: dict[str, Any]) -> list[Any]:
    return series["histograms"] if "histograms" in series else [series["histogram"]] if "histogram" in series else []


def _histograms_differences(key: str, left: list[Any], right: list[Any], relative: float) -> list[str]:
    if [at for at, _ in left] != [at for at, _ in right]:
        only = sorted({at for at, _ in left} ^ {at for at, _ in right})
        return [f"{key} has other histograms: {len(left)} != {len(right)}, first {only[:1]}"]
    for (at, one), (_, other) in zip(left, right, strict=True):
        if not _same_histogram(one, other, relative):
            return [f"{key} at {at}: {one} != {other}"]
    return []


def _same_histogram(left: dict[str, Any], right: dict[str, Any], relative: float) -> bool:
    """Count, sum and buckets; a bucket that rounding left over in one of the two may hold next to nothing."""
    scale = relative * max(1.0, abs(float(left["count"])))
    buckets = [
        {(kind, lower, upper): float(count) for kind, lower, upper, count in one.get("buckets", ())}
        for one in (left, right)
    ]
    return all(_close(float(left[part]), float(right[part]), relative) for part in ("count", "sum")) and all(
        _close(one := buckets[0].get(bucket, 0.0), other := buckets[1].get(bucket, 0.0), relative)
        or abs(one - other) <= scale
        for bucket in buckets[0] | buckets[1]
    )


def _sample_difference(
    key: str, left: list[Any], right: list[Any], relative: float, *, text: bool = False
) -> list[str]:
    if left[0] == right[0] and (
        left[1] == right[1] or (not text and _close(float(left[1]), float(right[1]), relative))
    ):
        return []
    return [f"{key} at {left[0]}: {left[1]} != {right[1]}"]


def _close(left: float, right: float, relative: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    if math.isinf(left) or math.isinf(right):
        return left == right
    return abs(left - right) <= relative * max(abs(left), abs(right))
