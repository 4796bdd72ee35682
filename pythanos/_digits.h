/* Shortest decimal digits of a double, and their layout as Go's strconv.FormatFloat(v, 'f' or 'e', -1, 64).
 *
 * Digits: the Schubfach algorithm of R. Giulietti, "The Schubfach way to render doubles" (2020), sections 6 to 9: the
 * rounding interval of v = c * 2^q is scaled by a 128-bit approximation of 10^-k, so that it holds one or two integers
 * or a multiple of ten; multiplication rounds to odd, so that comparisons with the ends stay exact. The powers are
 * filled in once by the importing module, which has exact integers at hand: entry k is ceil(10^k * 2^-r) with r such
 * that the result has 128 bits.
 *
 * Two cheaper cases go first, both exact. An integer below 2^53 is its own shortest form, because its neighbours are no
 * farther than 1 apart. A value that equals n / 1000, correctly rounded, with |n| < 10^12 is that decimal: two decimals
 * of at most 15 digits never round to the same double.
 */
#ifndef PYTHANOS_DIGITS_H
#define PYTHANOS_DIGITS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define PYTHANOS_POWER_MIN (-292)
#define PYTHANOS_POWER_MAX 324
/* The longest text: sign, "0.", 6 zeros and 17 digits, or 17 digits with point and exponent. */
#define PYTHANOS_DOUBLE_CHARS 32

typedef struct {
    uint64_t high, low;
} pythanos_u128;

static pythanos_u128 pythanos_powers[PYTHANOS_POWER_MAX - PYTHANOS_POWER_MIN + 1];

static const char PYTHANOS_PAIRS[201] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

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

/* v = *digits * 10^result for finite v > 0: as few digits as possible, the closest to v among those, with trailing zeros. */
static inline int pythanos_shortest(double v, uint64_t* digits) {
    uint64_t bits, c, cb, cbl, cbr, vb, vbl, vbr, s, odd;
    int q, k, h;
    memcpy(&bits, &v, 8);
    c = bits & 0xFFFFFFFFFFFFFULL;
    q = (int)(bits >> 52);
    int uneven = c == 0 && q > 1;
    if (q) {
        c |= 0x10000000000000ULL;
        q -= 1075;
    } else {
        q = -1074;
    }
    odd = c & 1;
    cb = c << 2;
    cbr = cb + 2;
    cbl = uneven ? cb - 1 : cb - 2;
    k = uneven ? pythanos_log10_three_quarters_pow2(q) : pythanos_log10_pow2(q);
    h = q + pythanos_log2_pow10(-k) + 1;
    pythanos_u128 power = pythanos_powers[-k - PYTHANOS_POWER_MIN];
    vb = pythanos_round_to_odd(power, cb << h);
    vbl = pythanos_round_to_odd(power, cbl << h) + odd;
    vbr = pythanos_round_to_odd(power, cbr << h) - odd;
    s = vb >> 2;
    /* A multiple of ten inside, else the one integer inside, else the closer one. Chosen by arithmetic: which case holds
     * is a coin toss that no branch predictor wins. For s < 10 the first case would lose the digit that is left. */
    uint64_t tens = s / 10;
    uint64_t tens_below = vbl <= 40 * tens;
    uint64_t tens_above = 40 * tens + 40 <= vbr;
    uint64_t below = vbl <= 4 * s;
    uint64_t above = 4 * s + 4 <= vbr;
    uint64_t middle = 4 * s + 2;
    uint64_t closer = (vb > middle) | ((vb == middle) & s);
    uint64_t one = s + ((below ^ above) ? above : closer);
    uint64_t mask = 0 - ((tens_below ^ tens_above) & (s >= 10));
    *digits = (10 * (tens + tens_above) & mask) | (one & ~mask);
    return k;
}

/* The 8 decimal digits of n < 10^8 as bytes 0..9, the first in the lowest byte: halves, quarters, eighths at once. */
static inline uint64_t pythanos_eight_digits(uint32_t n) {
    uint32_t high = n / 10000;
    uint64_t halves = high | (uint64_t)(n - 10000 * high) << 32;
    uint64_t hundreds = (halves * 10486) >> 20 & 0x0000007F0000007FULL;
    uint64_t pairs = hundreds | (halves - 100 * hundreds) << 16;
    uint64_t tens = (pairs * 103) >> 10 & 0x000F000F000F000FULL;
    return tens | (pairs - 10 * tens) << 8;
}

static inline void pythanos_put_eight(char* out, uint64_t digits) {
    digits |= 0x3030303030303030ULL;
    memcpy(out, &digits, 8);
}

/* Writes n < 10^8 without leading zeros, touching 8 bytes; returns the end. */
static inline char* pythanos_write_small(char* out, uint32_t n) {
    uint64_t digits = pythanos_eight_digits(n);
    int zeros = (__builtin_ctzll(digits | 1ULL << 56) >> 3) << 3;
    pythanos_put_eight(out, digits >> zeros);
    return out + 8 - (zeros >> 3);
}

