/* The shortest decimal digits that read back as a double, and of those the closest to it.
 *
 * The Schubfach algorithm of R. Giulietti, "The Schubfach way to render doubles" (2020), sections 6 to 9: the rounding
 * interval of v = c * 2^q is scaled by 10^-k, so that it is between 1 and 10 wide, and the answer is a multiple of ten
 * inside, else the integer next to v. The powers are filled in once by the importing module, which has exact integers
 * at hand: entry k is ceil(10^k * 2^-r) with r such that the result has 128 bits.
 *
 * pythanos_shortest_exactly computes both ends and the middle of the interval by multiplications that round to odd, so
 * that comparisons stay exact. pythanos_shortest asks it only where it must: it computes the middle alone, to 64 bits
 * behind the point, and compares the distances to the two multiples of ten with half the width of the interval. Where
 * two such numbers are as close as the last bits, which were cut off, the comparison could be wrong.
 */
#ifndef PYTHANOS_SHORTEST_H
#define PYTHANOS_SHORTEST_H

#include <stdint.h>

#define PYTHANOS_POWER_MIN (-292)
#define PYTHANOS_POWER_MAX 324

typedef struct {
    uint64_t high, low;
} pythanos_u128;

/* (10 * tens + last) * 10^exponent, where tens has 15 or 16 digits. */
typedef struct {
    uint64_t tens;
    unsigned last;
    int exponent;
} pythanos_decimal;

static pythanos_u128 pythanos_powers[PYTHANOS_POWER_MAX - PYTHANOS_POWER_MIN + 1];

static inline void pythanos_set_power(int k, uint64_t high, uint64_t low) {
    pythanos_powers[k - PYTHANOS_POWER_MIN].high = high;
    pythanos_powers[k - PYTHANOS_POWER_MIN].low = low;
}

/* floor(log2(10^e)) for |e| <= 1233, floor(log10(2^e)) and floor(log10(3/4 * 2^e)) for |e| <= 1500. */
static inline int pythanos_log2_pow10(int e) { return (int)(((int64_t)e * 1741647) >> 19); }
static inline int pythanos_log10_pow2(int e) { return (int)(((int64_t)e * 1262611) >> 22); }
static inline int pythanos_log10_three_quarters_pow2(int e) { return (int)(((int64_t)e * 1262611 - 524031) >> 22); }

/* The high half of power * x, with its lowest bit set where the part below it is not (nearly) zero. */
static inline uint64_t pythanos_round_to_odd(pythanos_u128 power, uint64_t x) {
    unsigned __int128 low = (unsigned __int128)power.low * x;
    unsigned __int128 high = (unsigned __int128)power.high * x + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The digits of the double whose bits are given; it is finite and above 0. */
static __attribute__((noinline, cold)) pythanos_decimal pythanos_shortest_exactly(uint64_t bits) {
    uint64_t c = bits & 0xFFFFFFFFFFFFFULL;
    int q = (int)(bits >> 52);
    int uneven = c == 0 && q > 1;
    if (q) {
        c |= 0x10000000000000ULL;
        q -= 1075;
    } else {
        q = -1074;
    }
    uint64_t odd = c & 1, middle = c << 2;
    int k = uneven ? pythanos_log10_three_quarters_pow2(q) : pythanos_log10_pow2(q);
    int h = q + pythanos_log2_pow10(-k) + 1;
    pythanos_u128 power = pythanos_powers[-k - PYTHANOS_POWER_MIN];
    /* Four times the scaled value and ends. */
    uint64_t value = pythanos_round_to_odd(power, middle << h);
    uint64_t low = pythanos_round_to_odd(power, (middle - 2 + (uint64_t)uneven) << h) + odd;
    uint64_t high = pythanos_round_to_odd(power, (middle + 2) << h) - odd;
    uint64_t digits = value >> 2, tens = digits / 10;
    int tens_inside = low <= 40 * tens, next_tens_inside = 40 * tens + 40 <= high;
    /* For digits < 10 a multiple of ten would lose the digit that is left. */
    if (digits >= 10 && tens_inside != next_tens_inside) {
        digits = 10 * (tens + (uint64_t)next_tens_inside);
    } else {
        int inside = low <= 4 * digits, next_inside = 4 * digits + 4 <= high;
        uint64_t half = 4 * digits + 2;
        int next_closer = value > half || (value == half && (digits & 1));
        digits += (uint64_t)(inside != next_inside ? next_inside : next_closer);
    }
    for (; digits < 1000000000000000ULL; k--) digits *= 10;
    return (pythanos_decimal){digits / 10, (unsigned)(digits % 10), k};
}

/* The same, for most doubles by one multiplication. */
static inline pythanos_decimal pythanos_shortest(uint64_t bits) {
    uint64_t c = bits & 0xFFFFFFFFFFFFFULL;
    int q = (int)(bits >> 52);
    /* The interval of a power of two is not even; a subnormal may have few digits. */
    if (__builtin_expect(q == 0 || c == 0, 0)) return pythanos_shortest_exactly(bits);
    q -= 1075;
    int k = pythanos_log10_pow2(q);
    int h = q + pythanos_log2_pow10(-k) + 1;
    pythanos_u128 power = pythanos_powers[-k - PYTHANOS_POWER_MIN];
    uint64_t x = (c | 0x10000000000000ULL) << h;
    unsigned __int128 product = (unsigned __int128)power.high * x + (uint64_t)((unsigned __int128)power.low * x >> 64);
    uint64_t digits = (uint64_t)(product >> 64), fraction = (uint64_t)product;
    uint64_t tens = digits / 10, last = digits - 10 * tens;
    /* From here on numbers below 16 with 60 bits behind the point: how far v is from the multiple of ten below and from the
     * one above, and half the width of the interval. Each is less than two units of the last bit off. */
    uint64_t below = last << 60 | fraction >> 4;
    uint64_t above = (10ULL << 60) - below;
    uint64_t half = power.high >> (5 - h);
    int unclear = (below - half + 2 <= 4) | (above - half + 2 <= 4) | (fraction - (1ULL << 63) + 2 <= 4);
    if (__builtin_expect(unclear, 0)) return pythanos_shortest_exactly(bits);
    uint64_t down = below < half, up = above < half;
    /* By arithmetic: which case holds is a coin toss that no branch predictor wins. */
    return (pythanos_decimal){tens + up, (unsigned)(last + (fraction >> 63)) & ((unsigned)(down | up) - 1), k};
}

#endif
