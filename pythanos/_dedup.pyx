"""From encoded series to deduplicated samples: decoding, aggregates, and the replicas of one series, a batch in one call.

Design, per series: the wanted aggregate of each AggrChunk is chosen; chunks that do not overlap are decoded one after
another straight into the output, and that is all for a series without replicas. Overlapping chunks are dealt to virtual
replicas (each chunk goes to the first replica that ends before it, as Thanos does), each of which is decoded, cut to the
range, and folded into the result from left to right (`_replicas.pxd`). Histograms are decoded beforehand in one go; here they are
row numbers that travel with their timestamps.
"""

import numpy as np

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from pythanos._arena cimport Growing, append, release, seal
from pythanos._chunk_faults cimport chunk_fault
from pythanos._chunks cimport count_float_chunk, decode_float_chunk
from pythanos._batches cimport BatchColumns, Source
from pythanos._replicas cimport (
    FALLING,
    NO_COUNTER,
    RISING,
    Counter,
    Samples,
    append_samples,
    fold_chain,
    fold_penalty,
    is_number,
    put,
    refs,
    release_samples,
    room,
    shift,
    starts,
    times,
    values,
)

from pythanos._chunks import decode_chunks
from pythanos.errors import CorruptData
from pythanos.model.histogram import HistogramColumns, take_histograms
from pythanos.model.resolution import COUNT, COUNTER, RAW, SUM
from pythanos.model.series import SampleBatch

# How the replicas of a series are combined.
NAIVE, PENALTY, CHAIN = range(3)
# Beside the kinds of model.resolution: the quotient of SUM and COUNT.
AVERAGE = 6

cdef enum:
    C_RAW = 0
    C_COUNT = 1
    C_SUM = 2
    C_COUNTER = 5
    C_AVERAGE = 6
    C_NAIVE = 0
    C_PENALTY = 1
    C_CHAIN = 2
    C_XOR2 = 4

cdef enum Fault:
    NO_FAULT = 0
    FAULT_MEMORY = -100
    FAULT_ABSENT = -101         # a chunk has neither the aggregate nor raw samples
    FAULT_UNALIGNED = -102      # sum and count do not have the same timestamps


cdef struct Part:
    # The chosen chunk row of one AggrChunk, and for averages that of its count (-1: none).
    int64_t mint
    int64_t maxt
    int64_t row
    int64_t count
    int64_t replica


cdef struct Job:
    const Source* source
    const Part* parts
    const int64_t* histogram_start  # of every chunk row; NULL where the batch has no histograms
    const int64_t* histogram_t
    const int64_t* histogram_st
    int64_t mint
    int64_t maxt
    int aggregate
    int algorithm
    bint counter
    Samples out
    Samples scratch[3]
    Samples divisor
    int64_t fault
    int64_t fault_row
    int64_t fault_at


cdef inline bint _holds_histograms(uint8_t encoding) noexcept nogil:
    return encoding == 2 or encoding == 3 or encoding == 5 or encoding == 6


cdef int64_t _choose(const Source* source, int aggregate, Growing* parts, int64_t* part_start) noexcept nogil:
    """Fills `parts` and int64[n + 1] `part_start`; returns NO_FAULT, or a Fault with the series in part_start[0]."""
    cdef Py_ssize_t i, at, end, row
    cdef Part part
    cdef int64_t wanted = C_SUM if aggregate == C_AVERAGE else aggregate
    part.replica = 0
    part_start[0] = 0
    for i in range(source.rows.count):
        at, end = source.chunk_start[i], source.chunk_start[i + 1]
        while at < end:
            part.mint, part.maxt = source.mint[at], source.maxt[at]
            part.row = part.count = -1
            row = at
            while row < end and source.mint[row] == part.mint and source.maxt[row] == part.maxt and (
                row == at or source.aggregate[row] > source.aggregate[row - 1]
            ):
                if source.aggregate[row] == wanted or (source.aggregate[row] == C_RAW and (
                    part.row < 0 or aggregate == C_AVERAGE
                )):
                    # Raw comes first, and is what an average uses if it is there.
                    if not (aggregate == C_AVERAGE and part.row >= 0 and source.aggregate[part.row] == C_RAW):
                        part.row = row
                elif aggregate == C_AVERAGE and source.aggregate[row] == C_COUNT:
                    part.count = row
                row += 1
            if part.row < 0 or (aggregate == C_AVERAGE and source.aggregate[part.row] == C_SUM and part.count < 0):
                part_start[0] = i
                return FAULT_ABSENT
            if source.aggregate[part.row] != C_SUM or aggregate != C_AVERAGE:
                part.count = -1
            if not append(parts, <uint8_t*>&part, sizeof(Part)):
                return FAULT_MEMORY
            at = row
        part_start[i + 1] = parts.size // sizeof(Part)
    return NO_FAULT


