"""How often each value occurs: distinct values of groups of rows as dense numbers, and their counts at each step.

Rows are float64[n, steps]; absence is the staleness marker's bit pattern. Values are told apart by their bits.
"""

# Design: one hash table with linear probing over (group, bits); a sample that is equal to the one before it in its row, which most
# are, does not look. Counting is a pass of its own, so that the caller can say before it whether there is room for the counts.

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from pythanos._arena cimport Growing, append, release

cdef extern from "_rows.h" nogil:
    bint absent "pt_absent"(double) noexcept
    double absent_value "pt_absent_value"() noexcept


cdef struct Entry:
    uint64_t bits
    int64_t group
    int64_t row     # the first that has the value


cdef struct Table:
    Growing entries
    int64_t count
    int32_t* slots  # number + 1 of an entry, 0 where empty
    uint64_t mask


cdef inline uint64_t _hash(uint64_t bits, int64_t group) noexcept nogil:
    """The finalizer of MurmurHash3, which spreads the few bits in which near values differ."""
    cdef uint64_t h = bits ^ (<uint64_t>group * 0x9E3779B97F4A7C15ULL)
    h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCDULL
    h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53ULL
    return h ^ (h >> 33)


cdef bint _widen(Table* table) noexcept nogil:
    """Twice the slots, at least 1024; False where memory is short."""
    cdef uint64_t mask = table.mask * 2 + 1 if table.mask else 1023, at
    cdef int32_t* slots = <int32_t*>calloc(mask + 1, sizeof(int32_t))
    cdef const Entry* entry = <const Entry*>table.entries.data
    cdef int64_t i
    if slots == NULL:
        return False
    for i in range(table.count):
        at = _hash(entry[i].bits, entry[i].group) & mask
        while slots[at]:
            at = (at + 1) & mask
        slots[at] = <int32_t>(i + 1)
    free(table.slots)
    table.slots, table.mask = slots, mask
    return True


cdef inline int32_t _number(Table* table, uint64_t bits, int64_t group, int64_t row) noexcept nogil:
    """The number of a value of a group, given on first sight; -1 where memory is short."""
    cdef const Entry* entry
    cdef Entry made
    cdef uint64_t at
    if 2 * <uint64_t>table.count >= table.mask and not _widen(table):
        return -1
    at = _hash(bits, group) & table.mask
    entry = <const Entry*>table.entries.data
    while table.slots[at]:
        if entry[table.slots[at] - 1].bits == bits and entry[table.slots[at] - 1].group == group:
            return table.slots[at] - 1
        at = (at + 1) & table.mask
    made.bits, made.group, made.row = bits, group, row
    if table.count >= 0x7FFFFFFE or not append(&table.entries, <const unsigned char*>&made, sizeof(Entry)):
        return -1
    table.count += 1
    table.slots[at] = <int32_t>table.count
    return <int32_t>(table.count - 1)


def number_values(const double[:, ::1] values, const int64_t[::1] group):
    """(index int32[n, steps], row int64[m], value float64[m]): the distinct values of each group in order of first sight.

    ``group`` holds the group of each row. ``index`` numbers the values, -1 for what is absent; ``row`` is the first row that has the
    value. The caller owns the arrays.
    """
    cdef Py_ssize_t n = values.shape[0], steps = values.shape[1], i, k
    cdef Table table
    cdef int32_t number = -1
    cdef uint64_t bits, last
    if group.shape[0] != n:
        raise ValueError("columns of different lengths")
    result = np.empty((n, steps), np.int32)
    cdef int32_t[:, ::1] index = result
    memset(&table, 0, sizeof(Table))
    try:
        with nogil:
            for i in range(n):
                number = -1
                last = 0
                for k in range(steps):
                    if absent(values[i, k]):
                        index[i, k] = -1
                        continue
                    memcpy(&bits, &values[i, k], 8)
                    if number < 0 or bits != last:
                        number = _number(&table, bits, group[i], i)
                        if number < 0:
                            break
                        last = bits
                    index[i, k] = number
                else:
                    continue
                table.count = -1
                break
        if table.count < 0:
            raise MemoryError
        return result, *_entries(&table)
    finally:
        release(&table.entries)
        free(table.slots)


cdef tuple _entries(const Table* table):
    cdef const Entry* entry = <const Entry*>table.entries.data
    cdef Py_ssize_t i, m = table.count
    rows, numbers = np.empty(m, np.int64), np.empty(m, np.float64)
    cdef int64_t[::1] row = rows
    cdef double[::1] value = numbers
    for i in range(m):
        row[i] = entry[i].row
        memcpy(&value[i], &entry[i].bits, 8)
    return rows, numbers


def count_numbers(const int32_t[:, ::1] index, const int64_t[::1] place, Py_ssize_t places):
    """float64[places, steps]: how many elements of each column of ``index`` have a number of which ``place`` says the row.

    ``index``: numbers below len(place), or -1; absent where there is none. The caller owns the result.
    """
    cdef Py_ssize_t n = index.shape[0], steps = index.shape[1], i, k, m = place.shape[0]
    cdef int32_t number
    cdef bint fine = True
    for i in range(m):
        if not 0 <= place[i] < places:
            raise ValueError("place out of range")
    result = np.zeros((places, steps))
    cdef double[:, ::1] out = result
    with nogil:
        for i in range(n):
            for k in range(steps):
                number = index[i, k]
                if number >= m:
                    fine = False
                elif number >= 0:
                    out[place[number], k] += 1
        for i in range(places):
            for k in range(steps):
                if out[i, k] == 0:
                    out[i, k] = absent_value()
    if not fine:
        raise ValueError("number out of range")
    return result
