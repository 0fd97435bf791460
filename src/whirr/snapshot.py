"""Sends a recorded tree to where jobs run: once, and only what is not there already.

Beyond what was recorded, the files of submodules that are checked out go along, and the content of files that Git LFS
keeps: where the job runs there is neither the submodule's repository nor the store of Git LFS.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from whirr.capture.git import Bare, Repository, find_repository
from whirr.codestore import stacked, write_pack
from whirr.errors import FolderError, UsageError
from whirr.hub import Code
from whirr.submission import Tree
from whirr.submission.scan import ask, is_secret
from whirr.submission.tree import REFS, repository_of

LIMIT = 256 << 20
"""Bytes of files that one snapshot may send."""

CANDIDATES = 100
"""So many earlier trees are asked for, of commits and of submissions each."""

NAMED = 5
LIMIT_S = 600.0
POINTER = b"version https://git-lfs.github.com/spec/"


def send(code: Code, tree: Tree, *, limit: int = LIMIT) -> Tree:
    """Put a recorded tree where jobs get it from; the tree with the name under which it is there.

    Raises:
        UsageError: it holds a file that may be secret and was not included by name, or more than ``limit`` bytes that
            are not there yet.
        WhirrError: git failed, or the tree cannot be taken in.
    """
    try:
        with _whole(repository_of(tree, LIMIT_S), tree, limit) as (store, name, notes):
            names = _names(store, name)
            _refuse_secrets(names, tree.include)
            _refuse_absent(names, tree)
            known = code.known([name, *_candidates(repository_of(tree, LIMIT_S))])
            if name not in known:
                _refuse_much(store, name, known, limit)
                pack = Path(store.top, "pack")
                write_pack(store, name, known, pack)
                code.add(name, pack)
    except FolderError:  # the store's, which says itself what is wrong where
        raise
    except OSError as error:
        why = error.strerror or error
        raise FolderError(f"cannot make the snapshot in {tempfile.gettempdir()}: {why}", hint="set TMPDIR") from None
    return tree._replace(sent=name, notes=(*tree.notes, *notes))


def _candidates(repository: Repository) -> list[str]:
    """Trees that may have been sent before: of earlier submissions, and of the last commits."""
    kept = ("for-each-ref", "--sort=-creatordate", f"--count={CANDIDATES}", "--format=%(tree)", REFS)
    commits = ("rev-list", f"--max-count={CANDIDATES}", "--format=%T", "HEAD", "--")  # fails before the first
    found = (repository.git(*kept).data + repository.git(*commits).data).decode().splitlines()
    return list(dict.fromkeys(line for line in found if not line.startswith("commit ")))


class Module(NamedTuple):
    """A submodule that is checked out, and where it is in the whole tree."""

    repository: Repository
    path: str
    commit: str


@contextmanager
def _whole(repository: Repository, tree: Tree, limit: int) -> Iterator[tuple[Bare, str, list[str]]]:
    """A draft with the whole tree, its name there, and what is to be said of it; nothing of the user's is written."""
    modules = list(_checked_out(repository, tree.tree, "")) if tree.submodules else []
    with tempfile.TemporaryDirectory(prefix="whirr-") as place:
        sources = [repository, *(module.repository for module in modules)]
        store = stacked(Path(place, "git"), [_objects(source) for source in sources], tree.tree)
        if not modules and not tree.lfs:
            yield store, tree.tree, []
            return
        index = os.path.join(place, "index")
        ask(store, "read-tree", tree.tree, index=index)
        for module in modules:
            gone = b"0 %b\t%b\0" % (b"0" * len(tree.tree), os.fsencode(module.path))
            ask(store, "update-index", "-z", "--index-info", index=index, stdin=gone)
            ask(store, "read-tree", "-i", f"--prefix={module.path}/", f"{module.commit}^{{tree}}", index=index)
        notes = _enter_contents(repository, store, index, limit) if tree.lfs else []
        yield store, ask(store, "write-tree", "--missing-ok", index=index).decode().strip(), notes


