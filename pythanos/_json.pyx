"""Prints query results as Prometheus' JSON, in pieces, with the GIL released.

Design: (1) Every leaf writes at `out` and returns the new end, after the loop made sure of room in the piece. (2)
`Results` holds the columns as raw pointers and how far printing has come: the row, the part of the row, the point in
that part. `fill` prints until the piece is full or the rows are exhausted, so that a matrix of any size needs one piece
of memory. (3) A point is a copy of the timestamp's text, which a step matrix formats once per step, and the value's
digits from `_digits.h` (`_json_points.pxd`). (4) Label sets are printed from label blocks; only their escaping looks at
each byte (`_json_text.pxd`). The layout is that of Prometheus' web/api/v1/json_codec.go.
"""

from cpython.ref cimport Py_DECREF, PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memmove

import numpy as np

from pythanos._histogram_table cimport HistogramTable, Table
from pythanos._json_histogram cimport write_histogram
from pythanos._json_points cimport POINT, STAMP, Floats, absent, put_stamp, write_samples, write_steps
from pythanos._json_text cimport put, write_labels, write_stamp
from pythanos._label_rows cimport LabelRows

from pythanos.errors import CorruptData
from pythanos.model.histogram import CUSTOM_BUCKETS_SCHEMA

cdef extern from "Python.h":
    PyObject* PyBytes_FromStringAndSize(const char*, Py_ssize_t) except NULL
    char* PyBytes_AS_STRING(PyObject*)
    int _PyBytes_Resize(PyObject**, Py_ssize_t) except -1

cdef extern from "_digits.h" nogil:
    int PYTHANOS_POWER_MIN
    int PYTHANOS_POWER_MAX
    void pythanos_set_power(int k, uint64_t high, uint64_t low) noexcept
    char* pythanos_write_double(char* out, double value) noexcept

cdef extern from "_bounds.h" nogil:
    double pythanos_exponential_bound(int32_t index, int32_t schema) noexcept

# The size of a piece; the last one of an answer is shorter.
PIECE_BYTES = 256 * 1024

cdef enum:
    # Room for one bucket of a histogram, with what the leaves may touch beyond.
    BUCKET = 192
    # Room for everything of a row but its labels and points.
    ROW = 256

cdef enum Part:
    LABELS, FLOATS, HISTOGRAMS, CLOSE

cdef uint64_t STALE_BITS = 0x7FF0000000000002ULL


cdef struct Progress:
    Py_ssize_t row
    Part part
    # The next column of a step matrix, the next sample or the next histogram of the row.
    int64_t next
    # Whether this array of points was opened, the whole array, whether it has a row, whether it is complete.
    bint opened
    bint begun
    bint any_row
    bint done
    # Bytes wanted at once, where a piece has to be larger than usual; -1 where a label block is malformed.
    Py_ssize_t wanted


# Series i has the points [start[i], start[i + 1]); point p is at timestamps[p] and shows row[p] of the table.
cdef struct HistogramPoints:
    const int64_t* start
    const int64_t* timestamps
    const int64_t* row


