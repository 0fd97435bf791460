"""The executor for this machine: a supervisor for each attempt, started in advance."""

from __future__ import annotations

import fcntl
import marshal
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any

from whirr import clock
from whirr.config import MARK
from whirr.errors import FolderError
from whirr.executors import supervisor, sweep
from whirr.executors.base import Ending, Fault, StopReason, Task, read_result
from whirr.executors.supervisor import Process, boot_clock
from whirr.jsonio import write_all
from whirr.locks import take
from whirr.process import oom_kills


def compiled_program() -> int:
    """A file in memory with the supervisor's compiled program; its descriptor.

    Compiling it anew would cost every supervisor 6 ms and 1.5 MB; and a worker that outlives an upgrade of whirr must
    go on starting the supervisor that understands it.
    """
    code = SourceFileLoader(supervisor.__name__, supervisor.__file__).get_code(supervisor.__name__)
    memory = os.memfd_create("whirr-supervisor")
    write_all(memory, MAGIC_NUMBER + bytes(12) + marshal.dumps(code))  # as .pyc files are
    return memory


class Supervisor:
    """A supervisor process, seen from its worker.

    Args:
        program: descriptor of the program to run.
        python: the interpreter, the same version as this one.
        environ: its environment.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, program: int, python: str, environ: Mapping[str, str]) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        inherited = [fcntl.fcntl(handle, fcntl.F_DUPFD, 3) for handle in (program, theirs.fileno())]
        # -I -S: neither the user's variables nor installed packages change how it starts, and it starts faster.
        command = [python, "-I", "-S", f"/proc/self/fd/{inherited[0]}", str(inherited[1]), "whirr-supervisor"]
        nothing = [(os.POSIX_SPAWN_OPEN, standard, os.devnull, os.O_RDWR, 0) for standard in range(3)]
        try:
            # A session of its own: Ctrl-C at the worker's terminal is not for it. Signals: as a fresh process has them.
            self.pid = os.posix_spawn(
                python, command, environ, file_actions=nothing, setsid=True, setsigmask=[], setsigdef=[signal.SIGINT]
            )
        except OSError:
            self.control.close()
            raise
        finally:
            theirs.close()
            for handle in inherited:
                os.close(handle)
        self._gone = False

    def gone(self) -> bool:
        """Whether it has ended; what it left behind has a new parent by then."""
        if not self._gone:
            try:
                self._gone = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
            except ChildProcessError:  # somebody else waited for it
                self._gone = True
        return self._gone

    def dismiss(self) -> None:
        """End one that has no job, and wait for that."""
        self.control.close()
        if not self.gone():
            os.kill(self.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self._gone = True


@dataclass(frozen=True, slots=True)
class Files:
    """The open files of an attempt.

    Attributes:
        output: descriptor of the job's stdout and stderr.
        result: descriptor of ``placeholder``.
        placeholder: the file that becomes the result, as large as that may be: a disk that is full by then has room.
        lock: descriptor that holds the lock.
        pin: descriptor of the output as a name, which goes on meaning this file when the next attempt has one.
    """

    output: int
    result: int
    placeholder: str
    lock: int
    pin: int

    @classmethod
    def make(cls, task: Task) -> Files:
        """Open all of them.

        Raises:
            FolderError: one cannot be made, or the lock is held by an earlier attempt.
        """
        opened: list[int] = []
        placeholder = str(task.result.with_name(f".{task.result.name}.{os.urandom(6).hex()}.tmp"))
        try:
            opened.append(take_lock(task))
            opened.append(os.open(task.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644))
            opened.append(os.open(task.output, os.O_PATH | os.O_CLOEXEC))
            opened.append(os.open(placeholder, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            write_all(opened[3], b" " * supervisor.PLACEHOLDER_SIZE)
            task.result.unlink(missing_ok=True)
        except OSError as error:
            if opened:  # the lock is ours
                _remove(str(task.lock), placeholder)
            for handle in opened:
                os.close(handle)
            if isinstance(error, FolderError):
                raise
            raise FolderError(
                f"the files of job {task.job_id} cannot be made in {task.run_dir}: {error.strerror or error}",
                hint="make room on the disk, or see to it that the folder can be written",
            ) from None
        return cls(output=opened[1], result=opened[3], placeholder=placeholder, lock=opened[0], pin=opened[2])

    def hand_over(self) -> None:
        """Close what only the supervisor needs. The lock stays open: it is held until both have let it go."""
        os.close(self.output)
        os.close(self.result)

    def discard(self, task: Task) -> None:
        """Remove what an attempt that is over leaves besides its result; lets the lock go."""
        _remove(str(task.lock), self.placeholder)
        self.close()

    def close(self) -> None:
        """Close what was kept."""
        os.close(self.lock)
        os.close(self.pin)

    @property
    def own_output(self) -> Path:
        """The output, whatever has its name by now."""
        return Path(f"/proc/self/fd/{self.pin}")


def take_lock(task: Task) -> int:
    """A descriptor that holds the attempt's lock.

    Raises:
        FolderError: somebody else holds it.
        OSError: the file cannot be made.
    """
    while True:
        handle = os.open(task.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            take(handle)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(task.lock)):
                    return handle
        except BlockingIOError:
            os.close(handle)
            raise FolderError(
                f"an earlier attempt at job {task.job_id} has not ended: {task.lock} is held",
                hint="wait until its processes are gone",
            ) from None
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # its last holder removed the file just before


def _remove(*paths: str) -> None:
    for path in paths:
        with suppress(OSError):
            os.unlink(path)


def assignment(task: Task) -> bytes:
    """What the supervisor is told, in ``marshal``. Texts are bytes: its locale may differ."""
    code = os.fsencode
    never = float("inf")
    timeout_s = never if task.timeout_s is None else float(task.timeout_s)
    warned = task.warn_signal is not None and task.warn_before_s > 0
    return marshal.dumps(
        {
            "argv": [code(word) for word in task.argv],
            "executable": None if task.executable is None else code(task.executable),
            "cwd": code(task.cwd),
            "env": {code(name): code(value) for name, value in {**task.env, MARK: task.mark}.items()},
            "result": code(f"/{task.result.name}"),
            "lock": code(task.lock),
            "grace_s": float(task.grace_s),
            "timeout_s": timeout_s,
            "warn_signal": None if task.warn_signal is None else int(task.warn_signal),  # marshal knows no enums
            "warn_after_s": max(timeout_s - task.warn_before_s, 0.0) if warned else never,
            "noted": {"job_id": task.job_id, "attempt": task.attempt, "oom_kills_before": oom_kills()},
        }
    )


class ProcessHandle:
    """An attempt under a supervisor; see ``base.Handle``."""

    def __init__(self, executor: ProcessExecutor, task: Task, supervised: Supervisor, files: Files) -> None:
        self.task, self.pid, self.started_at = task, None, None
        self._executor, self._supervisor, self._files = executor, supervised, files
        self._control, self._hung_up = supervised.control, False
        self._began, self._start_stamp = boot_clock(), clock.stamp()
        self._unsent: dict[str, bytes] = {}
        self._ending: Ending | None = None
        self._closed = False

    pid: int | None
    started_at: str | None

    @property
    def supervisor_pid(self) -> int:
        """The pid of its supervisor."""
        return self._supervisor.pid

    def fileno(self) -> int:
        """See ``base.Handle``."""
        return self._control.fileno()

    def poll(self) -> Ending | None:
        """See ``base.Handle``.

        Where the supervisor is lost, this ends what it left, a round of SIGKILL a call, until nothing is found.

        Raises:
            ValueError: it was closed before the end.
        """
        if self._ending is None:
            if self._closed:
                raise ValueError("the attempt was let go of")
            self._flush()
            self._hear()
            if self._ending is None and self._hung_up and self._supervisor.gone():
                self._ending = self._recover()
            if self._ending is not None:
                self._files.discard(self.task)
                self._let_go()
        return self._ending

    def stop(self, reason: StopReason, grace_s: float | None = None) -> None:
        """See ``base.Handle``."""
        self._send(supervisor.STOP, str(reason), float(self.task.grace_s if grace_s is None else grace_s))

    def pulse(self, seconds: float | None) -> None:
        """See ``base.Handle``."""
        self._send(supervisor.PULSE, None if seconds is None else boot_clock() + seconds)

    def close(self) -> None:
        """See ``base.Handle``."""
        if not self._closed:
            self._files.close()
            self._let_go()

    def _let_go(self) -> None:
        self._closed = True
        self._control.close()
        self._executor.released(self, self._supervisor)

    def _send(self, verb: str, *words: Any) -> None:
        if not self._closed:
            self._unsent[verb] = marshal.dumps((verb, *words))
            self._flush()

    def _flush(self) -> None:
        """Send what waits; it waits on while a supervisor that does not read has its buffer full."""
        for verb, packet in list(self._unsent.items()):
            try:
                self._control.send(packet, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError:  # gone: reading tells more
                pass
            del self._unsent[verb]

    def _hear(self) -> None:
        while self._ending is None and not self._hung_up:
            try:
                packet = self._control.recv(supervisor.PACKET)
            except BlockingIOError:
                return
            except ConnectionResetError:  # told once; what was sent before is still to be read
                continue
            if not packet:
                self._hung_up = True
                return
            verb, *words = marshal.loads(packet)
            if verb == supervisor.STARTED:
                self.pid, self.started_at = words
                self._executor.refill()
            elif verb == supervisor.ENDED:
                self._ending = Ending.from_dict(words[0])

    def _recover(self) -> Ending | None:
        """The ending of an attempt whose supervisor is gone: what it wrote, else that it was lost."""
        with suppress(OSError, ValueError):
            return read_result(self.task.result)
        if sweep.strike(self.task.mark, self._files.own_output) or self._executor.end_orphans():
            time.sleep(supervisor.ROUND_S)
            return None
        return Ending(
            error=Fault.SUPERVISOR_LOST,
            message="its supervisor was killed; what was left of the job was ended",
            pid=self.pid,
            started_at=self.started_at or self._start_stamp,
            finished_at=clock.stamp(),
            duration_s=round(boot_clock() - self._began, 6),
        )


class ProcessExecutor:
    """Runs attempts on this machine; see ``base.Executor``. To be used by one thread.

    Args:
        spares: how many supervisors are kept ready: starting Python is most of the time it takes to start a job.
        python: the interpreter for supervisors.
        environ: the environment of supervisors, not of jobs (default: this process's).
    """

    def __init__(
        self, spares: int = 1, *, python: str = sys.executable, environ: Mapping[str, str] | None = None
    ) -> None:
        self._wanted, self._python = spares, python
        self._environ = dict(os.environ if environ is None else environ)
        self._program = compiled_program()
        self._spares: list[Supervisor] = []
        self._running: dict[ProcessHandle, Supervisor] = {}
        self._leaving: list[Supervisor] = []
        self._adopting = False
        self.refill()

    def start(self, task: Task) -> ProcessHandle:
        """See ``base.Executor``."""
        files = Files.make(task)
        try:
            supervised = self._assign(task, files)
        except BaseException as error:
            files.discard(task)
            if not isinstance(error, OSError):
                raise
            raise FolderError(f"no supervisor can be started: {error}") from error
        finally:
            files.hand_over()
        handle = ProcessHandle(self, task, supervised, files)
        self._running[handle] = supervised
        return handle

    def close(self) -> None:
        """See ``base.Executor``."""
        while self._spares:
            self._spares.pop().dismiss()
        if self._program >= 0:
            os.close(self._program)
        self._program, self._wanted = -1, 0
        self._reap_supervisors()

    def adopt_orphans(self) -> None:
        """Make this process the new parent of what a killed supervisor leaves behind.

        Its other children must not start sessions of their own, and it must have one executor only: by these two
        its orphans are known.

        Raises:
            OSError: the kernel refuses.
        """
        supervisor.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 1)
        self._adopting = True

    def reap_orphans(self) -> int:
        """Wait for adopted processes that have ended, so that no zombie stays; returns how many."""
        ended = [orphan.pid for orphan in self._orphans() if orphan.ended]
        for pid in ended:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return len(ended)

    def end_orphans(self) -> int:
        """One SIGKILL to every adopted process; returns how many there were. Those that have ended are waited for.

        What is below them is adopted when they end: calls until there was none, not even a zombie, end all.
        """
        struck = self.reap_orphans()
        for orphan in self._orphans():
            if not orphan.ended:
                struck += 1
                with suppress(ProcessLookupError):
                    os.kill(orphan.pid, signal.SIGKILL)  # the pid of a child is its own until it is waited for
        return struck

    def refill(self) -> None:
        """Start the spares that are missing. Handles ask for it once their job runs: until then it would slow that."""
        with suppress(OSError):  # start() tries again, and tells
            while len(self._spares) < self._wanted:
                self._spares.append(self._hire())

    def released(self, handle: ProcessHandle, supervised: Supervisor) -> None:
        """For handles: this one is done with its supervisor, which may yet take a moment to end."""
        self._running.pop(handle, None)
        self._leaving.append(supervised)
        self._reap_supervisors()
        self.refill()

    def _orphans(self) -> Iterator[Process]:
        known = {one.pid for one in (*self._spares, *self._running.values(), *self._leaving)}
        me, session = os.getpid(), os.getsid(0)
        for process in supervisor.processes() if self._adopting else ():
            if process.parent == me and process.session != session and process.pid not in known:
                yield process

    def _assign(self, task: Task, files: Files) -> Supervisor:
        """Give the attempt to a spare, or to a new supervisor where none is left or alive."""
        memory = os.memfd_create("whirr-assignment")  # an environment may be larger than a packet
        try:
            write_all(memory, assignment(task))
            while True:
                spare = self._spares.pop(0) if self._spares else None
                chosen = spare or self._hire()
                try:
                    socket.send_fds(chosen.control, [b"task"], [memory, files.output, files.result, files.lock])
                except OSError:
                    chosen.dismiss()
                    if spare is None:
                        raise
                else:
                    return chosen
        finally:
            os.close(memory)

    def _hire(self) -> Supervisor:
        return Supervisor(self._program, self._python, self._environ)

    def _reap_supervisors(self) -> None:
        self._leaving = [one for one in self._leaving if not one.gone()]
