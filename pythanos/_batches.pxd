# The columns of a SeriesBatch as C pointers, for kernels that read and write batches.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from libc.string cimport memcpy

from pythanos._arena cimport Growing
from pythanos._label_rows cimport LabelRows, Rows


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
    # The record of series i is [wire[2 * i], wire[2 * i + 1]) of the arena; NULL where there are none.
    const int64_t* wire


cdef struct Output:
    # A batch that is being written: columns with room, and the arena that grows. `wire` may be NULL.
    Growing arena
    int64_t* label_offset
    int32_t* label_length
    uint64_t* hash
    int64_t* chunk_start
    int64_t* mint
    int64_t* maxt
    uint8_t* encoding
    uint8_t* aggregate
    int64_t* offset
    int32_t* length
    int64_t* wire
    Py_ssize_t chunks


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
    cdef const int64_t[:, ::1] wire


# Empty columns for so many rows, and their pointers in `out`, whose arena is still empty; with records or without.
cdef tuple allocate(Output* out, Py_ssize_t series, Py_ssize_t chunks, bint wire)

# The written columns as a SeriesBatch that owns the arena of `out`.
cdef object built_batch(Output* out, tuple columns)


cdef inline void copy_label(const Rows* rows, Py_ssize_t row, Py_ssize_t to, Output* out) noexcept nogil:
    out.label_offset[to] = out.arena.size
    out.label_length[to] = rows.length[row]
    out.hash[to] = rows.hash[row]
    memcpy(out.arena.data + out.arena.size, rows.arena + rows.offset[row], rows.length[row])
    out.arena.size += rows.length[row]


cdef inline void copy_chunk(const Source* source, Py_ssize_t row, Output* out) noexcept nogil:
    cdef Py_ssize_t at = out.chunks
    out.mint[at] = source.mint[row]
    out.maxt[at] = source.maxt[row]
    out.encoding[at] = source.encoding[row]
    out.aggregate[at] = source.aggregate[row]
    out.offset[at] = out.arena.size
    out.length[at] = source.length[row]
    memcpy(out.arena.data + out.arena.size, source.rows.arena + source.offset[row], source.length[row])
    out.arena.size += source.length[row]
    out.chunks = at + 1
