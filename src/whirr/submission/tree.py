"""The files of a whole git work tree as one tree object, recorded without touching anything of the user's.

All is done on a copy of the index, so that git's knowledge of unchanged files is used and the index, HEAD, branches,
stash and files stay as they are. New objects go into the repository; a private ref keeps them alive.

What `git add` would store is stored: clean filters run (Git LFS keeps the content in its own store and gives git a
pointer), hooks and file system monitors do not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from whirr.capture.git import Repository, find_repository
from whirr.capture.patch import copy_index, scratch
from whirr.errors import NotFound, UsageError, WhirrError
from whirr.folder import ROOT
from whirr.submission.scan import Choice, LeftOut, Look, Rules, ask, choose, look

UNTRACKED_LIMIT = 64 << 20
"""Bytes of untracked files recorded at most."""
LISTED = 1_000
"""Files left out that are listed at most."""
LFS_LISTED = 100
"""Names of files under Git LFS listed at most."""
NONE_RECORDED = "no file of the work folder is recorded"
"""So a note begins where there is none; why, follows."""

REFS = "refs/whirr/"
KEPT = 1000
"""So many trees are kept from being collected, the newest ones."""

IDENTITY = "whirr <whirr@localhost>"


class Tree(NamedTuple):
    """The files of a work tree at one moment.

    Attributes:
        top: the work tree, absolute.
        prefix: the work folder relative to `top`; empty when it is `top`.
        tree: name of the git tree.
        commit: name of the commit of HEAD; None before the first.
        snapshot: name of a private commit of `tree` on top of `commit`; None when none was made.
        branch: None when HEAD is detached.
        dirty: whether `git status` shows anything.
        left_out: what is not in the tree, or in an older state: at most LISTED entries.
        unlisted: how many more were left out.
        submodules: paths of submodules; of each, the tree names the commit that was checked out.
        lfs: paths under Git LFS, at most LFS_LISTED: the tree holds their pointers.
        include: what was taken whatever its name and size, relative to `top`.
        own: whirr's own folder relative to `top`, where it lies in the work tree.
        notes: what could not be recorded, for people.
        sent: name of the tree where jobs get it from, with the files of submodules and of Git LFS in it; None when it
            was not sent there.

    Paths that are not valid UTF-8 are strings as `os.fsdecode` makes them.
    """

    top: str
    prefix: str
    tree: str
    commit: str | None = None
    snapshot: str | None = None
    branch: str | None = None
    dirty: bool = False
    left_out: tuple[LeftOut, ...] = ()
    unlisted: int = 0
    submodules: tuple[str, ...] = ()
    lfs: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    own: str | None = None
    notes: tuple[str, ...] = ()
    sent: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a path that is no text is given as `{"hex": ...}`."""
        found: dict[str, Any] = spell({**self._asdict(), "left_out": [one._asdict() for one in self.left_out]})
        return found

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Tree:
        """A tree from what `as_dict` gave, keys of later versions ignored.

        Raises:
            WhirrError: it is none.
        """
        try:
            known = unspell({name: plain[name] for name in cls._fields if name in plain})
            known = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
            known["left_out"] = tuple(LeftOut(**one) for one in known.get("left_out", ()))
            return cls(**known)
        except (TypeError, ValueError, KeyError) as error:
            raise WhirrError(f"this is no record of a work tree: {error}") from None


