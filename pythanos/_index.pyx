"""The series entries of an index, decoded to columns.

Design: the chunk part of an entry is read before its labels are written, because an entry without a chunk in range needs
no labels. Parsed entries wait in groups of 32, so that the symbols they name are in the cache when they are copied. The
labels that a series begins with as the one before it did are copied in one piece; each other one is written from the wire
bytes of the same (name, value) references in an earlier series where a small direct-mapped memo still knows them, as
neighbours in label order share most labels. Symbols are sorted, so whether an external label belongs before a series
label, and whether the series rise, is a comparison of references. Format: docs/formats/index.md.
"""

import numpy as np

from pythanos.errors import CorruptData
from pythanos.model.entries import SeriesEntries
from pythanos.model.series import LabelColumn

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from pythanos._arena cimport Growing, append, release, reserve, seal
from pythanos._cursor cimport Cursor, cursor, offset, read_u32be, remaining, take
from pythanos._hash cimport crc32c, xxh64
from pythanos._labels cimport Label, Labels, label_size, labels_in, next_label, put_label
from pythanos._symbols cimport Symbols, SymbolTable, lower_bound, reference, symbol
from pythanos._varint cimport fast_uvarint, fast_varint, ref_uvarint

# An entry that claims more is garbage, not a reason to fetch it: two weeks of chunks of one series take some KB.
cdef extern from *:
    """
    #define PYTHANOS_PREFETCH(p) __builtin_prefetch((const void*)(p))
    """
    void PYTHANOS_PREFETCH(const void*) noexcept nogil

cdef uint64_t ENTRY_BYTES_MAX = 1 << 24
cdef enum:
    # For many series: for a few a smaller memo is enough, which is cleared sooner.
    MEMO_BITS = 11
    MEMO_BITS_MIN = 6
    SLACK = 64
    # Labels of a series that are compared with those of the one before.
    COMPARED = 64

cdef struct Part:
    const uint8_t* data
    Py_ssize_t size


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


cdef enum:
    LABEL_OFFSET
    LABEL_LENGTH
    LABEL_HASH
    ROWS
    CHUNK_START
    CHUNK_MINT
    CHUNK_MAXT
    CHUNK_REF
    REFETCH
    REFETCH_LENGTH
    COLUMNS
    # Series that are parsed before their labels are written, while the cache fetches the symbols.
    STAGE = 32


cdef struct Staged:
    # A series whose labels are still to be written: where its symbol references are in `refs`.
    Py_ssize_t row
    Py_ssize_t first
    Py_ssize_t labels


cdef struct Decoding:
    const Symbols* symbols
    External* external
    Py_ssize_t externals
    uint64_t* drop
    Py_ssize_t drops
    Memo* memo
    int memo_shift
    Before before
    bint rising
    int64_t mint
    int64_t maxt
    bint skip_chunks
    bint check_crc
    Staged staged[STAGE]
    int staging
    Growing refs
    Growing labels
    Growing columns[COLUMNS]
    const char* fault
    Py_ssize_t fault_row


cdef inline bint push64(Growing* g, uint64_t value) noexcept nogil:
    if g.capacity - g.size < 8 and not reserve(g, 8):
        return False
    memcpy(g.data + g.size, &value, 8)
    g.size += 8
    return True


cdef inline bint push32(Growing* g, uint32_t value) noexcept nogil:
    if g.capacity - g.size < 4 and not reserve(g, 4):
        return False
    memcpy(g.data + g.size, &value, 4)
    g.size += 4
    return True


cdef inline bint fail(Decoding* d, const char* reason) noexcept nogil:
    d.fault = reason
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


