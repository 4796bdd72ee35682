"""The promqltest notation and runner: what scripts mean, and that a wrong answer does not pass."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pythanos.context import RequestContext
from pythanos.model.histogram import GAUGE, NOT_COUNTER_RESET, UNKNOWN_RESET
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.series import ABSENT
from pythanos.promql.queryable import SelectHints
from pythanos.testing.promqltest.__main__ import main
from pythanos.testing.promqltest.check import almost_equal, same_sample
from pythanos.testing.promqltest.custom_buckets import with_custom_buckets
from pythanos.testing.promqltest.histogram_columns import from_columns, is_stale, stored_hints, to_columns
from pythanos.testing.promqltest.histograms import Histogram, parse_histogram
from pythanos.testing.promqltest.notation import parse_series
from pythanos.testing.promqltest.runner import run_script
from pythanos.testing.promqltest.script import Eval, Load, ScriptError, parse_script
from pythanos.testing.promqltest.storage import ScriptStorage

SHARED = sorted((Path(__file__).resolve().parents[3] / "shared" / "promqltest").glob("*.test"))


def items(text):
    return parse_series("m " + text)[1]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 -2.5 .5 1e3", [1.0, -2.5, 0.5, 1000.0]),
        ("7x2 _ _x2", [7.0, 7.0, 7.0, None, None, None]),
        ("1+2x3 1-0.5x2", [1.0, 3.0, 5.0, 7.0, 1.0, 0.5, 0.0]),
        ("0+0.1x3", [0.0, 0.1, 0.2, 0.1 + 0.1 + 0.1]),
        ("Inf -inf", [np.inf, -np.inf]),
    ],
)
def test_sample_items_expand(text, values):
    assert items(text) == values


def test_stale_is_the_marker_and_nan_is_not():
    stale, nan = items("stale NaN")
    assert is_stale(stale) and np.isnan(nan) and not is_stale(nan)


def test_a_metric_has_sorted_labels_and_may_be_quoted():
    assert parse_series('m{b="2", a="}"} 1')[0] == (("__name__", "m"), ("a", "}"), ("b", "2"))
    assert parse_series('{"x.y", "c d"="e"} 1')[0] == (("__name__", "x.y"), ("c d", "e"))
    assert parse_series("{} 1")[0] == ()


def test_a_histogram_has_its_buckets_from_its_offset_on():
    found = parse_histogram(
        "{{schema:1 sum:-2 count:7 z_bucket:1 z_bucket_w:0.5 offset:-1 buckets:[1 0 2] n_buckets:[3]}}"
    )
    assert found == Histogram(1, 7, -2, 1, 0.5, (), {-1: 1.0, 0: 0.0, 1: 2.0}, {0: 3.0})
    custom = parse_histogram("{{schema:-53 custom_values:[1 2] buckets:[4 5 6] counter_reset_hint:gauge}}")
    assert (custom.bounds, custom.hint, custom.hint_given) == ((1.0, 2.0), GAUGE, True)


@pytest.mark.parametrize("text", ["{{sum:1 sum:2}}", "{{nope:1}}", "{{sum}}", "{{counter_reset_hint:x}}"])
def test_a_malformed_histogram_is_refused(text):
    with pytest.raises(ValueError):
        parse_histogram(text)


def test_histograms_grow_by_a_step_of_finer_schema():
    base, *_, last = items("{{schema:0 count:2 buckets:[1 1]}}+{{schema:1 count:4 buckets:[1 1 1 1]}}x2")
    assert base.positive == {0: 1.0, 1: 1.0}
    # Of schema 1, buckets 1 and 2 make bucket 1 of schema 0, bucket 3 is the first half of its bucket 2.
    assert (last.count, last.positive) == (10.0, {0: 3.0, 1: 5.0, 2: 2.0})
    with pytest.raises(ValueError, match="cannot merge from schema 0 to 1"):
        items("{{schema:1}}+{{schema:0}}x1")


def test_a_wider_zero_bucket_takes_in_whole_buckets():
    first, second = items(
        "{{schema:0 z_bucket:1 z_bucket_w:0.001}}+{{z_bucket:2 z_bucket_w:0.3 buckets:[5] offset:-1}}x1"
    )
    assert (first.zero_count, first.zero_threshold) == (1.0, 0.001)
    assert (second.zero_count, second.zero_threshold, second.positive) == (3.0, 0.3, {-1: 5.0})


def test_custom_bounds_meet_in_what_they_share():
    _, both = items(
        "{{schema:-53 custom_values:[1 2 5] buckets:[1 2 3 4]}}-{{schema:-53 custom_values:[2 7] buckets:[1 1 1]}}x1"
    )
    assert (both.bounds, both.positive) == ((2.0,), {0: 2.0, 1: 5.0})


def test_columns_give_back_the_histograms():
    written = [
        parse_histogram(
            "{{schema:2 count:9 sum:3 z_bucket:1 z_bucket_w:0.1 offset:-3 buckets:[1 0 4] n_offset:2 n_buckets:[2 1]}}"
        ),
        Histogram(schema=2, positive={-5: 1.0, 3: 2.0}, negative={1: 7.0}),
        parse_histogram("{{schema:-53 custom_values:[1 2] buckets:[4 5 6]}}"),
        Histogram(sum=ABSENT),
    ]
    columns = to_columns(
        [[(k, h, 0, 0) for k, h in enumerate(written[:1])], [], [(k, h, 0, 0) for k, h in enumerate(written[1:])]]
    )
    assert columns.start.tolist() == [0, 1, 1, 4]
    assert [from_columns(columns, row) for row in range(3)] == written[:3]
    part = columns.part(1, 3)
    assert part.start.tolist() == [0, 0, 3]
    assert [from_columns(part, row) for row in range(2)] == written[1:3]
    assert is_stale(from_columns(part, 2).sum)


def test_hints_come_back_as_chunks_would_give_them():
    def hints(text):
        return stored_hints([(60_000 * k, item) for k, item in enumerate(items(text))])

    unknown, not_reset = UNKNOWN_RESET, NOT_COUNTER_RESET
    assert hints("{{count:1 buckets:[1]}}+{{count:1 buckets:[1]}}x2") == [unknown, not_reset, not_reset]
    assert hints("{{count:3 buckets:[3]}} {{count:2 buckets:[2]}}") == [unknown, unknown]
    assert hints("{{count:3 buckets:[2 1]}} {{count:3 buckets:[3]}}") == [unknown, unknown]
    assert hints("{{}} {{counter_reset_hint:reset}} {{}}") == [unknown, unknown, not_reset]
    assert hints("{{}} 1 {{}}") == [unknown, unknown, unknown]
    assert hints("{{schema:1}} {{schema:2}}") == [unknown, unknown]
    assert hints("{{counter_reset_hint:gauge count:2}} {{counter_reset_hint:gauge}} {{}}") == [GAUGE, GAUGE, unknown]
    assert stored_hints([(86_399_999, Histogram()), (86_400_000, Histogram())]) == [unknown, unknown]


def test_classic_histograms_also_become_native_ones():
    series = [
        parse_series('h_bucket{le="1",a="b"} 1 2'),
        parse_series('h_bucket{le="5",a="b"} 4 4'),
        parse_series('h_bucket{le="+Inf",a="b"} 4 7'),
        parse_series('h_sum{a="b"} 10 _'),
        parse_series('h_count{a="b"} 4 7'),
        parse_series("other 1"),
    ]
    ((labels, found),) = with_custom_buckets(series)
    assert labels == (("__name__", "h"), ("a", "b"))
    assert found == [
        Histogram(-53, 4, 10, bounds=(1.0, 5.0), positive={0: 1.0, 1: 3.0}),
        Histogram(-53, 7, 0, bounds=(1.0, 5.0), positive={0: 2.0, 1: 2.0, 2: 3.0}),
    ]
    with pytest.raises(ValueError, match="count mismatch"):
        with_custom_buckets([parse_series('h_bucket{le="+Inf"} 3'), parse_series("h_count 4")])


def loaded(text):
    storage = ScriptStorage()
    for command in parse_script(text):
        storage.load(command)
    selection = storage.select(RequestContext(), (Matcher(MatchType.NEQ, "x", "y"),), SelectHints(0, 10**9))
    return [batch.decode() for batch in selection.batches]


def test_storage_gives_floats_histograms_and_start_times_apart():
    (batch,) = loaded("load 1m\n  m@st _ -30s 0s\n  m 1 2 {{count:3}}\n  n 1 _ stale\n  o {{}} stale")
    assert batch.start.tolist() == [0, 2, 4, 4]
    assert batch.timestamps.tolist() == [0, 60_000, 0, 120_000]
    assert batch.start_timestamps.tolist() == [0, 30_000, 0, 0]
    histograms = batch.histograms
    assert histograms.start.tolist() == [0, 1, 1, 3]
    assert histograms.start_timestamps.tolist() == [120_000, 0, 0]
    assert is_stale(float(histograms.sum[2])) and is_stale(float(batch.values[3]))


def test_loads_accumulate_and_must_go_forward():
    (batch,) = loaded("load 1m\n  m 1 2\n\nload 1m\n  m _ _ 3")
    assert batch.values.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="out of order sample at 60000 ms"):
        loaded("load 1m\n  m 1 2\n\nload 1m\n  m _ 3")


def test_the_last_line_of_a_metric_wins_in_a_block():
    (load,) = parse_script("load 5m\n  m 1 2\n  m 3")
    assert isinstance(load, Load) and load.series == [((("__name__", "m"),), [3.0])]


def test_an_eval_keeps_its_expectations():
    (command,) = parse_script("eval instant at 5m foo\n  expect warn msg: a b\n  expect no_info\n  foo 3")
    assert isinstance(command, Eval)
    assert (command.time_ms, command.series) == (300_000, [((("__name__", "foo"),), [3.0])])
    assert command.expects("warn")[0].matches("a b") and not command.expects("warn")[0].matches("a bc")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "line 1: invalid command"),
        ("load", "line 1: invalid load command"),
        ("\n\neval instant at 1m foo +", "line 3: foo \\+: 1:6: parse error: unexpected end of input"),
        ("eval instant at 1m foo\n  foo 1 2", "multiple values in instant evaluation"),
        ("eval instant at 1m foo\n  expect warn\n  expect no_warn", "warn and no_warn cannot be used together"),
        ("eval range from 2m to 1m step 1m foo", "is before start timestamp"),
        ("load 1m\n  m@st 0s 0s\n  m 1", "@st line has 2 values but sample line has 1"),
        ("load 1m\n  m@st 0s", "no following sample line"),
        ("load 1m\n  m 1\n  m 1y", "line 3: not a sample: 1y"),
        ("load 1m\n  m 1x1000001", "line 2: more than 1000000 samples in a row"),
        ("eval instant at 1m m\n  m 1\n  m{", "line 3: "),
        ("eval instant at 1m 'a'\n  expect string a", "correctly quoted"),
    ],
)
def test_a_script_that_cannot_be_read_says_where(text, message):
    with pytest.raises(ScriptError, match=message):
        parse_script(text)


def test_floats_are_compared_with_a_relative_tolerance():
    assert almost_equal(1e9, 1e9 * (1 + 1e-6)) and not almost_equal(1e9, 1e9 * (1 + 3e-6))
    assert not almost_equal(0.0, 1e-300)
    assert almost_equal(np.nan, -np.nan) and not almost_equal(np.nan, ABSENT) and almost_equal(ABSENT, ABSENT)


def test_histograms_are_compared_without_empty_buckets_and_hints_that_were_not_asked_for():
    want = parse_histogram("{{count:3 sum:5 buckets:[1 2]}}")
    assert same_sample(
        want, Histogram(count=3, sum=5 + 1e-7, positive={0: 1.0, 1: 2.0, 2: 0.0}, hint=NOT_COUNTER_RESET)
    )
    assert not same_sample(want, Histogram(count=3, sum=5, positive={0: 1.0, 2: 2.0}))
    assert not same_sample(parse_histogram("{{counter_reset_hint:gauge}}"), Histogram())
    assert not same_sample(want, 3.0) and not same_sample(3.0, want)


SCRIPT = """
load 1m
  m{a="1"} 0+60x10
  m{a="2"} 0+120x10