cdef Py_ssize_t _announced(const Job* job, Py_ssize_t parts) noexcept nogil:
    """The samples that the headers of the chosen float chunks announce."""
    cdef const Source* source = job.source
    cdef Py_ssize_t i, total = 0
    cdef int64_t row, count
    for i in range(parts):
        row = job.parts[i].row
        if not _holds_histograms(source.encoding[row]):
            count = count_float_chunk(source.rows.arena + source.offset[row], source.length[row], source.encoding[row])
            total += count if count > 0 else 0
    return total + 1


cdef bint _decode(Job* job, int64_t row, Samples* to) noexcept nogil:
    """Appends the samples of one chunk row; False with `fault` set."""
    cdef const Source* source = job.source
    cdef const uint8_t* data = source.rows.arena + source.offset[row]
    cdef uint64_t length = source.length[row], at = 0
    cdef int64_t count, i
    if _holds_histograms(source.encoding[row]):
        return _take_histograms(job, row, to)
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


cdef bint _take_histograms(Job* job, int64_t row, Samples* to) noexcept nogil:
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


cdef void _make_rise(Samples* s, Py_ssize_t start, int64_t last_t) noexcept nogil:
    """Removes samples from `start` on that are not later than the one before them; the first must be after last_t."""
    cdef int64_t* t = times(s)
    cdef Py_ssize_t i, kept = start
    cdef uint64_t signs = 0
    # A sign bit in t[i] - t[i - 1] - 1 means a step that is not forward; this form runs several samples at a time.
    for i in range(start + 1, s.n):
        signs |= <uint64_t>t[i] - <uint64_t>t[i - 1] - 1
    if start >= s.n or (signs >> 63 == 0 and t[start] > last_t):
        return
    for i in range(start, s.n):
        if t[i] > last_t:
            last_t = t[i]
            shift(s, kept, i, 1)
            kept += 1
    s.n = kept


cdef void _sum_resets(Samples* s, Py_ssize_t start) noexcept nogil:
    """Counter chunks, one after another, to totals that only rise, in place.

    A sample at the time of the one before it says where the counter really stood at the end of its chunk. Markers and other NaN
    are left out, samples that go back in time too; histograms pass.
    """
    cdef int64_t* t = times(s)
    cdef double* v = values(s)
    cdef Py_ssize_t i, kept = start
    cdef bint any_sample = False, any_number = False
    cdef int64_t last_t = 0
    cdef double last = 0, total = 0, value
    for i in range(start, s.n):
        if s.with_ref and refs(s)[i] >= 0:
            if any_sample and t[i] <= last_t:
                continue
            shift(s, kept, i, 1)
        else:
            value = v[i]
            if value != value:
                continue
            if any_sample and t[i] <= last_t:
                if t[i] == last_t:
                    last = value
                continue
            total = value if not any_number else total + (value - last if value >= last else value)
            any_number = True
            last = value
            shift(s, kept, i, 1)
            v[kept] = total
        any_sample = True
        last_t = t[i]
        kept += 1
    s.n = kept


