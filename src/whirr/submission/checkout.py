"""A submitted tree as files in a folder of its own.

The files come straight from the repository's objects: measured, that takes no longer than copying another checkout,
so there is no cache of checkouts to keep true. As with `git checkout`, the user's smudge filters run (Git LFS gives
the content, from its own store or its server); attributes of `git archive` play no part.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from whirr.capture.git import Repository, find_repository
from whirr.capture.patch import scratch
from whirr.errors import FolderError, UsageError, WhirrError
from whirr.submission.scan import ask
from whirr.submission.tree import Tree, repository_of


def checkout(tree: Tree, destination: Path, *, limit_s: float = 120.0) -> Path:
    """Write the files of a submitted tree into the new folder `destination`; the work folder in it.

    The folder appears whole or not at all; what an earlier, killed checkout left beside it is removed, so a
    destination belongs to one caller at a time. Submodules come with the files of the recorded commit. The
    repository, its index and its list of work trees stay as they are, and the folder knows nothing of git.

    Raises:
        NotFound: the work tree that holds the repository is gone.
        FolderError: `destination` exists, or cannot be written.
        UsageError: no file of the work folder is in the tree.
        WhirrError: the tree is no longer in the repository (nothing kept it), or took over `limit_s` seconds.
    """
    repository = repository_of(tree, limit_s)
    if os.path.lexists(destination):
        raise FolderError(f"{destination} exists already", hint="remove it, or give another folder")
    _remove_drafts(destination)
    draft = destination.with_name(f"{_draft_start(destination)}{os.urandom(6).hex()}")
    try:
        draft.mkdir(parents=True)
        _fill(repository, tree.tree, draft)
        if not (draft / tree.prefix).is_dir():
            raise UsageError(
                f"no file of the work folder {tree.prefix} was recorded",
                hint="git ignores it: start the job from a folder that git tracks, or without a snapshot",
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


def _fill(repository: Repository, tree: str, folder: Path) -> None:
    """Write a tree (or a commit's) into an empty folder, submodules included."""
    with scratch() as place:
        index = os.path.join(place, "index")
        # What a sparse checkout leaves out of the work tree was left out of the recorded tree too.
        write = (f"--work-tree={folder}", "-c", "core.sparseCheckout=false", "read-tree", "-m", "-u", tree)
        try:
            ask(repository, *write, index=index)
        except WhirrError as error:
            hint = "the submitted files may be gone from the repository, as nothing kept them; submit again"
            raise WhirrError(f"the submitted files cannot be checked out: {error}", hint=hint) from None
        listing = ask(repository, "ls-files", "-z", "-s", index=index).split(b"\0")[:-1]
    for line in listing:
        if line.startswith(b"160000 "):
            name, _, path = line.partition(b"\t")
            _fill_submodule(repository, os.fsdecode(path), name.split(b" ")[1].decode(), folder)


def _fill_submodule(repository: Repository, path: str, commit: str, folder: Path) -> None:
    """A submodule that is not checked out in the work tree is an empty folder there and here."""
    top = os.path.join(repository.top, path)
    found = find_repository(top, repository.deadline)
    if found is not None and found.top == top:
        _fill(found, commit, folder / path)


def require(tree: Tree | None, workdir: Path) -> Tree:
    """The tree, for a job that asks for a checkout of it.

    Raises:
        UsageError: there is none, as `workdir` is in no git work tree.
    """
    if tree is None:
        raise UsageError(
            f"{workdir} is in no git work tree, and a snapshot needs one",
            hint="run git init there (a commit is not needed), or submit without a snapshot",
        )
    return tree
