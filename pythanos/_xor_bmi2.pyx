"""Decoding of XOR and XOR2 chunks for processors with BMI2, whose shifts by a variable are one instruction, not three.

The same source as everywhere, in a module of its own, as instructions are chosen by file. Import it only where
``_chunks`` found the processor to have them.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from pythanos._xor_decode cimport decode_xor, decode_xor2

cdef extern from *:
    """
    #if defined(__x86_64__)
    #pragma GCC target("bmi,bmi2")
    #endif
    """


cdef int64_t xor(
    const uint8_t* data, uint64_t length, uint64_t readable, int64_t n, int64_t* timestamps, uint64_t* values,
    uint64_t* fault_at,
) noexcept nogil:
    return decode_xor(data, length, readable, n, timestamps, values, fault_at)


cdef int64_t xor2(
    const uint8_t* data, uint64_t length, uint64_t readable, int64_t n,
    int64_t* timestamps, uint64_t* values, int64_t* starts, uint64_t* fault_at,
) noexcept nogil:
    return decode_xor2(data, length, readable, n, timestamps, values, starts, fault_at)


def addresses() -> tuple:
    """Where the C functions ``decode_xor`` and ``decode_xor2`` are, for a kernel of this package to call."""
    return <size_t>&xor, <size_t>&xor2
