"""Platform: everything that varies between a real process and a test, handed to each daemon's ``build``."""

from __future__ import annotations

import gc
import platform as python_platform
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from pythanos.runtime.clock import Clock, SystemClock
from pythanos.runtime.memory import memory_limit_bytes
from pythanos.version import VERSION


@dataclass(frozen=True, slots=True)
class Platform:
    """reactor: IReactorTime, IReactorTCP and IReactorThreads; registry: where every part puts its metrics.

    ``memory_bytes`` gives what the process may use, 0 where that is not known.
    """

    reactor: Any
    registry: CollectorRegistry
    clock: Clock = field(default_factory=SystemClock)
    random: random.Random = field(default_factory=random.Random)
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: Callable[[], int] = memory_limit_bytes


def process_registry() -> CollectorRegistry:
    """A registry with the collectors of the process, of Python and of the build."""
    disable_created_metrics()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    build = Gauge(
        "thanos_build_info",
        "A metric with a constant '1' value labeled by what the process was built from.",
        ["version", "revision", "branch", "goversion", "tags", "goos", "goarch"],
        registry=registry,
    )
    build.labels(
        version=VERSION,
        revision="",
        branch="",
        goversion=f"python{python_platform.python_version()}",
        tags="",
        goos=python_platform.system().lower(),
        goarch=python_platform.machine(),
    ).set(1)
    return registry


def settle() -> None:
    """Called once everything is started: what lives now lives on, so the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    # Data planes make no cycles; collecting young objects rarely saves the walk over what one request allocates.
    gc.set_threshold(50_000, 20, 50)
