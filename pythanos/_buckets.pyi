import numpy as np
from numpy.typing import NDArray

from pythanos._row_parts import RowParts

def limit_lanes(lanes: int) -> None: ...
def bucket_rows(
    values: RowParts,
    bound: NDArray[np.float64],
    order: NDArray[np.int64],
    start: NDArray[np.int64],
    first: NDArray[np.float64],
    second: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
