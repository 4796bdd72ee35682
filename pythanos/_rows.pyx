"""Element by element over rows of steps: functions of one sample, operators between rows, matching, merging.

Rows are float64[n, steps]; absence is the staleness marker's bit pattern and stays absent.
"""

# Design: loops over whole rows; the operator is chosen once per row. Functions are those of Go's math package, bit for
# bit, and neither numpy's nor the C library's.

import numpy as np

from libc.math cimport ceil, fabs, floor, sqrt
from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint64_t
from libc.string cimport memset

from pythanos._gomath cimport (
    acos, acosh, asin, asinh, atan, atanh, cos, cosh, exp, log, log2, log10, sin, sinh, tan, tanh,
)
from pythanos._row_parts cimport RowParts

cdef extern from "_rows.h" nogil:
    ctypedef void (*Pair "pt_pair")(const double*, const double*, double*, int64_t) noexcept nogil
    Pair pair_of "pt_pair_of"(int op, int result) noexcept
    bint absent "pt_absent"(double) noexcept
    double absent_value "pt_absent_value"() noexcept
    double max_of "pt_max_of"(double, double) noexcept
    double min_of "pt_min_of"(double, double) noexcept

cpdef enum Operator:
    ADD
    SUB
    MUL
    DIV
    MOD
    POW
    ATAN2
    EQ
    NE
    LT
    LE
    GT
    GE

cpdef enum Keep:
    BOOL
    LEFT
    RIGHT

cpdef enum Function:
    ABS
    ACOS
    ACOSH
    ASIN
    ASINH
    ATAN
    ATANH
    CEIL
    COS
    COSH
    DEG
    EXP
    FLOOR
    LN
    LOG10
    LOG2
    NEGATE
    RAD
    SGN
    SIN
    SINH
    SQRT
    TAN
    TANH
    ROUND
    CLAMP
    MINUTE
    HOUR
    DAY_OF_WEEK
    DAY_OF_MONTH
    DAY_OF_YEAR
    DAYS_IN_MONTH
    MONTH
    YEAR

cdef double PI = 3.141592653589793


cdef double _math(int function, double x) noexcept nogil:
    if function == ABS:
        return fabs(x)
    if function == CEIL:
        return ceil(x)
    if function == FLOOR:
        return floor(x)
    if function == NEGATE:
        return -x
    if function == SGN:
        return -1.0 if x < 0 else (1.0 if x > 0 else x)
    if function == SQRT:
        return sqrt(x)
    if function == EXP:
        return exp(x)
    if function == LN:
        return log(x)
    if function == LOG2:
        return log2(x)
    if function == LOG10:
        return log10(x)
    if function == RAD:
        return x * PI / 180
    if function == DEG:
        return x * 180 / PI
    return _trigonometry(function, x)


cdef double _trigonometry(int function, double x) noexcept nogil:
    if function == SIN:
        return sin(x)
    if function == COS:
        return cos(x)
    if function == TAN:
        return tan(x)
    if function == ASIN:
        return asin(x)
    if function == ACOS:
        return acos(x)
    if function == ATAN:
        return atan(x)
    if function == SINH:
        return sinh(x)
    if function == COSH:
        return cosh(x)
    if function == TANH:
        return tanh(x)
    if function == ASINH:
        return asinh(x)
    if function == ACOSH:
        return acosh(x)
    return atanh(x)


cdef inline int64_t _floor_div(int64_t a, int64_t b) noexcept nogil:
    return a // b - (a % b < 0)


cdef bint _leap(int64_t year) noexcept nogil:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


# 1 January of the year -292277022399, the least that Go's time package counts from.
cdef int64_t _GO_YEAR_ZERO = -9223372028715321600LL


