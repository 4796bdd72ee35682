"""The label kernels against plain Python over dicts, and against hostile bytes."""

import functools

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pythanos import _labels
from pythanos.errors import CorruptData
from pythanos.model.series import LabelColumn

NAMES = ["__name__", "a", "aa", "b", "instance", "job", "le", "é", "z" * 130]
VALUES = ["a", "b", "ab", "a\x00", "a\x01", "\x00", "x" * 127, "x" * 128, "x" * 300, "\udcff", "5", "50"]
label_sets = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(min_size=1, max_size=9), max_size=5
)
columns = st.lists(label_sets, max_size=30)
name_tuples = st.lists(st.sampled_from([*NAMES, "absent"]), max_size=8).map(tuple)


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def pairs(labels: dict) -> list:
    """The label set as Go's labels.Compare sees it."""
    return sorted((encode(name), encode(value)) for name, value in labels.items())


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def reference_block(labels: dict) -> bytes:
    out = b""
    for name, value in pairs(labels):
        body = b"\x0a" + varint(len(name)) + name + b"\x12" + varint(len(value)) + value
        out += b"\x0a" + varint(len(body)) + body
    return out


def without(labels: dict, names: tuple) -> dict:
    return {name: value for name, value in labels.items() if name not in names}


def only(labels: dict, names: tuple) -> dict:
    return {name: value for name, value in labels.items() if name in names}


@given(columns)
def test_blocks_are_the_wire_form_and_come_back_as_dicts(sets):
    """A column holds each set's protobuf bytes with their XXH64, and decodes to what went in."""
    column = _labels.labels_from_dicts(sets)
    assert [column.block(i) for i in range(len(column))] == [reference_block(labels) for labels in sets]
    assert column.hash.tolist() == [xxhash.xxh64_intdigest(reference_block(labels)) for labels in sets]
    assert _labels.to_dicts(column) == sets


def test_labels_with_an_empty_value_are_absent():
    """An empty value means no label, as everywhere in Prometheus."""
    assert _labels.label_block({"a": "", "b": "1"}) == _labels.label_block({"b": "1"})


@given(columns)
def test_order_is_that_of_labels_compare(sets):
    """compare, sort_order and is_sorted agree with comparing lists of (name, value) pairs; sorting is stable."""
    column = _labels.labels_from_dicts(sets)
    keys = [pairs(labels) for labels in sets]
    for i, left in enumerate(keys):
        for j, right in enumerate(keys):
            assert _labels.compare(column, i, column, j) == (left > right) - (left < right)
    expected = sorted(range(len(sets)), key=keys.__getitem__)
    assert _labels.sort_order(column).tolist() == expected
    assert _labels.is_sorted(column) == (keys == sorted(keys))
    assert _labels.is_sorted(column, strict=True) == (sorted({tuple(k) for k in keys}) == [tuple(k) for k in keys])
    assert _labels.is_sorted(column.take(np.array(expected, np.int64)))


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), st.text("\x00\x01\x02a", min_size=1, max_size=12), max_size=3)))
def test_order_holds_where_values_contain_the_bytes_that_keys_escape(sets):
    """Zero and one bytes inside values sort by their bytes."""
    column = _labels.labels_from_dicts([{"__name__": "m", **labels} for labels in sets])
    keys = [pairs({"__name__": "m", **labels}) for labels in sets]
    assert _labels.sort_order(column).tolist() == sorted(range(len(sets)), key=keys.__getitem__)


@given(columns, name_tuples)
def test_dropping_and_keeping_labels(sets, names):
    """drop_labels and keep_labels split every set in two, hashes included."""
    column = _labels.labels_from_dicts(sets)
    dropped, kept = _labels.drop_labels(column, names), _labels.keep_labels(column, names)
    assert _labels.to_dicts(dropped) == [without(labels, names) for labels in sets]
    assert _labels.to_dicts(kept) == [only(labels, names) for labels in sets]
    for result in (dropped, kept):
        assert result.hash.tolist() == [xxhash.xxh64_intdigest(result.block(i)) for i in range(len(result))]


