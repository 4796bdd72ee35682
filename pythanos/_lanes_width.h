/* The loops of _lanes.h for vectors of PT_W doubles; included once per width, no guard.
 *
 * Kept to forms that gcc 12 turns into masked moves: a comparison is stored in a mask and used by one kind of select;
 * selects are nested. Masks are combined where they are only to be asked whether any lane is set.
 */
#define vec PT_NAME(pt_vec)
#define mask PT_NAME(pt_mask)
#define LOAD(p) (*(const vec*)(p))
#define STORE(p, x) (*(vec*)(p) = (x))
#define SELECT(condition, a, b)                                       \
    ({                                                                \
        const mask m_ = (mask)(condition);                            \
        (vec)(((mask)(a) & m_) | ((mask)(b) & ~m_));                  \
    })
#define ABS(a) ((vec)((mask)(a) & 0x7FFFFFFFFFFFFFFFLL))
#define KAHAN(x, s, c)                                                \
    do {                                                              \
        const vec t_ = (s) + (x);                                     \
        const mask big_ = (mask)(ABS(s) >= ABS(x));                   \
        const vec hi_ = SELECT(big_, s, x), lo_ = SELECT(big_, x, s); \
        const vec c_ = (c) + ((hi_ - t_) + lo_);                      \
        (c) = SELECT(ABS(t_) > DBL_MAX, (vec){0}, c_);                \
        (s) = t_;                                                     \
    } while (0)

typedef double vec __attribute__((vector_size(8 * PT_W), aligned(8), may_alias));
typedef long long mask __attribute__((vector_size(8 * PT_W), aligned(8), may_alias));

#include "_lanes_edges.h"

/* Whether the windows begin at neighbouring samples, and the size of the smallest; 0 if there are fewer than PT_W. */
static inline int32_t PT_NAME(pt_shape)(const int32_t* lo, const int32_t* hi, int lanes, int* dense) {
    int32_t least = hi[0] - lo[0];
    int d = 1;
    if (lanes < PT_W) return 0;
    for (int j = 1; j < PT_W; j++) {
        const int32_t n = hi[j] - lo[j];
        if (n < least) least = n;
        d &= lo[j] == lo[0] + j;
    }
    *dense = d;
    return least > 0 ? least : 0;
}

/* Sample i of each window. */
PT_TARGET static inline void PT_NAME(pt_gather)(const double* v, const int32_t* lo, int32_t i, double* x) {
    for (int j = 0; j < PT_W; j++) x[j] = v[lo[j] + i];
}

/* Runs the statements for the samples x, number i in [from, least), of PT_W windows. */
#define EACH_SAMPLE(from, ...)                               \
    if (dense) {                                             \
        for (int32_t i = (from); i < least; i++) {           \
            const vec x = LOAD(v + lo[k] + i);               \
            __VA_ARGS__                                      \
        }                                                    \
    } else {                                                 \
        for (int32_t i = (from); i < least; i++) {           \
            double lane[PT_W];                               \
            PT_NAME(pt_gather)(v, lo + k, i, lane);          \
            const vec x = LOAD(lane);                        \
            __VA_ARGS__                                      \
        }                                                    \
    }

/* out[k] = sum of v[lo[k], hi[k]); empty windows are absent. */
PT_TARGET static void PT_NAME(pt_sum_windows)(
    const double* v, const int32_t* lo, const int32_t* hi, int64_t steps, double* out) {
    for (int64_t k = 0; k < steps; k += PT_W) {
        const int lanes = steps - k < PT_W ? (int)(steps - k) : PT_W;
        double sum[PT_W], comp[PT_W];
        int dense = 0;
        const int32_t least = PT_NAME(pt_shape)(lo + k, hi + k, lanes, &dense);
        vec s = {0}, c = {0};
        EACH_SAMPLE(0, KAHAN(x, s, c);)
        STORE(sum, s);
        STORE(comp, c);
        for (int j = 0; j < lanes; j++) {
            const int32_t from = lo[k + j], to = hi[k + j];
            for (int32_t i = from + least; i < to; i++) pt_kahan(v[i], &sum[j], &comp[j]);
            out[k + j] = to <= from ? pt_absent_value() : fabs(sum[j]) > DBL_MAX ? sum[j] : sum[j] + comp[j];
        }
    }
}

