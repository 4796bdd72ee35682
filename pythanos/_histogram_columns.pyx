"""Histogram columns into kernels and out of them."""

# Design: a reader writes the bucket numbers of the layouts out once, so that a row is a few pointers; a sink appends to
# growing arrays and interns layouts by their bytes: header, numbers, bounds.

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from pythanos._arena cimport append, intern_bytes, release, release_interner, reserve, seal
from pythanos._hash cimport xxh64
from pythanos._histogram_value cimport CUSTOM, GAUGE, Buckets, Value, View, exponential_bound, view_of

from pythanos.errors import CorruptData
from pythanos.model.histogram import HistogramColumns, HistogramLayouts

cdef struct LayoutKey:
    double zero_threshold
    int32_t schema
    int32_t positive
    int32_t negative
    int32_t bounds


cdef int64_t _write_numbers(
    const int64_t[::1] span_start, const int64_t[::1] negative_start, const int32_t[::1] offset,
    const uint32_t[::1] length, const int64_t[::1] index_start, int32_t[::1] index,
) noexcept nogil:
    """The bucket numbers of all layouts; -1, or a layout whose spans do not rise or do not fit."""
    cdef int64_t layout, span, at, number, k, layouts = negative_start.shape[0]
    for layout in range(layouts):
        if not span_start[layout] <= negative_start[layout] <= span_start[layout + 1]:
            return layout
        at = index_start[layout]
        number = 0
        for span in range(span_start[layout], span_start[layout + 1]):
            if span == negative_start[layout]:
                number = 0
            elif offset[span] < 0 and span > span_start[layout]:
                return layout
            number += offset[span]
            if number < -0x7FFFFFFF or number + length[span] > 0x7FFFFFFF or at + length[span] > index_start[layout + 1]:
                return layout
            for k in range(length[span]):
                index[at] = <int32_t>(number + k)
                at += 1
            number += length[span]
        if at != index_start[layout + 1]:
            return layout
    return -1


cdef bint _rows_fit(
    const int32_t[::1] layout, const int64_t[::1] bucket_start, const int64_t[::1] index_start, int64_t buckets
) noexcept nogil:
    """Whether every row has a layout and no more buckets than that or than there are."""
    cdef int64_t row, total
    for row in range(layout.shape[0]):
        if not 0 <= layout[row] < index_start.shape[0] - 1:
            return False
        total = bucket_start[row + 1] - bucket_start[row]
        if total < 0 or bucket_start[row] < 0 or bucket_start[row + 1] > buckets:
            return False
        if total > index_start[layout[row] + 1] - index_start[layout[row]]:
            return False
    return True


cdef void _find_clear(const Rows* r, uint8_t[::1] clear) noexcept nogil:
    """Which layouts have no bucket that ends in the zero bucket: of a side, the first ends lowest."""
    cdef int64_t i, first, middle, end
    cdef double threshold
    for i in range(clear.shape[0]):
        first, end, threshold = r.index_start[i], r.index_start[i + 1], r.zero_threshold[i]
        middle = first + r.positive[i]
        # Finer ones than PromQL knows have no bounds; their rows are reduced before anything is asked of them.
        clear[i] = r.schema[i] <= 8 and first <= middle <= end and (
            r.schema[i] == CUSTOM or not threshold > 0 or (
                (first == middle or exponential_bound(r.index[first], r.schema[i]) > threshold)
                and (middle == end or exponential_bound(r.index[middle], r.schema[i]) > threshold)
            )
        )