@given(columns, name_tuples, st.booleans())
def test_groups_are_exact_and_numbered_by_first_sight(sets, names, by):
    """group_by gives rows with equal grouping labels one number, and without ignores the metric name too."""
    column = _labels.labels_from_dicts(sets)
    group, groups = _labels.group_by(column, names, by=by)
    picked = [only(labels, names) if by else without(labels, (*names, "__name__")) for labels in sets]
    seen = list({tuple(pairs(labels)): labels for labels in picked}.values())
    assert _labels.to_dicts(groups) == seen
    assert [seen[g] for g in group.tolist()] == picked
    assert groups.hash.tolist() == _labels.labels_from_dicts(seen).hash.tolist()


@given(columns, name_tuples, st.booleans())
def test_signatures_are_equal_exactly_where_the_matched_labels_are(sets, names, on):
    """Two rows have one signature if and only if the labels matched on are the same."""
    column = _labels.labels_from_dicts(sets)
    found = _labels.signatures(column, names, on=on).tolist()
    matched = [tuple(pairs(only(s, names) if on else without(s, (*names, "__name__")))) for s in sets]
    assert len(set(found)) == len(set(matched)) == len(set(zip(found, matched, strict=True)))


@given(columns)
def test_distinct_rows_and_duplicates(sets):
    """distinct numbers label sets by first sight; find_duplicate names the first repeated pair."""
    column = _labels.labels_from_dicts(sets)
    ids, first = _labels.distinct(column)
    keys = [tuple(pairs(labels)) for labels in sets]
    assert [keys[row] for row in first.tolist()] == list(dict.fromkeys(keys))
    assert [keys[first[i]] for i in ids.tolist()] == keys
    late = next((row for row, key in enumerate(keys) if keys.index(key) < row), None)
    assert _labels.find_duplicate(column) == (None if late is None else (keys.index(keys[late]), late))


@given(columns, st.sampled_from([*NAMES, "absent"]))
def test_values_of_one_label(sets, name):
    """values_of gives each row's value, "" for absent; value_index gives each distinct value once."""
    column = _labels.labels_from_dicts(sets)
    values = [labels.get(name, "") for labels in sets]
    assert _labels.values_of(column, name) == values
    index, found = _labels.value_index(column, name)
    assert found == list(dict.fromkeys(values))
    assert [found[i] for i in index.tolist()] == values
    assert _labels.names_of(column) == sorted({name for labels in sets for name in labels}, key=encode)


@given(columns, st.sampled_from(NAMES), st.data())
def test_setting_a_label_replaces_inserts_or_removes_it(sets, name, data):
    """set_label writes each row's value in its sorted place, removes the label for "", and leaves the row for None."""
    column = _labels.labels_from_dicts(sets)
    new = [data.draw(st.none() | st.sampled_from(["", *VALUES])) for _ in sets]
    expected = [
        labels if value is None else {k: v for k, v in {**labels, name: value}.items() if v}
        for labels, value in zip(sets, new, strict=True)
    ]
    result = _labels.set_label(column, name, new)
    assert [result.block(i) for i in range(len(result))] == [reference_block(labels) for labels in expected]
    index = np.array(list(reversed(range(len(sets)))), np.int64)
    mirrored = _labels.set_label(column, name, new[::-1], index)
    assert _labels.to_dicts(mirrored) == expected


def test_setting_one_value_for_all_rows():
    """A plain str goes to every row; too few values are refused."""
    column = _labels.labels_from_dicts([{"a": "1"}, {}])
    assert _labels.to_dicts(_labels.set_label(column, "job", "x")) == [{"a": "1", "job": "x"}, {"job": "x"}]
    with pytest.raises(ValueError):
        _labels.set_label(column, "job", ["x"])


