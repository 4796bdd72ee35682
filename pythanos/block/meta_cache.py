"""Metas kept in memory between two fetches, and as files between two starts.

The files are a help, never a need: whatever goes wrong with them is logged, and the bucket is asked.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Mapping

from pythanos.errors import CorruptData
from pythanos.tsdb.meta import META_FILENAME, BlockMeta, decode_meta

log = logging.getLogger(__name__)

CACHE_FOLDER = "meta-syncer"


class MetaCache:
    """``directory`` None keeps no files. ``find`` and ``add`` are safe to call from several threads."""

    def __init__(self, directory: str | None) -> None:
        self._folder = os.path.join(directory, CACHE_FOLDER) if directory else None
        self._metas: dict[str, BlockMeta] = {}
        self._modified_ms: dict[str, int] = {}

    def find(self, ulid: str) -> BlockMeta | None:
        meta = self._metas.get(ulid)
        if meta is not None or self._folder is None:
            return meta
        path = self._path(ulid)
        try:
            with open(path, "rb") as file:
                meta = decode_meta(file.read(), path)
            if meta.ulid != ulid:
                raise CorruptData(path, -1, f"says that it is block {meta.ulid}")
            return meta
        except FileNotFoundError:
            return None
        except (OSError, CorruptData) as error:
            log.warning("cached meta.json of block %s removed: %s", ulid, error)
            self._remove(ulid)
            return None

    def add(self, ulid: str, meta: BlockMeta, data: bytes) -> None:
        """Keeps the file; the memory follows with ``keep_only``."""
        if self._folder is None:
            return
        path = self._path(ulid)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(f"{path}.tmp", "wb") as file:
                file.write(data)
            os.replace(f"{path}.tmp", path)
        except OSError as error:
            log.warning("meta.json of block %s is not cached: %s", ulid, error)

    def forget_changed(self, modified_ms: Mapping[str, int | None]) -> int:
        """Drops metas whose object has another time of change than when they were kept; returns how many."""
        changed = [
            ulid
            for ulid, now in modified_ms.items()
            if now is not None and self._modified_ms.get(ulid, now) != now
        ]  # fmt: skip
        for ulid in changed:
            self._metas.pop(ulid, None)
            self._remove(ulid)
        return len(changed)

    def keep_only(self, metas: Mapping[str, BlockMeta], modified_ms: Mapping[str, int | None]) -> None:
        """Remembers these metas, and drops everything about other blocks."""
        self._metas = dict(metas)
        self._modified_ms = {ulid: time for ulid in metas if (time := modified_ms.get(ulid)) is not None}
        for ulid in self._files():
            if ulid not in metas:
                self._remove(ulid)

    def _files(self) -> Iterable[str]:
        try:
            return os.listdir(self._folder) if self._folder else ()
        except OSError:
            return ()

    def _path(self, ulid: str) -> str:
        return os.path.join(self._folder or "", ulid, META_FILENAME)

    def _remove(self, ulid: str) -> None:
        if self._folder is not None:
            shutil.rmtree(os.path.join(self._folder, ulid), ignore_errors=True)
