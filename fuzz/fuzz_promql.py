"""Fuzzes the PromQL front end: any text gives a tree or a located ParseError, and printing a tree is stable.

    python fuzz/fuzz_promql.py [--seconds 60] [--seed 1]

Uses atheris where it is installed (``--atheris``, further arguments are libFuzzer's); else a seeded loop over the
grammar of ``pythanos.testing.promql_grammar`` and spoiled forms of it. Prints the text that breaks a rule, and exits 1.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import time

from pythanos.promql.syntax.cursor import EVERYTHING, ParserOptions
from pythanos.promql.syntax.errors import ParseError
from pythanos.promql.syntax.parser import parse, parse_metric_selector
from pythanos.promql.tree.ast_json import ast_json
from pythanos.promql.tree.at_rewrite import with_at
from pythanos.promql.tree.pretty import pretty
from pythanos.promql.tree.printer import print_expr
from pythanos.testing.promql_grammar import Grammar, spoil

_PLAIN = ParserOptions()


def fuzz_one(data: bytes) -> bool:
    """Runs the front end on any bytes; whether they are an expression. Raises AssertionError or whatever broke."""
    text = data.decode("utf-8", "surrogateescape")
    for attempt in (lambda: parse(text, _PLAIN), lambda: parse_metric_selector(text)):
        try:
            attempt()
        except ParseError:
            continue
    try:
        tree = parse(text, EVERYTHING)
    except ParseError as error:
        assert error.message and 0 <= error.start <= len(data), error
        return False
    _check_printing(tree)
    return True


def _check_printing(tree: object) -> None:
    """The printed text parses, and prints as itself; so does the pretty form, and the form that is fixed to a time."""
    ast_json(tree)
    printed = print_expr(tree)
    if "[0s" in printed or ":0s]" in printed:
        return  # a range below one millisecond has no text of its own
    assert print_expr(parse(printed, EVERYTHING)) == printed, printed
    assert print_expr(parse(pretty(tree), EVERYTHING)) == printed, printed
    fixed = with_at(tree, 1_234)
    if fixed is not None:
        text = print_expr(fixed)
        assert print_expr(parse(text, EVERYTHING)) == text, text


def run(seconds: float, seed: int) -> tuple[int, int]:
    """Fuzzes for a time; returns how many texts were tried and how many were expressions."""
    source = random.Random(seed)
    grammar = Grammar(source)
    deadline, tried, valid = time.monotonic() + seconds, 0, 0
    while time.monotonic() < deadline:
        text = grammar.expression(source.randint(0, 5))
        if source.random() < 0.6:
            text = spoil(text, source)
        data = text.encode("utf-8", "surrogateescape")
        if source.random() < 0.1:
            at = source.randint(0, len(data))
            data = data[:at] + source.randbytes(source.randint(1, 4)) + data[at:]
        try:
            valid += fuzz_one(data)
        except BaseException:
            print(f"broken by {data!r}", file=sys.stderr)
            raise
        tried += 1
    return tried, valid


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--atheris", action="store_true")
    options, rest = parser.parse_known_args()
    if options.atheris:
        atheris = importlib.import_module("atheris")
        atheris.Setup([sys.argv[0], *rest], lambda data: (fuzz_one(data), None)[1])
        atheris.Fuzz()
        return
    tried, valid = run(options.seconds, options.seed)
    print(f"{tried} texts, {valid} expressions, {tried - valid} located errors")


if __name__ == "__main__":
    main()
