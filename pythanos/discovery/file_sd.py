"""FileDiscovery: endpoint addresses from files in Prometheus' file_sd format, read again when they change."""

from __future__ import annotations

import glob
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger(__name__)

SUFFIXES = (".json", ".yml", ".yaml")
GROUP_KEYS = {"targets", "labels"}


@dataclass(frozen=True, slots=True)
class _Known:
    """What a file said when it looked like this."""

    stamp: tuple[int, int]
    read_at_ms: int
    addresses: tuple[str, ...]


class FileDiscovery:
    """The addresses in all files that match the glob patterns.

    A file is read when its size or time stamp changed, and every ``interval_ms``. One that cannot be read or understood
    keeps what it said before; one that is gone says nothing. Not safe for use from several threads.
    """

    def __init__(self, patterns: Sequence[str], interval_ms: int) -> None:
        self._patterns = tuple(patterns)
        self._interval_ms = interval_ms
        self._files: dict[str, _Known] = {}

    def addresses(self, now_ms: int) -> tuple[str, ...]:
        """Each address once, in the order of patterns, file names and targets."""
        names = [name for pattern in self._patterns for name in sorted(glob.glob(pattern))]
        self._files = {name: known for name in names if (known := self._current(name, now_ms)) is not None}
        return tuple(dict.fromkeys(address for known in self._files.values() for address in known.addresses))

    def _current(self, name: str, now_ms: int) -> _Known | None:
        before = self._files.get(name)
        try:
            status = os.stat(name)
            stamp = (status.st_mtime_ns, status.st_size)
            if before is not None and before.stamp == stamp and now_ms - before.read_at_ms < self._interval_ms:
                return before
            return _Known(stamp, now_ms, parse_targets(Path(name).read_text(), name))
        except (OSError, ValueError) as error:
            # Both kinds of error name the file.
            log.error("error reading file_sd file, its last content stays: %s", error)
            return before


def parse_targets(text: str, name: str) -> tuple[str, ...]:
    """The targets in a file of target groups; the suffix of ``name`` tells the format. Raises ValueError."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{name}: must end in .json, .yml or .yaml")
    try:
        groups: Any = json.loads(text) if suffix == ".json" else yaml.safe_load(text)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{name}: {' '.join(str(error).split())}") from error
    if not isinstance(groups, list):
        raise ValueError(f"{name}: must be a list of target groups")
    return tuple(address for group in groups for address in _targets(group, name))


def _targets(group: Any, name: str) -> list[str]:
    if not isinstance(group, dict) or not set(group) <= GROUP_KEYS:
        raise ValueError(f"{name}: a target group has the keys targets and labels")
    targets = group.get("targets", [])
    if not isinstance(targets, list) or not all(isinstance(target, str) and target for target in targets):
        raise ValueError(f"{name}: targets must be a list of addresses")
    return targets
