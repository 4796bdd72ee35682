"""Where a Prometheus before 3.14 rightly answers otherwise, or where the digits are nobody's: each with its rule.

All other answers are equal to the last digit, those of mathematical functions included.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from real.answers import Answer, differences

# What adds up in an order that Prometheus does not fix, or that only 3.14 compensates.
_ANY_ORDER = re.compile(r"\b(sum|avg|stddev|stdvar)\b")
_UNCOMPENSATED = re.compile(r"\b(sum|avg)(_over_time)?\b.*\bnative_")


@dataclass(frozen=True)
class KnownDifference:
    """``applies`` looks at the query and both answers; ``reason`` says whose answer is which.

    ``gone``: 3.14 answers as we do.
    """

    reason: str
    applies: Callable[[str, Answer, Answer], bool]
    gone: bool = True


def _classic_fraction(query: str, theirs: Answer, ours: Answer) -> bool:
    return "histogram_fraction(" in query and "latency" in query


def _nan_in_mad(query: str, theirs: Answer, ours: Answer) -> bool:
    return "mad_over_time(" in query


def _last_digits_as_labels(query: str, theirs: Answer, ours: Answer) -> bool:
    return "count_values" in query and bool(_ANY_ORDER.search(query) or _UNCOMPENSATED.search(query))


def _spread_of_large_values(query: str, theirs: Answer, ours: Answer) -> bool:
    return bool(re.search(r"\b(stddev|stdvar)\b", query)) and differences(theirs, ours, relative=1e-6) == []


def _sums_in_any_order(query: str, theirs: Answer, ours: Answer) -> bool:
    return bool(_ANY_ORDER.search(query)) and differences(theirs, ours, relative=1e-12) == []


def _uncompensated(query: str, theirs: Answer, ours: Answer) -> bool:
    return bool(_UNCOMPENSATED.search(query)) and differences(theirs, ours, relative=1e-12) == []


def _unread_duplicates(query: str, theirs: Answer, ours: Answer) -> bool:
    refused = "found duplicate series for the match group" in str(theirs.body.get("error"))
    return refused and theirs.status == 422 and ours.status == 200


def _from_zero(query: str, theirs: Answer, ours: Answer) -> bool:
    return bool(re.search(r"\b(rate|increase)\(.*native_", query)) and theirs.status == ours.status == 200


def _reconciled_bounds(query: str, theirs: Answer, ours: Answer) -> bool:
    return bool(re.search(r"native_(custom|mixed)", query)) and theirs.status == ours.status == 200


def _equal_values(query: str, theirs: Answer, ours: Answer) -> bool:
    return bool(re.search(r"\b(topk|bottomk)\b", query)) and theirs.size == ours.size


KNOWN = (
    KnownDifference(
        "rate and increase of native histograms: 3.14 does not extrapolate a count to before it was zero, as for"
        " floats; 3.5 does",
        _from_zero,
    ),
    KnownDifference(
        "sums and rates of histograms with different custom bounds: 3.14 brings them to the bounds that they share, 3.5"
        " drops them",
        _reconciled_bounds,
    ),
    KnownDifference(
        "topk and bottomk keep as many of equal values, but which ones hangs on the order of the series, which is the"
        " storage's",
        _equal_values,
        gone=False,
    ),
    KnownDifference(
        "histogram_fraction of classic buckets: 3.5 says NaN where the first bucket, from 0 up, is entered at exactly"
        " 0; 3.14 answers as we do",
        _classic_fraction,
    ),
    KnownDifference(
        "mad_over_time: 3.5 sorts NaN samples first and takes the median with them; 3.14 says NaN, as we do",
        _nan_in_mad,
    ),
    KnownDifference(
        "sums and means of native histograms: 3.14 keeps what rounding loses, as we do, 3.5 does not",
        _uncompensated,
    ),
    KnownDifference(
        "the last digit of sums and means over series hangs on their order, which is that of their creation in a head,"
        " and that of a Go map, another one each time, where they come out of histogram_quantile",
        _sums_in_any_order,
        gone=False,
    ),
    KnownDifference(
        "count_values makes labels of all digits, where the last one hangs on an order or on compensation",
        _last_digits_as_labels,
        gone=False,
    ),
    KnownDifference(
        "stddev and stdvar of large values that lie close together keep six digits; which ones hangs on the order of"
        " the series, which Prometheus does not fix in its head and after a function of a subquery",
        _spread_of_large_values,
        gone=False,
    ),
    KnownDifference(
        "the matchers of one operand hold for the other one as well, as in Thanos' engine: duplicates that would have"
        " met nothing are never read, and so not refused",
        _unread_duplicates,
        gone=False,
    ),
)


def known_difference(query: str, theirs: Answer, ours: Answer, *, newest: bool = False) -> str | None:
    """The reason why the answers may differ, or None. ``newest``: theirs are of a Prometheus 3.14."""
    left = (known for known in KNOWN if not (newest and known.gone))
    return next((known.reason for known in left if known.applies(query, theirs, ours)), None)
