"""What became different between a submission and the start of its job."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from whirr.capture.git import Repository
from whirr.errors import WhirrError
from whirr.submission.scan import FOLDERS, LeftOut, Rules, ask
from whirr.submission.tree import UNTRACKED_LIMIT, Tree, record_by, repository_of

NAMES = 100
"""Names of changed files given at most."""

CODE = re.compile(r"\.(py|pyx|ipynb|sh|ya?ml|toml|cfg|ini|c|cc|cpp|cu|cuh|h)$")
"""The names of new files that may change what a job does."""


class Change(NamedTuple):
    """A file that differs: `letter` is M (modified), A (added) or D (deleted), `path` relative to the tree's top."""

    letter: str
    path: str


@dataclass(frozen=True)
class Changes:
    """Which files differ from the submitted ones.

    Attributes:
        names: at most NAMES of them, by path, new ones last.
        count: how many there are.
        unknown: why it could not be found out; then `names` is empty and says nothing.
        note: which files were not compared, if any.
    """

    names: tuple[Change, ...] = ()
    count: int = 0
    unknown: str | None = None
    note: str | None = None

    @property
    def same(self) -> bool:
        """Whether it is known that nothing differs."""
        return not self.count and self.unknown is None

    def of_code(self) -> Changes:
        """Only what may change what a job does: jobs write new files beside their code all the time."""
        names = tuple(one for one in self.names if one.letter != "A" or CODE.search(one.path))
        return replace(self, names=names, count=self.count - len(self.names) + len(names))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is no text in a name is shown as U+FFFD."""
        names = [[one.letter, os.fsencode(one.path).decode("utf-8", "replace")] for one in self.names]
        return {"names": names, "count": self.count, "unknown": self.unknown, "note": self.note}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Changes:
        """Changes from what `as_dict` gave."""
        return cls(tuple(Change(*pair) for pair in plain["names"]), plain["count"], plain["unknown"], plain["note"])


def changed_since(tree: Tree, *, limit_s: float = 5.0) -> Changes:
    """Compare the work tree, as it is now, with what was submitted. Never raises.

    The work tree is recorded again by the same rules, so that all that went into the tree is compared by content;
    of the files left out, size and time are. Commits, branches and the index play no part: only files do.
    """
    try:
        repository = repository_of(tree, limit_s)
        found = _compare(repository, tree)
    except (WhirrError, OSError) as error:
        return Changes(unknown=str(error))
    changes = (Change(letter, path) for path, letter in found.items())
    names = sorted(changes, key=lambda change: (change.letter == "A", change.path))
    note = f"{tree.unlisted} files were left out of the record unnamed, and not compared" if tree.unlisted else None
    return Changes(tuple(names[:NAMES]), len(names), note=note)


def _compare(repository: Repository, tree: Tree) -> dict[str, str]:
    """Letters by path."""
    submitted = _names(repository, tree.tree)
    include = tuple(map(os.fsencode, tree.include))
    own = os.fsencode(tree.own) if tree.own else None
    now = record_by(repository, Rules(include, own, UNTRACKED_LIMIT, submitted))
    found = _differ(repository, tree.tree, now.tree)
    before = {one.path: one for one in tree.left_out}
    after = {one.path: one for one in now.left_out}
    for path in before.keys() | after.keys():
        if path in before and before[path].why in FOLDERS:
            continue  # of a folder nothing is known but what the trees say
        letter = _left_out(tree, before.get(path), after.get(path), os.fsencode(path) in submitted)
        found.pop(path, None)
        if letter:
            found[path] = letter
    return found


def _names(repository: Repository, tree: str) -> frozenset[bytes]:
    """The paths in a tree; none where the tree was collected, of which `_differ` will tell if it matters."""
    try:
        return frozenset(ask(repository, "ls-tree", "-r", "-z", "--name-only", tree).split(b"\0")[:-1])
    except WhirrError:
        return frozenset()


def _differ(repository: Repository, before: str, after: str) -> dict[str, str]:
    if before == after:
        return {}
    try:
        output = ask(repository, "diff-tree", "-r", "-z", "--no-renames", "--name-status", before, after)
    except WhirrError as error:
        raise WhirrError(f"the files differ from those submitted, but not which: {error}") from None
    words = output.split(b"\0")[:-1]
    # T, a file that became a link or the reverse, is a modification like others.
    return {
        os.fsdecode(path): letter.decode().replace("T", "M") for letter, path in zip(*[iter(words)] * 2, strict=True)
    }


def _left_out(tree: Tree, before: LeftOut | None, after: LeftOut | None, was_in_tree: bool) -> str:
    """The letter of a path of which one side at least is not in a tree, "" where it did not change."""
    if before is None:
        if was_in_tree:
            return "M"
        return "" if tree.unlisted else "A"  # it may be one of those not listed
    after = after or _now(tree, before)
    if after is None:
        return "D"
    return "M" if (before.size, before.mtime_ns) != (after.size, after.mtime_ns) else ""


def _now(tree: Tree, before: LeftOut) -> LeftOut | None:
    try:
        found = os.lstat(os.path.join(tree.top, before.path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return LeftOut(before.path, before.why, found.st_size, found.st_mtime_ns)
