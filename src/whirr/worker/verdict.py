"""What to make of the end of an attempt: completed, failed and why, to be queued again, or its worker's fault."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from whirr.executors.base import Ending, Fault, StopReason
from whirr.model import REQUEUE_EXIT_CODE, Cause, CauseKind, Outcome, Verdict

TAIL = 2**16
"""Bytes at the end of the output in which an error of the GPU's allocator is looked for."""

GPU_OUT_OF_MEMORY = re.compile(
    rb"CUDA out of memory|OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED|RESOURCE_EXHAUSTED: "
)
COULD_NOT_START = {
    Fault.COMMAND_NOT_FOUND: CauseKind.COMMAND_NOT_FOUND,
    Fault.NOT_EXECUTABLE: CauseKind.COMMAND_NOT_FOUND,
    Fault.WORKDIR_MISSING: CauseKind.WORKDIR_MISSING,
}
LOST = "its supervisor was killed"


def outcome_of(ending: Ending, output: Path, timeout_s: float | None) -> Outcome:
    """What a worker reports of an attempt.

    Args:
        output: where the job's output was written.
        timeout_s: the job's time limit.
    """
    verdict, cause = _judge(ending, output, timeout_s)
    return Outcome(verdict, cause, ending.duration_s, ending.finished_at, _usage(ending))


def _judge(ending: Ending, output: Path, timeout_s: float | None) -> tuple[Verdict, Cause | None]:
    if ending.error is Fault.SUPERVISOR_LOST:
        if ending.pid is None:  # such as a broken Python: no fault of the job
            return Verdict.REQUEUE, Cause(CauseKind.START_FAILED, f"could not be started: {ending.message or LOST}")
        return Verdict.CRASHED, Cause(CauseKind.WORKER_LOST, ending.message or LOST)
    if ending.error is not None:
        kind = COULD_NOT_START.get(ending.error, CauseKind.START_FAILED)
        return Verdict.FAILED, Cause(kind, ending.message or ending.error)
    if ending.exit_code == REQUEUE_EXIT_CODE and ending.reason in (None, StopReason.TIMEOUT, StopReason.SHUTDOWN):
        return Verdict.REQUEUE, Cause(CauseKind.REQUEUED, "asked to be queued again", ending.exit_code)
    if ending.reason is not None:
        return _stopped(ending, ending.reason, timeout_s)
    return _ended_itself(ending, output)


def _stopped(ending: Ending, reason: StopReason, timeout_s: float | None) -> tuple[Verdict, Cause]:
    how = _how(ending)
    if reason is StopReason.TIMEOUT:
        return Verdict.FAILED, Cause(CauseKind.TIME_LIMIT, f"ran longer than its limit of {timeout_s:g} s", **how)
    if reason is StopReason.CANCEL:
        return Verdict.FAILED, Cause(CauseKind.CANCELLED, "cancelled", **how)
    if reason is StopReason.SHUTDOWN:
        return Verdict.REQUEUE, Cause(CauseKind.WORKER_STOPPED, "its worker was stopped", **how)
    why = "was killed" if reason is StopReason.WORKER_LOST else "could not renew the lease in time"
    return Verdict.CRASHED, Cause(CauseKind.WORKER_LOST, f"its worker {why}", **how)


def _ended_itself(ending: Ending, output: Path) -> tuple[Verdict, Cause | None]:
    if ending.exit_code == 0:
        return Verdict.COMPLETED, None
    how = _how(ending)
    memory = ending.out_of_memory()
    if memory == "certain":
        return Verdict.FAILED, Cause(CauseKind.OUT_OF_MEMORY, "killed by the kernel: out of memory", **how)
    if GPU_OUT_OF_MEMORY.search(_tail(output)):
        return Verdict.FAILED, Cause(CauseKind.GPU_OUT_OF_MEMORY, "out of GPU memory, as its output says", **how)
    if ending.signal is not None:
        perhaps = "; the machine ran out of memory meanwhile, which may be why" if memory else ""
        return Verdict.FAILED, Cause(CauseKind.SIGNAL, f"ended by {ending.signal}{perhaps}", **how)
    return Verdict.FAILED, Cause(CauseKind.EXIT, f"exited with code {ending.exit_code}", **how)


class _How(TypedDict):
    exit_code: int | None
    signal: str | None


def _how(ending: Ending) -> _How:
    return {"exit_code": ending.exit_code, "signal": ending.signal}


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - TAIL, 0))
            return file.read(TAIL)
    except OSError:  # gone, or out of reach: the exit code still stands
        return b""


def _usage(ending: Ending) -> Mapping[str, Any]:
    found = {
        "cpu_s": ending.cpu_s,
        "max_rss_bytes": ending.max_rss_bytes,
        "leftovers": ending.leftovers,
        "killed": ending.killed,
    }
    return {key: value for key, value in found.items() if value is not None}
