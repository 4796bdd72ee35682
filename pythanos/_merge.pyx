"""The k-way merge of sorted series streams, as plans over batches and copies of bytes.

Design: `Merger` keeps one batch and one row per stream in a loser tree ordered by label blocks. `advance` appends picks
(source batch, row, output group) until the output is full or a stream has no row left; the caller then feeds that
stream. `take` turns the picks into one SeriesBatch: a slice where they are consecutive rows of one batch, else a copy
of whole records where the sources have such and no series is to be joined, else of label blocks and chunks. Chunks of a
series that several picks make up are sorted by (mint, maxt, content) and identical ones dropped, so the output does not
depend on the order of the streams. All loops run without the GIL.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from pythanos._arena cimport Growing, append, release, reserve
from pythanos._batches cimport BatchColumns, Output, Source, allocate, built_batch, copy_chunk, copy_label
from pythanos._label_rows cimport Rows, compare_blocks

from pythanos._batches import slice_batch
from pythanos.errors import CorruptData

FULL = -1
DONE = -2

cdef enum Pause:
    PAUSE_FULL = -1
    PAUSE_DONE = -2
    PAUSE_MEMORY = -3
    PAUSE_UNSORTED = -4


cdef struct Pick:
    int32_t source
    int32_t row
    int32_t group


cdef struct Unit:
    # One AggrChunk: adjacent chunk rows of one range, one per aggregate kind.
    int64_t mint
    int64_t maxt
    int64_t first
    int32_t rows
    int32_t source


# Loser tree: `tree[0]` is the stream with the smallest head, `tree[1..]` the losers on each path.


cdef class Merger:
    """Merges `streams` sorted streams; fed with SeriesBatches, asked for SeriesBatches."""

    cdef Py_ssize_t streams
    cdef int32_t* tree
    cdef int32_t* head
    cdef int32_t* row
    cdef bint built
    cdef Py_ssize_t replay
    # The stream of the last pick.
    cdef Py_ssize_t picked
    cdef list kept
    cdef Source* sources
    cdef Growing picks
    cdef Py_ssize_t groups
    cdef Growing last
    cdef uint64_t last_hash
    cdef bint any_before

    def __cinit__(self, Py_ssize_t streams):
        cdef Py_ssize_t i
        self.streams = streams
        self.tree = <int32_t*>calloc(streams + 1, sizeof(int32_t))
        self.head = <int32_t*>calloc(streams + 1, sizeof(int32_t))
        self.row = <int32_t*>calloc(streams + 1, sizeof(int32_t))
        if self.tree == NULL or self.head == NULL or self.row == NULL:
            raise MemoryError
        for i in range(streams):
            self.head[i] = -1
        self.kept = []
        self.replay = self.picked = -1

    def __dealloc__(self):
        free(self.tree)
        free(self.head)
        free(self.row)
        free(self.sources)
        release(&self.picks)
        release(&self.last)

    def feed(self, Py_ssize_t stream, batch) -> None:
        """Gives a stream its next batch (not empty), or None at its end. At first every stream must be fed once."""
        cdef BatchColumns columns
        cdef void* grown
        if batch is None:
            self.head[stream] = -1
        else:
            if not 0 < len(batch) < 0x7FFFFFFF:
                raise ValueError("a batch to merge holds at least one series")
            columns = BatchColumns(batch)
            grown = realloc(self.sources, (len(self.kept) + 1) * sizeof(Source))
            if grown == NULL:
                raise MemoryError
            self.sources = <Source*>grown
            self.sources[len(self.kept)] = columns.source
            self.head[stream] = <int32_t>len(self.kept)
            self.kept.append(columns)
        self.row[stream] = 0
        if self.built:
            self.replay = stream

    def advance(self, Py_ssize_t limit) -> int:
        """Picks rows until ``limit`` series stand ready: the number of a stream to feed, -1 when full, -2 at the end.

        Raises CorruptData where a stream is not in label order.
        """
        cdef Py_ssize_t state
        with nogil:
            if not self.built:
                self._build()
                self.built = True
            elif self.replay >= 0:
                self._replay(self.replay)
            self.replay = -1
            state = self._pick(limit)
        if state == PAUSE_MEMORY:
            raise MemoryError
        if state == PAUSE_UNSORTED:
            raise CorruptData("series stream", -1, "series out of label order")
        return state

    def take(self):
        """The picked series as one SeriesBatch, or None where there are none; batches that were used up are let go."""
        cdef Py_ssize_t count = self.picks.size // sizeof(Pick)
        cdef Pick* picks = <Pick*>self.picks.data
        cdef Source* source
        if count == 0:
            return None
        source = &self.sources[picks[count - 1].source]
        self.last.size = 0
        self.last_hash = source.rows.hash[picks[count - 1].row]
        if not append(&self.last, source.rows.arena + source.rows.offset[picks[count - 1].row],
                      source.rows.length[picks[count - 1].row]):
            raise MemoryError
        self.any_before = True
        batch = self._slice(picks, count) if self._consecutive(picks, count) else self._assemble(picks, count)
        self.picks.size = 0
        self.groups = 0
        self._forget()
        return batch

    cdef int _forget(self) except -1:
        """Drops the sources that no stream stands in."""
        cdef Py_ssize_t i
        kept = []
        for i in range(self.streams):
            if self.head[i] >= 0:
                kept.append(self.kept[self.head[i]])
                self.head[i] = <int32_t>(len(kept) - 1)
        for i in range(len(kept)):
            self.sources[i] = (<BatchColumns>kept[i]).source
        self.kept = kept
        return 0

    cdef bint _less(self, Py_ssize_t a, Py_ssize_t b) noexcept nogil:
        """Whether the head of stream a comes before that of b; ends come last, ties in the order of streams."""
        cdef Rows* x
        cdef Rows* y
        cdef int order
        if self.head[a] < 0 or self.head[b] < 0:
            return self.head[b] < 0 and (self.head[a] >= 0 or a < b)
        x = &self.sources[self.head[a]].rows
        y = &self.sources[self.head[b]].rows
        order = compare_blocks(
            x.arena + x.offset[self.row[a]], x.length[self.row[a]], y.arena + y.offset[self.row[b]], y.length[self.row[b]]
        )
        return order < 0 or (order == 0 and a < b)

    cdef void _build(self) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.streams):
            self.tree[i] = -1
        for i in range(self.streams):
            self._replay(i)

    cdef void _replay(self, Py_ssize_t stream) noexcept nogil:
        """Plays a stream's new head up the tree. A node that is still empty while building keeps it and stops."""
        cdef Py_ssize_t node = (stream + self.streams) >> 1, winner = stream, held
        while node > 0:
            held = self.tree[node]
            if held < 0:
                self.tree[node] = <int32_t>winner
                return
            if self._less(held, winner):
                self.tree[node] = <int32_t>winner
                winner = held
            node >>= 1
        self.tree[0] = <int32_t>winner

    cdef int _order(self, const Source* source, Py_ssize_t row, bint waited) noexcept nogil:
        """How the last picked label set sorts against a row; -1 where nothing was picked.

        waited: the row stood against the last one when that was picked, so it cannot sort before it.
        """
        cdef Py_ssize_t count = self.picks.size // sizeof(Pick)
        cdef const Rows* rows = &source.rows
        cdef const Rows* before
        cdef Pick* pick
        if count:
            pick = <Pick*>self.picks.data + count - 1
            before = &self.sources[pick.source].rows
            if before.hash[pick.row] == rows.hash[row] and before.length[pick.row] == rows.length[row] and memcmp(
                before.arena + before.offset[pick.row], rows.arena + rows.offset[row], rows.length[row]
            ) == 0:
                return 0
            return -1 if waited else compare_blocks(
                before.arena + before.offset[pick.row], before.length[pick.row],
                rows.arena + rows.offset[row], rows.length[row],
            )
        if not self.any_before:
            return -1
        return compare_blocks(self.last.data, self.last.size, rows.arena + rows.offset[row], rows.length[row])

    cdef Py_ssize_t _pick(self, Py_ssize_t limit) noexcept nogil:
        cdef Py_ssize_t winner
        cdef Source* source
        cdef Pick pick
        cdef int order
        while True:
            winner = self.tree[0]
            if self.head[winner] < 0:
                return PAUSE_DONE
            source = &self.sources[self.head[winner]]
            order = self._order(source, self.row[winner], winner != self.picked)
            if order > 0 or (order == 0 and self.groups == 0):
                return PAUSE_UNSORTED
            if order < 0:
                if self.groups >= limit:
                    return PAUSE_FULL
                self.groups += 1
            pick.source = self.head[winner]
            pick.row = self.row[winner]
            pick.group = <int32_t>(self.groups - 1)
            if not append(&self.picks, <uint8_t*>&pick, sizeof(Pick)):
                return PAUSE_MEMORY
            self.picked = winner
            self.row[winner] += 1
            if self.row[winner] == source.rows.count:
                return winner
            self._replay(winner)

    cdef bint _consecutive(self, const Pick* picks, Py_ssize_t count) noexcept nogil:
        cdef Py_ssize_t i
        if self.groups != count:
            return False
        for i in range(1, count):
            if picks[i].source != picks[0].source or picks[i].row != picks[0].row + i:
                return False
        return True

    cdef object _slice(self, const Pick* picks, Py_ssize_t count):
        batch = (<BatchColumns>self.kept[picks[0].source]).batch
        return slice_batch(batch, picks[0].row, picks[0].row + count)

    cdef bint _records_stand(self, const Pick* picks, Py_ssize_t count) noexcept nogil:
        """Whether each series is one row of a batch that has its record."""
        cdef Py_ssize_t i
        if self.groups != count:
            return False
        for i in range(count):
            if self.sources[picks[i].source].wire == NULL:
                return False
        return True

    cdef object _assemble(self, const Pick* picks, Py_ssize_t count):
        cdef Output out
        cdef bint records = self._records_stand(picks, count)
        cdef Source* source
        cdef Py_ssize_t i, j, chunks = 0, size = 0, n = self.groups
        cdef bint short
        with nogil:
            for i in range(count):
                source = &self.sources[picks[i].source]
                size += source.rows.length[picks[i].row]
                chunks += source.chunk_start[picks[i].row + 1] - source.chunk_start[picks[i].row]
                if records:
                    size += source.wire[2 * picks[i].row + 1] - source.wire[2 * picks[i].row]
                    continue
                for j in range(source.chunk_start[picks[i].row], source.chunk_start[picks[i].row + 1]):
                    size += source.length[j]
        columns = allocate(&out, n, chunks, records)
        with nogil:
            short = not reserve(&out.arena, size + 1)
            if not short and records:
                _copy_records(self.sources, picks, count, &out)
            elif not short:
                short = not _copy_groups(self.sources, picks, count, &out)
        if short:
            release(&out.arena)
            raise MemoryError
        return built_batch(&out, columns)