PT_TARGET static void PT_NAME(pt_avg_windows)(
    const double* v, const int32_t* lo, const int32_t* hi, int64_t steps, double* out) {
    for (int64_t k = 0; k < steps; k += PT_W) {
        const int lanes = steps - k < PT_W ? (int)(steps - k) : PT_W;
        double sum[PT_W], comp[PT_W];
        int dense = 0;
        const int32_t least = PT_NAME(pt_shape)(lo + k, hi + k, lanes, &dense);
        if (least) {
            PT_NAME(pt_gather)(v, lo + k, 0, sum);
            vec s = LOAD(sum), c = {0};
            EACH_SAMPLE(1, KAHAN(x, s, c);)
            STORE(sum, s);
            STORE(comp, c);
        }
        for (int j = 0; j < lanes; j++) {
            const int32_t from = lo[k + j], n = hi[k + j] - from;
            if (n <= 0 || !least) {
                out[k + j] = n <= 0 ? pt_absent_value() : pt_avg(v + from, n);
                continue;
            }
            for (int32_t i = least; i < n; i++) pt_kahan(v[from + i], &sum[j], &comp[j]);
            /* Infinity stays in a sum and NaN follows it: only those need the careful way. */
            const double s = sum[j];
            out[k + j] = s - s != 0 ? pt_avg(v + from, n) : s / (double)n + comp[j] / (double)n;
        }
    }
}

/* The largest or smallest value; NaN only where there is nothing else; the first of equals. */
#define EXTREME(name, CMP)                                                                  \
    PT_TARGET static void PT_NAME(name)(                                                    \
        const double* v, const int32_t* lo, const int32_t* hi, int64_t steps, double* out) { \
        for (int64_t k = 0; k < steps; k += PT_W) {                                         \
            const int lanes = steps - k < PT_W ? (int)(steps - k) : PT_W;                   \
            double best[PT_W];                                                              \
            int dense = 0;                                                                  \
            const int32_t least = PT_NAME(pt_shape)(lo + k, hi + k, lanes, &dense);         \
            if (least) {                                                                    \
                PT_NAME(pt_gather)(v, lo + k, 0, best);                                     \
                vec m = LOAD(best);                                                         \
                EACH_SAMPLE(1, const vec better = SELECT(x CMP m, x, m); m = SELECT(m != m, x, better);) \
                STORE(best, m);                                                             \
            }                                                                               \
            for (int j = 0; j < lanes; j++) {                                               \
                const int32_t from = lo[k + j], to = hi[k + j];                             \
                if (to <= from) {                                                           \
                    out[k + j] = pt_absent_value();                                         \
                    continue;                                                               \
                }                                                                           \
                double m = least ? best[j] : v[from];                                       \
                for (int32_t i = from + (least ? least : 1); i < to; i++)                   \
                    if (v[i] CMP m || m != m) m = v[i];                                     \
                out[k + j] = m;                                                             \
            }                                                                               \
        }                                                                                   \
    }
EXTREME(pt_max_windows, >)
EXTREME(pt_min_windows, <)

/* x / d for a divisor whose reciprocal is known: the same bits as a division (Markstein's correction) where there is a
 * fused multiply-add, for finite x and no underflow; a division elsewhere. */
PT_TARGET static inline void PT_NAME(pt_divide)(double* x, double d, double reciprocal) {
#if PT_W == 8
    const __m512d a = _mm512_loadu_pd(x), q = _mm512_mul_pd(a, _mm512_set1_pd(reciprocal));
    const __m512d r = _mm512_fnmadd_pd(q, _mm512_set1_pd(d), a);
    _mm512_storeu_pd(x, _mm512_fmadd_pd(r, _mm512_set1_pd(reciprocal), q));
#elif PT_W == 4
    const __m256d a = _mm256_loadu_pd(x), q = _mm256_mul_pd(a, _mm256_set1_pd(reciprocal));
    const __m256d r = _mm256_fnmadd_pd(q, _mm256_set1_pd(d), a);
    _mm256_storeu_pd(x, _mm256_fmadd_pd(r, _mm256_set1_pd(reciprocal), q));
#else
    (void)reciprocal;
    for (int j = 0; j < PT_W; j++) x[j] /= d;
#endif
}
#define DIVIDE(x, d, reciprocal)                         \
    ({                                                   \
        vec x_ = (x);                                    \
        PT_NAME(pt_divide)((double*)&x_, d, reciprocal); \
        x_;                                              \
    })

/* First and last samples of PT_W windows, and how many intervals lie between them (negative: none). */
typedef struct {
    vec first, last, intervals;
    mask first_time, last_time;
} PT_NAME(pt_edges);

/* Whether at[j] == at[0] + j in all lanes. */
PT_TARGET static inline int PT_NAME(pt_neighbours)(const int32_t* at) {
    int32_t apart = 0;
    for (int j = 1; j < PT_W; j++) apart |= at[j] - at[0] - j;
    return apart == 0;
}

