# Which range function is meant, for all kernels that compute them.

cpdef enum Function:
    RATE
    INCREASE
    DELTA
    IRATE
    IDELTA
    SUM
    AVG
    MIN
    MAX
    COUNT
    PRESENT
    FIRST
    LAST
    STDDEV
    STDVAR
    QUANTILE
    MAD
    CHANGES
    RESETS
    DERIV
    PREDICT_LINEAR
    SMOOTH
    TS_OF_FIRST
    TS_OF_LAST
    TS_OF_MIN
    TS_OF_MAX
