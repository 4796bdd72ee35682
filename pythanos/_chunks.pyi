import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer

from pythanos._histogram_encode import encode_histograms as encode_histograms
from pythanos.model.chunks import ChunkRows, DecodedChunks

Encoded = tuple[bytes, NDArray[np.int64], NDArray[np.int32]]

def decode_chunks(
    arena: Buffer,
    offset: ArrayLike,
    length: ArrayLike,
    encoding: ArrayLike,
    *,
    file: str = "chunks",
    exact: bool = False,
) -> DecodedChunks: ...
def encode_floats(
    timestamps: ArrayLike,
    values: ArrayLike,
    start: ArrayLike,
    encoding: int = 1,
    start_timestamps: ArrayLike | None = None,
) -> Encoded: ...
def join_aggregates(
    arena: Buffer, start: ArrayLike, kind: ArrayLike, offset: ArrayLike, length: ArrayLike, encoding: ArrayLike
) -> Encoded: ...
def split_aggregates(
    arena: Buffer, offset: ArrayLike, length: ArrayLike, encoding: ArrayLike, *, file: str = "chunks"
) -> ChunkRows: ...
def limit_instructions(plain: bool) -> None: ...
