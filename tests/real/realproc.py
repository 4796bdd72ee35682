"""Real servers for tests: started on loopback, awaited by a real request, stopped by their process group."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

POLL_SECONDS = 0.05
STOP_SECONDS = 15

# A test run that is killed leaves no server behind. By a program and not by preexec_fn, which makes subprocess fork in
# earnest: the fork handlers of gRPC, where a test has a channel, then abort the child now and then.
_STOPPED_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> Callable[[], bool]:
    """A readiness question: does the address answer with 200?"""

    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    return ask


class RealProcess:
    """One server process and its children, as a context manager.

    ``ready`` is asked until it says yes; a process that ends before, or takes longer than ``timeout`` seconds, is an
    error that shows the end of its output. ``start_seconds`` tells how long it took.
    """

    def __init__(
        self,
        argv: Sequence[str],
        ready: Callable[[], bool],
        folder: Path,
        *,
        name: str,
        timeout: float = 60,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.name = name
        self.start_seconds = 0.0
        self._ready = ready
        self._folder = folder
        self._timeout = timeout
        self._environment = {**os.environ, **(environment or {})}

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def __enter__(self) -> "RealProcess":
        self._log = self._folder / f"{self.name}.log"
        start = time.monotonic()
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [*_STOPPED_WITH_PARENT, *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        try:
            while not self._ready():
                if self._process.poll() is not None or time.monotonic() - start > self._timeout:
                    raise RuntimeError(
                        f"{self.name} did not start (exit {self._process.poll()}):\n{self.output[-3000:]}"
                    )
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        self.start_seconds = time.monotonic() - start
        return self

    def __exit__(self, *exception: object) -> None:
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(STOP_SECONDS)

    def _signal(self, number: int) -> None:
        # Its own group only, which start_new_session made.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
