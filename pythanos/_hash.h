/* Checksums and hashes for the kernels: CRC-32C (Castagnoli) and XXH64.
 *
 * CRC-32C: reflected polynomial 0x82F63B78, as in RFC 3720; the SSE4.2 and ARMv8 instructions where the
 * compiler targets them (x86-64-v2 does), a table of 8 x 256 entries elsewhere. XXH64: the algorithm of
 * the xxHash specification, seed as given. Both read memory little-endian by memcpy.
 */
#ifndef PYTHANOS_HASH_H
#define PYTHANOS_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
static inline uint32_t pythanos_crc32c(uint32_t crc, const uint8_t* p, size_t n) {
    uint64_t c = ~crc;
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
        p += 8;
        n -= 8;
    }
    if (n & 4) {
        uint32_t half;
        memcpy(&half, p, 4);
        c = _mm_crc32_u32((uint32_t)c, half);
        p += 4;
    }
    for (n &= 3; n; n--) c = _mm_crc32_u8((uint32_t)c, *p++);
    return ~(uint32_t)c;
}
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
static inline uint32_t pythanos_crc32c(uint32_t crc, const uint8_t* p, size_t n) {
    uint32_t c = ~crc;
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = __crc32cd(c, word);
        p += 8;
        n -= 8;
    }
    while (n--) c = __crc32cb(c, *p++);
    return ~c;
}
#else
static inline uint32_t pythanos_crc32c(uint32_t crc, const uint8_t* p, size_t n) {
    uint32_t c = ~crc;
    while (n--) {
        c ^= *p++;
        for (int k = 0; k < 8; k++) c = (c >> 1) ^ (0x82F63B78u & (0u - (c & 1)));
    }
    return ~c;
}
#endif

#define PYTHANOS_P1 0x9E3779B185EBCA87ULL
#define PYTHANOS_P2 0xC2B2AE3D27D4EB4FULL
#define PYTHANOS_P3 0x165667B19E3779F9ULL
#define PYTHANOS_P4 0x85EBCA77C2B2AE63ULL
#define PYTHANOS_P5 0x27D4EB2F165667C5ULL

static inline uint64_t pythanos_rotl(uint64_t x, int r) { return (x << r) | (x >> (64 - r)); }
static inline uint64_t pythanos_lane(uint64_t acc, uint64_t in) {
    return pythanos_rotl(acc + in * PYTHANOS_P2, 31) * PYTHANOS_P1;
}
static inline uint64_t pythanos_fold(uint64_t acc, uint64_t lane) {
    return (acc ^ pythanos_lane(0, lane)) * PYTHANOS_P1 + PYTHANOS_P4;
}

/* What follows the stripes of 32 bytes: the lengths left over, and the mixing of all bits. */
static inline uint64_t pythanos_xxh64_end(uint64_t h, const uint8_t* p, const uint8_t* end) {
    uint64_t word;
    uint32_t half;
    for (; end - p >= 8; p += 8) {
        memcpy(&word, p, 8);
        h = pythanos_rotl(h ^ pythanos_lane(0, word), 27) * PYTHANOS_P1 + PYTHANOS_P4;
    }
    if (end - p >= 4) {
        memcpy(&half, p, 4);
        h = pythanos_rotl(h ^ ((uint64_t)half * PYTHANOS_P1), 23) * PYTHANOS_P2 + PYTHANOS_P3;
        p += 4;
    }
    for (; p < end; p++) h = pythanos_rotl(h ^ (*p * PYTHANOS_P5), 11) * PYTHANOS_P1;
    h ^= h >> 33;
    h *= PYTHANOS_P2;
    h ^= h >> 29;
    h *= PYTHANOS_P3;
    return h ^ (h >> 32);
}

/* One pass of both, as the checksum's chain of dependent instructions leaves room for the hash beside it: `*crc` goes on
 * over the n bytes. Inlined with crc NULL it is the hash alone. */
static inline uint64_t pythanos_xxh64_crc32c(const uint8_t* p, size_t n, uint64_t seed, uint32_t* crc) {
    const uint8_t* end = p + n;
    uint64_t h, word;
    if (n >= 32) {
        uint64_t a = seed + PYTHANOS_P1 + PYTHANOS_P2, b = seed + PYTHANOS_P2, c = seed, d = seed - PYTHANOS_P1;
        do {
            if (crc) *crc = pythanos_crc32c(*crc, p, 32);
            memcpy(&word, p, 8), a = pythanos_lane(a, word);
            memcpy(&word, p + 8, 8), b = pythanos_lane(b, word);
            memcpy(&word, p + 16, 8), c = pythanos_lane(c, word);
            memcpy(&word, p + 24, 8), d = pythanos_lane(d, word);
            p += 32;
        } while (end - p >= 32);
        h = pythanos_rotl(a, 1) + pythanos_rotl(b, 7) + pythanos_rotl(c, 12) + pythanos_rotl(d, 18);
        h = pythanos_fold(pythanos_fold(pythanos_fold(pythanos_fold(h, a), b), c), d);
    } else {
        h = seed + PYTHANOS_P5;
    }
    if (crc) *crc = pythanos_crc32c(*crc, p, end - p);
    return pythanos_xxh64_end(h + n, p, end);
}

static inline uint64_t pythanos_xxh64(const uint8_t* p, size_t n, uint64_t seed) {
    return pythanos_xxh64_crc32c(p, n, seed, (uint32_t*)0);
}

#endif
