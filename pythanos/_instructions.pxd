# Which instructions beyond those of every x86-64 processor are there; what is compiled for them asks before it is used.

cdef extern from *:
    """
    #ifndef PYTHANOS_INSTRUCTIONS
    #define PYTHANOS_INSTRUCTIONS
    #if defined(__x86_64__)
    #include <cpuid.h>
    static inline int pythanos_has_bmi2(void) {
        return __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    }
    /* Older compilers have no name for lzcnt, which is taken for another instruction where it is not known. */
    static inline int pythanos_has_bmi2_avx2_lzcnt(void) {
        unsigned a, b, c, d;
        return pythanos_has_bmi2() && __builtin_cpu_supports("avx2") &&
            __get_cpuid(0x80000001, &a, &b, &c, &d) && (c >> 5 & 1);
    }
    #else
    static inline int pythanos_has_bmi2(void) { return 0; }
    static inline int pythanos_has_bmi2_avx2_lzcnt(void) { return 0; }
    #endif
    #endif
    """
    bint has_bmi2 "pythanos_has_bmi2"() noexcept nogil
    bint has_bmi2_avx2_lzcnt "pythanos_has_bmi2_avx2_lzcnt"() noexcept nogil