cdef class HistogramReader:
    def __init__(self, columns, *, bint any_schema=False):
        """Raises CorruptData for columns that contradict themselves, or whose schemas PromQL does not know."""
        layouts = columns.layouts
        schema = layouts.schema
        known = (schema == CUSTOM) | ((schema >= -4) & (schema <= (52 if any_schema else 8)))
        if not known.all():
            raise CorruptData("native histogram", 0, "unknown schema")
        index_start = np.zeros(len(layouts) + 1, np.int64)
        np.cumsum(layouts.positive_buckets + layouts.negative_buckets, out=index_start[1:])
        index = np.empty(int(index_start[len(layouts)]), np.int32)
        # Casts only where the layers above made other arrays; otherwise these are views.
        arrays = [
            np.ascontiguousarray(array, dtype)
            for array, dtype in (
                (columns.count, np.float64), (columns.zero_count, np.float64), (columns.sum, np.float64),
                (columns.reset_hint, np.uint8), (columns.layout, np.int32), (columns.bucket_start, np.int64),
                (columns.buckets, np.float64), (schema, np.int32), (layouts.zero_threshold, np.float64),
                (layouts.bound_start, np.int64), (layouts.bounds, np.float64), (layouts.positive_buckets, np.int64),
                (index_start, np.int64), (index, np.int32), (np.empty(len(layouts), np.uint8), np.uint8),
            )
        ]
        cdef int64_t size = len(columns)
        if min(len(arrays[i]) for i in range(5)) < size or len(arrays[5]) <= size:
            raise ValueError("columns of different lengths")
        if _write_numbers(
            layouts.span_start, layouts.negative_start, layouts.span_offset, layouts.span_length, index_start, index
        ) >= 0 or not _rows_fit(arrays[4][:size], arrays[5], index_start, len(arrays[6])):
            raise CorruptData("native histogram", 0, "spans and buckets do not fit")
        self.held = arrays
        self._point(size)
        _find_clear(&self.rows, arrays[14])

    cdef int check(self, const int64_t[::1] rows) except -1:
        """Raises IndexError unless each number is a row's."""
        cdef int64_t i
        cdef bint bad = False
        for i in range(rows.shape[0]):
            bad |= not 0 <= rows[i] < self.rows.size
        if bad:
            raise IndexError("row out of range")
        return 0

    cdef void _point(self, int64_t size) except *:
        cdef Rows* r = &self.rows
        r.size = size
        r.count, r.zero_count = <const double*>_at(self.held[0]), <const double*>_at(self.held[1])
        r.sum = <const double*>_at(self.held[2])
        r.hint, r.layout = <const uint8_t*>_at(self.held[3]), <const int32_t*>_at(self.held[4])
        r.bucket_start, r.buckets = <const int64_t*>_at(self.held[5]), <const double*>_at(self.held[6])
        r.schema, r.zero_threshold = <const int32_t*>_at(self.held[7]), <const double*>_at(self.held[8])
        r.bound_start, r.bounds = <const int64_t*>_at(self.held[9]), <const double*>_at(self.held[10])
        r.positive = <const int64_t*>_at(self.held[11])
        r.index_start, r.index = <const int64_t*>_at(self.held[12]), <const int32_t*>_at(self.held[13])
        r.clear = <const uint8_t*>_at(self.held[14])


cdef const void* _at(array) except? NULL:
    """Where the data of an array begins; something that is not NULL for an empty one, too."""
    cdef const uint8_t[::1] raw = array.view(np.uint8)
    return &raw[0] if raw.shape[0] else <const void*>&_EMPTY


cdef double _EMPTY = 0


cdef int64_t _layout_of(
    Sink* sink, const View* v, const int32_t* positive, int64_t ups, const int32_t* negative, int64_t downs
) noexcept nogil:
    """The number of the layout of v with these buckets; -1 where memory is short."""
    cdef LayoutKey key
    cdef int64_t size = sizeof(key) + v.bound_count * 8 + (ups + downs) * 4
    cdef uint8_t* at
    sink.key.size = 0
    if not reserve(&sink.key, size):
        return -1
    memset(&key, 0, sizeof(key))
    key.zero_threshold, key.schema = v.zero_threshold, v.schema
    key.positive, key.negative, key.bounds = <int32_t>ups, <int32_t>downs, <int32_t>v.bound_count
    at = sink.key.data
    memcpy(at, &key, sizeof(key))
    at += sizeof(key)
    # Empty parts may have no address.
    if v.bound_count:
        memcpy(at, v.bounds, v.bound_count * 8)
        at += v.bound_count * 8
    if ups:
        memcpy(at, positive, ups * 4)
        at += ups * 4
    if downs:
        memcpy(at, negative, downs * 4)
    if sink.layouts.count and sink.layouts.length[sink.last] == size and (
        memcmp(sink.layouts.bytes.data + sink.layouts.offset[sink.last], sink.key.data, size) == 0
    ):
        return sink.last
    sink.last = intern_bytes(&sink.layouts, sink.key.data, size, xxh64(sink.key.data, size, 0))
    return sink.last


