"""``/api/v1/status``: flags, build and runtime of this process; and the CORS preflight of the whole API."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Mapping
from typing import Any

from pythanos.runtime.clock import Clock
from pythanos.tsdb.meta import format_time
from pythanos.version import VERSION
from pythanos.web.api.responses import no_content, success
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route


class StatusAPI:
    """``flags``: dotted path -> value of the configuration, secrets hidden already."""

    def __init__(self, flags: Mapping[str, str], clock: Clock) -> None:
        self._flags = dict(sorted(flags.items()))
        self._start_ms = clock.now_ms()

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/status/flags", self.flags, "status_flags", inline=True),
            Route("/api/v1/status/runtimeinfo", self.runtime, "status_runtime", inline=True),
            Route("/api/v1/status/buildinfo", self.build, "status_build", inline=True),
            Route("/api/v1/*", lambda _: no_content(), "options", ("OPTIONS",), inline=True, always=True),
        ]

    def flags(self, request: Request) -> Response:
        return success(self._flags)

    def runtime(self, request: Request) -> Response:
        """Thanos' fields; what Go has and Python has not is empty."""
        return success(
            {
                "startTime": format_time(self._start_ms),
                "CWD": _working_directory(),
                "goroutineCount": threading.active_count(),
                "GOMAXPROCS": os.cpu_count() or 1,
                "GOGC": "",
                "GODEBUG": "",
                "GOMEMLIMIT": 2**63 - 1,
            }
        )

    def build(self, request: Request) -> Response:
        return success(build_info())


def build_info() -> dict[str, Any]:
    """The fields of Thanos' buildinfo; ``goVersion`` names the language that this is built in."""
    return {
        "version": VERSION,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": f"python{platform.python_version()}",
    }


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "<error retrieving current working directory>"
