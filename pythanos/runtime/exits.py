"""How a process ends: SIGTERM and SIGINT stop the reactor and exit 0, a failed start exits 1.

Twisted kills its own process with the signal it received after a clean stop, and has no way to return an exit code from
the reactor; both are settled here, after the reactor and twistd (which removes the pidfile) are done.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


class ExitCode:
    """The exit code of the process; the first failure decides."""

    def __init__(self, register: Callable[[Callable[[], None]], object] = atexit.register) -> None:
        self.code = 0
        self._register = register

    def fail(self, code: int = 1) -> None:
        """Makes the process exit with ``code`` whenever it ends."""
        if self.code == 0:
            self.code = code
            self._register(self._leave)

    def _leave(self) -> None:
        logging.shutdown()
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
        os._exit(self.code)


def stop_on_signals(reactor: Any, install: Callable[[int, Any], Any] = signal.signal) -> None:
    """Makes SIGTERM and SIGINT stop ``reactor`` in order. Call when it is running; a second signal changes nothing."""
    stopping: list[int] = []

    def stop() -> None:
        if not stopping:
            stopping.append(1)
            reactor.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        install(number, lambda *_: reactor.callFromThread(stop))
