/* Several steps at a time: the arithmetic of windows and groups in the compiler's vector types.
 *
 * Every function here gives the bits that the plain sequential loop gives: a lane is one step, so the order of
 * additions inside a step never changes. _lanes_width.h holds the loops for one vector width; it is compiled for
 * AVX-512, AVX2 and the baseline, and the first call picks what the CPU has. -ffp-contract=off keeps multiply and add
 * apart in all of them. Absence in a step row is the staleness marker's bit pattern, a signalling NaN, which no
 * arithmetic produces.
 */
#ifndef PYTHANOS_LANES_H
#define PYTHANOS_LANES_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#define PT_STALE_BITS 0x7FF0000000000002LL

static inline int pt_absent(double x) {
    int64_t bits;
    memcpy(&bits, &x, 8);
    return bits == PT_STALE_BITS;
}

static inline double pt_absent_value(void) {
    const int64_t bits = PT_STALE_BITS;
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

/* Neumaier's form of Kahan's sum, with the compensation dropped at an overflow, as Prometheus adds. */
static inline void pt_kahan(double x, double* sum, double* comp) {
    const double s = *sum, t = s + x;
    if (t > DBL_MAX || t < -DBL_MAX) *comp = 0;
    else if (fabs(s) >= fabs(x)) *comp += (s - t) + x;
    else *comp += (x - t) + s;
    *sum = t;
}

/* The mean as Prometheus takes it: sum divided by count while the sum is finite, an incremental mean from there on. */
static inline double pt_avg(const double* v, int64_t n) {
    double sum = v[0], comp = 0, mean = 0, count = 1;
    int incremental = 0;
    for (int64_t i = 1; i < n; i++) {
        count = (double)(i + 1);
        if (!incremental) {
            double s = sum, c = comp;
            pt_kahan(v[i], &s, &c);
            if (!(s > DBL_MAX || s < -DBL_MAX)) {
                sum = s;
                comp = c;
                continue;
            }
            incremental = 1;
            mean = sum / (count - 1);
            comp /= count - 1;
        }
        const double q = (count - 1) / count;
        mean = q * mean;
        comp = q * comp;
        pt_kahan(v[i] / count, &mean, &comp);
    }
    return incremental ? mean + comp : sum / count + comp / count;
}

/* A series and its windows, for the functions that extrapolate. */
typedef struct {
    const int64_t* t;
    const double* v;
    int32_t n; /* samples, at least one */
    const int32_t* lo;
    const int32_t* hi;
    int64_t steps;
    int64_t first_end, end_step, range_ms;
    int counter;
    double range_seconds;  /* 0: no division by the range */
    const int32_t* reset;  /* positions of the samples that are smaller than the one before, */
    int32_t resets;        /* and how many there are */
} pt_rate;

/* The increase of window k with what its resets lost, added one by one. */
static inline double pt_add_resets(const pt_rate* r, int64_t k, double increase) {
    int32_t low = 0, high = r->resets;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (r->reset[middle] > r->lo[k]) high = middle;
        else low = middle + 1;
    }
    for (; low < r->resets && r->reset[low] < r->hi[k]; low++) increase += r->v[r->reset[low] - 1];
    return increase;
}

/* The sums of a least squares fit: x, y, xy, xx, each followed by its compensation; x is in seconds from `zero`. */
typedef struct {
    double sums[8];
    int64_t zero;
    int differs; /* from the first value */
} pt_fit;

static inline void pt_fit_add(pt_fit* f, int64_t t, double y, double first) {
    const double x = (double)(t - f->zero) / 1e3;
    f->differs |= y != first;
    pt_kahan(x, &f->sums[0], &f->sums[1]);
    pt_kahan(y, &f->sums[2], &f->sums[3]);
    pt_kahan(x * y, &f->sums[4], &f->sums[5]);
    pt_kahan(x * x, &f->sums[6], &f->sums[7]);
}

/* The slope, or the value `ahead` seconds from `zero`; absent for fewer than two samples. */
static inline double pt_fit_result(const pt_fit* f, int32_t n, double first, const double* ahead) {
    double slope, intercept;
    if (n < 2) return pt_absent_value();
    if (!f->differs) {
        slope = isinf(first) ? NAN : 0;
        intercept = isinf(first) ? NAN : first;
    } else {
        const double x = f->sums[0] + f->sums[1], y = f->sums[2] + f->sums[3];
        const double xy = f->sums[4] + f->sums[5], xx = f->sums[6] + f->sums[7];
        slope = (xy - x * y / n) / (xx - x * x / n);
        intercept = y / n - slope * x / n;
    }
    return ahead ? slope * *ahead + intercept : slope;
}

/* What made the counts of the buckets of a histogram rise: how many steps, the lowest and the highest bound, the
 * largest decrease, the first and the last step. */
typedef struct {
    double samples, bound_min, bound_max, difference_max, first, last;
} pt_forced;

static inline void pt_tell_bound(pt_forced* f, double bound) {
    if (bound < f->bound_min) f->bound_min = bound;
    if (bound > f->bound_max) f->bound_max = bound;
}

static inline void pt_tell_step(pt_forced* f, double difference, int64_t step) {
    if (difference > f->difference_max) f->difference_max = difference;
    if (f->samples == 0) f->first = (double)step;
    f->last = (double)step;
    f->samples += 1;
}

#define PT_JOIN2(a, b) a##b
#define PT_JOIN(a, b) PT_JOIN2(a, b)

