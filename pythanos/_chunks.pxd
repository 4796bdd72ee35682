# Float chunks for other kernels: _merge and the fused window kernels decode into their own buffers.

from libc.stdint cimport int64_t, uint8_t, uint64_t

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


cdef int64_t count_float_chunk(const uint8_t* data, uint64_t length, uint8_t encoding) noexcept nogil
    # The number of samples in the header, checked against the length: 0..65535, or a ChunkFault.


cdef int64_t decode_float_chunk(
    const uint8_t* data, uint64_t length, uint64_t readable, uint8_t encoding,
    int64_t* timestamps, double* values, int64_t* start_timestamps, int64_t capacity, uint64_t* fault_at,
) noexcept nogil
    # Decodes an XOR or XOR2 chunk (without its encoding byte) and returns the number of samples, or a ChunkFault with
    # fault_at, the byte in the chunk where reading stopped. `readable` >= length is how many bytes from data on may be
    # loaded: `length` is always right, and the end of the arena saves a copy of the chunk's tail. Room for `capacity` rows;
    # start_timestamps may be NULL, else it gets 0 where unknown. After a fault the buffers hold rubbish, never written
    # beyond capacity.


cdef object chunk_fault(int64_t fault, str file, int64_t offset, int encoding)
    # The CorruptData for a fault; to be raised by the caller (needs the GIL).
