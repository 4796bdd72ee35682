# Elementary functions to the last bit of Go's `math` on amd64; see the headers.

cdef extern from "_gomath_exponentials.h" nogil:
    double exp "pt_exp"(double x) noexcept
    double exp2 "pt_exp2"(double x) noexcept
    double log "pt_log"(double x) noexcept
    double log2 "pt_log2"(double x) noexcept
    double log10 "pt_log10"(double x) noexcept
    double log1p "pt_log1p"(double x) noexcept
    double pow "pt_pow"(double x, double y) noexcept

cdef extern from "_gomath_trigonometry.h" nogil:
    double sin "pt_sin"(double x) noexcept
    double cos "pt_cos"(double x) noexcept
    double tan "pt_tan"(double x) noexcept
    double asin "pt_asin"(double x) noexcept
    double acos "pt_acos"(double x) noexcept
    double atan "pt_atan"(double x) noexcept
    double atan2 "pt_atan2"(double y, double x) noexcept

cdef extern from "_gomath_hyperbolics.h" nogil:
    double sinh "pt_sinh"(double x) noexcept
    double cosh "pt_cosh"(double x) noexcept
    double tanh "pt_tanh"(double x) noexcept
    double asinh "pt_asinh"(double x) noexcept
    double acosh "pt_acosh"(double x) noexcept
    double atanh "pt_atanh"(double x) noexcept
