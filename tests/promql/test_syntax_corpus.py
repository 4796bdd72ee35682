"""The expressions of the shared conformance scripts, where they are present."""

import re
from pathlib import Path

import pytest

from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.printer import print_expr

SCRIPTS = sorted((Path(__file__).resolve().parents[3] / "shared" / "promqltest").glob("*.test"))
INSTANT = re.compile(r"eval(?:_\w+)?\s+instant\s+(?:at\s+.+?)?\s+(.+)")
RANGE = re.compile(r"eval(?:_\w+)?\s+range\s+from\s+.+\s+to\s+.+\s+step\s+.+?\s+(.+)")


@pytest.mark.skipif(not SCRIPTS, reason="../shared/promqltest is not present")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_expression_parses_and_its_text_prints_as_itself(path):
    texts = []
    for line in path.read_bytes().decode("utf-8", "surrogateescape").splitlines():
        found = INSTANT.fullmatch(line.strip()) or RANGE.fullmatch(line.strip())
        texts += [found[1]] if found else []
    assert texts
    for text in texts:
        printed = print_expr(parse(text, EVERYTHING))
        assert print_expr(parse(printed, EVERYTHING)) == printed
