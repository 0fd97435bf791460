"""Copies of folders in which others go on writing: what was there when it began is copied, links are not followed."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

BLOCK = 1 << 20


class Copying:
    """Copies folders and counts.

    Files that are one file under several names, such as an artifact that many runs have, stay one.

    Args:
        previous: an earlier copy: a file that has not changed since then is linked to it instead. None: there is none.

    Attributes:
        files: how many there are in the copies.
        copied_bytes: how many bytes were copied.
    """

    def __init__(self, previous: Path | None = None) -> None:
        self._previous = previous
        self._places: dict[tuple[int, int, int, int], str] = {}
        self.files = 0
        self.copied_bytes = 0

    def folder(self, source: Path, base: Path, below: str) -> bool:
        """Copy a folder to ``base/below``, which need not be there; whether all that was listed was still there.

        Raises:
            OSError: it cannot be read or written.
        """
        whole = True
        for path, names, files, handle in os.fwalk(source, follow_symlinks=False):
            inner = os.path.normpath(os.path.join(below, os.path.relpath(path, source)))
            (base / inner).mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in (*files, *(one for one in names if _is_link(one, handle))):
                whole &= self._entry(name, handle, base, os.path.join(inner, name))
        return whole

    def file(self, source: Path, base: Path, below: str) -> bool:
        """Copy one file; whether it was there."""
        with _opened(source.parent) as handle:
            return self._entry(source.name, handle.number, base, below)

    def _entry(self, name: str, handle: int, base: Path, below: str) -> bool:
        """Copy a file or a link as it is; what is neither, such as a pipe, is left out."""
        target = base / below
        try:
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                os.symlink(os.readlink(name, dir_fd=handle), target)
            elif stat.S_ISREG(status.st_mode):
                self._regular(name, handle, status, base, below)
        except FileNotFoundError:
            return False
        return True

    def _regular(self, name: str, handle: int, status: os.stat_result, base: Path, below: str) -> None:
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)  # a number is given out again
        target = os.fspath(base / below)
        known = self._places.get(key) or self._unchanged(below, status)
        if known is None or not _linked(known, target):
            self._bytes(name, handle, target)
        if status.st_nlink > 1:
            self._places[key] = target
        self.files += 1

    def _unchanged(self, below: str, status: os.stat_result) -> str | None:
        if self._previous is None:
            return None
        place = self._previous / below
        with suppress(OSError):
            before = place.lstat()
            if (before.st_size, before.st_mtime_ns, before.st_mode) == (
                status.st_size,
                status.st_mtime_ns,
                status.st_mode,
            ):
                return os.fspath(place)
        return None

    def _bytes(self, name: str, handle: int, target: str) -> None:
        number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
        with os.fdopen(number, "rb") as source, open(target, "xb") as copy:
            status = os.fstat(number)
            shutil.copyfileobj(source, copy, BLOCK)
            self.copied_bytes += copy.tell()
            os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode))
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


class _opened:
    """A folder's descriptor, closed afterwards."""

    def __init__(self, folder: Path) -> None:
        self.number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> _opened:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)


def _is_link(name: str, handle: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _linked(known: str, target: str) -> bool:
    try:
        os.link(known, target)
    except OSError:  # another disk, or too many links
        return False
    return True


def names_below(folder: Path) -> Iterator[str]:
    """The paths of all files below a folder."""
    for path, _, files in os.walk(folder):
        for name in files:
            yield os.path.join(path, name)
