"""From encoded series to deduplicated samples: decoding, aggregates, and the replicas of one series, a batch in one call.

Design, per series: the wanted aggregate of each AggrChunk is chosen; chunks that do not overlap are decoded one after
another straight into the output, and that is all for a series without replicas. Overlapping chunks are dealt to virtual
replicas (each chunk goes to the first replica that ends before it, as Thanos does), each of which is decoded, cut to the
range, and folded into the result from left to right (`_replicas.pxd`). Histograms are decoded beforehand in one go; here they are
row numbers that travel with their timestamps.
"""

import numpy as np

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint64_t
from libc.string cimport memset

from pythanos._arena cimport Growing, release, seal
from pythanos._batches cimport BatchColumns, Source
from pythanos._chunk_faults cimport chunk_fault
from pythanos._chunks cimport count_float_chunk, decode_float_chunk
from pythanos._replicas cimport (
    FALLING,
    NO_COUNTER,
    RISING,
    Counter,
    Samples,
    fold_chain,
    fold_penalty,
    refs,
    release_samples,
    room,
    starts,
    times,
    values,
)
from pythanos._sample_order cimport cut, lift_part, make_rise, sum_resets
from pythanos._series_parts cimport (
    C_CHAIN,
    C_COUNTER,
    C_NAIVE,
    C_XOR2,
    FAULT_ABSENT,
    FAULT_MEMORY,
    FAULT_UNALIGNED,
    NO_FAULT,
    Part,
    choose,
    deal,
    holds_histograms,
)

from pythanos._chunks import decode_chunks
from pythanos.errors import CorruptData
from pythanos._histogram_take import take_histograms
from pythanos.model.histogram import HistogramColumns
from pythanos.model.resolution import RAW
from pythanos.model.series import SampleBatch

# How the replicas of a series are combined.
NAIVE, PENALTY, CHAIN = range(3)
# Beside the kinds of model.resolution: the quotient of SUM and COUNT.
AVERAGE = 6

