"""Label sets in groups: group numbers, signatures, distinct sets and values, shards.

Arguments and errors are as in ``_labels``.
"""

# Design: the chosen labels of each block are gathered into scratch memory, hashed and, for groups, interned
# with a comparison of their bytes, so that groups are exact and not merely probable.

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from pythanos._arena cimport Interner, intern_bytes, release_interner
from pythanos._hash cimport xxh64
from pythanos._label_rows cimport (
    OUT_OF_MEMORY,
    Label,
    LabelRows,
    Labels,
    NameSet,
    Rows,
    decode_text,
    encode_text,
    fail_row,
    find_label,
    has_name,
    interned_column,
    labels_in,
    next_label,
    select_labels,
)



cdef NameSet _matching_names(names, bint only):
    """The names a match is made on, or those it ignores, which always include the metric name."""
    return NameSet(names if only else (*names, "__name__"))


cdef Py_ssize_t _longest(const Rows* rows) noexcept nogil:
    cdef Py_ssize_t i, longest = 0
    for i in range(rows.count):
        if rows.length[i] > longest:
            longest = rows.length[i]
    return longest


def signatures(column, names: tuple, *, bint on):
    """uint64[n]: a hash of the named labels (``on``), or of all but them and the metric name (ignoring).

    Equal label subsets have equal signatures; different ones differ but for 64-bit chance. ``group_by`` over
    ``concat`` of two columns gives exact numbers instead.
    """
    cdef LabelRows source = LabelRows(column)
    cdef NameSet set_ = _matching_names(names, on)
    cdef Rows rows = source.rows
    out = np.empty(rows.count, np.uint64)
    cdef uint64_t[::1] view = out
    cdef Py_ssize_t i, size, bad = -1
    cdef uint8_t* scratch = <uint8_t*>malloc(_longest(&rows) + 1)
    if scratch == NULL:
        raise MemoryError
    with nogil:
        for i in range(rows.count):
            size = select_labels(rows.arena + rows.offset[i], rows.length[i], &set_.names, on, scratch)
            if size < 0:
                bad = i
                break
            view[i] = xxh64(scratch, size, 0)
    free(scratch)
    if bad != -1:
        fail_row(source, bad)
    return out


def group_by(column, names: tuple, *, bint by):
    """Groups rows by the named labels (``by``), or by all but them and the metric name (without).

    Returns (group int64[n] from 0, LabelColumn of the groups); groups are numbered in order of first sight and hold
    only the labels grouped by. Exact: equal bytes, not equal hashes.
    """
    cdef LabelRows source = LabelRows(column)
    cdef NameSet set_ = _matching_names(names, by)
    cdef Rows rows = source.rows
    cdef Interner groups
    group = np.empty(rows.count, np.int64)
    cdef int64_t[::1] view = group
    cdef Py_ssize_t i, size, bad = -1
    cdef uint8_t* scratch = <uint8_t*>malloc(_longest(&rows) + 1)
    if scratch == NULL:
        raise MemoryError
    memset(&groups, 0, sizeof(Interner))
    with nogil:
        for i in range(rows.count):
            size = select_labels(rows.arena + rows.offset[i], rows.length[i], &set_.names, by, scratch)
            if size < 0:
                bad = i
                break
            view[i] = intern_bytes(&groups, scratch, size, xxh64(scratch, size, 0))
            if view[i] < 0:
                bad = OUT_OF_MEMORY
                break
    free(scratch)
    try:
        if bad != -1:
            fail_row(source, bad)
        return group, interned_column(&groups)
    finally:
        release_interner(&groups)


def distinct(column):
    """(id int64[n], first int64[d]): equal label sets share an id, numbered by first sight; ``first`` is that row."""
    cdef LabelRows source = LabelRows(column)
    cdef Rows rows = source.rows
    cdef Interner seen
    cdef Py_ssize_t i, known = 0
    cdef bint short = False
    ids, first = np.empty(rows.count, np.int64), np.empty(rows.count, np.int64)
    cdef int64_t[::1] view = ids, first_view = first
    memset(&seen, 0, sizeof(Interner))
    with nogil:
        for i in range(rows.count):
            view[i] = intern_bytes(&seen, rows.arena + rows.offset[i], rows.length[i], rows.hash[i])
            if view[i] < 0:
                short = True
                break
            if view[i] == known:
                first_view[known] = i
                known += 1
    release_interner(&seen)
    if short:
        raise MemoryError
    return ids, first[:known].copy()


def find_duplicate(column):
    """The first pair (earlier row, later row) of equal label sets, or None."""
    ids, first = distinct(column)
    if len(first) == len(ids):
        return None
    late = int(np.argmax(first[ids] != np.arange(len(ids))))
    return int(first[ids[late]]), late


