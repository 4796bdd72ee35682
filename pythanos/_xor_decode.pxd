# XOR and XOR2 samples, decoded. Only _chunks.pyx includes these leaves; others call its decode_float_chunk.
#
# A chunk starts with whole bytes (header, first sample, time of the second); from there on it is bits. The loop
# decodes one sample per turn with unchecked loads as long as SAMPLE_REACH bytes follow the position, and then
# once more from a copy of the tail that zeros follow. So the only check per sample is one comparison; that
# the bits were really there is checked where the copy is made and at the end.

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from pythanos._bits cimport PYTHANOS_RARE, BitReader, bit_reader, peek, peek64, read_varbit_int, widen
from pythanos._chunks cimport FAULT_SHORT, FAULT_VARINT, FAULT_WINDOW
from pythanos._cursor cimport Cursor, cursor, offset as cursor_offset, read_u64be, read_uvarint, read_varint

cdef extern from *:
    """
    #define PYTHANOS_STALE 0x7FF0000000000002ULL
    """
    const uint64_t STALE "PYTHANOS_STALE"

cdef enum:
    SAMPLE_REACH = 28       # bytes from a sample's first byte that decoding it may load: 147 bits, and nine bytes
    TAIL = 80               # what is left where SAMPLE_REACH bytes are not, and SAMPLE_REACH behind its end


# The state between two samples. Position and data move when the tail is copied.
cdef struct FloatState:
    const uint8_t* data
    int64_t at              # bits
    int64_t end             # bits, where the chunk's data ends
    int64_t safe            # the last position from which a whole sample may be loaded
    int64_t moved           # bytes that were left behind by moving to the tail copy
    uint64_t timestamp      # unsigned: sums of untrusted numbers wrap
    uint64_t delta
    uint64_t value
    int width               # of the window of significant bits
    int trailing


cdef inline bint past_safe(FloatState* s, uint8_t* tail) noexcept nogil:
    """Behind `safe`: copies what is left to `tail`, followed by zeros, and goes on there. False where nothing is left."""
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


cdef inline bint take_window(FloatState* s, uint64_t word) noexcept nogil:
    """A new window (5 bits of leading zeros, 6 bits of width) at the top of `word`, and the value's bits behind it."""
    cdef int leading = <int>(word >> 59)
    cdef int width = <int>((word >> 53) & 63)
    if width == 0:
        width = 64
    if PYTHANOS_RARE(leading + width > 64):
        return False
    s.width = width
    s.trailing = 64 - leading - width
    s.at += 11
    take_bits(s)
    return True


cdef inline void take_bits(FloatState* s) noexcept nogil:
    """The significant bits of a value, in the window."""
    s.value ^= (peek64(s.data, s.at) >> (64 - s.width)) << s.trailing
    s.at += s.width


cdef inline bint take_value(FloatState* s, uint64_t word) noexcept nogil:
    """The value code at the position; `word` holds its first 13 bits or more at the top. False where it is impossible."""
    if not (word >> 63):
        s.at += 1
        return True
    if not (word >> 62) & 1:
        s.at += 2
        take_bits(s)
        return True
    s.at += 2
    return take_window(s, word << 2)


cdef inline int start_state(
    FloatState* s, const uint8_t* data, uint64_t length, uint64_t readable, uint64_t header, int64_t n, bint first_st,
    int64_t* st,
) noexcept nogil:
    """Reads the parts that are whole bytes: sample 0 and the time of sample 1. `n` >= 1."""
    cdef Cursor c = cursor(data, <Py_ssize_t>length)
    c.at += header
    s.timestamp = <uint64_t>read_varint(&c)
    s.value = read_u64be(&c)
    s.delta = 0
    if first_st:
        st[0] = <int64_t>(s.timestamp - <uint64_t>read_varint(&c))
    if n > 1:
        s.delta = read_uvarint(&c)
    s.data = data
    s.at = cursor_offset(&c) << 3
    s.end = <int64_t>length << 3
    s.safe = min(s.end, (<int64_t>readable - SAMPLE_REACH) << 3)
    s.moved = 0
    s.width = 64
    s.trailing = 0
    return FAULT_VARINT if c.bad else 0


cdef inline int64_t decode_xor(
    const uint8_t* data, uint64_t length, uint64_t readable, int64_t n, int64_t* timestamps, uint64_t* values, uint64_t* fault_at
) noexcept nogil:
    cdef uint8_t tail[TAIL]
    cdef FloatState s
    cdef uint64_t word
    cdef int64_t i, fault
    fault = start_state(&s, data, length, readable, 2, n, False, NULL)
    if fault:
        fault_at[0] = <uint64_t>(s.at >> 3)
        return fault
    timestamps[0] = <int64_t>s.timestamp
    values[0] = s.value
    for i in range(1, n):
        if PYTHANOS_RARE(s.at > s.safe) and not past_safe(&s, tail):
            fault = FAULT_SHORT
            break
        word = peek(s.data, s.at)
        if i > 1:
            if not (word >> 63):
                s.at += 1
                word <<= 1
            elif not (word >> 62) & 1:
                s.delta += <uint64_t>widen((word >> 48) & 0x3FFF, 14)
                s.at += 16
                word <<= 16
            elif not (word >> 61) & 1:
                s.delta += <uint64_t>widen((word >> 44) & 0x1FFFF, 17)
                s.at += 20
                word <<= 20
            elif not (word >> 60) & 1:
                s.delta += <uint64_t>widen((word >> 40) & 0xFFFFF, 20)
                s.at += 24
                word <<= 24
            else:
                s.delta += peek64(s.data, s.at + 4)
                s.at += 68
                word = peek(s.data, s.at)
        s.timestamp += s.delta
        if PYTHANOS_RARE(not take_value(&s, word)):
            fault = FAULT_WINDOW
            break
        timestamps[i] = <int64_t>s.timestamp
        values[i] = s.value
    if not fault and s.at > s.end:
        fault = FAULT_SHORT
    fault_at[0] = <uint64_t>(s.moved + (min(s.at, s.end) >> 3))
    return fault if fault else n


