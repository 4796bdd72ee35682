/* Arithmetic between two rows of steps, absent where either is; a loop per operator, which the compiler vectorises, and
 * may: `out` is one of the rows, or overlaps neither. */
#ifndef PYTHANOS_ROWS_H
#define PYTHANOS_ROWS_H

#include "_gomath_trigonometry.h"
#include "_lanes.h"

typedef void (*pt_pair)(const double* left, const double* right, double* out, int64_t steps);

#define PT_PAIR(name, value)                                                                   \
    static void name(const double* left, const double* right, double* out, int64_t steps) {    \
        const double gone = pt_absent_value();                                                 \
        _Pragma("GCC ivdep") for (int64_t k = 0; k < steps; k++) {                             \
            const double a = left[k], b = right[k];                                            \
            out[k] = (pt_absent(a) | pt_absent(b)) ? gone : (value);                           \
        }                                                                                      \
    }
PT_PAIR(pt_add, a + b)
PT_PAIR(pt_sub, a - b)
PT_PAIR(pt_mul, a * b)
PT_PAIR(pt_div, a / b)
PT_PAIR(pt_mod_rows, fmod(a, b))
PT_PAIR(pt_pow_rows, pt_pow(a, b))
PT_PAIR(pt_atan2_rows, pt_atan2(a, b))

/* A comparison gives 0 or 1, or keeps the left or the right operand where it holds. */
#define PT_COMPARE(name, CMP)                          \
    PT_PAIR(name##_bool, (a CMP b) ? 1.0 : 0.0)        \
    PT_PAIR(name##_left, (a CMP b) ? a : gone)         \
    PT_PAIR(name##_right, (a CMP b) ? b : gone)
PT_COMPARE(pt_eq, ==)
PT_COMPARE(pt_ne, !=)
PT_COMPARE(pt_lt, <)
PT_COMPARE(pt_le, <=)
PT_COMPARE(pt_gt, >)
PT_COMPARE(pt_ge, >=)

/* Operators 0..6 are arithmetic, 7..12 comparisons with results 0 bool, 1 left, 2 right. */
static inline pt_pair pt_pair_of(int op, int result) {
    static const pt_pair arithmetic[] = {pt_add, pt_sub, pt_mul, pt_div, pt_mod_rows, pt_pow_rows, pt_atan2_rows};
    static const pt_pair comparison[][3] = {
        {pt_eq_bool, pt_eq_left, pt_eq_right}, {pt_ne_bool, pt_ne_left, pt_ne_right},
        {pt_lt_bool, pt_lt_left, pt_lt_right}, {pt_le_bool, pt_le_left, pt_le_right},
        {pt_gt_bool, pt_gt_left, pt_gt_right}, {pt_ge_bool, pt_ge_left, pt_ge_right},
    };
    return op < 7 ? arithmetic[op] : comparison[op - 7][result];
}

/* Go's math.Max and math.Min: an infinity decides before NaN, zeros differ by sign. */
static inline double pt_max_of(double x, double y) {
    if (x == INFINITY || y == INFINITY) return INFINITY;
    if (x != x || y != y) return NAN;
    if (x == 0 && x == y) return signbit(x) ? y : x;
    return x > y ? x : y;
}
static inline double pt_min_of(double x, double y) {
    if (x == -INFINITY || y == -INFINITY) return -INFINITY;
    if (x != x || y != y) return NAN;
    if (x == 0 && x == y) return signbit(x) ? x : y;
    return x < y ? x : y;
}

#endif
