from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import SampleBatch

MIXED: int
IGNORED: int
NOT_COUNTER: int
NOT_GAUGE: int
MIXED_SCHEMAS: int
COLLISION: int
OVERLAP: int
RECONCILED_ADD: int
RECONCILED_SUB: int
RECONCILED_AGG: int

def histogram_rows(
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
    sizes: NDArray[np.int64],
    start_timestamps: NDArray[np.int64] | None = None,
    base: NDArray[np.int64] | None = None,
    factor: NDArray[np.float64] | None = None,
    check: Callable[[], None] | None = None,
) -> tuple[NDArray[np.int64], HistogramColumns, NDArray[np.uint16], int, int]: ...