cdef bint _put_row(
    Sink* sink, int64_t layout, uint8_t hint, double count, double zero_count, double sum, int64_t buckets
) noexcept nogil:
    """Appends all of a row but its buckets, for which there is room behind sink.buckets already."""
    cdef int32_t number = <int32_t>layout
    cdef int64_t end
    sink.buckets.size += buckets * <int64_t>sizeof(double)
    end = sink.buckets.size // <int64_t>sizeof(double)
    sink.size += 1
    return (
        append(&sink.count, <const uint8_t*>&count, sizeof(double))
        and append(&sink.zero_count, <const uint8_t*>&zero_count, sizeof(double))
        and append(&sink.sum, <const uint8_t*>&sum, sizeof(double))
        and append(&sink.hint, &hint, 1)
        and append(&sink.layout, <const uint8_t*>&number, sizeof(int32_t))
        and append(&sink.bucket_start, <const uint8_t*>&end, sizeof(int64_t))
    )


cdef inline double* _room(Sink* sink, int64_t buckets) noexcept nogil:
    if not reserve(&sink.buckets, buckets * <int64_t>sizeof(double) + 8):
        return NULL
    return <double*>(sink.buckets.data + sink.buckets.size)


cdef bint put_view(Sink* sink, const View* v) noexcept nogil:
    """Appends a row; False where memory is short."""
    cdef int64_t ups = v.positive.size, downs = v.negative.size
    cdef int64_t layout = _layout_of(sink, v, v.positive.index, ups, v.negative.index, downs)
    cdef double* out = _room(sink, ups + downs)
    if layout < 0 or out == NULL:
        return False
    if ups:
        memcpy(out, v.positive.count, ups * sizeof(double))
    if downs:
        memcpy(out + ups, v.negative.count, downs * sizeof(double))
    return _put_row(sink, layout, v.hint, v.count, v.zero_count, v.sum, ups + downs)


cdef int64_t _put_side(
    const Buckets* last, const Buckets* first, double factor, double* out, int32_t* index
) noexcept nogil:
    """(last - first) * factor of each bucket that differs; returns how many do."""
    cdef int64_t i, kept = 0
    cdef double grown
    for i in range(last.size):
        grown = last.count[i] - first.count[i]
        out[kept] = grown * factor
        index[kept] = last.index[i]
        kept += grown != 0
    return kept


cdef bint put_growth(Sink* sink, const View* last, const View* first, double factor) noexcept nogil:
    """Appends (last - first) * factor, a gauge, of two histograms of one layout; False where memory is short."""
    cdef int64_t total = last.positive.size + last.negative.size, ups, downs, layout
    cdef double* out = _room(sink, total)
    cdef int32_t* index
    sink.numbers.size = 0
    if out == NULL or not reserve(&sink.numbers, (total + 1) * <int64_t>sizeof(int32_t)):
        return False
    index = <int32_t*>sink.numbers.data
    ups = _put_side(&last.positive, &first.positive, factor, out, index)
    downs = _put_side(&last.negative, &first.negative, factor, out + ups, index + ups)
    layout = _layout_of(sink, last, index, ups, index + ups, downs)
    return layout >= 0 and _put_row(
        sink, layout, GAUGE, (last.count - first.count) * factor, (last.zero_count - first.zero_count) * factor,
        (last.sum - first.sum) * factor, ups + downs,
    )


cdef bint put_value(Sink* sink, const Value* h) noexcept nogil:
    """Appends a value as it is, without its compensation."""
    cdef View v = view_of(h)
    return put_view(sink, &v)


cdef bint put_nothing(Sink* sink) noexcept nogil:
    """Appends an empty histogram, for a row that has no result."""
    cdef View v
    memset(&v, 0, sizeof(View))
    return put_view(sink, &v)


