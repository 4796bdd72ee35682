from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer

from pythanos.model.series import LabelColumn, SeriesBatch

Part = TypeVar("Part", bound=Buffer)

def assemble(
    labels: LabelColumn,
    chunk_start: ArrayLike,
    chunk_mint: ArrayLike,
    chunk_maxt: ArrayLike,
    parts: list[Part],
    part: NDArray[np.int32],
    place: NDArray[np.int64],
    *,
    aggregates: tuple[int, ...] = (),
    check_crc: bool = True,
    wire: bool = False,
    files: list[str] | None = None,
    part_start: Sequence[int] | NDArray[np.int64] | None = None,
) -> tuple[SeriesBatch | None, NDArray[np.int64], NDArray[np.int64]]: ...
