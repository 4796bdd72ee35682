"""The demo's bucket: a week of the shop's metrics from two replicas, as blocks of 2 hours, 8 hours and 2 days.

Which blocks there are is planned from what the folder holds, then the missing ones are written; a second run adds only
the time that has passed. The bytes depend on the window alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pythanos.testing.series_batches import encode_matrix
from pythanos.testing.shop import REPLICAS, shop
from pythanos.tsdb.block_writer import write_block
from pythanos.tsdb.meta import BlockMeta, Compaction, ThanosMeta, is_ulid, new_ulid
from pythanos.workers import Pool

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HISTORY_MS = 7 * DAY_MS
# Range of a block, its compaction level, and how far before the end blocks of that range stop.
RANGES = ((2 * DAY_MS, 3, 3 * DAY_MS), (8 * HOUR_MS, 2, DAY_MS), (2 * HOUR_MS, 1, 0))
CLUSTER = "demo"


@dataclass(frozen=True, slots=True)
class PlannedBlock:
    """A block that is to be written: ``[mint, maxt)`` ms of one replica."""

    replica: str
    mint: int
    maxt: int
    level: int

    def meta(self) -> BlockMeta:
        chance = random.Random(f"{self.replica}/{self.mint}/{self.maxt}")
        # Well before now, also where the block reaches into the future: no block may look younger than it is.
        ulid = new_ulid(self.mint - DAY_MS, chance.randbytes)
        return BlockMeta(
            ulid=ulid,
            mint=self.mint,
            maxt=self.maxt,
            compaction=Compaction(level=self.level, sources=(ulid,)),
            thanos=ThanosMeta(version=1, labels={"cluster": CLUSTER, "replica": self.replica}, source="bucket.upload"),
        )


def data_end(now_ms: int) -> int:
    """Up to where the demo has data: the next even hour, so that graphs reach the present for a while."""
    return (now_ms // (2 * HOUR_MS) + 2) * 2 * HOUR_MS


def plan(covered_until: dict[str, int], now_ms: int) -> list[PlannedBlock]:
    """The blocks that are missing; ``covered_until`` tells per replica where its last block ends, in ms."""
    end = data_end(now_ms)
    planned = []
    for replica in REPLICAS:
        at = max(covered_until.get(replica, 0), end - HISTORY_MS)
        while at < end:
            span, level = next(
                (span, level) for span, level, before in RANGES if at % span == 0 and at + span <= end - before
            )
            planned.append(PlannedBlock(replica, at, at + span, level))
            at += span
    return planned


def covered_until(folder: Path) -> dict[str, int]:
    """Where the last block of each replica ends, from the metas in the folder."""
    ends: dict[str, int] = {}
    for path in folder.glob("*/meta.json"):
        if is_ulid(path.parent.name):
            meta = json.loads(path.read_text())
            replica = meta["thanos"]["labels"]["replica"]
            ends[replica] = max(ends.get(replica, 0), meta["maxTime"])
    return ends


def write_missing(folder: Path, now_ms: int, pool: Pool, told: Callable[[int, int], None]) -> int:
    """Writes what is missing and returns how many blocks that were; ``told(done, all)`` hears of each."""
    folder.mkdir(parents=True, exist_ok=True)
    planned = plan(covered_until(folder), now_ms)
    written: Iterable[None] = pool.map(lambda block: _write(folder, block), planned)
    for done, _ in enumerate(written, 1):
        told(done, len(planned))
    return len(planned)


def _write(folder: Path, block: PlannedBlock) -> None:
    series = shop(block.mint, block.maxt, block.replica)
    write_block(folder, block.meta(), [encode_matrix(series.labels, series.timestamps, series.values)])
