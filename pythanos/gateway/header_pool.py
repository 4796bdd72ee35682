"""Index-headers of loaded blocks: on disk next to each other, mapped at once or at first use.

A header that is missing or damaged is built again from the bucket (ST-10). Lazy headers are unmapped after a time
without use (ST-11); whoever still works with one keeps it alive, as the file is unmapped when its last user is gone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pythanos.errors import CorruptData
from pythanos.gateway.metrics import HeaderMetrics
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.index_header import HEADER_FILENAME, IndexHeader, write_index_header
from pythanos.workers import Pool

log = logging.getLogger(__name__)


class HeaderPool:
    """Opens headers. ``lazy``: map at first use; ``lazy_download``: do not even fetch before that."""

    def __init__(
        self,
        bucket: Bucket,
        data_dir: Path,
        fetch: Pool,
        metrics: HeaderMetrics,
        *,
        lazy: bool = False,
        lazy_download: bool = False,
        idle_timeout_ms: int = 300_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bucket = bucket
        self.data_dir = data_dir
        self.fetch = fetch
        self.metrics = metrics
        self.lazy = lazy
        self.monotonic = monotonic
        self._lazy_download = lazy and lazy_download
        self._idle_timeout_ms = idle_timeout_ms
        self._lock = threading.Lock()
        self._headers: set[BlockHeader] = set()

    def open(self, ulid: str) -> BlockHeader:
        """The header of a block. Raises CorruptData and what the bucket raises, where it is not lazy."""
        header = BlockHeader(self, ulid)
        if not self.lazy:
            header.get()
        elif not self._lazy_download and not header.path.exists():
            header.download()
        with self._lock:
            self._headers.add(header)
        return header

    def forget(self, header: BlockHeader) -> None:
        with self._lock:
            self._headers.discard(header)
        header.unload()

    def unload_idle(self) -> int:
        """Unmaps the lazy headers that nobody used for the idle timeout; how many. To be called each tenth of it."""
        if not self.lazy or self._idle_timeout_ms <= 0:
            return 0
        before = self.monotonic() - self._idle_timeout_ms / 1000
        with self._lock:
            idle = [header for header in self._headers if header.loaded and header.used_at <= before]
        for header in idle:
            header.unload()
            self.metrics.lazy_unloads.inc()
        return len(idle)


class BlockHeader:
    """One block's header. Thread-safe."""

    def __init__(self, pool: HeaderPool, ulid: str) -> None:
        self._pool = pool
        self._ulid = ulid
        self._lock = threading.Lock()
        self._header: IndexHeader | None = None
        self.path = pool.data_dir / ulid / HEADER_FILENAME
        self.used_at = pool.monotonic()

    @property
    def loaded(self) -> bool:
        return self._header is not None

    def get(self) -> IndexHeader:
        """The mapped header, which stays usable as long as the caller holds it."""
        self.used_at = self._pool.monotonic()
        header = self._header
        if header is not None:
            return header
        with self._lock:
            if self._header is None:
                self._header = self._load_lazily() if self._pool.lazy else self._load()
            return self._header

    def unload(self) -> None:
        with self._lock:
            self._header = None

    def download(self) -> None:
        begin = self._pool.monotonic()
        write_index_header(self._pool.bucket, self._ulid, self.path, self._pool.fetch)
        self._pool.metrics.download_seconds.observe(self._pool.monotonic() - begin)

    def _load_lazily(self) -> IndexHeader:
        metrics, begin = self._pool.metrics, self._pool.monotonic()
        metrics.lazy_loads.inc()
        try:
            header = self._load()
        except Exception:
            metrics.lazy_load_failures.inc()
            raise
        metrics.lazy_load_seconds.observe(self._pool.monotonic() - begin)
        return header

    def _load(self) -> IndexHeader:
        begin = self._pool.monotonic()
        try:
            header = IndexHeader(self.path)
        except FileNotFoundError:
            self.download()
            header = IndexHeader(self.path)
        except CorruptData as error:
            log.warning("rebuilding index-header", extra={"block": self._ulid, "err": str(error)})
            self.download()
            header = IndexHeader(self.path)
        self._pool.metrics.load_seconds.observe(self._pool.monotonic() - begin)
        return header
