"""Settings of glibc's allocator that fit batches of a few megabytes which come and go.

By default every thread gets an arena of its own, and each batch is mapped from the system and given back, which costs a
page fault per 4 KiB: a fifth of the time of a select, measured with bench/bench_store_series.py.
"""

from __future__ import annotations

import ctypes

# Numbered as in malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
KEPT_BYTES = 64 << 20
ARENAS = 4


def keep_freed_memory() -> bool:
    """Blocks up to 32 MiB come from few shared arenas, which keep up to 64 MiB each; False where there is no glibc.

    For daemons, before they start threads; what the process has allocated already stays as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # 32 MiB is the largest threshold that the allocator takes on 64-bit systems.
    settings = ((M_ARENA_MAX, ARENAS), (M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, KEPT_BYTES))
    return all([mallopt(option, value) == 1 for option, value in settings])
