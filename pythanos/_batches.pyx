"""SeriesBatches in kernels: checked columns to read, columns and an arena to write; slices and new labels."""

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memset

from pythanos._arena cimport release, reserve, seal
from pythanos._label_rows cimport LabelRows

from pythanos.errors import CorruptData
from pythanos.model.series import LabelColumn, SeriesBatch


cdef class BatchColumns:
    def __cinit__(self, batch):
        cdef Py_ssize_t i, n, m
        cdef int64_t size
        cdef bint bad = False
        self.batch = batch
        self.labels = LabelRows(batch.labels)
        self.chunk_start = np.ascontiguousarray(batch.chunk_start, np.int64)
        self.mint = np.ascontiguousarray(batch.chunk_mint, np.int64)
        self.maxt = np.ascontiguousarray(batch.chunk_maxt, np.int64)
        self.encoding = np.ascontiguousarray(batch.chunk_encoding, np.uint8)
        self.aggregate = np.ascontiguousarray(batch.chunk_aggregate, np.uint8)
        self.offset = np.ascontiguousarray(batch.chunk_offset, np.int64)
        self.length = np.ascontiguousarray(batch.chunk_length, np.int32)
        n, m = self.labels.rows.count, self.mint.shape[0]
        if self.chunk_start.shape[0] != n + 1 or not (
            m == self.maxt.shape[0] == self.encoding.shape[0] == self.aggregate.shape[0]
            == self.offset.shape[0] == self.length.shape[0]
        ):
            raise ValueError("columns of different lengths")
        self.source.rows = self.labels.rows
        self.source.chunk_start = &self.chunk_start[0]
        if m:
            self.source.mint = &self.mint[0]
            self.source.maxt = &self.maxt[0]
            self.source.encoding = &self.encoding[0]
            self.source.aggregate = &self.aggregate[0]
            self.source.offset = &self.offset[0]
            self.source.length = &self.length[0]
        size = self.labels.rows.arena_size
        self.source.wire = NULL
        if batch.wire is not None:
            self.wire = np.ascontiguousarray(batch.wire, np.int64)
            if self.wire.shape[0] != n or self.wire.shape[1] != 2:
                raise ValueError("columns of different lengths")
            self.source.wire = &self.wire[0, 0] if n else NULL
        with nogil:
            bad = self.source.chunk_start[0] < 0 or self.source.chunk_start[n] > m
            for i in range(n):
                bad = bad or self.source.chunk_start[i] > self.source.chunk_start[i + 1]
            for i in range(m):
                bad = bad or self.source.length[i] < 0 or self.source.offset[i] < 0 or (
                    self.source.offset[i] > size - self.source.length[i]
                )
            if self.source.wire != NULL and not bad:
                for i in range(n):
                    bad = bad or _outside_record(&self.source, i, size)
        if bad:
            raise CorruptData("series batch", -1, "chunk rows reach outside their batch")


cdef bint _outside_record(const Source* source, Py_ssize_t row, int64_t size) noexcept nogil:
    """Whether a series' record reaches outside the arena, or its labels or chunks outside of the record."""
    cdef int64_t start = source.wire[2 * row], end = source.wire[2 * row + 1]
    cdef Py_ssize_t i
    if not 0 <= start <= end <= size:
        return True
    if source.rows.offset[row] < start or source.rows.offset[row] + source.rows.length[row] > end:
        return True
    for i in range(source.chunk_start[row], source.chunk_start[row + 1]):
        if source.length[i] and (source.offset[i] < start or source.offset[i] + source.length[i] > end):
            return True
    return False


