# CRC-32C and XXH64 for kernels; see _hash.h.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "_hash.h" nogil:
    uint32_t crc32c "pythanos_crc32c"(uint32_t crc, const uint8_t* data, size_t size) noexcept
    uint64_t xxh64 "pythanos_xxh64"(const uint8_t* data, size_t size, uint64_t seed) noexcept
    # XXH64, and `crc` carried on over the same bytes.
    uint64_t xxh64_crc32c "pythanos_xxh64_crc32c"(const uint8_t* data, size_t size, uint64_t seed, uint32_t* crc) noexcept
