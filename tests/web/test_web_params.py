"""Parameters of the query API: what Thanos takes, what it refuses, in its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos.errors import BadRequest
from pythanos.storeapi.requests import ShardInfo
from pythanos.web.api import params
from pythanos.web.api.labels import unescape_name
from pythanos.web.api.query.settings import QuerySettings, dynamic_lookback_ms
from pythanos.web.messages import Args, parse_form, parse_multipart


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1700000000", 1_700_000_000_000),
        ("1700000000.123", 1_700_000_000_123),
        ("1700000000.1239", 1_700_000_000_124),
        ("-1.5", -1500),
        ("1e3", 1_000_000),
        ("9223309901257000", 9_223_309_901_257_000_000),
        (".5", 500),
        ("2015-06-03T13:21:58.555Z", 1_433_337_718_555),
        ("2015-06-03T14:21:58.5559+01:00", 1_433_337_718_555),
        ("1969-12-31T23:59:59.5Z", -500),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ("-292273086-05-16T16:47:06Z", params.MIN_TIME_MS),
        ("292277025-08-18T07:12:54.999999999Z", params.MAX_TIME_MS),
    ],
)
def test_times(text: str, expected: int):
    """Seconds since the epoch, rounded to ms, or RFC 3339, or the ends of time."""
    assert params.parse_time(text) == expected


@given(st.integers(0, 4_102_444_800_000))
def test_a_time_in_ms_survives_its_text(ms: int):
    """What a client prints with three decimals comes back, but for the ms that Go loses in its two conversions."""
    assert ms - params.parse_time(f"{ms // 1000}.{ms % 1000:03d}") in (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "foo", "NaN", "Inf", "1_000", " 1", "0x10", "1e400", "2015-06-03", "2015-13-03T00:00:00Z", "1\n"),
        *("9223372036854775", "-9223372036854775", "9223309901258000"),
    ],
)
def test_times_that_are_none(text: str):
    """The message quotes what was given."""
    with pytest.raises(BadRequest, match="to a valid timestamp"):
        params.parse_time(text)


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("15", 15e9),
        ("0.5", 5e8),
        ("1m", 6e10),
        ("1h30m", 5.4e12),
        ("1d", 8.64e13),
        ("100ms", 1e8),
        ("-5", -5e9),
        ("0", 0),
    ],
)
def test_durations(text: str, expected_ns: float):
    """Seconds or Prometheus durations."""
    assert params.parse_duration_ns(text) == expected_ns


@pytest.mark.parametrize("text", ["", "foo", "5 m", "1.5h", "-5m", "m", "1m1h", "1us", " 5m"])
def test_durations_that_are_none(text: str):
    """Go's own durations (1.5h, 1us) are none of Prometheus'."""
    with pytest.raises(BadRequest, match="to a valid duration"):
        params.parse_duration_ns(text)


@pytest.mark.parametrize("text", ["1e20", "-1e20", "9223372037"])
def test_durations_that_overflow(text: str):
    """int64 nanoseconds are 292 years."""
    with pytest.raises(BadRequest, match="It overflows int64"):
        params.parse_duration_ns(text)


def test_messages_name_the_parameter_as_thanos_does():
    """'name' parameter: reason, and the special forms of times, limits and resolutions."""
    cases = [
        (lambda a: params.named(a, "dedup", params.parse_bool, True), {"dedup": "maybe"},
         "'dedup' parameter: strconv.ParseBool: parsing \"maybe\": invalid syntax"),
        (lambda a: params.named(a, "step", params.parse_duration_ns, 0), {"step": "x"},
         "'step' parameter: cannot parse \"x\" to a valid duration"),
        (lambda a: params.time_or(a, "time", 0), {"time": "x"},
         "Invalid time value for 'time': cannot parse \"x\" to a valid timestamp"),
        (lambda a: params.parse_limit(a.get("limit")), {"limit": "x"}, 'cannot parse "x" to a valid limit'),
        (lambda a: params.parse_limit(a.get("limit")), {"limit": "-1"}, "limit must be non-negative"),
        (lambda a: params.max_resolution_ms(a, 0, auto_downsampling=False), {"max_source_resolution": "-1"},
         "negative 'max_source_resolution' is not accepted. Try a positive integer"),
        (lambda a: params.max_resolution_ms(a, 0, auto_downsampling=False), {"max_source_resolution": "x"},
         "'max_source_resolution' parameter: cannot parse \"x\" to a valid duration"),
        (lambda a: params.metadata_range(a, 0, 0), {"start": "2", "end": "1"},
         "bad_data: end timestamp must not be before start time"),
    ]  # fmt: skip
    for parse, given_args, message in cases:
        with pytest.raises(BadRequest) as caught:
            parse(Args(given_args.items()))
        assert str(caught.value) == message


def test_resolution_parameter():
    """QU-20: auto, durations, seconds; raw without the parameter unless auto-downsampling is on."""

    def resolution(text: str, *, auto: bool = False) -> int:
        args = Args([("max_source_resolution", text)] if text else [])
        return params.max_resolution_ms(args, 120_000, auto_downsampling=auto)

    assert [resolution(text) for text in ("", "auto", "5m", "3600", "0s")] == [0, 120_000, 300_000, 3_600_000, 0]
    assert [resolution(text, auto=True) for text in ("", "auto", "0s")] == [120_000, 120_000, 0]


def test_the_default_range_of_metadata_requests():
    """QU-30: all time, or the configured last part of it."""
    assert params.metadata_range(Args([]), 1000, 0) == (params.MIN_TIME_MS, params.MAX_TIME_MS)
    assert params.metadata_range(Args([]), 10_000, 4_000) == (6_000, 10_000)
    assert params.metadata_range(Args([("start", "1"), ("end", "2")]), 10_000, 4_000) == (1_000, 2_000)


def test_shard_info():
    """QU-28: the JSON of a shard; anything else in it is refused."""

    def parse(text: str) -> ShardInfo | None:
        return params.shard_info(Args([("shard_info", text)]))

    assert parse('{"shard_index": 1, "total_shards": 3, "by": true, "labels": ["pod"]}') == ShardInfo(
        1, 3, True, ("pod",)
    )
    assert params.shard_info(Args([])) is None and parse("{}") is None
    for wrong in (
        "x",
        "[]",
        '{"shard_index": "1"}',
        '{"by": 1}',
        '{"labels": [1]}',
        "[" * 100_000,
        f'{{"total_shards": {2**63}}}',
    ):
        with pytest.raises(BadRequest, match="could not unmarshal parameter shard_info"):
            parse(wrong)


@pytest.mark.parametrize(
    ("lookback_ms", "resolution_ms", "expected"),
    [
        (300_000, 0, 300_000),
        (300_000, 300_000, 300_000),
        (300_000, 300_001, 3_600_000),
        (300_000, 3_600_000, 3_600_000),
        (60_000, 60_001, 300_000),
        (60_000, 60_000, 60_000),
        (7_200_000, 3_600_000, 7_200_000),
    ],
)
def test_lookback_grows_with_the_resolution(lookback_ms: int, resolution_ms: int, expected: int):
    """QU-23: an hour above 5 m, 5 m above a smaller flag; a larger flag wins; off means the flag."""
    assert dynamic_lookback_ms(QuerySettings(lookback_ms=lookback_ms), resolution_ms) == expected
    assert (
        dynamic_lookback_ms(QuerySettings(lookback_ms=lookback_ms, dynamic_lookback=False), resolution_ms)
        == lookback_ms
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("job", "job"),
        ("U__http_2e_status", "http.status"),
        ("U__a__b", "a_b"),
        ("U___1f600_", "\U0001f600"),
        ("U__a_zz_", "U__a_zz_"),
        ("U__a_2e", "U__a_2e"),
        ("U__a_d800_", "U__a_d800_"),
        ("U__a_110000_", "U__a_110000_"),
    ],
)
def test_escaped_label_names(name: str, expected: str):
    """A name that is not well escaped is taken as it is."""
    assert unescape_name(name) == expected


@given(st.binary(max_size=60))
def test_any_query_string_parses_or_is_refused(text: bytes):
    """Nothing but BadRequest comes out of a form."""
    try:
        pairs = parse_form(text)
    except BadRequest:
        return
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in pairs)


def test_forms_in_parts():
    """What ``curl -F`` sends: fields with their bytes as they are; files are no parameters."""
    body = (
        b'preamble\r\n--x1\r\nContent-Disposition: form-data; name="query"\r\n\r\nup{a="\r\n"}\r\n'
        b'--x1\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; name="match[]"\r\n\r\n\xff\r\n'
        b'--x1\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nno\r\n--x1--\r\n'
    )
    expected = [("query", 'up{a="\r\n"}'), ("match[]", "\udcff")]
    assert parse_multipart("multipart/form-data; boundary=x1", body) == expected
    assert parse_multipart('multipart/form-data; charset=utf-8; Boundary="x1"', body) == expected


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("multipart/form-data", b"--x--"), ("multipart/form-data; boundary=x", b""), ("a/b; boundary=x", b"--x\r\n\r\n1")],
)
def test_forms_in_parts_that_are_none(content_type: str, body: bytes):
    """No boundary, or no end."""
    with pytest.raises(BadRequest, match="error parsing form values"):
        parse_multipart(content_type, body)
