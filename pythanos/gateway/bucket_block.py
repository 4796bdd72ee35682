"""One block of the bucket, loaded: its meta, its index-header, the names of its objects, and who is reading it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from pythanos.block.paths import chunks_path, index_path
from pythanos.gateway.header_pool import BlockHeader, HeaderPool
from pythanos.model.matchers import Matcher
from pythanos.model.timerange import ClosedRange
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.index_header import IndexHeader
from pythanos.tsdb.meta import BlockMeta

BLOCK_ID_LABEL = "__block_id"


class BucketBlock:
    """A SelectableBlock. Readers pin it; it is released when it was closed and the last of them has gone."""

    def __init__(
        self,
        bucket: Bucket,
        meta: BlockMeta,
        headers: HeaderPool,
        *,
        series_bytes_max: int,
        chunk_bytes_max: int,
    ) -> None:
        """Loads the header, or not yet, as the pool says. Raises CorruptData and what the bucket raises.

        The sizes are estimates, which the block's own index stats lower.
        """
        self.bucket = bucket
        self.meta = meta
        self.ulid = meta.ulid
        self.labels = meta.labels
        self.index_name = index_path(meta.ulid)
        stats = meta.thanos.index_stats if meta.thanos else None
        self.series_bytes_max = _estimate(series_bytes_max, stats.series_max_size if stats else 0)
        self.chunk_bytes_max = _estimate(chunk_bytes_max, stats.chunk_max_size if stats else 0)
        self.segments = self._segments()
        self._headers = headers
        self._header: BlockHeader = headers.open(meta.ulid)
        self._lock = threading.Lock()
        self._readers = 0
        self._released: Callable[[], None] | None = None

    def open_header(self) -> IndexHeader:
        return self._header.get()

    def pin(self) -> None:
        """Keeps the block until ``unpin``."""
        with self._lock:
            self._readers += 1

    def unpin(self) -> None:
        with self._lock:
            self._readers -= 1
            released = self._released if not self._readers else None
        if released is not None:
            self._release(released)

    def close(self, released: Callable[[], None] = lambda: None) -> None:
        """Lets go of the header and then calls ``released``: at once, or in the thread of the last reader.

        No reader may come any more. A slow reader so holds its block, but not the one who closes it.
        """
        with self._lock:
            self._released = released
            idle = not self._readers
        if idle:
            self._release(released)

    def _release(self, released: Callable[[], None]) -> None:
        self._headers.forget(self._header)
        released()

    def overlaps(self, wanted: ClosedRange) -> bool:
        return self.meta.range.overlaps(wanted)

    def matches(self, matchers: Iterable[Matcher]) -> bool:
        """Whether the external labels, with ``__block_id`` for the ULID, satisfy the matchers."""
        return all(
            matcher.matches(self.ulid if matcher.name == BLOCK_ID_LABEL else self.labels.get(matcher.name, ""))
            for matcher in matchers
        )

    def _segments(self) -> tuple[str, ...]:
        """The chunk segment objects by number, as meta.json names them, or else as they are listed."""
        if self.meta.segment_files:
            return tuple(chunks_path(self.ulid, name) for name in self.meta.segment_files)
        return tuple(sorted(self.bucket.iter(chunks_path(self.ulid, ""))))


def _estimate(configured: int, from_stats: int) -> int:
    return min(configured, from_stats) if from_stats > 0 else configured
