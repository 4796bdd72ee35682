"""Looking for what is wrong with the blocks of a bucket; nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pythanos.block.index_health import IndexHealth, check_index
from pythanos.block.overlaps import duplicated, overlapping_by_group
from pythanos.block.paths import index_path
from pythanos.block.transfer import download_file
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, CorruptData, ObjectNotFound
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.index_reader import IndexReader
from pythanos.tsdb.meta import BlockMeta
from pythanos.workers import Pool

INDEX_KNOWN_ISSUES = "index_known_issues"
OVERLAPPED_BLOCKS = "overlapped_blocks"
DUPLICATED_COMPACTION = "duplicated_compaction"
DEFAULT_ISSUES = (INDEX_KNOWN_ISSUES, OVERLAPPED_BLOCKS)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which check found it, in which blocks, and what it is."""

    issue: str
    blocks: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class VerifyInput:
    """``folder`` takes one index at a time; ``blocks`` restricts the checks of single blocks, empty: all."""

    bucket: Bucket
    metas: Mapping[str, BlockMeta]
    folder: str
    fetch: Pool
    ctx: RequestContext
    blocks: Collection[str] = ()


def check_issues(issues: Sequence[str], blocks: Collection[str] = ()) -> None:
    """Raises BadRequest for an unknown issue, or one that cannot be looked for in some blocks only."""
    for issue in issues:
        if issue not in _CHECKS:
            raise BadRequest(f"no such issue {issue}; there are {', '.join(_CHECKS)}")
        if blocks and issue != INDEX_KNOWN_ISSUES:
            raise BadRequest(f"{issue} compares blocks with each other; it cannot be restricted to some of them")


def verify_blocks(given: VerifyInput, issues: Sequence[str] = DEFAULT_ISSUES) -> Iterator[Finding]:
    """What the checks find, as they find it. Raises BadRequest as ``check_issues``, and BucketUnavailable."""
    check_issues(issues, given.blocks)
    for issue in issues:
        yield from _CHECKS[issue](given)


def index_health(given: VerifyInput, meta: BlockMeta) -> IndexHealth:
    """Downloads the index of one block and checks it. Raises CorruptData, ObjectNotFound, BucketUnavailable."""
    name, path = index_path(meta.ulid), os.path.join(given.folder, f"{meta.ulid}.index")
    try:
        download_file(given.bucket, name, path, fetch=given.fetch, ctx=given.ctx)
        return check_index(IndexReader.open(path, name=name), meta.range, given.ctx)
    finally:
        if os.path.exists(path):
            os.unlink(path)


def _index_known_issues(given: VerifyInput) -> Iterator[Finding]:
    for ulid, meta in sorted(given.metas.items()):
        given.ctx.check()
        if given.blocks and ulid not in given.blocks:
            continue
        try:
            problems = index_health(given, meta).problems()
        except (CorruptData, ObjectNotFound) as error:
            problems = [str(error)]
        if problems:
            yield Finding(INDEX_KNOWN_ISSUES, (ulid,), ", ".join(problems))


def _overlapped_blocks(given: VerifyInput) -> Iterator[Finding]:
    for group, overlaps in overlapping_by_group(given.metas.values()).items():
        for overlap in overlaps:
            blocks = tuple(meta.ulid for meta in overlap.blocks)
            yield Finding(OVERLAPPED_BLOCKS, blocks, f"group {group}: {overlap}")


def _duplicated_compaction(given: VerifyInput) -> Iterator[Finding]:
    for group, overlaps in overlapping_by_group(given.metas.values()).items():
        for overlap in overlaps:
            for same in duplicated(overlap.blocks):
                blocks = tuple(meta.ulid for meta in same)
                text = f"group {group}: {blocks[0]} makes {', '.join(blocks[1:])} superfluous"
                yield Finding(DUPLICATED_COMPACTION, blocks, text)


_CHECKS: dict[str, Callable[[VerifyInput], Iterator[Finding]]] = {
    INDEX_KNOWN_ISSUES: _index_known_issues,
    OVERLAPPED_BLOCKS: _overlapped_blocks,
    DUPLICATED_COMPACTION: _duplicated_compaction,
}
