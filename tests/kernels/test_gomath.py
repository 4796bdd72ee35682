"""Elementary functions: the bits that Go's ``math`` has on amd64."""

import gzip
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pythanos import _gomath, _rows
from pythanos._row_parts import RowParts

Floats = NDArray[np.float64]
Golden = dict[str, Floats]
GOLDEN = Path(__file__).parent.parent / "golden" / "gomath" / "go-1.26.txt.gz"
NAMES = (*_gomath.FUNCTIONS, *_gomath.OPERATORS)
# PromQL has the others, under these names.
ELEMENTWISE = {name: "LN" if name == "log" else name.upper() for name in _gomath.FUNCTIONS}
del ELEMENTWISE["exp2"], ELEMENTWISE["log1p"]


def _number(text: str) -> float:
    return math.nan if text == "nan" else float(np.array([int(text, 16)], np.uint64).view(np.float64)[0])


@pytest.fixture(scope="module")
def golden() -> Golden:
    """{function: float64[arguments + 1, cases]}, the result last."""
    found: defaultdict[str, list[list[float]]] = defaultdict(list)
    with gzip.open(GOLDEN, "rt") as lines:
        for line in lines:
            name, *numbers = line.split()
            found[name].append([_number(one) for one in numbers])
    return {name: np.ascontiguousarray(np.array(rows).T) for name, rows in found.items()}


def _wrong(arguments: Sequence[Floats], want: Floats, got: Floats) -> list[tuple[float, ...]]:
    """The cases of which the bits differ; one NaN is as good as another."""
    differ = (want.view(np.uint64) != got.view(np.uint64)) & ~(np.isnan(want) & np.isnan(got))
    return [(*(one[i] for one in arguments), want[i], got[i]) for i in np.flatnonzero(differ)]


def test_the_golden_file_holds_every_function(golden: Golden) -> None:
    assert sorted(golden) == sorted(NAMES)
    assert sum(rows.shape[1] for rows in golden.values()) == 3528


@pytest.mark.parametrize("name", NAMES)
def test_every_bit_is_that_of_go(golden: Golden, name: str) -> None:
    """QU-16: edges, subnormal numbers, huge angles and random arguments."""
    *arguments, want = golden[name]
    got = (_gomath.apply if len(arguments) == 1 else _gomath.combine)(name, *arguments)
    assert _wrong(arguments, want, got) == []


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_functions_over_rows_are_those_of_go(golden: Golden, name: str) -> None:
    x, want = golden[name]
    rows = x.reshape(2, -1).copy()
    _rows.apply(_rows.Function[ELEMENTWISE[name]], rows)
    assert _wrong([x], want, rows.reshape(-1)) == []


@pytest.mark.parametrize("name", _gomath.OPERATORS)
def test_operators_between_rows_are_those_of_go(golden: Golden, name: str) -> None:
    x, y, want = golden[name]
    one = np.zeros(1, np.int64)
    left, right = (RowParts([side[np.newaxis].copy()], side.size) for side in (x, y))
    got = _rows.pairs(_rows.Operator[name.upper()], left, one, right, one, keep=_rows.Keep.LEFT)
    assert _wrong([x, y], want, got[0]) == []


def test_a_stale_marker_stays_absent() -> None:
    """The marker is a NaN, and no function of it is a sample."""
    absent = np.uint64(0x7FF0000000000002).view(np.float64)
    for name in ELEMENTWISE.values():
        rows = np.full((1, 3), absent)
        _rows.apply(_rows.Function[name], rows)
        assert (rows.view(np.uint64) == 0x7FF0000000000002).all(), name


def test_powers_beyond_the_largest_float_are_infinite() -> None:
    """Python's own raise OverflowError and ValueError."""
    assert _gomath.power(10.0, 400.0) == math.inf
    assert _gomath.power(-10.0, 401.0) == -math.inf
    assert _gomath.power(-0.0, -3.0) == -math.inf
    assert math.isnan(_gomath.power(-8.0, 1 / 3))


def test_unknown_functions_and_uneven_columns_are_refused() -> None:
    with pytest.raises(ValueError):
        _gomath.apply("sqrt", np.ones(1))
    with pytest.raises(ValueError):
        _gomath.combine("mod", np.ones(1), np.ones(1))
    with pytest.raises(ValueError):
        _gomath.combine("pow", np.ones(2), np.ones(1))
