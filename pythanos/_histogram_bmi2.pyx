"""Decoding of histogram samples for processors with BMI2, whose shifts by a variable are one instruction, not three.

As ``_xor_bmi2``: the same source as everywhere, in a module of its own, as instructions are chosen by file. Such
processors also count leading zeros in one. Import it only where the processor was found to have them.
"""

from libc.stdint cimport int64_t, uint64_t

from pythanos._bits cimport BitReader
from pythanos._histogram_layout cimport Extent
from pythanos._histogram_numbers cimport StartState, XorState, make_runs
from pythanos._histogram_samples cimport RowColumns, decode_floats, decode_integers

cdef extern from *:
    """
    #if defined(__x86_64__)
    #pragma GCC target("bmi,bmi2,lzcnt,avx2")
    #endif
    """


make_runs()


cdef int64_t integers(
    BitReader* r, uint64_t limit, const Extent* e, StartState* starts, int64_t capacity, uint64_t* values,
    RowColumns* out,
) noexcept nogil:
    return decode_integers(r, limit, e, starts, capacity, values, out)


cdef int64_t floats(
    BitReader* r, uint64_t limit, const Extent* e, StartState* starts, int64_t capacity, XorState* numbers,
    RowColumns* out,
) noexcept nogil:
    return decode_floats(r, limit, e, starts, capacity, numbers, out)


def addresses() -> tuple:
    """Where the C functions ``decode_integers`` and ``decode_floats`` are, for a kernel of this package to call."""
    return <size_t>&integers, <size_t>&floats