cdef bint put_symbols(Decoding* d, uint64_t name_ref, uint64_t value_ref) noexcept nogil:
    """Appends one label to the arena, from the memo or from the symbol table."""
    cdef Growing* g = &d.labels
    cdef uint64_t key = (name_ref << 32 | (value_ref & 0xFFFFFFFFULL)) * 0x9E3779B97F4A7C15ULL
    cdef Memo* memo = &d.memo[key >> d.memo_shift]
    cdef const uint8_t* name
    cdef const uint8_t* value
    cdef Py_ssize_t name_size, value_size, size
    if memo.size and memo.name == name_ref and memo.value == value_ref:
        if g.capacity - g.size < memo.size + SLACK and not reserve(g, memo.size + SLACK):
            return fail(d, NULL)
        return put_bytes(g, g.data + memo.offset, memo.size)
    if not symbol(d.symbols, name_ref, &name, &name_size) or not symbol(d.symbols, value_ref, &value, &value_size):
        return fail(d, b"series entry with an unknown symbol")
    size = label_size(name_size, value_size)
    if g.capacity - g.size < size + SLACK and not reserve(g, size + SLACK):
        return fail(d, NULL)
    put_label(g.data + g.size, name, name_size, value, value_size)
    if name_ref < 0x100000000ULL and value_ref < 0x100000000ULL:
        memo.name = <uint32_t>name_ref
        memo.value = <uint32_t>value_ref
        memo.offset = g.size
        memo.size = size
    g.size += size
    return True


cdef Py_ssize_t shared_labels(Decoding* d, const uint64_t* refs, Py_ssize_t count) noexcept nogil:
    """With how many labels of the last series this one begins; notes where the two do not rise."""
    cdef Before* before = &d.before
    cdef Py_ssize_t i = 0, most = min(count, before.labels, <Py_ssize_t>COMPARED)
    while i < most and refs[2 * i] == before.refs[2 * i] and refs[2 * i + 1] == before.refs[2 * i + 1]:
        i += 1
    if before.labels >= 0 and (
        i >= most
        or refs[2 * i] < before.refs[2 * i]
        or (refs[2 * i] == before.refs[2 * i] and refs[2 * i + 1] < before.refs[2 * i + 1])
    ):
        d.rising = False
    return i if i > 0 else 0


cdef bint put_labels(Decoding* d, const uint64_t* refs, Py_ssize_t count) noexcept nogil:
    """Writes one label block: the series' labels without the dropped ones, external labels in their places."""
    cdef Py_ssize_t i, k, next_external = 0, start = d.labels.size, shared = shared_labels(d, refs, count)
    cdef Before* before = &d.before
    cdef uint64_t name
    cdef External* e
    cdef bint skip
    if shared:
        if not reserve(&d.labels, before.end[shared - 1] + SLACK):
            return fail(d, NULL)
        memcpy(d.labels.data + start, d.labels.data + before.start, before.end[shared - 1])
        d.labels.size += before.end[shared - 1]
        next_external = before.external[shared - 1]
    before.start, before.labels = start, count
    for i in range(shared, count):
        name = refs[2 * i]
        skip = False
        while next_external < d.externals and name >= d.external[next_external].before:
            e = &d.external[next_external]
            if not append(&d.labels, e.block, e.size):
                return fail(d, NULL)
            next_external += 1
            if name == e.before and e.replaces:
                skip = True
                break
        for k in range(d.drops):
            if d.drop[k] == name:
                skip = True
        if not skip and not put_symbols(d, name, refs[2 * i + 1]):
            return False
        if i < COMPARED:
            before.refs[2 * i], before.refs[2 * i + 1] = name, refs[2 * i + 1]
            before.end[i], before.external[i] = d.labels.size - start, next_external
    while next_external < d.externals:
        e = &d.external[next_external]
        if not append(&d.labels, e.block, e.size):
            return fail(d, NULL)
        next_external += 1
    if d.labels.size - start > 0x7FFFFFFF:
        return fail(d, b"labels of more than 2 GiB")
    if not (
        push64(&d.columns[LABEL_OFFSET], start)
        and push32(&d.columns[LABEL_LENGTH], <uint32_t>(d.labels.size - start))
    ):
        return fail(d, NULL)
    return True


