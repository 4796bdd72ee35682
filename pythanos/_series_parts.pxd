# Which chunk rows the samples of a series come from: the wanted aggregate of each of its chunks, and the virtual
# replica that each chunk belongs to.

from libc.stdint cimport int64_t, uint8_t

from pythanos._arena cimport Growing, append
from pythanos._batches cimport Source

cdef enum:
    C_RAW = 0
    C_COUNT = 1
    C_SUM = 2
    C_COUNTER = 5
    C_AVERAGE = 6
    C_NAIVE = 0
    C_PENALTY = 1
    C_CHAIN = 2
    C_XOR2 = 4

cdef enum Fault:
    NO_FAULT = 0
    FAULT_MEMORY = -100
    FAULT_ABSENT = -101         # a chunk has neither the aggregate nor raw samples
    FAULT_UNALIGNED = -102      # sum and count do not have the same timestamps


cdef struct Part:
    # The chosen chunk row of one AggrChunk, and for averages that of its count (-1: none).
    int64_t mint
    int64_t maxt
    int64_t row
    int64_t count
    int64_t replica


cdef inline bint holds_histograms(uint8_t encoding) noexcept nogil:
    return encoding == 2 or encoding == 3 or encoding == 5 or encoding == 6


cdef inline int64_t choose(const Source* source, int aggregate, Growing* parts, int64_t* part_start) noexcept nogil:
    """Fills `parts` and int64[n + 1] `part_start`; returns NO_FAULT, or a Fault with the series in part_start[0]."""
    cdef Py_ssize_t i, at, end, row
    cdef Part part
    cdef int64_t wanted = C_SUM if aggregate == C_AVERAGE else aggregate
    part.replica = 0
    part_start[0] = 0
    for i in range(source.rows.count):
        at, end = source.chunk_start[i], source.chunk_start[i + 1]
        while at < end:
            part.mint, part.maxt = source.mint[at], source.maxt[at]
            part.row = part.count = -1
            row = at
            while row < end and source.mint[row] == part.mint and source.maxt[row] == part.maxt and (
                row == at or source.aggregate[row] > source.aggregate[row - 1]
            ):
                if source.aggregate[row] == wanted or (source.aggregate[row] == C_RAW and (
                    part.row < 0 or aggregate == C_AVERAGE
                )):
                    # Raw comes first, and is what an average uses if it is there.
                    if not (aggregate == C_AVERAGE and part.row >= 0 and source.aggregate[part.row] == C_RAW):
                        part.row = row
                elif aggregate == C_AVERAGE and source.aggregate[row] == C_COUNT:
                    part.count = row
                row += 1
            if part.row < 0 or (aggregate == C_AVERAGE and source.aggregate[part.row] == C_SUM and part.count < 0):
                part_start[0] = i
                return FAULT_ABSENT
            if source.aggregate[part.row] != C_SUM or aggregate != C_AVERAGE:
                part.count = -1
            if not append(parts, <uint8_t*>&part, sizeof(Part)):
                return FAULT_MEMORY
            at = row
        part_start[i + 1] = parts.size // sizeof(Part)
    return NO_FAULT


cdef inline int64_t deal(Part* parts, Py_ssize_t count, Growing* ends) noexcept nogil:
    """Deals overlapping parts to replicas, each to the first that ends before it; how many, or FAULT_MEMORY."""
    cdef Py_ssize_t i, replica, replicas = 0
    cdef int64_t* last
    ends.size = 0
    for i in range(count):
        last = <int64_t*>ends.data
        replica = 0
        while replica < replicas and last[replica] >= parts[i].mint:
            replica += 1
        if replica == replicas:
            if not append(ends, <uint8_t*>&parts[i].maxt, sizeof(int64_t)):
                return FAULT_MEMORY
            replicas += 1
        else:
            last[replica] = parts[i].maxt
        parts[i].replica = replica
    return replicas
