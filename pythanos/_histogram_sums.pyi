import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns

INCOMPATIBLE: int
RECONCILED: int
RESET_COLLISION: int

class HistogramSums:
    def __init__(self, steps: int, *, mean: bool = False) -> None: ...
    @property
    def nbytes(self) -> int: ...
    def add(
        self,
        columns: HistogramColumns,
        row: NDArray[np.int64],
        group: NDArray[np.int64],
        base: NDArray[np.int64] | None = None,
        factor: NDArray[np.float64] | None = None,
    ) -> None: ...
    def finish(self, groups: int) -> tuple[NDArray[np.int64], HistogramColumns, NDArray[np.uint8]]: ...
