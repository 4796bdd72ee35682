"""Rows of several step matrices, addressed as if they were those of one, which would have to be written first."""

from libc.stdlib cimport free, malloc


cdef class RowParts:
    """The rows of ``parts``, each float64[any, steps], in order; they must not change while this is in use."""

    def __cinit__(self, parts, Py_ssize_t steps):
        cdef const double[:, ::1] view
        cdef Py_ssize_t i, at = 0
        self.parts = list(parts)
        self.steps = steps
        self.count = sum(map(len, self.parts))
        self.row = <const double**>malloc((self.count + 1) * sizeof(double*))
        if self.row == NULL:
            raise MemoryError
        for part in self.parts:
            view = part
            if view.shape[1] != steps:
                raise ValueError("rows of different lengths")
            for i in range(view.shape[0]):
                self.row[at] = &view[i, 0]
                at += 1

    def __dealloc__(self):
        free(self.row)

    def __len__(self):
        return self.count
