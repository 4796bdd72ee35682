"""Protobuf bytes of SeriesResponse messages <-> SeriesBatch columns.

Design. A batch whose arena holds Series messages already (``SeriesBatch.wire``) is encoded by copying them. Else a label
block is already the bytes of a Series message's ``labels`` fields, so encoding a series copies one run of bytes and writes
a few headers round its chunks; decoding scans the headers and keeps offsets into the received buffer. Both walk a batch
once or twice in C with the GIL released. Encoding first measures (chunk hashes are computed here, once), then writes into
a bytes object of exactly that size. Decoding grows two arrays of plain structs, which
then become numpy columns. Several messages laid end to end scan like one: each top-level field is a frame.

The numbers are those of types.proto and store.proto. Wire types: 0 varint, 1 fixed64, 2 length-delimited, 5 fixed32.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

import numpy as np

from pythanos._cursor cimport Cursor, cursor, offset, read_uvarint, take
from pythanos._hash cimport xxh64
from pythanos._label_rows cimport put_varint, varint_size
from pythanos._series_message cimport ChunkColumns, measure, write_series

from pythanos.errors import CorruptData
from pythanos.model.series import LabelColumn, SeriesBatch


class NotCanonical(Exception):
    """Legal protobuf in an order that columns cannot point into (labels apart, empty label values)."""


cdef bytes copied_records(
    const uint8_t[::1] arena, const int64_t[:, ::1] wire, Py_ssize_t first, Py_ssize_t stop, bint batched
):
    """The message of series whose records stand in the arena; neighbours without a gap are copied at once."""
    cdef Py_ssize_t i
    cdef int64_t total = 0, start, end, size = arena.shape[0]
    if first < 0 or stop > wire.shape[0]:
        raise ValueError("rows outside of the batch")
    for i in range(first, stop):
        if not 0 <= wire[i, 0] <= wire[i, 1] <= size:
            raise ValueError("record outside of the arena")
        total += wire[i, 1] - wire[i, 0]
    cdef bytes message = PyBytes_FromStringAndSize(NULL, (1 + varint_size(total) if batched else 0) + total)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(message)
    with nogil:
        if batched:
            out[0] = 0x22
            out = put_varint(out + 1, total)
        i = first
        while i < stop:
            start, end = wire[i, 0], wire[i, 1]
            i += 1
            while i < stop and wire[i, 0] == end:
                end = wire[i, 1]
                i += 1
            memcpy(out, &arena[0] + start, end - start)
            out += end - start
    return message


def encode_series(batch, Py_ssize_t first=0, last=None, *, bint batched=True):
    """One SeriesResponse message with the series [first, last) of a SeriesBatch.

    Returns bytes: a ``batch`` field with all of them, or, not batched, a ``series`` field (then exactly one series). Every
    chunk carries the XXH64 of its data. The batch's columns are trusted to lie inside its arena, as its maker promised.
    Raises ValueError for an empty or, not batched, longer range.
    """
    cdef Py_ssize_t stop = len(batch) if last is None else last
    cdef Py_ssize_t count = stop - first
    if count < 1 or (count > 1 and not batched):
        raise ValueError(f"one message cannot hold {count} series")
    if batch.wire is not None:
        return copied_records(batch.labels.arena, batch.wire, first, stop, batched)
    labels = batch.labels
    cdef const uint8_t[::1] arena = labels.arena
    cdef const int64_t[::1] label_offset = labels.offset
    cdef const int32_t[::1] label_length = labels.length
    cdef const int64_t[::1] chunk_start = batch.chunk_start
    cdef const int64_t[::1] mint = batch.chunk_mint
    cdef const int64_t[::1] maxt = batch.chunk_maxt
    cdef const uint8_t[::1] encoding = batch.chunk_encoding
    cdef const uint8_t[::1] aggregate = batch.chunk_aggregate
    cdef const int64_t[::1] chunk_offset = batch.chunk_offset
    cdef const int32_t[::1] chunk_length = batch.chunk_length
    cdef Py_ssize_t chunks_first = chunk_start[first]
    cdef Py_ssize_t chunks = chunk_start[stop] - chunks_first
    cdef uint64_t[::1] hashes = np.empty(max(chunks, 1), np.uint64)
    cdef int64_t[::1] sizes = np.empty(count, np.int64)
    cdef ChunkColumns c
    memset(&c, 0, sizeof(ChunkColumns))
    c.arena = &arena[0] if arena.shape[0] else NULL
    # Shifted so that the hash column is indexed by chunk row like the others.
    c.hash = &hashes[0] - chunks_first
    if chunks:
        c.mint, c.maxt, c.encoding = &mint[0], &maxt[0], &encoding[0]
        c.aggregate, c.offset, c.length = &aggregate[0], &chunk_offset[0], &chunk_length[0]
    cdef int64_t total
    with nogil:
        total = measure(&c, &chunk_start[0], &label_length[0], first, stop, &sizes[0])
    cdef int64_t header = 1 + varint_size(total) if batched else 0
    message = PyBytes_FromStringAndSize(NULL, header + total)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(message)
    cdef Py_ssize_t series
    with nogil:
        if batched:
            out[0] = 0x22
            out = put_varint(out + 1, total)
        for series in range(first, stop):
            out = write_series(
                out, &c, chunk_start[series], chunk_start[series + 1],
                c.arena + label_offset[series], label_length[series], sizes[series - first],
            )
    return message


cdef struct SeriesRow:
    int64_t start
    int64_t end
    int64_t label_offset
    int64_t chunk_end
    uint64_t hash
    int32_t label_length


cdef struct ChunkRow:
    int64_t mint
    int64_t maxt
    int64_t offset
    int32_t length
    uint8_t encoding
    uint8_t aggregate


cdef struct Frame:
    # A warning (field 2) or hints (field 3) beside the series.
    int64_t offset
    int64_t length
    int field


cdef struct Scan:
    Cursor c
    SeriesRow* series
    Py_ssize_t series_count, series_room
    ChunkRow* chunks
    Py_ssize_t chunk_count, chunk_room
    Frame* frames
    Py_ssize_t frame_count, frame_room
    const char* reason
    bint canonical
    # Whether each chunk came with a hash.
    bint hashed


cdef inline void* grown(void* items, Py_ssize_t count, Py_ssize_t* room, size_t item_size) noexcept nogil:
    """The same items with room for one more; NULL when memory is out (the old block then still stands)."""
    if count < room[0]:
        return items
    cdef Py_ssize_t wanted = 256 if room[0] == 0 else room[0] * 2
    cdef void* larger = realloc(items, wanted * item_size)
    if larger != NULL:
        room[0] = wanted
    return larger


cdef inline int fault(Scan* s, const char* reason) noexcept nogil:
    if s.reason == NULL:
        s.reason = reason
    return -1


cdef inline int skip_field(Cursor* c, int wire_type) noexcept nogil:
    if wire_type == 0:
        read_uvarint(c)
    elif wire_type == 1:
        take(c, 8)
    elif wire_type == 2:
        take(c, read_uvarint(c))
    elif wire_type == 5:
        take(c, 4)
    else:
        c.bad = True
    return -1 if c.bad else 0


cdef inline int enter(Scan* s, Cursor* c, Cursor* inner) noexcept nogil:
    """Reads a length and sets `inner` to that many bytes, which are taken from `c`; offsets stay those of the whole."""
    cdef uint64_t size = read_uvarint(c)
    cdef const uint8_t* at = take(c, size)
    if c.bad:
        return fault(s, b"message runs past its end")
    inner.start = c.start
    inner.at = at
    inner.end = at + size
    inner.bad = False
    return 0


cdef int scan_label(Scan* s, Cursor* c) noexcept nogil:
    """Checks one Label message: name then value, both there; anything else is legal but not canonical."""
    cdef Cursor label
    if enter(s, c, &label) < 0:
        return -1
    if label.at >= label.end or label.at[0] != 0x0A:
        s.canonical = False
        return 0
    label.at += 1
    take(&label, read_uvarint(&label))
    if not label.bad and label.at < label.end and label.at[0] == 0x12:
        label.at += 1
        if label.at < label.end and label.at[0] == 0:
            s.canonical = False
        take(&label, read_uvarint(&label))
        if not label.bad and label.at == label.end:
            return 0
    if label.bad:
        c.at = label.at
        return fault(s, b"label runs past its end")
    s.canonical = False
    return 0


cdef int scan_chunk(Scan* s, Cursor* c, uint8_t aggregate) noexcept nogil:
    cdef Cursor chunk
    cdef uint64_t key, encoding = 0, size = 0, hash = 0
    cdef const uint8_t* data = NULL
    cdef ChunkRow* row
    if enter(s, c, &chunk) < 0:
        return -1
    while chunk.at < chunk.end:
        key = read_uvarint(&chunk)
        if key == 0x08:
            encoding = read_uvarint(&chunk)
        elif key == 0x12:
            size = read_uvarint(&chunk)
            data = take(&chunk, size)
        elif key == 0x18:
            hash = read_uvarint(&chunk)
        elif skip_field(&chunk, key & 7) < 0:
            break
        if chunk.bad:
            break
    if chunk.bad:
        c.at = chunk.at
        return fault(s, b"chunk runs past its end")
    if encoding > 253 or size > 0x7FFFFFFF:
        return fault(s, b"chunk of unknown encoding or size")
    if hash == 0:
        s.hashed = False
    cdef void* larger = grown(s.chunks, s.chunk_count, &s.chunk_room, sizeof(ChunkRow))
    if larger == NULL:
        return fault(s, b"out of memory")
    s.chunks = <ChunkRow*>larger
    row = &s.chunks[s.chunk_count]
    row.encoding = <uint8_t>(encoding + 1)
    row.aggregate = aggregate
    row.offset = data - c.start if data != NULL else 0
    row.length = <int32_t>size
    s.chunk_count += 1
    return 0


cdef int scan_aggregate_chunk(Scan* s, Cursor* c) noexcept nogil:
    cdef Cursor inner
    cdef uint64_t key
    cdef int64_t mint = 0, maxt = 0
    cdef Py_ssize_t first = s.chunk_count, row
    if enter(s, c, &inner) < 0:
        return -1
    while inner.at < inner.end:
        key = read_uvarint(&inner)
        if key == 0x08:
            mint = <int64_t>read_uvarint(&inner)
        elif key == 0x10:
            maxt = <int64_t>read_uvarint(&inner)
        elif (key & 7) == 2 and 3 <= (key >> 3) <= 8:
            if scan_chunk(s, &inner, <uint8_t>((key >> 3) - 3)) < 0:
                c.at = inner.at
                return -1
        elif skip_field(&inner, key & 7) < 0:
            break
        if inner.bad:
            break
    if inner.bad:
        c.at = inner.at
        return fault(s, b"chunk list runs past its end")
    for row in range(first, s.chunk_count):
        s.chunks[row].mint = mint
        s.chunks[row].maxt = maxt
        if row > first and s.chunks[row].aggregate <= s.chunks[row - 1].aggregate:
            s.canonical = False
    return 0


cdef int scan_series(Scan* s, Cursor* c) noexcept nogil:
    cdef Cursor inner
    cdef uint64_t key
    cdef const uint8_t* at
    cdef const uint8_t* labels = NULL
    cdef const uint8_t* labels_end = NULL
    cdef SeriesRow* row
    # The key of the field is one byte: another spelling of it was not taken for this one.
    cdef int64_t start = offset(c) - 1
    if enter(s, c, &inner) < 0:
        return -1
    while inner.at < inner.end:
        at = inner.at
        key = read_uvarint(&inner)
        if key == 0x0A:
            if labels == NULL:
                labels = at
            elif labels_end != at:
                s.canonical = False
            if scan_label(s, &inner) < 0:
                c.at = inner.at
                return -1
            labels_end = inner.at
        elif key == 0x12:
            if scan_aggregate_chunk(s, &inner) < 0:
                c.at = inner.at
                return -1
        elif skip_field(&inner, key & 7) < 0:
            c.at = inner.at
            return fault(s, b"series runs past its end")
        if inner.bad:
            c.at = inner.at
            return fault(s, b"series runs past its end")
    if labels == NULL:
        labels = labels_end = inner.end
    cdef void* larger = grown(s.series, s.series_count, &s.series_room, sizeof(SeriesRow))
    if larger == NULL or labels_end - labels > 0x7FFFFFFF:
        return fault(s, b"series too large")
    s.series = <SeriesRow*>larger
    row = &s.series[s.series_count]
    row.start, row.end = start, offset(c)
    row.label_offset = labels - c.start
    row.label_length = <int32_t>(labels_end - labels)
    row.hash = xxh64(labels, labels_end - labels, 0)
    row.chunk_end = s.chunk_count
    s.series_count += 1
    return 0


cdef int scan_frame(Scan* s, int field) noexcept nogil:
    cdef Cursor inner
    if enter(s, &s.c, &inner) < 0:
        return -1
    cdef void* larger = grown(s.frames, s.frame_count, &s.frame_room, sizeof(Frame))
    if larger == NULL:
        return fault(s, b"out of memory")
    s.frames = <Frame*>larger
    s.frames[s.frame_count].offset = inner.at - inner.start
    s.frames[s.frame_count].length = inner.end - inner.at
    s.frames[s.frame_count].field = field
    s.frame_count += 1
    return 0


cdef int scan_batch(Scan* s) noexcept nogil:
    cdef Cursor inner
    cdef uint64_t key
    if enter(s, &s.c, &inner) < 0:
        return -1
    while inner.at < inner.end:
        key = read_uvarint(&inner)
        if key == 0x0A:
            if scan_series(s, &inner) < 0:
                s.c.at = inner.at
                return -1
        elif skip_field(&inner, key & 7) < 0:
            s.c.at = inner.at
            return fault(s, b"batch runs past its end")
    return 0


cdef int scan_messages(Scan* s) noexcept nogil:
    cdef uint64_t key
    while s.c.at < s.c.end:
        key = read_uvarint(&s.c)
        if key == 0x0A:
            if scan_series(s, &s.c) < 0:
                return -1
        elif key == 0x22:
            if scan_batch(s) < 0:
                return -1
        elif key == 0x12 or key == 0x1A:
            if scan_frame(s, <int>(key >> 3)) < 0:
                return -1
        elif s.c.bad or skip_field(&s.c, key & 7) < 0:
            return fault(s, b"message runs past its end")
    return 0


cdef object columns_of(Scan* s, data):
    cdef Py_ssize_t n = s.series_count, m = s.chunk_count, i
    label_offset, label_length = np.empty(n, np.int64), np.empty(n, np.int32)
    label_hash, chunk_start = np.empty(n, np.uint64), np.zeros(n + 1, np.int64)
    mint, maxt, chunk_offset = np.empty(m, np.int64), np.empty(m, np.int64), np.empty(m, np.int64)
    chunk_length, encoding, aggregate = np.empty(m, np.int32), np.empty(m, np.uint8), np.empty(m, np.uint8)
    wire = np.empty((n, 2), np.int64) if s.hashed else None
    cdef int64_t[:, ::1] v_wire = wire
    cdef int64_t[::1] v_label_offset = label_offset, v_chunk_start = chunk_start
    cdef int32_t[::1] v_label_length = label_length, v_chunk_length = chunk_length
    cdef uint64_t[::1] v_hash = label_hash
    cdef int64_t[::1] v_mint = mint, v_maxt = maxt, v_chunk_offset = chunk_offset
    cdef uint8_t[::1] v_encoding = encoding, v_aggregate = aggregate
    with nogil:
        for i in range(n):
            v_label_offset[i] = s.series[i].label_offset
            v_label_length[i] = s.series[i].label_length
            v_hash[i] = s.series[i].hash
            v_chunk_start[i + 1] = s.series[i].chunk_end
            if s.hashed:
                v_wire[i, 0], v_wire[i, 1] = s.series[i].start, s.series[i].end
        for i in range(m):
            v_mint[i] = s.chunks[i].mint
            v_maxt[i] = s.chunks[i].maxt
            v_chunk_offset[i] = s.chunks[i].offset
            v_chunk_length[i] = s.chunks[i].length
            v_encoding[i] = s.chunks[i].encoding
            v_aggregate[i] = s.chunks[i].aggregate
    return SeriesBatch(
        LabelColumn(data, label_offset, label_length, label_hash),
        chunk_start, mint, maxt, encoding, aggregate, chunk_offset, chunk_length, wire,
    )


def decode_series(const uint8_t[::1] data not None, *, str source="series response"):
    """The series of one or more SeriesResponse messages laid end to end.

    Returns ``(batch, frames)``: a SeriesBatch whose arena is ``data`` itself (kept alive, not copied), or None without series;
    and the other frames in order, as ``(field, bytes)`` with field 2 for a warning, 3 for the hints' Any. The order of
    series is that of the messages; it is not checked. Raises CorruptData naming ``source`` and the offset where the bytes
    are no such message, and NotCanonical where they are but the columns cannot point into them.
    """
    cdef Scan s
    cdef uint8_t nothing = 0
    cdef Py_ssize_t size = data.shape[0]
    cdef int status
    s.c = cursor(&data[0] if size else &nothing, size)
    s.series, s.chunks, s.frames = NULL, NULL, NULL
    s.series_count = s.chunk_count = s.frame_count = 0
    s.series_room = s.chunk_room = s.frame_room = 0
    s.reason = NULL
    s.canonical = s.hashed = True
    try:
        with nogil:
            status = scan_messages(&s)
        if status < 0:
            raise CorruptData(source, offset(&s.c), s.reason.decode() if s.reason != NULL else "not a message")
        if not s.canonical:
            raise NotCanonical(source)
        owner = data.base
        batch = columns_of(&s, owner) if s.series_count else None
        view = memoryview(owner)
        frames = [
            (s.frames[i].field, bytes(view[s.frames[i].offset : s.frames[i].offset + s.frames[i].length]))
            for i in range(s.frame_count)
        ]
        return batch, frames
    finally:
        free(s.series)
        free(s.chunks)
        free(s.frames)
