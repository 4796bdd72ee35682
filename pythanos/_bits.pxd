# Bit streams, most significant bit first: what every chunk encoding is made of.
#
# Reading has no buffer. A position is a number of bits from the start of the data; `peek` loads the eight
# bytes around it at any alignment and shifts, which leaves 57 bits or more at the top of a word. With the
# branches predicted, the next load does not wait for the last one, which is what makes this fast.
# `peek` and `peek64` touch up to eight and nine bytes from the position's byte on: only for code that has
# made sure of them (see decode_xor). BitReader checks each read and never touches a byte outside its data.
#
# Writing goes through a 64-bit accumulator that is stored, byte-swapped, when it is full. The caller
# provides room for the worst case and eight bytes more.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from pythanos._cursor cimport PYTHANOS_BSWAP64

cdef extern from *:
    """
    #define PYTHANOS_CLZ64(x) __builtin_clzll(x)
    #define PYTHANOS_CTZ64(x) __builtin_ctzll(x)
    #define PYTHANOS_RARE(x) __builtin_expect(!!(x), 0)
    """
    int PYTHANOS_CLZ64(uint64_t) noexcept nogil
    int PYTHANOS_CTZ64(uint64_t) noexcept nogil
    bint PYTHANOS_RARE(bint) noexcept nogil


cdef inline uint64_t load_be(const uint8_t* at) noexcept nogil:
    cdef uint64_t raw
    memcpy(&raw, at, 8)
    return PYTHANOS_BSWAP64(raw)


cdef inline uint64_t peek(const uint8_t* data, uint64_t at) noexcept nogil:
    """57 bits or more from bit `at`, at the top of the word, zeros below."""
    return load_be(data + (at >> 3)) << (at & 7)


cdef inline uint64_t peek64(const uint8_t* data, uint64_t at) noexcept nogil:
    """The 64 bits from bit `at`."""
    cdef const uint8_t* byte = data + (at >> 3)
    return (load_be(byte) << (at & 7)) | (<uint64_t>byte[8] >> (8 - (at & 7)))


cdef inline int64_t widen(uint64_t raw, int width) noexcept nogil:
    """A signed number of `width` (1..63) bits in Prometheus' range, -(2^(width-1) - 1) .. 2^(width-1)."""
    return (<int64_t>((raw - 1) << (64 - width)) >> (64 - width)) + 1


cdef inline bint fits(int64_t value, int width) noexcept nogil:
    """Whether `widen` can give the value back."""
    return -((<int64_t>1 << (width - 1)) - 1) <= value <= (<int64_t>1 << (width - 1))


cdef struct BitReader:
    const uint8_t* data
    uint64_t at             # bits
    uint64_t end            # bits; nothing at or after it is touched
    bint bad                # a read went past the end, or a varint was too long; all reads give 0 from then on


cdef inline BitReader bit_reader(const uint8_t* data, uint64_t size, uint64_t skip) noexcept nogil:
    """A reader of `size` bytes that starts behind the first `skip` of them (skip <= size)."""
    cdef BitReader r
    r.data = data
    r.at = skip << 3
    r.end = size << 3
    r.bad = False
    return r


cdef inline uint64_t left(const BitReader* r) noexcept nogil:
    return r.end - r.at


cdef inline uint64_t read_bits(BitReader* r, int width) noexcept nogil:
    """The next `width` (1..64) bits."""
    cdef uint64_t word = 0
    cdef uint64_t byte
    cdef int shift
    if PYTHANOS_RARE(r.bad or r.end - r.at < <uint64_t>width):
        r.bad = True
        return 0
    byte = r.at >> 3
    if byte + 9 <= (r.end >> 3):
        word = peek64(r.data, r.at)
    else:
        shift = 56 + <int>(r.at & 7)
        while shift > -8 and byte < (r.end >> 3):
            word |= <uint64_t>r.data[byte] << shift if shift >= 0 else <uint64_t>r.data[byte] >> -shift
            byte += 1
            shift -= 8
    r.at += <uint64_t>width
    return word >> (64 - width)


cdef inline int64_t take_zeros(BitReader* r, int64_t most) noexcept nogil:
    """Reads zero bits, up to `most`, and tells how many; 0 where the next bit is a one, and near the end."""
    cdef int64_t zeros
    if (r.at >> 3) + 8 > (r.end >> 3):
        return 0
    zeros = min(<int64_t>PYTHANOS_CLZ64(peek(r.data, r.at) | 0x7F), most)
    r.at += <uint64_t>zeros
    return zeros


cdef inline uint64_t read_unsigned_varint(BitReader* r) noexcept nogil:
    """LEB128 whose bytes need not be aligned; more than 64 bits is bad."""
    cdef uint64_t value = 0
    cdef uint64_t byte
    cdef int shift = 0
    while shift < 70:
        byte = read_bits(r, 8)
        if r.bad or (shift == 63 and byte > 1):
            break
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
    r.bad = True
    return 0


cdef inline int64_t read_signed_varint(BitReader* r) noexcept nogil:
    """Zig-zag LEB128 whose bytes need not be aligned."""
    cdef uint64_t raw = read_unsigned_varint(r)
    return <int64_t>(raw >> 1) ^ -<int64_t>(raw & 1)


cdef inline int varbit_width(int ones) noexcept nogil:
    """The width that a varbit number's prefix of 1..8 ones stands for."""
    if ones <= 4:
        return 3 * ones
    return 18 if ones == 5 else 25 if ones == 6 else 56 if ones == 7 else 64


cdef inline int varbit_prefix(BitReader* r) noexcept nogil:
    """Reads a prefix bit by bit: up to eight ones, ended by a zero before the eighth. For the tail of the data."""
    cdef int ones = 0
    while ones < 8 and read_bits(r, 1):
        ones += 1
    return ones