#define PT_W 2
#define PT_NAME(name) PT_JOIN(name, _2)
#define PT_TARGET
#include "_lanes_width.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define PT_W 4
#define PT_NAME(name) PT_JOIN(name, _4)
#define PT_TARGET __attribute__((target("avx2,fma")))
#include "_lanes_width.h"

#define PT_W 8
#define PT_NAME(name) PT_JOIN(name, _8)
#if defined(__clang__) /* which knows no preferred width, and would ignore the whole attribute */
#define PT_TARGET __attribute__((target("fma,avx512f,avx512dq,avx512vl")))
#else
#define PT_TARGET __attribute__((target("fma,avx512f,avx512dq,avx512vl,prefer-vector-width=512")))
#endif
#include "_lanes_width.h"

/* 8, 4 or 2 lanes; pt_force_width (0: no limit) lets a test compare the variants. */
static int pt_force_width = 0;

static inline int pt_width(void) {
    static int width = 0;
    if (width == 0) {
        __builtin_cpu_init();
        width = __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") ? 8
                : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")                                 ? 4
                                                                                       : 2;
    }
    return pt_force_width && pt_force_width < width ? pt_force_width : width;
}

#define PT_CALL(name, ...)                            \
    do {                                              \
        const int w_ = pt_width();                    \
        if (w_ == 8) PT_JOIN(name, _8)(__VA_ARGS__);      \
        else if (w_ == 4) PT_JOIN(name, _4)(__VA_ARGS__); \
        else PT_JOIN(name, _2)(__VA_ARGS__);              \
    } while (0)
#else
static int pt_force_width = 0;
#define PT_CALL(name, ...) PT_JOIN(name, _2)(__VA_ARGS__)
#endif

#define PT_WINDOWS(name)                                                                                            \
    static inline void name(const double* v, const int32_t* lo, const int32_t* hi, int64_t steps, double* out) {    \
        PT_CALL(name, v, lo, hi, steps, out);                                                                       \
    }
PT_WINDOWS(pt_sum_windows)
PT_WINDOWS(pt_avg_windows)
PT_WINDOWS(pt_max_windows)
PT_WINDOWS(pt_min_windows)

static inline void pt_variance_windows(
    const double* v, const int32_t* lo, const int32_t* hi, int64_t steps, int root, double* out) {
    PT_CALL(pt_variance_windows, v, lo, hi, steps, root, out);
}
static inline void pt_trend_windows(
    const int64_t* t, const double* v, const int32_t* lo, const int32_t* hi, int64_t steps, int64_t now,
    int64_t now_step, const double* ahead, double* out) {
    PT_CALL(pt_trend_windows, t, v, lo, hi, steps, now, now_step, ahead, out);
}
static inline void pt_rate_windows(const pt_rate* r, double* out) { PT_CALL(pt_rate_windows, r, out); }
/* out[k] = how many of the n rising times are at most first + k * step. */
static inline void pt_count_until(
    const int64_t* t, int32_t n, int64_t first, int64_t step, int64_t steps, int32_t* out) {
    PT_CALL(pt_count_until, t, n, first, step, steps, out);
}
static inline int64_t pt_window_sizes(const int32_t* lo, const int32_t* hi, int64_t steps) {
    int64_t total = 0;
    PT_CALL(pt_window_sizes, lo, hi, steps, &total);
    return total;
}
static inline int64_t pt_newest(
    const int64_t* t, const double* v, int32_t n, int64_t first, int64_t step, int64_t steps, int64_t lookback,
    double* out) {
    int64_t found = 0;
    PT_CALL(pt_newest, t, v, n, first, step, steps, lookback, out, &found);
    return found;
}
static inline int pt_has_drop(const double* v, int64_t n) {
    int found = 0;
    PT_CALL(pt_has_drop, v, n, &found);
    return found;
}
static inline int pt_has_halt(const int64_t* t, int64_t n) {
    int found = 0;
    PT_CALL(pt_has_halt, t, n, &found);
    return found;
}
static inline int pt_has_stale(const double* v, int64_t n) {
    int found = 0;
    PT_CALL(pt_has_stale, v, n, &found);
    return found;
}
static inline void pt_sum_row(const double* x, double* sum, double* comp, int64_t steps) {
    PT_CALL(pt_sum_row, x, sum, comp, steps);
}
static inline void pt_count_row(const double* x, double* count, int64_t steps) {
    PT_CALL(pt_count_row, x, count, steps);
}
static inline int pt_has_inf(const double* x, int64_t n) {
    int found = 0;
    PT_CALL(pt_has_inf, x, n, &found);
    return found;
}
/* out[k..] = the quantiles of cumulative buckets, from the first step that is not done on as long as they are plain;
 * returns the next. rows: `size` >= 2 rows of steps, by rising bound, of which the last is infinite; room: 8 numbers
 * for each. */
static inline int64_t pt_bucket_quantiles(
    const double* const* rows, const double* bound, int64_t size, const double* q, int64_t k, int64_t steps,
    double* room, uint8_t* touched, double* out, pt_forced* told) {
    PT_CALL(pt_bucket_quantiles, rows, bound, size, q, steps, room, touched, out, told, &k);
    return k;
}
static inline void pt_max_row(const double* x, double* best, int64_t steps) { PT_CALL(pt_max_row, x, best, steps); }
static inline void pt_min_row(const double* x, double* best, int64_t steps) { PT_CALL(pt_min_row, x, best, steps); }

#endif
