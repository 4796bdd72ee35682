"""What a query evaluates to: scalar, string, vector, matrix, range vector, all in columns.

Absence inside a matrix is the staleness marker's bit pattern (``model.series.ABSENT``), which no evaluation produces
as a value; every other NaN is a result. Arrays belong to the receiver of a result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import LabelColumn, SampleBatch


@dataclass(frozen=True, slots=True)
class Steps:
    """The times of an evaluation: ``count`` of them, ``step_ms`` apart, beginning at ``start_ms`` (Unix ms).

    ``step_ms`` is at least 1; it means nothing where ``count`` is 1.
    """

    start_ms: int
    step_ms: int
    count: int

    @property
    def end_ms(self) -> int:
        """The last step; before ``start_ms`` where there is none."""
        return self.start_ms + (self.count - 1) * self.step_ms

    def times(self) -> NDArray[np.int64]:
        """int64[count] ms."""
        return self.start_ms + self.step_ms * np.arange(self.count, dtype=np.int64)

    @classmethod
    def between(cls, start_ms: int, end_ms: int, step_ms: int) -> Steps:
        """start, start + step, ... up to and including ``end_ms``."""
        return cls(start_ms, step_ms, max(0, (end_ms - start_ms) // step_ms + 1))


@dataclass(slots=True)
class Growth:
    """Differences of histograms that are left to be calculated, which saves writing and reading them.

    base int64[n, steps], factor float64[n, steps]: where there is a base, -1 elsewhere, what stands there is not
    ``columns[row]`` but ``(columns[row] - columns[base]) * factor``, a gauge; the two rows have one layout.
    """

    base: NDArray[np.int64]
    factor: NDArray[np.float64]


@dataclass(slots=True)
class HistogramRows:
    """The native histograms of a vector or matrix.

    ``row`` int64[n, steps]: which row of ``columns`` stands at a series and a step, -1 where none does. Where both a
    float and a histogram were possible only one is present.

    growth: None, but in the blocks of a receiver that has asked for it.
    """

    row: NDArray[np.int64]
    columns: HistogramColumns
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    time_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class String:
    time_ms: int
    value: str


@dataclass(slots=True)
class Vector:
    """One sample for each of n series at one time, in the order of evaluation (sorted where the expression sorts).

    labels: LabelColumn of n; values: float64[n], none absent unless ``histograms`` has the sample (its ``row`` is
    int64[n, 1]).
    """

    time_ms: int
    labels: LabelColumn
    values: NDArray[np.float64]
    histograms: HistogramRows | None = None


@dataclass(slots=True)
class Matrix:
    """Samples of n series at the same steps, series in label order.

    labels: LabelColumn of n; values: float64[n, steps.count], C order, absent where a series has no sample at a step;
    no series is absent everywhere.
    """

    steps: Steps
    labels: LabelColumn
    values: NDArray[np.float64]
    histograms: HistogramRows | None = None


@dataclass(slots=True)
class RangeVector:
    """Samples of series at their own times: the value of a bare range selector. Each series has one sample at least.

    ``samples.labels`` in label order; no staleness markers.
    """

    samples: SampleBatch


Value = Scalar | String | Vector | Matrix | RangeVector
