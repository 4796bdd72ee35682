"""Which blocks a bucket holds: by one listing of the root and a question per block, or by one recursive listing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pythanos.block.markers import DeletionMark
from pythanos.block.paths import DEBUG_FOLDER, block_of, meta_path
from pythanos.context import RequestContext
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.meta import META_FILENAME
from pythanos.workers import Pool

EXISTS_AHEAD = 64


@dataclass(frozen=True, slots=True)
class Listing:
    """``complete``: ULID to the last change of its meta.json in ms, None where the listing does not tell.

    ``partial``: blocks without a meta.json. ``marked``: blocks with a deletion mark, None where that was not looked at.
    ``ignored``: root entries that are no blocks, with the reason.
    """

    complete: dict[str, int | None]
    partial: frozenset[str]
    marked: frozenset[str] | None
    ignored: dict[str, str]


Lister = Callable[[Bucket, Pool, RequestContext], Listing]


def list_concurrent(bucket: Bucket, fetch: Pool, ctx: RequestContext) -> Listing:
    """One listing of the root, then on the fetch pool whether each block has a meta.json. Raises BucketUnavailable."""
    blocks: list[str] = []
    ignored: dict[str, str] = {}
    for name in bucket.iter():
        ctx.check()
        ulid = block_of(name) if name.endswith("/") else None
        if ulid is not None:
            blocks.append(ulid)
        else:
            _ignore(name, ignored)
    complete: dict[str, int | None] = {}
    partial = set()
    found = fetch.map(lambda ulid: bucket.exists(meta_path(ulid)), blocks, ahead=EXISTS_AHEAD)
    for ulid, exists in zip(blocks, found, strict=True):
        ctx.check()
        if exists:
            complete[ulid] = None
        else:
            partial.add(ulid)
    return Listing(complete, frozenset(partial), None, ignored)


def list_recursive(bucket: Bucket, fetch: Pool, ctx: RequestContext) -> Listing:
    """One listing of every object: fewer requests where blocks have few objects. Raises BucketUnavailable."""
    complete: dict[str, int | None] = {}
    seen, marked = set(), set()
    ignored: dict[str, str] = {}
    for name, attributes in bucket.walk():
        ctx.check()
        ulid, _, file = name.partition("/")
        if not file or block_of(name) is None:
            _ignore(f"{ulid}/" if file else ulid, ignored)
            continue
        seen.add(ulid)
        if file == META_FILENAME:
            complete[ulid] = attributes.last_modified_ms
        elif file == DeletionMark.filename:
            marked.add(ulid)
    return Listing(complete, frozenset(seen - complete.keys()), frozenset(marked), ignored)


LISTERS: dict[str, Lister] = {"concurrent": list_concurrent, "recursive": list_recursive}


def _ignore(name: str, ignored: dict[str, str]) -> None:
    if name != f"{DEBUG_FOLDER}/":
        ignored[name] = "not a ULID" if name.endswith("/") else "not a folder"
