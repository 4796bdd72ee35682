"""Metrics of queries by their size."""

import pytest
from prometheus_client import CollectorRegistry

from pythanos.context import RequestContext
from pythanos.query.query_log import QueryLog, QueryRun
from pythanos.query.telemetry import QueryTelemetry, TelemetryConfig

ENGINE = {"engine": "thanos", "mode": "local"}
DURATIONS = "thanos_store_api_query_duration_seconds_count"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def run(registry: CollectorRegistry, telemetry: QueryTelemetry, series: int, read: int, error: str = "") -> None:
    query = QueryRun("up", 0, 0)
    with QueryLog(lambda: 0.0, telemetry=telemetry).running(RequestContext(tenant="t"), query):
        assert registry.get_sample_value("prometheus_engine_queries", ENGINE) == 1
        query.series, query.read, query.samples = series, read, 2 * read
        if error:
            raise ValueError(error)


@pytest.mark.parametrize(
    ("series", "read", "series_le", "samples_le"),
    [(1, 1, "10", "100"), (10, 100, "10", "100"), (11, 101, "100", "1000"), (100_000, 2_000_000, "+Inf", "+Inf")],
)
def test_a_query_is_counted_by_what_it_read(
    registry: CollectorRegistry, series: int, read: int, series_le: str, samples_le: str
) -> None:
    """The least bound that is no less; the last bound itself is beyond, as in Thanos."""
    run(registry, QueryTelemetry(TelemetryConfig(), registry, 20), series, read)
    labels = {"series_le": series_le, "samples_le": samples_le, "tenant": "t"}
    assert registry.get_sample_value(DURATIONS, labels) == 1
    assert registry.get_sample_value("prometheus_engine_query_samples_total", ENGINE) == 2 * read
    assert registry.get_sample_value("prometheus_engine_queries_concurrent_max", ENGINE) == 20
    assert registry.get_sample_value("prometheus_engine_queries", ENGINE) == 0


def test_queries_without_data_and_failures_are_no_duration(registry: CollectorRegistry) -> None:
    telemetry = QueryTelemetry(TelemetryConfig(), registry, 20)
    run(registry, telemetry, 0, 0)
    with pytest.raises(ValueError, match="no"):
        run(registry, telemetry, 5, 5, "no")
    names = {sample.name for metric in registry.collect() for sample in metric.samples}
    assert DURATIONS not in names
    timings = {**ENGINE, "slice": "inner_eval"}
    assert registry.get_sample_value("prometheus_engine_query_duration_seconds_count", timings) == 2


def test_bounds_rise() -> None:
    with pytest.raises(ValueError, match="request_samples_quantiles must rise"):
        TelemetryConfig(request_samples_quantiles=(2, 1))
