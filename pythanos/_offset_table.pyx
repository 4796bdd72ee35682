"""The postings offset table of an index: where the list of each (label name, label value) is.

Design: one pass over the section keeps one uint32 per entry, the place of its value, and one row per label name. The
rest stays in the file: a list's start is read from its entry, its end from the start of the next entry. The entries of
a name are sorted by value, so lookups are binary searches over the file's bytes. A table that is not in that order
(index version 1) gets two uint64 per entry besides. Formats: docs/formats/index.md and index-header.md.
"""

import numpy as np

from pythanos.errors import CorruptData

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from pythanos._cursor cimport Cursor, cursor, offset, read_u32be, read_uvarint, remaining, take
from pythanos._hash cimport crc32c
from pythanos._labels cimport compare_text, mismatch
from pythanos._symbols cimport text_at
from pythanos._varint cimport fast_uvarint

# Bytes of a list's length field before it, and of its checksum behind it.
cdef enum:
    LENGTH_SIZE = 4
    CRC_SIZE = 4
    MIN_ENTRY = 4
    # Length, count and checksum of an empty list.
    MIN_LIST = 12

cdef uint64_t MAX_FILE = 1 << 62
cdef int CUT_SHORT = 1
cdef int UNSORTED = 2


cdef struct Entry:
    const uint8_t* name
    Py_ssize_t name_size
    const uint8_t* value
    Py_ssize_t value_size
    Py_ssize_t name_at
    Py_ssize_t value_at
    uint64_t start


cdef inline bint next_entry(Cursor* c, Entry* e) noexcept nogil:
    if c.at >= c.end or c.at[0] != 2:
        c.bad = True
        return False
    c.at += 1
    e.name_at = offset(c)
    e.name_size = fast_uvarint(c)
    e.name = take(c, e.name_size)
    e.value_at = offset(c)
    e.value_size = fast_uvarint(c)
    e.value = take(c, e.value_size)
    e.start = fast_uvarint(c)
    return not c.bad


cdef int scan_table(
    Cursor* c, uint64_t count, uint64_t lists_end,
    uint32_t* value_at, uint32_t* name_at, uint32_t* first, Py_ssize_t* names,
) noexcept nogil:
    """Fills the tables of a section in order; stops at the first entry that is cut short or out of order."""
    cdef Entry e, last
    cdef uint64_t i
    cdef Py_ssize_t n = 0, same, size
    last.start = 0
    last.name = last.value = NULL
    last.name_size = last.value_size = 0
    for i in range(count):
        if not next_entry(c, &e):
            return CUT_SHORT
        if (i and e.start < last.start + MIN_LIST) or e.start > lists_end - MIN_LIST:
            return UNSORTED
        if last.name != NULL and e.name_size == last.name_size and mismatch(e.name, last.name, e.name_size) == e.name_size:
            size = last.value_size if last.value_size < e.value_size else e.value_size
            same = mismatch(last.value, e.value, size)
            if last.value_size >= e.value_size if same == size else last.value[same] > e.value[same]:
                return UNSORTED
        else:
            if last.name != NULL and compare_text(last.name, last.name_size, e.name, e.name_size) >= 0:
                return UNSORTED
            name_at[n] = <uint32_t>e.name_at
            first[n] = <uint32_t>i
            n += 1
        value_at[i] = <uint32_t>e.value_at
        last = e
    first[n] = <uint32_t>count
    names[0] = n
    return 0


