# The label blocks of index entries, written from symbol references.
#
# Labels that a series begins with as the one before it did are copied in one piece; each other one is written from the
# wire bytes of the same (name, value) references in an earlier series where a small direct-mapped memo still knows
# them, as neighbours in label order share most labels. Symbols are sorted, so whether an external label belongs before
# a series label, and whether the series rise, is a comparison of references.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from pythanos._arena cimport Growing, append, push32, push64, reserve
from pythanos._hash cimport xxh64
from pythanos._labels cimport label_size, put_label
from pythanos._symbols cimport Symbols, symbol

cdef extern from *:
    """
    #define PYTHANOS_PREFETCH(p) __builtin_prefetch((const void*)(p))
    """
    void PYTHANOS_PREFETCH(const void*) noexcept nogil

cdef enum:
    # For many series: for a few a smaller memo is enough, which is cleared sooner.
    MEMO_BITS = 11
    MEMO_BITS_MIN = 6
    SLACK = 64
    # Labels of a series that are compared with those of the one before.
    COMPARED = 64


cdef struct External:
    # One external label: its wire bytes, and the reference before which it belongs.
    const uint8_t* block
    Py_ssize_t size
    uint64_t before
    bint replaces


cdef struct Memo:
    uint32_t name
    uint32_t value
    int64_t offset
    Py_ssize_t size


cdef struct Before:
    # The labels of the last series, as many as are compared: their references, how far each reached into the block, and
    # how many external labels stood there by then. `labels` is -1 before the first.
    uint64_t refs[2 * COMPARED]
    int64_t end[COMPARED]
    Py_ssize_t external[COMPARED]
    Py_ssize_t labels
    int64_t start


cdef struct LabelWriter:
    # What blocks are written from; the blocks in one arena, and their columns; why there is no next one (NULL: memory).
    const Symbols* symbols
    External* external
    Py_ssize_t externals
    uint64_t* drop
    Py_ssize_t drops
    Memo* memo
    int memo_shift
    bint rising
    Growing labels
    Growing offset
    Growing length
    Growing hash
    const char* fault
    Before before


cdef inline bint refuse(LabelWriter* w, const char* reason) noexcept nogil:
    w.fault = reason
    return False


cdef inline void prefetch_offset(const Symbols* s, uint64_t ref) noexcept nogil:
    if s.by_offset:
        PYTHANOS_PREFETCH(s.base + (ref - s.file_start))
    else:
        PYTHANOS_PREFETCH(s.offset + ref)


cdef inline void prefetch_text(const Symbols* s, uint64_t ref) noexcept nogil:
    if not s.by_offset and ref < s.count:
        PYTHANOS_PREFETCH(s.base + s.offset[ref])


cdef inline bint put_bytes(Growing* g, const uint8_t* data, Py_ssize_t size) noexcept nogil:
    """`data` lies in the same arena, so that reading and writing up to SLACK bytes beyond it is harmless."""
    cdef uint8_t* to = g.data + g.size
    if size > SLACK:
        memcpy(to, data, size)
    else:
        memmove(to, data, 16)
        memmove(to + 16, data + 16, 16)
        if size > 32:
            memmove(to + 32, data + 32, 16)
            memmove(to + 48, data + 48, 16)
    g.size += size
    return True


cdef inline bint put_symbols(LabelWriter* w, uint64_t name_ref, uint64_t value_ref) noexcept nogil:
    """Appends one label to the arena, from the memo or from the symbol table."""
    cdef Growing* g = &w.labels
    cdef uint64_t key = (name_ref << 32 | (value_ref & 0xFFFFFFFFULL)) * 0x9E3779B97F4A7C15ULL
    cdef Memo* memo = &w.memo[key >> w.memo_shift]
    cdef const uint8_t* name
    cdef const uint8_t* value
    cdef Py_ssize_t name_size, value_size, size
    if memo.size and memo.name == name_ref and memo.value == value_ref:
        if g.capacity - g.size < memo.size + SLACK and not reserve(g, memo.size + SLACK):
            return refuse(w, NULL)
        return put_bytes(g, g.data + memo.offset, memo.size)
    if not symbol(w.symbols, name_ref, &name, &name_size) or not symbol(w.symbols, value_ref, &value, &value_size):
        return refuse(w, b"series entry with an unknown symbol")
    size = label_size(name_size, value_size)
    if g.capacity - g.size < size + SLACK and not reserve(g, size + SLACK):
        return refuse(w, NULL)
    put_label(g.data + g.size, name, name_size, value, value_size)
    if name_ref < 0x100000000ULL and value_ref < 0x100000000ULL:
        memo.name = <uint32_t>name_ref
        memo.value = <uint32_t>value_ref
        memo.offset = g.size
        memo.size = size
    g.size += size
    return True


