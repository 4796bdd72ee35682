"""The graph page in a browser: what people type, see and link to (QU-39)."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from running import Daemon, running_query

# One series, whose name and label stand beyond what PromQL takes without quotes.
NAMED = 'label_replace(label_replace(vector(3.5), "__name__", "my.dotted.name", "", ""), "a.b", "x", "", "")'


@pytest.fixture(scope="module")
def querier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running_query(tmp_path_factory.mktemp("pages"), []) as daemon:
        yield daemon


@pytest.fixture
def page(browser: Any, querier: Daemon) -> Iterator[Any]:
    """A page whose scripts must not fail."""
    context = browser.new_context()
    faults: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    context.close()
    assert faults == []


def shown(page: Any, querier: Daemon, **state: str) -> Any:
    """The page for the part of a link after the question mark, once it has its answer."""
    page.goto(f"{querier.http}/graph?{urlencode({f'g0.{key}': value for key, value in state.items()})}")
    page.wait_for_selector("#figures:not(:empty), .message")
    return page


def test_a_table_names_series_as_promql_does(page: Any, querier: Daemon) -> None:
    """What the table shows can be put into a query."""
    row = shown(page, querier, expr=NAMED, tab="1").inner_text("#table tr")
    name, value = row.split("\t")
    assert (name, value) == ('{"my.dotted.name", "a.b"="x"}', "3.5")


def test_a_graph_is_drawn_and_linked_to(page: Any, querier: Daemon) -> None:
    """The first page leads to it; Enter asks, the range changes by buttons, and the URL shows the same again."""
    page.goto(querier.http)
    assert page.url.endswith("/graph")
    page.fill("#expr", "vector(1)")
    page.keyboard.press("Enter")
    page.wait_for_selector("#legend li")
    page.click("#shorter")
    page.wait_for_url("**g0.range_input=30m**")
    again = page.context.new_page()
    again.goto(page.url)
    again.wait_for_selector("#legend li")
    assert (again.input_value("#expr"), again.input_value("#range")) == ("vector(1)", "30m")
    assert "1 series" in again.inner_text("#figures")


def test_mistakes_are_shown_where_they_are_made(page: Any, querier: Daemon) -> None:
    message = shown(page, querier, expr="sum(", tab="1").inner_text(".message.bad")
    assert message == "bad_data: 1:5: parse error: unclosed left parenthesis"
