"""Row kernels: functions of single samples, operators between rows, matching and merging."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos import _rows
from pythanos._row_parts import RowParts
from pythanos._rows import Function, Keep, Operator
from pythanos.model.series import ABSENT, STALE_NAN_BITS

FLOATS = st.one_of(
    st.just(ABSENT), st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1.0, -1.0, 2.0])
)


def rows_of(values: np.ndarray) -> RowParts:
    return RowParts([values], values.shape[1])


def is_stale(value: float) -> bool:
    return int(np.float64(value).view(np.int64)) == STALE_NAN_BITS


def same(expected: float, got: float) -> bool:
    if is_stale(expected):
        return is_stale(got)
    if math.isnan(expected):
        return math.isnan(got) and not is_stale(got)
    return expected == got and math.copysign(1, expected) == math.copysign(1, got)


ARITHMETIC = {
    Operator.ADD: np.add,
    Operator.SUB: np.subtract,
    Operator.MUL: np.multiply,
    Operator.DIV: np.divide,
    Operator.MOD: np.fmod,
}
COMPARISONS = {
    Operator.EQ: np.equal,
    Operator.NE: np.not_equal,
    Operator.LT: np.less,
    Operator.LE: np.less_equal,
    Operator.GT: np.greater,
    Operator.GE: np.greater_equal,
}


def applied(operator: Operator, keep: Keep, a: float, b: float) -> float:
    if is_stale(a) or is_stale(b):
        return ABSENT
    with np.errstate(all="ignore"):
        if operator in ARITHMETIC:
            return float(ARITHMETIC[operator](np.float64(a), np.float64(b)))
        holds = bool(COMPARISONS[operator](a, b))
    if keep is Keep.BOOL:
        return float(holds)
    return (a if keep is Keep.LEFT else b) if holds else ABSENT


@settings(max_examples=150, deadline=None)
@given(
    data=st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=20),
    operator=st.sampled_from([*ARITHMETIC, *COMPARISONS]),
    keep=st.sampled_from(list(Keep)),
)
def test_an_operator_meets_two_rows_element_by_element(data: list, operator: Operator, keep: Keep) -> None:
    """IEEE arithmetic, Go's modulo, comparisons that filter or give 0 and 1; absent where either is."""
    left = np.array([[a for a, _ in data]])
    right = np.array([[b for _, b in data]])
    zero = np.zeros(1, np.int64)
    got = _rows.pairs(operator, rows_of(left), zero, rows_of(right), zero, keep=keep)[0]
    for (a, b), value in zip(data, got, strict=True):
        assert same(applied(operator, keep, a, b), value)


@settings(max_examples=100, deadline=None)
@given(
    data=st.lists(st.tuples(FLOATS, FLOATS.filter(lambda x: not is_stale(x))), min_size=1, max_size=20),
    operator=st.sampled_from([*ARITHMETIC, *COMPARISONS]),
    scalar_left=st.booleans(),
    return_bool=st.booleans(),
)
def test_a_comparison_with_a_scalar_keeps_the_sample_of_the_vector(
    data: list, operator: Operator, scalar_left: bool, return_bool: bool
) -> None:
    """On whichever side the vector stands."""
    values = np.array([[a for a, _ in data]])
    keep = Keep.BOOL if return_bool else Keep.LEFT
    _rows.with_scalar(operator, values, np.array([b for _, b in data]), scalar_left=scalar_left, keep=keep)
    for (a, b), got in zip(data, values[0], strict=True):
        if scalar_left:
            expected = applied(operator, Keep.BOOL if return_bool else Keep.RIGHT, b, a)
        else:
            expected = applied(operator, keep, a, b)
        assert same(expected, got)


@settings(max_examples=200, deadline=None)
@given(seconds=st.integers(-62_135_596_800, 253_402_300_799))
def test_parts_of_a_date_are_those_of_the_gregorian_calendar(seconds: int) -> None:
    """Before and after 1970, leap years included."""
    when = datetime(1970, 1, 1, tzinfo=UTC).fromordinal(719163 + seconds // 86400)
    second = seconds % 86400
    next_month = datetime(when.year + when.month // 12, when.month % 12 + 1, 1) if when.year < 9999 else None
    expected = {
        Function.MINUTE: second % 3600 // 60,
        Function.HOUR: second // 3600,
        Function.DAY_OF_WEEK: when.isoweekday() % 7,
        Function.DAY_OF_MONTH: when.day,
        Function.DAY_OF_YEAR: when.timetuple().tm_yday,
        Function.MONTH: when.month,
        Function.YEAR: when.year,
    }
    if next_month is not None:
        expected[Function.DAYS_IN_MONTH] = (next_month - datetime(when.year, when.month, 1)).days
    for function, value in expected.items():
        cell = np.array([[float(seconds)]])
        _rows.apply(function, cell)
        assert cell[0, 0] == value, function


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_no_time_has_the_date_that_go_gives_it(value: float) -> None:
    """As Prometheus 3.5 answered on amd64: 292277026596-12-04 15:30, a Sunday."""
    expected = {
        Function.YEAR: 292277026596,
        Function.MONTH: 12,
        Function.DAY_OF_MONTH: 4,
        Function.DAY_OF_YEAR: 339,
        Function.DAY_OF_WEEK: 0,
        Function.HOUR: 15,
        Function.MINUTE: 30,
        Function.DAYS_IN_MONTH: 31,
    }
    for function, part in expected.items():
        cell = np.array([[value]])
        _rows.apply(function, cell)
        assert cell[0, 0] == part, function


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (Function.ABS, -0.0, 0.0),
        (Function.SGN, -0.0, -0.0),
        (Function.SGN, -3.0, -1.0),
        (Function.SGN, math.nan, math.nan),
        (Function.CEIL, -0.5, -0.0),
        (Function.LN, 0.0, -math.inf),
        (Function.SQRT, -1.0, math.nan),
        (Function.DEG, math.pi, 180.0),
        (Function.RAD, 180.0, math.pi),
        (Function.EXP, math.inf, math.inf),
        (Function.ACOSH, 0.5, math.nan),
        (Function.NEGATE, ABSENT, ABSENT),
        (Function.ABS, ABSENT, ABSENT),
    ],
)
def test_functions_at_their_edges(function: Function, value: float, expected: float) -> None:
    """Signed zeros, poles, values outside the domain; absence stays absence."""
    cell = np.array([[value]])
    _rows.apply(function, cell)
    assert same(expected, cell[0, 0])


