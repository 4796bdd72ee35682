# JSON leaves for kernels: timestamps, strings and label sets, as Prometheus' jsoniter streams write them.
#
# Every function writes at `out`, where the caller made sure of room, and returns the new end.

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from pythanos._label_rows cimport Label, Labels, labels_in, next_label

cdef extern from "_digits.h" nogil:
    char* pythanos_write_double(char* out, double value) noexcept
    char* pythanos_write_u64(char* out, uint64_t value) noexcept


cdef inline char* put(char* at, const char* text, Py_ssize_t size) noexcept nogil:
    memcpy(at, text, size)
    return at + size


cdef inline char* write_stamp(char* at, int64_t ms) noexcept nogil:
    """Seconds, with three decimals unless they are zero."""
    cdef uint64_t value, rest
    if ms < 0:
        at[0] = c"-"
        at += 1
        value = 0 - <uint64_t>ms
    else:
        value = <uint64_t>ms
    rest = value % 1000
    at = pythanos_write_u64(at, value // 1000)
    if rest:
        at[0] = c"."
        at[1] = <char>(c"0" + rest // 100)
        at[2] = <char>(c"0" + rest // 10 % 10)
        at[3] = <char>(c"0" + rest % 10)
        at += 4
    return at


cdef inline Py_ssize_t utf8_length(const uint8_t* at, Py_ssize_t left) noexcept nogil:
    """Bytes of the well-formed UTF-8 character at `at`, which is not ASCII; 0 where there is none."""
    cdef uint8_t first = at[0]
    cdef uint8_t low = 0x80, high = 0xBF
    cdef Py_ssize_t size, i
    if first < 0xC2 or first > 0xF4:
        return 0
    size = 2 if first < 0xE0 else (3 if first < 0xF0 else 4)
    if size > left:
        return 0
    if first == 0xE0:
        low = 0xA0
    elif first == 0xED:
        high = 0x9F
    elif first == 0xF0:
        low = 0x90
    elif first == 0xF4:
        high = 0x8F
    if at[1] < low or at[1] > high:
        return 0
    for i in range(2, size):
        if at[i] & 0xC0 != 0x80:
            return 0
    return size


cdef inline char hex_digit(uint8_t value) noexcept nogil:
    return <char>(c"0" + value if value < 10 else c"a" + value - 10)


cdef inline bint plain(const uint8_t* at) noexcept nogil:
    """Whether eight bytes are ASCII that needs no escape; may say no to a few that are."""
    cdef uint64_t eight, quote, slash
    memcpy(&eight, at, 8)
    quote = eight ^ 0x2222222222222222ULL
    slash = eight ^ 0x5C5C5C5C5C5C5C5CULL
    # The top bit of a byte is set by a byte of 0x80 and more, by one below the number subtracted, or by a borrow.
    return (
        (eight | eight - 0x2020202020202020ULL | quote - 0x0101010101010101ULL | slash - 0x0101010101010101ULL)
        & 0x8080808080808080ULL
    ) == 0


cdef inline char* write_text(char* out, const uint8_t* at, Py_ssize_t size) noexcept nogil:
    """A JSON string; at most 6 bytes for one, and two quotes. Bytes that are not UTF-8 become \\ufffd each."""
    cdef const uint8_t* end = at + size
    cdef uint8_t byte
    cdef Py_ssize_t length
    out[0] = c'"'
    out += 1
    while end - at >= 8 and plain(at):
        memcpy(out, at, 8)
        out += 8
        at += 8
    while at < end:
        byte = at[0]
        if 0x20 <= byte < 0x80 and byte != 0x22 and byte != 0x5C:
            out[0] = <char>byte
            out += 1
            at += 1
        elif byte >= 0x80:
            length = utf8_length(at, end - at)
            if length:
                memcpy(out, at, length)
                out += length
                at += length
            else:
                out = put(out, b"\\ufffd", 6)
                at += 1
        else:
            at += 1
            out[0] = c"\\"
            if byte == 0x22 or byte == 0x5C:
                out[1] = <char>byte
                out += 2
            elif byte == 0x0A or byte == 0x0D or byte == 0x09:
                out[1] = c"n" if byte == 0x0A else (c"r" if byte == 0x0D else c"t")
                out += 2
            else:
                out = put(out, b"\\u00", 4)
                out[0] = hex_digit(byte >> 4)
                out[1] = hex_digit(byte & 15)
                out += 2
    out[0] = c'"'
    return out + 1


cdef inline char* write_labels(char* out, const uint8_t* block, Py_ssize_t size) noexcept nogil:
    """A JSON object of a label block, NULL where it is malformed; at most 6 bytes for one, and 2."""
    cdef Labels labels = labels_in(block, size)
    cdef Label label
    cdef bint first = True
    out[0] = c"{"
    out += 1
    while next_label(&labels, &label):
        if not first:
            out[0] = c","
            out += 1
        first = False
        out = write_text(out, label.name, label.name_length)
        out[0] = c":"
        out = write_text(out + 1, label.value, label.value_length)
    if labels.bad:
        return NULL
    out[0] = c"}"
    return out + 1


cdef inline char* write_quoted(char* out, double value) noexcept nogil:
    """A sample value: Go's text of a double, in quotes."""
    out[0] = c'"'
    out = pythanos_write_double(out + 1, value)
    out[0] = c'"'
    return out + 1
