import numpy as np
from numpy.typing import ArrayLike, NDArray

from pythanos.model.histogram import HistogramColumns

def encode_histograms(
    columns: HistogramColumns, encoding: ArrayLike | None = None
) -> tuple[bytes, NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]]: ...
