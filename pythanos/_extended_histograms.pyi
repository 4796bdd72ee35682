from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import SampleBatch

def extended_histogram_rows(
    function: int,
    samples: SampleBatch,
    columns: HistogramColumns,
    start: NDArray[np.int64],
    timestamps: NDArray[np.int64],
    row: NDArray[np.int64],
    out: NDArray[np.float64],
    *,
    first_end: int,
    end_step: int,
    range_ms: int,
    lookback_ms: int,
    sizes: NDArray[np.int64],
    smoothed: bool = False,
    start_timestamps: NDArray[np.int64] | None = None,
    check: Callable[[], None] | None = None,
) -> tuple[NDArray[np.int64], HistogramColumns, NDArray[np.uint16], int, int]: ...
def smoothed_histogram_rows(
    samples: SampleBatch,
    columns: HistogramColumns,
    start: NDArray[np.int64],
    timestamps: NDArray[np.int64],
    row: NDArray[np.int64],
    out: NDArray[np.float64],
    *,
    first_end: int,
    end_step: int,
    lookback_ms: int,
    sizes: NDArray[np.int64],
    check: Callable[[], None] | None = None,
) -> tuple[NDArray[np.int64], HistogramColumns, NDArray[np.uint16], int, int]: ...
