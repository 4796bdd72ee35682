"""Shipping: each whole block of a local folder goes into the bucket once, oldest first.

What was shipped is remembered in a file beside the blocks (``thanos.shipper.json``), so that a block which the
compactor has since replaced is not uploaded again.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from pythanos.block.overlaps import overlapping
from pythanos.block.paths import CHUNKS_FOLDER, INDEX_FILENAME, block_of, meta_path
from pythanos.block.transfer import upload_block
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, CorruptData, Halt, Retryable
from pythanos.model.gojson import go_json
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.meta import META_FILENAME, BlockMeta, ThanosMeta, decode_meta, is_ulid
from pythanos.workers import Pool

log = logging.getLogger(__name__)

SHIPPER_FILENAME = "thanos.shipper.json"
SOURCE_UPLOAD = "bucket.upload"
UPLOAD_FOLDER = os.path.join("thanos", "upload")


@dataclass(frozen=True, slots=True)
class ShipperOptions:
    """``source``: what meta.json says of the block's origin. ``upload_compacted``: levels above 1 too."""

    source: str = SOURCE_UPLOAD
    meta_file_name: str = SHIPPER_FILENAME
    upload_compacted: bool = False
    allow_out_of_order_uploads: bool = False
    skip_corrupted_blocks: bool = False
    hash_function: str = ""
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class Shipment:
    """What one sync did: ULIDs uploaded, and ULID to reason of those that it could not ship."""

    uploaded: tuple[str, ...]
    failed: dict[str, str]


