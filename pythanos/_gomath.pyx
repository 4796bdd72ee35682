"""Elementary functions to the last bit of Go's ``math`` on amd64, and so of Prometheus' answers.

The C library's and numpy's round some arguments in a hundred the other way. Other kernels cimport the functions; this
module has them for Python. Sources of the methods: the headers ``_gomath_*.h``.
"""

import numpy as np

ctypedef double (*One)(double) noexcept nogil
ctypedef double (*Two)(double, double) noexcept nogil

# By their names in Go, in small letters.
FUNCTIONS = (
    "exp", "exp2", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh",
)
OPERATORS = ("pow", "atan2")

cdef One[18] _ONE = [
    exp, exp2, log, log2, log10, log1p, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh,
]
cdef Two[2] _TWO = [pow, atan2]


def power(double x, double y):
    """``x`` to the ``y``, as a float; infinite and NaN where Python's own raises."""
    return pow(x, y)


def apply(str name, const double[::1] x):
    """float64[n]: a function of FUNCTIONS of every ``x``. Raises ValueError for another name."""
    cdef Py_ssize_t i, n = x.shape[0]
    cdef One function = _ONE[FUNCTIONS.index(name)]
    out = np.empty(n)
    cdef double[::1] values = out
    with nogil:
        for i in range(n):
            values[i] = function(x[i])
    return out


def combine(str name, const double[::1] x, const double[::1] y):
    """float64[n]: ``pow(x, y)`` or ``atan2(x, y)`` of every pair. Raises ValueError for another name or other lengths."""
    cdef Py_ssize_t i, n = x.shape[0]
    cdef Two function = _TWO[OPERATORS.index(name)]
    if y.shape[0] != n:
        raise ValueError("columns of different lengths")
    out = np.empty(n)
    cdef double[::1] values = out
    with nogil:
        for i in range(n):
            values[i] = function(x[i], y[i])
    return out
