/* Order statistics as Prometheus takes them: NaN sorts before everything, ranks interpolate linearly.
 *
 * Hoare's selection with the median of three; both functions reorder the values they are given.
 */
#ifndef PYTHANOS_ORDER_H
#define PYTHANOS_ORDER_H

#include <math.h>
#include <stdint.h>

/* Moves all NaN to the front and returns their number. */
static inline int64_t pt_nan_first(double* v, int64_t n) {
    int64_t nan = 0;
    for (int64_t i = 0; i < n; i++)
        if (v[i] != v[i]) {
            const double x = v[i];
            v[i] = v[nan];
            v[nan++] = x;
        }
    return nan;
}

/* Puts the k-th smallest of v[0..n), none of them NaN, in its place; smaller ones stand before it. */
static inline void pt_select(double* v, int64_t n, int64_t k) {
    int64_t low = 0, high = n - 1;
    while (high - low > 16) {
        const int64_t middle = low + (high - low) / 2;
        double a = v[low], b = v[middle], c = v[high], pivot, x;
        pivot = a < b ? (b < c ? b : (a < c ? c : a)) : (a < c ? a : (b < c ? c : b));
        int64_t i = low, j = high;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (pivot < v[j]) j--;
            if (i <= j) {
                x = v[i];
                v[i++] = v[j];
                v[j--] = x;
            }
        }
        if (k <= j) high = j;
        else if (k >= i) low = i;
        else return;
    }
    for (int64_t i = low + 1; i <= high; i++) {
        const double x = v[i];
        int64_t j = i;
        for (; j > low && x < v[j - 1]; j--) v[j] = v[j - 1];
        v[j] = x;
    }
}

/* The q-quantile of n values (n > 0), -Inf and +Inf for q outside [0, 1]. */
static inline double pt_quantile(double q, double* v, int64_t n) {
    if (n == 0 || q != q) return NAN;
    if (q < 0) return -INFINITY;
    if (q > 1) return INFINITY;
    const double rank = q * (double)(n - 1), whole = floor(rank), weight = rank - whole;
    const int64_t lower = whole > 0 ? (int64_t)whole : 0, upper = lower + 1 < n ? lower + 1 : n - 1;
    const int64_t nan = pt_nan_first(v, n);
    double below, above;
    if (lower < nan) below = v[lower];
    else {
        pt_select(v + nan, n - nan, lower - nan);
        below = v[lower];
    }
    above = v[upper];
    if (upper > lower && upper >= nan) {
        if (lower < nan) pt_select(v + nan, n - nan, 0);
        else
            for (int64_t i = upper + 1; i < n; i++)
                if (v[i] < v[upper]) {
                    const double x = v[i];
                    v[i] = v[upper];
                    v[upper] = x;
                }
        above = v[upper];
    }
    return below * (1 - weight) + above * weight;
}

/* The median absolute deviation of n values (n > 0); NaN if any of them is. */
static inline double pt_mad(double* v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (v[i] != v[i]) return v[i];
    const double median = pt_quantile(0.5, v, n);
    for (int64_t i = 0; i < n; i++) v[i] = fabs(v[i] - median);
    return pt_quantile(0.5, v, n);
}

#endif
