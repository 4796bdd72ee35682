/* Exponentials, logarithms and powers whose every bit is that of Go's `math` on amd64, and so of Prometheus.
 *
 * Their last digit differs from the C library's for some arguments in a hundred. The methods are published:
 * exp: N. Shibata, "Efficient evaluation methods of elementary functions suitable for SIMD computation" (2010, SLEEF);
 * 2^x, log, log1p: Sun's fdlibm (e_exp.c, e_log.c, s_log1p.c), whose constants these are; powers: repeated squaring.
 * Order of operations: Go 1.26, `src/math` (exp_amd64.s, exp.go, log_amd64.s, log10.go, log1p.go, pow.go). Arguments and
 * results that are NaN have the bits of any NaN; none is ever the staleness marker's that was not given.
 *
 * Go fuses no multiplication and addition on amd64 but in exp, where it does on every processor that can (all since
 * 2013). Here exp is always fused, if need be in software: one answer everywhere.
 */
#ifndef PYTHANOS_GOMATH_EXPONENTIALS_H
#define PYTHANOS_GOMATH_EXPONENTIALS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define PT_LN2 0.6931471805599453094
#define PT_LN2_HIGH 6.93147180369123816490e-01
#define PT_LN2_LOW 1.90821492927058770002e-10
#define PT_MANTISSA 0x000FFFFFFFFFFFFFULL

static inline uint64_t pt_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    return bits;
}

static inline double pt_of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

/* The polynomial with `n` coefficients, the highest power's first, by Horner's rule. */
static inline __attribute__((always_inline)) double pt_horner(const double* coefficients, int n, double x) {
    double sum = coefficients[0];
    for (int i = 1; i < n; i++) sum = sum * x + coefficients[i];
    return sum;
}
#define PT_POLYNOMIAL(x, ...) pt_horner((const double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / 8, x)

/* 2^exponent of a normal number: -1022 <= exponent <= 1023. */
static inline double pt_two_to(int64_t exponent) { return pt_of_bits((uint64_t)(exponent + 1023) << 52); }

/* A finite number other than 0 as a fraction in [0.5, 1) (with its sign) times two to the exponent. */
static inline double pt_split(double x, int64_t* exponent) {
    int64_t scaled = 0;
    uint64_t bits = pt_bits(x);
    if ((bits >> 52 & 0x7FF) == 0) {
        bits = pt_bits(x * 0x1p52);
        scaled = 52;
    }
    *exponent = (int64_t)(bits >> 52 & 0x7FF) - 1022 - scaled;
    return pt_of_bits((bits & (1ULL << 63 | PT_MANTISSA)) | 0x3FEULL << 52);
}

/* x * 2^power, rounded once. */
static inline double pt_scale(double x, int64_t power) {
    int64_t exponent;
    if (x == 0 || !isfinite(x)) return x;
    x = pt_split(x, &exponent) * 2;
    exponent += power - 1;
    if (exponent > 1023) return copysign(INFINITY, x);
    if (exponent < -1075) return copysign(0.0, x);
    if (exponent >= -1022) return x * pt_two_to(exponent);
    return x * pt_two_to(exponent + 53) * 0x1p-53;
}

/* e^x of the rest x - k ln 2: a Taylor series for a sixteenth of it, less 1, squared four times. */
static inline __attribute__((always_inline)) double pt_exp_fused(double x, double k) {
    static const double inverse_factorials[] = {
        1.9841269841269841270e-4, 1.3888888888888888889e-3, 8.3333333333333333333e-3, 4.1666666666666666667e-2,
        1.6666666666666666667e-1, 0.5, 1.0,
    };
    double sum = 2.4801587301587301587e-5;
    x = __builtin_fma(-k, 0.69314718055966295651160180568695068359375, x);
    x = __builtin_fma(-k, 0.28235290563031577122588448175013436025525412068e-12, x);
    x *= 0.0625;
    for (int i = 0; i < 7; i++) sum = __builtin_fma(sum, x, inverse_factorials[i]);
    x *= sum;
    for (int i = 0; i < 3; i++) x *= x + 2;
    return __builtin_fma(x, x + 2, 1.0);
}

