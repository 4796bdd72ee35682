"""How much memory this process may use: what its control group grants, or what the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# Version 1 says "no limit" by a number near 2^63.
_UNLIMITED = 1 << 60


def memory_limit_bytes(root: Path = Path("/")) -> int:
    """Bytes: the least of the limits of the process's control groups (version 2 and 1) and of the machine's memory.

    0 where nothing is known (not Linux). ``root`` is where ``proc`` and ``sys`` are.
    """
    limits = [*_group_limits(root), *_machine(root)]
    return min(limits, default=0)


def _group_limits(root: Path) -> Iterator[int]:
    """The limits of the process's groups and of all above them."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            yield from _limits(root, "sys/fs/cgroup", group, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits(root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes")


def _limits(root: Path, mount: str, group: str, name: str) -> Iterator[int]:
    """The limits of one group and its parents. Inside a container the group itself is mounted at the top."""
    folder = root / mount
    path = group.strip("/")
    places = [folder, *(folder / part for part in _prefixes(path))]
    for place in places:
        text = _text(place / name).strip()
        if text.isdigit() and 0 < int(text) < _UNLIMITED:
            yield int(text)


def _prefixes(path: str) -> Iterator[str]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def _machine(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            yield int(line.split()[1]) * 1024


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