cdef class Results:
    """Rows of a vector or a matrix being printed; made by the functions below, iterated to its end once."""

    cdef LabelRows labels
    cdef Floats floats
    cdef HistogramPoints points
    cdef const Table* table
    cdef bint has_histograms
    cdef bint vector
    cdef Progress progress
    cdef Py_ssize_t piece_bytes
    cdef list kept

    def __iter__(self):
        return self

    def __next__(self):
        cdef PyObject* piece
        cdef char* start
        cdef char* end
        cdef Py_ssize_t size = self.piece_bytes
        if self.progress.done:
            raise StopIteration
        if self.progress.wanted + 2 > size:
            size = self.progress.wanted + 2
        self.progress.wanted = 0
        piece = PyBytes_FromStringAndSize(NULL, size)
        start = PyBytes_AS_STRING(piece)
        with nogil:
            end = self.fill(start, start + size)
        # Shortened in place: a slice would be a copy into memory that the system has to find first.
        _PyBytes_Resize(&piece, end - start)
        text = <object>piece
        Py_DECREF(text)
        if self.progress.wanted < 0:
            raise CorruptData("result", self.progress.row, "malformed label block")
        return text

    cdef char* fill(self, char* out, char* end) noexcept nogil:
        """Prints into [out, end) until the next item might not fit."""
        cdef Progress* p = &self.progress
        cdef Py_ssize_t rows = self.labels.rows.count
        if not p.begun:
            out[0] = c"["
            out += 1
            p.begun = True
            self.skip_empty()
        while p.row < rows:
            if p.part == LABELS:
                out = self.row_start(out, end)
            elif p.part == FLOATS:
                out = self.row_floats(out, end)
            elif p.part == HISTOGRAMS:
                out = self.row_histograms(out, end)
            else:
                out = self.row_end(out, end)
            if p.wanted:
                return out
        if end - out < 2:
            p.wanted = 2
            return out
        out[0] = c"]"
        p.done = True
        return out + 1

    cdef void skip_empty(self) noexcept nogil:
        """Moves to the next row that has a point; a series without any is no part of an answer."""
        cdef Progress* p = &self.progress
        cdef const double* values
        cdef Py_ssize_t step
        while p.row < self.labels.rows.count:
            if self.has_histograms and self.points.start[p.row + 1] > self.points.start[p.row]:
                return
            if self.floats.start == NULL:
                values = self.floats.values + p.row * self.floats.steps
                for step in range(self.floats.steps):
                    if not absent(values[step]):
                        return
            elif self.floats.start[p.row + 1] > self.floats.start[p.row]:
                return
            p.row += 1

    cdef bint lacks(self, char* out, char* end, Py_ssize_t size) noexcept nogil:
        """Whether fewer than `size` bytes are left; then the piece ends here."""
        if end - out >= size:
            return False
        self.progress.wanted = size
        return True

    cdef char* row_start(self, char* out, char* end) noexcept nogil:
        cdef Progress* p = &self.progress
        cdef Py_ssize_t size = self.labels.rows.length[p.row]
        cdef const uint8_t* block = self.labels.rows.arena + self.labels.rows.offset[p.row]
        cdef char* after
        if self.lacks(out, end, ROW + 6 * size):
            return out
        if p.any_row:
            out = put(out, b",", 1)
        out = put(out, b'{"metric":', 10)
        after = write_labels(out, block, size)
        if after == NULL:
            p.wanted = -1
            return out
        p.any_row = True
        p.part = FLOATS
        p.opened = False
        p.next = 0 if self.floats.start == NULL else self.floats.start[p.row]
        return after

    cdef char* row_floats(self, char* out, char* end) noexcept nogil:
        """The float points of the row, a bracket in place of the first one's comma."""
        cdef Progress* p = &self.progress
        cdef char* first = out
        cdef char* after
        cdef int64_t last = self.floats.steps if self.floats.start == NULL else self.floats.start[p.row + 1]
        if self.lacks(out, end, POINT + ROW):
            return out
        if not p.opened:
            first = put(out, b',"value":' if self.vector else b',"values":', 9 if self.vector else 10)
        if self.floats.start == NULL:
            after = write_steps(first, end - ROW, &self.floats, p.row, &p.next)
        else:
            after = write_samples(first, end - ROW, &self.floats, last, &p.next)
        if after != first:
            if not p.opened and self.vector:
                memmove(first, first + 1, after - first - 1)
                after -= 1
            elif not p.opened:
                first[0] = c"["
            p.opened = True
            out = after
        if p.next < last:
            p.wanted = POINT + ROW
            return out
        if p.opened and not self.vector:
            out = put(out, b"]", 1)
        p.part = HISTOGRAMS
        p.opened = False
        p.next = self.points.start[p.row] if self.has_histograms else 0
        return out

    cdef char* row_histograms(self, char* out, char* end) noexcept nogil:
        """The histogram points of the row; a vector has at most one, and only where it has no float."""
        cdef Progress* p = &self.progress
        cdef const HistogramPoints* h = &self.points
        cdef const Table* t = self.table
        cdef int64_t last = h.start[p.row + 1] if self.has_histograms else 0
        cdef int64_t row
        while p.next < last:
            row = h.row[p.next]
            if self.lacks(out, end, ROW + POINT + BUCKET * (3 + t.bucket_start[row + 1] - t.bucket_start[row])):
                return out
            if not p.opened:
                out = put(out, b',"histogram":' if self.vector else b',"histograms":[', 13 if self.vector else 15)
                p.opened = True
            elif not self.vector:
                out = put(out, b",", 1)
            out = put(out, b"[", 1)
            out = put(write_stamp(out, h.timestamps[p.next]), b",", 1)
            out = put(write_histogram(out, t, row), b"]", 1)
            p.next += 1
        if self.lacks(out, end, ROW):
            return out
        if p.opened and not self.vector:
            out = put(out, b"]", 1)
        p.part = CLOSE
        return out

    cdef char* row_end(self, char* out, char* end) noexcept nogil:
        cdef Progress* p = &self.progress
        if self.lacks(out, end, ROW):
            return out
        out[0] = c"}"
        p.row += 1
        p.part = LABELS
        self.skip_empty()
        return out + 1


