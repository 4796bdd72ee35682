# Varints where most of them are short: one bounds check instead of one a byte. Anything else goes to the cursor.

from libc.stdint cimport int64_t, uint8_t, uint64_t

from pythanos._cursor cimport Cursor, read_uvarint


cdef inline uint64_t long_uvarint(Cursor* c) noexcept nogil:
    """As read_uvarint, with one check for all of the usual sizes."""
    cdef const uint8_t* at = c.at
    cdef uint64_t value
    cdef int i
    if c.end - at >= 8:
        value = at[0] & 0x7F
        for i in range(1, 8):
            value |= <uint64_t>(at[i] & 0x7F) << (7 * i)
            if at[i] < 0x80:
                c.at = at + i + 1
                return value
    return read_uvarint(c)


cdef inline uint64_t fast_uvarint(Cursor* c) noexcept nogil:
    cdef uint8_t first
    if c.at < c.end:
        first = c.at[0]
        if first < 0x80:
            c.at += 1
            return first
    return long_uvarint(c)


cdef inline uint64_t ref_uvarint(Cursor* c) noexcept nogil:
    """A symbol reference: up to three bytes without a loop."""
    cdef const uint8_t* at = c.at
    if c.end - at >= 3:
        if at[0] < 0x80:
            c.at = at + 1
            return at[0]
        if at[1] < 0x80:
            c.at = at + 2
            return (at[0] & 0x7F) | <uint64_t>at[1] << 7
        if at[2] < 0x80:
            c.at = at + 3
            return (at[0] & 0x7F) | <uint64_t>(at[1] & 0x7F) << 7 | <uint64_t>at[2] << 14
    return read_uvarint(c)


cdef inline int64_t fast_varint(Cursor* c) noexcept nogil:
    cdef uint64_t raw = fast_uvarint(c)
    return <int64_t>(raw >> 1) ^ -<int64_t>(raw & 1)
