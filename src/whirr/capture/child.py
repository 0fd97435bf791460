"""Run a program for its output, bounded in time and in bytes."""

from __future__ import annotations

import contextlib
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

TICK = 0.1
"""Seconds between looks at whether the program has ended; its output wakes the reader at once."""


class Output:
    """What a program wrote before it ended or was ended.

    `data` holds the bytes kept (none where a sink took them), `code` the exit status (None when it was
    killed by `run`), `cut` why it was killed: "time", "size" or None.
    """

    __slots__ = ("code", "cut", "data")

    def __init__(self, data: bytes, code: int | None, cut: str | None) -> None:
        self.data, self.code, self.cut = data, code, cut

    @property
    def ok(self) -> bool:
        """Whether it ended by itself and with status 0."""
        return self.code == 0 and self.cut is None


def run(
    argv: Sequence[str],
    *,
    deadline: float,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: BinaryIO | None = None,
    limit: int = 1 << 20,
    sink: Callable[[bytes], object] | None = None,
) -> Output:
    """Run `argv` without a terminal and return what it printed.

    `deadline` is a moment of `time.monotonic()`; at most `limit` bytes are read, into `sink` where one is
    given. A program over either limit is killed with all its process group.
    Raises OSError when it cannot be started.
    """
    import subprocess

    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
    )
    assert process.stdout is not None
    kept: list[bytes] = []
    cut: str | None = "error"
    with process.stdout:
        try:
            _yield_to_training(process.pid)
            cut = _read(process, sink or kept.append, limit, deadline) or _wait(process, deadline)
        finally:
            if cut:
                _kill(process)
    return Output(b"".join(kept), None if cut else process.returncode, cut)


def _yield_to_training(pid: int) -> None:
    """Lower the priority: the training's own processes go first."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, 10)


def _read(process: subprocess.Popen[bytes], take: Callable[[bytes], object], limit: int, deadline: float) -> str | None:
    """Hand the output to `take` until it ends; the reason for stopping earlier, or None."""
    import select

    assert process.stdout is not None
    fd = process.stdout.fileno()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    ended = False
    while (left := deadline - time.monotonic()) > 0:
        if poll.poll(0 if ended else 1000 * min(left, TICK)):
            chunk = os.read(fd, 1 << 18)
            if not chunk:
                return None
            limit -= len(chunk)
            if limit < 0:
                return "size"
            take(chunk)
        elif ended:
            return None
        else:
            # A process forked by the training script meanwhile may hold the pipe open after the end.
            ended = process.poll() is not None
    return "time"


def _wait(process: subprocess.Popen[bytes], deadline: float) -> str | None:
    import subprocess

    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return "time"
    return None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole group, unless its leader is already gone and its number may be another's."""
    import signal

    if process.returncode is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        # Bounded: a process that hangs in a dead file system cannot even be killed.
        _wait(process, time.monotonic() + 1)
