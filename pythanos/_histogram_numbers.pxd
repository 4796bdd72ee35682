# The numbers of a histogram sample, read: deltas of deltas, XOR values, and the start timestamp behind them.

from libc.stdint cimport int32_t, int64_t, uint64_t

from pythanos._bits cimport BitReader, read_bits, read_signed_varint, read_varbit_int, take_zeros

# An XOR value while a chunk is read: 64 bits wide until a first window was sent.
cdef struct XorState:
    uint64_t bits
    int32_t width
    int32_t trailing


# A number of an integer histogram while a chunk is read.
cdef struct DeltaState:
    uint64_t value
    uint64_t delta


cdef inline bint read_xor(BitReader* r, XorState* v) noexcept nogil:
    """The value code: 0 | 10 bits | 11 window bits. False where the window is impossible."""
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


cdef inline void step(BitReader* r, DeltaState* d) noexcept nogil:
    d.delta += <uint64_t>read_varbit_int(r)
    d.value += d.delta


cdef inline void step_all(BitReader* r, DeltaState* numbers, int64_t n) noexcept nogil:
    """Most numbers go on as they did, at a zero bit each: runs of them are taken at once."""
    cdef int64_t k = 0
    while k < n:
        k += take_zeros(r, n - k)
        if k < n:
            numbers[k].delta += <uint64_t>read_varbit_int(r)
            k += 1
    # Apart from the reading, which is a chain of branches, this is one run of additions.
    for k in range(n):
        numbers[k].value += numbers[k].delta


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