#if defined(__x86_64__)
__attribute__((target("fma"), unused)) static double pt_exp_in_hardware(double x, double k) {
    return pt_exp_fused(x, k);
}
__attribute__((noinline, unused)) static double pt_exp_in_software(double x, double k) { return pt_exp_fused(x, k); }
static inline double pt_exp_of_rest(double x, double k) {
    return __builtin_cpu_supports("fma") ? pt_exp_in_hardware(x, k) : pt_exp_in_software(x, k);
}
#else
static inline double pt_exp_of_rest(double x, double k) { return pt_exp_fused(x, k); }
#endif

static inline double pt_exp(double x) {
    if (x != x) return x;
    if (x > 7.09782712893384e+02) return INFINITY;
    if (x < -746) return 0;
    const double k = rint(x * 1.4426950408889634074);
    const double value = pt_exp_of_rest(x, k);
    const int64_t exponent = (int64_t)k;
    if (exponent > 1023) return INFINITY;
    if (exponent >= -1022) return value * pt_two_to(exponent);
    return exponent < -1075 ? 0 : value * pt_two_to(exponent + 1022) * 0x1p-1022;
}

static inline double pt_exp2(double x) {
    if (x != x) return x;
    if (x > 1.0239999999999999e+03) return INFINITY;
    if (x < -1.0740e+03) return 0;
    const int64_t whole = (int64_t)(x > 0 ? x + 0.5 : x - 0.5);
    const double part = x - (double)whole, high = part * PT_LN2_HIGH, low = -part * PT_LN2_LOW;
    const double rest = high - low, square = rest * rest;
    const double even = PT_POLYNOMIAL(
        square, 4.13813679705723846039e-08, -1.65339022054652515390e-06, 6.61375632143793436117e-05,
        -2.77777777770155933842e-03, 1.66666666666666657415e-01
    );
    const double c = rest - square * even;
    const double value = 1 - ((low - (rest * c) / (2 - c)) - high);
    return whole > -1022 && whole < 1023 ? value * pt_two_to(whole) : pt_scale(value, whole);
}

/* k ln 2 + log(1 + f), where s = f / (2 + f), `series` its power series, `low` the lower part of k ln 2. */
static inline double pt_log_sum(double k, double low, double f, double s, double series) {
    const double half_square = 0.5 * f * f;
    return k * PT_LN2_HIGH - ((half_square - (s * (half_square + series) + low)) - f);
}

/* log of a fraction in [0.5, 1) times 2^k. */
static inline double pt_log_of(double fraction, double k) {
    const double lower_half = fraction <= 7.07106781186547524401e-01 ? 1.0 : 0.0; /* without a branch: it is a coin toss */
    k -= lower_half;
    const double f = fraction * (1 + lower_half) - 1, s = f / (2 + f), s2 = s * s, s4 = s2 * s2;
    const double odd = PT_POLYNOMIAL(
        s4, 1.479819860511658591e-01, 1.818357216161805012e-01, 2.857142874366239149e-01, 6.666666666666735130e-01
    );
    const double even =
        PT_POLYNOMIAL(s4, 1.531383769920937332e-01, 2.222219843214978396e-01, 3.999999999940941908e-01);
    return pt_log_sum(k, k * PT_LN2_LOW, f, s, s2 * odd + s4 * even);
}

/* Of a subnormal number this is not the logarithm, but what Go's assembly says: that of a normal one with its digits. */
static inline double pt_log(double x) {
    const uint64_t bits = pt_bits(x);
    if (x == 0) return -INFINITY;
    if (bits >> 63) return NAN;
    if (!isfinite(x)) return x;
    return pt_log_of(pt_of_bits((bits & PT_MANTISSA) | 0x3FEULL << 52), (double)((int64_t)(bits >> 52) - 1022));
}

static inline double pt_log10(double x) { return pt_log(x) * 0.43429448190325182765; }

static inline double pt_log2(double x) {
    int64_t exponent;
    if (!(x > 0) || !isfinite(x)) return pt_log(x);
    const double fraction = pt_split(x, &exponent);
    if (fraction == 0.5) return (double)(exponent - 1);
    return pt_log_of(fraction, 0) * 1.4426950408889634074 + (double)exponent;
}

