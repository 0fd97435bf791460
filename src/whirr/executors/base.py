"""What an executor is: three verbs (start, poll, stop) on an attempt at a job, and how an attempt ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self

from whirr import process
from whirr.executors import supervisor
from whirr.jsonio import read_document


class StopReason(StrEnum):
    """Why an attempt was stopped."""

    CANCEL = "cancel"
    TIMEOUT = supervisor.TIME_LIMIT
    WORKER_LOST = supervisor.WORKER_LOST
    LEASE_LOST = supervisor.LEASE_LOST
    SHUTDOWN = supervisor.SHUTDOWN


class Fault(StrEnum):
    """Why there is neither an exit code nor a signal."""

    COMMAND_NOT_FOUND = supervisor.COMMAND_NOT_FOUND
    NOT_EXECUTABLE = supervisor.NOT_EXECUTABLE
    WORKDIR_MISSING = supervisor.WORKDIR_MISSING
    START_FAILED = supervisor.START_FAILED
    SUPERVISOR_LOST = supervisor.SUPERVISOR_LOST


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt at a job, as it is given to an executor.

    Attributes:
        job_id: the job's number.
        attempt: the number of the attempt.
        argv: the command as an argument vector; never given to a shell.
        cwd: absolute path of the folder it runs in.
        env: its whole environment; the mark is added.
        run_dir: the folder of its run.
        output: the file that its stdout and stderr are appended to, byte for byte.
        result: the file that says how it ended (``read_result``).
        lock: the file whose ``flock`` is held as long as a process of the attempt may be left.
        mark: what is known of its processes by whoever finds them, unique to the attempt.
        executable: absolute path of the program in place of ``argv[0]``; None: searched on the PATH of ``env``.
        grace_s: seconds between SIGTERM and SIGKILL when it is stopped.
        timeout_s: seconds it may run, time asleep included.
        warn_signal: number of a signal sent before the time limit and before SIGTERM, to the topmost of its processes
            that handle it.
        warn_before_s: how many seconds before the time limit; 0: not then.
    """

    job_id: int
    attempt: int
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    run_dir: Path
    output: Path
    result: Path
    lock: Path
    mark: str
    executable: str | None = None
    grace_s: float = 10.0
    timeout_s: float | None = None
    warn_signal: int | None = None
    warn_before_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended; nothing of it is left.

    Attributes:
        exit_code: of its first process, where that exited.
        signal: the name of the signal that ended it, such as ``SIGKILL``.
        reason: why it was stopped, if it was, before its first process ended.
        error: why there is neither exit code nor signal, unless it was stopped before it began.
        message: the same for people.
        pid: of its first process, None if there was none.
        started_at: UTC stamp of its start.
        finished_at: UTC stamp of the moment from which nothing of it was left.
        duration_s: seconds between the two, on a clock that nobody sets.
        cpu_s: seconds of processor time of all its processes that were waited for.
        max_rss_bytes: the largest resident size of one of them; what forks from the supervisor begins with its size.
        leftovers: processes that outlived its first process and were stopped.
        killed: processes that needed SIGKILL.
        oom_kills_before: ``whirr.process.oom_kills`` as it was before the start.
    """

    exit_code: int | None = None
    signal: str | None = None
    reason: StopReason | None = None
    error: Fault | None = None
    message: str | None = None
    pid: int | None = None
    started_at: str | None = None
    finished_at: str
    duration_s: float = 0.0
    cpu_s: float = 0.0
    max_rss_bytes: int = 0
    leftovers: int = 0
    killed: int = 0
    oom_kills_before: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As ``result.json`` holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The inverse of ``as_dict``; what a newer version added is passed over.

        Raises:
            ValueError: it is no ending.
        """
        names = {part.name for part in fields(cls)}
        try:
            known = {name: value for name, value in found.items() if name in names}
            known["reason"] = StopReason(known["reason"]) if known.get("reason") else None
            known["error"] = Fault(known["error"]) if known.get("error") else None
            return cls(**known)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"it does not say how an attempt ended: {error}") from None

    def out_of_memory(self) -> str | None:
        """Whether the kernel killed the first process because memory ran out; to be asked soon after the end.

        Returns:
            "certain", "perhaps" (the kernel killed some process meanwhile), or None.
        """
        if self.signal != "SIGKILL" or self.reason is not None or self.pid is None:
            return None
        return process.memory_evidence(self.pid, self.oom_kills_before)


def read_result(path: Path) -> Ending:
    """The ending that the file ``Task.result`` tells of.

    Raises:
        OSError: it cannot be read, or is not there.
        ValueError: it is no ending.
    """
    return Ending.from_dict(read_document(path))


class Handle(Protocol):
    """An attempt that was started.

    Attributes:
        pid: of the job's first process once it runs.
        started_at: UTC stamp of its start once it runs.
    """

    pid: int | None
    started_at: str | None

    def fileno(self) -> int:
        """A descriptor that becomes readable when ``poll`` has news; -1 after the end."""

    def poll(self) -> Ending | None:
        """Take in what is new; how the attempt ended, or None while something of it may be left. Never waits long."""

    def stop(self, reason: StopReason, grace_s: float | None = None) -> None:
        """Stop the attempt: warning signal, SIGTERM, after the grace SIGKILL. A second call can only hasten it.

        Args:
            grace_s: seconds between SIGTERM and SIGKILL (default: the task's).
        """

    def pulse(self, seconds: float | None) -> None:
        """Let the attempt go on for so many seconds from now, and then be stopped (LEASE_LOST) without its worker.

        Its grace is added to that. None: until told otherwise.
        """

    def close(self) -> None:
        """Let go of the attempt; one that has not ended is stopped (WORKER_LOST)."""


class Executor(Protocol):
    """Starts attempts."""

    def start(self, task: Task) -> Handle:
        """Start an attempt; returns before its process runs.

        Raises:
            FolderError: its files cannot be made, or an earlier attempt holds its lock.
        """

    def close(self) -> None:
        """Let go of what is kept ready. Attempts that run are not touched."""
