"""Encoded series straight to rows of steps: each is decoded into memory that stays in the first cache, and looked at.

The same samples and functions as `_dedup.decode_series` and `_windows.range_rows` or `instant_rows` one after the
other, whose samples of a whole batch would be written to memory and read again.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from pythanos._dedup cimport SeriesDecoder
from pythanos._replicas cimport Samples, release_samples, times, values
from pythanos._window_leaves cimport Windows, newest
from pythanos._windows cimport RangeCall, close_range, fit, open_range, range_row


cdef int _begin(SeriesDecoder decoder, Samples* samples, Py_ssize_t first, Py_ssize_t rows) except -1:
    memset(samples, 0, sizeof(Samples))
    if not decoder.floats_only:
        raise ValueError("series with histograms")
    if first < 0 or first > decoder.count() - rows:
        raise ValueError("columns of different lengths")
    decoder.shape(samples)
    # Windows leave out by themselves what lies outside the range.
    decoder.job.uncut = True
    return 0


cdef bint _next(SeriesDecoder decoder, Py_ssize_t i, Samples* samples) noexcept nogil:
    samples.n = 0
    return decoder.read(i, samples)


def scan_ranges(
    SeriesDecoder decoder not None,
    int function,
    double[:, ::1] out,
    *,
    Py_ssize_t first=0,
    int64_t first_end,
    int64_t end_step,
    int64_t range_ms,
    int64_t eval_start,
    int64_t eval_step,
    const double[::1] first_parameter=None,
    const double[::1] second_parameter=None,
):
    """Fills ``out`` (float64[n, steps]) with a range function; returns (scanned, read). As `_windows.range_rows`.

    The rows are those of the series from number ``first`` on.
    The windows must lie in the range of the decoder: what it would cut off may be looked at elsewhere. Start timestamps
    are not looked at. Raises CorruptData, and ValueError where there are histograms. Runs without the GIL.
    """
    cdef Windows w
    cdef RangeCall call
    cdef Samples samples
    cdef Py_ssize_t i = 0, n = out.shape[0]
    cdef bint fine = True, room = True
    w.steps = out.shape[1]
    w.first_end, w.end_step, w.range_ms = first_end, end_step, range_ms
    w.eval_start, w.eval_step = eval_start, eval_step
    _begin(decoder, &samples, first, n)
    open_range(&call, function, &w, first_parameter, second_parameter)
    with nogil:
        while i < n and w.steps:
            fine = _next(decoder, first + i, &samples)
            room = fine and samples.n < 0x7FFFFFF0 and fit(&call, samples.n)
            if not room:
                break
            range_row(&call, times(&samples), values(&samples), NULL, samples.n, &out[i, 0], NULL)
            i += 1
    release_samples(&samples)
    close_range(&call)
    if not fine:
        raise decoder.error()
    if not room:
        raise MemoryError
    return call.scanned, call.read


def scan_instants(
    SeriesDecoder decoder not None, double[:, ::1] out, *, int64_t first_end, int64_t end_step, int64_t lookback_ms
):
    """Fills ``out`` (float64[series, steps]) with the last samples in ``(end - lookback, end]``; returns how many.

    As `_windows.instant_rows`; the lookbacks must lie in the range of the decoder. Raises CorruptData, and ValueError
    where there are histograms. Runs without the GIL.
    """
    cdef Samples samples
    cdef Py_ssize_t i = 0, n = out.shape[0], steps = out.shape[1]
    cdef int64_t found = 0
    cdef bint fine = True, room = True
    if n != decoder.count():
        raise ValueError("columns of different lengths")
    _begin(decoder, &samples, 0, n)
    with nogil:
        while i < n and steps:
            fine = _next(decoder, i, &samples)
            room = fine and samples.n < 0x7FFFFFF0
            if not room:
                break
            found += newest(
                times(&samples), values(&samples), <int32_t>samples.n, first_end, end_step, steps, lookback_ms,
                &out[i, 0],
            )
            i += 1
    release_samples(&samples)
    if not fine:
        raise decoder.error()
    if not room:
        raise MemoryError
    return found
