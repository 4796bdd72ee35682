import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer

Bytes = NDArray[np.int64]
Lengths = NDArray[np.int32]
Encodings = NDArray[np.uint8]

def locate_chunks(
    arena: Buffer,
    record: ArrayLike,
    *,
    check_crc: bool = True,
    file: str = "chunks",
    file_offset: int = 0,
    partial: bool = False,
) -> tuple[Encodings, Bytes, Lengths, Bytes, NDArray[np.int64]]: ...
def scan_chunks(
    arena: Buffer, *, check_crc: bool = True, file: str = "chunks"
) -> tuple[Bytes, Encodings, Bytes, Lengths]: ...
def plan_segments(
    length: ArrayLike, series_start: ArrayLike, position: int, limit: int
) -> tuple[NDArray[np.int64], Bytes, int]: ...
def frame_chunks(arena: Buffer, offset: ArrayLike, length: ArrayLike, encoding: ArrayLike) -> bytes: ...