cdef const int64_t[::1] int64_column(object column, Py_ssize_t size):
    cdef const int64_t[::1] view = np.ascontiguousarray(column, dtype=np.int64)
    if view.shape[0] < size:
        raise ValueError("a column is shorter than the rows it describes")
    return view


cdef const double[::1] double_column(object column, Py_ssize_t size):
    cdef const double[::1] view = np.ascontiguousarray(column, dtype=np.float64)
    if view.shape[0] < size:
        raise ValueError("a column is shorter than the rows it describes")
    return view


cdef const int64_t[::1] start_column(object column, Py_ssize_t rows, Py_ssize_t items):
    """Offsets of `rows` rows into `items` items: rising, inside."""
    cdef const int64_t[::1] view = int64_column(column, rows + 1)
    cdef Py_ssize_t i
    cdef int64_t before = 0
    for i in range(rows + 1):
        if view[i] < before or view[i] > items:
            raise ValueError("row offsets are not rising or reach outside the column")
        before = view[i]
    return view


cdef set_histograms(Results results, object points, Py_ssize_t series):
    """Borrows histogram points and the columns they refer to; checks what the loop relies on."""
    cdef HistogramTable held = HistogramTable(points.columns)
    cdef Py_ssize_t shown = len(points.row), i
    for schema in points.columns.layouts.schema.tolist() if shown else ():
        if schema != CUSTOM_BUCKETS_SCHEMA and not -4 <= schema <= 8:
            raise ValueError(f"histogram schema {schema} has no bucket bounds")
    results.points.start = held.keep_start(points.start, series, shown)
    results.points.row = <const int64_t*>held.keep(points.row, np.int64, shown)
    results.points.timestamps = <const int64_t*>held.keep(points.timestamps, np.int64, shown)
    for i in range(shown):
        if not 0 <= results.points.row[i] < held.rows:
            raise ValueError("a histogram point refers to no row")
    results.has_histograms = shown > 0
    results.table = &held.table
    results.kept.append(held)


cdef Results new_results(object labels, object histograms, Py_ssize_t piece_bytes):
    cdef Results results = Results.__new__(Results)
    results.labels = LabelRows(labels)
    results.piece_bytes = max(piece_bytes, 2 * ROW)
    results.kept = []
    if histograms is not None:
        set_histograms(results, histograms, len(labels))
    return results


def print_matrix(labels, values, int64_t start_ms, int64_t step_ms, histograms=None, *, piece_bytes=PIECE_BYTES):
    """The JSON array of a range result whose points lie on steps.

    labels: LabelColumn of n; values: float64[n, steps], absent points as the staleness marker's bits; column j is the
    time start_ms + j * step_ms. histograms: None, or an object with ``columns`` (HistogramColumns), start: int64[n + 1],
    row: int64[points] and timestamps: int64[points] ms: series i shows row[p] of the columns for each of its points p.
    Series without any point are left out. Returns an iterator of bytes of about ``piece_bytes`` each, which borrows the
    arrays until it is exhausted.
    Raises CorruptData for a malformed label block, ValueError for columns that do not fit together.
    """
    cdef Results results = new_results(labels, histograms, piece_bytes)
    cdef const double[:, ::1] matrix = np.ascontiguousarray(values, dtype=np.float64)
    cdef Py_ssize_t steps = matrix.shape[1]
    cdef bytearray stamps = bytearray(steps * STAMP)
    cdef char* cell = stamps
    cdef Py_ssize_t i
    if matrix.shape[0] != len(labels):
        raise ValueError("a matrix needs one row per label set")
    for i in range(steps):
        put_stamp(cell, start_ms + i * step_ms)
        cell += STAMP
    results.floats.values = &matrix[0, 0] if matrix.shape[0] and steps else NULL
    results.floats.stamps = stamps
    results.floats.steps = steps
    results.kept += [matrix, stamps]
    return results


