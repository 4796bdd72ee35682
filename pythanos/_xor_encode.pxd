# XOR and XOR2 samples, encoded bit for bit as Prometheus' appenders do, each chunk with a fresh state.

from libc.stdint cimport int64_t, uint8_t, uint64_t

from pythanos._bits cimport (
    PYTHANOS_CLZ64, PYTHANOS_CTZ64, BitWriter, bit_writer, finish_bits, fits, low_bits,
    put_bits, put_signed_varint, put_unsigned_varint, put_varbit_int,
)
from pythanos._xor_decode cimport STALE

cdef enum:
    # Room for a sample (147 bits, 72 for a start timestamp); for header, varints and a store behind the end.
    SAMPLE_ROOM = 28
    CHUNK_ROOM = 64


# What the next value is written against.
cdef struct XorValue:
    uint64_t bits
    int leading             # 255 until a first window was sent, which makes every window a new one
    int trailing


cdef inline XorValue xor_value(uint64_t bits) noexcept nogil:
    cdef XorValue v
    v.bits = bits
    v.leading = 255
    v.trailing = 0
    return v


cdef inline bint in_window(XorValue* v, uint64_t change) noexcept nogil:
    """Whether a change (not zero) fits the window; else the window becomes that of the change."""
    cdef int leading = min(PYTHANOS_CLZ64(change), 31)
    cdef int trailing = PYTHANOS_CTZ64(change)
    if leading >= v.leading and trailing >= v.trailing:
        return True
    v.leading = leading
    v.trailing = trailing
    return False


cdef inline void put_change(
    BitWriter* w, XorValue* v, uint64_t bits, uint64_t reuse, int reuse_bits, uint64_t fresh, int fresh_bits
) noexcept nogil:
    """A changed value behind the code for the old or a fresh window."""
    cdef uint64_t change = bits ^ v.bits
    cdef int width
    if in_window(v, change):
        width = 64 - v.leading - v.trailing
        put_bits(w, reuse, reuse_bits)
    else:
        width = 64 - v.leading - v.trailing
        put_bits(w, (fresh << 11) | (<uint64_t>v.leading << 6) | (<uint64_t>width & 63), fresh_bits + 11)
    put_bits(w, change >> v.trailing, width)
    v.bits = bits


cdef inline void put_xor(BitWriter* w, XorValue* v, uint64_t bits) noexcept nogil:
    """The value code of XOR chunks and histograms: 0 | 10 bits | 11 window bits."""
    if bits == v.bits:
        put_bits(w, 0, 1)
    else:
        put_change(w, v, bits, 2, 2, 3, 2)


cdef inline void put_xor_step(BitWriter* w, int64_t step) noexcept nogil:
    """A delta of delta."""
    if step == 0:
        put_bits(w, 0, 1)
    elif fits(step, 14):
        put_bits(w, (2ULL << 14) | low_bits(<uint64_t>step, 14), 16)
    elif fits(step, 17):
        put_bits(w, (6ULL << 17) | low_bits(<uint64_t>step, 17), 20)
    elif fits(step, 20):
        put_bits(w, (14ULL << 20) | low_bits(<uint64_t>step, 20), 24)
    else:
        put_bits(w, 15, 4)
        put_bits(w, <uint64_t>step, 64)


cdef inline uint8_t* encode_xor(
    uint8_t* out, int64_t n, const int64_t* timestamps, const uint64_t* values, bint spare_byte
) noexcept nogil:
    """One chunk of n (0..65535) samples to `out`, with room for CHUNK_ROOM + n * SAMPLE_ROOM; returns its end.

    spare_byte: as before Prometheus 2.55, whose writer of whole bytes began the next byte already.
    """
    cdef BitWriter w = bit_writer(out)
    cdef XorValue v
    cdef uint64_t delta = 0, last
    cdef int64_t i
    cdef uint8_t* end
    put_bits(&w, <uint64_t>n, 16)
    if n > 0:
        put_signed_varint(&w, timestamps[0])
        put_bits(&w, values[0], 64)
        v = xor_value(values[0])
    for i in range(1, n):
        last = delta
        delta = <uint64_t>timestamps[i] - <uint64_t>timestamps[i - 1]
        if i == 1:
            put_unsigned_varint(&w, delta)
        else:
            put_xor_step(&w, <int64_t>(delta - last))
        put_xor(&w, &v, values[i])
    end = finish_bits(&w)
    if spare_byte and w.used % 8 == 0 and (
        n == 1 or (n > 1 and values[n - 1] != values[n - 2] and (v.leading + v.trailing) % 8 == 0)
    ):
        end[0] = 0
        end += 1
    return end


