"""Fuzzing of the JSON beside a block: meta.json and the marks. See mutation.py for how to run it.

The first byte chooses the file, the rest is its content.
"""

from __future__ import annotations

from pathlib import Path

import mutation

with mutation.instrumented():
    from pythanos.block.markers import MARKS, encode_mark, mark_path, read_mark
    from pythanos.model import gojson
    from pythanos.tsdb import meta

from pythanos.errors import CorruptData
from pythanos.objstore.memory import MemoryBucket

CORPUS = Path(__file__).parent / "corpus" / "meta"


def fuzz_one(data: bytes) -> None:
    """One input: raises only what is a bug."""
    if not data:
        return
    targets = (block_meta, mark, text)
    try:
        targets[data[0] % len(targets)](data[1:])
    except CorruptData as error:
        assert error.offset >= -1
        assert error.reason


def block_meta(body: bytes) -> None:
    """What is read is written to what is written the same again.

    Not to what is equal: large numbers that Thanos does not know are read as floats, and written as Go writes those.
    """
    found = meta.decode_meta(body, "meta.json")
    assert meta.is_ulid(found.ulid)
    written = meta.encode_meta(found)
    again = meta.decode_meta(written, "meta.json")
    assert meta.encode_meta(again) == written
    assert again == found or found.thanos is not None
    for block in (found, again):
        _ = (block.labels, block.resolution_ms, block.source, block.segment_files, block.files, block.index_stats)
        _ = (block.upload_time_ms, block.group_key, meta.ulid_time_ms(block.ulid))


def mark(body: bytes) -> None:
    kind, body = MARKS[(body[0] if body else 0) % len(MARKS)], body[1:]
    bucket = MemoryBucket()
    bucket.upload(mark_path("fuzz", kind), body)
    found = read_mark(bucket, "fuzz", kind)
    bucket.upload(mark_path("fuzz", kind), encode_mark(found))
    assert read_mark(bucket, "fuzz", kind) == found


def text(body: bytes) -> None:
    """Times and identifiers as a person may have edited them."""
    written = body.decode("utf-8", "replace")
    assert meta.parse_time_ms(written) is None or isinstance(meta.parse_time_ms(written), int)
    if meta.is_ulid(written):
        assert meta.ulid_time_ms(written) >= 0
    gojson.go_json({written: written})


if __name__ == "__main__":
    mutation.main(fuzz_one, CORPUS)
