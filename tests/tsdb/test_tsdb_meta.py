import json
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos.errors import CorruptData
from pythanos.tsdb.meta import (
    NO_UPLOAD_TIME,
    BlockMeta,
    ThanosMeta,
    UnsupportedMeta,
    decode_meta,
    encode_meta,
    format_time,
    is_ulid,
    labels_hash,
    new_ulid,
    parse_time_ms,
    ulid_time_ms,
)

GOLDEN = Path(__file__).parent.parent / "golden" / "meta"
ULID = "01M7YT14SG4W5AW2RCK5Q12WG6"


def golden(name):
    return (GOLDEN / name).read_bytes()


@pytest.mark.parametrize(
    "name",
    ["prometheus.json", "thanos-upload.json", "thanos-rewrite.json", "thanos-compact.json", "thanos-everything.json"],
)
def test_what_go_wrote_is_written_again_byte_for_byte(name):
    """XC-64: tabs, key order, omitted zeros, escapes, numbers, final newline."""
    data = golden(name)
    assert encode_meta(decode_meta(data, name)) == data


def test_what_prometheus_wrote_is_understood():
    meta = decode_meta(golden("prometheus.json"), "x")
    assert (meta.ulid, meta.mint, meta.maxt) == (ULID, 1700006400000, 1700013540001)
    assert (meta.stats.num_samples, meta.stats.num_float_samples, meta.stats.num_series) == (600, 600, 5)
    assert (meta.compaction.level, meta.compaction.sources) == (1, (ULID,))
    assert meta.thanos is None
    assert (meta.labels, meta.resolution_ms, meta.source, meta.files) == ({}, 0, "", ())
    assert meta.upload_time_ms is None


def test_what_thanos_wrote_is_understood():
    meta = decode_meta(golden("thanos-everything.json"), "x")
    assert meta.labels["é"] == "<>&"
    assert meta.labels["b"] == '\x00\x1f\x7f\b\f\n\r\t"\\/'
    assert meta.stats.num_samples == 2**64 - 1
    assert meta.resolution_ms == 300_000
    assert meta.source == "compactor"
    assert meta.segment_files == ("000001", "000002")
    assert meta.files[0].hash.value == "ab"
    assert (meta.index_stats.series_max_size, meta.index_stats.chunk_max_size) == (1, 2)
    assert meta.thanos.extensions["z"] == 1
    assert meta.upload_time_ms == 1704164645120
    assert meta.compaction.parents[0].maxt == 2
    assert meta.compaction.hints == ("from-out-of-order", "from-stale-series")


def test_null_is_absent_as_in_go():
    """Thanos prints a block without labels with ``"labels": null``."""
    meta = decode_meta(golden("thanos-empty.json"), "x")
    assert meta.labels == {}
    assert meta.thanos.upload_time == NO_UPLOAD_TIME
    assert meta.upload_time_ms is None


def test_fields_of_tomorrow_are_passed_over():
    text = b'{"ulid": "%s", "version": 1, "new": {"a": [1]}, "thanos": {"labels": {"a": "b"}, "also_new": 1}}'
    assert decode_meta(text % ULID.encode(), "x").labels == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "truncated"),
        ("{", "truncated"),
        ("garbage", "malformed"),
        ("[]", "object"),
        ("null", "object"),
        ('{"version": 1}', "ulid"),
        ('{"version": 1, "ulid": "01M7YT14SG4W5AW2RCK5Q12WGU"}', "not a ULID"),
        ('{"version": 1, "ulid": "../../../etc"}', "not a ULID"),
        ('{"version": 1, "ulid": 5}', "str"),
        ('{"version": "1", "ulid": "%s"}', "int"),
        ('{"version": 1, "ulid": "%s", "minTime": "x"}', "minTime"),
        ('{"version": 1, "ulid": "%s", "minTime": 99999999999999999999}', "9223372036854775807"),
        ('{"version": 1, "ulid": "%s", "thanos": {"labels": {"a": 1}}}', "labels"),
        ('{"version": 1, "ulid": "%s", "x": ' + "[" * 100_000, "depth"),
    ],
)
def test_garbage_is_corrupt_data_with_file_and_reason(text, reason):
    with pytest.raises(CorruptData, match=rf"^block/meta.json: .*({reason})") as caught:
        decode_meta((text % ULID if "%s" in text else text).encode(), "block/meta.json")
    assert not isinstance(caught.value, UnsupportedMeta)


