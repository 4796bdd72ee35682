# The samples of a histogram chunk behind its layout, decoded into columns. Only _histogram_decode.pyx includes these
# leaves, and _histogram_bmi2.pyx, which compiles them for processors with better shifts.
#
# A word is loaded where eight bytes follow; so the reader may look beyond the end of the chunk, into what follows it in
# its arena, and whether the bits were the chunk's own is asked once a sample.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memset

from pythanos._bits cimport BitReader, read_bits, read_varbit_int, read_varbit_uint
from pythanos._chunk_faults cimport FAULT_SHORT, FAULT_WINDOW
from pythanos._histogram_layout cimport Extent, as_double
from pythanos._histogram_numbers cimport StartState, XorState, read_all, read_changes, read_start, read_xor
from pythanos._xor_decode cimport STALE

# Where the samples go. Row `row` is the next one, `bucket` the next bucket.
cdef struct RowColumns:
    int64_t row
    int64_t bucket
    int64_t* timestamps
    double* count
    double* zero_count
    double* sum
    uint8_t* reset_hint
    int32_t* layout
    int64_t* bucket_start
    double* buckets
    int64_t* start_timestamps
    uint8_t* integer        # NULL, with the three below, where exact counts are not wanted
    uint64_t* exact_count
    uint64_t* exact_zero_count
    int64_t* exact_buckets


cdef inline void put_row(
    RowColumns* out, uint64_t t, double count, double zero_count, uint64_t sum, int64_t start
) noexcept nogil:
    cdef int64_t i = out.row
    out.timestamps[i] = <int64_t>t
    out.count[i] = count
    out.zero_count[i] = zero_count
    out.sum[i] = as_double(sum)
    if out.start_timestamps != NULL:
        out.start_timestamps[i] = start
    if out.integer != NULL:
        out.integer[i] = False
        out.exact_count[i] = 0
        out.exact_zero_count[i] = 0
    out.row += 1
    out.bucket_start[out.row] = out.bucket


cdef inline void put_integer_buckets(
    RowColumns* out, uint64_t* values, const uint64_t* deltas, const Extent* e
) noexcept nogil:
    """Absolute counts from the differences between neighbours, after these have gone on by `deltas`.

    The negative ones start anew at zero.
    """
    cdef uint64_t total = 0
    cdef int64_t i, width = e.positive + e.negative, positive = e.positive
    cdef double* counts = out.buckets + out.bucket
    cdef int64_t* exact
    for i in range(positive):
        values[i] += deltas[i]
        total += values[i]
        counts[i] = <double><int64_t>total
    total = 0
    for i in range(positive, width):
        values[i] += deltas[i]
        total += values[i]
        counts[i] = <double><int64_t>total
    if out.exact_buckets != NULL:
        exact = out.exact_buckets + out.bucket
        for i in range(width):
            total = values[i] if i == positive or i == 0 else total + values[i]
            exact[i] = <int64_t>total
    out.bucket += width


cdef inline int64_t decode_integers(
    BitReader* from_here, uint64_t limit, const Extent* e, StartState* starts, int64_t capacity, uint64_t* values,
    RowColumns* out,
) noexcept nogil:
    """The samples of an integer histogram chunk, which ends at bit `limit`. 0 or a fault.

    `values` is scratch for one row and its differences from the row before: time, count, zero count, buckets.
    """
    # A copy that nothing else can point at, so that it stays in registers.
    cdef BitReader own = from_here[0]
    cdef BitReader* r = &own
    cdef XorState sum
    cdef uint64_t before = 0
    cdef int64_t width = e.positive + e.negative
    cdef uint64_t* buckets = values + 3
    cdef uint64_t* deltas = values + 3 + width
    cdef int64_t i, fault = 0
    cdef bint stale
    memset(values, 0, <size_t>(2 * (3 + width)) * sizeof(uint64_t))
    sum.bits = 0
    sum.width = 64
    sum.trailing = 0
    for i in range(e.rows):
        before = values[0]
        if i == 0:
            values[0] = <uint64_t>read_varbit_int(r)
            values[1] = read_varbit_uint(r)
            values[2] = read_varbit_uint(r)
            sum.bits = read_bits(r, 64)
        else:
            read_changes(r, deltas, 3)
            values[0] += deltas[0]
            values[1] += deltas[1]
            values[2] += deltas[2]
            if not read_xor(r, &sum):
                fault = FAULT_WINDOW
        stale = sum.bits == STALE
        if i == 0 or not stale:
            read_changes(r, buckets if i == 0 else deltas + 3, width)
        read_start(r, starts, i, values[0], before)
        if r.bad or r.at > limit or (not stale and out.bucket + width > capacity):
            fault = FAULT_SHORT
        if fault:
            from_here.at = min(r.at, limit)
            return fault
        if not stale:
            put_integer_buckets(out, buckets, deltas + 3, e)
        put_row(
            out, values[0], 0 if stale else <double>values[1], 0 if stale else <double>values[2], sum.bits, starts.start
        )
        if out.integer != NULL:
            out.integer[out.row - 1] = True
            out.exact_count[out.row - 1] = 0 if stale else values[1]
            out.exact_zero_count[out.row - 1] = 0 if stale else values[2]
    return 0


cdef inline int64_t decode_floats(
    BitReader* from_here, uint64_t limit, const Extent* e, StartState* starts, int64_t capacity, XorState* numbers,
    RowColumns* out,
) noexcept nogil:
    """As ``decode_integers`` for a float histogram chunk. `numbers` is scratch: count, zero count, sum, buckets."""
    cdef BitReader own = from_here[0]
    cdef BitReader* r = &own
    cdef uint64_t t = 0, delta = 0, before
    cdef int64_t width = e.positive + e.negative
    cdef int64_t i, k, fault = 0
    cdef bint stale
    for i in range(e.rows):
        before = t
        if i == 0:
            t = <uint64_t>read_varbit_int(r)
            for k in range(3 + width):
                numbers[k].bits = read_bits(r, 64)
                numbers[k].width = 64
                numbers[k].trailing = 0
            stale = numbers[2].bits == STALE
        else:
            delta += <uint64_t>read_varbit_int(r)
            t += delta
            if not read_all(r, numbers, 3):
                fault = FAULT_WINDOW
            stale = numbers[2].bits == STALE
            if not stale and not read_all(r, numbers + 3, width):
                fault = FAULT_WINDOW
        read_start(r, starts, i, t, before)
        if r.bad or r.at > limit or (not stale and out.bucket + width > capacity):
            fault = FAULT_SHORT
        if fault:
            from_here.at = min(r.at, limit)
            return fault
        if not stale:
            for k in range(3, 3 + width):
                out.buckets[out.bucket] = as_double(numbers[k].bits)
                if out.exact_buckets != NULL:
                    out.exact_buckets[out.bucket] = 0
                out.bucket += 1
        put_row(
            out, t, 0 if stale else as_double(numbers[0].bits), 0 if stale else as_double(numbers[1].bits),
            numbers[2].bits, starts.start,
        )
    return 0
