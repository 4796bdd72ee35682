/* Sums of what native histograms have grown by, bucket by bucket.
 *
 * Plain loops, which the compiler makes vectors of, once for each vector width; a bucket is a lane, so every width gives
 * the bits of the sequential loop. _lanes.h chooses the width. */
#ifndef PYTHANOS_GROWTH_H
#define PYTHANOS_GROWTH_H

#include "_lanes.h"

typedef union {
    double number;
    int64_t bits;
} pt_number;

/* a where the condition, 0 or 1, holds: bits, as the compiler makes no vectors of branches. */
static inline double pt_choose(int64_t condition, double a, double b) {
    const pt_number x = {.number = a}, y = {.number = b};
    const pt_number chosen = {.bits = (x.bits & -condition) | (y.bits & (condition - 1))};
    return chosen.number;
}

/* pt_kahan without branches, which short rows would mispredict. */
#define PT_GROWTH_LOOP(name, attributes)                                                                    \
    attributes static void name(                                                                            \
        const double* restrict last, const double* restrict first, double factor, double* restrict sum,     \
        double* restrict comp, int64_t n) {                                                                 \
        for (int64_t k = 0; k < n; k++) {                                                                   \
            const double x = (last[k] - first[k]) * factor, s = sum[k], t = s + x;                          \
            const int64_t big = fabs(s) >= fabs(x), huge = fabs(t) > DBL_MAX;                               \
            const double high = pt_choose(big, s, x), low = pt_choose(big, x, s);                           \
            comp[k] = pt_choose(huge, 0, comp[k] + ((high - t) + low));                                     \
            sum[k] = t;                                                                                     \
        }                                                                                                   \
    }

PT_GROWTH_LOOP(pt_growth_2, )
#if defined(__x86_64__) && defined(__GNUC__)
PT_GROWTH_LOOP(pt_growth_4, __attribute__((target("avx2"))))
#if defined(__clang__)
PT_GROWTH_LOOP(pt_growth_8, __attribute__((target("avx512f,avx512dq,avx512vl"))))
#else
PT_GROWTH_LOOP(pt_growth_8, __attribute__((target("avx512f,avx512dq,avx512vl,prefer-vector-width=512"))))
#endif
#endif

/* Adds (last - first) * factor to sums with their compensation. */
static inline void pt_sum_growth(
    const double* last, const double* first, double factor, double* sum, double* comp, int64_t n) {
    PT_CALL(pt_growth, last, first, factor, sum, comp, n);
}

#endif
