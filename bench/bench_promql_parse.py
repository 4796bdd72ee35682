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

from pythanos.promql.plan.build import build_plan
from pythanos.promql.plan.nodes import Node
from pythanos.promql.plan.optimize import PlanOptions, optimize
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


def _to_plan(text: str) -> Node:
    plan = build_plan(preprocess(parse(text, EVERYTHING), _TIMES), 60_000)
    return optimize(plan, PlanOptions())


def _loop() -> int:
    return sum(number * number for number in range(1000))


def _us(job: Callable[[], object], repeats: int = 60, calls: int = 50) -> str:
    """Median and least of the CPU time of a call."""
    spent = []
    for _ in range(repeats):
        begin = time.process_time()
        for _ in range(calls):
            job()
        spent.append((time.process_time() - begin) / calls * 1e6)
    return f"{statistics.median(spent):7.1f} ({min(spent):6.1f}) us"


def main() -> None:
    """Prints one line per shape."""
    print(f"loop {_us(_loop)}")
    for name, text in _SHAPES.items():
        print(f"{name:11} {len(text):4} bytes  parse+check {_us(lambda text=text: _try_parse(text))}", end="")
        if name != "rejected":
            tree = parse(text, EVERYTHING)
            print(f"  to plan {_us(lambda text=text: _to_plan(text))}", end="")
            print(f"  preprocess {_us(lambda tree=tree: preprocess(tree, _TIMES))}", end="")
            print(f"  print {_us(lambda tree=tree: print_expr(tree))}", end="")
            print(f"  pretty {_us(lambda tree=tree: pretty(tree))}", end="")
        print()


if __name__ == "__main__":
    main()
