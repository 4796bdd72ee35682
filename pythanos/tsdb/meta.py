"""meta.json of a block: what Prometheus writes, and the ``thanos`` section that Thanos adds.

Decoding is as lenient as Go's: unknown fields are dropped, null is absent. Encoding gives the bytes that Go gives.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import xxhash
from ulid import ULID

from pythanos.errors import CorruptData
from pythanos.model.gojson import go_json, sort_keys
from pythanos.model.timerange import MAX_TIME_MS, MIN_TIME_MS, BlockRange

META_FILENAME = "meta.json"
META_VERSION = 1
NO_UPLOAD_TIME = "0001-01-01T00:00:00Z"

# Columns of times are int64.
Milliseconds = Annotated[int, msgspec.Meta(ge=MIN_TIME_MS, le=MAX_TIME_MS)]

_ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)


class UnsupportedMeta(CorruptData):
    """A meta.json of another version: whole, but not for this reader. Never a partial upload to be cleaned up."""


class BlockStats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Counts of a block's contents. Old Prometheus versions leave the float and histogram parts at 0."""

    num_samples: int = 0
    num_float_samples: int = 0
    num_histogram_samples: int = 0
    num_series: int = 0
    num_chunks: int = 0
    num_tombstones: int = 0


class BlockDesc(msgspec.Struct, frozen=True, kw_only=True):
    """A parent block: ULID and ``[mint, maxt)`` in ms."""

    ulid: str
    mint: Milliseconds = msgspec.field(name="minTime", default=0)
    maxt: Milliseconds = msgspec.field(name="maxTime", default=0)


class Compaction(msgspec.Struct, frozen=True, kw_only=True):
    """Where a block came from: its level, the ULIDs of the head blocks in it, and its direct parents."""

    level: int = 0
    sources: tuple[str, ...] = ()
    deletable: bool = False
    parents: tuple[BlockDesc, ...] = ()
    failed: bool = False
    hints: tuple[str, ...] = ()


class ObjectHash(msgspec.Struct, frozen=True, kw_only=True):
    """``func`` is ``SHA256``, ``value`` hex."""

    func: str = msgspec.field(name="hashFunc", default="")
    value: str = ""


class BlockFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a block; ``size_bytes`` 0 where it is not told (meta.json itself)."""

    rel_path: str
    size_bytes: int = 0
    hash: ObjectHash | None = None


class Downsample(msgspec.Struct, frozen=True, kw_only=True):
    resolution: int = 0


class IndexStats(msgspec.Struct, frozen=True, kw_only=True):
    """Largest series entry and chunk in bytes, 0 where unknown: hints for the size of reads."""

    series_max_size: int = 0
    chunk_max_size: int = 0


class ThanosMeta(msgspec.Struct, frozen=True, kw_only=True):
    """The ``thanos`` section. ``rewrites`` and ``extensions`` are kept as they were read."""

    version: int = 0
    labels: dict[str, str] = {}
    downsample: Downsample = Downsample()
    source: str = ""
    segment_files: tuple[str, ...] = ()
    files: tuple[BlockFile, ...] = ()
    rewrites: tuple[dict[str, Any], ...] = ()
    index_stats: IndexStats = IndexStats()
    extensions: Any = None
    upload_time: str = NO_UPLOAD_TIME


class BlockMeta(msgspec.Struct, frozen=True, kw_only=True):
    """A block's meta.json. ``[mint, maxt)`` in ms; ``thanos`` is None in a block that only Prometheus touched."""

    ulid: str
    mint: Milliseconds = msgspec.field(name="minTime", default=0)
    maxt: Milliseconds = msgspec.field(name="maxTime", default=0)
    stats: BlockStats = BlockStats()
    compaction: Compaction = Compaction()
    version: int = META_VERSION
    thanos: ThanosMeta | None = None

    @property
    def range(self) -> BlockRange:
        return BlockRange(self.mint, self.maxt)

    @property
    def labels(self) -> dict[str, str]:
        """The external labels: the identity of the stream that the block belongs to. Not to be changed."""
        return self.thanos.labels if self.thanos else {}

    @property
    def resolution_ms(self) -> int:
        return self.thanos.downsample.resolution if self.thanos else 0

    @property
    def source(self) -> str:
        return self.thanos.source if self.thanos else ""

    @property
    def segment_files(self) -> tuple[str, ...]:
        return self.thanos.segment_files if self.thanos else ()

    @property
    def files(self) -> tuple[BlockFile, ...]:
        return self.thanos.files if self.thanos else ()

    @property
    def index_stats(self) -> IndexStats:
        return self.thanos.index_stats if self.thanos else IndexStats()

    @property
    def upload_time_ms(self) -> int | None:
        """When the block was uploaded, None where that was not recorded."""
        return parse_time_ms(self.thanos.upload_time) if self.thanos else None

    @property
    def group_key(self) -> str:
        """``<resolution ms>@<hash of the labels>``: blocks that may be compacted together have the same."""
        return f"{self.resolution_ms}@{labels_hash(self.labels)}"


class _Version(msgspec.Struct):
    # An absent version is Go's zero, not today's version.
    version: int = 0


