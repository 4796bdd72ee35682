"""The symbol table of an index: every label name and value once, sorted by bytes.

Design: the bytes stay in the file; one pass over the section keeps one uint32 per symbol, so that a reference resolves
in one step, and checks length, checksum, structure and order. Format: docs/formats/index.md.
"""

import numpy as np

from pythanos.errors import CorruptData

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pythanos._cursor cimport Cursor, cursor, offset, read_u32be, read_uvarint, remaining, take
from pythanos._hash cimport crc32c
from pythanos._labels cimport compare_text


def crc32c_of(data, uint32_t crc=0):
    """The CRC-32C of a buffer, continued from `crc`."""
    cdef const uint8_t[::1] view = data
    cdef uint32_t sum = crc
    if view.shape[0]:
        with nogil:
            sum = crc32c(crc, &view[0], view.shape[0])
    return sum


cdef int scan_symbols(Cursor* c, uint64_t count, uint32_t* out) noexcept nogil:
    """Where each symbol starts; 1 where the section ends early, 2 where two neighbours are not in order."""
    cdef const uint8_t* data
    cdef const uint8_t* last = NULL
    cdef uint64_t i, size, last_size = 0
    for i in range(count):
        out[i] = <uint32_t>offset(c)
        if c.at < c.end and c.at[0] < 0x80:
            size = c.at[0]
            c.at += 1
        else:
            size = read_uvarint(c)
        data = take(c, size)
        if c.bad:
            return 1
        if last != NULL and compare_text(last, last_size, data, size) >= 0:
            return 2
        last = data
        last_size = size
    return 0


cdef Py_ssize_t lower_bound(const Symbols* s, const uint8_t* text, Py_ssize_t size, bint* exact) noexcept nogil:
    """The number of the first symbol that is not less than `text`."""
    cdef Py_ssize_t low = 0, high = <Py_ssize_t>s.count, middle, found_size = 0
    cdef const uint8_t* found = NULL
    cdef int order
    exact[0] = False
    while low < high:
        middle = (low + high) >> 1
        text_at(s.base, s.offset[middle], s.end, &found, &found_size)
        order = compare_text(found, found_size, text, size)
        if order < 0:
            low = middle + 1
        else:
            high = middle
            if order == 0:
                exact[0] = True
    return low


cdef uint64_t reference(const Symbols* s, Py_ssize_t number) noexcept nogil:
    """What a series entry calls symbol `number`; beyond the last one, something above every reference."""
    if not s.by_offset:
        return <uint64_t>number
    if number >= <Py_ssize_t>s.count:
        return <uint64_t>(s.file_start + s.end)
    return <uint64_t>(s.file_start + s.offset[number])


cdef class SymbolTable:
    """The symbols of an index or index-header: borrowed bytes and one uint32 per symbol.

    buffer: the file (bytes, mmap), kept alive; start: where the symbols section begins in it; version: of the index;
    file_start: where the section begins in the index file, for the byte-offset references of version 1.
    Raises CorruptData where length, checksum, structure or order of the section is wrong.
    """

    def __init__(self, buffer, Py_ssize_t start, *, int version=2, int64_t file_start=5, str file="index"):
        self.buffer = buffer
        self.view = buffer
        if start < 0 or start > self.view.shape[0]:
            raise CorruptData(file, start, "symbols section outside of the file")
        cdef const uint8_t* base = &self.view[0] + start if self.view.shape[0] else NULL
        cdef Cursor c = cursor(base, self.view.shape[0] - start)
        cdef uint64_t size = read_u32be(&c)
        if c.bad or size < 4 or size + 4 > <uint64_t>remaining(&c):
            raise CorruptData(file, start, "symbols section longer than the file")
        cdef Cursor body = cursor(base, 4 + <Py_ssize_t>size)
        body.at += 4
        cdef uint64_t count = read_u32be(&body)
        if count > size - 4:
            raise CorruptData(file, start + 4, "more symbols than bytes")
        cdef uint32_t[::1] offsets = np.empty(count, np.uint32)
        cdef uint32_t* out = &offsets[0] if count else NULL
        cdef uint32_t sum
        cdef int fault
        with nogil:
            sum = crc32c(0, base + 4, size)
            fault = scan_symbols(&body, count, out)
        c.at += size
        if sum != read_u32be(&c):
            raise CorruptData(file, start + 4, "checksum of the symbols section does not match")
        if fault or (body.at != body.end):
            reason = "symbols out of order" if fault == 2 else "symbols do not fill their section"
            raise CorruptData(file, start + offset(&body), reason)
        self.offsets = offsets
        self.symbols.base = base
        self.symbols.end = 4 + <Py_ssize_t>size
        self.symbols.offset = out
        self.symbols.count = count
        self.symbols.file_start = file_start
        self.symbols.by_offset = version == 1

    def __len__(self):
        return <Py_ssize_t>self.symbols.count

    @property
    def nbytes(self):
        """Memory held beside the file, in bytes."""
        return 4 * <Py_ssize_t>self.symbols.count

    @property
    def section_bytes(self):
        """Length of the whole section in the file: length field, symbols, checksum."""
        return self.symbols.end + 4

    def bytes_at(self, Py_ssize_t number):
        """Symbol `number` (0 <= number < len) as bytes. Raises IndexError."""
        cdef const uint8_t* data = NULL
        cdef Py_ssize_t size = 0
        if number < 0 or <uint64_t>number >= self.symbols.count:
            raise IndexError(number)
        text_at(self.symbols.base, self.symbols.offset[number], self.symbols.end, &data, &size)
        return data[:size]

    def text(self, Py_ssize_t number):
        """Symbol `number` as str. Raises IndexError."""
        return self.bytes_at(number).decode("utf-8", "surrogateescape")

    def lookup(self, text):
        """The number of a symbol given as str or bytes, or None."""
        cdef bytes wanted = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        cdef bint exact
        cdef Py_ssize_t found = lower_bound(&self.symbols, wanted, len(wanted), &exact)
        return found if exact else None
