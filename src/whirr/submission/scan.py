"""What lies in a work tree, and what of it goes into a recorded tree.

`look` asks git; `choose` decides by name, kind and size. Paths here are bytes relative to the top of the tree.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from whirr.capture import child
from whirr.capture.git import Repository, Status, parse_status
from whirr.capture.redact import is_secret_file
from whirr.errors import WhirrError
from whirr.folder import ROOT
from whirr.submission.parallel import both

FILES = 10_000
"""Untracked files taken at most."""
OUTPUT_LIMIT = 256 << 20
"""Bytes that git may print: some millions of names."""
SINK_LIMIT = 4 << 30
"""Bytes that it may give to a sink."""

Sink = Callable[[bytes], object]
REPOSITORY = "a repository of its own"
INSIDE = "a submodule with uncommitted work of its own"
FOLDERS = frozenset((REPOSITORY, INSIDE))
"""Reasons that are about folders, whose size and time say nothing."""
_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--no-ahead-behind")
# Beyond what is kept out of patches: names under which somebody's keys may be, and never the code of an experiment.
_SECRET = re.compile(r"\.env.*|id_(rsa|dsa|ecdsa|ed25519).*|credentials.*\.json", re.IGNORECASE)
_TEMPLATE = (".example", ".sample", ".template")


class LeftOut(NamedTuple):
    """A file that is not in the recorded tree, or of which an older state is.

    `path` is relative to the top of the work tree, `why` is for people, `size` in bytes and `mtime_ns` (since
    1970) are by what a later change is noticed; both are 0 for a folder.
    """

    path: str
    why: str
    size: int = 0
    mtime_ns: int = 0


class Look(NamedTuple):
    """What git says of a work tree.

    `hidden`: tracked paths whose changes git was told not to show (skip-worktree, assume-unchanged, and what
    lies outside of a sparse checkout); `zero`: an object name of zeros, as long as this repository has them.
    """

    status: Status
    searched: bool
    hidden: tuple[bytes, ...]
    submodules: frozenset[bytes]
    attributes: tuple[bytes, ...]
    zero: bytes


class Choice(NamedTuple):
    """What to do to a copy of the index: `drop` these paths, then `enter` these as they are on disk, in order."""

    drop: tuple[bytes, ...]
    enter: tuple[bytes, ...]
    left_out: tuple[LeftOut, ...]
    dirty: bool


class Rules(NamedTuple):
    """What goes into a tree.

    Files under a `.whirr` folder and under `own` never do. `include` names files and folders that are taken
    whatever their name and size, and whether git ignores them or not. `limit` bytes of untracked files are
    taken, the smallest first, those in `known` not counted.
    """

    include: tuple[bytes, ...]
    own: bytes | None
    limit: int
    known: frozenset[bytes] = frozenset()

    def takes(self, path: bytes) -> bool:
        """Whether a path may be looked at."""
        if ROOT.encode() in path.split(b"/"):
            return False
        return self.own is None or not (path == self.own or path.startswith(self.own + b"/"))


def ask(
    repository: Repository, *arguments: str, index: str | None = None, stdin: bytes = b"", sink: Sink | None = None
) -> bytes:
    """What a git command prints, given `stdin` if any; nothing where a `sink` takes it.

    Raises WhirrError when it fails, takes too long or cannot be started.
    """
    output = _run(repository, arguments, index, stdin, sink)
    if not output.ok:
        reasons = {"time": "took too long", "size": "printed too much"}
        why = reasons.get(output.cut or "", f"failed (status {output.code})")
        command = next(word for word in arguments if not word.startswith("-"))
        raise WhirrError(
            f"git {command} {why} in {repository.top}", hint=f"see what git -C {repository.top} status says"
        )
    return output.data


def _run(
    repository: Repository, arguments: Sequence[str], index: str | None, stdin: bytes, sink: Sink | None = None
) -> child.Output:
    limit = OUTPUT_LIMIT if sink is None else SINK_LIMIT
    try:
        with open(os.memfd_create("whirr"), "w+b") as file:
            file.write(stdin)
            file.seek(0)
            return repository.git(*arguments, index=index, limit=limit, stdin=file, sink=sink)
    except (FileNotFoundError, PermissionError) as error:
        raise WhirrError(f"git cannot be started: {error.strerror}", hint="install git, or put it on PATH") from None


def look(repository: Repository, index: str) -> Look:
    """Ask git what lies in the work tree, by this copy of its index."""
    listing, (status, searched) = both(
        lambda: ask(repository, "ls-files", "-z", "-s", "-v", index=index).split(b"\0")[:-1],
        lambda: _status(repository, index),
    )
    # A line is: tag, mode, object name, stage; the tag is S for skip-worktree and small for assume-unchanged.
    hidden = tuple(_path(line) for line in listing if line[:1] == b"S" or line[:1].islower())
    submodules = frozenset(_path(line) for line in listing if line[2:8] == b"160000")
    attributes = tuple(_path(line) for line in listing if line.endswith(b".gitattributes"))
    zero = b"0" * (len(listing[0].split(b" ")[2]) if listing else 40)
    return Look(status, searched, hidden, submodules, attributes, zero)


def _path(line: bytes) -> bytes:
    return line.partition(b"\t")[2]


def _status(repository: Repository, index: str) -> tuple[Status, bool]:
    """`git status` and whether it looked for untracked files: not where the user told git not to."""
    # The one key exits with 1 where it is not set; that git cannot be asked at all, the next command says.
    wish = _run(repository, ("config", "--get", "status.showUntrackedFiles"), None, b"").data.strip()
    searched = wish not in (b"no", b"false")
    files = "--untracked-files=all" if searched else "--untracked-files=no"
    return parse_status(ask(repository, *_STATUS, files, index=index)), searched


def choose(top: bytes, seen: Look, rules: Rules) -> Choice:
    """Decide what of a work tree is recorded."""
    included = tuple(path for path in dict.fromkeys(_included(top, rules)) if not _in_any(path, seen.submodules))
    wanted = frozenset(included)
    drop, enter, left = _tracked(top, seen, rules, wanted)
    untracked = [path for path in seen.status.untracked if rules.takes(path) and path not in wanted]
    taken, more = _untracked(top, untracked, rules)
    changed = any(rules.takes(change.path) for change in seen.status.changes)
    dirty = changed or any(rules.takes(path) for path in seen.status.untracked)
    left_out = {one.path: one for one in (*left, *more)}  # a staged deletion is tracked and untracked at once
    return Choice(tuple(drop), (*enter, *taken, *included), tuple(left_out.values()), dirty)


def _in_any(path: bytes, folders: frozenset[bytes]) -> bool:
    """Whether a path lies in one of these folders, or is one: of a submodule nothing can be added."""
    return path in folders or any(path[:end] in folders for end, letter in enumerate(path) if letter == ord("/"))


def _included(top: bytes, rules: Rules) -> Iterator[bytes]:
    """The files that are named, and those in the folders that are."""
    for name in rules.include:
        full = os.path.join(top, name)
        if os.path.isdir(full) and not os.path.islink(full):
            for folder, folders, files in os.walk(full):
                folders[:] = [one for one in folders if one not in (b".git", ROOT.encode())]
                paths = (os.path.relpath(os.path.join(folder, file), top) for file in files)
                yield from (path for path in paths if not _unfit(top, path))
        elif os.path.lexists(full):
            yield name


def _tracked(
    top: bytes, seen: Look, rules: Rules, wanted: frozenset[bytes]
) -> tuple[list[bytes], list[bytes], list[LeftOut]]:
    """What to drop, enter and leave out of the tracked paths that differ or are hidden."""
    drop = list(seen.hidden)
    enter: list[bytes] = []
    left: list[LeftOut] = []
    left += (_about(change.path, INSIDE, None) for change in seen.status.changes if change.inside)
    hidden = frozenset(seen.hidden)

    @cache
    def is_real(folder: bytes) -> bool:
        """Whether no part of a folder is a link: beyond one, no file is the work tree's."""
        full = os.path.join(top, folder).rstrip(b"/")
        return os.path.realpath(full) == full

    for path in (*(change.path for change in seen.status.changes if change.path not in hidden), *seen.hidden):
        if not rules.takes(path):
            continue
        found = _stat(top, path) if is_real(os.path.dirname(path)) else None
        if found is None or (stat.S_ISDIR(found.st_mode) and path not in seen.submodules):
            drop.append(path)  # where a folder lies, what is in it is untracked
        elif why := _refusal(top, path, found, wanted):
            left.append(_about(path, why, found))
        else:
            enter.append(path)
    return drop, enter, left


