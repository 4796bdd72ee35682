import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import LabelColumn

Rows = tuple[LabelColumn, NDArray[np.float64], NDArray[np.int64] | None, HistogramColumns | None]

def decode_results(
    data: bytes, start_ms: int, step_ms: int, count: int, *, source: str
) -> tuple[Rows | None, list[tuple[int, bytes]]]: ...