cdef inline uint64_t read_varbit(BitReader* r, int* width) noexcept nogil:
    """The raw bits of a varbit number and their number; 0 and 0 for the number zero."""
    cdef uint64_t word
    cdef int ones
    if (r.at >> 3) + 8 <= (r.end >> 3):
        word = peek(r.data, r.at)
        if not (word >> 63):
            r.at += 1
            width[0] = 0
            return 0
        # Of a word of ones the count would be undefined: an unsigned number near 2^64, eight ones in front.
        ones = PYTHANOS_CLZ64(~word | 1)
        if ones < 7:
            width[0] = varbit_width(ones)
            r.at += <uint64_t>(ones + 1 + width[0])
            return (word << (ones + 1)) >> (64 - width[0])
        r.at += 8
        ones = min(ones, 8)
    else:
        ones = varbit_prefix(r)
    width[0] = varbit_width(ones) if ones else 0
    return read_bits(r, width[0]) if ones else 0


cdef inline int64_t read_varbit_int(BitReader* r) noexcept nogil:
    cdef int width
    cdef uint64_t raw = read_varbit(r, &width)
    if width == 0:
        return 0
    return <int64_t>raw if width == 64 else widen(raw, width)


cdef inline uint64_t read_varbit_uint(BitReader* r) noexcept nogil:
    cdef int width
    return read_varbit(r, &width)


cdef struct BitWriter:
    uint8_t* at             # where the accumulator goes next
    uint64_t word           # the low `used` bits are pending; above them is rubbish
    int used                # 0..63


cdef inline BitWriter bit_writer(uint8_t* at) noexcept nogil:
    cdef BitWriter w
    w.at = at
    w.word = 0
    w.used = 0
    return w


cdef inline void put_bits(BitWriter* w, uint64_t value, int width) noexcept nogil:
    """Appends the low `width` (1..64) bits; the bits above them must be zero."""
    cdef int free = 64 - w.used
    cdef int rest
    cdef uint64_t full
    if width < free:
        w.word = (w.word << width) | value
        w.used += width
        return
    rest = width - free
    full = PYTHANOS_BSWAP64(((w.word << 1) << (free - 1)) | (value >> rest))
    memcpy(w.at, &full, 8)
    w.at += 8
    w.word = value
    w.used = rest


cdef inline uint8_t* finish_bits(BitWriter* w) noexcept nogil:
    """Stores what is pending, the last byte filled with zeros; returns the address behind the last byte."""
    cdef uint64_t full
    if w.used == 0:
        return w.at
    full = PYTHANOS_BSWAP64(w.word << (64 - w.used))
    memcpy(w.at, &full, 8)
    return w.at + ((w.used + 7) >> 3)


cdef inline uint64_t low_bits(uint64_t value, int width) noexcept nogil:
    return value & (0xFFFFFFFFFFFFFFFFULL >> (64 - width))


cdef inline void put_unsigned_varint(BitWriter* w, uint64_t value) noexcept nogil:
    while value >= 0x80:
        put_bits(w, (value & 0x7F) | 0x80, 8)
        value >>= 7
    put_bits(w, value, 8)


cdef inline void put_signed_varint(BitWriter* w, int64_t value) noexcept nogil:
    put_unsigned_varint(w, (<uint64_t>value << 1) ^ <uint64_t>(value >> 63))


cdef inline void put_varbit(BitWriter* w, uint64_t value, int width) noexcept nogil:
    """A varbit number whose width (3, 6, 9, 12, 18, 25, 56 or 64) is chosen already."""
    value = low_bits(value, width)
    if width == 3:
        put_bits(w, (0x2 << 3) | value, 5)
    elif width == 6:
        put_bits(w, (0x6 << 6) | value, 9)
    elif width == 9:
        put_bits(w, (0xE << 9) | value, 13)
    elif width == 12:
        put_bits(w, (0x1E << 12) | value, 17)
    elif width == 18:
        put_bits(w, (0x3E << 18) | value, 24)
    elif width == 25:
        put_bits(w, (0x7EULL << 25) | value, 32)
    elif width == 56:
        put_bits(w, (0xFEULL << 56) | value, 64)
    else:
        put_bits(w, 0xFF, 8)
        put_bits(w, value, 64)


cdef inline void put_varbit_int(BitWriter* w, int64_t value) noexcept nogil:
    if value == 0:
        put_bits(w, 0, 1)
    elif fits(value, 3):
        put_varbit(w, <uint64_t>value, 3)
    elif fits(value, 6):
        put_varbit(w, <uint64_t>value, 6)
    elif fits(value, 9):
        put_varbit(w, <uint64_t>value, 9)
    elif fits(value, 12):
        put_varbit(w, <uint64_t>value, 12)
    elif fits(value, 18):
        put_varbit(w, <uint64_t>value, 18)
    elif fits(value, 25):
        put_varbit(w, <uint64_t>value, 25)
    elif fits(value, 56):
        put_varbit(w, <uint64_t>value, 56)
    else:
        put_varbit(w, <uint64_t>value, 64)


cdef inline void put_varbit_uint(BitWriter* w, uint64_t value) noexcept nogil:
    cdef int bits
    if value == 0:
        put_bits(w, 0, 1)
        return
    bits = 64 - PYTHANOS_CLZ64(value)
    if bits <= 12:
        put_varbit(w, value, 3 if bits <= 3 else 6 if bits <= 6 else 9 if bits <= 9 else 12)
    else:
        put_varbit(w, value, 18 if bits <= 18 else 25 if bits <= 25 else 56 if bits <= 56 else 64)
