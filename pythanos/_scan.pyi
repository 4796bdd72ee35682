import numpy as np
from numpy.typing import NDArray

from pythanos._dedup import SeriesDecoder

def scan_ranges(
    decoder: SeriesDecoder,
    function: int,
    out: NDArray[np.float64],
    *,
    first: int = 0,
    first_end: int,
    end_step: int,
    range_ms: int,
    eval_start: int,
    eval_step: int,
    first_parameter: NDArray[np.float64] | None = None,
    second_parameter: NDArray[np.float64] | None = None,
) -> tuple[int, int]: ...
def scan_instants(
    decoder: SeriesDecoder, out: NDArray[np.float64], *, first_end: int, end_step: int, lookback_ms: int
) -> int: ...
