"""Blocks of a folder in a bucket, served by our store and asked through our querier, all as processes."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from running import ROOT, Daemon, running_query, running_store

REPLICA = "replica"
EXPERIMENTAL = "promql-experimental-functions"


def upload_blocks(folder: Path, bucket: Mapping[str, Any]) -> list[str]:
    """``pythanos tools bucket upload-blocks`` with one replica label; the names of the blocks that went up."""
    code = "from pythanos.tools.main import main; main()"
    argv = [sys.executable, "-c", code, "tools", "bucket", "upload-blocks", "--path", str(folder)]
    argv += ["--label", f'{REPLICA}="a"', "--objstore.config", json.dumps(bucket)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


@contextmanager
def serving(home: Path, bucket: Mapping[str, Any], *, features: Sequence[str] = (EXPERIMENTAL,)) -> Iterator[Daemon]:
    """A querier over a store over the bucket; the replica label is deduplicated away."""
    with (
        running_store(home, {"config": dict(bucket)}) as store,
        running_query(home, [store.grpc], query={"replica_label": [REPLICA]}, enable_feature=list(features)) as querier,
    ):
        yield querier
