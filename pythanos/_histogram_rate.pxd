# Rates, increases and deltas of a window of native histograms.
#
# Semantics: Prometheus 3.14, promql/functions.go (extrapolatedRate, histogramRate, instantValue).

from libc.stdint cimport int64_t, uint8_t, uint16_t

from pythanos._histogram_accumulate cimport Running
from pythanos._histogram_add cimport INCOMPATIBLE, NO_MEMORY, RECONCILED, add_value
from pythanos._histogram_columns cimport Rows, Sink, has_layout_of, view_at
from pythanos._histogram_reset cimport was_reset
from pythanos._histogram_value cimport (
    COUNTER_RESET, GAUGE, NOT_COUNTER_RESET, Value, View, compact_value, divide, is_custom, multiply, reduce_value,
    set_empty, set_value, view_of,
)
from pythanos._window_starts cimport began_anew

# What a window has to say.
cdef enum:
    SAID_MIXED = 1              # floats and histograms
    SAID_NOT_COUNTER = 2
    SAID_NOT_GAUGE = 4
    SAID_MIXED_SCHEMAS = 8      # exponential and custom buckets
    SAID_RECONCILED_SUB = 16
    SAID_RECONCILED_ADD = 32
    SAID_RECONCILED_AGG = 64
    SAID_COLLISION = 128
    SAID_IGNORED = 256          # histograms, by a function of floats
    SAID_OVERLAP = 512          # of a start time with the sample before

# What becomes of a window.
cdef enum:
    GIVES_NOTHING = 0
    GIVES_VALUE = 1
    LACKS_MEMORY = 2

# The histograms of one series, staleness markers left out: sample j is row[j], at times[j], begun at starts[j] if
# `starts` is not NULL. reset[j]: whether the counter started anew between j - 1 and j.
cdef struct Train:
    int64_t size
    const Rows* rows
    int64_t* row
    int64_t* times
    int64_t* starts
    int64_t* worth          # [j]: as how many samples those before j count
    uint8_t* reset
    int64_t* since          # [j]: from where on up to j nothing but counts has changed, behind j where that is not known
    bint gauges         # whether any is a gauge
    bint resets         # whether any was reset
    bint uniform        # whether all have one layout

# Scratch; `sum` has the result.
cdef struct Work:
    Value sum
    Value empty
    Value spare
    Value trial
    Running running
    Sink sink
    uint16_t said


cdef inline View member(const Train* s, int64_t j) noexcept nogil:
    return view_at(s.rows, s.row[j])


cdef inline bint started_anew(const Train* s, int64_t j) noexcept nogil:
    return s.starts != NULL and began_anew(s.starts[j - 1], s.times[j - 1], s.starts[j], s.times[j])


cdef inline void find_resets(Train* s) noexcept nogil:
    """Fills in reset, since, gauges, resets and uniform."""
    cdef int64_t j, since = 0
    cdef uint8_t hint
    cdef View before, now
    cdef bint anew, alike
    s.gauges = s.resets = False
    s.uniform = True
    for j in range(s.size):
        hint = s.rows.hint[s.row[j]]
        anew = j > 0 and started_anew(s, j)
        if j > 0 and not anew and hint != NOT_COUNTER_RESET:
            now, before = member(s, j), member(s, j - 1)
            anew = was_reset(&now, &before)
        alike = j > 0 and has_layout_of(s.rows, s.row[j], s.row[j - 1])
        if hint == GAUGE or s.starts != NULL or not s.rows.clear[s.rows.layout[s.row[j]]]:
            since = j + 1
        elif anew or not alike:
            since = j
        s.reset[j], s.since[j] = anew, since
        s.resets |= anew
        s.gauges |= hint == GAUGE
        s.uniform &= j == 0 or alike


