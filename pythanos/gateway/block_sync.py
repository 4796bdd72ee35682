"""Brings the loaded blocks in line with the bucket: plans what to add and drop, then does it.

A block that cannot be loaded is logged and counted, tried again next time, and never stops the others.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pythanos.block.fetcher import FetchedMetas
from pythanos.context import RequestContext
from pythanos.gateway.block_set import BlockSets
from pythanos.gateway.bucket_block import BucketBlock
from pythanos.gateway.metrics import BlockMetrics
from pythanos.tsdb.meta import BlockMeta, is_ulid
from pythanos.workers import Pool

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What separates the loaded blocks from those of the bucket."""

    add: tuple[BlockMeta, ...]
    drop: tuple[str, ...]


def plan_sync(loaded: Iterable[str], fetched: FetchedMetas) -> SyncPlan:
    """New blocks are added, latest first, as queries want these; vanished ones dropped, but not on an incomplete
    view.
    """
    known = set(loaded)
    add = sorted((meta for ulid, meta in fetched.metas.items() if ulid not in known), key=lambda one: -one.maxt)
    gone = sorted(known - fetched.metas.keys()) if fetched.complete else []
    return SyncPlan(tuple(add), tuple(gone))


class BlockSync:
    """Carries plans out. ``load`` makes a BucketBlock of a meta."""

    def __init__(
        self,
        blocks: BlockSets,
        load: Callable[[BlockMeta], BucketBlock],
        data_dir: Path,
        metrics: BlockMetrics,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._blocks = blocks
        self._load = load
        self._data_dir = data_dir
        self._metrics = metrics
        self._clock = clock
        self._monotonic = monotonic

    def apply(self, ctx: RequestContext, plan: SyncPlan, pool: Pool) -> None:
        """Adds on ``pool``, then drops. Raises only QueryCanceled and QueryTimeout."""

        def add(meta: BlockMeta) -> None:
            ctx.check()
            self._add(meta)

        for _ in pool.map(add, plan.add):
            pass
        for ulid in plan.drop:
            ctx.check()
            self._drop(ulid)

    def remove_stray_folders(self) -> None:
        """Deletes what earlier runs left of blocks that are not loaded now (ST-7)."""
        if not self._data_dir.is_dir():
            return
        for path in self._data_dir.iterdir():
            if is_ulid(path.name) and path.name not in self._blocks:
                self._remove_folder(path.name)

    def _add(self, meta: BlockMeta) -> None:
        begin = self._monotonic()
        self._metrics.loads.inc()
        block = None
        try:
            block = self._load(meta)
            self._blocks.add(block)
        except Exception as error:
            self._metrics.load_failures.inc()
            log.warning("loading block failed", extra={"block": meta.ulid, "err": str(error)}, exc_info=True)
            if block is not None:
                block.close()
            self._remove_folder(meta.ulid)
            return
        self._metrics.load_seconds.observe(self._monotonic() - begin)
        self._metrics.loaded.set(len(self._blocks))
        self._metrics.last_loaded.set(self._clock())
        log.info("loaded new block", extra={"block": meta.ulid, "elapsed": self._monotonic() - begin})

    def _drop(self, ulid: str) -> None:
        block = self._blocks.remove(ulid)
        if block is None:
            return
        self._metrics.loaded.set(len(self._blocks))
        block.close(lambda: self._dropped(ulid))

    def _dropped(self, ulid: str) -> None:
        """Runs when the last request that reads the block has ended."""
        if ulid in self._blocks:
            return
        if self._remove_folder(ulid):
            self._metrics.drops.inc()
            log.info("dropped outdated block", extra={"block": ulid})
        else:
            self._metrics.drop_failures.inc()

    def _remove_folder(self, ulid: str) -> bool:
        """Whether the block's local folder is gone."""
        try:
            shutil.rmtree(self._data_dir / ulid)
        except FileNotFoundError:
            return True
        except OSError as error:
            log.warning("removing the folder of a block failed", extra={"block": ulid, "err": str(error)})
            return False
        return True
