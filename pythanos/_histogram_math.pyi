import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns

INCOMPATIBLE: int
RECONCILED: int
RESET_COLLISION: int

def add(
    a: HistogramColumns,
    rows_a: NDArray[np.int64],
    b: HistogramColumns,
    rows_b: NDArray[np.int64],
    *,
    subtract: bool = False,
) -> tuple[HistogramColumns, NDArray[np.uint8]]: ...
def scale(
    columns: HistogramColumns, rows: NDArray[np.int64], factor: NDArray[np.float64], *, divide: bool = False
) -> HistogramColumns: ...
def trim(
    columns: HistogramColumns, rows: NDArray[np.int64], limit: NDArray[np.float64], *, upper: bool
) -> HistogramColumns: ...
def compact(columns: HistogramColumns) -> HistogramColumns: ...
def supported(columns: HistogramColumns) -> HistogramColumns: ...
def equals(
    a: HistogramColumns, rows_a: NDArray[np.int64], b: HistogramColumns, rows_b: NDArray[np.int64]
) -> NDArray[np.bool_]: ...
def detect_resets(columns: HistogramColumns) -> NDArray[np.bool_]: ...
