import numpy as np
from numpy.typing import NDArray

def number_values(
    values: NDArray[np.float64], group: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]: ...
def count_numbers(index: NDArray[np.int32], place: NDArray[np.int64], places: int) -> NDArray[np.float64]: ...
