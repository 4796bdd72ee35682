# The numbers of a histogram sample, read: deltas of deltas, XOR values, and the start timestamp behind them.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from pythanos._bits cimport (
    PYTHANOS_CLZ64, PYTHANOS_RARE, BitReader, peek, peek64, read_bits, read_signed_varint, read_varbit_int, take_zeros,
)

# An XOR value while a chunk is read: 64 bits wide until a first window was sent.
cdef struct XorState:
    uint64_t bits
    int32_t width
    int32_t trailing


# What the next bits of a run of varbit numbers hold: zeros, each a number, and the number behind them. A byte has how
# many zeros, one how many bits with the number, one the ones in front of it; all 0 where it begins too late or is long.
cdef extern from *:
    """
    #define PYTHANOS_RUN_BITS 11

    static uint32_t pythanos_runs[1 << PYTHANOS_RUN_BITS];

    static void pythanos_make_runs(void) {
        static const int widths[] = {0, 3, 6, 9, 12, 18, 25};
        for (uint32_t i = 0; i < 1 << PYTHANOS_RUN_BITS; i++) {
            int zeros = 0, ones = 0;
            while (zeros < PYTHANOS_RUN_BITS && !(i >> (PYTHANOS_RUN_BITS - 1 - zeros) & 1)) zeros++;
            while (zeros + ones < PYTHANOS_RUN_BITS && i >> (PYTHANOS_RUN_BITS - 1 - zeros - ones) & 1) ones++;
            if (ones && ones <= 6 && zeros + ones < PYTHANOS_RUN_BITS)
                pythanos_runs[i] = zeros | (uint32_t)(zeros + ones + 1 + widths[ones]) << 8 | (uint32_t)ones << 16;
        }
    }
    """
    const int RUN_BITS "PYTHANOS_RUN_BITS"
    const uint32_t* RUNS "pythanos_runs"
    void make_runs "pythanos_make_runs"() noexcept nogil


cdef inline bint read_xor_near_end(BitReader* r, XorState* v) noexcept nogil:
    """As ``read_xor``, with every read checked."""
    cdef uint64_t window
    if not read_bits(r, 1):
        return True
    if read_bits(r, 1):
        window = read_bits(r, 11)
        v.width = <int32_t>(window & 63)
        v.width = v.width if v.width else 64
        v.trailing = 64 - <int32_t>(window >> 6) - v.width
        if v.trailing < 0:
            v.trailing = 0
            return False
    v.bits ^= read_bits(r, v.width) << v.trailing
    return True


cdef inline bint read_xor(BitReader* r, XorState* v) noexcept nogil:
    """The value code: 0 | 10 bits | 11 window bits. False where the window is impossible."""
    cdef uint64_t word
    cdef int valid = 55
    # A longest code is 77 bits: these bytes hold it wherever it begins.
    if PYTHANOS_RARE((r.at >> 3) + 12 > (r.end >> 3)):
        return read_xor_near_end(r, v)
    word = peek(r.data, r.at)
    if not (word >> 63):
        r.at += 1
        return True
    if (word >> 62) & 1:
        v.width = <int32_t>((word >> 51) & 63)
        v.width = v.width if v.width else 64
        v.trailing = 64 - <int32_t>((word >> 57) & 31) - v.width
        if v.trailing < 0:
            v.trailing = 0
            return False
        r.at += 13
        word <<= 13
        valid = 44
    else:
        r.at += 2
        word <<= 2
    if v.width > valid:
        word = peek64(r.data, r.at)
    v.bits ^= (word >> (64 - v.width)) << v.trailing
    r.at += <uint64_t>v.width
    return True


cdef inline void read_changes(BitReader* r, uint64_t* deltas, int64_t n) noexcept nogil:
    """Adds the next n varbit numbers, most of which are zero, to `deltas`.

    One look into a table gives a run of zeros and the number behind it, with no branch to be mispredicted. Mostly three
    such pairs are in a word; loading it anew sooner would cost more than the rest, later would be hard to predict.
    `make_runs` was called before.
    """
    cdef const uint8_t* data = r.data
    cdef uint64_t word, at = r.at, bytes = r.end >> 3
    cdef int64_t k = 0, zeros
    cdef uint32_t run
    cdef int length, rest, used, turn
    while (at >> 3) + 8 <= bytes:
        word = peek(data, at)
        used = 0
        for turn in range(3):
            run = RUNS[word >> (64 - RUN_BITS)]
            zeros, length = run & 0xFF, <int>(run >> 8) & 0xFF
            if PYTHANOS_RARE(run == 0 or used + length > 57) or zeros >= n - k:
                break
            # The number, as `widen` gives it: from the top of the word, its width 64 - rest.
            rest = 65 + <int>zeros + <int>(run >> 16) - length
            deltas[k + zeros] += <uint64_t>(
                (<int64_t>((word << (length - (64 - rest))) - (1ULL << rest)) >> rest) + 1
            )
            word <<= length
            used += length
            k += zeros + 1
        at += <uint64_t>used
        if n - k <= <int64_t>PYTHANOS_CLZ64(word | 0x7F) and n - k <= 57 - used:
            r.at = at + <uint64_t>(n - k)
            return
        if PYTHANOS_RARE(used == 0):
            zeros = min(<int64_t>PYTHANOS_CLZ64(word | 0x7F), n - k)
            r.at = at + <uint64_t>zeros
            k += zeros
            if k < n:
                deltas[k] += <uint64_t>read_varbit_int(r)
                k += 1
            at = r.at
    r.at = at
    while k < n:
        deltas[k] += <uint64_t>read_varbit_int(r)
        k += 1


cdef inline bint read_all(BitReader* r, XorState* numbers, int64_t n) noexcept nogil:
    """The value codes of n numbers, runs of unchanged ones at once. False where a window is impossible."""
    cdef int64_t k = 0
    while k < n:
        k += take_zeros(r, n - k)
        if k < n:
            if not read_xor(r, &numbers[k]):
                return False
            k += 1
    return True


# The start timestamps of a chunk while it is read.
cdef struct StartState:
    bint known
    int64_t change_on       # the sample from which on there is a field; 0 for never
    int64_t start
    uint64_t difference


cdef inline void read_start(BitReader* r, StartState* s, int64_t i, uint64_t t, uint64_t before) noexcept nogil:
    """The field behind sample i."""
    cdef uint64_t change
    if i == 0:
        if s.known:
            s.start = <int64_t>(t - <uint64_t>read_signed_varint(r))
    elif s.change_on and i >= s.change_on:
        change = <uint64_t>read_varbit_int(r)
        s.difference = change if i == s.change_on else s.difference + change
        s.start = <int64_t>(before - s.difference)
