/* Sixteen decimal digits at once, as bytes in one register: they are cut out of a number by multiplications of many
 * digits each, shifted and stored without a loop, a branch or a load of what was just stored.
 *
 * With SSSE3 a register of 16 bytes, else a 128-bit integer (little-endian); both have the first digit in the lowest byte.
 */
#ifndef PYTHANOS_SIXTEEN_H
#define PYTHANOS_SIXTEEN_H

#include <stdint.h>
#include <string.h>

/* The 8 decimal digits of n < 10^8 as bytes 0..9, the first in the lowest byte: halves, quarters, eighths at once. */
static inline uint64_t pythanos_eight_digits(uint32_t n) {
    uint32_t high = n / 10000;
    uint64_t halves = high | (uint64_t)(n - 10000 * high) << 32;
    uint64_t hundreds = (halves * 10486) >> 20 & 0x0000007F0000007FULL;
    uint64_t pairs = hundreds | (halves - 100 * hundreds) << 16;
    uint64_t tens = (pairs * 103) >> 10 & 0x000F000F000F000FULL;
    return tens | (pairs - 10 * tens) << 8;
}

#ifdef __SSSE3__
#include <tmmintrin.h>

typedef __m128i pythanos_sixteen;

/* From place n on: a byte's number, then places that give no byte. */
static const uint8_t PYTHANOS_PLACES[34] = {0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,
                                            12,   13,   14,   15,   0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                            0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};

/* The digits of n < 10^16. The factors are 2^45 / 10^4, 2^19 / 100 and 2^16 / 10, rounded up; each division by them is
 * exact for all numbers that occur. */
static inline pythanos_sixteen pythanos_sixteen_digits(uint64_t n) {
    uint64_t high = n / 100000000;
    __m128i eights = _mm_set_epi64x((int64_t)(n - 100000000 * high), (int64_t)high);
    __m128i quotient = _mm_srli_epi64(_mm_mul_epu32(eights, _mm_set1_epi64x(0xD1B71759)), 45);
    __m128i rest = _mm_sub_epi64(eights, _mm_mul_epu32(quotient, _mm_set1_epi64x(10000)));
    __m128i fours = _mm_or_si128(quotient, _mm_slli_epi64(rest, 32));
    quotient = _mm_srli_epi16(_mm_mulhi_epu16(fours, _mm_set1_epi16(5243)), 3);
    rest = _mm_sub_epi16(fours, _mm_mullo_epi16(quotient, _mm_set1_epi16(100)));
    __m128i pairs = _mm_or_si128(quotient, _mm_slli_epi32(rest, 16));
    quotient = _mm_mulhi_epu16(pairs, _mm_set1_epi16(6554));
    rest = _mm_sub_epi16(pairs, _mm_mullo_epi16(quotient, _mm_set1_epi16(10)));
    return _mm_or_si128(quotient, _mm_slli_epi16(rest, 8));
}

/* How many of the digits are left without the zeros at the end. */
static inline int pythanos_significant(pythanos_sixteen digits) {
    unsigned zeros = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(digits, _mm_setzero_si128()));
    return 32 - __builtin_clz((~zeros & 0xFFFF) << 1 | 1) - 1;
}

/* The digits from number `skip` (0..17) on as text; 16 bytes are written, behind the digits any. */
static inline void pythanos_put_sixteen(char* out, pythanos_sixteen digits, int skip) {
    __m128i places = _mm_loadu_si128((const __m128i*)(PYTHANOS_PLACES + skip));
    _mm_storeu_si128((__m128i*)out, _mm_shuffle_epi8(_mm_or_si128(digits, _mm_set1_epi8('0')), places));
}

#else

typedef unsigned __int128 pythanos_sixteen;

static inline pythanos_sixteen pythanos_sixteen_digits(uint64_t n) {
    uint64_t high = n / 100000000;
    pythanos_sixteen behind = pythanos_eight_digits((uint32_t)(n - 100000000 * high));
    return behind << 64 | pythanos_eight_digits((uint32_t)high);
}

static inline int pythanos_significant(pythanos_sixteen digits) {
    uint64_t behind = (uint64_t)(digits >> 64), front = (uint64_t)digits;
    if (behind) return 16 - (__builtin_clzll(behind) >> 3);
    return front ? 8 - (__builtin_clzll(front) >> 3) : 0;
}

static inline void pythanos_put_sixteen(char* out, pythanos_sixteen digits, int skip) {
    uint64_t ascii = 0x3030303030303030ULL;
    digits |= (pythanos_sixteen)ascii << 64 | ascii;
    digits = skip < 16 ? digits >> 8 * skip : 0;
    memcpy(out, &digits, 16);
}

#endif

#endif