def _objects(repository: Repository) -> Path:
    found = ask(repository, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    return Path(os.fsdecode(found.rstrip(b"\n")))


def _checked_out(repository: Repository, tree: str, above: str) -> Iterator[Module]:
    """The submodules of a tree that are checked out, each before those inside it."""
    for line in ask(repository, "ls-tree", "-r", "-z", tree).split(b"\0")[:-1]:
        about, _, name = line.partition(b"\t")
        if not about.startswith(b"160000 "):
            continue
        top = os.path.join(repository.top, os.fsdecode(name))
        found = find_repository(top, repository.deadline)
        if found is not None and found.top == top:
            module = Module(found, os.path.join(above, os.fsdecode(name)), about.split(b" ")[2].decode())
            yield module
            yield from _checked_out(found, module.commit, module.path)


def _enter_contents(repository: Repository, store: Repository, index: str, limit: int) -> list[str]:
    """Put the files that Git LFS keeps into a tree as they are in the work folder; what is to be said of it."""
    listed = ask(repository, "ls-files", "-z", "-s", "--", ":(top,attr:filter=lfs)", index=index).split(b"\0")[:-1]
    paths = {line.partition(b"\t")[2]: line[:6] for line in listed}  # each with its mode
    top = os.fsencode(repository.top)
    there = {path: size for path in paths if (size := _size_of_content(os.path.join(top, path))) is not None}
    total = sum(there.values())
    if total > limit:
        return [f"{len(paths)} files under Git LFS are sent as pointers: their {total >> 20} MiB are too much"]
    files = b"".join(os.path.join(top, path) + b"\n" for path in there)
    names = ask(store, "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=files).split()
    lines = b"".join(b"%b %b\t%b\0" % (paths[path], name, path) for path, name in zip(there, names, strict=True))
    ask(store, "update-index", "-z", "--index-info", index=index, stdin=lines)
    lacking = len(paths) - len(there)
    return [f"{lacking} files under Git LFS are sent as pointers: their content is not here"] if lacking else []


def _size_of_content(path: bytes) -> int | None:
    """The size of a file; None where there is only the pointer that Git LFS puts in its place, or none to read."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or b"\n" in path:
            return None
        with open(path, "rb") as file:
            return None if file.read(len(POINTER)) == POINTER else found.st_size
    except OSError:
        return None


def _names(store: Repository, tree: str) -> list[str]:
    """The paths of a tree."""
    return [os.fsdecode(name) for name in ask(store, "ls-tree", "-r", "-z", "--name-only", tree).split(b"\0")[:-1]]


def _refuse_secrets(names: Sequence[str], include: Sequence[str]) -> None:
    secret = [path for path in names if is_secret(path) and not _is_in(path, include)]
    if secret:
        more = f" and {len(secret) - 1} more" if len(secret) > 1 else ""
        raise UsageError(
            f"the snapshot holds {secret[0]}{more}, which may be secret",
            hint=f"take it out of git, or name it: --include {secret[0]}",
        )


def _refuse_absent(names: Sequence[str], tree: Tree) -> None:
    """Refuse what was included by name and lies in a submodule that does not have it in its commit."""
    for path in tree.include:
        if _is_in(path, tree.submodules) and not any(_is_in(name, [path]) for name in names):
            raise UsageError(
                f"{path} cannot be included: of a submodule the files of its commit are sent",
                hint="commit it there, or keep it outside of the submodule",
            )


def _is_in(path: str, places: Sequence[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _refuse_much(store: Repository, tree: str, known: Sequence[str], limit: int) -> None:
    """Refuse what is too large to send, and say what makes it so."""
    wanted = "".join(f"{name}\n" for name in (tree, *(f"^{other}" for other in known)))
    objects = ask(store, "rev-list", "--objects", "--stdin", stdin=wanted.encode())
    told = ask(store, "cat-file", "--batch-check=%(objecttype) %(objectsize) %(rest)", stdin=objects)
    about = [line.split(b" ", 2) for line in told.splitlines() if line.startswith(b"blob ")]
    files = sorted(((int(size), os.fsdecode(path)) for _, size, path in about), reverse=True)
    total = sum(size for size, _ in files)
    if total > limit:
        largest = ", ".join(f"{path} ({size >> 20} MiB)" for size, path in files[:NAMED])
        raise UsageError(
            f"the snapshot would send {total >> 20} MiB, more than {limit >> 20} MiB: {largest}",
            hint="let git ignore what the job does not need, or put it where the workers can read it",
        )
