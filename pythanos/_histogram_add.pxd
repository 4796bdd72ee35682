# Addition of native histograms; see _histogram_value.pxd for what they are.

from pythanos._histogram_value cimport Value, View

# What an addition may say. After INCOMPATIBLE and NO_MEMORY the value is not to be used.
cdef enum:
    INCOMPATIBLE = 1        # exponential with custom buckets
    RECONCILED = 2          # custom bounds differed; only the common ones are left
    RESET_COLLISION = 4     # one hint says reset, the other says none
    NO_MEMORY = 64

cdef bint has_buckets_of(const Value* h, const View* v) noexcept nogil
cdef void add_alike(Value* h, const View* v) noexcept nogil
cdef int add_value(Value* h, const View* other, bint subtract, bint compensated, Value* spare) noexcept nogil
cdef void grown_zero_count(
    const View* h, const double* positive_lost, const double* negative_lost, double* threshold, double* count,
    double* lost,
) noexcept nogil
