"""Request logging (XC-26, XC-27): which requests are logged, when and at which level.

The sections are those of Thanos' ``request.logging-config``. An empty list of paths or methods means all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from pythanos.config import Section

log = logging.getLogger(__name__)

Level = Literal["", "DEBUG", "INFO", "WARNING", "ERROR"]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_NUMERIC = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}
# gRPC codes that are the server's fault.
GRPC_ERRORS = frozenset(("Unknown", "Unimplemented", "Internal", "DataLoss"))


class LogDecision(Section, frozen=True):
    log_start: bool = False
    log_end: bool = False


class LogOptions(Section, frozen=True):
    """``level`` is the lowest that is logged: of requests that succeed DEBUG, of others ERROR."""

    level: Level = ""
    decision: LogDecision = LogDecision()

    def __post_init__(self) -> None:
        if (self.decision.log_start or self.decision.log_end) and not self.level:
            raise ValueError("level field in YAML file is empty")
        if self.decision.log_start and not self.decision.log_end:
            raise ValueError("log start call is not supported")


class HTTPLogEntry(Section, frozen=True):
    """``port`` 0: any."""

    path: str = ""
    port: Port = 0


class GRPCLogEntry(Section, frozen=True):
    service: str = ""
    method: str = ""


class HTTPLogConfig(Section, frozen=True):
    options: LogOptions = LogOptions()
    config: tuple[HTTPLogEntry, ...] = ()


class GRPCLogConfig(Section, frozen=True):
    options: LogOptions = LogOptions()
    config: tuple[GRPCLogEntry, ...] = ()


class RequestLogConfig(Section, frozen=True):
    """The options of a protocol come before the common ones."""

    options: LogOptions = LogOptions()
    http: HTTPLogConfig = HTTPLogConfig()
    grpc: GRPCLogConfig = GRPCLogConfig()

    def http_log(self) -> RequestLog:
        entries = {f"{entry.path}:{entry.port}" for entry in self.http.config}
        return _request_log(self.options, self.http.options, "http", frozenset(entries))

    def grpc_log(self) -> RequestLog:
        entries = {f"/{entry.service}/{entry.method}" for entry in self.grpc.config}
        return _request_log(self.options, self.grpc.options, "grpc", frozenset(entries))


class RequestSection(Section, frozen=True):
    """``request``: the logging configuration as a file or as content."""

    logging_config_file: str = ""
    logging_config: RequestLogConfig | None = None

    def http_log(self) -> RequestLog:
        return self.logging_config.http_log() if self.logging_config else RequestLog()

    def grpc_log(self) -> RequestLog:
        return self.logging_config.grpc_log() if self.logging_config else RequestLog()


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Which requests of one protocol are logged. By default none."""

    protocol: str = ""
    starts: bool = False
    ends: bool = False
    level: int = logging.ERROR
    names: frozenset[str] = frozenset()

    def wants(self, *names: str) -> bool:
        """Whether a request that goes by any of these names is logged."""
        return self.ends and (not self.names or not self.names.isdisjoint(names))

    def started(self, fields: Mapping[str, object]) -> None:
        if self.starts and self.level <= logging.DEBUG:
            log.debug("started call", extra={"protocol": self.protocol, **fields})

    def finished(self, fields: Mapping[str, object], *, failed: bool) -> None:
        """``failed``: by the server's fault."""
        level = logging.ERROR if failed else logging.DEBUG
        if self.level <= level:
            log.log(level, "finished call", extra={"protocol": self.protocol, **fields})


def _request_log(common: LogOptions, own: LogOptions, protocol: str, names: frozenset[str]) -> RequestLog:
    options = own if own.level else common
    level = _NUMERIC.get(options.level, logging.ERROR)
    return RequestLog(protocol, options.decision.log_start, options.decision.log_end, level, names)