cdef void _lift_part(Samples* s, Py_ssize_t start, Py_ssize_t part) noexcept nogil:
    """Undoes a small fall where the chunks of two real replicas met in one virtual one: [start, part) and [part, n).

    Over more than half a scrape interval a fall is a reset, as in `fold_penalty`.
    """
    cdef double* v = values(s)
    cdef int64_t* t = times(s)
    cdef double lift, last
    cdef int64_t interval = INT64_MAX
    cdef Py_ssize_t before = part - 1, i = part
    while before >= start and not is_number(s, before):
        before -= 1
    while i < s.n and not is_number(s, i):
        i += 1
    if before < start or i >= s.n or not v[before] / 2 <= v[i] < v[before]:
        return
    if i + 1 < s.n:
        interval = t[i + 1] - t[i]
    elif before > start:
        # The step before may be another such meeting.
        interval = t[before] - t[before - 1]
        if before > start + 1 and t[before - 1] - t[before - 2] > interval:
            interval = t[before - 1] - t[before - 2]
    if t[i] - t[before] > interval / 2:
        return
    lift = v[before] - v[i]
    last = v[i]
    for i in range(i, s.n):
        if is_number(s, i):
            if v[i] < last:
                return
            last = v[i]
            v[i] += lift


cdef void _cut(Samples* s, Py_ssize_t start, int64_t mint, int64_t maxt) noexcept nogil:
    """Removes the samples from `start` on that are outside [mint, maxt]; they rise in time."""
    cdef int64_t* t = times(s)
    cdef Py_ssize_t first = start
    while s.n > start and t[s.n - 1] > maxt:
        s.n -= 1
    while first < s.n and t[first] < mint:
        first += 1
    shift(s, start, first, s.n - first)
    s.n -= first - start


cdef bint _load(Job* job, const Part* parts, Py_ssize_t count, int64_t replica, bint summed, bint mixed, Samples* to) noexcept nogil:
    """Appends the samples of one replica, rising in time and inside the range; `mixed`: chunks may come from several scrapers."""
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
            _make_rise(to, part, times(to)[part - 1] if part > start else INT64_MIN)
            if mixed and part > start:
                _lift_part(to, start, part)
    if summed:
        _sum_resets(to, start)
    _cut(to, start, job.mint, job.maxt)
    return True


cdef int64_t _deal(Part* parts, Py_ssize_t count, Growing* ends) noexcept nogil:
    """Deals overlapping parts to replicas, each to the first that ends before it; how many, or FAULT_MEMORY."""
    cdef Py_ssize_t i, replica, replicas = 0
    cdef int64_t* last
    ends.size = 0
    for i in range(count):
        last = <int64_t*>ends.data
        replica = 0
        while replica < replicas and last[replica] >= parts[i].mint:
            replica += 1
        if replica == replicas:
            if not append(ends, <uint8_t*>&parts[i].maxt, sizeof(int64_t)):
                return FAULT_MEMORY
            replicas += 1
        else:
            last[replica] = parts[i].maxt
        parts[i].replica = replica
    return replicas


cdef bint _series(Job* job, Part* parts, Py_ssize_t count, Growing* ends) noexcept nogil:
    """Appends the samples of one series to the output."""
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
        replicas = _deal(parts, count, ends)
        if replicas < 0:
            job.fault = replicas
            return False
    if replicas == 1:
        return _load(job, parts, count, 0, summed, False, &job.out)
    counter = NO_COUNTER if not job.counter else (RISING if summed else FALLING)
    folded.n = 0
    if not _load(job, parts, count, 0, summed, counter == FALLING, folded):
        return False
    for replica in range(1, replicas):
        other.n = result.n = 0
        if not _load(job, parts, count, replica, summed, counter == FALLING, other):
            return False
        target = &job.out if replica == replicas - 1 else result
        fine = fold_chain(folded, other, target) if job.algorithm == C_CHAIN else fold_penalty(folded, other, target, counter)
        if not fine:
            job.fault = FAULT_MEMORY
            return False
        folded, result = result, folded
    return True


