"""The sections of an index, built from columns of series in label order.

Design: while series are added, each distinct label (name and value together) gets a number, and a series is kept as
these numbers and as the chunk part of its entry, already encoded: about 4 bytes a label and 12 a chunk. Symbol numbers
exist only when all symbols are known and sorted; then one pass over the series writes the entries, window by window,
and drops each series reference into the postings lists of its labels, whose places are known from counts. Format:
docs/formats/index.md.
"""

import numpy as np

from pythanos.errors import CorruptData, Halt

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from pythanos._arena cimport Growing, Interner, append, intern_bytes, release, release_interner, reserve, seal
from pythanos._cursor cimport PYTHANOS_BSWAP32
from pythanos._hash cimport crc32c, xxh64
from pythanos._labels cimport (
    Label, LabelRows, Labels, compare_blocks, compare_text, label_size, labels_in, next_label, varint_size,
)
from pythanos._section cimport SortKey, push32, put_padding, put_text, put_u32, put_uvarint, put_zigzag, sort_texts
from pythanos._symbols cimport SymbolTable

cdef enum:
    SERIES_ALIGN = 16
    LIST_ALIGN = 4
    CRC_SIZE = 4

cdef uint64_t SECTION_MAX = 0xFFFFFFFFULL
cdef int NO_MEMORY = -1
cdef int MALFORMED = 1
cdef int OUT_OF_ORDER = 2
cdef int CHUNK_REF = 3
cdef int CHUNK_TIME = 4
cdef int REPEATED = 5
cdef int OUTSIDE = 6

FAULTS = {
    OUT_OF_ORDER: "out-of-order series: labels are not above those of the series before",
    CHUNK_REF: "unsorted chunk reference",
    CHUNK_TIME: "chunk does not begin after the one before, or ends before it begins",
    REPEATED: "label names of a series are not in order",
}


cdef object close_section(Growing* g):
    """Fills in the length at the start (4 bytes left free) and adds the checksum; a memoryview."""
    cdef uint64_t size = g.size - 4
    cdef uint32_t raw
    if size > SECTION_MAX:
        raise Halt("a section of the index would exceed 4 GiB")
    if not reserve(g, CRC_SIZE):
        raise MemoryError
    raw = PYTHANOS_BSWAP32(<uint32_t>size)
    memcpy(g.data, &raw, 4)
    put_u32(g, crc32c(0, g.data + 4, size))
    return seal(g)


