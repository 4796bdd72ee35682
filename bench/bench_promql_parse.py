"""Cost of parsing, checking, preprocessing and printing PromQL, per expression.

    python -m bench.bench_promql_parse

Medians of the CPU time of repeated runs. Shapes: ``dashboard`` is the 200-character expression of the budget (parse,
check and plan below 200 us); ``selector`` one name with matchers; ``arithmetic`` a chain of 50 additions;
``rejected`` an expression whose last token is wrong.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable

from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.errors import ParseError
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.preprocess import QueryTimes, preprocess
from pythanos.promql.tree.pretty import pretty
from pythanos.promql.tree.printer import print_expr

_DASHBOARD = (
    'sum by (cluster, namespace) (rate(http_requests_total{job="api",code=~"5..",cluster="eu-1"}[5m])) / on (cluster, '
    'namespace) group_left () sum by (cluster, namespace) (rate(http_requests_total{job="api"}[5m])) > 0.05'
)
_SHAPES = {
    "dashboard": _DASHBOARD,
    "selector": 'http_requests_total{job="api",instance="10.0.0.1:9090"}',
    "arithmetic": "+".join(["1"] * 50),
    "rejected": _DASHBOARD + ")",
}
_TIMES = QueryTimes(1_700_000_000_000, 1_700_003_600_000, 15_000)


def _try_parse(text: str) -> None:
    with contextlib.suppress(ParseError):
        parse(text, EVERYTHING)


def _median_us(job: Callable[[], object], repeats: int = 15, calls: int = 200) -> float:
    spent = []
    for _ in range(repeats):
        begin = time.process_time()
        for _ in range(calls):
            job()
        spent.append((time.process_time() - begin) / calls * 1e6)
    return statistics.median(spent)


def main() -> None:
    """Prints one line per shape and step."""
    for name, text in _SHAPES.items():
        print(
            f"{name:11} {len(text):4} bytes  parse+check {_median_us(lambda text=text: _try_parse(text)):7.1f} us",
            end="",
        )
        if name == "rejected":
            print()
            continue
        tree = parse(text, EVERYTHING)
        print(f"  preprocess {_median_us(lambda tree=tree: preprocess(tree, _TIMES)):6.1f} us", end="")
        print(f"  print {_median_us(lambda tree=tree: print_expr(tree)):6.1f} us", end="")
        print(f"  pretty {_median_us(lambda tree=tree: pretty(tree)):6.1f} us")


if __name__ == "__main__":
    main()
