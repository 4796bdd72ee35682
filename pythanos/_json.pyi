from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import LabelColumn

PIECE_BYTES: int

class HistogramPoints(Protocol):
    @property
    def columns(self) -> HistogramColumns: ...
    @property
    def start(self) -> NDArray[np.int64]: ...
    @property
    def row(self) -> NDArray[np.int64]: ...
    @property
    def timestamps(self) -> NDArray[np.int64]: ...

def print_matrix(
    labels: LabelColumn,
    values: ArrayLike,
    start_ms: int,
    step_ms: int,
    histograms: HistogramPoints | None = None,
    *,
    piece_bytes: int = ...,
) -> Iterator[bytes]: ...
def print_samples(
    labels: LabelColumn,
    start: ArrayLike,
    timestamps: ArrayLike,
    values: ArrayLike,
    histograms: HistogramPoints | None = None,
    *,
    piece_bytes: int = ...,
) -> Iterator[bytes]: ...
def print_vector(
    labels: LabelColumn,
    values: ArrayLike,
    timestamps: ArrayLike,
    histograms: HistogramPoints | None = None,
    *,
    piece_bytes: int = ...,
) -> Iterator[bytes]: ...
def print_labels(labels: LabelColumn, *, piece_bytes: int = ...) -> Iterator[bytes]: ...
def format_double(value: float) -> str: ...
def format_timestamp(ms: int) -> str: ...
def exponential_bound(index: int, schema: int) -> float: ...
