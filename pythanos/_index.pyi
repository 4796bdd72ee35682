from collections.abc import Sequence

from numpy.typing import ArrayLike
from typing_extensions import Buffer

from pythanos._symbols import SymbolTable
from pythanos.model.entries import SeriesEntries

def decode_series(
    parts: Buffer | Sequence[Buffer],
    entry_offset: ArrayLike,
    symbols: SymbolTable,
    mint: int,
    maxt: int,
    *,
    part: ArrayLike | None = None,
    part_start: ArrayLike | None = None,
    external: bytes = b"",
    drop: tuple[bytes, ...] = (),
    skip_chunks: bool = False,
    check_crc: bool = False,
    file: str = "index",
) -> SeriesEntries: ...
