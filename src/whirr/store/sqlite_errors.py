"""What SQLite's errors mean, in words."""

from __future__ import annotations

import os
import sqlite3

from whirr.errors import StoreError

WORDS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "make room on the disk"),
    sqlite3.SQLITE_IOERR: ("the disk cannot be read or written", "look for a full or failing disk, or a quota"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "move it away to begin an empty queue; runs are not touched"),
    sqlite3.SQLITE_NOTADB: ("it is no SQLite database", "move it away to begin an empty queue"),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "look at the permissions of the file and its folder"),
    sqlite3.SQLITE_PERM: ("it may not be opened", "look at the permissions of the file and its folder"),
    sqlite3.SQLITE_NOMEM: ("there is not enough memory", None),
}


def is_busy(error: Exception) -> bool:
    """Whether another program holds a lock."""
    return _code(error) & 0xFF == sqlite3.SQLITE_BUSY


def told(error: Exception, path: str, waited_s: float) -> StoreError:
    """An error of sqlite3 about the database ``path`` for people.

    Args:
        waited_s: seconds that a lock was waited for.
    """
    code = _code(error)
    if is_busy(error):
        return locked(path, waited_s)
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return moved(path)
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(path)
    what, hint = WORDS.get(code & 0xFF, (str(error), None))
    return StoreError(f"{path}: {what}", hint=hint)


def locked(path: str, waited_s: float) -> StoreError:
    """The error where a lock was waited for so many seconds in vain."""
    return StoreError(
        f"{path} was locked by another program for {waited_s:g} s", hint=f"find who holds it: fuser -v {path}"
    )


def moved(path: str) -> StoreError:
    """The error where the file is no longer in its place."""
    return StoreError(
        f"{path} was moved or deleted while in use", hint="start again where it is now, or to make a new queue"
    )


def _cannot_open(path: str) -> StoreError:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        return StoreError(f"there is no folder {folder}", hint="make it, or set WHIRR_DIR to one that is there")
    if os.path.isdir(path):
        return StoreError(f"{path} is a folder, not a database", hint="move it away")
    return StoreError(f"{path} cannot be opened", hint="look at the permissions of the file and its folder")


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0)
