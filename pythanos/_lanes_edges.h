/* Where windows begin and end, PT_W steps at a time; a part of _lanes_width.h, once per width, no guard.
 *
 * Scrapes mostly keep step with the query: then PT_W ends in a row fall behind PT_W samples in a row, which two
 * comparisons of vectors prove. Where they do not, steps are looked at one by one.
 */

/* Whether any lane of a mask is set. */
PT_TARGET static inline int PT_NAME(pt_any)(mask m) {
#if PT_W == 8
    return _mm512_test_epi64_mask((__m512i)m, (__m512i)m) != 0;
#elif PT_W == 4
    return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#else
    return (m[0] | m[1]) != 0;
#endif
}

/* How far a walk over the samples of a series is. */
typedef struct {
    const int64_t* t;
    int32_t n, at; /* samples, and those that are passed */
    int32_t pace;  /* how many the last PT_W steps passed */
} PT_NAME(pt_walk);

/* Takes PT_W steps at once if each passes one sample; whether it did. `ends`: the times of the steps. */
PT_TARGET static inline int PT_NAME(pt_stride)(PT_NAME(pt_walk) * w, mask ends) {
    const int64_t* t = w->t + w->at;
    if (w->pace < PT_W - 1 || w->pace > PT_W + 1 || w->at + PT_W >= w->n) return 0;
    if (PT_NAME(pt_any)((*(const mask*)t > ends) | (*(const mask*)(t + 1) <= ends))) return 0;
    w->at += PT_W;
    return 1;
}

/* Takes up to PT_W steps one by one: passed[j] = how many samples are at most end + j * step. Branches, not moves:
 * scrapes are regular enough to be predicted, and a move would chain the loads of all steps. */
static inline void PT_NAME(pt_steps)(PT_NAME(pt_walk) * w, int64_t end, int64_t step, int lanes, int32_t* passed) {
    const int64_t* t = w->t;
    const int32_t n = w->n, many = w->pace / PT_W;
    int32_t at = w->at;
    if (many > 2) {
        /* As many samples as in the steps before are tried at once. */
        for (int j = 0; j < lanes; j++, end += step) {
            if (at + many < n && t[at + many - 1] <= end && t[at + many] > end) at += many;
            else
                while (at < n && t[at] <= end) at++;
            passed[j] = at;
        }
    } else {
        for (int j = 0; j < lanes; j++, end += step) {
            while (at < n && t[at] <= end) at++;
            passed[j] = at;
        }
    }
    w->pace = at - w->at;
    w->at = at;
}

PT_TARGET static void PT_NAME(pt_count_until)(
    const int64_t* t, int32_t n, int64_t first, int64_t step, int64_t steps, int32_t* out) {
    PT_NAME(pt_walk) w = {t, n, 0, PT_W};
    mask ends;
    for (int j = 0; j < PT_W; j++) ends[j] = first + j * step;
    for (int64_t k = 0; k < steps; k += PT_W, ends += PT_W * step, first += PT_W * step) {
        const int lanes = steps - k < PT_W ? (int)(steps - k) : PT_W;
        if (lanes == PT_W && PT_NAME(pt_stride)(&w, ends))
            for (int j = 0; j < PT_W; j++) out[k + j] = w.at - PT_W + 1 + j;
        else PT_NAME(pt_steps)(&w, first, step, lanes, out + k);
    }
}

/* Adds the sizes of all windows. */
PT_TARGET static void PT_NAME(pt_window_sizes)(const int32_t* lo, const int32_t* hi, int64_t steps, int64_t* total) {
    int64_t sum = 0;
    for (int64_t k = 0; k < steps; k++) sum += hi[k] - lo[k];
    *total += sum;
}

/* out[k] = the last of n samples at or before first + k * step, absent where it is as old as `lookback` or more, or a
 * staleness marker; adds how many there are. */
PT_TARGET static void PT_NAME(pt_newest)(
    const int64_t* t, const double* v, int32_t n, int64_t first, int64_t step, int64_t steps, int64_t lookback,
    double* out, int64_t* found) {
    const vec absent = (vec)((mask){0} + PT_STALE_BITS);
    PT_NAME(pt_walk) w = {t, n, 0, PT_W};
    int64_t present = 0;
    mask ends;
    for (int j = 0; j < PT_W; j++) ends[j] = first + j * step;
    for (int64_t k = 0; k < steps; k += PT_W, ends += PT_W * step, first += PT_W * step) {
        const int lanes = steps - k < PT_W ? (int)(steps - k) : PT_W;
        int32_t passed[PT_W];
        if (lanes == PT_W && PT_NAME(pt_stride)(&w, ends)) {
            const int32_t at = w.at - PT_W;
            STORE(out + k, SELECT(*(const mask*)(t + at) > ends - lookback, LOAD(v + at), absent));
            continue;
        }
        PT_NAME(pt_steps)(&w, first, step, lanes, passed);
        for (int j = 0; j < lanes; j++) {
            const int32_t at = passed[j] - 1;
            out[k + j] = at >= 0 && t[at] > first + j * step - lookback ? v[at] : pt_absent_value();
        }
    }
    for (int64_t k = 0; k < steps; k++) present += !pt_absent(out[k]);
    *found += present;
}
