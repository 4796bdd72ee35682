"""A bucket in a folder of the local disk.

An upload is written to ``.uploads`` in the root, synced and renamed, so a reader or a crash sees the old object or the
new one. Symbolic links below the root are not objects, so no name reaches outside of it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from pythanos.errors import BadRequest, BucketUnavailable, PythanosError
from pythanos.objstore.bucket import ObjectAttributes, ObjectNotFound, check_range, folder

UPLOADS = ".uploads"
STALE_UPLOAD_SECONDS = 24 * 3600
READ_BYTES = 1 << 30
PLACE_ATTEMPTS = 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class FilesystemBucket:
    """A Bucket whose objects are the regular files below ``directory``, which the first upload creates."""

    def __init__(self, directory: str) -> None:
        self._root = os.path.abspath(directory)
        self.name = f"fs: {self._root}"

    def get(self, name: str) -> bytes:
        return self.get_range(name, 0, -1)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        check_range(offset, length)
        try:
            descriptor = os.open(self._path(name), _OPEN)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ObjectNotFound(name)
                left = max(0, status.st_size - offset)
                return _read(descriptor, offset, left if length < 0 else min(length, left))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _told(error, f"read {name}", name) from error

    def iter(self, prefix: str = "", *, recursive: bool = False) -> Iterator[str]:
        if recursive:
            yield from (name for name, _ in self._walk(folder(prefix)))
            return
        start = folder(prefix)
        for entry in self._scan(start):
            if entry.is_dir(follow_symlinks=False):
                # A folder without any object below it is not in the bucket.
                if next(self._walk(f"{start}{entry.name}/"), None) is not None:
                    yield f"{start}{entry.name}/"
            else:
                yield start + entry.name

    def walk(self, prefix: str = "") -> Iterator[tuple[str, ObjectAttributes]]:
        for name, entry in self._walk(folder(prefix)):
            with suppress(FileNotFoundError):
                yield name, _attributes(entry.stat(follow_symlinks=False))

    def exists(self, name: str) -> bool:
        try:
            self.attributes(name)
        except ObjectNotFound:
            return False
        return True

    def attributes(self, name: str) -> ObjectAttributes:
        with _errors(f"stat {name}", name):
            status = os.lstat(self._path(name))
        if not stat.S_ISREG(status.st_mode):
            raise ObjectNotFound(name)
        return _attributes(status)

    def upload(self, name: str, body: bytes | BinaryIO) -> None:
        try:
            target = self._path(name)
        except ObjectNotFound as error:
            raise BadRequest(f"object name {name!r} leads outside of the bucket") from error
        with _errors(f"upload {name}", name, absent=False):
            uploads = os.path.join(self._root, UPLOADS)
            os.makedirs(uploads, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=uploads)
            try:
                with open(descriptor, "wb") as file:
                    _copy(body, file)
                    os.fchmod(file.fileno(), 0o644)
                    os.fsync(file.fileno())
                    _remove_stale(uploads, os.fstat(file.fileno()).st_mtime)
                self._place(temporary, target)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise

    def delete(self, name: str) -> None:
        path = self._path(name)
        with _errors(f"delete {name}", name):
            os.unlink(path)
            parent = os.path.dirname(path)
            while parent != self._root:
                try:
                    os.rmdir(parent)
                except OSError:
                    # Not empty, or somebody else was faster.
                    break
                parent = os.path.dirname(parent)
            _sync_folder(parent)

    def close(self) -> None:
        pass

    def _path(self, name: str) -> str:
        """The file of an object. Raises ObjectNotFound for a name that is none here, or that goes through a link."""
        parts = name.split("/")
        if "\0" in name or any(part in ("", ".", "..") for part in parts) or parts[0] == UPLOADS:
            raise ObjectNotFound(name)
        path = self._root
        for part in parts[:-1]:
            path = f"{path}/{part}"
            try:
                if stat.S_ISLNK(os.lstat(path).st_mode):
                    raise ObjectNotFound(name)
            except OSError:
                # Absent or unreadable: the call that uses the path will say which.
                break
        return os.path.join(self._root, *parts)

    def _scan(self, start: str) -> Iterator[os.DirEntry[str]]:
        """Regular files and folders in a folder; nothing where the folder is absent, unless it is the root."""
        with _errors(f"list {start or self._root}", start, absent=False):
            try:
                path = self._path(start[:-1]) if start else self._root
                if start and not stat.S_ISDIR(os.lstat(path).st_mode):
                    return
                with os.scandir(path) as entries:
                    found = list(entries)
            except (FileNotFoundError, NotADirectoryError, ObjectNotFound):
                # An unmounted disk must not look like an empty bucket.
                if not start:
                    raise BucketUnavailable(f"bucket folder {self._root} does not exist") from None
                return
        for entry in found:
            if not start and entry.name == UPLOADS:
                continue
            if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
                yield entry

    def _walk(self, start: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        waiting = [start]
        while waiting:
            place = waiting.pop()
            for entry in self._scan(place):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{place}{entry.name}/")
                else:
                    yield place + entry.name, entry

    def _place(self, temporary: str, target: str) -> None:
        """Moves the finished upload to its name, making its folders, which a delete may take away again."""
        parent = os.path.dirname(target)
        changed = {parent}
        for attempt in range(PLACE_ATTEMPTS):
            folder_above = parent
            while not os.path.isdir(folder_above):
                folder_above = os.path.dirname(folder_above)
                changed.add(folder_above)
            try:
                os.makedirs(parent, exist_ok=True)
                os.rename(temporary, target)
                break
            except (FileNotFoundError, FileExistsError):
                if attempt == PLACE_ATTEMPTS - 1:
                    raise
        for path in changed:
            _sync_folder(path)


@contextmanager
def _errors(doing: str, name: str, *, absent: bool = True) -> Iterator[None]:
    """Turns errors of the system into ours; a missing file is ObjectNotFound only where ``absent`` says so."""
    try:
        yield
    except OSError as error:
        raise _told(error, doing, name, absent=absent) from error


def _told(error: OSError, doing: str, name: str, *, absent: bool = True) -> PythanosError:
    is_absent = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
    # O_NOFOLLOW answers ELOOP for a link.
    if absent and (is_absent or os.path.islink(error.filename or "")):
        return ObjectNotFound(name)
    return BucketUnavailable(f"{doing}: {error}")


def _read(descriptor: int, offset: int, length: int) -> bytes:
    first = os.pread(descriptor, min(length, READ_BYTES), offset)
    if len(first) == length or not first:
        return first
    parts, done = [first], len(first)
    while done < length:
        part = os.pread(descriptor, min(length - done, READ_BYTES), offset + done)
        if not part:
            break
        parts.append(part)
        done += len(part)
    return b"".join(parts)


def _copy(body: bytes | BinaryIO, file: BinaryIO) -> None:
    if isinstance(body, bytes | bytearray | memoryview):
        file.write(body)
    else:
        shutil.copyfileobj(body, file, 1 << 20)
    file.flush()


def _remove_stale(uploads: str, now_seconds: float) -> None:
    """Takes away what a crash left behind; the time is that of the file system itself."""
    with suppress(OSError), os.scandir(uploads) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < now_seconds - STALE_UPLOAD_SECONDS:
                    os.unlink(entry.path)


def _sync_folder(path: str) -> None:
    """Makes the names in a folder durable; a folder that somebody took away meanwhile has none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _attributes(status: os.stat_result) -> ObjectAttributes:
    return ObjectAttributes(status.st_size, status.st_mtime_ns // 1_000_000)