def decode_series(
    batch, *, int64_t mint = INT64_MIN, int64_t maxt = INT64_MAX, int aggregate=RAW, int algorithm=PENALTY, bint counter=False,
    str file="chunks",
):
    """The samples of a SeriesBatch whose label sets are distinct: each series decoded, its replicas made one.

    mint, maxt: ms, both inside; samples outside are left out. aggregate: a model.resolution kind or AVERAGE, of which raw
    samples take the place where a chunk has them. algorithm: NAIVE (chunks in order, what overlaps is skipped), PENALTY or CHAIN
    (every sample, one per timestamp). counter: the values feed rate() or its like. Returns SampleBatch in the order of the batch,
    possibly with empty series; it owns its arrays. Raises CorruptData. The GIL is released.
    """
    cdef BatchColumns columns = BatchColumns(batch)
    cdef Growing parts, ends
    cdef Job job
    cdef Py_ssize_t i, n = columns.source.rows.count
    cdef int64_t fault
    cdef const int64_t[::1] histogram_start, histogram_t, histogram_st
    part_start, start = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    cdef int64_t[::1] part_starts = part_start, out_start = start
    memset(&parts, 0, sizeof(Growing))
    memset(&ends, 0, sizeof(Growing))
    memset(&job, 0, sizeof(Job))
    try:
        with nogil:
            fault = _choose(&columns.source, aggregate, &parts, &part_starts[0])
        if fault != NO_FAULT:
            raise _error(fault, columns, int(columns.chunk_start[part_starts[0]]), 0, file)
        histograms = _histograms(columns, <Part*>parts.data, parts.size // sizeof(Part), file)
        if histograms is not None:
            histogram_start, histogram_t = histograms.start, histograms.timestamps
            job.histogram_start = &histogram_start[0]
            job.histogram_t = &histogram_t[0] if histogram_t.shape[0] else NULL
            if histograms.start_timestamps is not None and len(histograms):
                histogram_st = histograms.start_timestamps
                job.histogram_st = &histogram_st[0]
        _prepare(&job, columns, histograms is not None)
        job.parts = <Part*>parts.data
        job.mint, job.maxt, job.aggregate, job.algorithm, job.counter = mint, maxt, aggregate, algorithm, counter
        with nogil:
            # The most there can be; what replicas leave unused was never touched and goes back at the end.
            if not room(&job.out, _announced(&job, parts.size // sizeof(Part))):
                job.fault = FAULT_MEMORY
            for i in range(n if job.fault == NO_FAULT else 0):
                if not _series(&job, <Part*>parts.data + part_starts[i], part_starts[i + 1] - part_starts[i], &ends):
                    break
                out_start[i + 1] = job.out.n
        if job.fault != NO_FAULT:
            raise _error(job.fault, columns, job.fault_row, job.fault_at, file)
        return _samples(&job.out, batch.labels, start, histograms)
    finally:
        release(&parts)
        release(&ends)
        release_samples(&job.out)
        release_samples(&job.divisor)
        for i in range(3):
            release_samples(&job.scratch[i])


cdef int _prepare(Job* job, BatchColumns columns, bint with_ref) except -1:
    """Which columns the samples have."""
    cdef Py_ssize_t i, m = columns.encoding.shape[0]
    cdef bint with_st = job.histogram_st != NULL
    for i in range(m):
        with_st |= columns.encoding[i] == C_XOR2
    job.source = &columns.source
    job.out.with_st = job.divisor.with_st = with_st
    job.out.with_ref = job.divisor.with_ref = with_ref
    for i in range(3):
        job.scratch[i].with_st = with_st
        job.scratch[i].with_ref = with_ref
    return 0


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
            mask[parts[i].row] = _holds_histograms(columns.encoding[parts[i].row])
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
    floats = np.concatenate(([0], np.cumsum(is_float)))[start]
    taken = take_histograms(histograms, row[~is_float], start - floats, numbers[~is_float])
    return SampleBatch(
        labels, floats, timestamps[is_float], numbers[is_float],
        None if start_timestamps is None else start_timestamps[is_float], taken,
    )
