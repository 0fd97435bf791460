"""Sends the files of a run to a hub on another disk, while they grow and at the end.

Logs are appended to, from where they were sent up to; small documents are replaced when they have changed; all other
files are sent by their content once they rest, so that one that is there already costs a request, and of one that has
only grown what was added. At the end sizes and SHA-256 sums are compared. Everything may break off and begin anew at
any point.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from whirr.annotations import ANNOTATIONS
from whirr.errors import NotFound, TooLarge, UsageError, WrongOffset
from whirr.folder import is_own
from whirr.hub import Inbox, Target

GROWING = re.compile(r"output\.log|system\.jsonl|metrics(\.[^/]+)?\.jsonl")
DOCUMENT = re.compile(
    r"(meta|config|code_changes|writer\.[^/]+|result\.\d+)\.json|requirements\.txt|uncommitted\.patch|heartbeat"
)
SMALL = 4 << 20
"""Bytes of a document that is replaced as a whole; a larger one is sent by its content."""

BLOCK = 1 << 20
PART = 8 << 20
PARTS_A_TURN = 4
"""So much of one file is sent before the others have their turn."""

RESTING_S = 2.0
"""A file that has not changed for so long is taken to be complete, for now."""

REST_SHARE = 10.0
"""A file that is sent again and again rests so many times as long as sending it took."""

COMPARED = 5_000
"""So many files are compared in one request."""

TRIES = 3


class Mark(NamedTuple):
    """What tells whether a file is the one that was sent: inode, size, time of change."""

    inode: int
    size: int
    changed_ns: int


class Content(NamedTuple):
    """Size and SHA-256 sum of a file."""

    size: int
    sha256: str


NOTHING = Content(0, hashlib.sha256().hexdigest())


class Shipment:
    """The files of one run on their way.

    Attributes:
        target: whose they are.
        sent: bytes that were sent so far.
        look_s: seconds that the last look for files took.

    Args:
        inbox: where they go.
        folder: where they lie.
        said: is told what is not sent, a line each.
    """

    def __init__(
        self, inbox: Inbox, target: Target, folder: Path, said: Callable[[str], None] = lambda _: None
    ) -> None:
        self._inbox, self.target, self._folder, self._said = inbox, target, folder, said
        self._begun = False
        self._there: dict[str, int] = {}
        self._inodes: dict[str, int] = {}
        self._marks: dict[str, Mark] = {}
        self._contents: dict[str, Content] = {}
        self._seen: dict[str, tuple[Mark, float]] = {}
        self._not_before: dict[str, float] = {}
        self._refused: set[str] = set()
        self.sent = 0
        self.look_s = 0.0

    def as_late(self) -> Shipment:
        """The same files as those of an attempt that no longer holds its lease."""
        return Shipment(self._inbox, self.target._replace(late=True), self._folder, self._said)

    def turn(self, *, final: bool = False) -> bool:
        """Send what there is to send; whether more is waiting than one turn takes.

        Args:
            final: nothing is written any more, so that files need not rest first.

        Raises:
            UsageError: another run of this id is there.
            WhirrError: it cannot go on for now: the server is away, its disk full, the lease lost.
        """
        if not self._begun:
            self._begin()
        more = False
        began = time.monotonic()
        files = list(self._files())
        self.look_s = time.monotonic() - began
        for path, status in files:
            try:
                more |= self._send(path, status, final=final)
            except FileNotFoundError:  # it was renamed, replaced or deleted just now
                continue
            except (NotFound, TooLarge, UsageError) as error:  # of this one file
                self._refuse(path, f"{path} is not sent: {error}")
        return more

    def complete(self) -> None:
        """Send all, and compare; raises as ``turn`` does. Nothing may be written any more."""
        differing: list[str] = []
        for _ in range(TRIES):
            while self.turn(final=True):
                pass
            contents = self._all_contents()
            differing = self._compare(contents)
            if not differing:
                return
            for path in differing:  # sent again as a whole
                self._forget(path)
                with suppress(FileNotFoundError):
                    self._send_content(path, os.stat(self._folder / path))
        self._said(f"files are still being written: {', '.join(differing[:3])}")

    # What is there

    def _begin(self) -> None:
        """Find out what is there already, and is what lies here."""
        differing, logs = self._look()
        while self.target.lease is None and (other := sorted(logs.intersection(differing))):
            before = dict(self._there)
            differing, logs = self._look()
            if all(before.get(path) == self._there.get(path) for path in other):  # nobody else is sending it
                raise UsageError(
                    f"the server has another run {self.target.run_id}: its {other[0]} is not the beginning of this one",
                    hint="nothing of it was changed",
                )
        for path in differing:
            self._forget(path)
            self._inodes[path] = 0
        self._begun = True

    def _look(self) -> tuple[list[str], set[str]]:
        """Which of the files that are there are not what lies here or begins here; and which of all are logs."""
        self._there = self._inbox.begin(self.target)
        contents: dict[str, Content] = {}
        longer: list[str] = []
        for path, status in self._files():
            there = self._there.get(path)
            self._inodes[path] = status.st_ino
            if there is None or (there != status.st_size and not GROWING.fullmatch(path)):
                continue
            if there > status.st_size:
                longer.append(path)
                continue
            with suppress(FileNotFoundError), self._opened(path, status) as handle:
                contents[path] = _content_of(handle, there)[0]
            if path in contents and there == status.st_size:
                self._marks[path], self._contents[path] = _mark(status), contents[path]
        return [*longer, *self._compare(contents)], {path for path in self._there if GROWING.fullmatch(path)}

    def _compare(self, contents: Mapping[str, Content]) -> list[str]:
        paths, differing = list(contents), []
        for start in range(0, len(paths), COMPARED):
            some: dict[str, tuple[int, str]] = {path: contents[path] for path in paths[start : start + COMPARED]}
            differing += self._inbox.seal(self.target, some)
        return differing

    def _forget(self, path: str) -> None:
        """What was known of a file that is there: it is sent as if it were not."""
        self._marks.pop(path, None)
        self._contents.pop(path, None)

    # What lies here

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        for place, folders, names in os.walk(self._folder):
            above = "" if place == os.fspath(self._folder) else f"{os.path.relpath(place, self._folder)}/"
            folders[:] = [name for name in folders if not is_own(above + name)]
            for name in sorted([*names, *(name for name in folders if os.path.islink(os.path.join(place, name)))]):
                path = above + name
                if is_own(path) or path in self._refused or (path == ANNOTATIONS and path in self._there):
                    continue
                status = self._status(path)
                if status is not None and stat.S_ISREG(status.st_mode):
                    yield path, status

    def _status(self, path: str) -> os.stat_result | None:
        """Of a file that can be sent. A link to a file of the same run is sent as that file."""
        try:
            path.encode()
        except UnicodeEncodeError:
            self._refuse(path, f"{path!r} is not sent: its name is no valid UTF-8")
            return None
        file = self._folder / path
        try:
            status = os.lstat(file)
            if not stat.S_ISLNK(status.st_mode):
                return status
            status = os.stat(file)
        except OSError:
            return None
        inside = Path(os.path.realpath(file)).is_relative_to(os.path.realpath(self._folder))
        if not (inside and stat.S_ISREG(status.st_mode)):
            self._refuse(path, f"{path} is not sent: it is a link to a folder, or to what is not of the run")
            return None
        return status

    def _refuse(self, path: str, why: str) -> None:
        self._refused.add(path)
        self._said(why)

    @contextmanager
    def _opened(self, path: str, status: os.stat_result) -> Iterator[int]:
        """The file that had this status."""
        handle = os.open(self._folder / path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not os.path.samestat(os.fstat(handle), status):
                raise FileNotFoundError(path)
            yield handle
        finally:
            os.close(handle)

    # On the way

    def _send(self, path: str, status: os.stat_result, *, final: bool) -> bool:
        """Send a file if it has changed; whether there is more of it."""
        mark = _mark(status)
        if self._marks.get(path) == mark:
            return False
        if GROWING.fullmatch(path):
            if self._send_growth(path, status):
                return True
        elif DOCUMENT.fullmatch(path) and status.st_size <= SMALL:
            with self._opened(path, status) as handle:
                data = os.pread(handle, SMALL, 0)
            self._inbox.replace(self.target, path, data)
            self.sent += len(data)
        elif final or self._rests(path, mark):
            began = time.monotonic()
            self._send_content(path, status)
            self._not_before[path] = time.monotonic() + (time.monotonic() - began) * REST_SHARE
        else:
            return False
        self._marks[path] = mark
        return False

    def _rests(self, path: str, mark: Mark) -> bool:
        """Whether a file has been as it is for a while."""
        now = time.monotonic()
        before, since = self._seen.setdefault(path, (mark, now))
        if before != mark:
            self._seen[path] = mark, now
            return False
        return now - since >= RESTING_S and now >= self._not_before.get(path, 0.0)

    def _send_growth(self, path: str, status: os.stat_result) -> bool:
        """Append what was added; whether there is more."""
        done = self._there.get(path, 0)
        replaced = self._inodes.setdefault(path, status.st_ino) != status.st_ino
        if replaced or status.st_size < done:  # another file took its place
            self._inodes[path] = status.st_ino
            self._send_content(path, status)
            self._there[path] = status.st_size
            return False
        self._contents.pop(path, None)
        with self._opened(path, status) as handle:
            for _ in range(PARTS_A_TURN):
                if done >= status.st_size and path in self._there:
                    return False
                done = self._append(handle, path, done, status.st_size)
                self._there[path] = done
        return done < status.st_size

    def _append(self, handle: int, path: str, done: int, size: int) -> int:
        """Append a part; how many bytes are there now."""
        block = os.pread(handle, max(min(PART, size - done), 0), done)
        if not block and done < size:
            raise FileNotFoundError(path)  # cut short meanwhile: another turn
        try:
            there = self._inbox.append(self.target, path, done, block)
        except WrongOffset as error:  # from where it ends there
            return error.actual
        self.sent += len(block)
        return there

    def _send_content(self, path: str, status: os.stat_result) -> None:
        before = self._contents.pop(path, NOTHING)
        with self._opened(path, status) as handle:
            content, beginning = _content_of(handle, status.st_size, before.size)
            if before.size and beginning == before.sha256 and content.size > before.size:
                self._add(handle, path, before.size, content.size)
            else:
                self._offer(handle, path, content)
        self._contents[path] = content
        if path == ANNOTATIONS:  # sent once: what people note there is never overwritten
            self._there[path] = content.size

    def _add(self, handle: int, path: str, done: int, size: int) -> None:
        """Send what a file has grown by."""
        while done < size:
            done = self._append(handle, path, done, size)

    def _offer(self, handle: int, path: str, content: Content) -> None:
        """Send a file by its content, as far as that is not there."""
        size, sha256 = content
        there = self._inbox.offer(self.target, path, sha256, size)
        while there < size:
            data = os.pread(handle, min(PART, size - there), there)
            if not data:
                raise FileNotFoundError(path)  # cut short meanwhile: another turn
            try:
                there = self._inbox.send(sha256, there, data)
            except WrongOffset as error:
                there = error.actual
                continue
            self.sent += len(data)
            if there >= size:
                there = self._inbox.offer(self.target, path, sha256, size)

    def _all_contents(self) -> dict[str, Content]:
        found = {}
        for path, status in self._files():
            known = self._contents.get(path) if self._marks.get(path) == _mark(status) else None
            if known is None:
                with suppress(FileNotFoundError), self._opened(path, status) as handle:
                    known = _content_of(handle, status.st_size)[0]
            if known is not None:
                found[path] = known
        return found


def _mark(status: os.stat_result) -> Mark:
    return Mark(status.st_ino, status.st_size, status.st_mtime_ns)


def _content_of(handle: int, size: int, beginning: int = 0) -> tuple[Content, str]:
    """The content of the first bytes of a file; and the sum of a beginning of it."""
    found, place, first = hashlib.sha256(), 0, ""
    while place < size:
        if place == beginning:
            first = found.hexdigest()
        end = beginning if place < beginning else size
        block = os.pread(handle, min(BLOCK, end - place), place)
        if not block:
            break
        found.update(block)
        place += len(block)
    return Content(size, found.hexdigest()), first
