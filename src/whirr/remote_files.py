"""Files of a run at a server, for programs: downloaded with resume, and followed as they grow."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from whirr.errors import BadAnswer, NotFound, StoreError, TooMany, UsageError
from whirr.folder import ATTEMPTS, decode
from whirr.jsonio import write_atomic
from whirr.remote_runs import RemoteFile, RemoteRuns
from whirr.transport import TRIES, Transport, pause

T = TypeVar("T")
AWAY = (StoreError, TooMany)
"""What a server that is away, is starting, or has lost its database for a time comes to."""

BLOCK = 2**18
WAIT_S = 1.0
"""So long the server holds a read at the end of a file that grows."""

LOOK_AGAIN_S = 0.5


class Patience:
    """Bears that a server is away, but not for ever.

    Args:
        away_s: seconds for which it may be away at a stretch.
    """

    def __init__(self, away_s: float) -> None:
        self._away_s = away_s
        self._since: float | None = None

    @contextmanager
    def bearing(self) -> Iterator[None]:
        """Swallow the error of a request to a server that is away.

        Raises:
            StoreError, TooMany: it has been away for too long.
        """
        try:
            yield
        except AWAY:
            self._since = self._since or time.monotonic()
            if time.monotonic() - self._since >= self._away_s:
                raise
        else:
            self._since = None

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to a question, which is put again while the server is away."""
        answers: list[T] = []
        tries = 0
        while not answers:
            with self.bearing():
                answers.append(question())
            if not answers:
                tries += 1
                pause(tries)
        return answers[0]


class Stage(NamedTuple):
    """Where a run is.

    Attributes:
        attempt: the attempt that its files belong to, from 1.
        over: nothing more will come.
    """

    attempt: int
    over: bool


class Follower:
    """Reads a file of a run as it grows, through the attempts of its job, until nothing more will come.

    Args:
        path: of the file in the run's folder; it may not be there yet.
        look: where the run is now.
    """

    def __init__(self, runs: RemoteRuns, run_id: str, path: str, look: Callable[[], Stage], patience: Patience) -> None:
        self._runs, self._run_id, self._path = runs, run_id, path
        self._look, self._patience = look, patience

    def attempts(self) -> Iterator[Iterator[bytes]]:
        """The bytes of the present attempt, then those of each that follows it."""
        attempt = self._patience.ask(self._look).attempt
        while True:
            yield self._blocks(attempt)
            if self._patience.ask(self._look).attempt <= attempt:
                return
            attempt += 1

    def _blocks(self, attempt: int) -> Iterator[bytes]:
        file: RemoteFile | None = None
        place = 0
        while True:
            now = self._patience.ask(self._look)  # before the file is read: what came until then is read, too
            over = now.over or now.attempt > attempt
            if file is None or over:
                file = self._open(attempt, 0.0 if over else WAIT_S)
            try:
                while file is not None and (block := self._read(file, place)):
                    place += len(block)
                    yield block
            except NotFound:  # the next attempt has begun, and the file of this one lies elsewhere now
                file, over = None, False
            if over:
                return
            if file is None:
                time.sleep(LOOK_AGAIN_S)

    def _open(self, attempt: int, wait_s: float) -> RemoteFile | None:
        """The file of an attempt; None where there is none (yet)."""
        kept = f"{ATTEMPTS}/{attempt}/{self._path}"
        for path in (kept, self._path, kept):
            try:
                file = self._patience.ask(lambda: self._runs.open(self._run_id, path, wait_s=wait_s))  # noqa: B023
            except NotFound:
                continue
            # The files of an attempt move when the next one begins: only now it is certain whose this one is.
            if path == kept or self._patience.ask(self._look).attempt == attempt:
                return file
        return None

    def _read(self, file: RemoteFile, place: int) -> bytes:
        file.seek(place)
        return self._patience.ask(lambda: file.read(BLOCK))


def whole_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks cut at the ends of lines; a last line without its end is left out."""
    rest = b""
    for block in blocks:
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if newline:
            yield whole


def read_records(transport: Transport, place: str) -> tuple[list[dict[str, Any]], int]:
    """The metric records that an address of the API streams, and how many lines were none."""
    records: list[dict[str, Any]] = []
    damaged = 0
    with transport.stream(place) as answer:
        for lines in whole_lines(answer.iter_bytes(BLOCK)):
            more, bad = decode(lines)
            records += more
            damaged += bad
    return records, damaged


def download(transport: Transport, place: str, target: Path, *, resume: bool) -> None:
    """Download a file, by way of ``target`` with ``.part`` behind it; one that broke off goes on where it was.

    Args:
        place: of the file, below the API's root.

    Raises:
        UsageError: the same download is under way.
        OSError: the target cannot be written.
    """
    part, tag = Path(f"{target}.part"), Path(f"{target}.part.tag")
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b") as file:
        _hold(file, part)
        if not resume:
            tag.unlink(missing_ok=True)
        failures = 0
        while True:
            before = file.seek(0, os.SEEK_END)
            try:
                total = _piece(transport, place, file, tag)
                break
            except AWAY:
                failures = 1 if file.seek(0, os.SEEK_END) > before else failures + 1
                if failures >= TRIES:
                    raise
                pause(failures)
        if file.seek(0, os.SEEK_END) != total:
            tag.unlink()
            raise BadAnswer(f"{file.tell()} bytes came of a file of {total}", hint="download it again")
        os.replace(part, target)
    tag.unlink(missing_ok=True)


def _hold(file: BinaryIO, part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = os.path.samestat(os.fstat(file.fileno()), part.stat())
    except (BlockingIOError, FileNotFoundError):  # at work, or just done
        mine = False
    if not mine:
        raise UsageError(f"{part} is being written by another download", hint="wait for it")


def _piece(transport: Transport, place: str, file: BinaryIO, tag: Path) -> int:
    """Append what is missing; the size of the whole.

    The last byte that is there is asked for once more, so that there is always something to ask for.
    """
    there = file.seek(0, os.SEEK_END)
    headers = {"Accept-Encoding": "identity"}
    if there and (known := tag.read_text() if tag.exists() else ""):
        headers |= {"Range": f"bytes={there - 1}-", "If-Range": known}
    with transport.stream(place, headers=headers) as answer:
        if answer.status_code == 206:
            total = int(answer.headers["Content-Range"].rpartition("/")[2])
            file.seek(there - 1)
        else:
            total = int(answer.headers["Content-Length"])
            file.truncate(0)
            file.seek(0)
        write_atomic(tag, answer.headers["ETag"].encode())
        for block in answer.iter_bytes(BLOCK):
            file.write(block)
    return total
