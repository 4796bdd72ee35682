/* Circular functions and their inverses whose every bit is that of Go's `math` on amd64; see _gomath_exponentials.h.
 *
 * Methods and constants: S. Moshier's Cephes (sin.c, tan.c, atan.c; netlib.org/cephes); from 2^29 up the reduction of
 * Payne and Hanek (K. C. Ng, "Argument reduction for huge arguments: good to the last bit", 1992). Order of operations:
 * Go 1.26, `src/math` (sin.go, tan.go, trig_reduce.go, asin.go, atan.go, atan2.go).
 */
#ifndef PYTHANOS_GOMATH_TRIGONOMETRY_H
#define PYTHANOS_GOMATH_TRIGONOMETRY_H

#include "_gomath_exponentials.h"

#define PT_PI 3.14159265358979323846

/* How many eighths of a turn an angle has gone, an even number but for whole turns, and what is left, |rest| <= pi/4. */
typedef struct {
    uint64_t eighth;
    double rest;
} pt_angle;

/* The binary digits of 4 / pi, enough for the largest double. */
static const uint64_t PT_FOUR_BY_PI[20] = {
    0x0000000000000001ULL, 0x45F306DC9C882A53ULL, 0xF84EAFA3EA69BB81ULL, 0xB6C52B3278872083ULL, 0xFCA2C757BD778AC3ULL,
    0x6E48DC74849BA5C0ULL, 0x0C925DD413A32439ULL, 0xFC3BD63962534E7DULL, 0xD1046BEA5D768909ULL, 0xD338E04D68BEFC82ULL,
    0x7323AC7306A673E9ULL, 0x3908BF177BF25076ULL, 0x3FF12FFFBC0B301FULL, 0xDE5E2316B414DA3EULL, 0xDA6CFD9E4F96136EULL,
    0x9E8C7ECD3CBFD45AULL, 0xEA4F758FD7CBE2F6ULL, 0x7A0E73EF14A525D4ULL, 0xD7F6BF623F1ABA10ULL, 0xAC06608DF8F6D757ULL,
};

/* 64 digits of 4 / pi from bit `at` on. */
static inline uint64_t pt_digits_of_four_by_pi(unsigned at) {
    const uint64_t* word = PT_FOUR_BY_PI + at / 64;
    return at % 64 ? word[0] << at % 64 | word[1] >> (64 - at % 64) : word[0];
}

/* Of x >= 2^29: the product of its 53 digits with the 192 digits of 4 / pi that matter, modulo 8. */
static inline pt_angle pt_reduce_huge(double x) {
    const unsigned at = (unsigned)((pt_bits(x) >> 52) - 1075 + 61);
    const uint64_t digits = (pt_bits(x) & PT_MANTISSA) | 1ULL << 52;
    const unsigned __int128 low = (unsigned __int128)pt_digits_of_four_by_pi(at + 128) * digits;
    unsigned __int128 product = (unsigned __int128)pt_digits_of_four_by_pi(at + 64) * digits + (uint64_t)(low >> 64);
    product += (unsigned __int128)(pt_digits_of_four_by_pi(at) * digits) << 64;
    const uint64_t fraction = (uint64_t)(product >> 61);
    /* No double comes so near to a multiple of pi / 4 that all 64 digits are zeros. */
    const int shift = fraction ? __builtin_clzll(fraction) + 1 : 63;
    /* What follows these digits are not the next ones of the product, but Go takes the lower word as it stands. */
    const uint64_t mantissa = (shift < 64 ? fraction << shift : 0) | (uint64_t)product >> (64 - shift);
    pt_angle angle = {(uint64_t)(product >> 125), pt_of_bits((uint64_t)(1023 - shift) << 52 | mantissa >> 12)};
    if (angle.eighth & 1) {
        angle.eighth = (angle.eighth + 1) & 7;
        angle.rest -= 1;
    }
    angle.rest *= PT_PI / 4;
    return angle;
}

/* Of a finite x >= 0; up to 2^29 by pi / 4 in three parts. */
static inline pt_angle pt_reduce(double x) {
    if (x >= 0x1p29) return pt_reduce_huge(x);
    uint64_t eighth = (uint64_t)(x * 1.27323954473516268615);
    eighth += eighth & 1;
    const double n = (double)eighth;
    const double rest =
        ((x - n * 7.85398125648498535156e-1) - n * 3.77489470793079817668e-8) - n * 2.69515142907905952645e-15;
    return (pt_angle){eighth & 7, rest};
}

