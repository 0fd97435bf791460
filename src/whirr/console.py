"""Copies what a program prints to ``output.log``, in the order of the lines, safe with progress bars.

``sys.stdout`` and ``sys.stderr`` are replaced by stand-ins that pass everything on at once and unchanged,
then note it. What goes past Python's streams (C libraries, child programs) is not seen.

In the file, one append per piece of output:

- a line is written when it ends, whole, so lines of the two streams do not mix;
- of a progress bar only the last state of each of its lines is written: with the next plain line, or by
  :meth:`ConsoleTee.flush_partial`, since a cursor may yet come back to a line that has ended;
- ``flush_partial`` writes what lines show that have not ended yet. A prompt goes on in the same line later.
  A bar is written so only when it has stood still for long; if it moves on after all, the later state follows
  after a carriage return, or in a line of its own where another line has come between.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic

from whirr.screen import Screen, Transcript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

BACKLOG = 2**20
"""Bytes of output kept in memory while the file cannot be written; more is dropped, and counted."""
STILL = 60.0
"""Seconds without a change after which the state of a progress bar is written: the program may be stuck there."""


class ConsoleTee:
    """Copies ``sys.stdout`` and ``sys.stderr`` to a file from :meth:`start` to :meth:`stop`.

    Nothing here raises into the program, nor waits for another thread, so neither a signal handler that
    prints nor a fork can lock it up: who prints while another thread writes leaves the piece to that thread.

    Args:
        path: the file that is appended to.
        clock: seconds, never set back.
    """

    def __init__(self, path: Path | str, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._file = AppendFile(os.fspath(path))
        self._stands: list[_Stand] = []
        self._transcript = Transcript()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._turn = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()

    def start(self) -> None:
        """Begin to copy. Logging handlers that hold the streams from before are copied, too."""
        if self._stands:
            return
        self._file.open()
        for name in ("stdout", "stderr"):
            original = getattr(sys, name)
            while isinstance(original, Stream) and original._whirr.tee is None:
                original = original._whirr.original  # left behind by an earlier tee
            if original is None:
                continue  # a program without a console
            stand = _Stand(name, original, self, Screen(self._settle))
            self._stands.append(stand)
            setattr(sys, name, stand.stream)
            _repoint_logging(original, stand.stream)

    def stop(self) -> None:
        """End copying and write down what is left; the streams are put back where they are still ours.

        Waits at most a second for another thread that is just writing.
        """
        for stand in self._stands:
            stand.tee = None
            if getattr(sys, stand.name) is stand.stream:
                setattr(sys, stand.name, stand.original)
            _repoint_logging(stand.stream, stand.original)
        self._do(self._finish)
        if self._turn.acquire(timeout=1):
            self._turn.release()

    def flush_partial(self) -> None:
        """Write what lines show that have not ended yet, but no bar in motion. Cheap when nothing has changed."""
        self._do(self._flush)

    def note(self, screen: Screen, data: str | bytes | bytearray | memoryview) -> None:
        """Copy what was just written to the stream that ``screen`` follows."""
        try:
            encoded = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else bytes(data)
            self._do(lambda: screen.feed(encoded))
        except Exception:
            return  # the program's own mistake, which the stream has answered already

    def _do(self, act: Callable[[], None]) -> None:
        try:
            if os.getpid() != self._pid:
                self._forked()
            self._waiting.append(act)
            # Whoever gets the turn does all that waits, and looks again after giving the turn back.
            while self._waiting and self._turn.acquire(blocking=False):
                try:
                    while self._waiting:
                        self._waiting.popleft()()
                        self._file.append(self._transcript.take())
                finally:
                    self._turn.release()
        except Exception:
            return  # a copy that fails is no trouble of the program's

    def _forked(self) -> None:
        """In a forked child: what the parent had not written yet is the parent's to write."""
        self._begin()
        self._file.forget()
        self._transcript.take()
        self._transcript.end()
        for stand in self._stands:
            stand.screen.clear()

    def _settle(self, ended: Screen | None = None) -> None:
        # The line that has just ended comes last: the others ended before.
        for stand in sorted(self._stands, key=lambda stand: stand.screen is ended):
            for row in stand.screen.done():
                self._transcript.line(row)

    def _flush(self) -> None:
        now = self._clock()
        for stand in self._stands:
            self._show(stand, in_motion=not stand.still(now))

    def _show(self, stand: _Stand, *, in_motion: bool) -> None:
        """Write what a stream shows; without its bars if they are in motion."""
        if not (in_motion and stand.screen.moves):
            for row in stand.screen.done():
                self._transcript.line(row)
        *above, last = stand.screen.rest()
        for row in above:
            if row.text and not in_motion:
                self._transcript.line(row)
        if not (in_motion and last.frame):
            self._transcript.part(last)

    def _finish(self) -> None:
        for stand in self._stands:
            self._show(stand, in_motion=False)
        self._transcript.end()
        self._file.append(self._transcript.take())
        self._file.close()
        self._stands = []


