"""A submitted tree as files in a folder of its own.

The files come straight from the objects of a code store: measured, that takes no longer than copying another
checkout, so there is no cache of checkouts to keep true. No filter and no setting of anybody's plays a part.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from whirr.capture.git import Bare
from whirr.capture.patch import scratch
from whirr.errors import FolderError, UsageError, WhirrError
from whirr.submission.scan import ask
from whirr.submission.tree import NONE_RECORDED, Tree

ELSEWHERE = "start the job from a folder with files that git does not ignore, or without a snapshot"


def checkout(tree: Tree, destination: Path, store: Path, *, limit_s: float = 120.0) -> Path:
    """Write the files of a tree that was sent into the new folder `destination`; the work folder in it.

    The folder appears whole or not at all; what an earlier, killed checkout left beside it is removed, so a
    destination belongs to one caller at a time. The folder knows nothing of git.

    Args:
        store: the bare repository that holds the tree.

    Raises:
        FolderError: `destination` exists, or cannot be written.
        UsageError: no file of the work folder is in the tree.
        WhirrError: the tree was never sent, is not in the store, or took over `limit_s` seconds.
    """
    if tree.sent is None:
        raise WhirrError("the submitted files were never sent", hint="submit again")
    if os.path.lexists(destination):
        raise FolderError(f"{destination} exists already", hint="remove it, or give another folder")
    _remove_drafts(destination)
    draft = destination.with_name(f"{_draft_start(destination)}{os.urandom(6).hex()}.tmp")
    try:
        draft.mkdir(parents=True)
        _fill(Bare(store, time.monotonic() + limit_s), tree.sent, draft)
        if not (draft / tree.prefix).is_dir():
            raise UsageError(
                f"no file of the work folder {tree.prefix} was recorded",
                hint=ELSEWHERE,
            )
        os.rename(draft, destination)
    except OSError as error:
        raise FolderError(f"cannot write {destination}: {error.strerror or error}") from None
    finally:
        _remove_folder(draft)
    return destination / tree.prefix


def remove(destination: Path) -> None:
    """Remove a checkout with all that its job wrote there, and what a killed checkout left; links are not followed.

    Raises:
        FolderError: something in it cannot be removed.
    """
    try:
        _remove_drafts(destination)
        _remove_folder(destination)
    except OSError as error:
        raise FolderError(f"cannot remove {destination}: {error}") from None


def _draft_start(destination: Path) -> str:
    return f".{destination.name}.checkout-"


def _remove_drafts(destination: Path) -> None:
    start = _draft_start(destination)
    if destination.parent.is_dir():
        for entry in os.scandir(destination.parent):
            if entry.name.startswith(start):
                _remove_folder(Path(entry.path))


def _remove_folder(folder: Path) -> None:
    if not os.path.lexists(folder):
        return

    def open_up(function: Callable[..., Any], path: str, _: object) -> None:
        """Once more, after write permission was given to the folder: a job may have taken it away."""
        for place in (os.path.dirname(path), path):
            if not os.path.islink(place) and os.path.isdir(place):
                os.chmod(place, stat.S_IRWXU)
        if function in (os.unlink, os.rmdir):
            function(path)
        else:
            shutil.rmtree(path)

    shutil.rmtree(folder, onerror=open_up)


def _fill(store: Bare, tree: str, folder: Path) -> None:
    """Write a tree into an empty folder; a submodule that was not checked out is an empty folder."""
    with scratch() as drafts:
        write = (f"--work-tree={folder}", "-c", "core.bare=false", "read-tree", "-m", "-u", tree)
        try:
            ask(store, *write, index=os.path.join(drafts, "index"))
        except WhirrError as error:
            hint = "is the disk full? Else the files may be gone from there: submit again"
            raise WhirrError(f"the submitted files cannot be checked out: {error}", hint=hint) from None


def require(tree: Tree | None, workdir: Path) -> Tree:
    """The tree, for a job that asks for a checkout of it.

    Raises:
        UsageError: there is none, as `workdir` is in no git work tree, or it has no file of `workdir`.
    """
    if tree is None:
        raise UsageError(
            f"{workdir} is in no git work tree, and a snapshot needs one",
            hint="run git init there (a commit is not needed), or submit without a snapshot",
        )
    for note in tree.notes:
        if note.startswith(NONE_RECORDED):
            raise UsageError(f"{workdir} would not be in the snapshot: {note}", hint=ELSEWHERE)
    return tree