/* The sine of an angle of which `eighth` is even. */
static inline double pt_sine_of(uint64_t eighth, double rest) {
    const double square = rest * rest;
    double value;
    if (eighth & 2)
        value = 1.0 - 0.5 * square + square * square * PT_POLYNOMIAL(
            square, -1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7,
            2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2
        );
    else
        value = rest + rest * square * PT_POLYNOMIAL(
            square, 1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6,
            -1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1
        );
    return eighth & 4 ? -value : value;
}

static inline double pt_sin(double x) {
    if (x == 0 || x != x) return x;
    if (isinf(x)) return NAN;
    const pt_angle angle = pt_reduce(fabs(x));
    const double value = pt_sine_of(angle.eighth, angle.rest);
    return x < 0 ? -value : value;
}

static inline double pt_cos(double x) {
    if (!isfinite(x)) return NAN;
    const pt_angle angle = pt_reduce(fabs(x));
    return pt_sine_of(angle.eighth + 2, angle.rest);
}

static inline double pt_tan(double x) {
    if (x == 0 || x != x) return x;
    if (isinf(x)) return NAN;
    const pt_angle angle = pt_reduce(fabs(x));
    const double square = angle.rest * angle.rest;
    double value = angle.rest;
    if (square > 1e-14) {
        const double above = PT_POLYNOMIAL(
            square, -1.30936939181383777646e4, 1.15351664838587416140e6, -1.79565251976484877988e7
        );
        const double below = PT_POLYNOMIAL(
            square, 1.0, 1.36812963470692954678e4, -1.32089234440210967447e6, 2.50083801823357915839e7,
            -5.38695755929454629881e7
        );
        value += value * (square * above / below);
    }
    if (angle.eighth & 2) value = -1 / value;
    return x < 0 ? -value : value;
}

/* The arc tangent of 0 <= x <= 0.66. */
static inline double pt_atan_near_zero(double x) {
    const double square = x * x;
    const double above = PT_POLYNOMIAL(
        square, -8.750608600031904122785e-01, -1.615753718733365076637e+01, -7.500855792314704667340e+01,
        -1.228866684490136173410e+02, -6.485021904942025371773e+01
    );
    const double below = PT_POLYNOMIAL(
        square, 1.0, 2.485846490142306297962e+01, 1.650270098316988542046e+02, 4.328810604912902668951e+02,
        4.853903996359136964868e+02, 1.945506571482613964425e+02
    );
    return x * (square * above / below) + x;
}

/* The arc tangent of x >= 0. */
static inline double pt_atan_of_size(double x) {
    const double more_of_half_pi = 6.123233995736765886130e-17;
    if (x <= 0.66) return pt_atan_near_zero(x);
    if (x > 2.41421356237309504880) return PT_PI / 2 - pt_atan_near_zero(1 / x) + more_of_half_pi;
    return PT_PI / 4 + pt_atan_near_zero((x - 1) / (x + 1)) + 0.5 * more_of_half_pi;
}

static inline double pt_atan(double x) {
    if (x == 0) return x;
    return x > 0 ? pt_atan_of_size(x) : -pt_atan_of_size(-x);
}

static inline double pt_asin(double x) {
    const double size = fabs(x);
    if (x == 0) return x;
    if (!(size <= 1)) return NAN;
    const double other = sqrt(1 - size * size);
    const double value = size > 0.7 ? PT_PI / 2 - pt_atan_of_size(other / size) : pt_atan_of_size(size / other);
    return x < 0 ? -value : value;
}

static inline double pt_acos(double x) { return PT_PI / 2 - pt_asin(x); }

static inline double pt_atan2(double y, double x) {
    if (x != x || y != y) return NAN;
    if (y == 0) return copysign(signbit(x) ? PT_PI : 0.0, y);
    if (x == 0) return copysign(PT_PI / 2, y);
    if (isinf(x)) {
        const double size = signbit(x) ? (isinf(y) ? 2.35619449019234492885 : PT_PI) : isinf(y) ? PT_PI / 4 : 0.0;
        return copysign(size, y);
    }
    if (isinf(y)) return copysign(PT_PI / 2, y);
    const double value = pt_atan(y / x);
    if (x > 0) return value;
    return value <= 0 ? value + PT_PI : value - PT_PI;
}

#endif