@pytest.mark.parametrize(
    ("low", "high", "value", "expected"),
    [
        (1.0, 5.0, 7.0, 5.0),
        (1.0, 5.0, -7.0, 1.0),
        (5.0, 1.0, 3.0, ABSENT),
        (-math.inf, 5.0, math.nan, math.nan),
        (0.0, math.inf, -0.0, 0.0),
        (math.nan, 5.0, 3.0, math.nan),
    ],
)
def test_clamp_is_gos_max_of_min(low: float, high: float, value: float, expected: float) -> None:
    """And nothing where the limits are crossed."""
    cell = np.array([[value]])
    _rows.apply(Function.CLAMP, cell, np.array([low]), np.array([high]))
    assert same(expected, cell[0, 0])


def test_round_goes_up_at_half_a_multiple() -> None:
    """To the nearest multiple, halves upwards, also for negative values."""
    cells = np.array([[2.5, -2.5, 0.15]])
    _rows.apply(Function.ROUND, cells, np.array([1.0, 1.0, 0.1]))
    assert cells[0].tolist() == [3.0, -2.0, 0.2]


def test_rows_with_equal_keys_are_laid_over_each_other() -> None:
    """Where they have samples at the same step that is a clash."""
    values = np.array([[1.0, ABSENT], [ABSENT, 2.0], [3.0, ABSENT]])
    merged, clash = _rows.merge_rows(values, np.array([0, 0, 1]), 2)
    assert merged[0].tolist() == [1.0, 2.0]
    assert merged[1, 0] == 3.0
    assert is_stale(merged[1, 1])
    assert not clash
    assert _rows.merge_rows(values, np.array([0, 1, 0]), 2)[1]


def test_a_clash_is_found_only_at_steps_that_count() -> None:
    """Two rows of one key with samples at one step."""
    values = np.array([[1.0, 1.0], [ABSENT, 1.0]])
    key = np.zeros(2, np.int64)
    assert _rows.find_clash(values, key, 1, np.array([1, 0], np.uint8)) is None
    assert _rows.find_clash(values, key, 1, np.array([1, 1], np.uint8)) == (0, 1)


def test_presence_of_keys_masks_rows_step_by_step() -> None:
    """What ``and`` and ``unless`` are made of."""
    there = _rows.presence(np.array([[1.0, ABSENT], [ABSENT, ABSENT]]), np.array([0, 1]), 2)
    assert there.tolist() == [[1, 0], [0, 0]]
    values = np.ones((2, 2))
    _rows.mask_rows(values, np.array([0, 1]), there, where=True)
    assert [[is_stale(value) for value in row] for row in values] == [[False, True], [True, True]]


def test_pairs_in_place_are_those_of_a_new_array():
    """Rows that pair off one after the other are written over; others are not, and read-only ones stay."""
    left, right = np.arange(6.0).reshape(3, 2), np.array([[10.0, ABSENT], [20.0, 30.0]])
    for rows in ([2, 1, 0], [0, 1], [0, 1, 2]):
        mine, row = left.copy(), np.array(rows)
        other = np.resize(np.array([1, 0]), len(rows))
        expected = _rows.pairs(Operator.ADD, rows_of(left), row, rows_of(right), other, keep=Keep.LEFT)
        found = _rows.pairs(Operator.ADD, rows_of(mine), row, rows_of(right), other, keep=Keep.LEFT, in_place=True)
        assert found.tobytes() == expected.tobytes()
        assert (found is mine) == (rows == [0, 1, 2])
    halves = RowParts([left[:1].copy(), left[1:].copy()], 2)
    found = _rows.pairs(Operator.ADD, halves, np.arange(3), rows_of(right), other, keep=Keep.LEFT, in_place=True)
    assert found.tobytes() == expected.tobytes()
    left.flags.writeable = False
    kept = left.tobytes()
    row, other = np.arange(3), np.zeros(3, np.int64)
    found = _rows.pairs(Operator.ADD, rows_of(left), row, rows_of(right), other, keep=Keep.LEFT, in_place=True)
    assert found is not left
    assert left.tobytes() == kept
