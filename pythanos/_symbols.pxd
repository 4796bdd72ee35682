# The symbol table of an index as C pointers, for kernels that resolve symbol references.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef struct Symbols:
    # The symbols section from its length field on. `offset[i]` is the place of symbol i's length varint in it.
    # Version 1 refs are byte offsets in the index file, where the section starts at `file_start`.
    const uint8_t* base
    Py_ssize_t end
    const uint32_t* offset
    uint64_t count
    int64_t file_start
    bint by_offset


cdef class SymbolTable:
    cdef Symbols symbols
    cdef object buffer
    cdef const uint8_t[::1] view
    cdef const uint32_t[::1] offsets


cdef inline bint text_at(
    const uint8_t* base, Py_ssize_t position, Py_ssize_t end, const uint8_t** data, Py_ssize_t* size
) noexcept nogil:
    """The length-prefixed string at `position`; False where it does not lie before `end`."""
    cdef uint64_t length = 0
    cdef int shift = 0
    cdef uint8_t byte
    while position < end and shift < 35:
        byte = base[position]
        position += 1
        length |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            if length > <uint64_t>(end - position):
                return False
            data[0] = base + position
            size[0] = <Py_ssize_t>length
            return True
        shift += 7
    return False


cdef inline bint symbol(const Symbols* s, uint64_t ref, const uint8_t** data, Py_ssize_t* size) noexcept nogil:
    """The bytes of a symbol reference; False for a reference that names none."""
    if s.by_offset:
        if ref < <uint64_t>(s.file_start + 8) or ref >= <uint64_t>(s.file_start + s.end):
            return False
        return text_at(s.base, <Py_ssize_t>ref - s.file_start, s.end, data, size)
    if ref >= s.count:
        return False
    return text_at(s.base, s.offset[ref], s.end, data, size)


cdef uint64_t reference(const Symbols* s, Py_ssize_t number) noexcept nogil
cdef Py_ssize_t lower_bound(const Symbols* s, const uint8_t* text, Py_ssize_t size, bint* exact) noexcept nogil
