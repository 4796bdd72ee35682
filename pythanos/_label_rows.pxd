# Label blocks for kernels: iteration, search, comparison, and the rows of a LabelColumn as C pointers.
#
# Design: a label block is a run of `0x0A len (0x0A len name) (0x12 len value)`, the `labels` field of a
# thanos.Series message; an absent value is the empty string. `next_label` never reads outside the
# block and sets `bad` at anything else. Comparison finds the first byte that differs (equal prefixes have equal
# structure) and then compares the one pair of labels around it, because the length bytes do not sort
# as the text does.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from pythanos._arena cimport Growing, Interner


cdef extern from *:
    """
    #define PYTHANOS_CTZ64(x) __builtin_ctzll(x)
    """
    int PYTHANOS_CTZ64(uint64_t) noexcept nogil


cdef struct Label:
    const uint8_t* name
    Py_ssize_t name_length
    const uint8_t* value
    Py_ssize_t value_length


cdef struct Labels:
    const uint8_t* at
    const uint8_t* end
    bint bad


cdef struct Rows:
    # The rows of a LabelColumn; every [offset, offset + length) was checked to lie inside the arena.
    const uint8_t* arena
    Py_ssize_t arena_size
    const int64_t* offset
    const int32_t* length
    const uint64_t* hash
    Py_ssize_t count


cdef class LabelRows:
    """Borrows a LabelColumn's buffers for a kernel; keep it alive while `rows` is in use."""

    cdef Rows rows
    cdef const uint8_t[::1] arena_view
    cdef const int64_t[::1] offset_view
    cdef const int32_t[::1] length_view
    cdef const uint64_t[::1] hash_view


cdef struct Names:
    # A set of label names, sorted by bytes.
    const uint8_t** name
    Py_ssize_t* length
    Py_ssize_t count


cdef class NameSet:
    """A set of label names for kernels; keep it alive while `names` is in use."""

    cdef Names names
    cdef list encoded


cdef enum:
    OUT_OF_MEMORY = -2


cdef bytes encode_text(str text)
cdef str decode_text(bytes raw)

# Raises CorruptData for the row that a kernel stopped at, or MemoryError for OUT_OF_MEMORY.
cdef int fail_row(LabelRows source, Py_ssize_t row) except -1

# A LabelColumn that takes over `blocks`, its hashes computed.
cdef object sealed_column(Growing* blocks, offset, length)

# The interned blocks as a LabelColumn, in order of their ids.
cdef object interned_column(Interner* interner)


cdef inline Labels labels_in(const uint8_t* block, Py_ssize_t size) noexcept nogil:
    cdef Labels labels
    labels.at = block
    labels.end = block + size
    labels.bad = False
    return labels


cdef inline Py_ssize_t label_length(const uint8_t** at, const uint8_t* end) noexcept nogil:
    """A length varint at most as large as what follows it; -1 where there is none."""
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef const uint8_t* p = at[0]
    cdef uint8_t byte
    while p < end and shift < 35:
        byte = p[0]
        p += 1
        value |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            if value > <uint64_t>(end - p):
                return -1
            at[0] = p
            return <Py_ssize_t>value
        shift += 7
    return -1


cdef inline bint next_long_label(Labels* labels, Label* out) noexcept nogil:
    """As next_label, for any label: lengths of several bytes, absent name or value, or malformed."""
    cdef const uint8_t* at = labels.at
    cdef const uint8_t* end
    cdef Py_ssize_t size
    labels.bad = True
    if at[0] != 0x0A:
        return False
    at += 1
    size = label_length(&at, labels.end)
    if size < 0:
        return False
    end = at + size
    out.name = out.value = end
    out.name_length = out.value_length = 0
    if at < end and at[0] == 0x0A:
        at += 1
        size = label_length(&at, end)
        if size < 0:
            return False
        out.name = at
        out.name_length = size
        at += size
    if at < end and at[0] == 0x12:
        at += 1
        size = label_length(&at, end)
        if size < 0:
            return False
        out.value = at
        out.value_length = size
        at += size
    if at != end:
        return False
    labels.at = end
    labels.bad = False
    return True


cdef inline bint next_label(Labels* labels, Label* out) noexcept nogil:
    """The next label of a block; False at its end, and with `bad` at anything that is not a label."""
    cdef const uint8_t* at = labels.at
    cdef const uint8_t* end
    cdef Py_ssize_t name, value
    if at >= labels.end or labels.bad:
        return False
    # The usual label: name and value present, all lengths in one byte.
    if labels.end - at >= 6 and at[0] == 0x0A and at[1] < 0x80 and at[2] == 0x0A:
        end = at + 2 + at[1]
        name = at[3]
        if end <= labels.end and 4 + name + 2 <= 2 + at[1] and name < 0x80 and at[4 + name] == 0x12:
            value = at[5 + name]
            if value < 0x80 and at + 6 + name + value == end:
                out.name = at + 4
                out.name_length = name
                out.value = at + 6 + name
                out.value_length = value
                labels.at = end
                return True
    return next_long_label(labels, out)


cdef inline int compare_text(const uint8_t* a, Py_ssize_t a_size, const uint8_t* b, Py_ssize_t b_size) noexcept nogil:
    """-1, 0, 1 as bytes compare: the shorter first where one begins with the other."""
    cdef Py_ssize_t size = a_size if a_size < b_size else b_size
    cdef int order = memcmp(a, b, size) if size else 0
    if order:
        return -1 if order < 0 else 1
    return (a_size > b_size) - (a_size < b_size)


