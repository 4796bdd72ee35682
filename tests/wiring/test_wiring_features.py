"""Feature flags of the querier reach the engine under the names that Prometheus and Thanos give them."""

from __future__ import annotations

import pytest

from pythanos import config
from pythanos.context import RequestContext
from pythanos.daemons.querying import QuerySection
from pythanos.errors import BadRequest, ConfigError
from pythanos.promql.engine import Engine, InstantQuery
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.workers import Workers


def engine(text: str) -> Engine:
    return Engine(config.loads(text, QuerySection).engine_options(), Workers.inline())


def ask(asked: Engine, text: str) -> object:
    queryable = MemoryQueryable()
    queryable.add({"__name__": "m", "job": "a"}, [0, 30_000, 60_000], [1, 2, 3])
    return asked.instant(RequestContext(), queryable, InstantQuery(text, 60_000)).value


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("enable_feature: [promql-experimental-functions]", "limitk(1, m)"),
        ("enable_feature: [promql-experimental-functions]", "info(m)"),
        ("enable_feature: [promql-extended-range-selectors]", "rate(m[1m] anchored)"),
        ("enable_feature: [promql-extended-range-selectors]", "m smoothed"),
        ("enable_feature: [promql-binop-fill-modifiers]", "m + fill(1) m"),
        ("query: {enable_x_functions: true}", "xincrease(m[1m])"),
    ],
)
def test_a_part_of_the_language_is_off_until_its_flag_is_set(setting: str, text: str) -> None:
    with pytest.raises(BadRequest, match=r"not enabled|must be enabled|unknown function"):
        ask(engine(""), text)
    assert len(ask(engine(setting), text).values) == 1


def test_the_other_flags_are_options_of_the_engine() -> None:
    flags = "promql-delayed-name-removal, type-and-unit-labels, use-start-timestamps, promql-duration-expr"
    options = engine(f"enable_feature: [{flags}]").options
    assert (options.delayed_names, options.type_and_unit_labels, options.use_start_timestamps) == (True, True, True)
    options = engine("").options
    assert (options.delayed_names, options.type_and_unit_labels, options.use_start_timestamps) == (False, False, False)


def test_an_unknown_flag_is_an_error() -> None:
    with pytest.raises(ConfigError, match="enable_feature"):
        engine("enable_feature: [promql-everything]")


@pytest.mark.parametrize(
    ("text", "bytes_max"), [("", 1 << 20), ("query: {max_bytes: 10MiB}", 10 << 20), ("query: {max_bytes: 0}", 0)]
)
def test_a_query_may_hold_a_quarter_of_the_memory_unless_the_configuration_says_how_much(
    text: str, bytes_max: int
) -> None:
    """0 is no limit."""
    assert config.loads(text, QuerySection).engine_options(4 << 20).limits.bytes_max == bytes_max
