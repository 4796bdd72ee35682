# Float chunks for other kernels: _merge and the fused window kernels decode into their own buffers.

from libc.stdint cimport int64_t, uint8_t, uint64_t

from pythanos._chunk_faults cimport ChunkEncoding, ChunkFault, chunk_fault


cdef int64_t count_float_chunk(const uint8_t* data, uint64_t length, uint8_t encoding) noexcept nogil
    # The number of samples in the header, checked against the length: 0..65535, or a ChunkFault.


cdef int64_t decode_float_chunk(
    const uint8_t* data, uint64_t length, uint64_t readable, uint8_t encoding,
    int64_t* timestamps, double* values, int64_t* start_timestamps, int64_t capacity, uint64_t* fault_at,
) noexcept nogil
    # Decodes an XOR or XOR2 chunk (without its encoding byte) and returns the number of samples, or a ChunkFault with
    # fault_at, the byte in the chunk where reading stopped. `readable` >= length is how many bytes from data on may be
    # loaded: `length` is always right, and the end of the arena saves a copy of the chunk's tail. Room for `capacity`
    # rows; start_timestamps may be NULL, else it gets 0 where unknown. After a fault the buffers hold rubbish, never
    # written beyond capacity.
