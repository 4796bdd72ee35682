"""The command line of a daemon under twistd: which file, which overrides, and what to do instead of starting."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any, ClassVar

from twisted.python import usage

from pythanos.config import OVERRIDE_SOURCE, dump, load
from pythanos.errors import ConfigError, PythanosError
from pythanos.version import THANOS_COMPATIBLE, VERSION


def message_of(error: PythanosError, file: str) -> str:
    """An error with the configuration's file in front, unless it names a file (or --set) itself."""
    if not isinstance(error, ConfigError):
        return str(error)
    if error.path in (file, OVERRIDE_SOURCE) or os.path.exists(error.path):
        return str(error)
    return ": ".join(part for part in (file, error.path, error.key, error.hint) if part)


class DaemonOptions(usage.Options):
    """Reads the configuration before anything is built, so that a mistake is one line and exit code 1.

    Subclasses say which ``schema`` the file has; ``config`` is what was read.
    """

    schema: ClassVar[type]
    component: ClassVar[str]
    config: Any = None

    optParameters: ClassVar[list[list[Any]]] = [
        ["config", "c", None, "The configuration file (YAML)."],
    ]
    optFlags: ClassVar[list[list[Any]]] = [
        ["check", None, "Read the configuration, print it with all defaults, and exit."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["set"] = []

    def opt_set(self, override: str) -> None:
        """Override one key of the configuration: --set query.timeout=1m; may be given several times."""
        self["set"].append(override)

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(
            f"pythanos {VERSION} (formats and APIs of Thanos {THANOS_COMPATIBLE}, Python {platform.python_version()})"
        )
        sys.exit(0)

    def postOptions(self) -> None:
        if self["config"] is None:
            self._refuse("give the configuration with -c FILE")
        try:
            self.config = load(self["config"], self.schema, environment=os.environ, overrides=self["set"])
            self.check(self.config)
        except ConfigError as error:
            self._refuse(message_of(error, self["config"]))
        if self["check"]:
            print(dump(self.config), end="")
            sys.exit(0)

    def check(self, config: Any) -> None:
        """Checks that reach over several sections. Raises ConfigError."""

    def _refuse(self, message: str) -> None:
        """One line and exit code 1; a UsageError would print the whole usage before it."""
        print(f"pythanos-{self.component}: {message}", file=sys.stderr)
        sys.exit(1)