# The state of start timestamps, in XOR2 and in the ST histogram chunks.
cdef struct StartState:
    int64_t last
    uint64_t difference     # time of the sample before - start timestamp
    uint8_t header          # bit 7: the first is known; bits 0-6: the sample from which on changes are written


cdef inline StartState start_state_of(int64_t nothing) noexcept nogil:
    cdef StartState s
    s.last = nothing
    s.difference = 0
    s.header = 0
    return s


cdef inline void put_start(
    BitWriter* w, StartState* s, int64_t i, int64_t t, int64_t before, int64_t start
) noexcept nogil:
    """The field behind sample i. The 7 header bits end at 127, so sample 127 begins the changes in any case."""
    cdef uint64_t difference
    if i == 0:
        if start != 0:
            put_signed_varint(w, <int64_t>(<uint64_t>t - <uint64_t>start))
            s.header = 0x80
    elif s.header & 0x7F:
        difference = <uint64_t>before - <uint64_t>start
        put_varbit_int(w, <int64_t>(difference - s.difference))
        s.difference = difference
    elif start != s.last or i == 127:
        s.difference = <uint64_t>before - <uint64_t>start
        s.header |= <uint8_t>i
        put_varbit_int(w, <int64_t>s.difference)
    s.last = start


cdef inline void put_xor2_value(BitWriter* w, XorValue* v, uint64_t bits) noexcept nogil:
    if bits == STALE:
        put_bits(w, 7, 3)
    elif bits == v.bits:
        put_bits(w, 0, 1)
    else:
        put_change(w, v, bits, 2, 2, 6, 3)


cdef inline void put_joint(BitWriter* w, XorValue* v, int64_t step, uint64_t bits) noexcept nogil:
    """A sample behind the second: delta of delta and value share their control bits."""
    if step == 0:
        if bits == STALE:
            put_bits(w, 31, 5)
        elif bits == v.bits:
            put_bits(w, 0, 1)
        else:
            put_change(w, v, bits, 4, 3, 5, 3)
        return
    if -4096 <= step <= 4095:
        put_bits(w, (6ULL << 13) | low_bits(<uint64_t>step, 13), 16)
    elif -524288 <= step <= 524287:
        put_bits(w, (14ULL << 20) | low_bits(<uint64_t>step, 20), 24)
    else:
        put_bits(w, 30, 5)
        put_bits(w, <uint64_t>step, 64)
    put_xor2_value(w, v, bits)


cdef inline uint8_t* encode_xor2(
    uint8_t* out, int64_t n, const int64_t* timestamps, const uint64_t* values, const int64_t* starts
) noexcept nogil:
    """As encode_xor; `starts` may be NULL. A stale value is never the base of the next one."""
    cdef BitWriter w = bit_writer(out)
    cdef XorValue v
    cdef StartState st = start_state_of(0)
    cdef uint64_t delta = 0, last
    cdef int64_t i
    put_bits(&w, <uint64_t>n << 8, 24)
    for i in range(n):
        last = delta
        if i == 0:
            put_signed_varint(&w, timestamps[0])
            put_bits(&w, values[0], 64)
            v = xor_value(0 if values[0] == STALE else values[0])
        else:
            delta = <uint64_t>timestamps[i] - <uint64_t>timestamps[i - 1]
            if i == 1:
                put_unsigned_varint(&w, delta)
                put_xor2_value(&w, &v, values[i])
            else:
                put_joint(&w, &v, <int64_t>(delta - last), values[i])
        put_start(&w, &st, i, timestamps[i], timestamps[i - 1] if i else 0, starts[i] if starts != NULL else 0)
    w.at = finish_bits(&w)
    out[2] = st.header
    return w.at