cdef class PostingsTable:
    """Label names, their values and the byte ranges of their postings lists. Entries are numbered in (name, value)
    order.

    buffer: the file (bytes, mmap), kept alive; start: where the section begins in it; lists_end: offset in the index
    file where the section begins there, which is where the last list ends. The special key ("", "") is an entry like
    others. A range is [start, end) in the index file: u32 count and references, without length field and checksum.
    Raises CorruptData where length, checksum or structure of the section is wrong.
    """

    cdef const uint8_t* base
    cdef Py_ssize_t end
    cdef object buffer
    cdef const uint8_t[::1] view
    cdef const uint32_t[::1] value_at
    cdef const uint32_t[::1] name_at
    cdef const uint32_t[::1] first
    cdef const uint64_t[::1] list_start
    cdef const uint64_t[::1] list_end
    cdef Py_ssize_t count
    cdef Py_ssize_t name_count
    cdef uint64_t lists_end
    cdef bint unsorted

    def __init__(self, buffer, Py_ssize_t start, uint64_t lists_end, *, str file="index"):
        self.buffer = buffer
        self.view = buffer
        if start < 0 or start > self.view.shape[0]:
            raise CorruptData(file, start, "postings offset table outside of the file")
        self.base = &self.view[0] + start if self.view.shape[0] else NULL
        cdef Cursor c = cursor(self.base, self.view.shape[0] - start)
        cdef uint64_t size = read_u32be(&c)
        if c.bad or size < 4 or size + 4 > <uint64_t>remaining(&c):
            raise CorruptData(file, start, "postings offset table longer than the file")
        if lists_end < MIN_LIST or lists_end > MAX_FILE:
            raise CorruptData(file, start, "postings lists end at an impossible place")
        self.end = 4 + <Py_ssize_t>size
        self.lists_end = lists_end
        cdef uint32_t sum
        with nogil:
            sum = crc32c(0, self.base + 4, size)
        c.at += size
        if sum != read_u32be(&c):
            raise CorruptData(file, start + 4, "checksum of the postings offset table does not match")
        c = cursor(self.base, self.end)
        c.at += 4
        cdef uint64_t count = read_u32be(&c)
        if count > (size - 4) // MIN_ENTRY:
            raise CorruptData(file, start + 4, "postings offset table has more entries than bytes")
        self.count = <Py_ssize_t>count
        if not self.load_sorted(&c, file, start):
            self.load_unsorted(file, start)

    cdef bint load_sorted(self, Cursor* c, str file, int64_t start) except -1:
        """Tries the one pass over a table in order; False where it is not."""
        cdef uint32_t[::1] value_at = np.empty(self.count + 1, np.uint32)
        cdef uint32_t[::1] name_at = np.empty(self.count + 1, np.uint32)
        cdef uint32_t[::1] first = np.empty(self.count + 2, np.uint32)
        cdef int fault
        with nogil:
            fault = scan_table(
                c, self.count, self.lists_end, &value_at[0], &name_at[0], &first[0], &self.name_count
            )
        if fault == CUT_SHORT or (fault == 0 and c.at != c.end):
            raise CorruptData(file, start + offset(c), "postings offset table does not fill its section")
        if fault:
            return False
        self.value_at = value_at
        self.name_at = np.array(name_at[: self.name_count])
        self.first = np.array(first[: self.name_count + 1])
        return True

    cdef int load_unsorted(self, str file, int64_t start) except -1:
        """The general case: entries in any order, sorted here; a list ends where the next one in the file starts."""
        cdef Cursor c = cursor(self.base, self.end)
        cdef Entry e
        cdef Py_ssize_t i
        cdef list rows = []
        c.at += 8
        for i in range(self.count):
            if not next_entry(&c, &e):
                raise CorruptData(file, start + offset(&c), "postings offset table does not fill its section")
            rows.append((e.name[: e.name_size], e.value[: e.value_size], e.name_at, e.value_at, e.start))
        if c.at != c.end:
            raise CorruptData(file, start + offset(&c), "postings offset table does not fill its section")
        rows.sort()
        starts = np.array([row[4] for row in rows], np.uint64)
        if np.any(starts >= self.lists_end):
            raise CorruptData(file, start, "postings offset table points behind the lists")
        bounds = np.append(np.unique(starts), np.uint64(self.lists_end))
        ends = bounds[np.searchsorted(bounds, starts, "right")]
        names = [i for i in range(len(rows)) if i == 0 or rows[i][0] != rows[i - 1][0]]
        if len({row[:2] for row in rows}) != len(rows) or np.any(ends - starts < MIN_LIST):
            raise CorruptData(file, start, "postings offset table has entries that overlap")
        self.name_count = len(names)
        self.value_at = np.array([row[3] for row in rows] + [0], np.uint32)
        self.name_at = np.array([rows[i][2] for i in names], np.uint32)
        self.first = np.array([*names, len(rows)], np.uint32)
        self.list_start, self.list_end = starts, ends
        self.unsorted = True
        return 0

    def __len__(self):
        return self.count

    @property
    def nbytes(self):
        """Memory held beside the file, in bytes."""
        return 4 * (self.count + 2 * self.name_count) + (16 * self.count if self.unsorted else 0)

    cdef bytes name_number(self, Py_ssize_t number):
        cdef const uint8_t* data = NULL
        cdef Py_ssize_t size = 0
        text_at(self.base, self.name_at[number], self.end, &data, &size)
        return data[:size]

    cdef bytes value_number(self, Py_ssize_t entry):
        cdef const uint8_t* data = NULL
        cdef Py_ssize_t size = 0
        text_at(self.base, self.value_at[entry], self.end, &data, &size)
        return data[:size]

    cdef uint64_t start_of(self, Py_ssize_t entry) noexcept nogil:
        cdef Cursor c
        if self.unsorted:
            return self.list_start[entry]
        c = cursor(self.base, self.end)
        c.at += self.value_at[entry]
        take(&c, read_uvarint(&c))
        return read_uvarint(&c)

    cdef uint64_t end_of(self, Py_ssize_t entry) noexcept nogil:
        if self.unsorted:
            return self.list_end[entry]
        return self.start_of(entry + 1) if entry + 1 < self.count else self.lists_end

    cdef Py_ssize_t lower(self, bytes text, Py_ssize_t low, Py_ssize_t high) noexcept:
        """The first entry in [low, high) whose value is not less than `text`."""
        cdef Py_ssize_t middle, size = 0
        cdef const uint8_t* data = NULL
        cdef const uint8_t* wanted = text
        while low < high:
            middle = (low + high) >> 1
            text_at(self.base, self.value_at[middle], self.end, &data, &size)
            if compare_text(data, size, wanted, len(text)) < 0:
                low = middle + 1
            else:
                high = middle
        return low

    def names(self):
        """list[bytes]: the label names, sorted, the special empty name left out."""
        return [name for name in (self.name_number(i) for i in range(self.name_count)) if name]

    def bounds(self, bytes name not None):
        """(first, end): the entries of a label name; (0, 0) for a name that the block does not have."""
        cdef Py_ssize_t low = 0, high = self.name_count, middle
        while low < high:
            middle = (low + high) >> 1
            if self.name_number(middle) < name:
                low = middle + 1
            else:
                high = middle
        if low < self.name_count and self.name_number(low) == name:
            return self.first[low], self.first[low + 1]
        return 0, 0

    def find(self, bytes name not None, values):
        """int64[k]: the entry of each of the values (bytes, in any order) of a name, -1 where there is none."""
        cdef Py_ssize_t low, high, at, i = 0
        cdef int64_t[::1] out
        low, high = self.bounds(name)
        result = np.full(len(values), -1, np.int64)
        out = result
        for value in values:
            at = self.lower(value, low, high)
            if at < high and self.value_number(at) == value:
                out[i] = at
            i += 1
        return result

    def ranges(self, entries):
        """int64[k, 2]: [start, end) in the index file of the lists of the given entries; (-1, -1) for entry -1.

        Raises IndexError for an entry that is none.
        """
        cdef const int64_t[::1] wanted = np.ascontiguousarray(entries, np.int64)
        result = np.full((wanted.shape[0], 2), -1, np.int64)
        cdef int64_t[:, ::1] out = result
        cdef Py_ssize_t i
        cdef int64_t entry, strange = -1
        with nogil:
            for i in range(wanted.shape[0]):
                entry = wanted[i]
                if entry >= self.count or entry < -1:
                    strange = entry
                    break
                if entry >= 0:
                    out[i, 0] = <int64_t>self.start_of(entry) + LENGTH_SIZE
                    out[i, 1] = <int64_t>self.end_of(entry) - CRC_SIZE
        if strange != -1:
            raise IndexError(strange)
        return result

    def values(self, Py_ssize_t first, Py_ssize_t end):
        """list[str]: the values of entries [first, end). Raises IndexError."""
        if first < 0 or end > self.count:
            raise IndexError(end)
        return [self.value_number(i).decode("utf-8", "surrogateescape") for i in range(first, end)]

    def joined(self, Py_ssize_t first, Py_ssize_t end, bytes separator=b""):
        """(bytes, int64[k + 1]): the values of entries [first, end), each followed by the separator, and where each
        begins.

        One object for all values, to be searched as a whole. Raises IndexError.
        """
        if first < 0 or end > self.count:
            raise IndexError(end)
        cdef Py_ssize_t i, size = 0, at = 0, gap = len(separator), count = max(0, end - first)
        cdef const uint8_t* data = NULL
        cdef const uint8_t* between = separator
        places = np.empty(count + 1, np.int64)
        cdef int64_t[::1] place = places
        with nogil:
            for i in range(count):
                place[i] = at
                text_at(self.base, self.value_at[first + i], self.end, &data, &size)
                at += size + gap
            place[count] = at
        text = bytearray(at)
        cdef uint8_t[::1] out = text
        with nogil:
            for i in range(count):
                text_at(self.base, self.value_at[first + i], self.end, &data, &size)
                copy_text(&out[0] + place[i], data, size)
                copy_text(&out[0] + place[i] + size, between, gap)
        return bytes(text), places

    def with_prefix(self, bytes name not None, bytes prefix not None):
        """(first, end): the entries of a name whose values begin with the prefix; they are neighbours."""
        cdef Py_ssize_t low, high, first
        low, high = self.bounds(name)
        first = self.lower(prefix, low, high)
        after = prefix.rstrip(b"\xff")
        if not after:
            return first, high
        after = after[: len(after) - 1] + bytes([after[len(after) - 1] + 1])
        return first, self.lower(after, first, high)

    def containing(self, Py_ssize_t first, Py_ssize_t end, bytes needle not None, *, bint at_end=False):
        """int64[k]: those of the entries [first, end) whose values contain the needle, or end with it. Raises
        IndexError.
        """
        if first < 0 or end > self.count:
            raise IndexError(end)
        cdef Py_ssize_t i, n = 0, size = 0, wanted = len(needle)
        cdef const uint8_t* data = NULL
        cdef const uint8_t* text = needle
        cdef bint found
        result = np.empty(max(0, end - first) + 1, np.int64)
        cdef int64_t[::1] out = result
        with nogil:
            for i in range(first, end):
                text_at(self.base, self.value_at[i], self.end, &data, &size)
                if at_end:
                    found = size >= wanted and memcmp(data + size - wanted, text, wanted) == 0
                else:
                    found = memmem(data, size, text, wanted) != NULL
                out[n] = i
                n += found
        return result[:n]


cdef extern from *:
    """
    #include <string.h>
    static inline void pythanos_copy_text(uint8_t* to, const uint8_t* from, Py_ssize_t n) {
        if (n) memcpy(to, from, (size_t)n);
    }
    static inline const void* pythanos_memmem(const uint8_t* hay, Py_ssize_t n, const uint8_t* needle, Py_ssize_t m) {
        const uint8_t* end;
        if (m == 0) return hay;
        if (n < m) return NULL;
        for (end = hay + (n - m) + 1; hay < end; hay++) {
            hay = (const uint8_t*)memchr(hay, needle[0], (size_t)(end - hay));
            if (hay == NULL || memcmp(hay, needle, (size_t)m) == 0) return hay;
        }
        return NULL;
    }
    """
    void copy_text "pythanos_copy_text"(uint8_t* to, const uint8_t* text, Py_ssize_t size) noexcept nogil
    const void* memmem "pythanos_memmem"(
        const uint8_t* hay, Py_ssize_t size, const uint8_t* needle, Py_ssize_t needle_size
    ) noexcept nogil