# a comment ends a block
eval instant at 10m sum(rate(m[5m]))
  {} 3

eval range from 1m to 3m step 1m m
  m{a="1"} 60 120 180
  m{a="2"} 120 240 360

eval instant at 10m topk(1, m)
  expect ordered
  m{a="2"} 1200

eval instant at 1m m + on () m
  expect fail regex: found duplicate series

eval instant at 1m 2 * 3
  6

eval instant at 1m "x"
  expect string "x"
"""


def test_a_script_of_right_answers_passes():
    report = run_script(SCRIPT)
    assert [outcome.problem for outcome in report.outcomes] == [""] * 6


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("{} 3", "{} 4", "expected 4.0 for"),
        ("{} 3", "x 3", "unexpected metric"),
        ("60 120 180", "60 120 181", "181.0"),
        ("120 240 360", "120 240 _", "but got"),
        ("regex: found duplicate", "regex: no such", "expected another failure than"),
        ("  expect fail regex: found duplicate series\n", "", "query failed"),
        ("step 1m m\n", "step 1m m\n  expect info\n", "expected info annotations but got none"),
        ("\n  6", "\n  7", "expected scalar 7.0, got 6.0"),
        ('string "x"', 'string "y"', "expected string 'y'"),
        ('topk(1, m)\n  expect ordered\n  m{a="2"} 1200', 'topk(1, m)\n  m{a="1"} 600', "unexpected metric"),
    ],
)
def test_a_wrong_answer_fails(right, wrong, problem):
    report = run_script(SCRIPT.replace(right, wrong))
    assert [problem in outcome.problem for outcome in report.failures] == [True]


@pytest.mark.skipif(not SHARED, reason="../shared/promqltest is not present")
@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.stem)
def test_every_shared_script_can_be_read_and_loaded(path):
    storage, evals = ScriptStorage(), 0
    for command in parse_script(path.read_bytes().decode("utf-8", "surrogateescape")):
        if isinstance(command, Load):
            storage.load(command)
        elif isinstance(command, Eval):
            evals += 1
        else:
            storage = ScriptStorage()
    assert evals


def test_a_script_that_cannot_be_read_is_one_failure_among_the_others(tmp_path):
    """The scripts after it are run; the totals stand at the end."""
    for name, content in (("binary", b"\xff"), ("wrong", b"nonsense"), ("right", b"eval instant at 1m 1\n  1\n")):
        (tmp_path / name).write_bytes(content)
    done = CliRunner().invoke(main, [str(tmp_path / name) for name in ("binary", "wrong", "right")])
    lines = done.output.splitlines()
    assert done.exit_code == 1
    assert [line.removeprefix(f"{tmp_path}/") for line in lines] == [
        "binary: not UTF-8 text at byte 0",
        "wrong: line 1: invalid command 'nonsense'",
        "right: 1 passed, 0 failed",
        "1 passed, 2 failed",
    ]
