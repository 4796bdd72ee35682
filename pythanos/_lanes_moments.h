/* Variance and least squares over windows; a part of _lanes_width.h, once per width, no guard. */

/* Welford's variance with compensated sums, as Prometheus' stdvar_over_time; its root with `root`. */
PT_TARGET static void PT_NAME(pt_variance_windows)(
    const double* v, const int32_t* lo, const int32_t* hi, int64_t steps, int root, double* out) {
    for (int64_t k = 0; k < steps; k += PT_W) {
        const int lanes = steps - k < PT_W ? (int)(steps - k) : PT_W;
        double state[4][PT_W];
        int dense = 0;
        const int32_t least = PT_NAME(pt_shape)(lo + k, hi + k, lanes, &dense);
        vec mean = {0}, mean_c = {0}, aux = {0}, aux_c = {0};
        EACH_SAMPLE(0, {
            const vec delta = x - (mean + mean_c);
            const vec part = delta / (double)(i + 1);
            KAHAN(part, mean, mean_c);
            const vec square = delta * (x - (mean + mean_c));
            KAHAN(square, aux, aux_c);
        })
        STORE(state[0], mean);
        STORE(state[1], mean_c);
        STORE(state[2], aux);
        STORE(state[3], aux_c);
        for (int j = 0; j < lanes; j++) {
            const int32_t from = lo[k + j], n = hi[k + j] - from;
            double *m = &state[0][j], *mc = &state[1][j], *a = &state[2][j], *ac = &state[3][j];
            for (int32_t i = least; i < n; i++) {
                const double x = v[from + i], delta = x - (*m + *mc);
                pt_kahan(delta / (double)(i + 1), m, mc);
                pt_kahan(delta * (x - (*m + *mc)), a, ac);
            }
            const double variance = (*a + *ac) / (double)n;
            out[k + j] = n <= 0 ? pt_absent_value() : root ? sqrt(variance) : variance;
        }
    }
}

/* deriv and predict_linear. The intercept is taken at now + k * now_step for a prediction (`ahead` is how far), at the
 * first sample for a slope (`ahead` NULL). */
PT_TARGET static void PT_NAME(pt_trend_windows)(
    const int64_t* t, const double* v, const int32_t* lo, const int32_t* hi, int64_t steps, int64_t now,
    int64_t now_step, const double* ahead, double* out) {
    for (int64_t k = 0; k < steps; k += PT_W) {
        const int lanes = steps - k < PT_W ? (int)(steps - k) : PT_W;
        pt_fit fit[PT_W];
        double sums[8][PT_W], first[PT_W], differs[PT_W];
        int dense = 0;
        const int32_t least = PT_NAME(pt_shape)(lo + k, hi + k, lanes, &dense);
        mask zero = {0};
        vec s0 = {0}, c0 = {0}, s1 = {0}, c1 = {0}, s2 = {0}, c2 = {0}, s3 = {0}, c3 = {0}, other = {0};
        for (int j = 0; j < lanes; j++) {
            fit[j].zero = ahead ? now + (k + j) * now_step : hi[k + j] > lo[k + j] ? t[lo[k + j]] : 0;
            zero[j] = fit[j].zero;
            first[j] = hi[k + j] > lo[k + j] ? v[lo[k + j]] : 0;
        }
        for (int j = lanes; j < PT_W; j++) first[j] = 0;
        const vec begin = LOAD(first);
        EACH_SAMPLE(0, {
            mask when;
            if (dense) when = *(const mask*)(t + lo[k] + i);
            else
                for (int j = 0; j < PT_W; j++) when[j] = t[lo[k + j] + i];
            const vec at = DIVIDE(__builtin_convertvector(when - zero, vec), 1000.0, 1 / 1000.0);
            const vec product = at * x, square = at * at;
            KAHAN(at, s0, c0);
            KAHAN(x, s1, c1);
            KAHAN(product, s2, c2);
            KAHAN(square, s3, c3);
            other = SELECT(x != begin, (vec){0} + 1.0, other);
        })
        STORE(sums[0], s0);
        STORE(sums[1], c0);
        STORE(sums[2], s1);
        STORE(sums[3], c1);
        STORE(sums[4], s2);
        STORE(sums[5], c2);
        STORE(sums[6], s3);
        STORE(sums[7], c3);
        STORE(differs, other);
        for (int j = 0; j < lanes; j++) {
            const int32_t from = lo[k + j], n = hi[k + j] - from;
            for (int part = 0; part < 8; part++) fit[j].sums[part] = sums[part][j];
            fit[j].differs = differs[j] != 0;
            for (int32_t i = least; i < n; i++) pt_fit_add(&fit[j], t[from + i], v[from + i], first[j]);
            out[k + j] = pt_fit_result(&fit[j], n, first[j], ahead ? ahead + k + j : NULL);
        }
    }
}
