"""The value of a query as messages of the QueryAPI: a kernel writes the series, here they only get their head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels
from pythanos._histogram_take import take_rows
from pythanos._remote_read import sample_series
from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import STALE_NAN_BITS, LabelColumn, SampleBatch
from pythanos.promql.values import HistogramRows, Matrix, Scalar, Value, Vector

# The fields ``timeseries`` and ``timeseries_batch`` of both kinds of response.
SERIES_TAG, BATCH_TAG = b"\x12", b"\x22"


def series_messages(value: Value, batch_size: int) -> Iterator[bytes]:
    """The series of a value: ``batch_size`` in a message, below 2 one each, not as a batch.

    A scalar is a series without labels. As in Thanos a string and a range vector are none.
    """
    if isinstance(value, Matrix):
        columns = value.labels, value.values, value.histograms, value.steps.times()
    elif isinstance(value, Vector):
        columns = value.labels, value.values.reshape(-1, 1), value.histograms, np.array([value.time_ms], np.int64)
    elif isinstance(value, Scalar):
        labels, time = _labels.labels_from_dicts([{}]), np.array([value.time_ms], np.int64)
        columns = labels, np.array([[value.value]]), None, time
    else:
        return
    size = max(1, batch_size)
    for first in range(0, len(columns[1]), size):
        body = sample_series(_samples(*columns, slice(first, first + size)))
        if not body:
            continue
        if batch_size > 1:
            yield b"".join((BATCH_TAG, _uvarint(len(body)), body))
        else:
            # A series in a batch has the same form but for the number of its field.
            yield SERIES_TAG + body[1:]


def _samples(
    labels: LabelColumn,
    values: NDArray[np.float64],
    histograms: HistogramRows | None,
    times: NDArray[np.int64],
    rows: slice,
) -> SampleBatch:
    chosen = np.ascontiguousarray(values[rows])
    present = chosen.view(np.int64) != STALE_NAN_BITS
    columns = None if histograms is None else _histograms(histograms.row[rows], histograms.columns, times)
    at = np.broadcast_to(times, present.shape)[present]
    return SampleBatch(labels.take(rows), _starts(present), at, chosen[present], None, columns)


def _histograms(row: NDArray[np.int64], columns: HistogramColumns, times: NDArray[np.int64]) -> HistogramColumns | None:
    present = row >= 0
    if not present.any():
        return None
    taken = take_rows(columns, row[present])
    at = np.broadcast_to(times, present.shape)[present]
    return replace(taken, start=_starts(present), chunk_reset=np.zeros(len(row), np.uint8), timestamps=at)


def _starts(present: NDArray[np.bool_]) -> NDArray[np.int64]:
    start = np.zeros(len(present) + 1, np.int64)
    np.cumsum(present.sum(axis=1), out=start[1:])
    return start


def _uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
