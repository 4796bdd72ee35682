# XOR and XOR2 samples, decoded. Only _chunks.pyx includes these leaves; others call its decode_float_chunk.
#
# A chunk starts with whole bytes (header, first sample, time of the second); from there on it is bits. The loop
# decodes one sample per turn with unchecked loads as long as SAMPLE_REACH bytes follow the position, and then
# once more from a copy of the tail that zeros follow. So the only check per sample is one comparison; that
# the bits were really there is checked where the copy is made and at the end.

from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from pythanos._bits cimport PYTHANOS_CLZ64, PYTHANOS_RARE, BitReader, bit_reader, peek, peek64, read_varbit_int, widen
from pythanos._chunk_faults cimport FAULT_SHORT, FAULT_VARINT, FAULT_WINDOW
from pythanos._cursor cimport Cursor, cursor, offset as cursor_offset, read_u64be, read_uvarint, read_varint

cdef extern from *:
    """
    #define PYTHANOS_STALE 0x7FF0000000000002ULL
    #define PYTHANOS_ALL_BITS 0xFFFFFFFFFFFFFFFFULL
    """
    const uint64_t STALE "PYTHANOS_STALE"
    const uint64_t ALL_BITS "PYTHANOS_ALL_BITS"

cdef enum:
    SAMPLE_REACH = 28       # bytes from a sample's first byte that decoding it may load: 147 bits, and nine bytes
    TAIL = 80               # what is left where SAMPLE_REACH bytes are not, and SAMPLE_REACH behind its end


# What changes when decoding goes on in the copy of a tail.
cdef struct Source:
    const uint8_t* data
    int64_t at              # bits
    int64_t end             # bits, where the chunk ends
    int64_t safe            # the last position from which a whole sample may be loaded
    int64_t moved           # bytes that were left behind


# The numbers at the start of a chunk that are whole bytes.
cdef struct Opening:
    uint64_t timestamp      # unsigned: sums of untrusted numbers wrap
    uint64_t value
    int64_t start           # 0 where the chunk has none
    uint64_t delta


cdef inline bint past_safe(Source* s, uint8_t* tail) noexcept nogil:
    """Behind `safe`: copies what is left to `tail`, followed by zeros, and goes on there. False past the end."""
    cdef int64_t byte = s.at >> 3
    if s.at > s.end:
        return False
    memset(tail, 0, TAIL)
    memcpy(tail, s.data + byte, (s.end >> 3) - byte)
    s.data = tail
    s.at -= byte << 3
    s.end -= byte << 3
    s.moved += byte
    s.safe = s.end
    return True


cdef inline int64_t open_chunk(
    Source* s, Opening* o, const uint8_t* data, uint64_t length, uint64_t readable, uint64_t header, int64_t n,
    bint with_start,
) noexcept nogil:
    """Reads sample 0 and the time of sample 1. n >= 1; 0 or a fault."""
    cdef Cursor c = cursor(data, <Py_ssize_t>length)
    c.at += header
    o.timestamp = <uint64_t>read_varint(&c)
    o.value = read_u64be(&c)
    o.start = <int64_t>(o.timestamp - <uint64_t>read_varint(&c)) if with_start else 0
    o.delta = read_uvarint(&c) if n > 1 else 0
    s.data = data
    s.at = cursor_offset(&c) << 3
    s.end = <int64_t>length << 3
    s.safe = min(s.end, (<int64_t>readable - SAMPLE_REACH) << 3)
    s.moved = 0
    return FAULT_VARINT if c.bad else 0


cdef inline int64_t end_chunk(const Source* s, int64_t at, int64_t n, int64_t fault, uint64_t* fault_at) noexcept nogil:
    """What decoding that stopped at bit `at` returns: n, or the fault and its byte."""
    fault_at[0] = <uint64_t>(s.moved + (min(at, s.end) >> 3))
    return fault if fault else n if at <= s.end else FAULT_SHORT


cdef inline void put_run(
    int64_t* timestamps, uint64_t* values, int64_t run, uint64_t timestamp, uint64_t delta, uint64_t value
) noexcept nogil:
    """Samples that go on as the one before them did."""
    cdef int64_t k
    for k in range(run):
        timestamp += delta
        timestamps[k] = <int64_t>timestamp
        values[k] = value