/* log1p once 1 + x = 2^k (1 + f), with `lost` for what the rounding of 1 + x cost; `tiny` where |f| is below 2^-20. */
static inline double pt_log1p_of(double k, double f, double lost, int tiny) {
    const double low = k * PT_LN2_LOW + lost;
    if (tiny && f == 0) return k == 0 ? 0 : k * PT_LN2_HIGH + low;
    if (tiny) {
        const double short_series = 0.5 * f * f * (1.0 - 0.66666666666666666 * f);
        return k == 0 ? f - short_series : k * PT_LN2_HIGH - ((short_series - low) - f);
    }
    const double s = f / (2.0 + f), z = s * s;
    const double series = z * PT_POLYNOMIAL(
        z, 1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01,
        2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01
    );
    if (k != 0) return pt_log_sum(k, low, f, s, series);
    const double half_square = 0.5 * f * f;
    return f - (half_square - s * (half_square + series));
}

static inline double pt_log1p(double x) {
    if (x < -1 || x != x) return NAN;
    if (x == -1) return -INFINITY;
    if (x == INFINITY) return x;
    const double size = fabs(x);
    if (size < 0x1p-54) return x;
    if (size < 0x1p-29) return x - x * x * 0.5;
    if (size < 4.142135623730950488017e-01 && x > -2.928932188134524755992e-01) return pt_log1p_of(0, x, 0, 0);
    const double sum = size < 0x1p53 ? 1.0 + x : x;
    int64_t k = (int64_t)(pt_bits(sum) >> 52) - 1023;
    const double lost = size >= 0x1p53 ? 0 : (k > 0 ? 1.0 - (sum - x) : x - (sum - 1.0)) / sum;
    uint64_t digits = pt_bits(sum) & PT_MANTISSA;
    double normal;
    if (digits < 0x0006A09E667F3BCDULL) { /* those of the square root of 2 */
        normal = pt_of_bits(digits | 0x3FFULL << 52);
    } else {
        k++;
        normal = pt_of_bits(digits | 0x3FEULL << 52);
        digits = (0x0010000000000000ULL - digits) >> 2;
    }
    return pt_log1p_of((double)k, normal - 1.0, lost, digits == 0);
}

static inline int pt_odd(double y) { return fabs(y) < 0x1p53 && trunc(y) == y && ((int64_t)y & 1); }

/* Powers of 0, of an infinity, and with an infinite exponent; neither is NaN, y is not 0. */
static inline double pt_pow_at_the_edge(double x, double y) {
    if (x == 0) {
        const double size = y < 0 ? INFINITY : 0;
        return pt_odd(y) ? copysign(size, x) : size;
    }
    if (isinf(y)) return x == -1 ? 1 : (fabs(x) < 1) == (y > 0) ? 0 : INFINITY;
    const double size = y < 0 ? 0 : INFINITY;
    return x < 0 && pt_odd(y) ? -size : size;
}

/* The whole part of the exponent by squaring, the fraction, brought to [-0.5, 0.5], through exp and log. */
static inline double pt_pow(double x, double y) {
    if (y == 0 || x == 1) return 1;
    if (y == 1) return x;
    if (x != x || y != y) return NAN;
    if (x == 0 || isinf(x) || isinf(y)) return pt_pow_at_the_edge(x, y);
    if (y == 0.5) return sqrt(x);
    if (y == -0.5) return 1 / sqrt(x);
    double whole = trunc(fabs(y)), part = fabs(y) - whole, product = 1;
    if (part != 0 && x < 0) return NAN;
    if (whole >= 0x1p63) return x == -1 ? 1 : (fabs(x) < 1) == (y > 0) ? 0 : INFINITY;
    if (part > 0.5) {
        part -= 1;
        whole += 1;
    }
    if (part != 0) product = pt_exp(part * pt_log(x));
    int64_t power = 0, exponent;
    double square = pt_split(x, &exponent);
    for (uint64_t left = (uint64_t)whole; left; left >>= 1) {
        if (exponent < -4096 || exponent > 4096) { /* the answer overflows whatever else there is */
            power += exponent;
            break;
        }
        if (left & 1) {
            product *= square;
            power += exponent;
        }
        square *= square;
        exponent *= 2;
        if (square < 0.5) {
            square += square;
            exponent--;
        }
    }
    return y < 0 ? pt_scale(1 / product, -power) : pt_scale(product, power);
}

#endif
