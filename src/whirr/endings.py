"""How this process ends, as far as it can be seen from inside.

An ending that is seen early (an uncaught exception, ``sys.exit``) is only *noted*: threads may still be
logging. It counts when the interpreter shuts down, and only if the main program was really left by an
exception: a ``SystemExit`` that somebody caught ends nothing. A signal that kills ends the runs at once.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

from whirr import causes
from whirr.config import disabled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Cause = dict[str, Any]

FATAL = (signal.SIGTERM, signal.SIGHUP)
RETURNS = ("RETURN_VALUE", "RETURN_CONST")


class Endings:
    """The hooks of this process. Every hook calls the one that was there before.

    Args:
        noted: called with a cause that will end the process unless threads go on.
        thread_failed: called with the thread and the exception that ended it.
        end_all: called with the cause (None: completed) when the process ends now; ``hurried`` before a kill.
        ends_with: gives what is to be called, in a child process, with an exit code that is known too late;
            None when nobody wants to know.
    """

    def __init__(
        self,
        noted: Callable[[Cause], None],
        thread_failed: Callable[[threading.Thread | None, BaseException], None],
        end_all: Callable[[Cause | None, bool], None],
        ends_with: Callable[[], Callable[[int], None] | None],
    ) -> None:
        self._noted = noted
        self._thread_failed = thread_failed
        self._end_all = end_all
        self._ends_with = ends_with
        self._installed = False
        self._exits = 0
        self._previous: dict[int, Any] = {}
        self.forget()

    def forget(self) -> None:
        """Start without any notes."""
        self._uncaught: Cause | None = None
        self._exit: Cause | None = None
        self._exit_called = False
        self._signal: Cause | None = None
        self._cell: Cause | None = None
        self._main: FrameType | None = None

    def prepare(self) -> None:
        """What must be in place early: at import, by the main thread, because only it may set signal handlers.

        A handler without open runs does what the signal does by default, only not inside a long call into C.
        """
        atexit.register(self._at_exit)
        if not is_multiprocessing_child() and not disabled(os.environ):
            self._take_signals()

    def install(self, *, owner: bool = True) -> None:
        """Set the hooks, once, when the first run begins.

        Args:
            owner: the run is this process's own. A multiprocessing child that only joins its parent's keeps the
                signals' default actions: pools end their workers by SIGTERM, and a Python handler never runs
                in a worker that is just about to wait for a lock.
        """
        if owner or not is_multiprocessing_child():
            self._take_signals()
        self._main = self._main or _main_frame()
        if self._installed:
            return
        self._installed = True
        self._wrap_exit()
        self._wrap_excepthooks()
        self._watch_notebook()
        self.watch_multiprocessing()

    def _take_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in FATAL:
            handler = signal.getsignal(number)
            if handler == self._on_signal or handler is signal.SIG_IGN or handler is None:
                continue
            self._previous[number] = handler
            signal.signal(number, self._on_signal)

    def forked(self) -> None:
        """In a forked child: it ends by itself, and signals do again what they did before whirr."""
        self.forget()
        self._release_signals()
        self._main = _main_frame() if self._installed else None
        self.watch_multiprocessing()

    def _release_signals(self) -> None:
        for number, handler in self._previous.items():
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, handler)
        self._previous.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        cause = causes.of_signal(number)
        previous = self._previous.get(number, signal.SIG_DFL)
        if callable(previous):
            self._signal = cause
            previous(number, frame)
            return
        self._end_all(cause, True)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _wrap_exit(self) -> None:
        original = sys.exit

        def exit(status: Any = None, /) -> Any:
            if threading.current_thread() is threading.main_thread():
                self._exit, self._exit_called = self._failed_script(status) or causes.of_exit(status), True
                self._exits += 1
                _leaving = Leaving(partial(self._exit_gone, self._exits))
            original(status)

        exit.__doc__ = original.__doc__
        sys.exit = exit

    def _failed_script(self, status: Any) -> Cause | None:
        """``ipython train.py`` shows an exception by itself and leaves by ``sys.exit(1)`` while it handles it."""
        error = sys.exc_info()[1]
        return causes.of_exception(error) if status == 1 and error and _notebook() is not None else None

    def _exit_gone(self, number: int) -> None:
        """A ``SystemExit`` that goes while the main program runs was caught: it says nothing about the end."""
        if number == self._exits and _on_stack(self._main):
            self._exit, self._exit_called = None, False

    def _wrap_excepthooks(self) -> None:
        main_hook, thread_hook = sys.excepthook, threading.excepthook

        def excepthook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
            self._uncaught = causes.of_exception(error.with_traceback(trace) if trace else error)
            if self._uncaught:
                self._noted(self._uncaught)
            main_hook(kind, error, trace)

        def thread_excepthook(args: threading.ExceptHookArgs) -> None:
            if args.exc_value is not None:
                self._thread_failed(args.thread, args.exc_value)
            thread_hook(args)

        sys.excepthook = excepthook
        threading.excepthook = thread_excepthook

    def _watch_notebook(self) -> None:
        """In IPython exceptions end a cell, not the program: the last cell's outcome counts at the end."""
        shell = _notebook()
        if shell is not None:
            shell.events.register("post_run_cell", self._after_cell)

    def _after_cell(self, result: Any) -> None:
        error = result.error_before_exec or result.error_in_exec
        self._cell = causes.of_exception(error) if isinstance(error, BaseException) else None

    def watch_multiprocessing(self) -> None:
        """A multiprocessing child leaves by ``os._exit``, past atexit; its own finalizers run before."""
        if "multiprocessing.util" not in sys.modules:
            return
        from multiprocessing import process, util

        if is_multiprocessing_child():
            util.Finalize(None, self._at_child_exit, exitpriority=-1)
        if process.parent_process() is None:  # a forked child forgets finalizers as it begins, and calls this again
            util.register_after_fork(self, Endings.watch_multiprocessing)

    def _at_child_exit(self) -> None:
        error = sys.exc_info()[1]
        self._end_all(causes.of_exception(error) if error else None, False)

    def _at_exit(self) -> None:
        cause = self._verdict()
        self._end_with(cause)
        if cause is not None and cause is self._uncaught and cause["kind"] == "interrupt":
            _die_of_interrupt()

    def _end_with(self, cause: Cause | None) -> None:
        if cause is not None and cause.get("exit_code", 0) is None:
            record = self._ends_with()
            self._end_all(cause if record is not None else None, False)
            if record is not None:
                from whirr.exitcode import learn

                learn(record)
        else:
            self._end_all(cause, False)

    def _verdict(self) -> Cause | None:
        """Why the process ends now: None when the program ran to its end."""
        if self._cell is not None:
            return self._cell
        if self._main is None or not _left_by_exception(self._main):
            return None
        if self._uncaught is not None:
            return self._uncaught
        cause = self._exit if self._exit_called else causes.of_unknown_exit()
        if cause is None or self._signal is None:
            return cause
        return {**self._signal, "exit_code": cause["exit_code"]}  # the program heard the signal and left by itself