/* Writes n without leading zeros, touching up to 24 bytes; returns the end. */
static inline char* pythanos_write_u64(char* out, uint64_t n) {
    if (n < 100000000) return pythanos_write_small(out, (uint32_t)n);
    uint64_t high = n / 100000000;
    uint32_t low = (uint32_t)(n - 100000000 * high);
    if (high < 100000000) {
        out = pythanos_write_small(out, (uint32_t)high);
    } else {
        uint32_t top = (uint32_t)(high / 100000000);
        out = pythanos_write_small(out, top);
        pythanos_put_eight(out, pythanos_eight_digits((uint32_t)(high - 100000000ULL * top)));
        out += 8;
    }
    pythanos_put_eight(out, pythanos_eight_digits(low));
    return out + 8;
}

static inline char* pythanos_write_exponent(char* out, int exponent) {
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    unsigned e = (unsigned)(exponent < 0 ? -exponent : exponent);
    if (e >= 100) {
        *out++ = (char)('0' + e / 100);
        e %= 100;
    }
    memcpy(out, PYTHANOS_PAIRS + 2 * e, 2);
    return out + 2;
}

static inline void pythanos_put_sixteen(char* out, unsigned __int128 digits) { memcpy(out, &digits, 16); }

/* digits * 10^exponent, 0 < digits < 10^17, laid out; `scientific` chooses Go's 'e' over 'f'. The digits stay in registers,
 * sixteen of them as bytes of one number and one before it, because reading back what was just stored in other sizes
 * would stall for longer than all the rest takes. */
static inline char* pythanos_lay_out(char* out, uint64_t digits, int exponent, int scientific) {
    uint64_t high = digits / 100000000;
    uint32_t top = (uint32_t)(high / 100000000);
    uint64_t left = pythanos_eight_digits((uint32_t)(high - 100000000ULL * top));
    uint64_t right = pythanos_eight_digits((uint32_t)(digits - 100000000 * high));
    int seventeen = top != 0;
    int leading = left ? __builtin_ctzll(left) >> 3 : 8 + (__builtin_ctzll(right | 1ULL << 63) >> 3);
    leading &= seventeen - 1;
    int trailing = right ? __builtin_clzll(right) >> 3 : left ? 8 + (__builtin_clzll(left) >> 3) : 16;
    unsigned __int128 text = (unsigned __int128)(right | 0x3030303030303030ULL) << 64 | left | 0x3030303030303030ULL;
    text >>= 8 * leading;
    int count = 16 + seventeen - leading - trailing;
    int point = 16 + seventeen - leading + exponent;
    if (scientific) {
        out[0] = (char)('0' + top);
        out += seventeen;
        pythanos_put_sixteen(out, text);
        out -= seventeen;
        memmove(out + 2, out + 1, 16);
        out[1] = '.';
        return pythanos_write_exponent(out + (count > 1 ? count + 1 : 1), point - 1);
    }
    if (point <= 0) {
        memcpy(out, "0.000000", 8);
        out += 2 - point;
    }
    out[0] = (char)('0' + top);
    pythanos_put_sixteen(out + seventeen, text);
    if (point <= 0) return out + count;
    if (point >= count) {
        memset(out + count, '0', (size_t)(point - count));
        return out + point;
    }
    pythanos_put_sixteen(out + point + 1, text >> 8 * (point - seventeen));
    out[point] = '.';
    return out + count + 1;
}

/* |n| / 1000 with at most three decimals, trailing zeros left out. */
static inline char* pythanos_write_thousandths(char* out, uint64_t n) {
    uint64_t whole = n / 1000;
    unsigned rest = (unsigned)(n - 1000 * whole);
    out = pythanos_write_u64(out, whole);
    if (rest == 0) return out;
    out[0] = '.';
    out[1] = (char)('0' + rest / 100);
    memcpy(out + 2, PYTHANOS_PAIRS + 2 * (rest % 100), 2);
    return out + (rest % 10 ? 4 : rest % 100 ? 3 : 2);
}

/* Go's text of v as JSON sample values have it: 'e' below 1e-6 and from 1e21, else 'f'; NaN, +Inf, -Inf. Writes at most
 * PYTHANOS_DOUBLE_CHARS bytes (more may be touched, up to 64); returns the end. */
static inline char* pythanos_write_double(char* out, double v) {
    uint64_t bits, digits;
    memcpy(&bits, &v, 8);
    if ((bits & 0x7FF0000000000000ULL) == 0x7FF0000000000000ULL) {
        if (bits & 0xFFFFFFFFFFFFFULL) {
            memcpy(out, "NaN", 3);
            return out + 3;
        }
        memcpy(out, bits >> 63 ? "-Inf" : "+Inf", 4);
        return out + 4;
    }
    if (bits >> 63) {
        *out++ = '-';
        v = -v;
    }
    /* Signed conversions: those are single instructions. */
    if (v < 9007199254740992.0 && (double)(int64_t)v == v) return pythanos_write_u64(out, (uint64_t)(int64_t)v);
    if (v < 1e9) {
        /* The nearest integer to 1000 v, by rounding a sum whose last bit is 1. The product is off by at most 2^-13, so
         * most values need no division to be told apart. */
        double scaled = v * 1000.0;
        double nearest = scaled + 6755399441055744.0 - 6755399441055744.0;
        if (fabs(scaled - nearest) < 0.0002 && nearest && nearest / 1000.0 == v)
            return pythanos_write_thousandths(out, (uint64_t)(int64_t)nearest);
    }
    int exponent = pythanos_shortest(v, &digits);
    return pythanos_lay_out(out, digits, exponent, v < 1e-6 || v >= 1e21);
}

#endif
