"""Probe: readiness computed from the parts of a daemon, never set by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from twisted.application.service import Service
from twisted.internet.task import LoopingCall

from pythanos.runtime import logs

WATCH_SECONDS = 1.0


class Part(Protocol):
    """Anything with a state of its own that decides whether the daemon is ready."""

    def unready(self) -> str | None:
        """Why it is not ready, in a few words; None when it is. Never blocks; called from any thread."""


class Probe(Service):
    """Ready when every part is; changes are logged. Healthy as long as the reactor answers.

    ``thanos_status{component,check}`` shows both.
    """

    def __init__(self, component: str, parts: Iterable[Part], reactor: Any, registry: CollectorRegistry) -> None:
        self.setName("probe")
        self.component = component
        self.log = logs.make_logger()
        self._parts = list(parts)
        self._logged = ""
        self._watch = LoopingCall(self._observe)
        self._watch.clock = reactor
        registry.register(_StatusCollector(self))

    def unready(self) -> str | None:
        """The first reason why the daemon is not ready; None when it is."""
        if not self.running:
            return "not running"
        for part in self._parts:
            reason = part.unready()
            if reason is not None:
                return reason
        return None

    def watch(self, part: Part) -> None:
        """Adds a part, while the daemon is built."""
        self._parts.append(part)

    def healthy(self) -> bool:
        return bool(self.running)

    def startService(self) -> None:
        super().startService()
        self._watch.start(WATCH_SECONDS)

    def stopService(self) -> None:
        super().stopService()
        if self._watch.running:
            self._watch.stop()
        self._observe()

    def _observe(self) -> None:
        reason = self.unready()
        status = "ready" if reason is None else "not-ready"
        if status == self._logged:
            return
        if reason is None:
            self.log.info("changing probe status", status=status)
        elif self._logged or self.running:
            self.log.info("changing probe status", status=status, reason=reason)
        self._logged = status


class _StatusCollector:
    """Computes the state when it is asked for."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = self._family()
        component = self._probe.component
        family.add_metric([component, "ready"], float(self._probe.unready() is None))
        family.add_metric([component, "healthy"], float(self._probe.healthy()))
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        text = "Represents status (0 indicates failure, 1 indicates success) of the component."
        return GaugeMetricFamily("thanos_status", text, labels=["component", "check"])