class _Stand:
    """One replaced stream; ``tee`` is None once that has stopped."""

    def __init__(self, name: str, original: Any, tee: ConsoleTee, screen: Screen) -> None:
        self.name = name
        self.original = original
        self.screen = screen
        self.tee: ConsoleTee | None = tee
        self._seen: tuple[list[bytes], float] = [], 0.0
        self.stream = Stream(self, original)
        if hasattr(original, "buffer"):
            self.stream.buffer = Stream(self, original.buffer)

    def still(self, now: float) -> bool:
        """Whether the stream shows the same since long; asked from time to time."""
        shown = self.screen.shown()
        if shown != self._seen[0]:
            self._seen = shown, now
        return now - self._seen[1] >= STILL

    def note(self, data: Any) -> None:
        if self.tee is not None:
            self.tee.note(self.screen, data)


class Stream:
    """Stands in for a stream of text or bytes: passes everything on, then tells the tee what was written.

    It goes on passing on for ever, since whoever took hold of it may keep it. Its attributes are those of
    the original.
    """

    buffer: Stream

    def __init__(self, stand: _Stand, original: Any) -> None:
        self._whirr = stand
        self._whirr_original = original

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_whirr"):
            raise AttributeError(name)  # half made, by copy.copy for one
        return getattr(self._whirr_original, name)

    def write(self, data: Any) -> Any:
        """As the original's."""
        try:
            return self._whirr_original.write(data)
        except TypeError:
            data = b""  # nothing that could be shown
            raise
        finally:  # also when the console is gone: the file is not
            self._whirr.note(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        """As the original's."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """As the original's."""
        self._whirr_original.flush()


def _repoint_logging(old: Any, new: Any) -> None:
    """Let the handlers of all loggers that write to ``old`` write to ``new``."""
    logging = sys.modules.get("logging")
    if logging is None:
        return
    with suppress(Exception):
        for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
            for handler in getattr(logger, "handlers", ()):
                if getattr(handler, "stream", None) is old:
                    handler.setStream(new)


class AppendFile:
    """A file to append to, also over a full disk: what cannot be written waits in bounded memory."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd: int | None = None
        self._inode = (0, 0)
        self._backlog = bytearray()
        self._dropped = 0

    def open(self) -> None:
        """Make the file now, if that is possible: an open file is the same one when its folder is renamed."""
        with suppress(OSError):
            self._open()

    def append(self, data: bytes) -> None:
        """Write ``data`` after all that waits, or let it wait. Never raises.

        Bytes beyond the backlog are dropped; a line in their place tells how many.
        """
        if self._backlog:
            self._drain()
        if self._dropped:
            self._dropped += len(data)
            return
        self._backlog += data
        if self._backlog:
            self._drain()
        if len(self._backlog) > BACKLOG:
            keep = self._backlog.rfind(b"\n", 0, BACKLOG) + 1 or BACKLOG
            self._dropped = len(self._backlog) - keep
            del self._backlog[keep:]

    def forget(self) -> None:
        """Drop what waits."""
        # Another thread may have been writing the old one at the fork: then it cannot be emptied, ever.
        self._backlog = bytearray()
        self._dropped = 0

    def close(self) -> None:
        """Close the file; it is opened again when there is more to write."""
        fd, self._fd = self._fd, None
        # A program may have closed all descriptors and made new ones: theirs is not closed, nor written to.
        if fd is not None and self._status(fd) is not None:
            os.close(fd)

    def _drain(self) -> None:
        with suppress(OSError):
            self._write_backlog()
            if self._dropped:
                self._backlog += b"[whirr: %d bytes of output were dropped]\n" % self._dropped
                self._dropped = 0
                self._write_backlog()

    def _write_backlog(self) -> None:
        while self._backlog:
            del self._backlog[: os.write(self._open(), self._backlog)]

    def _open(self) -> int:
        status = None if self._fd is None else self._status(self._fd)
        if self._fd is None or status is None or status.st_nlink == 0:  # none yet, lost, or deleted
            self.close()
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            self._inode = _inode(os.fstat(self._fd))
        return self._fd

    def _status(self, fd: int) -> os.stat_result | None:
        """What the system says of ``fd``; None when it is no longer the file that was opened."""
        try:
            status = os.fstat(fd)
        except OSError:
            return None
        return status if _inode(status) == self._inode else None


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
