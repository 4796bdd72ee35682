# Series of a batch decoded one by one, for kernels that use the samples of each before they take the next.

from libc.stdint cimport int64_t

from pythanos._arena cimport Growing
from pythanos._batches cimport BatchColumns, Source
from pythanos._replicas cimport Samples
from pythanos._series_parts cimport Part


cdef struct Job:
    # What is decoded how, scratch memory, and what went wrong.
    const Source* source
    Growing parts                   # the Part of every AggrChunk
    const int64_t* part_start       # series i has parts [part_start[i], part_start[i + 1])
    const int64_t* histogram_start  # of every chunk row; NULL where the batch has no histograms
    const int64_t* histogram_t
    const int64_t* histogram_st
    int64_t mint
    int64_t maxt
    int aggregate
    int algorithm
    bint counter
    bint uncut                      # samples outside [mint, maxt] may remain where a series has one replica
    bint with_st
    bint with_ref
    Growing ends
    Samples scratch[3]
    Samples divisor
    int64_t fault
    int64_t fault_row
    int64_t fault_at


cdef class SeriesDecoder:
    """Borrows a SeriesBatch; used by one thread at a time."""

    cdef Job job
    cdef BatchColumns columns
    cdef object file
    cdef const int64_t[::1] part_start, histogram_start, histogram_t, histogram_st
    cdef readonly bint floats_only

    # How many series there are.
    cdef Py_ssize_t count(self) noexcept nogil

    # Gives samples that nothing was put in yet the columns that `read` fills; to be called before it.
    cdef void shape(self, Samples* to) noexcept nogil

    # Appends the samples of series i, 0 <= i < count; False where they cannot be had, and `error` says why.
    cdef bint read(self, Py_ssize_t i, Samples* to) noexcept nogil

    cdef object error(self)

    # Decodes the histograms, which the samples that `read` appends refer to; returns them, None where there are none.
    cdef object decode_histograms(self)
