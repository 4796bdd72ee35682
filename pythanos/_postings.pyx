"""Postings: sorted lists of series references, as uint32 arrays, and the set operations over them.

Design: lists are native uint32, strictly increasing. Two lists of like size are intersected and merged without branches
on the data; where one is 30 times the other, each entry of the small one is looked up by galloping. Unions of many
lists and subtraction of many lists go through a bitset over the span of the references, which is as fast as reading
the lists; a span much larger than the lists falls back to pairwise merging.
Formats: the index's big-endian lists (docs/formats/index.md), and Thanos' `dss` and `dvs` cache values (uvarint
deltas, snappy framed or raw).
"""

import cramjam
import numpy as np

from pythanos.errors import CorruptData

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from pythanos._cursor cimport PYTHANOS_BSWAP32, Cursor, cursor, offset, read_uvarint


cdef extern from *:
    """
    #define PYTHANOS_CTZ(x) __builtin_ctzll(x)
    #define PYTHANOS_POPCOUNT(x) __builtin_popcountll(x)
    """
    int PYTHANOS_CTZ(uint64_t) noexcept nogil
    int PYTHANOS_POPCOUNT(uint64_t) noexcept nogil


cdef Py_ssize_t GALLOP_RATIO = 30
# A bitset word costs about as much as this many entries of a merge.
cdef Py_ssize_t SPAN_PER_ENTRY = 256

DSS = b"dss"
DVS = b"dvs"


def decode_postings(buffer, *, str file="index", int64_t start=0):
    """uint32[n]: the references of a postings list, given as u32 count and big-endian u32 references.

    Bytes after the last reference are ignored, since the end of a list can only be bounded from a table of starts.
    file, start: where the bytes come from, for errors. Raises CorruptData where the list is cut short or not strictly
    increasing.
    """
    cdef const uint8_t[::1] view = buffer
    cdef Py_ssize_t size = view.shape[0], count, i
    cdef uint32_t raw = 0
    cdef const uint8_t* at
    cdef uint32_t[::1] out
    cdef uint32_t bad = 0, last, value
    if size < 4:
        raise CorruptData(file, start, "postings list without a length")
    memcpy(&raw, &view[0], 4)
    count = PYTHANOS_BSWAP32(raw)
    if count > (size - 4) // 4:
        raise CorruptData(file, start, f"postings list of {count} entries in {size} bytes")
    result = np.empty(count, np.uint32)
    if count == 0:
        return result
    out = result
    at = &view[4]
    with nogil:
        for i in range(count):
            memcpy(&raw, at + 4 * i, 4)
            out[i] = PYTHANOS_BSWAP32(raw)
        last = out[0]
        for i in range(1, count):
            value = out[i]
            bad |= value <= last
            last = value
    if bad:
        raise CorruptData(file, start, "postings not in increasing order")
    return result


def encode_postings(refs):
    """bytes: u32 count and big-endian u32 references, as the index has them between length and checksum."""
    array = np.ascontiguousarray(refs, np.uint32)
    return len(array).to_bytes(4, "big") + array.astype(">u4").tobytes()


cdef Py_ssize_t merge_common(
    const uint32_t* a, Py_ssize_t a_count, const uint32_t* b, Py_ssize_t b_count, uint32_t* out
) noexcept nogil:
    cdef Py_ssize_t i = 0, j = 0, n = 0
    cdef uint32_t x, y
    while i < a_count and j < b_count:
        x = a[i]
        y = b[j]
        out[n] = x
        n += x == y
        i += x <= y
        j += y <= x
    return n


cdef inline Py_ssize_t gallop(const uint32_t* b, Py_ssize_t low, Py_ssize_t count, uint32_t wanted) noexcept nogil:
    """The first place from `low` on with b[place] >= wanted."""
    cdef Py_ssize_t step = 1, high = low, half
    while high < count and b[high] < wanted:
        low = high + 1
        high += step
        step *= 2
    if high > count:
        high = count
    while low < high:
        half = (low + high) >> 1
        if b[half] < wanted:
            low = half + 1
        else:
            high = half
    return low


cdef Py_ssize_t gallop_common(
    const uint32_t* a, Py_ssize_t a_count, const uint32_t* b, Py_ssize_t b_count, uint32_t* out
) noexcept nogil:
    cdef Py_ssize_t i, j = 0, n = 0
    for i in range(a_count):
        j = gallop(b, j, b_count, a[i])
        if j == b_count:
            break
        out[n] = a[i]
        n += b[j] == a[i]
    return n


cdef Py_ssize_t merge_all(
    const uint32_t* a, Py_ssize_t a_count, const uint32_t* b, Py_ssize_t b_count, uint32_t* out
) noexcept nogil:
    cdef Py_ssize_t i = 0, j = 0, n = 0
    cdef uint32_t x, y
    while i < a_count and j < b_count:
        x = a[i]
        y = b[j]
        out[n] = x if x <= y else y
        n += 1
        i += x <= y
        j += y <= x
    if i < a_count:
        memcpy(out + n, a + i, 4 * (a_count - i))
        n += a_count - i
    if j < b_count:
        memcpy(out + n, b + j, 4 * (b_count - j))
        n += b_count - j
    return n