cdef inline Py_ssize_t mismatch(const uint8_t* a, const uint8_t* b, Py_ssize_t size) noexcept nogil:
    """How many leading bytes are equal, at most `size`."""
    cdef Py_ssize_t i = 0
    cdef uint64_t x, y
    while i + 8 <= size:
        memcpy(&x, a + i, 8)
        memcpy(&y, b + i, 8)
        if x != y:
            return i + (PYTHANOS_CTZ64(x ^ y) >> 3)
        i += 8
    while i < size and a[i] == b[i]:
        i += 1
    return i


cdef inline int compare_blocks(
    const uint8_t* a, Py_ssize_t a_size, const uint8_t* b, Py_ssize_t b_size
) noexcept nogil:
    """-1, 0, 1 in the order of Go's labels.Compare: pairwise name, then value; a leading part sorts first.

    Malformed blocks get some fixed order; nothing outside the blocks is read.
    """
    cdef Py_ssize_t size = a_size if a_size < b_size else b_size
    cdef Py_ssize_t same = mismatch(a, b, size)
    cdef Labels left, right
    cdef Label x, y
    cdef const uint8_t* at
    cdef int order
    if same == size:
        return (a_size > b_size) - (a_size < b_size)
    # Hop over the labels that lie in the equal part; they need no more than their own length.
    at = a
    while same - (at - a) >= 2 and at[0] == 0x0A and at[1] < 0x80 and at + 2 + at[1] <= a + same:
        at += 2 + at[1]
    left = labels_in(at, a_size - (at - a))
    while next_label(&left, &x) and left.at <= a + same:
        at = left.at
    right = labels_in(b + (at - a), b_size - (at - a))
    if left.bad or not next_label(&right, &y):
        return compare_text(a + same, a_size - same, b + same, b_size - same)
    order = compare_text(x.name, x.name_length, y.name, y.name_length)
    if order:
        return order
    order = compare_text(x.value, x.value_length, y.value, y.value_length)
    return order if order else compare_text(a + same, a_size - same, b + same, b_size - same)


cdef inline bint has_name(const Names* names, const uint8_t* name, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t low = 0, high = names.count, middle
    cdef int order
    if high <= 6:
        for middle in range(high):
            if names.length[middle] == size and memcmp(names.name[middle], name, size) == 0:
                return True
        return False
    while low < high:
        middle = (low + high) >> 1
        order = compare_text(names.name[middle], names.length[middle], name, size)
        if order == 0:
            return True
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return False


cdef inline Py_ssize_t select_labels(
    const uint8_t* block, Py_ssize_t size, const Names* names, bint keep, uint8_t* out
) noexcept nogil:
    """Copies the labels whose name is in `names` (keep) or is not (drop) to `out`, which has room for `size`.

    Returns the bytes written, or -1 for a malformed block.
    """
    cdef Labels labels = labels_in(block, size)
    cdef Label label
    cdef const uint8_t* start = block
    cdef const uint8_t* at = block
    cdef Py_ssize_t written = 0
    while next_label(&labels, &label):
        if has_name(names, label.name, label.name_length) != keep:
            if at > start:
                memcpy(out + written, start, at - start)
                written += at - start
            start = labels.at
        at = labels.at
    if labels.bad:
        return -1
    if at > start:
        memcpy(out + written, start, at - start)
        written += at - start
    return written


cdef inline int find_label(
    const uint8_t* block, Py_ssize_t size, const uint8_t* name, Py_ssize_t name_length, Label* out
) noexcept nogil:
    """1 and the label of that name, 0 where there is none, -1 for a malformed block."""
    cdef Labels labels = labels_in(block, size)
    while next_label(&labels, out):
        if out.name_length == name_length and memcmp(out.name, name, name_length) == 0:
            return 1
    return -1 if labels.bad else 0


cdef inline Py_ssize_t varint_size(uint64_t value) noexcept nogil:
    cdef Py_ssize_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline uint8_t* put_varint(uint8_t* out, uint64_t value) noexcept nogil:
    while value >= 0x80:
        out[0] = <uint8_t>(value | 0x80)
        out += 1
        value >>= 7
    out[0] = <uint8_t>value
    return out + 1


cdef inline Py_ssize_t label_body_size(Py_ssize_t name_length, Py_ssize_t value_length) noexcept nogil:
    return 2 + varint_size(name_length) + name_length + varint_size(value_length) + value_length


cdef inline Py_ssize_t label_size(Py_ssize_t name_length, Py_ssize_t value_length) noexcept nogil:
    """Bytes of one label in a block."""
    cdef Py_ssize_t body = label_body_size(name_length, value_length)
    return 1 + varint_size(body) + body


cdef inline uint8_t* put_label(
    uint8_t* out, const uint8_t* name, Py_ssize_t name_length, const uint8_t* value, Py_ssize_t value_length
) noexcept nogil:
    """Writes one label (`label_size` bytes) and returns where the next one goes."""
    out[0] = 0x0A
    out = put_varint(out + 1, label_body_size(name_length, value_length))
    out[0] = 0x0A
    out = put_varint(out + 1, name_length)
    memcpy(out, name, name_length)
    out += name_length
    out[0] = 0x12
    out = put_varint(out + 1, value_length)
    if value_length:
        memcpy(out, value, value_length)
    return out + value_length
