"""The rows of a LabelColumn as C pointers, and LabelColumns made of what kernels wrote; see ``_label_rows.pxd``."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from pythanos._arena cimport Growing, Interner, seal
from pythanos._hash cimport xxh64

from pythanos.errors import CorruptData
from pythanos.model.series import LabelColumn


cdef class LabelRows:
    def __cinit__(self, column):
        cdef Py_ssize_t i, size, bad = -1
        self.arena_view = memoryview(column.arena)
        self.offset_view = np.ascontiguousarray(column.offset, np.int64)
        self.length_view = np.ascontiguousarray(column.length, np.int32)
        self.hash_view = np.ascontiguousarray(column.hash, np.uint64)
        size = self.arena_view.shape[0]
        self.rows.arena = &self.arena_view[0] if size else NULL
        self.rows.arena_size = size
        self.rows.count = self.offset_view.shape[0]
        if self.length_view.shape[0] != self.rows.count or self.hash_view.shape[0] != self.rows.count:
            raise ValueError("columns of different lengths")
        if self.rows.count == 0:
            return
        self.rows.offset = &self.offset_view[0]
        self.rows.length = &self.length_view[0]
        self.rows.hash = &self.hash_view[0]
        with nogil:
            for i in range(self.rows.count):
                if self.rows.length[i] < 0 or not 0 <= self.rows.offset[i] <= size - self.rows.length[i]:
                    bad = i
                    break
        if bad >= 0:
            raise CorruptData("labels", int(self.rows.offset[bad]), "label block reaches outside its arena")


cdef class NameSet:
    def __cinit__(self, names):
        cdef Py_ssize_t i
        cdef bytes name
        self.encoded = sorted({encode_text(text) for text in names})
        self.names.count = len(self.encoded)
        self.names.name = <const uint8_t**>calloc(self.names.count + 1, sizeof(uint8_t*))
        self.names.length = <Py_ssize_t*>calloc(self.names.count + 1, sizeof(Py_ssize_t))
        if self.names.name == NULL or self.names.length == NULL:
            raise MemoryError
        for i in range(self.names.count):
            name = self.encoded[i]
            self.names.name[i] = <const uint8_t*>name
            self.names.length[i] = len(name)

    def __dealloc__(self):
        free(self.names.name)
        free(self.names.length)


cdef bytes encode_text(str text):
    return text.encode("utf-8", "surrogateescape")


cdef str decode_text(bytes raw):
    return raw.decode("utf-8", "surrogateescape")


cdef int fail_row(LabelRows source, Py_ssize_t row) except -1:
    """Raises for the row that a kernel stopped at."""
    if row == OUT_OF_MEMORY:
        raise MemoryError
    raise CorruptData("labels", int(source.rows.offset[row]), "malformed label block")


cdef object sealed_column(Growing* blocks, offset, length):
    """A LabelColumn that takes over `blocks`, its hashes computed here."""
    cdef Py_ssize_t i, n = len(offset)
    cdef int64_t[::1] offsets = offset
    cdef int32_t[::1] lengths = length
    hashes = np.empty(n, np.uint64)
    cdef uint64_t[::1] out = hashes
    with nogil:
        for i in range(n):
            out[i] = xxh64(blocks.data + offsets[i], lengths[i], 0)
    return LabelColumn(seal(blocks), offset, length, hashes)


cdef object interned_column(Interner* interner):
    """The interned blocks as a LabelColumn, in order of their ids."""
    cdef Py_ssize_t i, n = interner.count
    offset, length, hashes = np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.uint64)
    cdef int64_t[::1] offsets = offset
    cdef int32_t[::1] lengths = length
    cdef uint64_t[::1] hash_view = hashes
    for i in range(n):
        offsets[i] = interner.offset[i]
        lengths[i] = interner.length[i]
        hash_view[i] = interner.hash[i]
    return LabelColumn(seal(&interner.bytes), offset, length, hashes)
