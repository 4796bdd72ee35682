"""Kernels that write histograms out refuse columns whose numbers reach outside them (XC-80)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from histogram_arithmetic import columns_of

from pythanos import _labels
from pythanos._chunks import encode_histograms
from pythanos._remote_read import sample_series
from pythanos.model.histogram import CUSTOM_BUCKETS_SCHEMA, HistogramColumns
from pythanos.model.series import SampleBatch
from pythanos.testing.promqltest.histograms import Histogram

COLUMNS = columns_of([Histogram(CUSTOM_BUCKETS_SCHEMA, 2.0, bounds=(1.0, 4.0), positive={0: 1.0, 2: 1.0})] * 2)
LAYOUTS = COLUMNS.layouts


def _chunks(columns: HistogramColumns) -> None:
    encode_histograms(columns)


def _message(columns: HistogramColumns) -> None:
    series = _labels.labels_from_dicts([{"n": "1"}])
    sample_series(SampleBatch(series, np.zeros(2, np.int64), np.zeros(0, np.int64), np.zeros(0), histograms=columns))


WRONG = {
    "a count is missing": replace(COLUMNS, zero_count=COLUMNS.zero_count[:1]),
    "no such layout": replace(COLUMNS, layout=np.array([0, 1], np.int32)),
    "fewer buckets than are begun": replace(COLUMNS, buckets=COLUMNS.buckets[:-1]),
    "buckets that begin before others": replace(COLUMNS, bucket_start=COLUMNS.bucket_start[::-1]),
    "fewer spans than are begun": replace(COLUMNS, layouts=replace(LAYOUTS, span_offset=LAYOUTS.span_offset[:-1])),
    "spans without lengths": replace(COLUMNS, layouts=replace(LAYOUTS, span_length=LAYOUTS.span_length[:-1])),
    "fewer bounds than are begun": replace(COLUMNS, layouts=replace(LAYOUTS, bounds=LAYOUTS.bounds[:-1])),
    "negative spans behind all spans": replace(COLUMNS, layouts=replace(LAYOUTS, negative_start=np.array([9]))),
}


@pytest.mark.parametrize("write", [_chunks, _message])
def test_what_fits_is_written(write: Callable[[HistogramColumns], None]) -> None:
    write(COLUMNS)


@pytest.mark.parametrize("write", [_chunks, _message])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_reaches_outside_is_refused(write: Callable[[HistogramColumns], None], wrong: str) -> None:
    with pytest.raises(ValueError):
        write(WRONG[wrong])
