# The bounds-checked reader that every decoder of untrusted bytes uses.
#
# Design: a struct of three pointers; each function either reads and advances, or sets `bad` and returns
# zero without touching memory outside [start, end). A decoder may therefore run on after an error and
# look at `bad` once per entry; `offset(c)` then says where it stopped. No function here allocates,
# raises or needs the GIL.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #define PYTHANOS_BSWAP16(x) __builtin_bswap16(x)
    #define PYTHANOS_BSWAP32(x) __builtin_bswap32(x)
    #define PYTHANOS_BSWAP64(x) __builtin_bswap64(x)
    """
    uint16_t PYTHANOS_BSWAP16(uint16_t) noexcept nogil
    uint32_t PYTHANOS_BSWAP32(uint32_t) noexcept nogil
    uint64_t PYTHANOS_BSWAP64(uint64_t) noexcept nogil


cdef struct Cursor:
    const uint8_t* start
    const uint8_t* at
    const uint8_t* end
    bint bad


cdef inline Cursor cursor(const uint8_t* start, Py_ssize_t size) noexcept nogil:
    cdef Cursor c
    c.start = start
    c.at = start
    c.end = start + size
    c.bad = False
    return c


cdef inline Py_ssize_t offset(const Cursor* c) noexcept nogil:
    return c.at - c.start


cdef inline Py_ssize_t remaining(const Cursor* c) noexcept nogil:
    return c.end - c.at


cdef inline const uint8_t* take(Cursor* c, uint64_t size) noexcept nogil:
    """The next `size` bytes, or NULL (and `bad`) where fewer are left."""
    cdef const uint8_t* at = c.at
    if size > <uint64_t>(c.end - c.at):
        c.bad = True
        return NULL
    c.at += size
    return at


cdef inline uint8_t read_u8(Cursor* c) noexcept nogil:
    if c.at >= c.end:
        c.bad = True
        return 0
    c.at += 1
    return (c.at - 1)[0]


cdef inline uint16_t read_u16be(Cursor* c) noexcept nogil:
    cdef uint16_t raw = 0
    cdef const uint8_t* at = take(c, 2)
    if at == NULL:
        return 0
    memcpy(&raw, at, 2)
    return PYTHANOS_BSWAP16(raw)


cdef inline uint32_t read_u32be(Cursor* c) noexcept nogil:
    cdef uint32_t raw = 0
    cdef const uint8_t* at = take(c, 4)
    if at == NULL:
        return 0
    memcpy(&raw, at, 4)
    return PYTHANOS_BSWAP32(raw)


cdef inline uint64_t read_u64be(Cursor* c) noexcept nogil:
    cdef uint64_t raw = 0
    cdef const uint8_t* at = take(c, 8)
    if at == NULL:
        return 0
    memcpy(&raw, at, 8)
    return PYTHANOS_BSWAP64(raw)


cdef inline uint64_t read_uvarint(Cursor* c) noexcept nogil:
    """LEB128, at most 10 bytes; more, or a value over 64 bits, is bad."""
    cdef uint64_t value = 0
    cdef uint8_t byte
    cdef int shift = 0
    while c.at < c.end and shift < 70:
        byte = c.at[0]
        c.at += 1
        if shift == 63 and byte > 1:
            break
        value |= (<uint64_t>(byte & 0x7F)) << shift
        if byte < 0x80:
            return value
        shift += 7
    c.bad = True
    return 0


cdef inline int64_t read_varint(Cursor* c) noexcept nogil:
    """Zig-zag LEB128, as Go's binary.Varint."""
    cdef uint64_t raw = read_uvarint(c)
    return <int64_t>(raw >> 1) ^ -<int64_t>(raw & 1)