@pytest.mark.parametrize(
    "text", ['{"version": 2, "ulid": "x", "stats": []}', "{}", '{"version": 1, "ulid": "%s", "thanos": {"version": 2}}']
)
def test_another_version_is_told_apart_from_garbage(text):
    """It may be whole, so nobody may clean it up as half an upload."""
    with pytest.raises(UnsupportedMeta, match=r"version [02]"):
        decode_meta((text % ULID if "%s" in text else text).encode(), "x")


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_any_bytes_give_a_meta_or_corrupt_data(data):
    with suppress(CorruptData):
        assert isinstance(decode_meta(data, "x"), BlockMeta)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.fixed_dictionaries(
    {"ulid": st.just(ULID) | JSON, "version": st.just(1) | JSON},
    optional={name: JSON for name in ("minTime", "stats", "compaction")}
    | {"thanos": JSON | st.dictionaries(st.sampled_from(["labels", "files", "version", "extensions"]), JSON)},
)


@given(DOCUMENTS)
def test_any_document_gives_a_meta_or_corrupt_data(document):
    try:
        meta = decode_meta(json.dumps(document).encode(), "x")
    except CorruptData:
        return
    assert isinstance(meta, BlockMeta)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4), JSON)
def test_what_is_written_is_read_back(labels, extensions):
    meta = BlockMeta(ulid=ULID, mint=-1, maxt=5, thanos=ThanosMeta(labels=labels))
    assert decode_meta(encode_meta(meta), "x") == meta
    assert json.loads(encode_meta(meta)) == msgspec.to_builtins(meta) | json.loads(encode_meta(meta))


def test_bytes_that_are_no_utf8_become_the_replacement_character_both_ways():
    """As in Go: a label value read from a command line may hold any byte."""
    meta = BlockMeta(ulid=ULID, thanos=ThanosMeta(labels={"a": "bad\udcff\udcfeutf8"}))
    assert b'"a": "bad\\ufffd\\ufffdutf8"' in encode_meta(meta)
    raw = b'{"ulid": "%s", "version": 1, "thanos": {"labels": {"a": "\xff"}}}' % ULID.encode()
    assert decode_meta(raw, "x").labels == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        ({}, "300000@17241709254077376921"),
        ({"a": "b"}, "300000@6955969838111864200"),
        ({"b": "2", "a": "1"}, "300000@14719918290853119255"),
        ({"a": "1", "b": "2"}, "300000@14719918290853119255"),
        ({"replica": "0", "é": "ü", "cluster": "eu-1"}, "300000@7060997952612189624"),
        ({"a": ""}, "300000@5163245844538983679"),
    ],
)
def test_group_keys_are_those_of_thanos(labels, key):
    """XC-65: the same for equal labels in any order; numbers printed by Thanos' own GroupKey."""
    downsample = msgspec.convert({"resolution": 300000}, type(ThanosMeta().downsample))
    assert BlockMeta(ulid=ULID, thanos=ThanosMeta(labels=labels, downsample=downsample)).group_key == key
    assert key == f"300000@{labels_hash(labels)}"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (ULID, True),
        ("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", True),
        ("8ZZZZZZZZZZZZZZZZZZZZZZZZZ", False),
        (ULID.lower(), False),
        (ULID[:-1], False),
        (ULID + "0", False),
        (ULID + "\n", False),
        (ULID[:-1] + "I", False),
        ("..", False),
        ("", False),
    ],
)
def test_what_is_a_ulid(text, valid):
    assert is_ulid(text) is valid


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_ulid_tells_when_it_was_made(now_ms, noise):
    ulid = new_ulid(now_ms, lambda size: noise[:size])
    assert is_ulid(ulid)
    assert ulid_time_ms(ulid) == now_ms


def test_ulids_sort_by_time():
    assert new_ulid(1000) < new_ulid(1001)


@pytest.mark.parametrize(
    ("now_ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1700000000100, "2023-11-14T22:13:20.1Z"),
        (1700000000123, "2023-11-14T22:13:20.123Z"),
        (1700000000020, "2023-11-14T22:13:20.02Z"),
    ],
)
def test_times_are_printed_as_go_prints_them(now_ms, text):
    assert format_time(now_ms) == text
    assert parse_time_ms(text) == now_ms


@pytest.mark.parametrize(
    ("text", "now_ms"),
    [
        ("2026-11-21T10:22:01.797056084Z", 1795256521797),
        ("2023-11-14T23:13:20+01:00", 1700000000000),
        (NO_UPLOAD_TIME, None),
        ("yesterday", None),
        ("", None),
        ("2023-11-14T23:13:20", None),
    ],
)
def test_times_of_others_are_read(text, now_ms):
    assert parse_time_ms(text) == now_ms
