"""Logs: one line per event, Thanos' fields, three loggers joined."""

import io
import json
import logging
import re

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from pythanos.runtime.logs import LineWriter, StandardHandler, TwistedObserver

NOW_NS = 1_700_000_000_123_456_789


def lines(line_format: str = "logfmt", level: str = "info") -> tuple[io.StringIO, Logger, logging.Logger]:
    """A stream, and a logger of each kind that writes to it."""
    stream = io.StringIO()
    writer = LineWriter(stream, component="store", level=level, line_format=line_format, now_ns=lambda: NOW_NS)
    standard = logging.Logger("pythanos.test")
    standard.addHandler(StandardHandler(writer))
    return stream, Logger("pythanos.test", observer=LogPublisher(TwistedObserver(writer))), standard


def test_a_line_has_thanos_fields():
    """ts, caller, level, component, msg, then the fields of the call."""
    stream, twisted, standard = lines()
    twisted.info("block loaded", block="01ABC", size=3, note="two words", ok=True)
    standard.warning("sync %s", "failed", extra={"err": 'say "no"'})
    first, second = stream.getvalue().splitlines()
    start = "ts=2023-11-14T22:13:20.123456789Z caller=test_runtime_logs.py:%s level=%s component=store "
    number = re.search(r"py:(\d+)", first)[1]
    assert first == start % (number, "info") + 'msg="block loaded" block=01ABC size=3 note="two words" ok=true'
    number = re.search(r"py:(\d+)", second)[1]
    assert second == start % (number, "warn") + r'msg="sync failed" err="say \"no\""'


def test_json_lines_parse():
    """The same fields, one JSON object a line, whatever the values hold."""
    stream, twisted, _ = lines("json")
    twisted.info("odd", value=b"\xff", text="a\nb\x00", number=1.5, nothing=None)
    got = json.loads(stream.getvalue())
    assert got["msg"] == "odd" and got["text"] == "a\nb\x00" and got["number"] == 1.5 and got["nothing"] is None


@pytest.mark.parametrize("line_format", ["logfmt", "json"])
def test_no_value_breaks_a_line(line_format: str):
    """Newlines, quotes, equals signs and lone surrogates stay inside their line."""
    stream, twisted, standard = lines(line_format)
    twisted.info("a\nb", evil='x" level=error\n', **{"bad key=": "\udcff"})
    standard.info("a\nb")
    assert len(stream.getvalue().splitlines()) == 2


def test_levels_filter_and_twisteds_own_info_is_debug():
    """Listening ports and factories are not news."""
    stream, twisted, standard = lines()
    twisted.debug("hidden")
    standard.debug("hidden")
    observer = TwistedObserver(LineWriter(stream, component="store"))
    observer({"log_format": "Site starting on 1", "log_level": LogLevel.info, "log_namespace": "twisted.web"})
    assert stream.getvalue() == ""
    observer({"log_format": "broke", "log_level": LogLevel.error, "log_namespace": "twisted.web"})
    assert "level=error" in stream.getvalue()


def test_a_failure_carries_its_traceback_in_one_line():
    """Both loggers name the error in err and put the traceback in stack."""
    stream, twisted, standard = lines()
    try:
        raise KeyError("oops")
    except KeyError:
        twisted.failure("run broke", failure=Failure(), loop="sync")
        standard.exception("run broke")
    found = stream.getvalue().splitlines()
    assert len(found) == 2
    for line in found:
        assert "err=\"KeyError: 'oops'\"" in line and "level=error" in line and "Traceback" in line


def test_a_stream_that_fails_does_not_raise():
    """A full disk must not stop the daemon."""
    stream, twisted, _ = lines()
    stream.close()
    twisted.info("into the void")
