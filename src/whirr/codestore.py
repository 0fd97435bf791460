"""``LocalCode``: submitted trees in a bare git repository beside the runs, each object stored once.

What arrives is unpacked in a folder of its own that sees the store, looked at, and moved into the store only when the
whole tree is there: a store never holds half a tree, nor anything that nothing names. A tree is kept by the ref
``refs/trees/<name>``, which is a file whose time says when the tree was last asked for.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from whirr.capture.git import Bare
from whirr.errors import BadAnswer, FolderError, NotFound, TooLarge, UsageError
from whirr.hub import Code
from whirr.submission.scan import ask

FOLDERS = {40: "code.git", 64: "code-sha256.git"}
"""By the length of git's names: a repository has names of one kind only."""

FORMATS = {40: "sha1", 64: "sha256"}
REFS = "refs/trees/"
TREE = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
LIMIT_S = 300.0
PACK_LIMIT = 1 << 30
"""Bytes of a pack that is taken in at most."""

CACHE_LIMIT = 4 << 30
"""Bytes of a store that is only a cache."""

PACKS = 50

BASES = 8
"""So many known trees are looked at for earlier states of the files sent."""

NAMED_AT_ONCE = 200
LOOSE = "\tlooseCompression = 0\n"
"""Only drafts have loose objects, which are soon packed or gone."""

THIN = ("--revs", "--thin", "--shallow")
"""Without the last, commits that are named are not looked at for earlier states of files."""

NOBODY = "whirr <whirr@localhost> 0 +0000"
DRAFT = "incoming-"
DRAFT_LIVES_S = 86400.0
HEAD = "HEAD"
LOCK, GATHER_LOCK = "whirr.lock", "whirr-gather.lock"


