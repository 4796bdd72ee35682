"""Bounds of the buckets of native histograms."""

import numpy as np

from libc.stdint cimport int32_t

cdef extern from "_bounds.h" nogil:
    double exponential_bound "pythanos_exponential_bound"(int32_t index, int32_t schema) noexcept


def upper_bounds(const int32_t[::1] index, int32_t schema):
    """float64[n]: where buckets of an exponential schema (-4..8) end; +Inf beyond the largest float."""
    cdef Py_ssize_t i, n = index.shape[0]
    out = np.empty(n)
    cdef double[::1] view = out
    if not -4 <= schema <= 8:
        raise ValueError(f"schema {schema} has no bucket bounds")
    with nogil:
        for i in range(n):
            view[i] = exponential_bound(index[i], schema)
    return out
