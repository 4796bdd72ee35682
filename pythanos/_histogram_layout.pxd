# The layout in front of a histogram chunk's samples, read: zero threshold, schema, spans, custom bounds.
#
# It is read twice: once to count, with every number checked against the bits that are left, so that an untrusted layout
# cannot ask for more memory than the chunk's own size allows; then into the table of the batch.

from libc.math cimport ldexp
from libc.stdint cimport UINT32_MAX, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from pythanos._bits cimport BitReader, left, read_bits, read_varbit_int, read_varbit_uint
from pythanos._chunk_faults cimport FAULT_LAYOUT, FAULT_SCHEMA

# What a chunk's header and layout announce, and what the whole batch does when added up.
cdef struct Extent:
    int64_t rows
    int64_t spans
    int64_t bounds
    int64_t positive        # buckets of one row
    int64_t negative
    int64_t buckets         # of all rows, at most


# Where the layouts of the batch go; `count` of them are written.
cdef struct LayoutColumns:
    int64_t count
    int32_t* schema
    double* zero_threshold
    int64_t* span_start
    int64_t* negative_start
    int32_t* span_offset
    uint32_t* span_length
    int64_t* bound_start
    double* bounds
    int64_t* positive_buckets
    int64_t* negative_buckets


cdef inline double as_double(uint64_t bits) noexcept nogil:
    cdef double value
    memcpy(&value, &bits, 8)
    return value


cdef inline double read_zero_threshold(BitReader* r) noexcept nogil:
    """A byte: 0 for zero, 255 for a raw float behind it, else an exponent of two."""
    cdef int code = <int>read_bits(r, 8)
    if code == 0:
        return 0
    return as_double(read_bits(r, 64)) if code == 255 else ldexp(0.5, code - 243)


cdef inline double read_bound(BitReader* r) noexcept nogil:
    """Thousandths plus one, or 0 and a raw float."""
    cdef uint64_t scaled = read_varbit_uint(r)
    return <double>(scaled - 1) / 1000 if scaled else as_double(read_bits(r, 64))


cdef inline int64_t read_spans(BitReader* r, int64_t* buckets, int64_t* spans, LayoutColumns* out) noexcept nogil:
    """Counts the spans and their buckets and writes them where `out` is given; a fault where they exceed the bits."""
    cdef uint64_t number = read_varbit_uint(r), length
    cdef int64_t offset, i
    if r.bad or number > left(r) >> 1:
        return FAULT_LAYOUT
    for i in range(<int64_t>number):
        length = read_varbit_uint(r)
        offset = read_varbit_int(r)
        if r.bad or length > UINT32_MAX or <uint64_t>buckets[0] + length > left(r):
            return FAULT_LAYOUT
        buckets[0] += <int64_t>length
        if out != NULL:
            out.span_offset[spans[0]] = <int32_t>offset
            out.span_length[spans[0]] = <uint32_t>length
        spans[0] += 1
    return 0


cdef inline int64_t read_layout(BitReader* r, Extent* e, LayoutColumns* out) noexcept nogil:
    """The layout in front of the first sample. Without `out` it is only counted. 0 or a fault."""
    cdef double zero_threshold = read_zero_threshold(r)
    cdef int64_t schema = <int32_t>read_varbit_int(r)
    cdef int64_t fault, span, bound, i
    cdef uint64_t number = 0
    cdef double value
    e.spans = e.bounds = e.positive = e.negative = 0
    if r.bad:
        return FAULT_LAYOUT
    if schema != -53 and not (-9 <= schema <= 52):
        return FAULT_SCHEMA
    span = out.span_start[out.count] if out != NULL else 0
    fault = read_spans(r, &e.positive, &span, out)
    if fault:
        return fault
    if out != NULL:
        out.negative_start[out.count] = span
    fault = read_spans(r, &e.negative, &span, out)
    if fault:
        return fault
    e.spans = span
    bound = out.bound_start[out.count] if out != NULL else 0
    if schema == -53:
        number = read_varbit_uint(r)
        if r.bad or number > left(r):
            return FAULT_LAYOUT
    for i in range(<int64_t>number):
        value = read_bound(r)
        if r.bad:
            return FAULT_LAYOUT
        if out != NULL:
            out.bounds[bound] = value
        bound += 1
    e.bounds = bound
    if out != NULL:
        i = out.count
        out.schema[i] = <int32_t>schema
        out.zero_threshold[i] = zero_threshold
        out.span_start[i + 1] = span
        out.bound_start[i + 1] = bound
        out.positive_buckets[i] = e.positive
        out.negative_buckets[i] = e.negative
    return 0


cdef inline bint same_layout(const LayoutColumns* l, int64_t a, int64_t b) noexcept nogil:
    """Whether two layouts of the table are equal, bit for bit."""
    cdef int64_t spans = l.span_start[a + 1] - l.span_start[a]
    cdef int64_t bounds = l.bound_start[a + 1] - l.bound_start[a]
    return (
        l.schema[a] == l.schema[b]
        and memcmp(&l.zero_threshold[a], &l.zero_threshold[b], 8) == 0
        and spans == l.span_start[b + 1] - l.span_start[b]
        and l.negative_start[a] - l.span_start[a] == l.negative_start[b] - l.span_start[b]
        and bounds == l.bound_start[b + 1] - l.bound_start[b]
        and memcmp(l.span_offset + l.span_start[a], l.span_offset + l.span_start[b], <size_t>spans * 4) == 0
        and memcmp(l.span_length + l.span_start[a], l.span_length + l.span_start[b], <size_t>spans * 4) == 0
        and memcmp(l.bounds + l.bound_start[a], l.bounds + l.bound_start[b], <size_t>bounds * 8) == 0
    )


cdef inline int64_t keep_layout(BitReader* r, Extent* e, LayoutColumns* out) noexcept nogil:
    """Reads a layout into the table, unless it equals the one before it, as most do; its number, or a fault."""
    cdef int64_t fault = read_layout(r, e, out)
    if fault:
        return fault
    if out.count and same_layout(out, out.count - 1, out.count):
        return out.count - 1
    out.count += 1
    return out.count - 1
