from pythanos.model.series import SampleBatch, SeriesBatch

NAIVE: int
PENALTY: int
CHAIN: int
AVERAGE: int

def decode_series(
    batch: SeriesBatch,
    *,
    mint: int = ...,
    maxt: int = ...,
    aggregate: int = 0,
    algorithm: int = ...,
    counter: bool = False,
    file: str = "chunks",
) -> SampleBatch: ...

class SeriesDecoder:
    floats_only: bool

    def __init__(
        self,
        batch: SeriesBatch,
        *,
        mint: int = ...,
        maxt: int = ...,
        aggregate: int = 0,
        algorithm: int = ...,
        counter: bool = False,
        file: str = "chunks",
    ) -> None: ...
    def samples(self) -> SampleBatch: ...
