"""Digests of files, kept in a file that processes share.

The digest is the XXH3-128 of the file's bytes. Reading a model's weights takes seconds to minutes,
so digests are kept in ``$XDG_CACHE_HOME/fcached/digests`` (else ``~/.cache/fcached/digests``) under
the file's device, inode, size, mtime and ctime. Every write changes the ctime, which no program can
set.

The store is only for speed. If it cannot be read, written or trusted, files are read again. Any
number of processes may use it: each replaces the whole file, and if two write at the same moment,
the entries of one are lost and computed again.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Callable
from types import TracebackType

from . import _core

# The first line is this header and the digest of the other lines, which detects damage.
_HEADER = b"fcached digests 1 "
_MAX_ENTRIES = 4096
_MAX_BYTES = 2 << 20
# A file that changed this recently may change again without a new time stamp.
_SETTLED_NS = 2_000_000_000
_DIGEST_LENGTH = 32
_UID_MAP = "/proc/self/uid_map"
_OVERFLOW_UID = "/proc/sys/kernel/overflowuid"

_Stamp = list[int]  # size, mtime_ns, ctime_ns


def _default_path() -> str:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):  # required by the XDG specification
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "fcached", "digests")


def _stamp(status: os.stat_result) -> _Stamp:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _shows_changes(path: str, status: os.stat_result) -> bool:
    """True if a change of the content would change the stamp."""
    if status.st_ctime_ns > time.time_ns() - _SETTLED_NS:
        return False
    # A file system in an image (squashfs, ISO 9660) has no ctime and shows the mtime, which
    # builders of images often fix. The next image's file may have the same inode, size and times.
    frozen = status.st_ctime_ns == status.st_mtime_ns and status.st_ctime_ns % 1_000_000_000 == 0
    return not (frozen and os.statvfs(path).f_flag & os.ST_RDONLY)


def _may_be_any_user(uid: int) -> bool:
    """True if the user namespace shows all users outside it under this number."""
    try:
        with open(_UID_MAP, encoding="ascii") as file:
            mapped = sum(int(line.split()[2]) for line in file)
        with open(_OVERFLOW_UID, encoding="ascii") as file:
            overflow = int(file.read())
    except (OSError, ValueError, IndexError):
        return uid == 65534
    return mapped < 2**32 - 1 and uid == overflow


def _is_ours_alone(status: os.stat_result) -> bool:
    if status.st_uid != os.geteuid() or _may_be_any_user(status.st_uid):
        return False
    return not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read_all(path: str) -> bytes:
    """The file's bytes, or b"" if it is too big or another user owns it or may write to it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _is_ours_alone(status):
            return b""
        data = file.read(_MAX_BYTES + 1)
    return data if len(data) <= _MAX_BYTES else b""


def _load(path: str) -> dict[str, object]:
    """The stored entries, each unchecked, or {} if the store is absent or damaged."""
    try:
        header, _, body = _read_all(path).partition(b"\n")
        if header != _HEADER + _core.prompt_hash(body).encode():
            return {}
        loaded = json.loads(body)
    except (OSError, ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _store(path: str, entries: dict[str, object]) -> None:
    """Replaces the store. Raises OSError."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    if not _is_ours_alone(os.stat(directory)):
        return
    while len(entries) > _MAX_ENTRIES:
        del entries[next(iter(entries))]  # the oldest: a dict keeps the order of insertion
    body = json.dumps(entries, separators=(",", ":")).encode()
    descriptor, temporary = tempfile.mkstemp(prefix="digests.", dir=directory)  # mode 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(_HEADER + _core.prompt_hash(body).encode() + b"\n" + body)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


class Digests:
    """Digests of files. Loads the store at entry, and adds the new digests to it at exit::

        with Digests() as digests:
            print(digests.of("model.safetensors"))

    For one thread at a time. Entry and exit never raise."""

    def __init__(self, path: str | None = None) -> None:
        self._path = _default_path() if path is None else path
        self._known: dict[str, object] = {}
        self._new: dict[str, object] = {}

    def __enter__(self) -> Digests:
        self._known = _load(self._path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._new:
            return
        # Loads again, because other processes may have added entries.
        merged = {key: entry for key, entry in _load(self._path).items() if key not in self._new}
        merged.update(self._new)
        try:
            _store(self._path, merged)
        except OSError:
            pass  # a read-only or full home directory: the next process reads the files again

    def of(
        self, path: str, kind: str = "bytes", compute: Callable[[str], str] | None = None
    ) -> str:
        """The digest of a file, 32 hex digits: ``compute(path)``, by default the digest of its
        bytes, or its stored result if the file has not changed. ``kind`` names ``compute`` in the
        store. Raises OSError and the exceptions of ``compute``.
        """
        before = os.stat(path)
        key = f"{before.st_dev}:{before.st_ino}:{kind}"
        entry = self._new.get(key, self._known.get(key))
        if isinstance(entry, list) and entry[:-1] == _stamp(before):
            digest: object = entry[-1]
            if isinstance(digest, str) and len(digest) == _DIGEST_LENGTH:
                return digest
        computed = (compute or _core.file_digest)(path)
        # A file that changed during the reading is not stored.
        if _stamp(os.stat(path)) == _stamp(before) and _shows_changes(path, before):
            self._new[key] = [*_stamp(before), computed]
        return computed
