import numpy as np
from numpy.typing import NDArray

def bucket_rows(
    values: NDArray[np.float64],
    bound: NDArray[np.float64],
    order: NDArray[np.int64],
    start: NDArray[np.int64],
    first: NDArray[np.float64],
    second: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