cdef void release_sink(Sink* sink) noexcept nogil:
    release(&sink.count)
    release(&sink.zero_count)
    release(&sink.sum)
    release(&sink.hint)
    release(&sink.layout)
    release(&sink.bucket_start)
    release(&sink.buckets)
    release(&sink.key)
    release(&sink.numbers)
    release_interner(&sink.layouts)
    sink.size = sink.last = 0


cdef object _sealed(Growing* growing, dtype):
    if growing.size == 0:
        return np.zeros(0, dtype)
    return np.frombuffer(seal(growing), dtype)


cdef inline LayoutKey _key(const Interner* layouts, int64_t number) noexcept nogil:
    cdef LayoutKey key
    memcpy(&key, layouts.bytes.data + layouts.offset[number], sizeof(key))
    return key


cdef int64_t _write_spans(
    const uint8_t* numbers, int64_t size, int32_t[::1] offset, uint32_t[::1] length, int64_t at
) noexcept nogil:
    """The spans of one side from `at` on; returns where they end."""
    cdef int64_t i
    cdef int32_t number, behind = 0
    for i in range(size):
        memcpy(&number, numbers + i * 4, 4)
        if i and number == behind:
            length[at - 1] += 1
        else:
            offset[at] = number - behind
            length[at] = 1
            at += 1
        behind = number + 1
    return at


cdef object _layouts_of(const Interner* interner):
    cdef int64_t i, n = interner.count, at = 0, numbers = 0
    cdef LayoutKey key
    cdef const uint8_t* data
    schema, threshold = np.empty(n, np.int32), np.empty(n, np.float64)
    span_start, negative_start = np.zeros(n + 1, np.int64), np.empty(n, np.int64)
    positive, negative = np.empty(n, np.int64), np.empty(n, np.int64)
    bound_start = np.zeros(n + 1, np.int64)
    cdef int32_t[::1] schemas = schema
    cdef double[::1] thresholds = threshold
    cdef int64_t[::1] starts = span_start, middles = negative_start, ups = positive, downs = negative, ends = bound_start
    for i in range(n):
        key = _key(interner, i)
        schemas[i], thresholds[i], ups[i], downs[i] = key.schema, key.zero_threshold, key.positive, key.negative
        ends[i + 1] = ends[i] + key.bounds
        numbers += key.positive + key.negative
    span_offset, span_length, bounds = np.empty(numbers, np.int32), np.empty(numbers, np.uint32), np.empty(ends[n])
    cdef int32_t[::1] offset = span_offset
    cdef uint32_t[::1] length = span_length
    cdef double[::1] bound = bounds
    with nogil:
        for i in range(n):
            data = interner.bytes.data + interner.offset[i] + sizeof(LayoutKey)
            if ends[i + 1] > ends[i]:
                memcpy(&bound[ends[i]], data, (ends[i + 1] - ends[i]) * sizeof(double))
            data += (ends[i + 1] - ends[i]) * sizeof(double)
            at = _write_spans(data, ups[i], offset, length, at)
            middles[i] = at
            at = _write_spans(data + ups[i] * 4, downs[i], offset, length, at)
            starts[i + 1] = at
    return HistogramLayouts(
        schema, threshold, span_start, negative_start, span_offset[:at].copy(), span_length[:at].copy(), bound_start,
        bounds, positive, negative,
    )


cdef object columns_of(Sink* sink):
    """The rows as HistogramColumns of one series, without times; the sink is empty afterwards.

    All arrays but those of the layouts and ``reset_hint`` are read-only.
    """
    cdef int64_t size = sink.size
    layouts = _layouts_of(&sink.layouts)
    columns = HistogramColumns(
        np.array([0, size], np.int64),
        np.zeros(1, np.uint8),
        np.zeros(size, np.int64),
        _sealed(&sink.count, np.float64),
        _sealed(&sink.zero_count, np.float64),
        _sealed(&sink.sum, np.float64),
        _sealed(&sink.hint, np.uint8).copy(),
        _sealed(&sink.layout, np.int32),
        layouts,
        np.concatenate((np.zeros(1, np.int64), _sealed(&sink.bucket_start, np.int64))),
        _sealed(&sink.buckets, np.float64),
    )
    release_sink(sink)
    return columns
