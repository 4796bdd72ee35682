/* Quantiles of classic histograms, PT_W steps at a time; a part of _lanes_width.h, once per width, no guard. */

typedef struct {
    vec largest;  /* decrease that was taken away */
    mask steps;   /* -1 where there was one */
} PT_NAME(pt_forced);

/* Makes the counts of the buckets rise: level[b] = the PT_W counts of bucket b. Returns 0, with nothing told, where
 * that is not a matter of larger and smaller: absent, negative or infinite counts, or some that differ by hardly more
 * than rounding, which are equal to Prometheus within 1e-12 of their sum. */
PT_TARGET static inline int PT_NAME(pt_level)(
    const double* const* rows, int64_t size, int64_t k, vec* level, PT_NAME(pt_forced) * forced, uint8_t* touched) {
    vec before = LOAD(rows[0] + k);
    mask plain = (mask)(before >= 0.0) & (mask)(before <= DBL_MAX);
    forced->largest = (vec){0};
    level[0] = before;
    for (int64_t b = 1; b < size; b++) {
        /* The rows are many streams, more than the processor follows by itself. */
        __builtin_prefetch(rows[b] + k + 8 * PT_W);
        const vec now = LOAD(rows[b] + k), difference = before - now;
        const vec higher = SELECT(now > before, now, before);
        plain &= (mask)(now == before) |
                 ((mask)(ABS(difference) > higher * 4e-12) & (mask)(ABS(difference) > 1e-300));
        forced->largest = SELECT(difference > forced->largest, difference, forced->largest);
        touched[b] = PT_NAME(pt_any)((mask)(difference > 0.0));
        level[b] = before = higher;
    }
    forced->steps = (mask)(forced->largest > 0.0);
    return !PT_NAME(pt_any)(~plain);
}

/* The quantiles q of buckets with rising counts and bounds, of which the last is infinite: BucketQuantile, with the
 * search for the rank done by passing every bucket below it. */
PT_TARGET static inline vec PT_NAME(pt_ranked)(const vec* level, const double* bound, int64_t size, vec q) {
    const vec observations = level[size - 1], none = (vec){0} + (double)NAN;
    const vec rank = q * observations;
    vec low = {0}, low_count = {0}, high = (vec){0} + bound[0], high_count = level[0];
    for (int64_t b = 0; b < size - 1; b++) {
        const vec passed = (vec)(mask)(level[b] < rank);
        low = SELECT(passed, (vec){0} + bound[b], low);
        low_count = SELECT(passed, level[b], low_count);
        high = SELECT(passed, (vec){0} + bound[b + 1], high);
        high_count = SELECT(passed, level[b + 1], high_count);
    }
    vec found = low + (high - low) * ((rank - low_count) / (high_count - low_count));
    if (bound[0] <= 0.0) found = SELECT(level[0] >= rank, (vec){0} + bound[0], found);
    found = SELECT(level[size - 2] < rank, (vec){0} + bound[size - 2], found);
    return SELECT(observations == 0.0, none, found);
}

/* Steps from k on, as many as are plain; returns the first that is not done. room: size * PT_W numbers. */
PT_TARGET static void PT_NAME(pt_bucket_quantiles)(
    const double* const* rows, const double* bound, int64_t size, const double* q, int64_t steps, double* room,
    uint8_t* touched, double* out, pt_forced* told, int64_t* at) {
    vec* level = (vec*)room;
    int64_t k = *at;
    for (; k + PT_W <= steps; k += PT_W) {
        const vec quantile = LOAD(q + k);
        PT_NAME(pt_forced) forced;
        if (PT_NAME(pt_any)(~((mask)(quantile >= 0.0) & (mask)(quantile <= 1.0)))) break;
        if (!PT_NAME(pt_level)(rows, size, k, level, &forced, touched)) break;
        STORE(out + k, PT_NAME(pt_ranked)(level, bound, size, quantile));
        if (!PT_NAME(pt_any)(forced.steps)) continue;
        for (int64_t b = 1; b < size; b++)
            if (touched[b]) pt_tell_bound(told, bound[b]);
        for (int j = 0; j < PT_W; j++)
            if (forced.steps[j]) pt_tell_step(told, forced.largest[j], k + j);
    }
    *at = k;
}