def _untracked(top: bytes, paths: Iterable[bytes], rules: Rules) -> tuple[list[bytes], list[LeftOut]]:
    """Which untracked files are taken, and which are left out."""
    left: list[LeftOut] = []
    candidates: list[tuple[bool, int, bytes, os.stat_result]] = []
    for path in paths:
        found = _stat(top, path)
        if path.endswith(b"/"):
            left.append(_about(path[:-1], REPOSITORY, None))
        elif found and (why := _refusal(top, path, found, frozenset())):
            left.append(_about(path, why, found))
        elif found:
            candidates.append((path not in rules.known, found.st_size, path, found))
    taken: list[bytes] = []
    large: list[LeftOut] = []
    room, count = rules.limit, FILES
    # The smallest first: when there is too much, it is data that is left out and not code.
    for new, size, path, found in sorted(candidates):
        if not new:
            taken.append(path)
        elif count and size <= room:
            taken.append(path)
            room, count = room - size, count - 1
        else:
            why = f"over {rules.limit >> 20} MiB of untracked files" if count else "too many untracked files"
            large.append(_about(path, why, found))
    return taken, [*left, *reversed(large)]


def _stat(top: bytes, path: bytes) -> os.stat_result | None:
    """Of the path itself, not of what it links to; None where there is none."""
    try:
        return os.lstat(os.path.join(top, path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _refusal(top: bytes, path: bytes, found: os.stat_result, wanted: frozenset[bytes]) -> str:
    """Why a path is not taken whatever its size; "" where it is."""
    if path not in wanted and is_secret(os.fsdecode(path)):
        return "may hold a secret"
    return _unfit(top, path, found)


def _unfit(top: bytes, path: bytes, found: os.stat_result | None = None) -> str:
    """Why git cannot store what lies there; "" where it can."""
    found = found or os.lstat(os.path.join(top, path))
    if stat.S_ISLNK(found.st_mode) or stat.S_ISDIR(found.st_mode):
        return ""
    if not stat.S_ISREG(found.st_mode):
        return "not a plain file"
    return "" if os.access(os.path.join(top, path), os.R_OK) else "cannot be read"


def is_secret(path: str) -> bool:
    """Whether a file is left out for its name (`.env`, `id_rsa`, `server.key`, `credentials-1.json`)."""
    name = os.path.basename(path).lower()
    return is_secret_file(path) or (_SECRET.fullmatch(name) is not None and not name.endswith(_TEMPLATE))


def _about(path: bytes, why: str, found: os.stat_result | None) -> LeftOut:
    size, moment = (found.st_size, found.st_mtime_ns) if found else (0, 0)
    return LeftOut(os.fsdecode(path), why, size, moment)