cdef inline Py_ssize_t shared_labels(LabelWriter* w, const uint64_t* refs, Py_ssize_t count) noexcept nogil:
    """With how many labels of the last series this one begins; notes where the two do not rise."""
    cdef Before* before = &w.before
    cdef Py_ssize_t i = 0, most = min(count, before.labels, <Py_ssize_t>COMPARED)
    while i < most and refs[2 * i] == before.refs[2 * i] and refs[2 * i + 1] == before.refs[2 * i + 1]:
        i += 1
    if before.labels >= 0 and (
        i >= most
        or refs[2 * i] < before.refs[2 * i]
        or (refs[2 * i] == before.refs[2 * i] and refs[2 * i + 1] < before.refs[2 * i + 1])
    ):
        w.rising = False
    return i if i > 0 else 0


cdef inline bint put_labels(LabelWriter* w, const uint64_t* refs, Py_ssize_t count) noexcept nogil:
    """Writes one label block: the series' labels without the dropped ones, external labels in their places."""
    cdef Py_ssize_t i, k, next_external = 0, start = w.labels.size, shared = shared_labels(w, refs, count)
    cdef Before* before = &w.before
    cdef uint64_t name
    cdef External* e
    cdef bint skip
    if shared:
        if not reserve(&w.labels, before.end[shared - 1] + SLACK):
            return refuse(w, NULL)
        memcpy(w.labels.data + start, w.labels.data + before.start, before.end[shared - 1])
        w.labels.size += before.end[shared - 1]
        next_external = before.external[shared - 1]
    before.start, before.labels = start, count
    for i in range(shared, count):
        name = refs[2 * i]
        skip = False
        while next_external < w.externals and name >= w.external[next_external].before:
            e = &w.external[next_external]
            if not append(&w.labels, e.block, e.size):
                return refuse(w, NULL)
            next_external += 1
            if name == e.before and e.replaces:
                skip = True
                break
        for k in range(w.drops):
            if w.drop[k] == name:
                skip = True
        if not skip and not put_symbols(w, name, refs[2 * i + 1]):
            return False
        if i < COMPARED:
            before.refs[2 * i], before.refs[2 * i + 1] = name, refs[2 * i + 1]
            before.end[i], before.external[i] = w.labels.size - start, next_external
    while next_external < w.externals:
        e = &w.external[next_external]
        if not append(&w.labels, e.block, e.size):
            return refuse(w, NULL)
        next_external += 1
    if w.labels.size - start > 0x7FFFFFFF:
        return refuse(w, b"labels of more than 2 GiB")
    if not (
        push64(&w.offset, start)
        and push32(&w.length, <uint32_t>(w.labels.size - start))
    ):
        return refuse(w, NULL)
    return True


cdef inline bint put_hashes(LabelWriter* w) noexcept nogil:
    """Hashes the blocks that have none yet, in a loop of their own, where one hash overlaps the next."""
    cdef Growing* g = &w.hash
    cdef const int64_t* at
    cdef const int32_t* size
    cdef Py_ssize_t i, rows = w.offset.size // 8
    if not reserve(g, 8 * rows - g.size):
        return False
    at = <const int64_t*>w.offset.data
    size = <const int32_t*>w.length.data
    for i in range(g.size // 8, rows):
        (<uint64_t*>g.data)[i] = xxh64(w.labels.data + at[i], size[i], 0)
    g.size = 8 * rows
    return True
