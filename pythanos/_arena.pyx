"""Arenas: byte buffers that kernels fill without the GIL and hand to Python without a copy."""

from cpython.buffer cimport Py_buffer, PyBuffer_FillInfo


cdef class Arena:
    def __dealloc__(self):
        free(self.data)

    def __len__(self):
        return self.size

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, 1, flags)


cdef object seal(Growing* growing):
    """A memoryview over the bytes of `growing`, which is empty afterwards; spare capacity goes back."""
    cdef Arena arena = Arena.__new__(Arena)
    cdef void* fitted = growing.data
    if growing.capacity - growing.size > growing.size // 8 + 64:
        fitted = realloc(growing.data, growing.size if growing.size else 1)
        if fitted == NULL:
            fitted = growing.data
    arena.data = <uint8_t*>fitted
    arena.size = growing.size
    growing.data = NULL
    growing.size = growing.capacity = 0
    return memoryview(arena)


cdef bint widen(Interner* interner) noexcept nogil:
    """Doubles the room of an interner (from nothing to 512 ids); False where memory is short."""
    cdef Py_ssize_t capacity = interner.capacity * 2 if interner.capacity else 512
    cdef uint64_t at, mask = <uint64_t>capacity * 2 - 1
    cdef Py_ssize_t i
    cdef void* grown
    grown = realloc(interner.offset, capacity * sizeof(int64_t))
    if grown == NULL:
        return False
    interner.offset = <int64_t*>grown
    grown = realloc(interner.length, capacity * sizeof(int32_t))
    if grown == NULL:
        return False
    interner.length = <int32_t*>grown
    grown = realloc(interner.hash, capacity * sizeof(uint64_t))
    if grown == NULL:
        return False
    interner.hash = <uint64_t*>grown
    grown = realloc(interner.slots, (mask + 1) * sizeof(uint64_t))
    if grown == NULL:
        return False
    interner.slots = <uint64_t*>grown
    memset(interner.slots, 0, (mask + 1) * sizeof(uint64_t))
    interner.capacity = capacity
    interner.mask = mask
    for i in range(interner.count):
        at = interner.hash[i] & mask
        while interner.slots[at]:
            at = (at + 1) & mask
        interner.slots[at] = (interner.hash[i] & 0xFFFFFFFF00000000ULL) | <uint64_t>(i + 1)
    return True
