"""What a server process took: CPU seconds and peak memory, by pid."""

from __future__ import annotations

import contextlib
from pathlib import Path


class ServerUsage:
    """One process by its pid; without a pid everything is None. Raises FileNotFoundError for one that is not there."""

    def __init__(self, pid: int | None) -> None:
        self._folder = Path(f"/proc/{pid}") if pid else None
        self.cpu_seconds()

    def cpu_seconds(self) -> float | None:
        """User and system time of the threads that there are, to the nanosecond: process times come in 10 ms."""
        if self._folder is None:
            return None
        nanoseconds = 0
        for task in (self._folder / "task").iterdir():
            # A thread may end while it is looked at.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                nanoseconds += int((task / "schedstat").read_text().split()[0])
        return nanoseconds / 1e9

    def peak_rss_mib(self) -> float | None:
        """The most memory that was ever resident."""
        if self._folder is None:
            return None
        lines = (self._folder / "status").read_text().splitlines()
        (peak,) = (line for line in lines if line.startswith("VmHWM:"))
        return round(int(peak.split()[1]) / 1024, 1)