cdef inline int64_t take_start(
    FloatState* s, const uint8_t* data, uint64_t length, int64_t index, int64_t first_change, int64_t* difference
) noexcept nogil:
    """The start timestamp field behind a sample: a change of (time of the sample before - start timestamp)."""
    cdef BitReader r = bit_reader(data, length, 0)
    cdef int64_t step
    r.at = <uint64_t>(s.at + (s.moved << 3))
    if r.at > r.end:
        return FAULT_SHORT
    step = read_varbit_int(&r)
    if r.bad:
        return FAULT_SHORT
    difference[0] = step if index == first_change else <int64_t>(<uint64_t>difference[0] + <uint64_t>step)
    s.at = <int64_t>r.at - (s.moved << 3)
    return 0


cdef inline int64_t take_xor2_value(FloatState* s, uint64_t word, bint* stale) noexcept nogil:
    """The value code where the time changed too: 0 | 10 bits | 110 window bits | 111 stale."""
    if not (word >> 63):
        s.at += 1
        return 0
    if not (word >> 62) & 1:
        s.at += 2
        take_bits(s)
        return 0
    s.at += 3
    if (word >> 61) & 1:
        stale[0] = True
        return 0
    return 0 if take_window(s, word << 3) else FAULT_WINDOW


cdef inline int64_t take_joint(FloatState* s, uint64_t word, bint* stale) noexcept nogil:
    """One sample behind the second: its joint control bits, delta of delta and value."""
    if not (word >> 63):
        s.at += 1
        return 0
    if not (word >> 62) & 1:
        if (word >> 61) & 1:
            s.at += 3
            return 0 if take_window(s, word << 3) else FAULT_WINDOW
        s.at += 3
        take_bits(s)
        return 0
    if not (word >> 61) & 1:
        s.delta += <uint64_t>(<int64_t>(word << 3) >> 51)
        s.at += 16
        return take_xor2_value(s, word << 16, stale)
    if not (word >> 60) & 1:
        s.delta += <uint64_t>(<int64_t>(word << 4) >> 44)
        s.at += 24
        return take_xor2_value(s, word << 24, stale)
    s.at += 5
    if (word >> 59) & 1:
        stale[0] = True
        return 0
    s.delta += peek64(s.data, s.at)
    s.at += 64
    return take_xor2_value(s, peek(s.data, s.at), stale)


cdef inline int64_t decode_xor2(
    const uint8_t* data, uint64_t length, uint64_t readable, int64_t n,
    int64_t* timestamps, uint64_t* values, int64_t* starts, uint64_t* fault_at,
) noexcept nogil:
    cdef uint8_t tail[TAIL]
    cdef FloatState s
    cdef int64_t first_change = data[2] & 0x7F
    cdef int64_t i, fault, difference = 0, st = 0
    cdef uint64_t before
    cdef bint stale
    cdef uint64_t word
    fault = start_state(&s, data, length, readable, 3, n, data[2] >> 7, &st)
    if fault:
        fault_at[0] = <uint64_t>(s.at >> 3)
        return fault
    timestamps[0] = <int64_t>s.timestamp
    values[0] = s.value
    if starts != NULL:
        starts[0] = st
    if s.value == STALE:
        s.value = 0         # a stale value is never the base of the next one
    for i in range(1, n):
        if PYTHANOS_RARE(s.at > s.safe) and not past_safe(&s, tail):
            fault = FAULT_SHORT
            break
        word = peek(s.data, s.at)
        stale = False
        before = s.timestamp
        fault = take_joint(&s, word, &stale) if i > 1 else take_xor2_value(&s, word, &stale)
        if PYTHANOS_RARE(fault):
            break
        s.timestamp += s.delta
        timestamps[i] = <int64_t>s.timestamp
        values[i] = STALE if stale else s.value
        if first_change and i >= first_change:
            fault = take_start(&s, data, length, i, first_change, &difference)
            if PYTHANOS_RARE(fault):
                break
            st = <int64_t>(before - <uint64_t>difference)
        if starts != NULL:
            starts[i] = st
    if not fault and s.at > s.end:
        fault = FAULT_SHORT
    fault_at[0] = <uint64_t>(s.moved + (min(s.at, s.end) >> 3))
    return fault if fault else n
