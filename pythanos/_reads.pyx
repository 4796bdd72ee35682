"""Byte ranges of objects: joined into reads, cut into slices that make one job each, found from references.

One pass each over columns of ranges, for the millions of them that a large select has.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint64_t


cdef bint rises(const int64_t[::1] values) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(1, values.shape[0]):
        if values[i] < values[i - 1]:
            return False
    return True


def rising(const int64_t[::1] values) -> bool:
    """Whether no value is less than the one before it."""
    return rises(values)


def joined(const int64_t[::1] start, const int64_t[::1] end, int64_t gap_bytes_max):
    """``(read_start, read_end, first, read)``: p reads that cover the n ranges ``[start[i], end[i])``, sorted by start.

    A read ends where the next range begins more than ``gap_bytes_max`` after everything before it. read_start, read_end:
    int64[p]; first: int64[p + 1], read k covers ranges [first[k], first[k + 1]); read: int32[n], the read of each range.
    Raises ValueError for columns of different lengths.
    """
    cdef Py_ssize_t n = start.shape[0], i, p = 0
    if end.shape[0] != n:
        raise ValueError("columns of different lengths")
    bounds = np.empty((3, n + 1), np.int64)
    number = np.empty(n, np.int32)
    cdef int64_t[:, ::1] found = bounds
    cdef int32_t[::1] read = number
    cdef int64_t reach = 0
    with nogil:
        for i in range(n):
            if i == 0 or start[i] - reach > gap_bytes_max:
                found[0, p], found[2, p] = start[i], i
                reach = end[i]
                p += 1
            elif end[i] > reach:
                reach = end[i]
            found[1, p - 1] = reach
            read[i] = <int32_t>(p - 1)
        found[2, p] = n
    return bounds[0, :p], bounds[1, :p], bounds[2, : p + 1], number


def cut_rising(
    const int64_t[::1] start, const int64_t[::1] end, Py_ssize_t items_max, int64_t bytes_max, Py_ssize_t reads_max,
    int64_t gap_bytes_max,
):
    """Slices ``(first, last + 1, bytes)`` of n ranges as a list; None where their starts do not rise.

    A slice has at most ``items_max`` ranges, and takes at most ``reads_max`` reads and ``bytes_max`` bytes, gaps that a
    read spans included; a single range may take more. Raises ValueError for columns of different lengths.
    """
    cdef Py_ssize_t n = start.shape[0], i, at = 0, reads = 1, apart
    cdef int64_t reach, cost, taken
    if end.shape[0] != n:
        raise ValueError("columns of different lengths")
    if not rises(start):
        return None
    slices = []
    if n == 0:
        return slices
    reach, taken = end[0], end[0] - start[0]
    for i in range(1, n):
        # A near range costs what it adds to the read that it joins; a far one, or the first of a slice, a read of its own.
        apart = start[i] - reach > gap_bytes_max
        cost = end[i] - start[i] if apart else max(end[i] - reach, <int64_t>0)
        if i - at >= items_max or taken + cost > bytes_max or reads + apart > reads_max:
            slices.append((at, i, taken))
            at, reads, taken = i, 1, end[i] - start[i]
        else:
            reads += apart
            taken += cost
        reach = max(reach, end[i])
    slices.append((at, n, taken))
    return slices


def chunk_places(const uint64_t[::1] refs, int step_bits, Py_ssize_t segments):
    """Chunk references (segment number, then 32 bits of offset) as int64 places in one line of all segments, each
    ``1 << step_bits`` long. Raises IndexError with the number of a segment that is not among ``segments``.
    """
    cdef Py_ssize_t i, n = refs.shape[0]
    cdef uint64_t segment = 0
    places = np.empty(n, np.int64)
    cdef int64_t[::1] out = places
    with nogil:
        for i in range(n):
            segment = refs[i] >> 32
            if segment >= <uint64_t>segments:
                break
            out[i] = <int64_t>((segment << step_bits) + (refs[i] & 0xFFFFFFFFULL))
    if n and segment >= <uint64_t>segments:
        raise IndexError(segment)
    return places


def series_spans(const int64_t[::1] place, const int64_t[::1] chunk_start, int64_t size):
    """``(start, end)``: int64[n] each, what reading all chunks of one series takes, from its first to its last.

    place: int64[m], where each chunk is; chunk_start: int64[n + 1], each series having at least one; size: of a chunk, as
    far as is known. Raises ValueError where chunk_start points beyond the chunks.
    """
    cdef Py_ssize_t n = chunk_start.shape[0] - 1, i
    spans = np.empty((2, n), np.int64)
    cdef int64_t[:, ::1] out = spans
    cdef int64_t first, last
    for i in range(n):
        first, last = chunk_start[i], chunk_start[i + 1] - 1
        if not 0 <= first <= last < place.shape[0]:
            raise ValueError("series without a chunk, or with one that is not there")
        out[0, i] = place[first]
        out[1, i] = max(place[first], place[last]) + size
    return spans[0], spans[1]


def inside(const int64_t[::1] place, const int32_t[::1] part, const int64_t[::1] part_start):
    """int64[n]: how far each place lies inside of its part. Raises ValueError for a part that is not there."""
    cdef Py_ssize_t i, n = place.shape[0]
    if part.shape[0] != n:
        raise ValueError("columns of different lengths")
    found = np.empty(n, np.int64)
    cdef int64_t[::1] out = found
    for i in range(n):
        if not 0 <= part[i] < part_start.shape[0]:
            raise ValueError("part that is not there")
        out[i] = place[i] - part_start[part[i]]
    return found


def row_sums(const int32_t[::1] values, const int64_t[::1] row_start):
    """int64[n]: the sum of each row's values, row i being values[row_start[i]:row_start[i + 1]].

    Raises ValueError where row_start points beyond the values.
    """
    cdef Py_ssize_t n = row_start.shape[0] - 1, i, k
    sums = np.empty(n, np.int64)
    cdef int64_t[::1] out = sums
    cdef int64_t total
    for i in range(n):
        if not 0 <= row_start[i] <= row_start[i + 1] <= values.shape[0]:
            raise ValueError("row outside of the values")
        total = 0
        for k in range(row_start[i], row_start[i + 1]):
            total += values[k]
        out[i] = total
    return sums
