# The fields of protobuf messages under a cursor.

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from pythanos._cursor cimport Cursor, read_uvarint, take

cdef extern from *:
    """
    static const char pythanos_no_memory[] = "out of memory";
    """
    # The reason of a fault that is no fault of the message; compared by its address.
    const char* NO_MEMORY "pythanos_no_memory"

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5


# The bytes of a length-delimited field.
cdef struct Packed:
    const uint8_t* data
    Py_ssize_t size


cdef inline void skip(Cursor* c, uint64_t key) noexcept nogil:
    cdef uint64_t kind = key & 7
    if kind == VARINT:
        read_uvarint(c)
    elif kind == FIXED64:
        take(c, 8)
    elif kind == BYTES:
        take(c, read_uvarint(c))
    elif kind == FIXED32:
        take(c, 4)
    else:
        c.bad = True


cdef inline Cursor inside(Cursor* c) noexcept nogil:
    """The next length-delimited field; offsets stay those of the whole, bad where `c` becomes it."""
    cdef uint64_t size = read_uvarint(c)
    cdef const uint8_t* at = take(c, size)
    cdef Cursor inner
    inner.start = c.start
    inner.bad = c.bad
    inner.at = at if at != NULL else c.end
    inner.end = at + size if at != NULL else c.end
    return inner


cdef inline double read_double(Cursor* c) noexcept nogil:
    cdef double value = 0
    cdef const uint8_t* at = take(c, 8)
    if at != NULL:
        memcpy(&value, at, 8)
    return value


cdef inline Packed packed(Cursor* c) noexcept nogil:
    cdef Cursor inner = inside(c)
    cdef Packed p
    p.data, p.size = inner.at, inner.end - inner.at
    return p