cdef void _copy_records(const Source* sources, const Pick* picks, Py_ssize_t count, Output* out) noexcept nogil:
    """Writes one series per pick as it stands; the arena and the columns have room."""
    cdef Py_ssize_t i, row, chunk, at
    cdef int64_t start, moved
    cdef const Source* source
    for i in range(count):
        source, row = &sources[picks[i].source], picks[i].row
        start, moved = source.wire[2 * row], out.arena.size - source.wire[2 * row]
        memcpy(out.arena.data + out.arena.size, source.rows.arena + start, source.wire[2 * row + 1] - start)
        out.label_offset[i] = source.rows.offset[row] + moved
        out.label_length[i] = source.rows.length[row]
        out.hash[i] = source.rows.hash[row]
        out.wire[2 * i] = out.arena.size
        out.arena.size += source.wire[2 * row + 1] - start
        out.wire[2 * i + 1] = out.arena.size
        for chunk in range(source.chunk_start[row], source.chunk_start[row + 1]):
            at = out.chunks
            out.mint[at], out.maxt[at] = source.mint[chunk], source.maxt[chunk]
            out.encoding[at], out.aggregate[at] = source.encoding[chunk], source.aggregate[chunk]
            # A chunk without data may have been said to be anywhere.
            out.offset[at] = source.offset[chunk] + moved if source.length[chunk] else out.wire[2 * i]
            out.length[at] = source.length[chunk]
            out.chunks = at + 1
        out.chunk_start[i + 1] = out.chunks


