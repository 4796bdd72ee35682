# cython: language_level=3
"""What can be wrong with a chunk, in words."""

from libc.stdint cimport int64_t

from pythanos.errors import CorruptData
from pythanos.model.chunks import ENCODING_NAMES

_REASONS = {
    FAULT_HEADER: "chunk is shorter than its header",
    FAULT_COUNT: "chunk announces more samples than it can hold",
    FAULT_SHORT: "chunk ends inside a sample",
    FAULT_WINDOW: "value has more than 64 bits",
    FAULT_VARINT: "varint is cut off or too long",
    FAULT_ENCODING: "unknown chunk encoding",
    FAULT_CAPACITY: "chunk has more samples than expected",
    FAULT_SCHEMA: "unknown histogram schema",
    FAULT_LAYOUT: "histogram layout is larger than its chunk",
    FAULT_BOUNDS: "chunk is not inside its data",
    FAULT_AGGREGATE: "aggregate is longer than its chunk",
}


cdef object chunk_fault(int64_t fault, str file, int64_t offset, int encoding):
    name = ENCODING_NAMES.get(encoding, f"encoding {encoding}")
    return CorruptData(file, offset, f"{name}: {_REASONS[fault]}")
