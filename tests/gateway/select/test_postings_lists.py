"""Many postings lists out of one range, as their union."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos._postings import encode_postings
from pythanos.errors import CorruptData
from pythanos.gateway.select import postings_fetch
from pythanos.gateway.select.postings_fetch import decode_lists

LISTS = st.lists(st.lists(st.integers(0, 60), unique=True).map(sorted), min_size=1, max_size=12)


def laid_out(lists, gap):
    """(bytes, start, end) of lists with ``gap`` bytes between them."""
    data, start, end = b"", [], []
    for refs in lists:
        start.append(len(data))
        data += encode_postings(np.array(refs, np.uint32))
        end.append(len(data))
        data += b"?" * gap
    return data, np.array(start, np.int64), np.array(end, np.int64)


@given(LISTS, st.integers(0, 8), st.integers(1, 10))
def test_the_union_of_all_lists_comes_whatever_lies_between_them(lists, gap, words):
    data, start, end = laid_out(lists, gap)
    before = postings_fetch.DECODED_WORDS_MAX
    postings_fetch.DECODED_WORDS_MAX = words
    try:
        found = decode_lists(data, start, end, "index", 0)
    finally:
        postings_fetch.DECODED_WORDS_MAX = before
    assert found.tolist() == sorted({ref for refs in lists for ref in refs})


@pytest.mark.parametrize("gap", [4, 1])
def test_a_list_longer_than_its_place_is_corrupt_at_its_place(gap):
    data, start, end = laid_out([[1], [2, 3], [4]], gap)
    end[1] -= 4
    with pytest.raises(CorruptData) as raised:
        decode_lists(data, start, end, "block/index", 1000)
    assert (raised.value.file, raised.value.offset) == ("block/index", 1000 + start[1])


@given(st.binary(max_size=64), st.lists(st.integers(0, 15), min_size=1, max_size=4))
def test_any_bytes_give_references_or_corrupt_data(data, places):
    start = np.array(sorted({4 * place for place in places if 4 * place + 4 <= len(data)}), np.int64)
    if not len(start):
        return
    try:
        found = decode_lists(data, start, np.full(len(start), len(data), np.int64), "index", 0)
    except CorruptData:
        return
    assert (np.diff(found.astype(np.int64)) > 0).all()