_VERSION_DECODER = msgspec.json.Decoder(_Version)
_DECODER = msgspec.json.Decoder(BlockMeta)


def decode_meta(data: bytes, name: str) -> BlockMeta:
    """The block described by a meta.json called ``name`` in messages.

    Raises CorruptData for what is no meta.json, and its subclass UnsupportedMeta for another version of either section.
    """
    # Like Go, bytes that are no UTF-8 become U+FFFD instead of an error.
    text = bytes(data).decode("utf-8", "replace")
    try:
        version = _VERSION_DECODER.decode(text).version
        if version != META_VERSION:
            raise UnsupportedMeta(name, -1, f"unexpected meta file version {version}")
        meta = _decode(text)
    except msgspec.ValidationError as error:
        raise CorruptData(name, -1, str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise CorruptData(name, -1, f"no valid JSON: {error}") from error
    if meta.thanos and meta.thanos.version not in (0, 1):
        raise UnsupportedMeta(name, -1, f"unexpected meta file Thanos section version {meta.thanos.version}")
    if not is_ulid(meta.ulid):
        raise CorruptData(name, -1, f"ulid {meta.ulid!r} is not a ULID")
    return meta


def _decode(text: str) -> BlockMeta:
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError:
        # Go writes a nil slice or map as null and reads null as absent; the typed decoder does neither.
        return msgspec.convert(_without_nulls(msgspec.json.decode(text)), BlockMeta)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def encode_meta(meta: BlockMeta) -> bytes:
    """meta.json as Prometheus writes it, or as Thanos does (with a final newline) where there is a thanos section."""
    document = {
        "ulid": meta.ulid,
        "minTime": meta.mint,
        "maxTime": meta.maxt,
        "stats": _nonzero(
            numSamples=meta.stats.num_samples,
            numFloatSamples=meta.stats.num_float_samples,
            numHistogramSamples=meta.stats.num_histogram_samples,
            numSeries=meta.stats.num_series,
            numChunks=meta.stats.num_chunks,
            numTombstones=meta.stats.num_tombstones,
        ),
        "compaction": _compaction(meta.compaction),
        "version": meta.version,
    }
    if meta.thanos is None:
        return go_json(document, indent="\t").encode()
    document["thanos"] = _thanos(meta.thanos)
    return go_json(document, indent="\t").encode() + b"\n"


def _nonzero(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _compaction(compaction: Compaction) -> dict[str, Any]:
    return {
        "level": compaction.level,
        **_nonzero(
            sources=compaction.sources,
            deletable=compaction.deletable,
            parents=[{"ulid": p.ulid, "minTime": p.mint, "maxTime": p.maxt} for p in compaction.parents],
            failed=compaction.failed,
            hints=compaction.hints,
        ),
    }


def _thanos(thanos: ThanosMeta) -> dict[str, Any]:
    stats = thanos.index_stats
    document = {
        **_nonzero(version=thanos.version),
        "labels": sort_keys(thanos.labels),
        "downsample": {"resolution": thanos.downsample.resolution},
        "source": thanos.source,
        **_nonzero(
            segment_files=thanos.segment_files,
            files=[_file(file) for file in thanos.files],
            rewrites=thanos.rewrites,
        ),
        "index_stats": _nonzero(series_max_size=stats.series_max_size, chunk_max_size=stats.chunk_max_size),
    }
    if thanos.extensions is not None:
        document["extensions"] = sort_keys(thanos.extensions)
    document["upload_time"] = thanos.upload_time
    return document


def _file(file: BlockFile) -> dict[str, Any]:
    document = {"rel_path": file.rel_path, **_nonzero(size_bytes=file.size_bytes)}
    if file.hash is not None:
        document["hash"] = {"hashFunc": file.hash.func, "value": file.hash.value}
    return document


def labels_hash(labels: dict[str, str]) -> int:
    """The 64-bit hash that Thanos gives a label set: XXH64 over name, 0xFF, value, 0xFF, sorted by name."""
    pairs = sorted((_wire(name), _wire(value)) for name, value in labels.items())
    return xxhash.xxh64_intdigest(b"".join(name + b"\xff" + value + b"\xff" for name, value in pairs))


def _wire(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def is_ulid(text: str) -> bool:
    """Whether the text is a ULID in canonical form: 26 upper-case characters of Crockford's base 32, 128 bits."""
    return _ULID.fullmatch(text) is not None


def ulid_time_ms(ulid: str) -> int:
    """The time at which a ULID was made, unix ms."""
    return ULID.from_str(ulid).milliseconds


def new_ulid(now_ms: int, random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """A ULID of that time with 80 random bits."""
    return str(ULID.from_bytes(now_ms.to_bytes(6, "big") + random_bytes(10)))


def format_time(now_ms: int) -> str:
    """RFC 3339 in UTC as Go prints it: no more digits of a second than needed."""
    moment = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{now_ms % 1000:03d}".rstrip("0") if now_ms % 1000 else ""
    return f"{moment}{fraction}Z"


def parse_time_ms(text: str) -> int | None:
    """Unix ms of an RFC 3339 time; None for Go's zero time and for what is no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None or moment.year <= 1:
        return None
    return int(moment.timestamp() * 1000)