class ShipperMetrics:
    """``thanos_shipper_*``."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"thanos_shipper_{name}", text, registry=registry)

        self.dir_syncs = counter("dir_syncs", "Total number of dir syncs")
        self.dir_sync_failures = counter("dir_sync_failures", "Total number of failed dir syncs")
        self.uploads = counter("uploads", "Total number of uploaded blocks")
        self.upload_failures = counter("upload_failures", "Total number of block upload failures")
        self.corrupted_blocks = counter("corrupted_blocks", "Total number of corrupted blocks")
        self.upload_compacted_done = Gauge(
            "thanos_shipper_upload_compacted_done",
            "If 1 it means shipper uploaded all compacted blocks from the filesystem.",
            registry=registry,
        )


class Shipper:
    """Ships the blocks of ``folder``; ``labels`` gives the external labels of the moment. One sync at a time."""

    def __init__(
        self,
        folder: str,
        bucket: Bucket,
        labels: Callable[[], dict[str, str]],
        options: ShipperOptions,
        *,
        fetch: Pool,
        clock: Callable[[], float],
        metrics: ShipperMetrics | None = None,
    ) -> None:
        self._folder = folder
        self._bucket = bucket
        self._labels = labels
        self._options = options
        self._fetch = fetch
        self._clock = clock
        self._metrics = metrics or ShipperMetrics(None)

    def sync(self, ctx: RequestContext | None = None) -> Shipment:
        """Ships what is not in the bucket yet.

        Raises BadRequest without labels or folder, CorruptData for an unreadable block unless those are skipped, Halt
        where a compacted block overlaps one in the bucket, BucketUnavailable.
        """
        done = False
        try:
            shipment = self._sync(ctx or RequestContext())
            done = True
        finally:
            (self._metrics.dir_syncs if done else self._metrics.dir_sync_failures).inc()
        if not shipment.failed:
            self._metrics.upload_compacted_done.set(1 if self._options.upload_compacted else 0)
        return shipment

    def _sync(self, ctx: RequestContext) -> Shipment:
        if not self._labels():
            raise BadRequest("no external labels; a block must say whose data it holds")
        metas, failed = self._local_blocks()
        self._metrics.corrupted_blocks.inc(len(failed))
        before, shipped, uploaded = self._read_shipped(), [], []
        in_bucket: list[BlockMeta] = []
        try:
            for meta in metas:
                ctx.check()
                if meta.ulid in before:
                    shipped.append(meta.ulid)
                elif not self._wanted(meta):
                    continue
                elif self._bucket.exists(meta_path(meta.ulid)):
                    shipped.append(meta.ulid)
                else:
                    self._check_overlap(meta, in_bucket)
                    if self._try_upload(meta, failed, ctx):
                        in_bucket += [meta] if in_bucket else []
                        shipped.append(meta.ulid)
                        uploaded.append(meta.ulid)
        finally:
            # What an interrupted sync did not get to was shipped before or not at all.
            seen = set(shipped)
            rest = [meta.ulid for meta in metas if meta.ulid in before and meta.ulid not in seen]
            self._write_shipped(shipped + rest)
        return Shipment(tuple(uploaded), failed)

    def _wanted(self, meta: BlockMeta) -> bool:
        return meta.stats.num_samples > 0 and (meta.compaction.level <= 1 or self._options.upload_compacted)

    def _try_upload(self, meta: BlockMeta, failed: dict[str, str], ctx: RequestContext) -> bool:
        try:
            self._upload(meta, ctx)
        except (Retryable, CorruptData) as error:
            self._metrics.upload_failures.inc()
            if not self._options.allow_out_of_order_uploads:
                raise
            log.error("block %s not shipped: %s", meta.ulid, error)
            failed[meta.ulid] = str(error)
            return False
        self._metrics.uploads.inc()
        return True

    def _upload(self, meta: BlockMeta, ctx: RequestContext) -> None:
        """Uploads hard links of the files, so that Prometheus may delete the block meanwhile."""
        staging = os.path.join(self._folder, UPLOAD_FOLDER, meta.ulid)
        shutil.rmtree(staging, ignore_errors=True)
        try:
            segments = _link_block(os.path.join(self._folder, meta.ulid), staging)
            thanos = msgspec.structs.replace(
                meta.thanos or ThanosMeta(),
                labels={**meta.labels, **self._labels()},
                source=self._options.source,
                segment_files=segments,
            )
            upload_block(
                self._bucket,
                staging,
                msgspec.structs.replace(meta, thanos=thanos),
                now_ms=int(self._clock() * 1000),
                fetch=self._fetch,
                ctx=ctx,
                hash_function=self._options.hash_function,
                concurrency=self._options.concurrency,
            )
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        log.info("shipped block %s", meta.ulid)

    def _check_overlap(self, meta: BlockMeta, in_bucket: list[BlockMeta]) -> None:
        """Raises Halt where a compacted block would lie over a block of the same labels in the bucket."""
        if meta.compaction.level <= 1 or self._options.allow_out_of_order_uploads:
            return
        if not in_bucket:
            in_bucket += self._bucket_blocks()
        for group in overlapping([*in_bucket, meta]):
            if any(block.ulid == meta.ulid for block in group.blocks):
                raise Halt(f"shipping compacted block {meta.ulid} is blocked; overlap spotted: {group}")

    def _bucket_blocks(self) -> list[BlockMeta]:
        labels = self._labels()
        ulids = [ulid for name in self._bucket.iter() if name.endswith("/") and (ulid := block_of(name))]
        names = [name for name in map(meta_path, ulids) if self._bucket.exists(name)]
        metas = [decode_meta(self._bucket.get(name), name) for name in names]
        return [meta for meta in metas if meta.labels == labels]

    def _local_blocks(self) -> tuple[list[BlockMeta], dict[str, str]]:
        """Metas of the blocks in the folder, oldest data first, and the reasons of those that cannot be read."""
        metas, failed = [], {}
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder) if entry.is_dir() and is_ulid(entry.name))
        except OSError as error:
            raise BadRequest(f"read folder {self._folder}: {error.strerror}") from error
        for name in names:
            path = os.path.join(self._folder, name, META_FILENAME)
            try:
                metas.append(_read_meta(path, name))
            except CorruptData as error:
                if not self._options.skip_corrupted_blocks:
                    raise
                log.error("block %s not shipped: %s", name, error)
                failed[name] = str(error)
        return sorted(metas, key=lambda meta: meta.mint), failed

    def _read_shipped(self) -> set[str]:
        path = os.path.join(self._folder, self._options.meta_file_name)
        try:
            with open(path, "rb") as file:
                document = msgspec.json.decode(file.read(), type=_ShipperFile)
        except FileNotFoundError:
            return set()
        except (OSError, msgspec.DecodeError) as error:
            # Without it the bucket is asked about each block.
            log.warning("%s ignored: %s", path, error)
            return set()
        return set(document.uploaded or ()) if document.version == 1 else set()

    def _write_shipped(self, ulids: list[str]) -> None:
        path = os.path.join(self._folder, self._options.meta_file_name)
        document = {"version": 1, "uploaded": ulids or None}
        with open(f"{path}.tmp", "w") as file:
            file.write(go_json(document, indent="\t") + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.tmp", path)


class _ShipperFile(msgspec.Struct):
    version: int = 0
    uploaded: list[str] | None = None


def _read_meta(path: str, ulid: str) -> BlockMeta:
    try:
        with open(path, "rb") as file:
            meta = decode_meta(file.read(), path)
    except OSError as error:
        raise CorruptData(path, -1, f"not readable: {error.strerror}") from error
    if meta.ulid != ulid:
        raise CorruptData(path, -1, f"says that it is block {meta.ulid}")
    return meta


def _link_block(source: str, staging: str) -> tuple[str, ...]:
    """Links chunks and index of a block into another folder; returns the names of the segment files."""
    os.makedirs(os.path.join(staging, CHUNKS_FOLDER))
    try:
        segments = sorted(os.listdir(os.path.join(source, CHUNKS_FOLDER)))
        for path in [*(os.path.join(CHUNKS_FOLDER, name) for name in segments), INDEX_FILENAME]:
            os.link(os.path.join(source, path), os.path.join(staging, path))
    except FileNotFoundError as error:
        raise CorruptData(source, -1, f"not a whole block: {error}") from error
    except OSError as error:
        raise Retryable(f"link the files of block {source}: {error}") from error
    return tuple(segments)