cdef inline int64_t decode_xor(
    const uint8_t* data, uint64_t length, uint64_t readable, int64_t n, int64_t* timestamps, uint64_t* values,
    uint64_t* fault_at,
) noexcept nogil:
    # The hot state is in locals, not in a struct, whose address would keep it in memory: a store and a load each.
    # `valid` is how many bits at the top of `word` are still there: mostly enough, so that one load does for a sample.
    # The window of changed bits is where they lie in a value: behind `leading` bits, `width` of them, those of `mask`.
    cdef uint8_t tail[TAIL]
    cdef Source s
    cdef Opening o
    cdef int64_t fault = open_chunk(&s, &o, data, length, readable, 2, n, False)
    cdef uint64_t timestamp = o.timestamp, delta = o.delta, value = o.value
    cdef int64_t at = s.at, safe = s.safe
    cdef const uint8_t* source = data
    cdef int width = 64, leading = 0, valid
    cdef uint64_t word, mask = ALL_BITS
    cdef int64_t i = 1, run
    if fault:
        return end_chunk(&s, at, n, fault, fault_at)
    timestamps[0] = <int64_t>timestamp
    values[0] = value
    while i < n:
        if PYTHANOS_RARE(at > safe):
            s.at = at
            if not past_safe(&s, tail):
                fault = FAULT_SHORT
                break
            source = s.data
            at = s.at
            safe = s.safe
        word = peek(source, at)
        valid = 57
        if not PYTHANOS_RARE(i == 1):
            if not (word >> 62):
                # Nothing changed: two bits a sample, and as many samples at once as there are pairs of zeros.
                run = min(<int64_t>(PYTHANOS_CLZ64(word | 0x7F) >> 1), n - i)
                put_run(timestamps + i, values + i, run, timestamp, delta, value)
                timestamp += <uint64_t>run * delta
                i += run
                at += 2 * run
                continue
            if not PYTHANOS_RARE(word >> 63):
                if not PYTHANOS_RARE((word >> 61) & 1 or width > 54):
                    # On time, and changed in the same window: most samples of most chunks.
                    timestamp += delta
                    value ^= ((word << 3) >> leading) & mask
                    at += width + 3
                    timestamps[i] = <int64_t>timestamp
                    values[i] = value
                    i += 1
                    continue
                at += 1
                word <<= 1
                valid = 56
            elif not (word >> 62) & 1:
                delta += <uint64_t>widen((word >> 48) & 0x3FFF, 14)
                at += 16
                word <<= 16
                valid = 41
            elif not (word >> 61) & 1:
                delta += <uint64_t>widen((word >> 44) & 0x1FFFF, 17)
                at += 20
                word <<= 20
                valid = 37
            elif not (word >> 60) & 1:
                delta += <uint64_t>widen((word >> 40) & 0xFFFFF, 20)
                at += 24
                word <<= 24
                valid = 33
            else:
                delta += peek64(source, at + 4)
                at += 68
                word = peek(source, at)
        timestamp += delta
        if PYTHANOS_RARE(not (word >> 63)):
            at += 1
        else:
            if PYTHANOS_RARE((word >> 62) & 1):
                leading = <int>(word >> 57) & 31
                width = <int>(word >> 51) & 63
                width = width if width else 64
                at += 13
                word <<= 13
                valid -= 13
                if PYTHANOS_RARE(leading + width > 64):
                    fault = FAULT_WINDOW
                    break
                mask = (ALL_BITS << (64 - width)) >> leading
            else:
                at += 2
                word <<= 2
                valid -= 2
            if PYTHANOS_RARE(width > valid):
                word = peek64(source, at)
            value ^= (word >> leading) & mask
            at += width
        timestamps[i] = <int64_t>timestamp
        values[i] = value
        i += 1
    return end_chunk(&s, at, n, fault, fault_at)