cdef inline bint agrees(Train* s, int64_t lo, int64_t hi, bint custom, int* schema, Work* w) noexcept nogil:
    """Looks at the samples between the first and the last: their hints, schemas, kinds; False where kinds differ."""
    cdef int64_t j
    cdef View v
    if s.uniform and not s.gauges:
        return True
    for j in range(lo + 1, hi - 1):
        v = member(s, j)
        if v.hint == GAUGE:
            w.said |= SAID_NOT_COUNTER
        schema[0] = min(schema[0], v.schema)
        if is_custom(v.schema) != custom:
            w.said = SAID_MIXED_SCHEMAS
            return False
    return True


cdef inline int add_lost(Train* s, int64_t lo, int64_t hi, bint skip_first, Work* w) noexcept nogil:
    """Adds what counters had reached when they were reset, and looks for overlapping start times."""
    cdef int64_t j
    cdef int found
    cdef View before
    cdef bint overlap = False
    if s.starts != NULL:
        for j in range(lo + 1, hi):
            overlap |= s.starts[j] != 0 and s.starts[j] < s.times[j - 1] and s.starts[j] != s.starts[j - 1]
        if overlap:
            w.said |= SAID_OVERLAP
    if not s.resets:
        return GIVES_VALUE
    for j in range(lo + 1, hi):
        if not s.reset[j]:
            continue
        before = member(s, j - 1)
        if j == lo + 1 and skip_first:
            # In place of the first sample stands an empty one, to which only a hint or a start time is a reset.
            if not started_anew(s, j) and s.rows.hint[s.row[j]] != COUNTER_RESET:
                continue
            before = view_of(&w.empty)
        found = add_value(&w.sum, &before, False, False, &w.spare)
        if found & NO_MEMORY:
            return LACKS_MEMORY
        if found & INCOMPATIBLE:
            w.said = SAID_MIXED_SCHEMAS
            return GIVES_NOTHING
        if found & RECONCILED:
            w.said |= SAID_RECONCILED_ADD
    return GIVES_VALUE


cdef inline int increase(Train* s, int64_t lo, int64_t hi, bint counter, Work* w) noexcept nogil:
    """The difference between the last and the first of at least two samples, resets made good, into w.sum."""
    cdef View first = member(s, lo), last = member(s, hi - 1), second, base = first
    cdef bint nulled = counter and s.reset[lo + 1]
    cdef int found, schema
    if counter and (first.hint == GAUGE or last.hint == GAUGE):
        w.said |= SAID_NOT_COUNTER
    if nulled:
        # Then the first sample does not matter, nor does its layout.
        second = member(s, lo + 1)
        if not set_empty(&w.empty, &second):
            return LACKS_MEMORY
        base = view_of(&w.empty)
    if is_custom(last.schema) != is_custom(base.schema):
        w.said |= SAID_MIXED_SCHEMAS
        return GIVES_NOTHING
    schema = min(last.schema, base.schema)
    if counter and not agrees(s, lo, hi, is_custom(base.schema), &schema, w):
        return GIVES_NOTHING
    if not set_value(&w.sum, &last):
        return LACKS_MEMORY
    reduce_value(&w.sum, schema, False)
    found = add_value(&w.sum, &base, True, False, &w.spare)
    if found & NO_MEMORY:
        return LACKS_MEMORY
    if found & RECONCILED:
        w.said |= SAID_RECONCILED_SUB
    found = GIVES_VALUE
    if counter:
        found = add_lost(s, lo, hi, nulled, w)
    elif first.hint != GAUGE or last.hint != GAUGE:
        w.said |= SAID_NOT_GAUGE
    w.sum.hint = GAUGE
    compact_value(&w.sum)
    return found


