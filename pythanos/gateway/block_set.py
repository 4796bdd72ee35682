"""The loaded blocks, by external label set and resolution, and which of them a request needs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from pythanos.errors import CorruptData
from pythanos.gateway.bucket_block import BucketBlock
from pythanos.model.matchers import Matcher
from pythanos.model.resolution import RESOLUTIONS_MS
from pythanos.model.timerange import ClosedRange

LabelKey = tuple[tuple[str, str], ...]


class BlockSet:
    """The blocks of one external label set. Not thread-safe: ``BlockSets`` guards it."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels = labels
        self._blocks: dict[int, list[BucketBlock]] = {resolution: [] for resolution in RESOLUTIONS_MS}

    def __len__(self) -> int:
        return sum(map(len, self._blocks.values()))

    def __iter__(self) -> Iterator[BucketBlock]:
        for blocks in self._blocks.values():
            yield from blocks

    def add(self, block: BucketBlock) -> None:
        """Raises CorruptData for a resolution that does not exist."""
        resolution = block.meta.resolution_ms
        if resolution not in self._blocks:
            raise CorruptData(f"{block.ulid}/meta.json", -1, f"unsupported downsampling resolution {resolution}")
        blocks = self._blocks[resolution]
        blocks.append(block)
        blocks.sort(key=lambda one: (one.meta.mint, one.meta.maxt))

    def remove(self, ulid: str) -> None:
        for blocks in self._blocks.values():
            blocks[:] = [block for block in blocks if block.ulid != ulid]

    def matchers_for(self, matchers: Iterable[Matcher]) -> tuple[Matcher, ...] | None:
        """The matchers without those on external labels; None where one of these does not match."""
        rest = []
        for matcher in matchers:
            value = self.labels.get(matcher.name, "")
            if not value:
                rest.append(matcher)
            elif not matcher.matches(value):
                return None
        return tuple(rest)

    def blocks_for(
        self, wanted: ClosedRange, max_resolution_ms: int, block_matchers: Sequence[Matcher] = ()
    ) -> list[BucketBlock]:
        """Blocks that cover the range: the coarsest allowed, gaps between them filled with finer ones (ST-14).

        Blocks that ``block_matchers`` leave out are not replaced by finer ones. By time, each block once.
        """
        coarse_first = sorted((one for one in RESOLUTIONS_MS if one <= max_resolution_ms), reverse=True)
        found = dict.fromkeys(self._cover(wanted.mint, wanted.maxt, coarse_first or [min(RESOLUTIONS_MS)]))
        return [block for block in found if block.matches(block_matchers)]

    def _cover(self, mint: int, maxt: int, resolutions: list[int]) -> Iterator[BucketBlock]:
        if mint > maxt:
            return
        finer, start = resolutions[1:], mint
        for block in self._blocks[resolutions[0]]:
            if block.meta.maxt <= mint:
                continue
            if block.meta.mint > maxt:
                break
            if finer:
                yield from self._cover(start, block.meta.mint - 1, finer)
            yield block
            start = max(start, block.meta.maxt)
        if finer:
            yield from self._cover(start, maxt, finer)


class BlockSets:
    """All loaded blocks. Thread-safe; whoever selects blocks gets them pinned."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: dict[str, BucketBlock] = {}
        self._sets: dict[LabelKey, BlockSet] = {}
        # Changes with the blocks.
        self.version = 0

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, ulid: str) -> bool:
        return ulid in self._blocks

    def all(self) -> list[BucketBlock]:
        with self._lock:
            return list(self._blocks.values())

    def label_sets(self) -> list[dict[str, str]]:
        """The distinct external label sets, sorted."""
        with self._lock:
            return [self._sets[key].labels for key in sorted(self._sets)]

    def add(self, block: BucketBlock) -> None:
        """Raises CorruptData for a block that cannot be served."""
        key = tuple(sorted(block.labels.items()))
        with self._lock:
            known = self._sets.get(key) or BlockSet(block.labels)
            known.add(block)
            self._sets[key] = known
            self._blocks[block.ulid] = block
            self.version += 1

    def remove(self, ulid: str) -> BucketBlock | None:
        """Takes a block out, so that no new request finds it."""
        with self._lock:
            block = self._blocks.pop(ulid, None)
            if block is None:
                return None
            self.version += 1
            key = tuple(sorted(block.labels.items()))
            self._sets[key].remove(ulid)
            if not len(self._sets[key]):
                del self._sets[key]
            return block

    def select(
        self,
        wanted: ClosedRange,
        matchers: Sequence[Matcher],
        block_matchers: Sequence[Matcher],
        max_resolution_ms: int,
    ) -> list[tuple[BucketBlock, tuple[Matcher, ...]]]:
        """(block, matchers on its series) for a Series call; every block is pinned, and the caller's to unpin."""
        with self._lock:
            found = []
            for one in self._sets.values():
                rest = one.matchers_for(matchers)
                if rest is not None:
                    blocks = one.blocks_for(wanted, max_resolution_ms, block_matchers)
                    found += [(block, rest) for block in blocks]
            for block, _ in found:
                block.pin()
            return found

    def select_all(
        self, wanted: ClosedRange, matchers: Sequence[Matcher], block_matchers: Sequence[Matcher]
    ) -> list[tuple[BucketBlock, tuple[Matcher, ...]]]:
        """As ``select``, but every block of every resolution that overlaps the range, for label names and values."""
        with self._lock:
            found = []
            for one in self._sets.values():
                rest = one.matchers_for(matchers)
                if rest is not None:
                    found += [
                        (block, rest) for block in one if block.overlaps(wanted) and block.matches(block_matchers)
                    ]
            for block, _ in found:
                block.pin()
            return found
