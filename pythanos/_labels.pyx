"""Label sets as wire bytes: building, comparing, sorting and editing many at once.

Every function takes a ``model.series.LabelColumn`` of n label blocks and works on its bytes without the GIL; results
own a new arena unless they say otherwise. Names and values are ``str`` with ``surrogateescape``. A malformed block, or one that
reaches outside its arena, raises CorruptData("labels", offset in the arena, reason).

The order is that of Go's ``labels.Compare``: pair by pair, name before value, by bytes, a leading part first. Grouping and
hashing are in ``_label_groups`` and can be had from here too.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from pythanos._arena cimport Growing, append, release, reserve, seal
from pythanos._hash cimport xxh64
from pythanos._label_rows cimport OUT_OF_MEMORY, NameSet, decode_text, encode_text, fail_row, sealed_column, select_labels

from pythanos._label_groups import (  # noqa: F401
    distinct,
    find_duplicate,
    group_by,
    names_of,
    sampling_hashes,
    shard_mask,
    signatures,
    value_index,
    values_of,
)
from pythanos.model.series import LabelColumn


def label_block(labels: dict) -> bytes:
    """The label block of one label set, sorted by the bytes of the names; labels with an empty value are left out."""
    cdef Py_ssize_t size = 0
    pairs = sorted((encode_text(name), encode_text(value)) for name, value in labels.items() if value)
    for name, value in pairs:
        size += label_size(len(name), len(value))
    block = bytearray(size)
    if size == 0:
        return b""
    cdef uint8_t[::1] view = block
    cdef uint8_t* out = &view[0]
    cdef bytes name_bytes, value_bytes
    for name_bytes, value_bytes in pairs:
        out = put_label(out, <const uint8_t*>name_bytes, len(name_bytes), <const uint8_t*>value_bytes, len(value_bytes))
    return bytes(block)


def labels_from_blocks(blocks: list) -> LabelColumn:
    """A column of the given label blocks (bytes each), unchecked; for cold paths."""
    length = np.array([len(block) for block in blocks], np.int32)
    offset = np.cumsum(length, dtype=np.int64) - length
    arena = b"".join(blocks)
    return LabelColumn(arena, offset, length, hashes(arena, offset, length))


def labels_from_dicts(sets: list) -> LabelColumn:
    """A column of label sets given as ``{name: value}``, in the order given; for tests and cold paths."""
    return labels_from_blocks([label_block(labels) for labels in sets])


def hashes(arena, offset, length):
    """uint64[n]: XXH64 with seed 0 of each range of the arena, as ``LabelColumn.hash`` holds it."""
    out = np.zeros(len(offset), np.uint64)
    cdef LabelRows source = LabelRows(LabelColumn(arena, offset, length, out))
    cdef uint64_t[::1] view = out
    cdef Py_ssize_t i
    with nogil:
        for i in range(source.rows.count):
            view[i] = xxh64(source.rows.arena + source.rows.offset[i], source.rows.length[i], 0)
    return out


def to_dicts(column) -> list:
    """One ``{name: value}`` per row; for cold paths."""
    cdef LabelRows source = LabelRows(column)
    cdef Labels labels
    cdef Label label
    cdef Py_ssize_t i
    cdef dict texts = {}, row
    cdef bytes name, value
    out = []
    for i in range(source.rows.count):
        labels = labels_in(source.rows.arena + source.rows.offset[i], source.rows.length[i])
        row = {}
        while next_label(&labels, &label):
            name = label.name[: label.name_length]
            value = label.value[: label.value_length]
            if name not in texts:
                texts[name] = decode_text(name)
            if value not in texts:
                texts[value] = decode_text(value)
            row[texts[name]] = texts[value]
        if labels.bad:
            fail_row(source, i)
        out.append(row)
    return out


def compare(a, Py_ssize_t i, b, Py_ssize_t j) -> int:
    """-1, 0 or 1: how row i of a sorts against row j of b."""
    cdef bytes left = a.block(i), right = b.block(j)
    return compare_blocks(<const uint8_t*>left, len(left), <const uint8_t*>right, len(right))


def is_sorted(column, *, bint strict = False) -> bool:
    """Whether no row sorts before the one above it; ``strict``: nor equals it."""
    cdef LabelRows source = LabelRows(column)
    cdef Rows rows = source.rows
    cdef Py_ssize_t i
    cdef int order, limit = -1 if strict else 0
    cdef bint found = True
    with nogil:
        for i in range(1, rows.count):
            order = compare_blocks(
                rows.arena + rows.offset[i - 1], rows.length[i - 1], rows.arena + rows.offset[i], rows.length[i]
            )
            if order > limit:
                found = False
                break
    return found


def count_misordered(column) -> int:
    """How many label sets have a name that does not sort after the one before it."""
    cdef LabelRows source = LabelRows(column)
    cdef Rows rows = source.rows
    cdef Py_ssize_t i, bad = -1, found = 0
    cdef Labels labels
    cdef Label before, label
    with nogil:
        for i in range(rows.count):
            labels = labels_in(rows.arena + rows.offset[i], rows.length[i])
            if next_label(&labels, &before):
                while next_label(&labels, &label):
                    if compare_text(before.name, before.name_length, label.name, label.name_length) >= 0:
                        found += 1
                        break
                    before = label
            if labels.bad:
                bad = i
                break
    if bad >= 0:
        fail_row(source, bad)
    return found


# Sorting: a natural merge sort (runs that are in order already cost one comparison a row), over the first eight bytes of an
# order-preserving form of what follows the labels that all rows have in common, then over the blocks.


cdef uint64_t _order_key(const uint8_t* block, Py_ssize_t size) noexcept nogil:
    """Eight bytes that sort as the block does: name and value each end in 0, and 0 and 1 inside are escaped."""
    cdef Labels labels = labels_in(block, size)
    cdef Label label
    cdef uint64_t key = 0
    cdef int filled = 0
    cdef const uint8_t* text
    cdef Py_ssize_t i, part, length
    while filled < 8 and next_label(&labels, &label):
        for part in range(2):
            text = label.value if part else label.name
            length = label.value_length if part else label.name_length
            for i in range(length):
                if filled >= 8:
                    return key
                if text[i] > 1:
                    key |= <uint64_t>text[i] << (56 - 8 * filled)
                    filled += 1
                    continue
                key |= 1ULL << (56 - 8 * filled)
                if filled < 7:
                    key |= <uint64_t>(text[i] + 1) << (48 - 8 * filled)
                filled += 2
            filled += 1
            if filled >= 8:
                return key
    return key


cdef Py_ssize_t _common_prefix(const Rows* rows) noexcept nogil:
    """Bytes of whole labels that every block begins with."""
    cdef const uint8_t* first = rows.arena + rows.offset[0]
    cdef Py_ssize_t i, common = rows.length[0]
    cdef Labels labels = labels_in(first, common)
    cdef Label label
    for i in range(1, rows.count):
        if rows.length[i] < common:
            common = rows.length[i]
        common = mismatch(first, rows.arena + rows.offset[i], common)
    i = 0
    while next_label(&labels, &label) and labels.at <= first + common:
        i = labels.at - first
    return i


cdef inline bint _before(const Rows* rows, const uint64_t* key, Py_ssize_t skip, int64_t a, int64_t b) noexcept nogil:
    """Whether row a must not stand behind row b."""
    if key[a] != key[b]:
        return key[a] < key[b]
    return compare_blocks(
        rows.arena + rows.offset[a] + skip,
        rows.length[a] - skip,
        rows.arena + rows.offset[b] + skip,
        rows.length[b] - skip,
    ) <= 0


cdef void _merge_runs(
    const Rows* rows,
    const uint64_t* key,
    Py_ssize_t skip,
    const int64_t* source,
    Py_ssize_t start,
    Py_ssize_t middle,
    Py_ssize_t end,
    int64_t* out,
) noexcept nogil:
    cdef Py_ssize_t a = start, b = middle, at = start
    while a < middle and b < end:
        if _before(rows, key, skip, source[a], source[b]):
            out[at] = source[a]
            a += 1
        else:
            out[at] = source[b]
            b += 1
        at += 1
    if a < middle:
        memcpy(out + at, source + a, (middle - a) * sizeof(int64_t))
    elif b < end:
        memcpy(out + at, source + b, (end - b) * sizeof(int64_t))


cdef bint _sort(const Rows* rows, uint64_t* key, int64_t* run, int64_t* order, int64_t* spare) noexcept nogil:
    """Sorts row numbers stably; True if the result stands in `order`, False if in `spare`."""
    cdef Py_ssize_t i, n = rows.count, runs = 0, left, skip = _common_prefix(rows)
    cdef bint in_order = True
    for i in range(n):
        order[i] = i
        key[i] = _order_key(rows.arena + rows.offset[i] + skip, rows.length[i] - skip)
        if i == 0 or not _before(rows, key, skip, i - 1, i):
            run[runs] = i
            runs += 1
    run[runs] = n
    while runs > 1:
        left = 0
        for i in range(0, runs, 2):
            _merge_runs(rows, key, skip, order, run[i], run[i + 1], run[i + 2] if i + 1 < runs else run[i + 1], spare)
            run[left] = run[i]
            left += 1
        run[left] = n
        runs = left
        order, spare = spare, order
        in_order = not in_order
    return in_order


def sort_order(column):
    """int64[n]: the rows in label order, equal ones in the order they had. Costs one comparison a row where sorted."""
    cdef LabelRows source = LabelRows(column)
    cdef Py_ssize_t n = source.rows.count
    order, spare = np.empty(n, np.int64), np.empty(n, np.int64)
    if n == 0:
        return order
    cdef int64_t[::1] order_view = order, spare_view = spare, run = np.empty(n + 1, np.int64)
    cdef uint64_t[::1] key = np.empty(n, np.uint64)
    cdef bint in_order
    with nogil:
        in_order = _sort(&source.rows, &key[0], &run[0], &order_view[0], &spare_view[0])
    return order if in_order else spare


cdef object _selected(column, names, bint keep):
    cdef LabelRows source = LabelRows(column)
    cdef NameSet set_ = NameSet(names)
    cdef Rows rows = source.rows
    cdef Growing blocks
    cdef Py_ssize_t i, written, total = 0, bad = -1
    offset, length = np.empty(rows.count, np.int64), np.empty(rows.count, np.int32)
    cdef int64_t[::1] offsets = offset
    cdef int32_t[::1] lengths = length
    memset(&blocks, 0, sizeof(Growing))
    with nogil:
        for i in range(rows.count):
            total += rows.length[i]
        if not reserve(&blocks, total + 1):
            bad = OUT_OF_MEMORY
        else:
            for i in range(rows.count):
                written = select_labels(
                    rows.arena + rows.offset[i], rows.length[i], &set_.names, keep, blocks.data + blocks.size
                )
                if written < 0:
                    bad = i
                    break
                offsets[i] = blocks.size
                lengths[i] = <int32_t>written
                blocks.size += written
    if bad != -1:
        release(&blocks)
        fail_row(source, bad)
    return sealed_column(&blocks, offset, length)


def drop_labels(column, names: tuple) -> LabelColumn:
    """The rows without the named labels, in the same order (which need not be sorted any more)."""
    return _selected(column, names, False)


def keep_labels(column, names: tuple) -> LabelColumn:
    """The rows with only the named labels, in the same order."""
    return _selected(column, names, True)


def concat(columns: list) -> LabelColumn:
    """All rows of the columns, one after another, in one arena; one column is returned as it is."""
    cdef LabelRows source
    cdef Growing blocks
    cdef Py_ssize_t i, row = 0, total = 0, n = sum(len(column) for column in columns)
    cdef bint short = False
    if len(columns) == 1:
        return columns[0]
    sources = [LabelRows(column) for column in columns]
    offset, length, hashes = np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.uint64)
    cdef int64_t[::1] offsets = offset
    cdef int32_t[::1] lengths = length
    cdef uint64_t[::1] hash_view = hashes
    memset(&blocks, 0, sizeof(Growing))
    for source in sources:
        for i in range(source.rows.count):
            total += source.rows.length[i]
    if not reserve(&blocks, total + 1):
        raise MemoryError
    for source in sources:
        with nogil:
            for i in range(source.rows.count):
                offsets[row] = blocks.size
                lengths[row] = source.rows.length[i]
                hash_view[row] = source.rows.hash[i]
                append(&blocks, source.rows.arena + source.rows.offset[i], source.rows.length[i])
                row += 1
    return LabelColumn(seal(&blocks), offset, length, hashes)


cdef inline uint8_t* _put_edited(
    uint8_t* out, const Rows* rows, Py_ssize_t row, const uint8_t* name, Py_ssize_t name_length,
    const uint8_t* value, Py_ssize_t value_length,
) noexcept nogil:
    """Copies a block with one label replaced, inserted before the first greater name, or removed (empty value).

    NULL for a malformed block.
    """
    cdef const uint8_t* at = rows.arena + rows.offset[row]
    cdef Labels labels = labels_in(at, rows.length[row])
    cdef Label label
    cdef bint done = value_length == 0
    cdef int order
    while next_label(&labels, &label):
        order = compare_text(label.name, label.name_length, name, name_length)
        if order >= 0 and not done:
            out = put_label(out, name, name_length, value, value_length)
            done = True
        if order != 0:
            memcpy(out, at, labels.at - at)
            out += labels.at - at
        at = labels.at
    if labels.bad:
        return NULL
    return out if done else put_label(out, name, name_length, value, value_length)


def set_label(column, name: str, values, index=None) -> LabelColumn:
    """The rows with one label set: replaced, inserted in its place, or removed where the value is empty.

    ``values`` is one str for all rows, or a list of ``str | None`` (None: the row stays as it is) with one entry a row; with
    ``index`` (int64[n]) row i takes ``values[index[i]]``, so that a caller computes each distinct value once.
    """
    cdef LabelRows source = LabelRows(column)
    cdef Rows rows = source.rows
    cdef bytes name_bytes = encode_text(name)
    cdef Py_ssize_t name_length = len(name_bytes)
    cdef const uint8_t* name_data = <const uint8_t*>name_bytes
    if isinstance(values, str):
        values, index = [values], np.zeros(rows.count, np.int64)
    texts = [None if value is None else encode_text(value) for value in values]
    size = np.array([-1 if text is None else len(text) for text in texts] or [0], np.int64)
    start = np.cumsum(np.maximum(size, 0)) - np.maximum(size, 0)
    cdef bytes pool = b"".join(text for text in texts if text)
    cdef const uint8_t* pool_data = <const uint8_t*>pool
    cdef const int64_t[::1] sizes = size, starts = start
    cdef const int64_t[::1] chosen = np.arange(rows.count) if index is None else np.ascontiguousarray(index, np.int64)
    if chosen.shape[0] != rows.count or (rows.count and not 0 <= np.min(chosen) <= np.max(chosen) < len(texts)):
        raise ValueError("one value for each row is needed")
    offset, length = np.empty(rows.count, np.int64), np.empty(rows.count, np.int32)
    cdef int64_t[::1] offsets = offset
    cdef int32_t[::1] lengths = length
    cdef Growing blocks
    cdef Py_ssize_t i, bad = -1
    cdef uint8_t* end
    memset(&blocks, 0, sizeof(Growing))
    with nogil:
        for i in range(rows.count):
            offsets[i] = blocks.size
            if sizes[chosen[i]] < 0:
                if not append(&blocks, rows.arena + rows.offset[i], rows.length[i]):
                    bad = OUT_OF_MEMORY
                    break
            else:
                if not reserve(&blocks, rows.length[i] + label_size(name_length, sizes[chosen[i]])):
                    bad = OUT_OF_MEMORY
                    break
                end = _put_edited(
                    blocks.data + blocks.size, &rows, i, name_data, name_length,
                    pool_data + starts[chosen[i]], sizes[chosen[i]],
                )
                if end == NULL:
                    bad = i
                    break
                blocks.size = end - blocks.data
            lengths[i] = <int32_t>(blocks.size - offsets[i])
    if bad != -1:
        release(&blocks)
        fail_row(source, bad)
    return sealed_column(&blocks, offset, length)