cdef inline double growth_factor(
    const Train* s, int64_t lo, int64_t hi, int64_t begin, int64_t end, bint counter, int64_t started, double first,
    double increase, double seconds,
) noexcept nogil:
    """What an increase from `first` is multiplied by: it is extrapolated to the range, and divided by its `seconds`.

    `started`: when the counter is known to have been zero inside the range, or 0.
    """
    cdef int64_t intervals = hi - 1 - lo
    cdef double to_start = <double>(s.times[lo] - begin) / 1000, to_end = <double>(end - s.times[hi - 1]) / 1000
    cdef double sampled = <double>(s.times[hi - 1] - s.times[lo]) / 1000, to_zero, factor = 1
    cdef double average = sampled / intervals if intervals else 0, threshold = average * 1.1
    if started:
        # Nothing is guessed to the left of it.
        to_start = 0
        sampled = <double>(s.times[hi - 1] - started) / 1000
    else:
        if to_start >= threshold:
            to_start = average / 2
        if counter and increase > 0 and first >= 0:
            to_zero = sampled * (first / increase)
            if to_zero < to_start:
                to_start = to_zero
    if to_end >= threshold:
        to_end = average / 2
    if sampled != 0:
        factor = (sampled + to_start + to_end) / sampled
    return factor / seconds if seconds else factor


cdef inline bint is_plain(const Train* s, int64_t lo, int64_t hi) noexcept nogil:
    """Whether a window is without resets, gauges, start times, changes of the layout, and buckets in the zero bucket."""
    return hi - lo > 1 and s.since[hi - 1] <= lo


cdef inline int histogram_rate(
    Train* s, int64_t lo, int64_t hi, int64_t begin, int64_t end, bint counter, double seconds, Work* w
) noexcept nogil:
    """rate (`seconds` of the range), increase or delta (0) of the samples [lo, hi), at least one, into w.sum."""
    cdef View first = member(s, lo)
    cdef int64_t started = s.starts[lo] if s.starts != NULL and counter else 0
    cdef int found = GIVES_VALUE
    cdef double increased
    if not begin < started < s.times[lo]:
        started = 0
    if hi - lo > 1:
        found = increase(s, lo, hi, counter, w)
    elif started == 0:
        found = GIVES_NOTHING
    if found != GIVES_VALUE:
        return found
    increased = w.sum.count
    if started and hi - lo == 1:
        if not set_value(&w.sum, &first):
            return LACKS_MEMORY
    elif started:
        found = add_value(&w.sum, &first, False, False, &w.spare)
        if found & NO_MEMORY:
            return LACKS_MEMORY
        if found & INCOMPATIBLE:
            w.said |= SAID_MIXED_SCHEMAS
            return GIVES_NOTHING
        if found & RECONCILED:
            w.said |= SAID_RECONCILED_ADD
    multiply(&w.sum, growth_factor(s, lo, hi, begin, end, counter, started, first.count, increased, seconds))
    return GIVES_VALUE


cdef inline int last_difference(Train* s, int64_t j, bint counter, Work* w) noexcept nogil:
    """irate or idelta (not `counter`) of the samples j - 1 and j, into w.sum."""
    cdef View now = member(s, j), before = member(s, j - 1)
    cdef int found
    if s.times[j] == s.times[j - 1]:
        return GIVES_NOTHING
    if not set_value(&w.sum, &now):
        return LACKS_MEMORY
    if counter and (now.hint == GAUGE or before.hint == GAUGE):
        w.said |= SAID_NOT_COUNTER
    if not counter and (now.hint != GAUGE or before.hint != GAUGE):
        w.said |= SAID_NOT_GAUGE
    if not counter or not s.reset[j]:
        found = add_value(&w.sum, &before, True, False, &w.spare)
        if found & NO_MEMORY:
            return LACKS_MEMORY
        if found & INCOMPATIBLE:
            w.said |= SAID_MIXED_SCHEMAS
            return GIVES_NOTHING
        if found & RECONCILED:
            w.said |= SAID_RECONCILED_SUB
    w.sum.hint = GAUGE
    compact_value(&w.sum)
    if counter:
        divide(&w.sum, <double>(s.times[j] - s.times[j - 1]) / 1000)
    return GIVES_VALUE
