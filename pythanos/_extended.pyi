import enum

import numpy as np
from numpy.typing import NDArray

class Function(enum.IntEnum):
    RATE = ...
    INCREASE = ...
    DELTA = ...
    CHANGES = ...
    RESETS = ...
    XRATE = ...
    XINCREASE = ...
    XDELTA = ...

def extended_rows(
    function: int,
    start: NDArray[np.int64],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
    out: NDArray[np.float64],
    *,
    first_end: int,
    end_step: int,
    range_ms: int,
    lookback_ms: int,
    smoothed: bool = False,
    start_timestamps: NDArray[np.int64] | None = None,
) -> tuple[int, int]: ...
def smoothed_rows(
    start: NDArray[np.int64],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
    out: NDArray[np.float64],
    *,
    first_end: int,
    end_step: int,
    lookback_ms: int,
) -> int: ...
def extended_samples(
    start: NDArray[np.int64],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
    mint: int,
    maxt: int,
    *,
    lookback_ms: int,
    smoothed: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]: ...
def without_stale(
    start: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None: ...