cdef bint _copy_groups(const Source* sources, const Pick* picks, Py_ssize_t count, Output* out) noexcept nogil:
    """Writes one series per group; the arena and the columns have room. False where memory is short."""
    cdef Py_ssize_t at = 0, end, group = 0, row
    cdef const Source* source
    cdef Growing units
    cdef bint fine = True
    memset(&units, 0, sizeof(Growing))
    while at < count and fine:
        end = at + 1
        while end < count and picks[end].group == picks[at].group:
            end += 1
        source = &sources[picks[at].source]
        copy_label(&source.rows, picks[at].row, group, out)
        if end == at + 1:
            for row in range(source.chunk_start[picks[at].row], source.chunk_start[picks[at].row + 1]):
                copy_chunk(source, row, out)
        else:
            fine = _join(sources, picks + at, end - at, &units, out)
        group += 1
        out.chunk_start[group] = out.chunks
        at = end
    release(&units)
    return fine


cdef inline int _unit_order(const Source* sources, const Unit* a, const Unit* b) noexcept nogil:
    """By mint, maxt, then content; 0 only for identical chunks.

    Falling first kind, so that units of one range stay apart: a rising kind in adjacent rows means one AggrChunk.
    """
    cdef const Source* x
    cdef const Source* y
    cdef Py_ssize_t i, p, q
    cdef int order
    if a.mint != b.mint:
        return -1 if a.mint < b.mint else 1
    if a.maxt != b.maxt:
        return -1 if a.maxt < b.maxt else 1
    x, y = &sources[a.source], &sources[b.source]
    if x.aggregate[a.first] != y.aggregate[b.first]:
        return -1 if x.aggregate[a.first] > y.aggregate[b.first] else 1
    if a.rows != b.rows:
        return -1 if a.rows < b.rows else 1
    for i in range(a.rows):
        p, q = a.first + i, b.first + i
        if x.aggregate[p] != y.aggregate[q]:
            return -1 if x.aggregate[p] < y.aggregate[q] else 1
        if x.encoding[p] != y.encoding[q]:
            return -1 if x.encoding[p] < y.encoding[q] else 1
        if x.length[p] != y.length[q]:
            return -1 if x.length[p] < y.length[q] else 1
        order = memcmp(x.rows.arena + x.offset[p], y.rows.arena + y.offset[q], x.length[p])
        if order:
            return order
    return 0


