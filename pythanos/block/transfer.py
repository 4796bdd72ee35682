"""Moving whole blocks between a local folder and a bucket.

A block in a bucket is complete when its meta.json is there: it is uploaded last and deleted first.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from pythanos.block.markers import DeletionMark, mark_path
from pythanos.block.paths import CHUNKS_FOLDER, INDEX_FILENAME, TOMBSTONES_FILENAME, meta_path
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, BucketUnavailable, CorruptData, ObjectNotFound
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.meta import (
    META_FILENAME,
    BlockFile,
    BlockMeta,
    ObjectHash,
    ThanosMeta,
    decode_meta,
    encode_meta,
    format_time,
)
from pythanos.workers import Pool

log = logging.getLogger(__name__)

SHA256 = "SHA256"
HASH_FUNCTIONS = ("", SHA256)
PART_BYTES = 16 << 20
_DOWNLOADED = re.compile(rf"{CHUNKS_FOLDER}/[0-9]+|{INDEX_FILENAME}|{TOMBSTONES_FILENAME}", re.ASCII)


def upload_block(
    bucket: Bucket,
    folder: str,
    meta: BlockMeta,
    *,
    now_ms: int,
    fetch: Pool,
    ctx: RequestContext | None = None,
    hash_function: str = "",
    concurrency: int = 1,
) -> BlockMeta:
    """Uploads the block in ``folder``: chunks on the fetch pool, then the index, then meta.json.

    Returns the meta as uploaded: with the list of files and the time of upload. The folder's own meta.json is not read.
    On failure what was uploaded is deleted again, as far as the bucket lets. Raises BadRequest for a block without
    external labels, CorruptData for a folder without an index, BucketUnavailable.
    """
    if not meta.labels:
        raise BadRequest(f"block {meta.ulid} has no external labels, so nobody could tell whose it is")
    ctx = ctx or RequestContext()
    files = block_files(folder, hash_function, fetch)
    chunks = [file.rel_path for file in files if file.rel_path.startswith(f"{CHUNKS_FOLDER}/")]
    # Only what nobody else completed may be cleaned up.
    ours = not bucket.exists(meta_path(meta.ulid))
    try:
        sent = fetch.map(lambda path: _upload_file(bucket, folder, meta.ulid, path), chunks, ahead=max(1, concurrency))
        for _ in sent:
            ctx.check()
        _upload_file(bucket, folder, meta.ulid, INDEX_FILENAME)
        ctx.check()
        thanos = msgspec.structs.replace(meta.thanos or ThanosMeta(), files=files, upload_time=format_time(now_ms))
        uploaded = msgspec.structs.replace(meta, thanos=thanos)
        bucket.upload(meta_path(meta.ulid), encode_meta(uploaded))
        return uploaded
    except BaseException:
        if ours:
            _clean_up(bucket, meta.ulid)
        raise


def delete_block(bucket: Bucket, ulid: str) -> None:
    """Deletes all objects of a block: meta.json first, the deletion mark last, so that a rest is seen for what it is.

    Blocks that are partly gone already may be deleted again. Raises BucketUnavailable.
    """
    mark = mark_path(ulid, DeletionMark)
    _delete(bucket, meta_path(ulid))
    for name in list(bucket.iter(ulid, recursive=True)):
        if name not in (meta_path(ulid), mark):
            _delete(bucket, name)
    _delete(bucket, mark)


def download_block(
    bucket: Bucket, ulid: str, folder: str, *, fetch: Pool, ctx: RequestContext | None = None
) -> BlockMeta:
    """Downloads a block into ``folder``, which is created: meta.json always, other files unless their hash is right.

    Ranges of 16 MiB are fetched on the pool. Marks and foreign objects stay in the bucket. Raises ObjectNotFound for a
    block without a meta.json, CorruptData for one that is no meta.json or where an object is shorter than its listing
    said, BucketUnavailable.
    """
    ctx = ctx or RequestContext()
    name = meta_path(ulid)
    data = bucket.get(name)
    meta = decode_meta(data, name)
    os.makedirs(os.path.join(folder, CHUNKS_FOLDER), exist_ok=True)
    kept = _unchanged(folder, meta)
    for name, attributes in list(bucket.walk(ulid)):
        path = name[len(ulid) + 1 :]
        if _DOWNLOADED.fullmatch(path) and path not in kept:
            _download_file(bucket, name, attributes.size, os.path.join(folder, path), fetch, ctx)
    _write_whole(os.path.join(folder, META_FILENAME), data)
    return meta


def download_file(bucket: Bucket, name: str, path: str, *, fetch: Pool, ctx: RequestContext | None = None) -> None:
    """Downloads one object in ranges on the pool. Raises ObjectNotFound, BucketUnavailable."""  # fmt: skip
    _download_file(bucket, name, bucket.attributes(name).size, path, fetch, ctx or RequestContext())


def block_files(folder: str, hash_function: str, fetch: Pool) -> tuple[BlockFile, ...]:
    """The files of a local block, sorted by path, meta.json without a size. Raises CorruptData for a missing one."""
    try:
        chunks = sorted(os.listdir(os.path.join(folder, CHUNKS_FOLDER)))
        paths = [f"{CHUNKS_FOLDER}/{name}" for name in chunks] + [INDEX_FILENAME]
        sizes = [os.stat(os.path.join(folder, path)).st_size for path in paths]
    except OSError as error:
        raise CorruptData(folder, -1, f"not a whole block: {error}") from error
    hashes: Iterable[ObjectHash | None] = [None] * len(paths)
    if hash_function:
        hashes = fetch.map(lambda path: file_hash(os.path.join(folder, path)), paths)
    files = [
        BlockFile(rel_path=path, size_bytes=size, hash=found)
        for path, size, found in zip(paths, sizes, hashes, strict=True)
    ]
    return tuple(sorted([*files, BlockFile(rel_path=META_FILENAME)], key=lambda file: file.rel_path))


def file_hash(path: str) -> ObjectHash:
    """The SHA-256 of a file. Raises OSError."""
    with open(path, "rb") as file:
        return ObjectHash(func=SHA256, value=hashlib.file_digest(file, "sha256").hexdigest())


def _upload_file(bucket: Bucket, folder: str, ulid: str, path: str) -> None:
    local = os.path.join(folder, path)
    try:
        file = open(local, "rb")  # noqa: SIM115 - only opening may fail as CorruptData
    except OSError as error:
        raise CorruptData(local, -1, f"not readable: {error.strerror}") from error
    with file:
        bucket.upload(f"{ulid}/{path}", file)


def _clean_up(bucket: Bucket, ulid: str) -> None:
    try:
        delete_block(bucket, ulid)
    except BucketUnavailable as error:
        log.warning("a part of block %s is left in the bucket: %s", ulid, error)


def _delete(bucket: Bucket, name: str) -> None:
    with suppress(ObjectNotFound):
        bucket.delete(name)


def _unchanged(folder: str, meta: BlockMeta) -> set[str]:
    """The files that are there already, by their hashes."""
    kept = set()
    for file in meta.files:
        if file.hash is None or file.hash.func != SHA256 or not _DOWNLOADED.fullmatch(file.rel_path):
            continue
        with suppress(OSError):
            if file_hash(os.path.join(folder, file.rel_path)).value == file.hash.value:
                kept.add(file.rel_path)
    return kept


def _download_file(bucket: Bucket, name: str, size: int, path: str, fetch: Pool, ctx: RequestContext) -> None:
    temporary = f"{path}.tmp"
    with open(temporary, "wb") as file:
        ranges = [(start, min(PART_BYTES, size - start)) for start in range(0, size, PART_BYTES)]
        parts = fetch.map(lambda part: bucket.get_range(name, *part), ranges)
        for (start, length), body in zip(ranges, parts, strict=True):
            ctx.check()
            if len(body) != length:
                raise CorruptData(name, start, f"{len(body)} bytes where {length} were listed")
            file.write(body)
    os.replace(temporary, path)


def _write_whole(path: str, data: bytes) -> None:
    with open(f"{path}.tmp", "wb") as file:
        file.write(data)
    os.replace(f"{path}.tmp", path)
