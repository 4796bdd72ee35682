# Rows of several step matrices, addressed as if they were those of one.

cdef class RowParts:
    """Row i is ``row[i]``, ``steps`` numbers; the matrices are kept alive."""

    cdef const double** row
    cdef Py_ssize_t steps
    cdef Py_ssize_t count
    cdef list parts
