import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns

FLOAT: int

def sample_sizes(columns: HistogramColumns) -> NDArray[np.int64]: ...
def points(row: NDArray[np.int64], columns: HistogramColumns) -> int: ...
def meet(
    values: NDArray[np.float64],
    row: NDArray[np.int64] | None,
    columns: HistogramColumns | None,
    group: NDArray[np.int64],
    floats: NDArray[np.uint8],
    first: NDArray[np.uint8],
    met: NDArray[np.uint8],
) -> tuple[NDArray[np.bool_], bool]: ...