@given(st.lists(columns, max_size=4))
def test_concatenation_keeps_rows_and_hashes(parts):
    """concat yields all rows in order."""
    whole = _labels.concat([_labels.labels_from_dicts(part) for part in parts])
    expected = _labels.labels_from_dicts([labels for part in parts for labels in part])
    assert _labels.to_dicts(whole) == _labels.to_dicts(expected)
    assert whole.hash.tolist() == expected.hash.tolist()


@given(columns)
def test_sampling_hashes_are_those_of_prometheus_string_labels(sets):
    def text(value: bytes) -> bytes:
        size = len(value)
        return (bytes([size]) if size < 255 else b"\xff" + size.to_bytes(3, "little")) + value

    expected = [
        xxhash.xxh64(b"".join(text(part) for pair in pairs(labels) for part in pair)).intdigest() for labels in sets
    ]
    assert _labels.sampling_hashes(_labels.labels_from_dicts(sets)).tolist() == expected


def test_sampling_hashes_are_those_that_prometheus_gives():
    sets = [{}, *({"__name__": "a", "l": "x" * size} for size in (1, 254, 255, 70_000))]
    assert _labels.sampling_hashes(_labels.labels_from_dicts(sets)).tolist() == [
        17241709254077376921,
        10783262904697411659,
        6068148865148046221,
        15151109151093454858,
        8952947491610731965,
    ]


@given(columns, name_tuples, st.booleans(), st.integers(1, 5))
def test_shards_are_chosen_as_thanos_does(sets, names, by, total):
    """QU-28: a row belongs to the shard of XXH64 over `name 0xFF value 0xFF` of its sharding labels."""
    column = _labels.labels_from_dicts(sets)
    masks = [_labels.shard_mask(column, names, by=by, total=total, index=index) for index in range(total)]
    for row, labels in enumerate(sets):
        chosen = pairs(only(labels, names) if by else without(labels, names))
        digest = xxhash.xxh64_intdigest(b"".join(n + b"\xff" + v + b"\xff" for n, v in chosen))
        assert [bool(mask[row]) for mask in masks] == [digest % total == index for index in range(total)]
    assert _labels.shard_mask(column, names, by=by, total=0, index=0).all()


OPERATIONS = {
    "to_dicts": _labels.to_dicts,
    "drop": functools.partial(_labels.drop_labels, names=("a",)),
    "keep": functools.partial(_labels.keep_labels, names=("a",)),
    "signatures": functools.partial(_labels.signatures, names=("a",), on=True),
    "group_by": functools.partial(_labels.group_by, names=("a",), by=False),
    "value_index": functools.partial(_labels.value_index, name="zz"),
    "names_of": _labels.names_of,
    "set_label": functools.partial(_labels.set_label, name="m", values="1"),
    "sampling_hashes": _labels.sampling_hashes,
    "shard_mask": functools.partial(_labels.shard_mask, names=("a",), by=False, total=2, index=0),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
@given(block=st.binary(min_size=1, max_size=40))
def test_hostile_blocks_give_a_value_or_corrupt_data(operation, block):
    """Any bytes as a label block: a result or CorruptData, never another error; sorting never fails."""
    column = _labels.labels_from_blocks([_labels.label_block({"a": "1"}), block, b""])
    try:
        operation(column)
    except CorruptData as error:
        assert error.file == "labels"
        assert error.offset == column.offset[1]
    assert sorted(_labels.sort_order(column).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_truncated_blocks_are_corrupt(operation):
    """A block that ends inside a label is CorruptData for every operation that reads labels."""
    block = _labels.label_block({"job": "x" * 200})
    for end in range(1, len(block)):
        with pytest.raises(CorruptData):
            operation(_labels.labels_from_blocks([block[:end]]))


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 8), (7, 1), (2**62, 5), (3, -1)])
def test_rows_outside_the_arena_are_corrupt(offset, length):
    """A row that reaches outside its arena is refused before anything is read."""
    column = LabelColumn(
        b"\x0a\x05\x0a\x00\x12\x01", np.array([offset]), np.array([length], np.int32), np.zeros(1, np.uint64)
    )
    with pytest.raises(CorruptData, match="outside its arena"):
        _labels.to_dicts(column)
