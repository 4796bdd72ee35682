# Functions of windows that look beyond their edges.

cpdef enum Function:
    RATE
    INCREASE
    DELTA
    CHANGES
    RESETS
    XRATE
    XINCREASE
    XDELTA
