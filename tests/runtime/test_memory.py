"""The memory that a process may use, by what the kernel's files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from pythanos.runtime.memory import memory_limit_bytes

MIB = 1 << 20


def machine(root: Path, cgroup: str, **files: str) -> Path:
    """A root folder with proc/meminfo of 8 GiB, the process's groups, and files under sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    (root / "proc/meminfo").write_text("MemTotal:        8388608 kB\nMemFree:         100 kB\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


CASES = [
    ("0::/a/b\n", {"a/memory.max": f"{512 * MIB}\n", "a/b/memory.max": "max\n"}, 512 * MIB),
    ("0::/a/b\n", {"a/memory.max": "max\n", "a/b/memory.max": f"{256 * MIB}\n"}, 256 * MIB),
    # In a container the group is what is mounted.
    ("0::/\n", {"memory.max": f"{128 * MIB}\n"}, 128 * MIB),
    ("0::/../x\n", {"memory.max": f"{128 * MIB}\n"}, 128 * MIB),
    ("9:name=systemd:/\n4:memory:/job\n0::/\n", {"memory/job/memory.limit_in_bytes": f"{64 * MIB}\n"}, 64 * MIB),
    ("4:cpu,memory:/job\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 8192 * MIB),
    ("0::/a\n", {"a/memory.max": "max\n"}, 8192 * MIB),
    ("0::/a\n", {"a/memory.max": f"{1 << 50}\n"}, 8192 * MIB),
]


@pytest.mark.parametrize(("cgroup", "files", "limit"), CASES)
def test_the_least_limit_counts(tmp_path: Path, cgroup: str, files: dict[str, str], limit: int) -> None:
    """Version 2, version 1, parents, containers; else the memory of the machine."""
    assert memory_limit_bytes(machine(tmp_path, cgroup, **files)) == limit


def test_a_system_without_these_files_has_no_known_limit(tmp_path: Path) -> None:
    """0, and nothing raised."""
    assert memory_limit_bytes(tmp_path) == 0