cdef double _date(int function, double value) noexcept nogil:
    """A part of the UTC date of a Unix time in seconds; proleptic Gregorian, days counted from 1 March 0000.

    What is no int64 becomes the least one, and what is before the year -292277022399 is taken modulo 2^64, as Go's
    ``time`` does on amd64: NaN has a date.
    """
    cdef int64_t seconds = INT64_MIN
    cdef int64_t era, of_era, year, of_year, month_index, month, day, second
    if value >= -9223372036854775808.0 and value < 9223372036854775808.0:
        seconds = <int64_t>value
    day = _floor_div(seconds, 86400)
    if seconds < _GO_YEAR_ZERO:
        day = <int64_t>(<uint64_t>seconds // 86400ULL)
    second = <int64_t>(<uint64_t>seconds - <uint64_t>day * 86400ULL)
    if function == HOUR:
        return second // 3600
    if function == MINUTE:
        return second % 3600 // 60
    if function == DAY_OF_WEEK:
        return (day + 4) - _floor_div(day + 4, 7) * 7
    day += 719468
    era = _floor_div(day, 146097)
    of_era = day - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month_index = (5 * of_year + 2) // 153
    month = month_index + 3 if month_index < 10 else month_index - 9
    year += era * 400 + (month <= 2)
    if function == DAY_OF_MONTH:
        return of_year - (153 * month_index + 2) // 5 + 1
    if function == MONTH:
        return month
    if function == YEAR:
        return year
    if function == DAY_OF_YEAR:
        return of_year - 306 + 1 if month <= 2 else of_year + 31 + 28 + _leap(year) + 1
    if month == 2:
        return 28 + _leap(year)
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


def apply(int function, double[:, ::1] values, const double[::1] first=None, const double[::1] second=None):
    """Applies a Function to every sample, in place.

    ROUND takes ``first`` float64[steps], the multiple to round to; CLAMP takes minimum and maximum, and where a step's
    maximum is below its minimum the step becomes absent.
    """
    cdef Py_ssize_t i, k, n = values.shape[0], steps = values.shape[1]
    cdef double x, inverse
    if function == ROUND or function == CLAMP:
        missing = first is None or first.shape[0] < steps
        if missing or (function == CLAMP and (second is None or second.shape[0] < steps)):
            raise ValueError("a parameter row is missing")
    with nogil:
        for i in range(n):
            for k in range(steps):
                x = values[i, k]
                if absent(x):
                    continue
                if function < ROUND:
                    x = _math(function, x)
                elif function >= MINUTE:
                    x = _date(function, x)
                elif function == ROUND:
                    # The inverse, not a quotient: Prometheus rounds this way.
                    inverse = 1.0 / first[k]
                    x = floor(x * inverse + 0.5) / inverse
                elif second[k] < first[k]:
                    x = absent_value()
                else:
                    x = max_of(first[k], min_of(second[k], x))
                values[i, k] = x


def with_scalar(int operator, double[:, ::1] values, const double[::1] scalar, *, bint scalar_left, int keep):
    """``values operator scalar`` (or the other way round) in place; ``scalar`` is float64[steps].

    ``keep`` BOOL makes a comparison 0 or 1; otherwise it keeps the vector's sample where the comparison holds.
    """
    cdef Py_ssize_t i, n = values.shape[0], steps = values.shape[1]
    cdef Pair pair = pair_of(operator, keep if keep == BOOL else (RIGHT if scalar_left else LEFT))
    if scalar.shape[0] < steps:
        raise ValueError("rows of different lengths")
    if n == 0 or steps == 0:
        return
    with nogil:
        for i in range(n):
            if scalar_left:
                pair(&scalar[0], &values[i, 0], &values[i, 0], steps)
            else:
                pair(&values[i, 0], &scalar[0], &values[i, 0], steps)


def pairs(
    int operator,
    RowParts left not None,
    const int64_t[::1] left_row,
    RowParts right not None,
    const int64_t[::1] right_row,
    *,
    int keep,
    bint in_place=False,
):
    """float64[pairs, steps]: ``left[left_row[i]] operator right[right_row[i]]``, absent where either is.

    in_place: written over ``left`` where it is one matrix whose rows are the pairs, one after the other; it must be the
    caller's own.
    """
    cdef Py_ssize_t i, n = left_row.shape[0], steps = left.steps
    cdef Pair pair = pair_of(operator, keep)
    if right_row.shape[0] != n or right.steps != steps:
        raise ValueError("columns of different lengths")
    _check_rows(left_row, left.count)
    _check_rows(right_row, right.count)
    if n != left.count or len(left.parts) != 1:
        in_place = False
    for i in range(n if in_place else 0):
        if left_row[i] != i:
            in_place = False
            break
    result = left.parts[0] if in_place else None
    if result is None or not result.flags.writeable:
        result = np.empty((n, steps))
    cdef double[:, ::1] out = result
    if n == 0 or steps == 0:
        return result
    with nogil:
        for i in range(n):
            pair(left.row[left_row[i]], right.row[right_row[i]], &out[i, 0], steps)
    return result


cdef int _check_rows(const int64_t[::1] row, Py_ssize_t limit) except -1:
    cdef Py_ssize_t i
    for i in range(row.shape[0]):
        if not 0 <= row[i] < limit:
            raise ValueError("row out of range")
    return 0


def present_rows(const double[:, ::1] values):
    """bool[n]: the rows that are not absent at every step."""
    cdef Py_ssize_t i, k, n = values.shape[0], steps = values.shape[1]
    out = np.zeros(n, np.bool_)
    cdef uint8_t[::1] found = out.view(np.uint8)
    with nogil:
        for i in range(n):
            for k in range(steps):
                if not absent(values[i, k]):
                    found[i] = 1
                    break
    return out


def presence(const double[:, ::1] values, const int64_t[::1] key, Py_ssize_t keys):
    """uint8[keys, steps]: whether any row with that key has a sample at the step."""
    cdef Py_ssize_t i, k, n = values.shape[0], steps = values.shape[1]
    _check_rows(key, keys)
    result = np.zeros((keys, steps), np.uint8)
    cdef uint8_t[:, ::1] out = result
    if key.shape[0] != n:
        raise ValueError("columns of different lengths")
    with nogil:
        for i in range(n):
            for k in range(steps):
                out[key[i], k] |= not absent(values[i, k])
    return result


def mask_rows(double[:, ::1] values, const int64_t[::1] key, const uint8_t[:, ::1] allowed, *, bint where):
    """Makes absent, in place, what stands at a step where ``allowed[key[i], k]`` is not ``where``."""
    cdef Py_ssize_t i, k, n = values.shape[0], steps = values.shape[1]
    _check_rows(key, allowed.shape[0])
    if key.shape[0] != n or allowed.shape[1] != steps:
        raise ValueError("columns of different lengths")
    with nogil:
        for i in range(n):
            for k in range(steps):
                if allowed[key[i], k] != where:
                    values[i, k] = absent_value()


def find_clash(const double[:, ::1] values, const int64_t[::1] key, Py_ssize_t keys, const uint8_t[::1] counts):
    """The first (row, later row) with one key and samples at one step where ``counts[k]``; None if there is none."""
    cdef Py_ssize_t i, k, n = values.shape[0], steps = values.shape[1]
    cdef int64_t first = -1, second = -1
    _check_rows(key, keys)
    if key.shape[0] != n or counts.shape[0] != steps:
        raise ValueError("columns of different lengths")
    cdef int64_t[::1] seen = np.empty(keys + 1, np.int64)
    with nogil:
        for k in range(steps):
            if not counts[k]:
                continue
            memset(&seen[0], 0xFF, keys * sizeof(int64_t))
            for i in range(n):
                if absent(values[i, k]):
                    continue
                if seen[key[i]] >= 0:
                    first = seen[key[i]]
                    second = i
                    break
                seen[key[i]] = i
            if second >= 0:
                break
    return (first, second) if second >= 0 else None


def merge_rows(const double[:, ::1] values, const int64_t[::1] key, Py_ssize_t keys):
    """(float64[keys, steps], clash): rows with one key laid over each other, and whether two met at a step."""
    cdef Py_ssize_t i, k, n = values.shape[0], steps = values.shape[1]
    cdef bint clash = False
    _check_rows(key, keys)
    if key.shape[0] != n:
        raise ValueError("columns of different lengths")
    result = np.empty((keys, steps))
    cdef double[:, ::1] out = result
    with nogil:
        for i in range(keys):
            for k in range(steps):
                out[i, k] = absent_value()
        for i in range(n):
            for k in range(steps):
                if not absent(values[i, k]):
                    clash |= not absent(out[key[i], k])
                    out[key[i], k] = values[i, k]
    return result, bool(clash)
