"""From a daemon's parts to the service that twistd runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

from twisted.internet import reactor
from twisted.logger import ILogObserver
from twisted.python.components import Componentized

from pythanos.daemons.options import DaemonOptions, message_of
from pythanos.errors import PythanosError
from pythanos.runtime.exits import ExitCode, stop_on_signals
from pythanos.runtime.logs import LineWriter, TwistedObserver, join
from pythanos.runtime.platform import Platform, process_registry
from pythanos.runtime.stack import Stack


class Parts(Protocol):
    """What ``build`` returns: the daemon's parts by name."""

    def services(self) -> Iterable[Any]:
        """The children of the stack in start order."""


class DaemonStack(Stack):
    """A Stack that gives the application it becomes part of our log observer, as twistd asks for one."""

    log_observer: TwistedObserver | None = None

    def setServiceParent(self, parent: Any) -> None:
        if self.log_observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.log_observer)
        super().setServiceParent(parent)


@dataclass(frozen=True, slots=True)
class Daemon:
    """``build(config, platform)`` constructs and opens nothing; it may raise ConfigError."""

    name: str
    build: Callable[[Any, Platform], Parts]


def make_service(daemon: Daemon, options: DaemonOptions) -> DaemonStack:
    """The stack of a daemon; a configuration that cannot be built ends the process with one line."""
    platform = Platform(reactor=reactor, registry=process_registry(), environment=os.environ)
    try:
        parts = daemon.build(options.config, platform)
    except PythanosError as error:
        sys.exit(f"pythanos-{daemon.name}: {' '.join(message_of(error, options['config']).split())}")
    stack = DaemonStack(
        daemon.name,
        parts.services(),
        reactor=reactor,
        exit_code=ExitCode(),
        detached=bool(options.parent is not None and not options.parent.get("nodaemon")),
        handle_signals=stop_on_signals,
    )
    stack.log_observer = log_observer(daemon.name, options)
    return stack


def log_observer(component: str, options: DaemonOptions) -> TwistedObserver | None:
    """Our log lines, to where twistd would log; None where its own --syslog was asked for."""
    twistd: Any = options.parent or {}
    if twistd.get("syslog"):
        return None
    log = options.config.service.log
    return join(LineWriter(_log_stream(twistd), component=component, level=log.level, line_format=log.format))


def _log_stream(twistd: Any) -> TextIO:
    """--logfile, else the terminal in the foreground (stderr, as Thanos), else twistd.log."""
    name = twistd.get("logfile")
    if name == "-":
        return sys.stdout
    if not name and twistd.get("nodaemon"):
        return sys.stderr
    return open(name or "twistd.log", "a", encoding="utf-8", errors="backslashreplace")