PT_TARGET static inline void PT_NAME(pt_load_edges)(
    const int64_t* t, const double* v, int32_t n, const int32_t* lo, const int32_t* hi, int lanes,
    PT_NAME(pt_edges) * e) {
    if (lanes == PT_W && hi[0] > lo[0] && PT_NAME(pt_neighbours)(lo) && PT_NAME(pt_neighbours)(hi)) {
        e->first = LOAD(v + lo[0]);
        e->last = LOAD(v + hi[0] - 1);
        e->first_time = *(const mask*)(t + lo[0]);
        e->last_time = *(const mask*)(t + hi[0] - 1);
        e->intervals = (vec){0} + (double)(hi[0] - 1 - lo[0]);
        return;
    }
    for (int j = 0; j < PT_W; j++) {
        const int at = j < lanes ? j : lanes - 1;
        const int32_t from = lo[at] < n ? lo[at] : n - 1, to = hi[at] > 0 ? hi[at] - 1 : 0;
        e->first[j] = v[from];
        e->last[j] = v[to];
        e->first_time[j] = t[from];
        e->last_time[j] = t[to];
        e->intervals[j] = (double)(hi[at] - 1 - lo[at]);
    }
}

/* Cuts the ways to the edges at half an interval where they are longer than 1.1 of them, and that to the start where a
 * counter would be negative before.
 *
 * Divisions are the price of a window: both are left out where products, with a margin far above their rounding, say
 * that nothing is cut. A product that is too small to be precise says nothing. */
PT_TARGET static inline void PT_NAME(pt_cut_edges)(
    const PT_NAME(pt_edges) * e, vec sampled, vec increase, int counter, vec* to_start, vec* to_end) {
    const vec near = sampled * 1.0999;
    vec start = *to_start;
    if (PT_NAME(pt_any)((start * e->intervals >= near) | (*to_end * e->intervals >= near))) {
        const vec average = sampled / e->intervals, threshold = average * 1.1, half = average / 2.0;
        start = SELECT(start >= threshold, half, start);
        *to_end = SELECT(*to_end >= threshold, half, *to_end);
    }
    if (counter) {
        const mask clear = (mask)(e->first * sampled > start * increase * 1.0001) & (mask)(e->first * sampled > 1e-280);
        if (PT_NAME(pt_any)(~clear & (mask)(increase > 0.0))) {
            const vec zero_point = SELECT(e->first >= 0.0, sampled * (e->first / increase), start);
            const vec to_zero = SELECT(increase > 0.0, zero_point, start);
            start = SELECT(to_zero < start, to_zero, start);
        }
    }
    *to_start = start;
}

/* rate, increase, delta: Prometheus' extrapolation to the edges of the range. */
PT_TARGET static void PT_NAME(pt_rate_windows)(const pt_rate* r, double* out) {
    const vec absent = (vec)((mask){0} + PT_STALE_BITS), one = (vec){0} + 1.0;
    const double per_second = r->range_seconds != 0 ? 1.0 / r->range_seconds : 0;
    mask end;
    for (int j = 0; j < PT_W; j++) end[j] = r->first_end + j * r->end_step;
    for (int64_t k = 0; k < r->steps; k += PT_W, end += PT_W * r->end_step) {
        const int lanes = r->steps - k < PT_W ? (int)(r->steps - k) : PT_W;
        PT_NAME(pt_edges) e = {0};
        PT_NAME(pt_load_edges)(r->t, r->v, r->n, r->lo + k, r->hi + k, lanes, &e);
        vec increase = e.last - e.first;
        if (r->resets)
            for (int j = 0; j < lanes; j++) increase[j] = pt_add_resets(r, k + j, increase[j]);
        const vec sampled = DIVIDE(__builtin_convertvector(e.last_time - e.first_time, vec), 1000.0, 1 / 1000.0);
        vec to_start = __builtin_convertvector(e.first_time - (end - r->range_ms), vec);
        vec to_end = __builtin_convertvector(end - e.last_time, vec);
        to_start = DIVIDE(to_start, 1000.0, 1 / 1000.0);
        to_end = DIVIDE(to_end, 1000.0, 1 / 1000.0);
        PT_NAME(pt_cut_edges)(&e, sampled, increase, r->counter, &to_start, &to_end);
        const vec stretched = (sampled + to_start + to_end) / sampled;
        vec factor = SELECT(sampled != 0.0, stretched, one);
        if (r->range_seconds != 0) factor = DIVIDE(factor, r->range_seconds, per_second);
        const vec scaled = increase * factor;
        const vec result = SELECT(e.intervals > 0.0, scaled, absent);
        if (lanes == PT_W) STORE(out + k, result);
        else
            for (int j = 0; j < lanes; j++) out[k + j] = result[j];
    }
}

