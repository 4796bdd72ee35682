# The columns of a SeriesBatch as C pointers, for kernels that read batches.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from pythanos._labels cimport LabelRows, Rows


cdef struct Source:
    # Every chunk row was checked to lie inside the arena, and chunk_start to rise.
    Rows rows
    const int64_t* chunk_start
    const int64_t* mint
    const int64_t* maxt
    const uint8_t* encoding
    const uint8_t* aggregate
    const int64_t* offset
    const int32_t* length


cdef class BatchColumns:
    """Borrows the buffers of a SeriesBatch; keep it alive while `source` is in use."""

    cdef Source source
    cdef object batch
    cdef LabelRows labels
    cdef const int64_t[::1] chunk_start
    cdef const int64_t[::1] mint
    cdef const int64_t[::1] maxt
    cdef const uint8_t[::1] encoding
    cdef const uint8_t[::1] aggregate
    cdef const int64_t[::1] offset
    cdef const int32_t[::1] length