def is_multiprocessing_child() -> bool:
    module = sys.modules.get("multiprocessing.process")
    if module is None:
        return False
    return module.parent_process() is not None or hasattr(module.current_process(), "_inheriting")


def _notebook() -> Any:
    """The IPython shell that this program runs in, or None."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


class Leaving:
    """Lies in the frame that raises a ``SystemExit``, and so goes with that exception's traceback."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone

    def __del__(self) -> None:
        self._gone()


def _on_stack(wanted: FrameType | None) -> bool:
    """Whether ``wanted`` is among the frames that this thread is inside of."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame is not wanted:
        frame = frame.f_back
    return frame is not None


def _main_frame() -> FrameType | None:
    """The outermost frame of the main thread: the main program."""
    ident = threading.main_thread().ident
    frame = sys._current_frames().get(ident) if ident is not None else None
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _die_of_interrupt() -> None:
    """Python kills itself by SIGINT after an uncaught KeyboardInterrupt, but forgets to once any text is evaluated.

    Our imports at exit do that; evaluating a KeyboardInterrupt brings the memory back.
    """
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")


def _left_by_exception(frame: FrameType) -> bool:
    """Whether a frame that has ended did not return: a frame remembers its last instruction."""
    import opcode

    if frame.f_lasti < 0:
        return False
    return opcode.opname[frame.f_code.co_code[frame.f_lasti]] not in RETURNS
