"""The series entries of an index, decoded to columns.

Design: the chunk part of an entry is read before its labels are written, because an entry without a chunk in range
needs no labels. Parsed entries wait in groups of 32, so that the symbols they name are in the cache when they are
copied (`_entry_labels.pxd`). Format: docs/formats/index.md.
"""

import numpy as np

from pythanos.errors import CorruptData
from pythanos.model.entries import SeriesEntries
from pythanos.model.series import LabelColumn

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from pythanos._arena cimport Growing, push64, release, reserve, seal
from pythanos._cursor cimport Cursor, cursor, offset, read_u32be, remaining, take
from pythanos._entry_labels cimport (
    MEMO_BITS, MEMO_BITS_MIN, SLACK, External, LabelWriter, Memo, prefetch_offset, prefetch_text, put_hashes,
    put_labels,
)
from pythanos._hash cimport crc32c
from pythanos._labels cimport Label, Labels, labels_in, next_label
from pythanos._symbols cimport SymbolTable, lower_bound, reference
from pythanos._varint cimport fast_uvarint, fast_varint, ref_uvarint

# An entry that claims more is garbage, not a reason to fetch it: two weeks of chunks of one series take some KB.
cdef uint64_t ENTRY_BYTES_MAX = 1 << 24


cdef struct Part:
    const uint8_t* data
    Py_ssize_t size


cdef enum:
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
    int64_t mint
    int64_t maxt
    bint skip_chunks
    bint check_crc
    Staged staged[STAGE]
    int staging
    Growing refs
    Growing columns[COLUMNS]
    const char* fault
    Py_ssize_t fault_row
    LabelWriter writer


cdef inline bint fail(Decoding* d, const char* reason) noexcept nogil:
    d.fault = reason
    return False


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
            prefetch_offset(d.writer.symbols, refs[i])
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


cdef bint put_staged(Decoding* d) noexcept nogil:
    """Writes the label blocks of the staged series; after a fault the first one left is the one at fault."""
    cdef const uint64_t* refs = <const uint64_t*>d.refs.data
    cdef Py_ssize_t i
    cdef int k
    for i in range(1, d.refs.size // 8, 2):
        prefetch_text(d.writer.symbols, refs[i])
    for k in range(d.staging):
        d.fault_row = d.staged[k].row
        if not put_labels(&d.writer, refs + d.staged[k].first, d.staged[k].labels):
            return fail(d, d.writer.fault)
    if not put_hashes(&d.writer):
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
    cdef bint good = reserve(&d.writer.labels, SLACK + (n if n < 1 << 14 else 1 << 14) * 320)
    good = good and reserve(&d.writer.offset, 8 * n) and reserve(&d.writer.length, 4 * n)
    good = good and reserve(&d.writer.hash, 8 * n)
    for k in range(REFETCH):
        good = good and reserve(&d.columns[k], 8 * n + 8)
    return good


cdef bint prepare(LabelWriter* w, bytes external, tuple drop, Py_ssize_t series) except False:
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
    w.memo_shift = 64 - bits
    w.external = <External*>calloc(len(external) // 4 + 1, sizeof(External))
    w.drop = <uint64_t*>calloc(len(drop) + 1, sizeof(uint64_t))
    w.memo = <Memo*>calloc(1 << bits, sizeof(Memo))
    if w.external == NULL or w.drop == NULL or w.memo == NULL:
        raise MemoryError
    start = labels.at
    while next_label(&labels, &label):
        if label.name[:label.name_length] not in drop:
            number = lower_bound(w.symbols, label.name, label.name_length, &exact)
            w.external[n].block = start
            w.external[n].size = labels.at - start
            w.external[n].before = reference(w.symbols, number)
            w.external[n].replaces = exact
            n += 1
        start = labels.at
    if labels.bad:
        raise ValueError("external is not a label block")
    w.externals = n
    for name in drop:
        number = lower_bound(w.symbols, name, len(name), &exact)
        if exact:
            w.drop[w.drops] = reference(w.symbols, number)
            w.drops += 1
    return True


cdef object column(Growing* g, dtype):
    return np.frombuffer(seal(g), dtype) if g.size else np.empty(0, dtype)


cdef object entries_of(Decoding* d):
    offsets, lengths = column(&d.writer.offset, np.int64), column(&d.writer.length, np.int32)
    arena = seal(&d.writer.labels) if d.writer.labels.size else memoryview(b"")
    return SeriesEntries(
        rows=column(&d.columns[ROWS], np.int64),
        labels=LabelColumn(arena, offsets, lengths, column(&d.writer.hash, np.uint64)),
        chunk_start=column(&d.columns[CHUNK_START], np.int64),
        chunk_mint=column(&d.columns[CHUNK_MINT], np.int64),
        chunk_maxt=column(&d.columns[CHUNK_MAXT], np.int64),
        chunk_ref=column(&d.columns[CHUNK_REF], np.uint64),
        refetch=column(&d.columns[REFETCH], np.int64),
        refetch_length=column(&d.columns[REFETCH_LENGTH], np.int64),
        rising=d.writer.rising,
    )


cdef void free_decoding(Decoding* d) noexcept:
    cdef int i
    free(d.writer.external)
    free(d.writer.drop)
    free(d.writer.memo)
    release(&d.writer.labels)
    release(&d.writer.offset)
    release(&d.writer.length)
    release(&d.writer.hash)
    release(&d.refs)
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
        d.writer.symbols = &symbols.symbols
        d.mint, d.maxt, d.skip_chunks, d.check_crc = mint, maxt, skip_chunks, check_crc
        d.writer.before.labels, d.writer.rising = -1, True
        prepare(&d.writer, external, drop, n)
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