def spell(value: Any) -> Any:
    """Plain values for JSON: a string that is no text, as `os.fsdecode` makes them, becomes `{"hex": ...}`."""
    if isinstance(value, dict):
        return {key: spell(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spell(item) for item in value]
    if isinstance(value, str) and not _is_text(value):
        return {"hex": os.fsencode(value).hex()}
    return value


def unspell(value: Any) -> Any:
    """The reverse of `spell`."""
    if isinstance(value, dict):
        if value.keys() == {"hex"}:
            return os.fsdecode(bytes.fromhex(value["hex"]))
        return {key: unspell(item) for key, item in value.items()}
    return [unspell(item) for item in value] if isinstance(value, list) else value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def record_tree(
    workdir: Path,
    *,
    include: Sequence[str] = (),
    own: Path | None = None,
    limit_s: float = 10.0,
    untracked_limit: int = UNTRACKED_LIMIT,
) -> Tree | None:
    """Record the files of the work tree that holds `workdir`; None outside a git work tree.

    Tracked files are recorded as they are on disk, and untracked ones that git does not ignore. Left out and listed
    are files that may hold keys or passwords, what cannot be read, and the largest of the untracked files where
    all together are over `untracked_limit` bytes. `include` names files and folders, relative to `workdir`, that
    are taken in any case, ignored ones too. Files under `own` (whirr's folder) or under any `.whirr` never count.

    Raises:
        UsageError: `include` names what is not in the work tree.
        WhirrError: git failed, or took over `limit_s` seconds.
    """
    folder = os.path.realpath(workdir)
    repository = find_repository(folder, time.monotonic() + limit_s)
    if repository is None:
        return None
    top = repository.top
    rules = Rules(_inside(folder, top, include), _own(own, top), untracked_limit)
    found = record_by(repository, rules)
    prefix = os.path.relpath(folder, top) if folder != top else ""
    if prefix and not ask(repository, "ls-tree", found.tree, "--", prefix):
        why = _why_none(folder, prefix, found.left_out)
        found = found._replace(notes=(*found.notes, f"{NONE_RECORDED}: {why}"))
    return found._replace(prefix=prefix, snapshot=_commit(repository, found))


def _why_none(folder: str, prefix: str, left_out: Sequence[LeftOut]) -> str:
    if not any(files for _, _, files in os.walk(folder)):
        return "it has none"
    if any(os.path.join(one.path, "").startswith(os.path.join(prefix, "")) for one in left_out):
        return "what it has was left out"
    return "git ignores it"


def _inside(folder: str, top: str, include: Sequence[str]) -> tuple[bytes, ...]:
    """The names relative to the top of the tree."""
    names = []
    for name in include:
        full = os.path.normpath(os.path.join(folder, name))
        path = os.path.relpath(full, top)
        parts = path.split(os.sep)
        folder_is_real = os.path.realpath(os.path.dirname(full)) == os.path.dirname(full)
        if not folder_is_real or not os.path.lexists(full) or {os.pardir, os.curdir, ".git", ROOT}.intersection(parts):
            hint = f"name a file or folder that is there, in {top}"
            raise UsageError(f"{name} cannot be included: there is no such file in the work tree", hint=hint)
        names.append(os.fsencode(path))
    return tuple(names)


def _own(own: Path | None, top: str) -> bytes | None:
    path = os.path.relpath(os.path.realpath(own), top) if own else os.pardir
    return None if path.split(os.sep)[0] in (os.pardir, os.curdir) else os.fsencode(path)


def record_by(repository: Repository, rules: Rules) -> Tree:
    """The tree of a whole work tree by these rules, its objects written, no commit made of it.

    There is a second try for when files changed under the first.

    Raises:
        WhirrError: git failed or took too long.
    """
    try:
        return _record(repository, rules)
    except WhirrError:
        if time.monotonic() > repository.deadline:
            raise
        return _record(repository, rules)


def _record(repository: Repository, rules: Rules) -> Tree:
    top = os.fsencode(repository.top)
    with index_copy(repository) as index:
        seen = look(repository, index)
        choice = choose(top, seen, rules)
        _apply(repository, index, choice, seen.zero)
        # Objects that are missing are so in the user's repository too: a partial clone.
        tree = ask(repository, "write-tree", "--missing-ok", index=index)
        lfs = _under_lfs(repository, index, top, seen.attributes)
    return _described(repository, seen, choice, rules, tree.decode().strip(), lfs)


def _described(
    repository: Repository, seen: Look, choice: Choice, rules: Rules, tree: str, lfs: tuple[str, ...]
) -> Tree:
    unasked = "git is set not to look for untracked files (status.showUntrackedFiles): none is recorded"
    return Tree(
        top=repository.top,
        prefix="",
        tree=tree,
        commit=seen.status.commit,
        branch=seen.status.branch,
        dirty=choice.dirty,
        left_out=choice.left_out[:LISTED],
        unlisted=len(choice.left_out[LISTED:]),
        submodules=tuple(sorted(map(os.fsdecode, seen.submodules))),
        lfs=lfs,
        include=tuple(map(os.fsdecode, rules.include)),
        own=os.fsdecode(rules.own) if rules.own else None,
        notes=() if seen.searched else (unasked,),
    )


@contextmanager
def index_copy(repository: Repository) -> Iterator[str]:
    """The path of a copy of the index, gone afterwards.

    Raises:
        WhirrError: it cannot be made, or a file cannot be looked at meanwhile.
    """
    try:
        with scratch() as folder:
            index = os.path.join(folder, "index")
            copy_index(repository.index, index)
            yield index
    except OSError as error:
        raise WhirrError(f"the work tree {repository.top} cannot be read: {error}") from None


def _apply(repository: Repository, index: str, choice: Choice, zero: bytes) -> None:
    if choice.drop:
        lines = b"".join(b"0 %b\t%b\0" % (zero, path) for path in choice.drop)
        ask(repository, "update-index", "-z", "--index-info", index=index, stdin=lines)
    if choice.enter:
        names = b"".join(b"%b\0" % path for path in choice.enter)
        ask(repository, "update-index", "--add", "--remove", "--replace", "-z", "--stdin", index=index, stdin=names)


def _under_lfs(repository: Repository, index: str, top: bytes, attributes: Sequence[bytes]) -> tuple[str, ...]:
    """Files that Git LFS keeps; git is asked only where some attributes name its filter."""
    if not any(b"filter=lfs" in _content(os.path.join(top, name)) for name in attributes):
        return ()
    names = ask(repository, "ls-files", "-z", "--", ":(top,attr:filter=lfs)", index=index).split(b"\0")[:-1]
    return tuple(map(os.fsdecode, names[:LFS_LISTED]))


def _content(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def _commit(repository: Repository, tree: Tree) -> str:
    """A commit of the tree by nobody in particular: no setting and no hook of the user's has a part in it."""
    parent = f"parent {tree.commit}\n" if tree.commit else ""
    moment = f"{int(time.time())} +0000"
    text = f"tree {tree.tree}\n{parent}author {IDENTITY} {moment}\ncommitter {IDENTITY} {moment}\n\nAs submitted\n"
    name = ask(repository, "hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode())
    return name.decode().strip()


def repository_of(tree: Tree, limit_s: float) -> Repository:
    """The repository in which a tree was recorded.

    Raises:
        NotFound: it is gone.
    """
    return _repository_at(tree.top, limit_s)


def _repository_at(top: str, limit_s: float) -> Repository:
    repository = find_repository(top, time.monotonic() + limit_s)
    if repository is None or repository.top != top:
        raise NotFound(f"there is no git work tree {top} any more", hint="was it moved or deleted?")
    return repository


def keep(tree: Tree, name: str, *, limit_s: float = 10.0) -> None:
    """Keep a tree's objects from being collected, by the ref `refs/whirr/<name>`.

    `name` belongs to this tree alone among all who use the repository, such as the id of a run. The ref is none of a
    branch: it is neither fetched nor pushed, except by `git push --mirror`.

    Only the trees that were kept last stay, KEPT of them.

    Raises:
        WhirrError: the name keeps another tree already, or git failed.
    """
    repository = repository_of(tree, limit_s)
    wanted = tree.snapshot or _commit(repository, tree)
    try:
        ask(repository, "update-ref", REFS + name, wanted, "0" * len(wanted))
    except WhirrError:
        if _kept(repository, name) != wanted:
            raise
    _forget_oldest(repository)


def _forget_oldest(repository: Repository) -> None:
    names = ask(repository, "for-each-ref", "--sort=-creatordate", "--format=%(refname)", REFS).splitlines()
    if len(names) > KEPT + KEPT // 10:
        lines = b"".join(b"delete %b\n" % name for name in names[KEPT:])
        ask(repository, "update-ref", "--stdin", stdin=lines)


def _kept(repository: Repository, name: str) -> str:
    return ask(repository, "for-each-ref", "--format=%(objectname)", REFS + name).decode().strip()


def forget(top: str, name: str, *, limit_s: float = 10.0) -> None:
    """Let go of what `keep` kept under `name` in the work tree `top`; nothing happens when there is nothing.

    Raises:
        NotFound: the work tree is gone.
        WhirrError: git failed.
    """
    repository = _repository_at(top, limit_s)
    if _kept(repository, name):
        ask(repository, "update-ref", "-d", REFS + name)