cdef Py_ssize_t _announced(const Job* job) noexcept nogil:
    """The samples that the headers of the chosen float chunks announce."""
    cdef const Source* source = job.source
    cdef const Part* parts = <const Part*>job.parts.data
    cdef Py_ssize_t i, total = 0
    cdef int64_t row, count
    for i in range(job.parts.size // <Py_ssize_t>sizeof(Part)):
        row = parts[i].row
        if not holds_histograms(source.encoding[row]):
            count = count_float_chunk(source.rows.arena + source.offset[row], source.length[row], source.encoding[row])
            total += count if count > 0 else 0
    return total + 1


cdef bint _decode(Job* job, int64_t row, Samples* to) noexcept nogil:
    """Appends the samples of one chunk row; False with `fault` set."""
    cdef const Source* source = job.source
    cdef const uint8_t* data = source.rows.arena + source.offset[row]
    cdef uint64_t length = source.length[row], at = 0
    cdef int64_t count, i
    if holds_histograms(source.encoding[row]):
        return _append_histograms(job, row, to)
    count = count_float_chunk(data, length, source.encoding[row])
    if count >= 0:
        if not room(to, count + 1):
            job.fault = FAULT_MEMORY
            return False
        count = decode_float_chunk(
            data, length, source.rows.arena_size - source.offset[row], source.encoding[row],
            times(to) + to.n, values(to) + to.n, starts(to) + to.n if to.with_st else NULL, count, &at,
        )
    if count < 0:
        job.fault, job.fault_row, job.fault_at = count, row, at
        return False
    if to.with_ref:
        for i in range(count):
            refs(to)[to.n + i] = -1
    to.n += count
    return True


cdef bint _append_histograms(Job* job, int64_t row, Samples* to) noexcept nogil:
    cdef int64_t i, start = job.histogram_start[row], count = job.histogram_start[row + 1] - start
    if not room(to, count + 1):
        job.fault = FAULT_MEMORY
        return False
    for i in range(count):
        times(to)[to.n + i] = job.histogram_t[start + i]
        values(to)[to.n + i] = 1.0
        refs(to)[to.n + i] = start + i
        if to.with_st:
            starts(to)[to.n + i] = job.histogram_st[start + i] if job.histogram_st != NULL else 0
    to.n += count
    return True


cdef bint _decode_part(Job* job, const Part* part, Samples* to) noexcept nogil:
    """As `_decode`, for the chosen aggregate: averages are divided here (histograms get their divisor as value)."""
    cdef Py_ssize_t i, before = to.n
    if not _decode(job, part.row, to):
        return False
    if part.count < 0:
        return True
    job.divisor.n = 0
    if not _decode(job, part.count, &job.divisor):
        return False
    job.fault_row = part.row
    if job.divisor.n != to.n - before:
        job.fault = FAULT_UNALIGNED
        return False
    for i in range(job.divisor.n):
        if times(&job.divisor)[i] != times(to)[before + i]:
            job.fault = FAULT_UNALIGNED
            return False
        if to.with_ref and refs(to)[before + i] >= 0:
            values(to)[before + i] = values(&job.divisor)[i]
        else:
            values(to)[before + i] /= values(&job.divisor)[i]
    return True


cdef bint _load(
    Job* job, const Part* parts, Py_ssize_t count, int64_t replica, bint alone, bint summed, bint mixed, Samples* to
) noexcept nogil:
    """Appends the samples of one replica, rising in time and inside the range.

    `alone`: it is the only one of its series; `mixed`: its chunks may come from several scrapers.
    """
    cdef Py_ssize_t i, start = to.n, part
    for i in range(count):
        if parts[i].replica != replica:
            continue
        if not summed and (parts[i].maxt < job.mint or parts[i].mint > job.maxt):
            continue
        part = to.n
        if not _decode_part(job, &parts[i], to):
            return False
        if not summed:
            make_rise(to, part, times(to)[part - 1] if part > start else INT64_MIN)
            if mixed and part > start:
                lift_part(to, start, part)
    if summed:
        sum_resets(to, start)
    if not (alone and job.uncut):
        cut(to, start, job.mint, job.maxt)
    return True


cdef bint _series(Job* job, Part* parts, Py_ssize_t count, Samples* to) noexcept nogil:
    """Appends the samples of one series; False with `fault` set."""
    cdef Py_ssize_t i
    cdef int64_t replicas = 1, replica
    cdef bint overlap = False, summed = False, fine
    cdef Counter counter
    cdef Samples* folded = &job.scratch[0]
    cdef Samples* other = &job.scratch[1]
    cdef Samples* result = &job.scratch[2]
    cdef Samples* target
    for i in range(count):
        overlap |= i > 0 and parts[i].mint <= parts[i - 1].maxt
        summed |= job.aggregate == C_COUNTER and job.source.aggregate[parts[i].row] == C_COUNTER
    if overlap and job.algorithm != C_NAIVE:
        replicas = deal(parts, count, &job.ends)
        if replicas < 0:
            job.fault = replicas
            return False
    if replicas == 1:
        return _load(job, parts, count, 0, True, summed, False, to)
    counter = NO_COUNTER if not job.counter else (RISING if summed else FALLING)
    folded.n = 0
    if not _load(job, parts, count, 0, False, summed, counter == FALLING, folded):
        return False
    for replica in range(1, replicas):
        other.n = result.n = 0
        if not _load(job, parts, count, replica, False, summed, counter == FALLING, other):
            return False
        target = to if replica == replicas - 1 else result
        fine = fold_chain(folded, other, target) if job.algorithm == C_CHAIN else fold_penalty(folded, other, target, counter)
        if not fine:
            job.fault = FAULT_MEMORY
            return False
        folded, result = result, folded
    return True


cdef class SeriesDecoder:
    """The samples of a SeriesBatch whose label sets are distinct: each series decoded, its replicas made one.

    mint, maxt: ms, both inside; samples outside are left out. aggregate: a model.resolution kind or AVERAGE, of which raw
    samples take the place where a chunk has them. algorithm: NAIVE (chunks in order, what overlaps is skipped), PENALTY or CHAIN
    (every sample, one per timestamp). counter: the values feed rate() or its like. ``floats_only``: no chunk that is
    to be decoded holds histograms. Raises CorruptData.
    """

    def __cinit__(
        self, batch, *, int64_t mint = INT64_MIN, int64_t maxt = INT64_MAX, int aggregate=RAW, int algorithm=PENALTY,
        bint counter=False, str file="chunks",
    ):
        cdef Job* job = &self.job
        cdef Py_ssize_t i
        cdef int64_t fault
        cdef const Part* parts
        self.file = file
        self.columns = BatchColumns(batch)
        job.source = &self.columns.source
        job.mint, job.maxt, job.aggregate, job.algorithm, job.counter = mint, maxt, aggregate, algorithm, counter
        part_start = np.zeros(self.count() + 1, np.int64)
        cdef int64_t[::1] filled = part_start
        with nogil:
            fault = choose(job.source, aggregate, &job.parts, &filled[0])
        if fault != NO_FAULT:
            raise _error(fault, self.columns, int(self.columns.chunk_start[filled[0]]), 0, file)
        self.part_start = part_start
        job.part_start = &self.part_start[0]
        self.floats_only = True
        parts = <const Part*>job.parts.data
        for i in range(self.columns.encoding.shape[0]):
            job.with_st |= job.source.encoding[i] == C_XOR2
        for i in range(job.parts.size // <Py_ssize_t>sizeof(Part)):
            self.floats_only &= not holds_histograms(job.source.encoding[parts[i].row])

    def __dealloc__(self):
        cdef int i
        release(&self.job.parts)
        release(&self.job.ends)
        release_samples(&self.job.divisor)
        for i in range(3):
            release_samples(&self.job.scratch[i])

    cdef Py_ssize_t count(self) noexcept nogil:
        return self.job.source.rows.count

    cdef void shape(self, Samples* to) noexcept nogil:
        cdef int i
        to.with_st = self.job.divisor.with_st = self.job.with_st
        to.with_ref = self.job.divisor.with_ref = self.job.with_ref
        for i in range(3):
            self.job.scratch[i].with_st = self.job.with_st
            self.job.scratch[i].with_ref = self.job.with_ref

    cdef bint read(self, Py_ssize_t i, Samples* to) noexcept nogil:
        cdef int64_t start = self.job.part_start[i]
        return _series(&self.job, <Part*>self.job.parts.data + start, self.job.part_start[i + 1] - start, to)

    cdef object error(self):
        return _error(self.job.fault, self.columns, self.job.fault_row, self.job.fault_at, self.file)

    cdef object decode_histograms(self):
        if self.floats_only:
            return None
        histograms = _histograms(
            self.columns, <Part*>self.job.parts.data, self.job.parts.size // <Py_ssize_t>sizeof(Part), self.file
        )
        self.histogram_start, self.histogram_t = histograms.start, histograms.timestamps
        self.job.histogram_start = &self.histogram_start[0]
        self.job.histogram_t = &self.histogram_t[0] if self.histogram_t.shape[0] else NULL
        if histograms.start_timestamps is not None and len(histograms):
            self.histogram_st = histograms.start_timestamps
            self.job.histogram_st = &self.histogram_st[0]
            self.job.with_st = True
        self.job.with_ref = True
        return histograms

    def samples(self):
        """SampleBatch in the order of the batch, possibly with empty series; it owns its arrays. Raises CorruptData.

        The GIL is released.
        """
        cdef Py_ssize_t i, n = self.count()
        cdef Samples out
        cdef bint fine
        start = np.zeros(n + 1, np.int64)
        cdef int64_t[::1] ends = start
        histograms = self.decode_histograms()
        memset(&out, 0, sizeof(Samples))
        self.job.uncut = False
        self.shape(&out)
        try:
            with nogil:
                # The most there can be; what replicas leave unused was never touched and goes back at the end.
                fine = room(&out, _announced(&self.job))
                if not fine:
                    self.job.fault = FAULT_MEMORY
                for i in range(n if fine else 0):
                    fine = self.read(i, &out)
                    if not fine:
                        break
                    ends[i + 1] = out.n
            if not fine:
                raise self.error()
            return _samples(&out, self.columns.batch.labels, start, histograms)
        finally:
            release_samples(&out)


def decode_series(
    batch, *, int64_t mint = INT64_MIN, int64_t maxt = INT64_MAX, int aggregate=RAW, int algorithm=PENALTY, bint counter=False,
    str file="chunks",
):
    """The samples of a SeriesBatch, as SeriesDecoder, which has the arguments, decodes them."""
    return SeriesDecoder(
        batch, mint=mint, maxt=maxt, aggregate=aggregate, algorithm=algorithm, counter=counter, file=file
    ).samples()


cdef object _error(int64_t fault, BatchColumns columns, int64_t row, int64_t at, str file):
    if fault == FAULT_MEMORY:
        return MemoryError()
    if fault == FAULT_ABSENT:
        return CorruptData(file, -1, "no chunk of the aggregate that was asked for, and no raw one")
    if fault == FAULT_UNALIGNED:
        return CorruptData(file, int(columns.offset[row]), "sum and count do not have the same timestamps")
    return chunk_fault(fault, file, columns.offset[row] + at, columns.encoding[row])


cdef object _histograms(BatchColumns columns, const Part* parts, Py_ssize_t count, str file):
    """HistogramColumns over all chunk rows of the batch (others are empty), or None where no chosen chunk has any."""
    cdef Py_ssize_t i
    cdef int64_t m = columns.encoding.shape[0]
    chosen = np.zeros(m, np.bool_)
    cdef uint8_t[::1] mask = chosen.view(np.uint8)
    with nogil:
        for i in range(count):
            mask[parts[i].row] = holds_histograms(columns.encoding[parts[i].row])
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return None
    batch = columns.batch
    decoded = decode_chunks(
        batch.labels.arena, batch.chunk_offset[rows], batch.chunk_length[rows], batch.chunk_encoding[rows], file=file
    ).histograms
    lengths = np.zeros(m, np.int64)
    lengths[rows] = np.diff(decoded.start)
    start = np.concatenate(([0], np.cumsum(lengths)))
    return HistogramColumns(
        start, np.zeros(m, np.uint8), decoded.timestamps, decoded.count, decoded.zero_count, decoded.sum, decoded.reset_hint,
        decoded.layout, decoded.layouts, decoded.bucket_start, decoded.buckets, decoded.start_timestamps,
    )


cdef object _array(Growing* column, Py_ssize_t n, dtype):
    column.size = 8 * n
    return np.frombuffer(seal(column), dtype)


cdef object _samples(Samples* out, labels, start, histograms):
    """The output as a SampleBatch: floats and histograms apart, each with its own start."""
    cdef Py_ssize_t n = out.n
    timestamps, numbers = _array(&out.t, n, np.int64), _array(&out.v, n, np.float64)
    start_timestamps = _array(&out.st, n, np.int64) if out.with_st else None
    if histograms is None:
        return SampleBatch(labels, start, timestamps, numbers, start_timestamps)
    row = _array(&out.ref, n, np.int64)
    is_float = row < 0
    if not is_float.any():
        nothing = np.zeros(0, np.int64)
        taken = take_histograms(histograms, row, start, numbers)
        return SampleBatch(
            labels, np.zeros(len(start), np.int64), nothing, np.zeros(0), nothing if out.with_st else None, taken
        )
    floats = np.concatenate(([0], np.cumsum(is_float)))[start]
    taken = take_histograms(histograms, row[~is_float], start - floats, numbers[~is_float])
    return SampleBatch(
        labels, floats, timestamps[is_float], numbers[is_float],
        None if start_timestamps is None else start_timestamps[is_float], taken,
    )
