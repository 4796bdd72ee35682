"""``python -m bench``: every bench of one kernel or path, one after the other, each in a process of its own.

The drivers (drive_series, drive_promql) want a running server and are started by hand.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    """Runs the benches named on the command line (``chunks json``), or all; 1 where one of them failed."""
    wanted = sys.argv[1:] or sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    failed = []
    for name in wanted:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.bench_{name}"], cwd=FOLDER.parent).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


sys.exit(main())
