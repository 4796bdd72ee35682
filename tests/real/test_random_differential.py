"""Random queries: a real Prometheus and our daemons answer alike, values to the last digit, refusals and result
types.
"""

import pytest
from real.answers import differences
from real.both import Both
from real.known_differences import known_difference
from real.plant import START_MS
from real.random_queries import RandomQueries, known_functions

START = START_MS // 1000
SEEDS = range(50)
NEXT_SEEDS = range(100, 120)
QUERIES = 52
# From before the first sample to after the resets, at no multiple of the scrape interval.
RANGE = {"start": str(START - 600.5), "end": str(START + 16_000), "step": "411"}
INSTANTS = (START + 9000, START + 6500.5, START + 15_100, START + 601)


def unexplained(both: Both, source: RandomQueries, *, newest: bool) -> list[tuple[str, str, list[str]]]:
    """(path, query, differences) of the answers that are not equal to the last digit for no known reason."""
    found = []
    for number in range(QUERIES):
        query = source.query()
        instant = {"query": query, "time": str(INSTANTS[number % len(INSTANTS)])}
        for path, parameters in (("query", instant), ("query_range", {"query": query, **RANGE})):
            theirs, ours = both.ask(path, parameters)
            differs = differences(theirs, ours)
            if differs and known_difference(query, theirs, ours, newest=newest) is None:
                found.append((path, query, differs[:3]))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_random_queries_have_the_same_answers(both, seed):
    """Each at one time and over four and a half hours: 5,200 comparisons with all seeds."""
    assert unexplained(both, RandomQueries(seed, known_functions(both.version)), newest=False) == []


@pytest.mark.parametrize("seed", NEXT_SEEDS)
def test_random_queries_have_the_answers_of_3_14(both_next, seed):
    """The version whose semantics are ours: what 3.5 does otherwise is no excuse here."""
    assert unexplained(both_next, RandomQueries(seed, known_functions((3, 14))), newest=True) == []


def test_most_random_queries_have_an_answer(both):
    """A comparison of empty answers proves little."""
    source = RandomQueries(1_000, known_functions(both.version))
    answers = [both.ask("query_range", {"query": source.query(), **RANGE})[0] for _ in range(100)]
    assert sum(answer.status == 200 and answer.size > 0 for answer in answers) > 60
