# Float points of a result: the text of a time, copied, and the digits of a value.
#
# A comma stands before every point, so that all are printed alike; the caller overwrites that of the first.

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from pythanos._json_text cimport put, write_stamp

cdef extern from "_digits.h" nogil:
    char* pythanos_write_double(char* out, double value) noexcept

cdef enum:
    # Room for what is printed before a value: comma, bracket, sign, 17 digits, point, 3 digits, comma, quote. The last
    # byte is how many there are.
    STAMP = 32
    # Room for one point, with what the leaves may touch beyond.
    POINT = STAMP + 96


cdef struct Floats:
    # A step matrix (`values` of rows x steps, with the text of each step's time), or samples per series by `start`.
    const double* values
    const int64_t* timestamps
    const int64_t* start
    const char* stamps
    Py_ssize_t steps
    # The time of the last sample that was printed, and its text: in a vector all have the same.
    int64_t stamped
    char[STAMP] stamp


cdef inline bint absent(double value) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    return bits == 0x7FF0000000000002ULL


cdef inline void put_stamp(char* cell, int64_t ms) noexcept nogil:
    """What is printed before a value, and how long that is."""
    cdef char* end = put(cell, b",[", 2)
    end = put(write_stamp(end, ms), b',"', 2)
    (<uint8_t*>cell)[STAMP - 1] = <uint8_t>(end - cell)


cdef inline char* write_point(char* out, const char* stamp, double value) noexcept nogil:
    memcpy(out, stamp, STAMP)
    return put(pythanos_write_double(out + <uint8_t>stamp[STAMP - 1], value), b'"]', 2)


cdef inline char* write_steps(
    char* out, const char* end, const Floats* f, Py_ssize_t row, int64_t* next
) noexcept nogil:
    """Points of a row of a step matrix from step `next` on while there is room; `next` then is the first one left."""
    cdef int64_t step = next[0], steps = f.steps
    cdef const double* values = f.values + row * steps
    cdef const char* stamps = f.stamps
    while step < steps:
        if not absent(values[step]):
            if end - out < POINT:
                break
            out = write_point(out, stamps + step * STAMP, values[step])
        step += 1
    next[0] = step
    return out


cdef inline char* write_samples(char* out, const char* end, Floats* f, int64_t last, int64_t* next) noexcept nogil:
    """Samples [next, last) in the same way."""
    cdef int64_t i = next[0]
    while i < last and end - out >= POINT:
        if f.timestamps[i] != f.stamped or not f.stamp[STAMP - 1]:
            f.stamped = f.timestamps[i]
            put_stamp(f.stamp, f.stamped)
        out = write_point(out, f.stamp, f.values[i])
        i += 1
    next[0] = i
    return out
