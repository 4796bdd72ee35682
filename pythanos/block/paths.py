"""Names of a block's objects inside a bucket: ``<ULID>/meta.json``, ``<ULID>/index``, ``<ULID>/chunks/000001``."""

from __future__ import annotations

from pythanos.tsdb.meta import META_FILENAME, is_ulid

INDEX_FILENAME = "index"
CHUNKS_FOLDER = "chunks"
TOMBSTONES_FILENAME = "tombstones"
DEBUG_FOLDER = "debug"


def meta_path(ulid: str) -> str:
    return f"{ulid}/{META_FILENAME}"


def index_path(ulid: str) -> str:
    return f"{ulid}/{INDEX_FILENAME}"


def chunks_path(ulid: str, segment: str) -> str:
    """The object of a segment file, by its name in the chunks folder."""
    return f"{ulid}/{CHUNKS_FOLDER}/{segment}"


def segment_name(number: int) -> str:
    """The name of the n-th segment file, counted from 1."""
    return f"{number:06d}"


def block_of(name: str) -> str | None:
    """The ULID of the block folder that an object or folder lies in; None where it lies in none."""
    first = name.partition("/")[0]
    return first if is_ulid(first) else None
