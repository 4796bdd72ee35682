/* Hyperbolic functions and their inverses whose every bit is that of Go's `math` on amd64; see _gomath_exponentials.h.
 *
 * Methods and constants: sinh: Hart and others, "Computer Approximations" (1968), no. 2029; tanh: Cephes (tanh.c; Cody
 * and Waite); the inverses: Sun's fdlibm (s_asinh.c, e_acosh.c, e_atanh.c). Order of operations: Go 1.26, `src/math`
 * (sinh.go, tanh.go, asinh.go, acosh.go, atanh.go).
 */
#ifndef PYTHANOS_GOMATH_HYPERBOLICS_H
#define PYTHANOS_GOMATH_HYPERBOLICS_H

#include "_gomath_exponentials.h"

/* Functions with f(-x) = -f(x): the value for |x|, with the sign of x. */
static inline double pt_signed_like(double x, double value) { return x < 0 ? -value : value; }

static inline double pt_sinh(double x) {
    const double size = fabs(x), square = size * size;
    if (size > 21) return pt_signed_like(x, pt_exp(size) * 0.5);
    if (size > 0.5) {
        const double up = pt_exp(size);
        return pt_signed_like(x, (up - 1 / up) * 0.5);
    }
    const double above = PT_POLYNOMIAL(
        square, -0.2630563213397497062819489e+2, -0.2894211355989563807284660366e+4, -0.8991272022039509355398013511e+5,
        -0.6307673640497716991184787251e+6
    );
    const double below = PT_POLYNOMIAL(
        square, 1.0, -0.173678953558233699533450911e+3, 0.1521517378790019070696485176e+5,
        -0.6307673640497716991212077277e+6
    );
    return above * x / below;
}

static inline double pt_cosh(double x) {
    const double up = pt_exp(fabs(x));
    return fabs(x) > 21 ? up * 0.5 : (up + 1 / up) * 0.5;
}

static inline double pt_tanh(double x) {
    const double size = fabs(x), square = x * x;
    if (size > 0.5 * 8.8029691931113054295988e+01) return copysign(1.0, x);
    if (size >= 0.625) return pt_signed_like(x, 1 - 2 / (pt_exp(2 * size) + 1));
    if (x == 0) return x;
    const double above =
        PT_POLYNOMIAL(square, -9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3);
    const double below =
        PT_POLYNOMIAL(square, 1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3);
    return x + x * square * above / below;
}

static inline double pt_asinh(double x) {
    const double size = fabs(x), square = size * size;
    if (!isfinite(x) || size < 0x1p-28) return x;
    if (size > 0x1p28) return pt_signed_like(x, pt_log(size) + PT_LN2);
    if (size > 2) return pt_signed_like(x, pt_log(2 * size + 1 / (sqrt(square + 1) + size)));
    return pt_signed_like(x, pt_log1p(size + square / (1 + sqrt(1 + square))));
}

static inline double pt_acosh(double x) {
    const double above = x - 1;
    if (!(x >= 1)) return NAN;
    if (x == 1) return 0;
    if (x >= 0x1p28) return pt_log(x) + PT_LN2;
    if (x > 2) return pt_log(2 * x - 1 / (x + sqrt(x * x - 1)));
    return pt_log1p(above + sqrt(2 * above + above * above));
}

static inline double pt_atanh(double x) {
    const double size = fabs(x), twice = size + size;
    if (!(size <= 1)) return NAN;
    if (size == 1) return copysign(INFINITY, x);
    if (size < 0x1p-28) return x;
    if (size < 0.5) return pt_signed_like(x, 0.5 * pt_log1p(twice + twice * size / (1 - size)));
    return pt_signed_like(x, 0.5 * pt_log1p(twice / (1 - size)));
}

#endif
