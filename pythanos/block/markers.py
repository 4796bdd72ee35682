"""Marks beside a block's meta.json: to be deleted, not to be compacted, not to be downsampled."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pythanos.errors import CorruptData, ObjectNotFound
from pythanos.model.gojson import go_json
from pythanos.objstore.bucket import Bucket

MARK_VERSION = 1
REASON_MANUAL = "manual"
REASON_INDEX_SIZE = "index-size-exceeding"
REASON_OUT_OF_ORDER_CHUNK = "block-index-out-of-order-chunk"
REASON_DOWNSAMPLE_VERTICAL = "downsample-vertical-compaction"


class UnsupportedMark(CorruptData):
    """A mark of another version: it says something that this reader does not understand."""


class DeletionMark(msgspec.Struct, frozen=True, kw_only=True):
    """``deletion_time``: unix seconds at which the block was marked."""

    filename = "deletion-mark.json"

    id: str
    version: int = 0
    details: str = ""
    deletion_time: int = 0


class NoCompactMark(msgspec.Struct, frozen=True, kw_only=True):
    """``no_compact_time``: unix seconds."""

    filename = "no-compact-mark.json"

    id: str
    version: int = 0
    details: str = ""
    no_compact_time: int = 0
    reason: str = ""


class NoDownsampleMark(msgspec.Struct, frozen=True, kw_only=True):
    """``no_downsample_time``: unix seconds."""

    filename = "no-downsample-mark.json"

    id: str
    version: int = 0
    details: str = ""
    no_downsample_time: int = 0
    reason: str = ""


Mark = TypeVar("Mark", DeletionMark, NoCompactMark, NoDownsampleMark)
AnyMark = DeletionMark | NoCompactMark | NoDownsampleMark
MARKS = (DeletionMark, NoCompactMark, NoDownsampleMark)


def mark_path(ulid: str, kind: type[AnyMark]) -> str:
    return f"{ulid}/{kind.filename}"


def read_mark(bucket: Bucket, ulid: str, kind: type[Mark]) -> Mark | None:
    """The block's mark, None where there is none.

    Raises CorruptData for what is no mark (half an upload, say), and its subclass UnsupportedMark for another version.
    """
    name = mark_path(ulid, kind)
    try:
        data = bucket.get(name)
    except ObjectNotFound:
        return None
    try:
        mark = msgspec.json.decode(data.decode("utf-8", "replace"), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CorruptData(name, -1, f"no valid mark: {error}") from error
    if mark.version != MARK_VERSION:
        raise UnsupportedMark(name, -1, f"unexpected version {mark.version}, expected {MARK_VERSION}")
    return mark


def encode_mark(mark: AnyMark) -> bytes:
    """The mark as Thanos writes it; empty details are left out."""
    fields = msgspec.structs.asdict(mark)
    return go_json({name: value for name, value in fields.items() if value or name != "details"}).encode()


def mark_for_deletion(bucket: Bucket, ulid: str, *, now_ms: int, details: str = "") -> bool:
    """Writes the mark; False, and nothing changed, where the block has one already."""
    return _write(
        bucket, DeletionMark(id=ulid, version=MARK_VERSION, details=details, deletion_time=now_ms // 1000)
    )  # fmt: skip


def mark_for_no_compact(
    bucket: Bucket, ulid: str, *, now_ms: int, reason: str = REASON_MANUAL, details: str = ""
) -> bool:
    """Writes the mark; False, and nothing changed, where the block has one already."""
    mark = NoCompactMark(
        id=ulid, version=MARK_VERSION, details=details, no_compact_time=now_ms // 1000, reason=reason
    )  # fmt: skip
    return _write(bucket, mark)


def mark_for_no_downsample(
    bucket: Bucket, ulid: str, *, now_ms: int, reason: str = REASON_MANUAL, details: str = ""
) -> bool:
    """Writes the mark; False, and nothing changed, where the block has one already."""
    mark = NoDownsampleMark(
        id=ulid, version=MARK_VERSION, details=details, no_downsample_time=now_ms // 1000, reason=reason
    )
    return _write(bucket, mark)


def remove_mark(bucket: Bucket, ulid: str, kind: type[AnyMark]) -> bool:
    """Takes the mark away; False where there is none."""
    name = mark_path(ulid, kind)
    if not bucket.exists(name):
        return False
    bucket.delete(name)
    return True


def _write(bucket: Bucket, mark: AnyMark) -> bool:
    name = mark_path(mark.id, type(mark))
    if bucket.exists(name):
        return False
    bucket.upload(name, encode_mark(mark))
    return True
