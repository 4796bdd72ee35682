"""Rows of references to native histograms: what they count as, and what meets in the groups of an aggregation.

A reference is a row number of HistogramColumns at a series and a step, -1 where there is no histogram.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t

from pythanos._histogram_value cimport CUSTOM
from pythanos._window_leaves cimport absent

cdef enum:
    # What Prometheus takes a histogram for: its own bytes and 8 for each span, bucket and bound, in samples of 16 bytes.
    HISTOGRAM_BYTES = 176
    SAMPLE_BYTES = 16

cdef enum:
    # What a group at a step has met first; both: buckets of the other kind behind it.
    _NOTHING = 0
    _FLOAT = 1
    _EXPONENTIAL = 2
    _CUSTOM = 3
    _BOTH = 4

FLOAT = _FLOAT


cdef object _sizes_of_layouts(layouts):
    """int64[layouts]: the bytes of a histogram of each, without its buckets."""
    parts = np.diff(layouts.span_start) + np.diff(layouts.bound_start)
    return np.ascontiguousarray(HISTOGRAM_BYTES + 8 * parts, np.int64)


cdef inline int64_t _size(int64_t fixed, const int64_t* bucket_start) noexcept nogil:
    return (fixed + 8 * (bucket_start[1] - bucket_start[0])) // SAMPLE_BYTES


cdef int _check_layouts(const int32_t[::1] layout, const int64_t[::1] bucket_start, int64_t layouts) except -1:
    cdef int64_t i
    cdef bint bad = bucket_start.shape[0] != layout.shape[0] + 1
    for i in range(layout.shape[0]):
        bad |= not 0 <= layout[i] < layouts
    if bad:
        raise IndexError("layout out of range")
    return 0


def sample_sizes(columns):
    """int64[h]: as how many float samples each histogram counts."""
    cdef const int32_t[::1] layout = columns.layout
    cdef const int64_t[::1] bucket_start = columns.bucket_start, fixed = _sizes_of_layouts(columns.layouts)
    cdef int64_t i, h = layout.shape[0]
    _check_layouts(layout, bucket_start, fixed.shape[0])
    sizes = np.empty(h, np.int64)
    cdef int64_t[::1] out = sizes
    with nogil:
        for i in range(h):
            out[i] = _size(fixed[layout[i]], &bucket_start[i])
    return sizes


def points(const int64_t[:, ::1] row, columns):
    """As how many float samples all histograms that are referred to count. Raises IndexError for a row out of range."""
    cdef const int32_t[::1] layout = columns.layout
    cdef const int64_t[::1] bucket_start = columns.bucket_start, fixed = _sizes_of_layouts(columns.layouts)
    cdef int64_t i, k, found = 0
    cdef bint bad = False
    _check_layouts(layout, bucket_start, fixed.shape[0])
    with nogil:
        for i in range(row.shape[0]):
            for k in range(row.shape[1]):
                if row[i, k] >= layout.shape[0]:
                    bad = True
                elif row[i, k] >= 0:
                    found += _size(fixed[layout[row[i, k]]], &bucket_start[row[i, k]])
    if bad:
        raise IndexError("row out of range")
    return found


cdef int _check_meeting(
    const double[:, ::1] values, const int64_t[:, ::1] row, const int64_t[::1] group, const uint8_t[:, ::1] floats,
    const uint8_t[:, ::1] first, const uint8_t[:, ::1] met,
) except -1:
    cdef int64_t i, groups = min(floats.shape[0], first.shape[0], met.shape[0]), steps = values.shape[1]
    if row is not None and (row.shape[0] != values.shape[0] or row.shape[1] != steps):
        raise ValueError("columns of different lengths")
    if group.shape[0] != values.shape[0] or not steps == floats.shape[1] == first.shape[1] == met.shape[1]:
        raise ValueError("columns of different lengths")
    for i in range(group.shape[0]):
        if not 0 <= group[i] < groups:
            raise IndexError("group out of range")
    return 0


def meet(
    const double[:, ::1] values, const int64_t[:, ::1] row, columns, const int64_t[::1] group,
    const uint8_t[:, ::1] floats, uint8_t[:, ::1] first, uint8_t[:, ::1] met,
):
    """What the samples of a block meet in their groups, series by series.

    values float64[n, steps], row int64[n, steps] and columns (both None where no histogram is): the block; group
    int64[n]; floats [groups, steps]: where floats were before the block. Written to: first [groups, steps], FLOAT where
    a float came first; met: where a histogram came. Returns (bool[n], bool): which series were the first to bring the
    other kind of buckets into a group, and whether histograms came to where a float had come first.
    """
    cdef const int32_t[::1] layout, schema
    cdef int64_t i, k, g, h = 0
    cdef uint8_t kind
    cdef bint behind = False, bad = False
    _check_meeting(values, row, group, floats, first, met)
    if row is not None:
        layout, schema = columns.layout, columns.layouts.schema
        _check_layouts(layout, columns.bucket_start, schema.shape[0])
        h = layout.shape[0]
    clashes = np.zeros(values.shape[0], np.bool_)
    cdef uint8_t[::1] clash = clashes.view(np.uint8)
    with nogil:
        for i in range(values.shape[0]):
            g = group[i]
            for k in range(values.shape[1]):
                kind = _NOTHING
                if row is not None and row[i, k] >= 0:
                    if row[i, k] >= h:
                        bad = True
                        break
                    kind = _CUSTOM if schema[layout[row[i, k]]] == CUSTOM else _EXPONENTIAL
                    met[g, k] = True
                elif not absent(values[i, k]):
                    kind = _FLOAT
                if first[g, k] == _NOTHING:
                    first[g, k] = _FLOAT if floats[g, k] else kind
                if kind >= _EXPONENTIAL and first[g, k] != kind:
                    if first[g, k] == _FLOAT:
                        behind = True
                    elif first[g, k] != _BOTH:
                        first[g, k] = _BOTH
                        clash[i] = True
    if bad:
        raise IndexError("row out of range")
    return clashes, behind