cdef tuple allocate(Output* out, Py_ssize_t series, Py_ssize_t chunks, bint wire):
    """Empty columns for so many rows, and their pointers in `out`, whose arena is still empty; with records or without."""
    label_offset, label_length, hashes = np.empty(series, np.int64), np.empty(series, np.int32), np.empty(series, np.uint64)
    chunk_start, mint, maxt = np.empty(series + 1, np.int64), np.empty(chunks, np.int64), np.empty(chunks, np.int64)
    encoding, aggregate = np.empty(chunks, np.uint8), np.empty(chunks, np.uint8)
    offset, length = np.empty(chunks, np.int64), np.empty(chunks, np.int32)
    records = np.empty((series, 2), np.int64) if wire else None
    memset(out, 0, sizeof(Output))
    out.label_offset, out.label_length = <int64_t*>_address(label_offset), <int32_t*>_address(label_length)
    out.hash, out.chunk_start = <uint64_t*>_address(hashes), <int64_t*>_address(chunk_start)
    out.mint, out.maxt = <int64_t*>_address(mint), <int64_t*>_address(maxt)
    out.encoding, out.aggregate = <uint8_t*>_address(encoding), <uint8_t*>_address(aggregate)
    out.offset, out.length = <int64_t*>_address(offset), <int32_t*>_address(length)
    out.wire = <int64_t*>_address(records) if wire else NULL
    out.chunk_start[0] = 0
    return (label_offset, label_length, hashes), chunk_start, (mint, maxt, encoding, aggregate, offset, length), records


cdef object built_batch(Output* out, tuple columns):
    """The written columns as a SeriesBatch that owns the arena of `out`."""
    labels, chunk_start, chunks, records = columns
    if out.chunks < len(chunks[0]):
        chunks = [column[: out.chunks] for column in chunks]
    return SeriesBatch(LabelColumn(seal(&out.arena), *labels), chunk_start, *chunks, records)


cdef void* _address(array) except? NULL:
    """Where the elements of a contiguous array start."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    # The array outlives its view: whoever asks holds it, and does not resize it.
    PyBuffer_Release(&view)
    return view.buf


def slice_batch(batch, Py_ssize_t start, Py_ssize_t end):
    """The series [start, end) of a batch, sharing its arena and arrays."""
    if start == 0 and end == len(batch):
        return batch
    first, last = int(batch.chunk_start[start]), int(batch.chunk_start[end])
    return SeriesBatch(
        batch.labels.take(slice(start, end)), batch.chunk_start[start : end + 1] - first, batch.chunk_mint[first:last],
        batch.chunk_maxt[first:last], batch.chunk_encoding[first:last], batch.chunk_aggregate[first:last],
        batch.chunk_offset[first:last], batch.chunk_length[first:last],
        None if batch.wire is None else batch.wire[start:end],
    )


def relabeled(batch, labels, order):
    """A batch with series ``order[i]`` (int64[k]) of ``batch`` under label set ``order[i]`` of ``labels``, in an arena of its own."""
    cdef BatchColumns columns = BatchColumns(batch)
    cdef LabelRows names = LabelRows(labels)
    cdef const int64_t[::1] rows = np.ascontiguousarray(order, np.int64)
    cdef Source* source = &columns.source
    cdef Output out
    cdef Py_ssize_t i, j, row, chunks = 0, size = 0, n = rows.shape[0]
    cdef bint bad = names.rows.count != source.rows.count, short
    with nogil:
        for i in range(n):
            bad = bad or not 0 <= rows[i] < source.rows.count
            if bad:
                break
            size += names.rows.length[rows[i]]
            chunks += source.chunk_start[rows[i] + 1] - source.chunk_start[rows[i]]
            for j in range(source.chunk_start[rows[i]], source.chunk_start[rows[i] + 1]):
                size += source.length[j]
    if bad:
        raise ValueError("rows of another batch")
    arrays = allocate(&out, n, chunks, False)
    with nogil:
        short = not reserve(&out.arena, size + 1)
        if not short:
            for i in range(n):
                row = rows[i]
                copy_label(&names.rows, row, i, &out)
                for j in range(source.chunk_start[row], source.chunk_start[row + 1]):
                    copy_chunk(source, j, &out)
                out.chunk_start[i + 1] = out.chunks
    if short:
        raise MemoryError
    return built_batch(&out, arrays)