cdef inline int64_t decode_xor2(
    const uint8_t* data, uint64_t length, uint64_t readable, int64_t n,
    int64_t* timestamps, uint64_t* values, int64_t* starts, uint64_t* fault_at,
) noexcept nogil:
    # As decode_xor. A value is stale, or `changed`, and then in a `fresh` window or in the last one.
    cdef uint8_t tail[TAIL]
    cdef Source s
    cdef Opening o
    cdef int64_t fault = open_chunk(&s, &o, data, length, readable, 3, n, data[2] >> 7)
    cdef uint64_t timestamp = o.timestamp, delta = o.delta, value = o.value, difference = 0
    cdef int64_t at = s.at, safe = s.safe, first_change = data[2] & 0x7F, start = o.start
    cdef int64_t plain = first_change if first_change else n    # samples in front of it have no start timestamp field
    cdef const uint8_t* source = data
    cdef int width = 64, leading = 0, valid
    cdef bint changed, fresh, stale
    cdef uint64_t word, step = 0, mask = ALL_BITS
    cdef int64_t i = 1, run, k
    if fault:
        return end_chunk(&s, at, n, fault, fault_at)
    timestamps[0] = <int64_t>timestamp
    values[0] = value
    if starts != NULL:
        starts[0] = start
    value = 0 if value == STALE else value      # a stale value is never the base of the next one
    while i < n:
        if PYTHANOS_RARE(at > safe):
            s.at = at
            if not past_safe(&s, tail):
                fault = FAULT_SHORT
                break
            source = s.data
            at = s.at
            safe = s.safe
        word = peek(source, at)
        valid = 57
        changed, fresh, stale = True, False, False
        if not (word >> 63) and 1 < i < plain:
            # Nothing changed: a bit a sample, and as many samples at once as there are zeros.
            run = min(<int64_t>PYTHANOS_CLZ64(word | 0x7F), min(n, plain) - i)
            put_run(timestamps + i, values + i, run, timestamp, delta, value)
            if starts != NULL:
                for k in range(run):
                    starts[i + k] = start
            timestamp += <uint64_t>run * delta
            i += run
            at += run
            continue
        if PYTHANOS_RARE(i > 1 and not (word >> 63)):
            at += 1
            changed = False
        elif i > 1 and not PYTHANOS_RARE((word >> 62) & 1):
            fresh = (word >> 61) & 1
            at += 3
            word <<= 3
            valid = 54
        elif i > 1 and (word >> 59) == 31:
            at += 5
            changed = False
            stale = True
        else:
            if i > 1:
                if not (word >> 61) & 1:
                    delta += <uint64_t>(<int64_t>(word << 3) >> 51)
                    at += 16
                    word <<= 16
                    valid = 41
                elif not (word >> 60) & 1:
                    delta += <uint64_t>(<int64_t>(word << 4) >> 44)
                    at += 24
                    word <<= 24
                    valid = 33
                else:
                    delta += peek64(source, at + 5)
                    at += 69
                    word = peek(source, at)
            if not (word >> 63):
                at += 1
                changed = False
            elif not (word >> 62) & 1:
                at += 2
                word <<= 2
                valid -= 2
            else:
                stale = (word >> 61) & 1
                fresh = changed = not stale
                at += 3
                word <<= 3
                valid -= 3
        if changed:
            if PYTHANOS_RARE(fresh):
                leading = <int>(word >> 59)
                width = <int>(word >> 53) & 63
                width = width if width else 64
                at += 11
                word <<= 11
                valid -= 11
                if PYTHANOS_RARE(leading + width > 64):
                    fault = FAULT_WINDOW
                    break
                mask = (ALL_BITS << (64 - width)) >> leading
            if PYTHANOS_RARE(width > valid):
                word = peek64(source, at)
            value ^= (word >> leading) & mask
            at += width
        if PYTHANOS_RARE(i >= plain):
            at = take_start(data, length, at + (s.moved << 3), &step) - (s.moved << 3)
            if PYTHANOS_RARE(at < 0):
                at = s.end
                fault = FAULT_SHORT
                break
            difference = step if i == first_change else difference + step
            start = <int64_t>(timestamp - difference)
        timestamp += delta
        timestamps[i] = <int64_t>timestamp
        values[i] = STALE if stale else value
        if starts != NULL:
            starts[i] = start
        i += 1
    return end_chunk(&s, at, n, fault, fault_at)


cdef inline int64_t take_start(const uint8_t* data, uint64_t length, int64_t at, uint64_t* step) noexcept nogil:
    """The start timestamp field at bit `at` of the chunk: a change of (time of the sample before - start timestamp).
    Returns the position behind it, or a negative number where the data ends."""
    cdef BitReader r = bit_reader(data, length, 0)
    if <uint64_t>at > r.end:
        return INT64_MIN >> 1
    r.at = <uint64_t>at
    step[0] = <uint64_t>read_varbit_int(&r)
    return INT64_MIN >> 1 if r.bad else <int64_t>r.at
