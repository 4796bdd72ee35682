"""Logs: twisted.logger, txaio and the standard library's logging joined into one stream of logfmt or JSON lines.

Fields are those of Thanos: ts (RFC 3339 with ns, UTC), level, component, msg, caller, err, then whatever the call gave.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from time import gmtime, strftime, time_ns
from types import FrameType
from typing import Any, TextIO

import txaio
from twisted.logger import ILogObserver, formatEvent
from twisted.python.failure import Failure
from txaio import tx
from zope.interface import implementer

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")
_LEVEL_NAMES = {"critical": "error", "warning": "warn"}
_NUMERIC = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_PLAIN = re.compile(r"[^\x00-\x20\"=\x7f]+")
_RECORD_FIELDS = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
# The first frame outside these modules is the caller of a log method.
_LOGGING_MODULES = ("twisted.logger", "twisted.python.log", "twisted.internet.defer", "txaio", "pythanos.runtime.logs")
# What Twisted itself says at info (listening ports, factories) matters to nobody who did not write it.
_QUIET_NAMESPACES = ("twisted.", "log_legacy", "-", "stdout")


class LineWriter:
    """Writes lines of fields to a stream, at or above one level; from any thread."""

    def __init__(
        self,
        stream: TextIO,
        *,
        component: str,
        level: str = "info",
        line_format: str = "logfmt",
        now_ns: Callable[[], int] = time_ns,
    ) -> None:
        self.level = level
        self._stream = stream
        self._component = component
        self._rank = LEVELS.index(level)
        self._render = _logfmt if line_format == "logfmt" else _json
        self._now_ns = now_ns
        self._lock = threading.Lock()

    def wants(self, level: str) -> bool:
        return LEVELS.index(level) >= self._rank

    def write(self, level: str, message: str, caller: str, fields: Mapping[str, Any]) -> None:
        """One line; ``err`` and other fields come after the fixed ones, in the order given."""
        line = {"ts": _timestamp(self._now_ns()), "caller": caller, "level": level, "component": self._component}
        line["msg"] = message
        line.update((_key(name), _text(value)) for name, value in fields.items())
        text = self._render(line)
        try:
            with self._lock:
                self._stream.write(text + "\n")
                self._stream.flush()
        except (OSError, ValueError):
            # A full disk or a closed pipe must not stop the daemon.
            pass


@implementer(ILogObserver)
class TwistedObserver:
    """Takes the events of twisted.logger (txaio's loggers are made of it)."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def __call__(self, event: dict[str, Any]) -> None:
        level = _event_level(event)
        if not self._writer.wants(level):
            return
        fields = {name: value for name, value in event.items() if not name.startswith("log_") and name not in _LEGACY}
        failure = event.get("log_failure")
        if isinstance(failure, Failure):
            fields.setdefault("err", f"{failure.type.__name__ if failure.type else ''}: {failure.getErrorMessage()}")
            fields["stack"] = failure.getTraceback()
        message = formatEvent(event) or event.get("log_format") or ""
        self._writer.write(level, " ".join(str(message).split()), _caller(sys._getframe(1)), fields)


class StandardHandler(logging.Handler):
    """Takes the records of the standard library's logging; ``extra`` becomes fields."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__(_NUMERIC[writer.level])
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        level = _LEVEL_NAMES.get(record.levelname.lower(), record.levelname.lower())
        fields = {name: value for name, value in vars(record).items() if name not in _RECORD_FIELDS}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            fields.setdefault("err", f"{type(error).__name__}: {error}")
            fields["stack"] = logging.Formatter().formatException(record.exc_info)
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        caller = f"{record.filename}:{record.lineno}"
        self._writer.write(level if level in LEVELS else "info", " ".join(message.split()), caller, fields)


def make_logger() -> Any:
    """A txaio logger over twisted.logger: ``log.info("text", field=value)``."""
    txaio.use_twisted()
    return tx.make_logger()


def join(writer: LineWriter) -> TwistedObserver:
    """Sends standard logging to ``writer``, sets the levels, and returns the observer for twisted.logger."""
    txaio.use_twisted()
    tx.set_global_log_level(writer.level)
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, StandardHandler):
            root.removeHandler(handler)
    root.addHandler(StandardHandler(writer))
    root.setLevel(_NUMERIC[writer.level])
    # Libraries that describe every request at debug would drown ours.
    for name in ("botocore", "urllib3", "s3transfer"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return TwistedObserver(writer)


_LEGACY = frozenset({"isError", "message", "time", "system", "format", "failure", "why", "txaio_level", "logLevel"})


def _event_level(event: Mapping[str, Any]) -> str:
    name = getattr(event.get("log_level"), "name", "info")
    level = _LEVEL_NAMES.get(name, name)
    quiet = str(event.get("log_namespace", "")).startswith(_QUIET_NAMESPACES)
    return "debug" if quiet and level == "info" else level


def _caller(frame: FrameType | None) -> str:
    """``file.py:line`` of the first frame that is not part of the logging machinery."""
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith(_LOGGING_MODULES):
            return f"{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _timestamp(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{rest:09d}Z"


def _key(name: str) -> str:
    return re.sub(r"[\x00-\x20\"=\x7f]", "_", name)


def _text(value: Any) -> Any:
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    return str(value)


def _logfmt(line: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_quoted(value)}" for name, value in _present(line))


def _quoted(value: Any) -> str:
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if _PLAIN.fullmatch(text):
        return text.encode("utf-8", "backslashreplace").decode()
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _json(line: Mapping[str, Any]) -> str:
    return json.dumps(dict(_present(line)), separators=(",", ":"))


def _present(line: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in line.items() if not (name == "caller" and value == ""))
