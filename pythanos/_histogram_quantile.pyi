import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns

NAN_RESULT: int
NAN_SKEW: int
NAN_EXCLUDED: int

def quantile(
    columns: HistogramColumns, rows: NDArray[np.int64], q: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]: ...
def fraction(
    columns: HistogramColumns, rows: NDArray[np.int64], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]: ...
def spread(columns: HistogramColumns, rows: NDArray[np.int64]) -> NDArray[np.float64]: ...
