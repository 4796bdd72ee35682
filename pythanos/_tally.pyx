# cython: language_level=3
"""The numbers behind metrics that change many times a second: a counter or gauge, and a histogram.

Each method runs from its begin to its end without giving up the interpreter, so no other thread sees half of a change
and no lock is needed: a change costs some tens of nanoseconds.
"""

from libc.stdint cimport int64_t

import numpy as np


cdef class Number:
    """A counter or a gauge. As a context manager it counts what is under way."""

    cdef double value

    def inc(self, double amount=1.0):
        self.value += amount

    def dec(self, double amount=1.0):
        self.value -= amount

    def set(self, double value):
        self.value = value

    def get(self):
        return self.value

    def __enter__(self):
        self.value += 1

    def __exit__(self, *error):
        self.value -= 1


cdef class Tally:
    """One histogram: how many values fell into each bucket, and their sum."""

    cdef double[::1] edges
    cdef int64_t[::1] counts
    cdef double sum

    def __cinit__(self, edges):
        """``edges``: the upper edges of the buckets, rising, without +Inf."""
        self.edges = np.array(edges, np.float64)
        self.counts = np.zeros(len(edges) + 1, np.int64)

    def observe(self, double value):
        self._add(value)

    def observe_all(self, values):
        """Counts every value of a column, int64."""
        cdef const int64_t[::1] column = values
        cdef Py_ssize_t i
        for i in range(column.shape[0]):
            self._add(<double> column[i])

    def taken(self):
        """(counts by bucket, the one above all edges last; sum of the values)."""
        return np.asarray(self.counts).tolist(), self.sum

    cdef void _add(self, double value) noexcept:
        cdef Py_ssize_t low = 0, high = self.edges.shape[0], middle
        while low < high:
            middle = (low + high) // 2
            # Other than `<` this puts NaN above all edges, as Prometheus' clients do.
            if not value <= self.edges[middle]:
                low = middle + 1
            else:
                high = middle
        self.counts[low] += 1
        self.sum += value


def observe_counts(list tallies, dict counts):
    """Observes in each tally of (name, tally) what ``counts`` has under the name, 0 where it has none."""
    for name, tally in tallies:
        (<Tally?> tally)._add(counts.get(name, 0))
