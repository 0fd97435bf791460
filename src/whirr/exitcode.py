"""The exit code of a program that leaves by a bare ``raise SystemExit(code)``.

Python forgets the code before it calls anybody: only the C library still hears it. A small child process
waits on a pipe while the C library's own exit handlers write the code into it; the parent's exit waits
until the child has recorded it. Needs glibc (``on_exit``); elsewhere the code stays unknown.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

CHILD_LIMIT = 5
"""Seconds after which the child gives up; the parent's exit never waits longer."""


def learn(record: Callable[[int], None]) -> bool:
    """Arrange that ``record(code)`` runs in a child process once this process's exit code is known.

    To be called while the interpreter shuts down. Returns False where that cannot be arranged.
    """
    import ctypes

    try:
        libc = ctypes.CDLL(None)
        on_exit, at_exit, put, get = libc.on_exit, libc.__cxa_atexit, libc.fputc, libc.fgetc
        libc.fdopen.restype = ctypes.c_void_p
        code_out, code_in = os.pipe()
        done_out, done_in = os.pipe()
        # Not os.fork(): Python 3.12 refuses it at this stage, and this child needs none of Python's preparations.
        child = ctypes.PyDLL(None).fork()
    except (OSError, AttributeError):
        return False
    if child < 0:
        return False
    if child == 0:
        os.close(code_in)
        os.close(done_out)
        _record_and_leave(code_out, record)
    os.close(code_out)
    os.close(done_in)
    code_file = ctypes.c_void_p(libc.fdopen(code_in, b"w"))
    done_file = ctypes.c_void_p(libc.fdopen(done_out, b"r"))
    libc.setbuf(code_file, None)
    # Handlers run last to first: first the code goes out, then the answer is awaited.
    at_exit(get, done_file, None)
    on_exit(put, code_file)
    return True


def _record_and_leave(code_out: int, record: Callable[[int], None]) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(CHILD_LIMIT)
    try:
        answer = os.read(code_out, 1)
        if answer:  # none: the parent was killed, and its code will never be known
            record(answer[0])
    finally:
        os._exit(0)
