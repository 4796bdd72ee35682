"""What a server process took: CPU seconds and peak memory, by pid."""

from __future__ import annotations

from pathlib import Path

import psutil


class ServerUsage:
    """One process by its pid; without a pid everything is None."""

    def __init__(self, pid: int | None) -> None:
        self._process = psutil.Process(pid) if pid else None

    def cpu_seconds(self) -> float | None:
        """User and system time since the process started."""
        if self._process is None:
            return None
        times = self._process.cpu_times()
        return times.user + times.system

    def peak_rss_mib(self) -> float | None:
        """The most memory that was ever resident."""
        if self._process is None:
            return None
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        (peak,) = (line for line in lines if line.startswith("VmHWM:"))
        return round(int(peak.split()[1]) / 1024, 1)