cdef Py_ssize_t merge_without(
    const uint32_t* a, Py_ssize_t a_count, const uint32_t* b, Py_ssize_t b_count, uint32_t* out
) noexcept nogil:
    cdef Py_ssize_t i = 0, j = 0, n = 0
    cdef uint32_t x, y
    while i < a_count and j < b_count:
        x = a[i]
        y = b[j]
        out[n] = x
        n += x < y
        i += x <= y
        j += y <= x
    if i < a_count:
        memcpy(out + n, a + i, 4 * (a_count - i))
        n += a_count - i
    return n


cdef Py_ssize_t gallop_without(
    const uint32_t* a, Py_ssize_t a_count, const uint32_t* b, Py_ssize_t b_count, uint32_t* out
) noexcept nogil:
    """a without a much shorter b: the stretches between b's entries, copied whole."""
    cdef Py_ssize_t i = 0, j, n = 0, to
    for j in range(b_count):
        to = gallop(a, i, a_count, b[j])
        memcpy(out + n, a + i, 4 * (to - i))
        n += to - i
        i = to + (to < a_count and a[to] == b[j])
    memcpy(out + n, a + i, 4 * (a_count - i))
    return n + a_count - i


cdef void set_bits(uint64_t* bits, const uint32_t* a, Py_ssize_t count, uint32_t low) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t at
    for i in range(count):
        at = a[i] - low
        bits[at >> 6] |= 1ULL << (at & 63)


cdef Py_ssize_t list_bits(const uint64_t* bits, Py_ssize_t words, uint32_t low, uint32_t* out) noexcept nogil:
    cdef Py_ssize_t i, n = 0
    cdef uint64_t word
    for i in range(words):
        word = bits[i]
        while word:
            out[n] = low + <uint32_t>(64 * i + PYTHANOS_CTZ(word))
            n += 1
            word &= word - 1
    return n


cdef Py_ssize_t count_bits(const uint64_t* bits, Py_ssize_t words) noexcept nogil:
    cdef Py_ssize_t i, n = 0
    for i in range(words):
        n += PYTHANOS_POPCOUNT(bits[i])
    return n


cdef list sorted_lists(lists):
    arrays = [np.ascontiguousarray(each, np.uint32) for each in lists]
    return sorted(arrays, key=len)


cdef object intersect_two(const uint32_t[::1] a, const uint32_t[::1] b):
    """a is the shorter."""
    cdef Py_ssize_t a_count = a.shape[0], b_count = b.shape[0], n
    if a_count == 0:
        return np.empty(0, np.uint32)
    result = np.empty(a_count + 1, np.uint32)
    cdef uint32_t[::1] out = result
    with nogil:
        if b_count >= GALLOP_RATIO * a_count:
            n = gallop_common(&a[0], a_count, &b[0], b_count, &out[0])
        else:
            n = merge_common(&a[0], a_count, &b[0], b_count, &out[0])
    return result[:n]


def intersect(lists):
    """uint32[n]: the references that are in every one of the lists (uint32 arrays, strictly increasing).

    Begins with the shortest. Raises ValueError for no lists at all.
    """
    arrays = sorted_lists(lists)
    if not arrays:
        raise ValueError("intersection of no lists")
    result = arrays[0]
    for each in arrays[1:]:
        if not len(result):
            break
        result = intersect_two(result, each)
    return result


cdef object union_two(const uint32_t[::1] a, const uint32_t[::1] b):
    cdef Py_ssize_t a_count = a.shape[0], b_count = b.shape[0], n
    result = np.empty(a_count + b_count, np.uint32)
    cdef uint32_t[::1] out = result
    with nogil:
        n = merge_all(&a[0], a_count, &b[0], b_count, &out[0])
    return result[:n]


cdef object union_bits(list arrays, uint32_t low, Py_ssize_t words):
    cdef uint64_t* bits = <uint64_t*>calloc(words, 8)
    cdef const uint32_t[::1] a
    cdef uint32_t[::1] out
    cdef Py_ssize_t n
    if bits == NULL:
        raise MemoryError
    try:
        for each in arrays:
            a = each
            with nogil:
                set_bits(bits, &a[0], a.shape[0], low)
        with nogil:
            n = count_bits(bits, words)
        result = np.empty(n, np.uint32)
        out = result
        with nogil:
            list_bits(bits, words, low, &out[0])
        return result
    finally:
        free(bits)


