/* Doubles as Go's strconv.FormatFloat(v, 'f' or 'e', -1, 64) writes them.
 *
 * The digits come from _shortest.h. Two cheaper cases go first, both exact. An integer below 2^53 is its own shortest form,
 * because its neighbours are no farther than 1 apart. A value that equals n / 1000, correctly rounded, with |n| < 10^12 is
 * that decimal: two decimals of at most 15 digits never round to the same double.
 */
#ifndef PYTHANOS_DIGITS_H
#define PYTHANOS_DIGITS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "_shortest.h"
#include "_sixteen.h"

static const char PYTHANOS_PAIRS[201] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

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

/* A decimal laid out; `scientific` chooses Go's 'e' over 'f'. Stores overlap, so that no digit is moved twice: what was just
 * stored cannot be loaded in another size without waiting for longer than all the rest takes. */
static inline char* pythanos_lay_out(char* out, pythanos_decimal d, int scientific) {
    pythanos_sixteen digits = pythanos_sixteen_digits(d.tens);
    int leading = d.tens < 1000000000000000ULL;
    int whole = 16 - leading;
    int significant = pythanos_significant(digits) - leading;
    int count = d.last ? whole + 1 : significant;
    int point = whole + 1 + d.exponent;
    char last = (char)('0' + d.last);
    if (scientific) {
        pythanos_put_sixteen(out + 1, digits, leading);
        out[whole + 1] = last;
        out[0] = out[1];
        out[1] = '.';
        return pythanos_write_exponent(out + (count > 1 ? count + 1 : 1), point - 1);
    }
    if (point <= 0) {
        memcpy(out, "0.000000", 8);
        out += 2 - point;
    }
    pythanos_put_sixteen(out, digits, leading);
    out[whole] = last;
    if (point <= 0) return out + count;
    if (point >= count) {
        /* No point, but zeros up to it: at most 21 digits. */
        memcpy(out + whole + 1, "00000", 5);
        return out + point;
    }
    pythanos_put_sixteen(out + point + 1, digits, leading + point);
    out[whole + 1] = last;
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

/* Go's text of v as JSON sample values have it: 'e' below 1e-6 and from 1e21, else 'f'; NaN, +Inf, -Inf. At most 26 bytes
 * (sign, "0.", 6 zeros and 17 digits); up to 64 may be touched. Returns the end. */
static inline char* pythanos_write_double(char* out, double v) {
    uint64_t bits;
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
    return pythanos_lay_out(out, pythanos_shortest(bits & 0x7FFFFFFFFFFFFFFFULL), v < 1e-6 || v >= 1e21);
}

#endif