cdef bint _join(const Source* sources, const Pick* picks, Py_ssize_t count, Growing* scratch, Output* out) noexcept nogil:
    """Writes the chunks of several rows of one series: in order, identical ones once."""
    cdef Py_ssize_t i, total = 0, at, end, row
    cdef const Source* source
    cdef Unit* units
    cdef Unit* sorted_units
    cdef Unit* unit
    for i in range(count):
        source = &sources[picks[i].source]
        total += source.chunk_start[picks[i].row + 1] - source.chunk_start[picks[i].row]
    scratch.size = 0
    if not reserve(scratch, (2 * total + 1) * sizeof(Unit) + (total + 1) * sizeof(int64_t)):
        return False
    units = <Unit*>scratch.data
    total = 0
    for i in range(count):
        source = &sources[picks[i].source]
        at, end = source.chunk_start[picks[i].row], source.chunk_start[picks[i].row + 1]
        while at < end:
            unit = &units[total]
            unit.source = picks[i].source
            unit.first = at
            unit.mint, unit.maxt = source.mint[at], source.maxt[at]
            at += 1
            while at < end and source.mint[at] == unit.mint and source.maxt[at] == unit.maxt and (
                source.aggregate[at] > source.aggregate[at - 1]
            ):
                at += 1
            unit.rows = <int32_t>(at - unit.first)
            total += 1
    sorted_units = _sort_units(sources, units, units + total, <int64_t*>(units + 2 * total), total)
    for i in range(total):
        if i and _unit_order(sources, &sorted_units[i - 1], &sorted_units[i]) == 0:
            continue
        for row in range(sorted_units[i].rows):
            copy_chunk(&sources[sorted_units[i].source], sorted_units[i].first + row, out)
    return True


cdef Unit* _sort_units(const Source* sources, Unit* units, Unit* spare, int64_t* run, Py_ssize_t n) noexcept nogil:
    """A natural merge sort: each row's chunks are one run already. Returns whichever of the two buffers has the result."""
    cdef Py_ssize_t i, runs = 0, left, a, b, middle, end, at
    for i in range(n):
        if i == 0 or _unit_order(sources, &units[i - 1], &units[i]) > 0:
            run[runs] = i
            runs += 1
    run[runs] = n
    while runs > 1:
        left = 0
        for i in range(0, runs, 2):
            a, middle = run[i], run[i + 1]
            b, end, at = middle, run[i + 2] if i + 1 < runs else middle, a
            while a < middle or b < end:
                if b >= end or (a < middle and _unit_order(sources, &units[a], &units[b]) <= 0):
                    spare[at] = units[a]
                    a += 1
                else:
                    spare[at] = units[b]
                    b += 1
                at += 1
            run[left] = run[i]
            left += 1
        run[left] = n
        runs = left
        units, spare = spare, units
    return units