def union(lists):
    """uint32[n]: the references that are in any of the lists (uint32 arrays, strictly increasing); none for no lists.
    """
    arrays = [each for each in sorted_lists(lists) if len(each)]
    if not arrays:
        return np.empty(0, np.uint32)
    if len(arrays) == 1:
        return arrays[0]
    if len(arrays) == 2:
        return union_two(arrays[0], arrays[1])
    low, high = min(int(each[0]) for each in arrays), max(int(each[len(each) - 1]) for each in arrays)
    total = sum(len(each) for each in arrays)
    if high - low < SPAN_PER_ENTRY * total:
        return union_bits(arrays, low, (high - low) // 64 + 1)
    while len(arrays) > 1:
        odd = [arrays.pop()] if len(arrays) % 2 else []
        arrays = [union_two(arrays[i], arrays[i + 1]) for i in range(0, len(arrays), 2)] + odd
    return arrays[0]


cdef object subtract_one(const uint32_t[::1] a, const uint32_t[::1] b):
    cdef Py_ssize_t a_count = a.shape[0], b_count = b.shape[0], n
    result = np.empty(a_count + 1, np.uint32)
    cdef uint32_t[::1] out = result
    with nogil:
        if a_count >= GALLOP_RATIO * b_count:
            n = gallop_without(&a[0], a_count, &b[0], b_count, &out[0])
        else:
            n = merge_without(&a[0], a_count, &b[0], b_count, &out[0])
    return result[:n]


def subtract(refs, without):
    """uint32[n]: the entries of `refs` that are not in `without`, one list or a sequence of lists.

    With the all-postings list as `refs` this is the complement.
    """
    array = np.ascontiguousarray(refs, np.uint32)
    if isinstance(without, np.ndarray):
        other = np.ascontiguousarray(without, np.uint32)
    else:
        other = union(without)
    if not len(array) or not len(other):
        return array
    return subtract_one(array, other)


cdef Py_ssize_t put_deltas(const uint32_t* refs, Py_ssize_t count, uint8_t* out) noexcept nogil:
    """Bytes written, or -1 where the references decrease."""
    cdef Py_ssize_t i, n = 0
    cdef uint32_t last = 0, delta
    for i in range(count):
        if refs[i] < last:
            return -1
        delta = refs[i] - last
        last = refs[i]
        while delta >= 0x80:
            out[n] = <uint8_t>(delta | 0x80)
            delta >>= 7
            n += 1
        out[n] = <uint8_t>delta
        n += 1
    return n


def encode_dss(refs):
    """bytes: `dss` and the snappy framed stream of uvarint deltas; what Thanos caches. Raises ValueError if unsorted.
    """
    array = np.ascontiguousarray(refs, np.uint32)
    cdef const uint32_t[::1] view = array
    cdef Py_ssize_t count = view.shape[0], size = 0
    deltas = np.empty(5 * count + 1, np.uint8)
    cdef uint8_t[::1] out = deltas
    if count == 0:
        return DSS
    with nogil:
        size = put_deltas(&view[0], count, &out[0])
    if size < 0:
        raise ValueError("postings not in increasing order")
    return DSS + bytes(cramjam.snappy.compress(memoryview(deltas)[:size]))


cdef object take_deltas(const uint8_t[::1] view, str file):
    """uint32[n] of a run of uvarint deltas."""
    cdef Py_ssize_t size = view.shape[0], i, count = 0
    cdef Cursor c
    cdef uint64_t value = 0, delta
    cdef uint32_t[::1] out
    cdef bint bad = False
    if size == 0:
        return np.empty(0, np.uint32)
    with nogil:
        for i in range(size):
            count += view[i] < 0x80
    result = np.empty(count, np.uint32)
    if view[size - 1] >= 0x80:
        raise CorruptData(file, size, "cached postings end inside a number")
    out = result
    c = cursor(&view[0], size)
    with nogil:
        for i in range(count):
            if c.at[0] < 0x80:
                delta = c.at[0]
                c.at += 1
            else:
                delta = read_uvarint(&c)
            if c.bad or delta > 0xFFFFFFFFULL - value:
                bad = True
                break
            value += delta
            out[i] = <uint32_t>value
    if bad:
        raise CorruptData(file, offset(&c), "cached postings out of range")
    return result


def decode_dss(data, *, str file="cached postings"):
    """uint32[n], not decreasing: the references of a cache value, `dss` or the legacy `dvs`.

    Raises CorruptData for anything else, a broken checksum included.
    """
    view = memoryview(data)
    head, body = bytes(view[:3]), view[3:]
    try:
        if head == DSS:
            raw = cramjam.snappy.decompress(body) if len(body) else b""
        elif head == DVS:
            check_declared_size(body, file)
            raw = cramjam.snappy.decompress_raw(body) if len(body) else b""
        else:
            raise CorruptData(file, 0, "neither dss nor dvs postings")
    except cramjam.DecompressionError as error:
        raise CorruptData(file, 3, f"snappy: {error}") from error
    return take_deltas(memoryview(raw).cast("B"), file)


def check_declared_size(body, file):
    """A raw snappy block says its size first; one copy of 64 bytes takes at least 3, so more is a lie."""
    declared = shift = 0
    for byte in bytes(body[:5]):
        declared |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if declared > 64 * len(body):
        raise CorruptData(file, 3, "snappy block claims an impossible size")