def print_samples(labels, start, timestamps, values, histograms=None, *, piece_bytes=PIECE_BYTES):
    """The JSON array of a range result with points at any time (an instant query of a range selector).

    start: int64[n + 1], series i owns points [start[i], start[i + 1]); timestamps: int64[rows] ms; values: float64[rows].
    Everything else as ``print_matrix``.
    """
    cdef Results results = new_results(labels, histograms, piece_bytes)
    set_samples(results, labels, start, timestamps, values)
    return results


def print_vector(labels, values, timestamps, histograms=None, *, piece_bytes=PIECE_BYTES):
    """The JSON array of an instant vector.

    values: float64[n]; timestamps: int64[n] ms; a series has at most one histogram point, and then its value is absent
    (the staleness marker's bits). Else as ``print_matrix``.
    """
    cdef Results results = new_results(labels, histograms, piece_bytes)
    array = np.ascontiguousarray(values, dtype=np.float64)
    present = array.view(np.uint64) != np.uint64(STALE_BITS)
    start = np.zeros(len(array) + 1, np.int64)
    np.cumsum(present, out=start[1:])
    results.vector = True
    set_samples(results, labels, start, np.asarray(timestamps, np.int64)[present], array[present])
    return results


cdef set_samples(Results results, object labels, object start, object timestamps, object values):
    cdef Py_ssize_t count = len(values)
    cdef const int64_t[::1] starts = start_column(start, len(labels), count)
    cdef const int64_t[::1] times = int64_column(timestamps, count)
    cdef const double[::1] numbers = double_column(values, count)
    results.floats.start = &starts[0]
    results.floats.timestamps = &times[0] if count else NULL
    results.floats.values = &numbers[0] if count else NULL
    results.kept += [starts, times, numbers]


def print_labels(labels, *, piece_bytes=PIECE_BYTES):
    """The JSON array of the label sets of a LabelColumn, as pieces of bytes. Raises CorruptData."""
    cdef LabelRows rows = LabelRows(labels)
    cdef Py_ssize_t row = 0, count = rows.rows.count, size
    cdef bytearray piece
    cdef char* start
    cdef char* out
    cdef char* end
    while True:
        size = max(piece_bytes, 6 * rows.rows.length[row] + ROW if row < count else ROW)
        piece = bytearray(size)
        start = piece
        out = start
        if row == 0:
            out = put(out, b"[", 1)
        with nogil:
            end = start + size
            while row < count and end - out >= 6 * rows.rows.length[row] + ROW:
                if row:
                    out = put(out, b",", 1)
                out = write_labels(out, rows.rows.arena + rows.rows.offset[row], rows.rows.length[row])
                if out == NULL:
                    break
                row += 1
        if out == NULL:
            raise CorruptData("result", row, "malformed label block")
        if row == count and end - out >= 1:
            out = put(out, b"]", 1)
            yield bytes(memoryview(piece)[: out - start])
            return
        yield bytes(memoryview(piece)[: out - start])


def format_double(double value) -> str:
    """The text of one sample value: Go's shortest 'f' form, 'e' below 1e-6 and from 1e21, NaN, +Inf, -Inf."""
    cdef char buffer[128]
    cdef char* end = pythanos_write_double(buffer, value)
    return buffer[: end - buffer].decode("ascii")


def format_timestamp(int64_t ms) -> str:
    """The text of a timestamp: seconds, with three decimals unless they are zero."""
    cdef char buffer[128]
    cdef char* end = write_stamp(buffer, ms)
    return buffer[: end - buffer].decode("ascii")


def exponential_bound(int32_t index, int32_t schema) -> float:
    """The upper bound of a bucket of a native histogram with an exponential schema, -4..8."""
    return pythanos_exponential_bound(index, schema)


cdef fill_powers():
    """ceil(10^k / 2^r) of 128 bits each, from exact integers."""
    for k in range(PYTHANOS_POWER_MIN, PYTHANOS_POWER_MAX + 1):
        if k >= 0:
            number = 10**k
            shift = number.bit_length() - 128
            power = -(-number >> shift) if shift > 0 else number << -shift
        else:
            divisor = 10**-k
            # 10^k * 2^s has 128 bits for this s, or 127 for one less.
            shift = divisor.bit_length() + 127
            power = -(-(1 << shift) // divisor)
            if power.bit_length() > 128:
                power = -(-(1 << (shift - 1)) // divisor)
        pythanos_set_power(k, power >> 64, power & 0xFFFFFFFFFFFFFFFF)


fill_powers()