def value_index(column, name: str):
    """(index int64[n], values list[str]): row i has the value ``values[index[i]]``; "" where the label is absent.

    Values are numbered by first sight.
    """
    cdef LabelRows source = LabelRows(column)
    cdef Rows rows = source.rows
    cdef bytes name_bytes = encode_text(name)
    cdef const uint8_t* wanted = <const uint8_t*>name_bytes
    cdef Py_ssize_t wanted_length = len(name_bytes), i, bad = -1
    cdef Interner values
    cdef Label label
    cdef int found
    index = np.empty(rows.count, np.int64)
    cdef int64_t[::1] view = index
    memset(&values, 0, sizeof(Interner))
    with nogil:
        for i in range(rows.count):
            found = find_label(rows.arena + rows.offset[i], rows.length[i], wanted, wanted_length, &label)
            if found < 0:
                bad = i
                break
            if found == 0:
                label.value_length = 0
            view[i] = intern_bytes(&values, label.value, label.value_length, xxh64(label.value, label.value_length, 0))
            if view[i] < 0:
                bad = OUT_OF_MEMORY
                break
    try:
        if bad != -1:
            fail_row(source, bad)
        return index, [
            decode_text(values.bytes.data[values.offset[i] : values.offset[i] + values.length[i]])
            for i in range(values.count)
        ]
    finally:
        release_interner(&values)


def values_of(column, name: str) -> list:
    """The value of one label for each row, "" where it is absent; equal values are the same str object."""
    index, values = value_index(column, name)
    return [values[i] for i in index.tolist()]


def names_of(column) -> list:
    """The label names that occur in any row, sorted by bytes."""
    cdef LabelRows source = LabelRows(column)
    cdef Rows rows = source.rows
    cdef Interner names
    cdef Labels labels
    cdef Label label
    cdef Py_ssize_t i, bad = -1
    memset(&names, 0, sizeof(Interner))
    with nogil:
        for i in range(rows.count):
            labels = labels_in(rows.arena + rows.offset[i], rows.length[i])
            while next_label(&labels, &label):
                if intern_bytes(&names, label.name, label.name_length, xxh64(label.name, label.name_length, 0)) < 0:
                    bad = OUT_OF_MEMORY
                    break
            if labels.bad:
                bad = i
            if bad != -1:
                break
    try:
        if bad != -1:
            fail_row(source, bad)
        found = [names.bytes.data[names.offset[i] : names.offset[i] + names.length[i]] for i in range(names.count)]
        return [decode_text(name) for name in sorted(found)]
    finally:
        release_interner(&names)


def sampling_hashes(column):
    """uint64[n]: the hash of each label set in Prometheus' usual build, which limit_ratio chooses by.

    XXH64 over names and values, each behind its length: one byte, or 0xFF and three bytes, little-endian.
    """
    cdef LabelRows source = LabelRows(column)
    cdef Rows rows = source.rows
    cdef Labels labels
    cdef Label label
    cdef Py_ssize_t i, bad = -1
    cdef uint8_t* out
    hashes = np.empty(rows.count, np.uint64)
    cdef uint64_t[::1] view = hashes
    # A label takes five bytes at least beside its name and value; two long lengths take eight.
    cdef uint8_t* scratch = <uint8_t*>malloc(2 * _longest(&rows) + 8)
    if scratch == NULL:
        raise MemoryError
    with nogil:
        for i in range(rows.count):
            labels = labels_in(rows.arena + rows.offset[i], rows.length[i])
            out = scratch
            while next_label(&labels, &label):
                out = _put_text(out, label.name, label.name_length)
                out = _put_text(out, label.value, label.value_length)
            if labels.bad:
                bad = i
                break
            view[i] = xxh64(scratch, out - scratch, 0)
    free(scratch)
    if bad != -1:
        fail_row(source, bad)
    return hashes


cdef inline uint8_t* _put_text(uint8_t* out, const uint8_t* text, Py_ssize_t size) noexcept nogil:
    if size < 255:
        out[0] = <uint8_t>size
        out += 1
    else:
        out[0] = 0xFF
        out[1] = size & 0xFF
        out[2] = (size >> 8) & 0xFF
        out[3] = (size >> 16) & 0xFF
        out += 4
    memcpy(out, text, size)
    return out + size


def shard_mask(column, names: tuple, *, bint by, int64_t total, int64_t index):
    """bool[n]: the rows of one shard, as the StoreAPI's ShardInfo chooses them.

    XXH64 over ``name 0xFF value 0xFF`` of the named labels (``by``) or of all others, modulo ``total``; all rows where
    ``total`` < 1. Note that without does not leave out the metric name.
    """
    cdef LabelRows source = LabelRows(column)
    cdef NameSet set_ = NameSet(names)
    cdef Rows rows = source.rows
    cdef Labels labels
    cdef Label label
    cdef Py_ssize_t i, bad = -1
    cdef uint8_t* out
    mask = np.ones(rows.count, np.bool_)
    if total < 1:
        return mask
    cdef uint8_t[::1] view = mask.view(np.uint8)
    cdef uint8_t* scratch = <uint8_t*>malloc(_longest(&rows) + 1)
    if scratch == NULL:
        raise MemoryError
    with nogil:
        for i in range(rows.count):
            labels = labels_in(rows.arena + rows.offset[i], rows.length[i])
            out = scratch
            # Never longer than the block: a label's tags and lengths take at least as much as two separators.
            while next_label(&labels, &label):
                if has_name(&set_.names, label.name, label.name_length) == by:
                    memcpy(out, label.name, label.name_length)
                    out += label.name_length
                    out[0] = 0xFF
                    memcpy(out + 1, label.value, label.value_length)
                    out += 1 + label.value_length
                    out[0] = 0xFF
                    out += 1
            if labels.bad:
                bad = i
                break
            view[i] = xxh64(scratch, out - scratch, 0) % <uint64_t>total == <uint64_t>index
    free(scratch)
    if bad != -1:
        fail_row(source, bad)
    return mask
