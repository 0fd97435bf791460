"""JSON on disk: the one document encoder, the atomic replace, and the reading of files that whirr wrote."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

import orjson

from whirr.values import revive, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def dumps(value: Any) -> bytes:
    """A document as indented, strict JSON; never refuses a value (``values.to_plain`` says how each is written)."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    try:
        return orjson.dumps(to_plain(value), option=options)
    except orjson.JSONEncodeError:  # text that is not valid Unicode
        return orjson.dumps(_valid_text(to_plain(value)), option=options)


def _valid_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {_valid_text(key): _valid_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_valid_text(item) for item in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def read_document(path: Path) -> Any:
    """A document written by ``dumps``, with non-finite floats brought back.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON.
    """
    try:
        with open(path, "rb", buffering=0, opener=plain_file) as file:
            return revive(orjson.loads(file.read()))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def plain_file(path: str, flags: int) -> int:
    """An ``opener`` for ``open`` that takes regular files only: a job may have put a link or a pipe in their place."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "it is no regular file", path)


def write_atomic(path: Path | str, data: bytes, *, durable: bool = False) -> None:
    """Replace ``path`` by ``data``: a reader, or a crash at any instant, finds the old or the new file whole.

    Args:
        durable: also reach the disk before the replace (survives a power cut), a few milliseconds.

    Raises:
        OSError: the folder cannot be written; ``path`` is then as it was.
    """
    target = os.fspath(path)
    folder, name = os.path.split(target)
    # Hidden, and random: two writers never share a temporary file, nor is one that a killed process left in the way.
    temporary = os.path.join(folder, f".{name}.{os.urandom(6).hex()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        try:
            write_all(handle, data)
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, target)
    except BaseException:
        _remove(temporary)
        raise


def write_plain(path: Path | str, data: bytes) -> None:
    """Write a file in a folder that nobody looks into yet: three system calls where ``write_atomic`` takes many.

    Raises:
        OSError: it cannot be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(handle, data)
    finally:
        os.close(handle)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def write_all(handle: int, data: bytes) -> None:
    """Write every byte of ``data`` to a descriptor; raises OSError when it cannot."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
