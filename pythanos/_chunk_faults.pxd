# The encodings of chunks, and what can be wrong with one.

from libc.stdint cimport int64_t

cdef enum ChunkEncoding:
    XOR = 1
    HISTOGRAM = 2
    FLOAT_HISTOGRAM = 3
    XOR2 = 4
    HISTOGRAM_ST = 5
    FLOAT_HISTOGRAM_ST = 6
    AGGREGATE = 0xFF


# Why a chunk could not be read; negative, so that a fault and a count share a return value.
cdef enum ChunkFault:
    FAULT_HEADER = -1       # shorter than its header
    FAULT_COUNT = -2        # more samples announced than the data can hold
    FAULT_SHORT = -3        # the data ends inside a sample
    FAULT_WINDOW = -4       # leading zeros and significant bits of a value exceed 64
    FAULT_VARINT = -5       # a varint that is cut off or longer than 64 bits
    FAULT_ENCODING = -6     # not a float chunk
    FAULT_CAPACITY = -7     # more samples than the caller has room for
    FAULT_SCHEMA = -8       # a histogram schema that does not exist
    FAULT_LAYOUT = -9       # a histogram layout that the data cannot hold
    FAULT_BOUNDS = -10      # the chunk is not inside the arena
    FAULT_AGGREGATE = -11   # an aggregate's length goes beyond the chunk


cdef object chunk_fault(int64_t fault, str file, int64_t offset, int encoding)
    # The CorruptData for a fault at a byte of `file`; to be raised by the caller (needs the GIL).
