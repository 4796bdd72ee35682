from typing_extensions import Buffer

from pythanos.model.series import SeriesBatch

class NotCanonical(Exception): ...

def encode_series(batch: SeriesBatch, first: int = 0, last: int | None = None, *, batched: bool = True) -> bytes: ...
def decode_series(
    data: Buffer, *, source: str = "series response"
) -> tuple[SeriesBatch | None, list[tuple[int, bytes]]]: ...