cdef int read_chunk_metas(Decoding* d, Cursor* c) noexcept nogil:
    """Appends the chunks that overlap [mint, maxt]: 1 if there are any, 0 if none, -1 for a fault."""
    cdef uint64_t count = fast_uvarint(c), i, ref = 0, mint = 0, maxt = 0
    cdef bint found = False
    for i in range(count):
        if i == 0:
            mint = <uint64_t>fast_varint(c)
            maxt = mint + fast_uvarint(c)
            ref = fast_uvarint(c)
        else:
            mint = maxt + fast_uvarint(c)
            maxt = mint + fast_uvarint(c)
            ref += <uint64_t>fast_varint(c)
        if c.bad or <int64_t>mint > d.maxt:
            break
        if <int64_t>maxt >= d.mint:
            found = True
            if d.skip_chunks:
                break
            if not (
                push64(&d.columns[CHUNK_MINT], mint)
                and push64(&d.columns[CHUNK_MAXT], maxt)
                and push64(&d.columns[CHUNK_REF], ref)
            ):
                fail(d, NULL)
                return -1
    if c.bad:
        fail(d, b"series entry ends inside its chunks")
        return -1
    return found


cdef bint decode_body(Decoding* d, Cursor* c, Py_ssize_t row) noexcept nogil:
    """One entry's body, its labels staged; False with `fault` (NULL: no memory) where it cannot be decoded."""
    cdef uint64_t labels = fast_uvarint(c), i
    cdef uint64_t* refs
    cdef Staged* staged = &d.staged[d.staging]
    cdef int found
    if c.bad or labels > <uint64_t>remaining(c) // 2:
        return fail(d, b"series entry with more labels than bytes")
    if not reserve(&d.refs, 16 * labels + 16):
        return fail(d, NULL)
    refs = <uint64_t*>(d.refs.data + d.refs.size)
    for i in range(2 * labels):
        refs[i] = ref_uvarint(c)
        if i & 1:
            prefetch_offset(d.symbols, refs[i])
    if c.bad:
        return fail(d, b"series entry ends inside its labels")
    found = read_chunk_metas(d, c)
    if found < 0:
        return False
    if not found:
        return True
    if not (push64(&d.columns[ROWS], row) and push64(&d.columns[CHUNK_START], d.columns[CHUNK_REF].size // 8)):
        return fail(d, NULL)
    staged.row = row
    staged.first = d.refs.size // 8
    staged.labels = <Py_ssize_t>labels
    d.refs.size += 16 * labels
    d.staging += 1
    return True


cdef bint put_hashes(Decoding* d) noexcept nogil:
    """Hashes the blocks of the staged series, in a loop of their own, where one hash overlaps the next."""
    cdef Growing* g = &d.columns[LABEL_HASH]
    cdef const int64_t* at
    cdef const int32_t* size
    cdef Py_ssize_t i, rows = d.columns[LABEL_OFFSET].size // 8
    if not reserve(g, 8 * rows - g.size):
        return False
    at = <const int64_t*>d.columns[LABEL_OFFSET].data
    size = <const int32_t*>d.columns[LABEL_LENGTH].data
    for i in range(g.size // 8, rows):
        (<uint64_t*>g.data)[i] = xxh64(d.labels.data + at[i], size[i], 0)
    g.size = 8 * rows
    return True


cdef bint put_staged(Decoding* d) noexcept nogil:
    """Writes the label blocks of the staged series; after a fault the first one left is the one at fault."""
    cdef const uint64_t* refs = <const uint64_t*>d.refs.data
    cdef Py_ssize_t i
    cdef int k
    for i in range(1, d.refs.size // 8, 2):
        prefetch_text(d.symbols, refs[i])
    for k in range(d.staging):
        d.fault_row = d.staged[k].row
        if not put_labels(d, refs + d.staged[k].first, d.staged[k].labels):
            return False
    if not put_hashes(d):
        return fail(d, NULL)
    d.staging = 0
    d.refs.size = 0
    return True


cdef bint ask_again(Decoding* d, Py_ssize_t row, uint64_t length) noexcept nogil:
    if push64(&d.columns[REFETCH], row) and push64(&d.columns[REFETCH_LENGTH], length):
        return True
    return fail(d, NULL)


cdef bint decode_entry(Decoding* d, const Part* part, int64_t at, Py_ssize_t row) noexcept nogil:
    """One entry, or a note that more of it has to be fetched."""
    cdef Cursor c
    d.fault_row = row
    cdef uint64_t size, left
    cdef const uint8_t* body
    if at < 0:
        return fail(d, b"series entry before the start of the file")
    left = part.size - at if at < part.size else 0
    c = cursor(part.data + at, left) if left else cursor(NULL, 0)
    size = fast_uvarint(&c)
    if c.bad:
        if left >= 10:
            return fail(d, b"series entry without a length")
        return ask_again(d, row, SLACK)
    if size > ENTRY_BYTES_MAX:
        return fail(d, b"series entry too long to be one")
    if size + 4 > <uint64_t>remaining(&c):
        return ask_again(d, row, offset(&c) + size + 4)
    body = take(&c, size)
    if d.check_crc and crc32c(0, body, size) != read_u32be(&c):
        return fail(d, b"checksum of a series entry does not match")
    c = cursor(body, size)
    return decode_body(d, &c, row)


cdef bint make_room(Decoding* d, Py_ssize_t n) noexcept nogil:
    """A first guess at the columns of n series, so that they seldom grow; what is too much goes back at the end."""
    cdef int k
    cdef bint good = reserve(&d.labels, SLACK + (n if n < 1 << 14 else 1 << 14) * 320)
    for k in range(REFETCH):
        good = good and reserve(&d.columns[k], 8 * n + 8)
    return good


cdef bint prepare(Decoding* d, bytes external, tuple drop, Py_ssize_t series) except False:
    """Finds where external labels belong among the symbols, and the references of the names to drop."""
    cdef Labels labels = labels_in(external, len(external))
    cdef Label label
    cdef const uint8_t* start
    cdef bytes name
    cdef bint exact
    cdef Py_ssize_t number, n = 0
    cdef int bits = MEMO_BITS_MIN
    while bits < MEMO_BITS and series > 1 << (bits - 4):
        bits += 1
    d.memo_shift = 64 - bits
    d.external = <External*>calloc(len(external) // 4 + 1, sizeof(External))
    d.drop = <uint64_t*>calloc(len(drop) + 1, sizeof(uint64_t))
    d.memo = <Memo*>calloc(1 << bits, sizeof(Memo))
    if d.external == NULL or d.drop == NULL or d.memo == NULL:
        raise MemoryError
    start = labels.at
    while next_label(&labels, &label):
        if label.name[:label.name_length] not in drop:
            number = lower_bound(d.symbols, label.name, label.name_length, &exact)
            d.external[n].block = start
            d.external[n].size = labels.at - start
            d.external[n].before = reference(d.symbols, number)
            d.external[n].replaces = exact
            n += 1
        start = labels.at
    if labels.bad:
        raise ValueError("external is not a label block")
    d.externals = n
    for name in drop:
        number = lower_bound(d.symbols, name, len(name), &exact)
        if exact:
            d.drop[d.drops] = reference(d.symbols, number)
            d.drops += 1
    return True


cdef object column(Decoding* d, int which, dtype):
    cdef Growing* g = &d.columns[which]
    return np.frombuffer(seal(g), dtype) if g.size else np.empty(0, dtype)


cdef object entries_of(Decoding* d):
    offsets, lengths = column(d, LABEL_OFFSET, np.int64), column(d, LABEL_LENGTH, np.int32)
    arena = seal(&d.labels) if d.labels.size else memoryview(b"")
    return SeriesEntries(
        rows=column(d, ROWS, np.int64),
        labels=LabelColumn(arena, offsets, lengths, column(d, LABEL_HASH, np.uint64)),
        chunk_start=column(d, CHUNK_START, np.int64),
        chunk_mint=column(d, CHUNK_MINT, np.int64),
        chunk_maxt=column(d, CHUNK_MAXT, np.int64),
        chunk_ref=column(d, CHUNK_REF, np.uint64),
        refetch=column(d, REFETCH, np.int64),
        refetch_length=column(d, REFETCH_LENGTH, np.int64),
        rising=d.rising,
    )


cdef void free_decoding(Decoding* d) noexcept:
    cdef int i
    free(d.external)
    free(d.drop)
    free(d.memo)
    release(&d.refs)
    release(&d.labels)
    for i in range(COLUMNS):
        release(&d.columns[i])


def decode_series(
    parts,
    entry_offset,
    SymbolTable symbols not None,
    int64_t mint,
    int64_t maxt,
    *,
    part=None,
    part_start=None,
    bytes external=b"",
    tuple drop=(),
    bint skip_chunks=False,
    bint check_crc=False,
    str file="index",
):
    """SeriesEntries of the series entries at the given places that have a chunk in [mint, maxt] ms.

    parts: one buffer (an mmap of the index, say), or a list of buffers, the ranges that were fetched; no concatenation
    is needed. entry_offset: int64[n], where each entry's length varint is in its part. part: int32[n], which part each
    entry is in (None: the first). part_start: int64[parts], where each part begins in the index file (None: 0), used
    in errors only. external: label block merged into each label set in sorted place; it overrides a series label of
    the same name. drop: names (bytes) left out, external ones too. skip_chunks: labels only, still of series with a
    chunk in range. check_crc: compare each entry's CRC-32C; off by default as in Thanos' store.

    The label arena holds one label block per series without gaps. An entry that goes on after the end of its part is
    named in `refetch` and missing from the other columns. Raises CorruptData with the entry's place in the index file;
    ValueError for a part number out of range.
    """
    cdef list held = list(parts) if isinstance(parts, (list, tuple)) else [parts]
    cdef const int64_t[::1] offsets = np.ascontiguousarray(entry_offset, np.int64)
    cdef const int32_t[::1] numbers = None if part is None else np.ascontiguousarray(part, np.int32)
    cdef Py_ssize_t n = offsets.shape[0], i, opened = 0, count = len(held)
    cdef bint one = part is None
    cdef Decoding d
    cdef Py_buffer* buffers = <Py_buffer*>calloc(count + 1, sizeof(Py_buffer))
    cdef Part* lent = <Part*>calloc(count + 1, sizeof(Part))
    cdef int64_t number = 0
    cdef bint good = True
    if not one and numbers.shape[0] != n:
        raise ValueError("part and entry_offset differ in length")
    memset(&d, 0, sizeof(Decoding))
    try:
        if buffers == NULL or lent == NULL:
            raise MemoryError
        for i in range(count):
            PyObject_GetBuffer(held[i], &buffers[i], PyBUF_SIMPLE)
            opened += 1
            lent[i].data = <const uint8_t*>buffers[i].buf
            lent[i].size = buffers[i].len
        d.symbols = &symbols.symbols
        d.mint, d.maxt, d.skip_chunks, d.check_crc = mint, maxt, skip_chunks, check_crc
        d.before.labels, d.rising = -1, True
        prepare(&d, external, drop, n)
        i = 0
        with nogil:
            good = push64(&d.columns[CHUNK_START], 0) and make_room(&d, n)
            while good and i < n:
                number = 0 if one else numbers[i]
                if number < 0 or number >= count:
                    break
                good = decode_entry(&d, &lent[number], offsets[i], i) and (d.staging < STAGE or put_staged(&d))
                if good:
                    i += 1
            good = good and put_staged(&d)
        if not good:
            if d.fault == NULL:
                raise MemoryError
            number = 0 if one else numbers[d.fault_row]
            start = 0 if part_start is None else int(part_start[number])
            raise CorruptData(file, start + offsets[d.fault_row], d.fault.decode())
        if i < n:
            raise ValueError(f"entry {i} is in part {number} of {count}")
        return entries_of(&d)
    finally:
        for i in range(opened):
            PyBuffer_Release(&buffers[i])
        free(buffers)
        free(lent)
        free_decoding(&d)
