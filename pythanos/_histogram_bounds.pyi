import numpy as np
from numpy.typing import NDArray

def upper_bounds(index: NDArray[np.int32], schema: int) -> NDArray[np.float64]: ...
