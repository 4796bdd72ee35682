from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

class RowParts:
    def __init__(self, parts: Iterable[NDArray[np.float64]], steps: int) -> None: ...
    def __len__(self) -> int: ...
