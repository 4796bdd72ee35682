"""Each fuzz target over its corpus, and over as many seeded mutations as a test has time for."""

from __future__ import annotations

import importlib
import sys
from itertools import islice
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
sys.path.insert(0, str(FUZZ))
mutation = importlib.import_module("mutation")
BINARY = ("chunks", "index", "meta", "postings", "wire")


@pytest.mark.parametrize("name", BINARY)
def test_any_bytes_give_a_value_or_corrupt_data(name):
    """The corpus holds what once broke a rule, too."""
    target = importlib.import_module(f"fuzz_{name}")
    corpus = mutation.read_corpus(target.CORPUS)
    mutation.run(target.fuzz_one, mutation.inputs(corpus, seed=1), len(corpus) + 1_000)


def test_every_target_has_a_corpus_and_is_run_here():
    names = {path.stem for path in FUZZ.glob("fuzz_*.py")}
    assert names == {f"fuzz_{path.name}" for path in (FUZZ / "corpus").iterdir()}
    assert names == {"fuzz_promql", *(f"fuzz_{name}" for name in BINARY)}


def test_any_text_is_a_tree_that_prints_plans_and_evaluates_or_a_located_error():
    fuzz_promql = importlib.import_module("fuzz_promql")
    checks = fuzz_promql.Checks()
    assert all(checks.text(given) for given in mutation.read_corpus(fuzz_promql.CORPUS))
    valid = sum(checks.text(given) for given in islice(fuzz_promql.texts(seed=1), 600))
    assert 200 < valid < 400