cdef class IndexBuilder:
    """Collects series and produces the sections of an index; not for use by several threads at once.

    Use: add_symbols and add, then freeze, then the sections in file order. Memory per series: 4 bytes a label, about
    12 a chunk and 12 more, twice the label part from the first series window on; and each distinct symbol and label
    once.
    """

    cdef Interner symbols
    cdef Interner labels
    cdef Growing label_name
    cdef Growing label_value
    cdef Growing label_count
    cdef Growing series_labels
    cdef Growing series_size
    cdef Growing chunk_metas
    cdef Growing chunk_size
    cdef Growing last
    cdef uint64_t last_ref
    cdef readonly Py_ssize_t series_count
    cdef readonly Py_ssize_t chunk_count
    cdef readonly Py_ssize_t series_size_max
    cdef Py_ssize_t next_series
    cdef Py_ssize_t next_label
    cdef Py_ssize_t next_chunk
    cdef bint frozen
    cdef object symbol_order
    cdef const uint32_t[::1] rank
    cdef const int64_t[::1] list_label
    cdef int64_t[::1] list_start
    cdef int64_t[::1] list_fill
    cdef uint32_t[::1] lists
    cdef uint32_t[::1] refs
    cdef uint64_t[::1] list_place

    def __dealloc__(self):
        release_interner(&self.symbols)
        release_interner(&self.labels)
        release(&self.label_name)
        release(&self.label_value)
        release(&self.label_count)
        release(&self.series_labels)
        release(&self.series_size)
        release(&self.chunk_metas)
        release(&self.chunk_size)
        release(&self.last)

    def add_symbols(self, symbols):
        """Symbols that the index has to hold besides those of its series: a SymbolTable, or bytes objects."""
        cdef SymbolTable table
        cdef Py_ssize_t i
        cdef bytes text
        if self.frozen:
            raise ValueError("the index is frozen")
        if isinstance(symbols, SymbolTable):
            table = symbols
            symbols = (table.bytes_at(i) for i in range(len(table)))
        for text in symbols:
            if self.symbol_id(text, len(text)) < 0:
                raise MemoryError

    cdef Py_ssize_t symbol_id(self, const uint8_t* data, Py_ssize_t size) noexcept nogil:
        """The number of a symbol, -1 without memory."""
        return intern_bytes(&self.symbols, data, size, xxh64(data, size, 0))

    def add(self, labels, chunk_start, chunk_mint, chunk_maxt, chunk_ref):
        """Adds series in label order, behind those added before.

        labels: LabelColumn of n; chunk_start: int64[n + 1]; chunk_mint, chunk_maxt: int64[m] ms, both inside;
        chunk_ref: uint64[m]. Raises Halt where label sets do not increase strictly, a chunk reference decreases, a
        chunk does not begin after the one before it ends; CorruptData for bytes that are no label block. The builder
        is of no use after an error.
        """
        cdef LabelRows rows = LabelRows(labels)
        cdef const int64_t[::1] start = np.ascontiguousarray(chunk_start, np.int64)
        cdef const int64_t[::1] mint = np.ascontiguousarray(chunk_mint, np.int64)
        cdef const int64_t[::1] maxt = np.ascontiguousarray(chunk_maxt, np.int64)
        cdef const uint64_t[::1] ref = np.ascontiguousarray(chunk_ref, np.uint64)
        cdef Py_ssize_t i, n = rows.rows.count, m = ref.shape[0], count
        cdef const int64_t* mints = &mint[0] if m else NULL
        cdef const int64_t* maxts = &maxt[0] if m else NULL
        cdef const uint64_t* refs = &ref[0] if m else NULL
        cdef int fault = 0
        if self.frozen:
            raise ValueError("the index is frozen")
        if start.shape[0] != n + 1 or mint.shape[0] != m or maxt.shape[0] != m:
            raise ValueError("columns of different lengths")
        with nogil:
            for i in range(n):
                if start[i] < 0 or start[i + 1] < start[i] or start[i + 1] > m:
                    fault = OUTSIDE
                    break
                count = start[i + 1] - start[i]
                fault = self.check_chunks(mints + start[i], maxts + start[i], refs + start[i], count)
                if fault == 0:
                    fault = self.add_labels(rows.rows.arena + rows.rows.offset[i], rows.rows.length[i])
                if fault == 0:
                    fault = self.add_chunks(mints + start[i], maxts + start[i], refs + start[i], count)
                if fault:
                    break
        if fault == 0:
            return
        if fault == NO_MEMORY:
            raise MemoryError
        if fault == OUTSIDE:
            raise ValueError(f"chunk rows of series {i} lie outside of their columns")
        if fault == MALFORMED:
            raise CorruptData("labels", int(rows.rows.offset[i]), "not a label block in canonical form")
        raise Halt(f"{FAULTS[fault]}: {labels.block(i)!r}")

    cdef int check_chunks(
        self, const int64_t* mint, const int64_t* maxt, const uint64_t* ref, Py_ssize_t count
    ) noexcept nogil:
        cdef Py_ssize_t k
        cdef uint64_t last = self.last_ref
        for k in range(count):
            if ref[k] < last:
                return CHUNK_REF
            last = ref[k]
            if maxt[k] < mint[k] or (k and mint[k] <= maxt[k - 1]):
                return CHUNK_TIME
        self.last_ref = last
        return 0

    cdef int add_labels(self, const uint8_t* block, Py_ssize_t size) noexcept nogil:
        cdef Labels labels = labels_in(block, size)
        cdef Label label
        cdef Label before = [NULL, 0, NULL, 0]
        cdef const uint8_t* at = block
        cdef Py_ssize_t id, count = 0, kept = self.series_labels.size
        cdef int fault = 0
        if compare_blocks(self.last.data, self.last.size, block, size) >= 0:
            return OUT_OF_ORDER
        while fault == 0 and next_label(&labels, &label):
            if count and compare_text(before.name, before.name_length, label.name, label.name_length) >= 0:
                fault = REPEATED
                break
            id = self.label_id(at, labels.at - at, &label)
            if id < 0:
                fault = MALFORMED if id == -2 else NO_MEMORY
            elif not push32(&self.series_labels, <uint32_t>id):
                fault = NO_MEMORY
            before = label
            at = labels.at
            count += 1
        if labels.bad and fault == 0:
            fault = MALFORMED
        if fault == 0:
            self.last.size = 0
            if not (push32(&self.series_size, <uint32_t>count) and append(&self.last, block, size)):
                fault = NO_MEMORY
            self.count_labels(kept)
        return fault

    cdef void count_labels(self, Py_ssize_t since) noexcept nogil:
        cdef const uint32_t* ids = <const uint32_t*>self.series_labels.data
        cdef uint32_t* counts = <uint32_t*>self.label_count.data
        cdef Py_ssize_t k
        for k in range(since // 4, self.series_labels.size // 4):
            counts[ids[k]] += 1
        self.series_count += 1

    cdef Py_ssize_t label_id(self, const uint8_t* field, Py_ssize_t size, const Label* label) noexcept nogil:
        """The number of a label; -1 without memory, -2 where the bytes are not the canonical form of a label."""
        cdef Py_ssize_t known = self.labels.count, id, name, value
        id = intern_bytes(&self.labels, field, size, xxh64(field, size, 0))
        if id < known:
            return id
        name = value = -1
        if label.name_length and label.value_length and size == label_size(label.name_length, label.value_length):
            name = self.symbol_id(label.name, label.name_length)
            value = self.symbol_id(label.value, label.value_length)
            if name < 0 or value < 0:
                return -1
        if not (
            push32(&self.label_name, <uint32_t>name)
            and push32(&self.label_value, <uint32_t>value)
            and push32(&self.label_count, 0)
        ):
            return -1
        return id if name >= 0 else -2

    cdef int add_chunks(
        self, const int64_t* mint, const int64_t* maxt, const uint64_t* ref, Py_ssize_t count
    ) noexcept nogil:
        cdef Growing* g = &self.chunk_metas
        cdef Py_ssize_t k, began = g.size
        if not reserve(g, 10 + 30 * count):
            return NO_MEMORY
        put_uvarint(g, count)
        for k in range(count):
            if k == 0:
                put_zigzag(g, mint[0])
            else:
                put_uvarint(g, <uint64_t>mint[k] - <uint64_t>maxt[k - 1])
            put_uvarint(g, <uint64_t>maxt[k] - <uint64_t>mint[k])
            if k == 0:
                put_uvarint(g, ref[0])
            else:
                put_zigzag(g, <int64_t>(ref[k] - ref[k - 1]))
        self.chunk_count += count
        return 0 if push32(&self.chunk_size, <uint32_t>(g.size - began)) else NO_MEMORY

    def freeze(self):
        """Sorts symbols and labels; nothing can be added afterwards."""
        cdef Py_ssize_t i, count = self.symbols.count, lists = self.labels.count
        cdef SortKey* keys = <SortKey*>malloc((count + 1) * sizeof(SortKey))
        cdef int64_t[::1] order = np.empty(count, np.int64)
        cdef uint32_t[::1] rank = np.empty(count + 1, np.uint32)
        if keys == NULL:
            raise MemoryError
        if self.frozen:
            free(keys)
            return
        self.frozen = True
        with nogil:
            sort_texts(&self.symbols, keys)
            for i in range(count):
                order[i] = keys[i].id
                rank[keys[i].id] = <uint32_t>i
        free(keys)
        self.symbol_order, self.rank = np.asarray(order), rank
        names, values = self.column(&self.label_name), self.column(&self.label_value)
        counts = self.column(&self.label_count)
        used = np.flatnonzero(counts)
        ranks = np.asarray(rank).astype(np.uint64)
        keyed = ranks[names[used]] << np.uint64(32) | ranks[values[used]]
        self.list_label = used[np.argsort(keyed)].astype(np.int64)
        starts = np.zeros(len(used) + 1, np.int64)
        np.cumsum(counts[np.asarray(self.list_label)], out=starts[1:])
        self.list_start = starts
        fill = np.zeros(lists + 1, np.int64)
        fill[np.asarray(self.list_label)] = starts[: len(used)]
        self.list_fill = fill
        self.lists = np.empty(self.series_labels.size // 4 + 1, np.uint32)
        self.refs = np.empty(self.series_count + 1, np.uint32)
        self.list_place = np.zeros(len(used) + 2, np.uint64)

    cdef object column(self, Growing* g):
        """uint32: a view of a finished column."""
        if g.size == 0:
            return np.empty(0, np.uint32)
        return np.asarray(<uint32_t[: g.size // 4]><uint32_t*>g.data)

    cdef int check_state(self, bint all_series) except -1:
        if not self.frozen or (all_series and self.next_series != self.series_count):
            raise ValueError("sections are asked for out of their order")
        return 0

    @property
    def list_count(self):
        """Postings lists of the index, the one of all series among them."""
        return len(self.list_label) + 1

    def symbols_section(self):
        """The symbols section: length, count, symbols in byte order, checksum; a memoryview."""
        cdef Growing g
        self.check_state(False)
        cdef const int64_t[::1] order = self.symbol_order
        cdef Py_ssize_t i, count = order.shape[0]
        memset(&g, 0, sizeof(Growing))
        try:
            if not reserve(&g, 12 + self.symbols.bytes.size + 5 * count):
                raise MemoryError
            g.size = 4
            with nogil:
                put_u32(&g, <uint32_t>count)
                for i in range(count):
                    put_text(&g, &self.symbols, order[i])
            return close_section(&g)
        finally:
            release(&g)

    def series_window(self, Py_ssize_t count, int64_t position):
        """The entries of the next `count` series, for the file offset `position`; a memoryview. Call until all are
        written.

        Raises Halt where the index would exceed 64 GiB.
        """
        cdef Growing g
        cdef Py_ssize_t end = min(self.next_series + count, self.series_count)
        cdef bint good = True
        self.check_state(False)
        memset(&g, 0, sizeof(Growing))
        try:
            with nogil:
                while good and self.next_series < end:
                    good = self.put_series(&g, position)
            if not good:
                raise MemoryError
            if <uint64_t>(position + g.size) > SERIES_ALIGN * SECTION_MAX:
                raise Halt("the index would exceed 64 GiB")
            return seal(&g) if g.size else memoryview(b"")
        finally:
            release(&g)

    cdef bint put_series(self, Growing* g, int64_t position) noexcept nogil:
        cdef Py_ssize_t i = self.next_series, k, body, size
        cdef uint32_t labels = (<uint32_t*>self.series_size.data)[i], chunks = (<uint32_t*>self.chunk_size.data)[i], id
        cdef const uint32_t* ids = <const uint32_t*>self.series_labels.data + self.next_label
        cdef const uint32_t* name = <const uint32_t*>self.label_name.data
        cdef const uint32_t* value = <const uint32_t*>self.label_value.data
        cdef uint32_t ref
        if not reserve(g, SERIES_ALIGN + 10 + 10 * <Py_ssize_t>labels + chunks + 10 + CRC_SIZE):
            return False
        put_padding(g, position, SERIES_ALIGN)
        ref = <uint32_t>((position + g.size) // SERIES_ALIGN)
        size = varint_size(labels) + chunks
        for k in range(labels):
            size += varint_size(self.rank[name[ids[k]]]) + varint_size(self.rank[value[ids[k]]])
        put_uvarint(g, size)
        body = g.size
        put_uvarint(g, labels)
        for k in range(labels):
            id = ids[k]
            put_uvarint(g, self.rank[name[id]])
            put_uvarint(g, self.rank[value[id]])
            self.lists[self.list_fill[id]] = ref
            self.list_fill[id] += 1
        memcpy(g.data + g.size, self.chunk_metas.data + self.next_chunk, chunks)
        g.size += chunks
        put_u32(g, crc32c(0, g.data + body, size))
        if size + varint_size(size) + CRC_SIZE > self.series_size_max:
            self.series_size_max = size + varint_size(size) + CRC_SIZE
        self.refs[i] = ref
        self.next_series += 1
        self.next_label += labels
        self.next_chunk += chunks
        return True

    def postings_window(self, Py_ssize_t first, Py_ssize_t end, int64_t position):
        """The postings lists [first, end) (0 is the one of all series) for the file offset `position`; a memoryview."""
        cdef Growing g
        cdef Py_ssize_t i, low, high
        cdef bint good = True
        self.check_state(True)
        if first < 0 or end > self.list_count:
            raise IndexError(end)
        memset(&g, 0, sizeof(Growing))
        try:
            with nogil:
                for i in range(first, end):
                    if i == 0:
                        good = self.put_list(&g, position, 0, &self.refs[0], self.series_count)
                    else:
                        low = self.list_start[i - 1]
                        high = self.list_start[i]
                        good = self.put_list(&g, position, i, &self.lists[0] + low, high - low)
                    if not good:
                        break
            if not good:
                raise MemoryError
            return seal(&g) if g.size else memoryview(b"")
        finally:
            release(&g)

    cdef bint put_list(
        self, Growing* g, int64_t position, Py_ssize_t number, const uint32_t* refs, Py_ssize_t count
    ) noexcept nogil:
        cdef Py_ssize_t k, body
        if not reserve(g, LIST_ALIGN + 8 + 4 * count + CRC_SIZE):
            return False
        put_padding(g, position, LIST_ALIGN)
        self.list_place[number] = position + g.size
        put_u32(g, <uint32_t>(4 + 4 * count))
        body = g.size
        put_u32(g, <uint32_t>count)
        for k in range(count):
            put_u32(g, refs[k])
        put_u32(g, crc32c(0, g.data + body, g.size - body))
        return True

    def postings_offset_table(self):
        """The postings offset table of the lists written by postings_window; a memoryview."""
        cdef Growing g
        cdef Py_ssize_t i, id, count = self.list_label.shape[0]
        cdef const uint32_t* name = <const uint32_t*>self.label_name.data
        cdef const uint32_t* value = <const uint32_t*>self.label_value.data
        cdef bint good
        self.check_state(True)
        memset(&g, 0, sizeof(Growing))
        try:
            good = reserve(&g, 64)
            g.size = 4
            with nogil:
                if good:
                    put_u32(&g, <uint32_t>(count + 1))
                    memcpy(g.data + g.size, b"\x02\x00\x00", 3)
                    g.size += 3
                    put_uvarint(&g, self.list_place[0])
                for i in range(count):
                    id = self.list_label[i]
                    good = good and reserve(&g, 64 + self.symbols.length[name[id]] + self.symbols.length[value[id]])
                    if not good:
                        break
                    put_uvarint(&g, 2)
                    put_text(&g, &self.symbols, name[id])
                    put_text(&g, &self.symbols, value[id])
                    put_uvarint(&g, self.list_place[i + 1])
            if not good:
                raise MemoryError
            return close_section(&g)
        finally:
            release(&g)

    def label_values(self):
        """list[(name bytes, uint32[k] symbol numbers of its values)]: sorted names, sorted values; for label indices.
        """
        self.check_state(True)
        order = np.asarray(self.list_label)
        names, values = self.column(&self.label_name)[order], self.column(&self.label_value)[order]
        edges = np.flatnonzero(np.diff(names)) + 1
        ranks = np.asarray(self.rank)
        result = []
        for own_names, own_values in zip(np.split(names, edges), np.split(values, edges), strict=True):
            if len(own_names):
                result.append((self.symbol_bytes(own_names[0]), ranks[own_values]))
        return result

    cdef bytes symbol_bytes(self, Py_ssize_t id):
        cdef const uint8_t* data = self.symbols.bytes.data + self.symbols.offset[id]
        return data[: self.symbols.length[id]]