class LocalCode:
    """Implements ``hub.Code``; its docstrings say what each method does.

    Args:
        root: the folder in which the store lies.
        packs: more of them are gathered into fewer.
    """

    def __init__(self, root: Path, *, packs: int = PACKS) -> None:
        self._root = root
        self._packs = packs

    def place(self, tree: str) -> Path:
        """The bare repository that holds a tree, or would.

        Raises:
            UsageError: this is no name of a tree.
        """
        if not TREE.fullmatch(tree):
            raise UsageError(f"{tree[:80]!r} is not the name of a git tree", hint="give all its hexadecimal digits")
        return self._root / FOLDERS[len(tree)]

    def trees(self, like: str) -> list[str]:
        """The trees that are there with names as long as this one, the last asked for first."""
        folder = self.place(like) / REFS
        try:
            entries = [(entry.stat().st_mtime, entry.name) for entry in os.scandir(folder)]
        except FileNotFoundError:
            return []
        return [name for _, name in sorted(entries, reverse=True) if TREE.fullmatch(name)]

    def known(self, trees: Sequence[str]) -> list[str]:
        return [tree for tree in trees if TREE.fullmatch(tree) and (self.place(tree) / REFS / tree).exists()]

    def add(self, tree: str, pack: Path) -> None:
        if self._is_there(tree):
            return
        size = pack.stat().st_size
        if size > PACK_LIMIT:
            raise TooLarge(f"a snapshot of {size} bytes is too large", hint=f"at most {PACK_LIMIT} bytes are taken")
        with self.held(tree) as place, self.draft(tree) as folder:
            store = stacked(folder / "git", [place / "objects"], tree)
            _unpack(store, pack)
            _require_whole(store, tree)
            _move_packs(folder / "git", place)
            _put(place / REFS / tree, f"{tree}\n")
            _sync(place / REFS)
        self._gather(place)

    def fetch(self, tree: str, known: Sequence[str], pack: Path) -> None:
        if not self._is_there(tree):
            raise NotFound(f"there is no tree {tree}", hint="submit the job again with --snapshot")
        with self.draft(tree) as folder:
            store = stacked(folder / "git", [self.place(tree) / "objects"], tree)
            write_pack(store, tree, self.known(known), pack)

    def bring(self, source: Code, tree: str) -> None:
        """Get a tree from another store: only what is not here.

        Raises:
            NotFound: it is not there.
            WhirrError: it cannot be had, or not be kept here.
        """
        if self._is_there(tree):
            return
        with self.draft(tree) as folder:
            source.fetch(tree, self.trees(tree)[:NAMED_AT_ONCE], folder / "pack")
            self.add(tree, folder / "pack")

    def _is_there(self, tree: str) -> bool:
        """Whether a tree is there; from now on it counts as just asked for."""
        try:
            os.utime(self.place(tree) / REFS / tree)
        except FileNotFoundError:
            return False
        except OSError:  # of another user, whose store this is
            return bool(self.known([tree]))
        return True

    @contextmanager
    def draft(self, tree: str) -> Iterator[Path]:
        """A new folder on the disk of the store, gone afterwards.

        Raises:
            FolderError: it cannot be made, or what is written there finds no room.
        """
        place = self._made(tree)
        folder = place / f"{DRAFT}{os.urandom(6).hex()}"
        try:
            folder.mkdir()
            yield folder
        except OSError as error:
            raise FolderError(f"cannot write {place}: {error.strerror or error}", hint="is the disk full?") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def held(self, tree: str) -> Iterator[Path]:
        """The repository of a tree; nothing is removed from it meanwhile."""
        place = self._made(tree)
        with _locked(place / LOCK, fcntl.LOCK_SH):
            yield place

    def trim(self, most: int = CACHE_LIMIT) -> None:
        """Where a store takes more than so many bytes, remove the half of its trees that was not asked for lately.

        Nothing happens while one is held.
        """
        for length, name in FOLDERS.items():
            place = self._root / name
            if place.is_dir() and _size(place / "objects") > most:
                with suppress(BlockingIOError), _locked(place / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    trees = self.trees("0" * length)
                    for tree in trees[(len(trees) + 1) // 2 :]:
                        (place / REFS / tree).unlink(missing_ok=True)
                    _bare(place).git("repack", "-a", "-d", "-q")

    def _made(self, tree: str) -> Path:
        """The folder of the store, made if it is missing."""
        place = self.place(tree)
        if not (place / HEAD).exists():
            try:
                _make(place, FORMATS[len(tree)])
            except OSError as error:
                raise FolderError(f"cannot make {place}: {error.strerror}", hint="is the disk full?") from None
        return place

    def _gather(self, place: Path) -> None:
        """Make few packs of many, and remove what killed processes left."""
        if sum(1 for _ in (place / "objects/pack").glob("*.idx")) <= self._packs:
            return
        with suppress(BlockingIOError, OSError), _locked(place / GATHER_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB):
            for folder in place.glob(f"{DRAFT}*"):
                if folder.stat().st_mtime < time.time() - DRAFT_LIVES_S:
                    shutil.rmtree(folder, ignore_errors=True)
            _bare(place).git("repack", "--geometric=2", "-d", "-q")


def write_pack(store: Bare, tree: str, known: Sequence[str], pack: Path) -> None:
    """Write a pack of a tree into a new file, without what known trees hold.

    Of a file that the first few of them hold an earlier state of, the difference is written.

    Args:
        store: a draft from ``stacked``: git looks at earlier states only of commits, which are made there.

    Raises:
        WhirrError: git failed, or took too long.
    """
    names = Path(store.top, "names")
    names.mkdir()
    for name in known[:BASES]:
        (names / name).write_text(f"tree {name}\nauthor {NOBODY}\ncommitter {NOBODY}\n\nKnown\n")
    files = "".join(f"names/{name}\n" for name in known[:BASES])
    commits = ask(store, "hash-object", "-w", "-t", "commit", "--stdin-paths", stdin=files.encode()).decode().split()
    wanted = "".join(f"{name}\n" for name in (tree, *(f"^{name}" for name in (*commits, *known[BASES:]))))
    with pack.open("xb") as file:
        ask(store, "pack-objects", *THIN, "--stdout", "-q", stdin=wanted.encode(), sink=file.write)


def stacked(folder: Path, below: Sequence[Path], tree: str) -> Bare:
    """A new bare repository that sees the objects of others and leaves those as they are.

    Args:
        below: their folders of objects.
        tree: any name as they have them.
    """
    _make(folder, FORMATS[len(tree)])
    (folder / "objects/info").mkdir()
    (folder / "objects/info/alternates").write_bytes(b"".join(os.fsencode(place) + b"\n" for place in below))
    return _bare(folder)


def _make(folder: Path, kind: str) -> None:
    """An empty bare repository, as ``git init`` makes it; several may make it at once."""
    for name in ("objects/pack", "refs/heads", REFS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    extension = f"[extensions]\n\tobjectFormat = {kind}\n" if kind != "sha1" else ""
    version = 1 if extension else 0
    _put(folder / "config", f"[core]\n\trepositoryFormatVersion = {version}\n\tbare = true\n{LOOSE}{extension}")
    _put(folder / HEAD, "ref: refs/heads/none\n")


def _put(path: Path, text: str) -> None:
    """Write a file whole and for good."""
    draft = path.with_name(f"{path.name}.{os.urandom(4).hex()}.lock")  # git takes no notice of such names
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, path)


def _bare(place: Path) -> Bare:
    return Bare(place, time.monotonic() + LIMIT_S)


def _unpack(store: Bare, pack: Path) -> None:
    with pack.open("rb") as file:
        done = store.git("index-pack", "--stdin", "--fix-thin", "--strict", stdin=file)
    if done.ok:
        return
    room = os.statvfs(store.top)
    if room.f_bavail * room.f_frsize < 2 * pack.stat().st_size:
        raise FolderError(f"there is no room for a snapshot in {store.top}", hint="make some, and send it again")
    raise BadAnswer("what was sent is no sound pack of a git tree", hint="send it again")


def _require_whole(store: Bare, tree: str) -> None:
    kind = store.git("cat-file", "-t", tree)
    whole = store.git("rev-list", "--objects", "--quiet", tree, "--")
    if not whole.ok or kind.data.strip() != b"tree":
        raise BadAnswer(f"the pack does not hold the whole tree {tree}", hint="send it without leaving anything out")


def _move_packs(source: Path, place: Path) -> None:
    """Move packs into the store; git sees one when its index is there, which comes last."""
    target = place / "objects/pack"
    for path in sorted((source / "objects/pack").glob("pack-*"), key=lambda path: path.suffix == ".idx"):
        if not (target / path.name).exists():
            os.rename(path, target / path.name)
    _sync(target)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _size(folder: Path) -> int:
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found += os.lstat(os.path.join(place, name)).st_size
    return found
