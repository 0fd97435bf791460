"""The runs that are open in this process: its one piece of module-level state.

One background thread serves them all: it touches heartbeats, samples the machine and writes what waits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from whirr import causes
from whirr.document import Document
from whirr.endings import Endings
from whirr.gate import Gate
from whirr.jsonio import read_document
from whirr.process import BEAT_EVERY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Protocol

    class Ticking(Protocol):
        """What the session knows of a run."""

        _thread: threading.Thread

        @property
        def _in_trouble(self) -> bool: ...
        @property
        def _own_meta(self) -> Path | None: ...
        def _tick(self) -> None: ...
        def _note(self, cause: dict[str, Any]) -> None: ...
        def fail(self, error: BaseException) -> None: ...
        def _end(self, cause: dict[str, Any] | None, *, hurried: bool = False) -> None: ...
        def _leave_to_parent(self) -> None: ...


SOON = 0.3
"""Seconds to the next round while something waits to be written, and between the first rounds of a run."""
FIRST_TICKS = 2


class Session:
    """Open runs, the current one, and the thread that keeps them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: list[Ticking] = []
        self._begun = 0
        self._wake = threading.Event()
        self._keeper: threading.Thread | None = None
        self.gate = Gate()
        self.endings = Endings(self._note, self._thread_failed, self._end_all, self._late_code)

    def next_number(self) -> int:
        """How many runs this process began before this one."""
        with self._lock:
            self._begun += 1
            return self._begun - 1

    @property
    def open_runs(self) -> list[Any]:
        """The open runs of this process, oldest first."""
        with self._lock:
            return list(self._open)

    @property
    def current(self) -> Any:
        """The run that was begun last and is still open, or None."""
        with self._lock:
            return self._open[-1] if self._open else None

    def begin(self, run: Ticking, interval: float) -> None:
        """Take a run in; it is the current one from now on."""
        self.endings.install()
        with self._lock:
            self._open.append(run)
            if self._keeper is None:
                self._wake.clear()
                self._keeper = threading.Thread(target=self._keep, args=(interval,), name="whirr", daemon=True)
                self._keeper.start()

    def join(self, run: Ticking, *, watched: bool = True) -> None:
        """Take in a run that another process keeps, or one that records nothing and whose ending is not watched."""
        if watched:
            self.endings.install(owner=False)
        with self._lock:
            self._open.append(run)

    def forget(self, run: Ticking) -> None:
        """Let go of a run that has ended."""
        with self._lock:
            if run in self._open:
                self._open.remove(run)
            if not self._open:
                self._keeper = None
                self._wake.set()

    def _keep(self, interval: float) -> None:
        me = threading.current_thread()
        interval = min(interval, BEAT_EVERY)
        wake = self._wake
        early = FIRST_TICKS
        pause = min(SOON, interval)
        while not wake.wait(pause) and self._keeper is me:
            runs = self.open_runs
            with self.gate:
                for run in runs:
                    run._tick()
            early -= 1
            hurry = early > 0 or any(run._in_trouble for run in runs)
            pause = min(SOON, interval) if hurry else interval

    def _note(self, cause: dict[str, Any]) -> None:
        for run in self.open_runs:
            run._note(cause)

    def _thread_failed(self, thread: threading.Thread | None, error: BaseException) -> None:
        for run in self.open_runs:
            if run._thread is thread:
                run.fail(error)

    def _end_all(self, cause: dict[str, Any] | None, hurried: bool) -> None:
        for run in reversed(self.open_runs):
            run._end(cause, hurried=hurried)

    def _late_code(self) -> Callable[[int], None] | None:
        paths = [path for run in self._open if (path := run._own_meta) is not None]
        if not paths:
            return None

        def record(code: int) -> None:
            cause = causes.of_exit(code)
            for path in paths:
                document = Document(path, read_document(path))
                document.update({"status": "failed" if cause else "completed", "cause": cause}, durable=True)

        return record

    def after_fork_in_child(self) -> None:
        """The parent's runs stay the parent's; its thread and its locks do not exist here."""
        self.gate.after_fork_in_child()
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._keeper = None
        self.endings.forked()
        for run in self._open:
            run._leave_to_parent()


def start() -> Session:
    """The session of this process, with its hooks for fork and exit."""
    session = Session()
    session.endings.prepare()
    os.register_at_fork(
        before=session.gate.before_fork,
        after_in_parent=session.gate.after_fork_in_parent,
        after_in_child=session.after_fork_in_child,
    )
    return session