/* Whether a value is smaller than the one before it. */
PT_TARGET static void PT_NAME(pt_has_drop)(const double* v, int64_t n, int* found) {
    long long any = 0;
    for (int64_t i = 1; i < n; i++) any |= v[i] < v[i - 1];
    *found = any != 0;
}

/* Whether a time is not later than the one before it. */
PT_TARGET static void PT_NAME(pt_has_halt)(const int64_t* t, int64_t n, int* found) {
    long long any = 0;
    for (int64_t i = 1; i < n; i++) any |= t[i] <= t[i - 1];
    *found = any != 0;
}

PT_TARGET static void PT_NAME(pt_has_stale)(const double* v, int64_t n, int* found) {
    long long any = 0;
    for (int64_t i = 0; i < n; i++) {
        long long bits;
        memcpy(&bits, v + i, 8);
        any |= bits == PT_STALE_BITS;
    }
    *found = any != 0;
}

/* Adds one row of steps into a group's rows; sum is absent until its first sample, whose bits it takes over. */
PT_TARGET static void PT_NAME(pt_sum_row)(const double* x, double* sum, double* comp, int64_t steps) {
    int64_t k = 0;
    for (; k + PT_W <= steps; k += PT_W) {
        const vec xs = LOAD(x + k), s = LOAD(sum + k), c = LOAD(comp + k);
        const mask fresh = (mask)((mask)s == PT_STALE_BITS), gone = (mask)((mask)xs == PT_STALE_BITS);
        vec t = s, u = c;
        KAHAN(xs, t, u);
        t = SELECT(fresh, xs, t);
        u = SELECT(fresh, c, u);
        STORE(sum + k, SELECT(gone, s, t));
        STORE(comp + k, SELECT(gone, c, u));
    }
    for (; k < steps; k++) {
        if (pt_absent(x[k])) continue;
        if (pt_absent(sum[k])) sum[k] = x[k];
        else pt_kahan(x[k], &sum[k], &comp[k]);
    }
}

/* Counts the samples of a row; absent until the first. */
PT_TARGET static void PT_NAME(pt_count_row)(const double* x, double* count, int64_t steps) {
    const vec one = (vec){0} + 1.0;
    int64_t k = 0;
    for (; k + PT_W <= steps; k += PT_W) {
        const vec c = LOAD(count + k), more = c + one;
        const mask fresh = (mask)((mask)c == PT_STALE_BITS), gone = (mask)((mask)LOAD(x + k) == PT_STALE_BITS);
        const vec next = SELECT(fresh, one, more);
        STORE(count + k, SELECT(gone, c, next));
    }
    for (; k < steps; k++)
        if (!pt_absent(x[k])) count[k] = pt_absent(count[k]) ? 1 : count[k] + 1;
}

/* Whether a sum has overflowed. */
PT_TARGET static void PT_NAME(pt_has_inf)(const double* x, int64_t n, int* found) {
    long long any = 0;
    for (int64_t i = 0; i < n; i++) any |= fabs(x[i]) > DBL_MAX;
    *found = any != 0;
}

#define EXTREME_ROW(name, CMP)                                                                  \
    PT_TARGET static void PT_NAME(name)(const double* x, double* best, int64_t steps) {         \
        int64_t k = 0;                                                                          \
        for (; k + PT_W <= steps; k += PT_W) {                                                  \
            const vec xs = LOAD(x + k), b = LOAD(best + k);                                     \
            const vec larger = SELECT(xs CMP b, xs, b), better = SELECT(b != b, xs, larger);    \
            STORE(best + k, SELECT((mask)xs == PT_STALE_BITS, b, better));                      \
        }                                                                                       \
        for (; k < steps; k++)                                                                  \
            if (!pt_absent(x[k]) && (x[k] CMP best[k] || best[k] != best[k])) best[k] = x[k];   \
    }
EXTREME_ROW(pt_max_row, >)
EXTREME_ROW(pt_min_row, <)

#include "_lanes_moments.h"
#include "_lanes_buckets.h"

#undef vec
#undef mask
#undef LOAD
#undef STORE
#undef SELECT
#undef ABS
#undef KAHAN
#undef EACH_SAMPLE
#undef DIVIDE
#undef EXTREME
#undef EXTREME_ROW
#undef PT_W
#undef PT_NAME
#undef PT_TARGET
