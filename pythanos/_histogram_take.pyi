import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns

def take_rows(columns: HistogramColumns, rows: NDArray[np.int64]) -> HistogramColumns: ...
def take_histograms(
    columns: HistogramColumns,
    rows: NDArray[np.int64],
    start: NDArray[np.int64],
    divisor: NDArray[np.float64] | None = None,
) -> HistogramColumns: ...
