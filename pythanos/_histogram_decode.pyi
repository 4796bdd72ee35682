from numpy.typing import ArrayLike
from typing_extensions import Buffer

from pythanos.model.histogram import HistogramColumns

def decode_histograms(
    arena: Buffer,
    offset: ArrayLike,
    length: ArrayLike,
    encoding: ArrayLike,
    *,
    file: str = "chunks",
    exact: bool = False,
) -> HistogramColumns: ...
def limit_instructions(plain: bool) -> None: ...
