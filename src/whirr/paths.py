"""Paths below a folder, given by somebody else: opened step by step, so that neither ``..`` nor a link leads out.

Every step is taken from the folder that is open (``openat``) and follows no link; what is renamed or replaced by a link
meanwhile makes no difference. See ``openat(2)`` and "time of check to time of use".
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from whirr.errors import FolderError, NotFound, folder_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LONGEST_NAME, LONGEST_PATH = 255, 4000


def names_of(path: str) -> list[str]:
    """The names in a relative path.

    Raises:
        NotFound: it leads elsewhere: it is absolute, empty, or has ``..`` or the like in it.
    """
    names = path.split("/")
    bad = any(name in ("", ".", "..") or len(os.fsencode(name)) > LONGEST_NAME for name in names)
    if bad or "\0" in path or len(path) > LONGEST_PATH:
        raise NotFound(
            f"there is no file {path[:200]!r}", hint="give a path below the run's folder, such as output.log"
        )
    return names


def open_folder(base: Path, path: str = "", *, make: bool = False) -> int:
    """A descriptor of a folder below ``base``.

    Args:
        base: the folder that is not left; it may be reached by links.
        path: below it; empty: itself.
        make: make what is missing.

    Raises:
        NotFound: there is no such folder, or the path leads elsewhere.
        FolderError: it cannot be made or read.
    """
    try:
        handle = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(os.fspath(base), error) from None
    for name in names_of(path) if path else ():
        try:
            inner = _enter(handle, name, make)
        except OSError as error:
            raise _refused(path, error) from None
        finally:
            os.close(handle)
        handle = inner
    return handle


def _enter(handle: int, name: str, make: bool) -> int:
    try:
        return os.open(name, FOLDER, dir_fd=handle)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # made by another at this moment
        os.mkdir(name, dir_fd=handle)
    return os.open(name, FOLDER, dir_fd=handle)


def open_file(base: Path, path: str, flags: int = os.O_RDONLY, *, make_folders: bool = False) -> int:
    """A descriptor of a regular file below ``base``; the other arguments are as in ``os.open`` and ``open_folder``.

    Raises:
        NotFound: there is no such file, it is no regular one, or the path leads elsewhere.
        FolderError: it cannot be opened or made.
    """
    above, _, name = path.rpartition("/")
    names_of(path)
    folder = open_folder(base, above, make=make_folders)
    try:
        handle = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644, dir_fd=folder)
    except OSError as error:
        raise _refused(path, error) from None
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotFound(f"{path} is no regular file")
    return handle


def _refused(path: str, error: OSError) -> NotFound | FolderError:
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError) or error.errno in (
        errno.ELOOP,
        errno.ENXIO,
    ):
        return NotFound(f"there is no file {path[:200]!r}", hint="whirr show RUN lists the files of a run")
    return folder_error(f"cannot open {path}: {error.strerror}", error)
