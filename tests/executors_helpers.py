"""What tests of executors share: attempts in a folder of their own, and a worker that is a process of its own."""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path
from typing import Any

from helpers import Process, program, start, wait_until

from whirr.executors.base import Ending, Handle, StopReason, Task, read_result
from whirr.executors.process import ProcessExecutor, ProcessHandle
from whirr.process import start_ticks

Identity = tuple[int, int | None]
"""A process for ever: its pid and when it started."""


def task(place: Path, *argv: str | Path, **more: Any) -> Task:
    """An attempt at a job with all its files in `place`."""
    known = {
        "cwd": str(place),
        "env": dict(os.environ),
        "run_dir": place,
        "output": place / "output.log",
        "result": place / "result.json",
        "lock": place / "lock",
        "mark": f"{place}:1.1",
        "grace_s": 0.3,
    }
    return Task(job_id=1, attempt=1, argv=tuple(map(str, argv)), **{**known, **more})


def python(place: Path, body: str, **more: Any) -> Task:
    """An attempt at a job that is a Python program."""
    return task(place, sys.executable, program(place / "job.py", body), **more)


def ending(handle: Handle, timeout: float = 30) -> Ending:
    """Wait for the end of an attempt."""

    def news() -> Ending | None:
        found = handle.poll()
        if found is None:
            select.select([handle], [], [], 1)
        return found

    return wait_until(news, timeout)


def started(handle: ProcessHandle) -> int:
    """Wait until the job's process runs; its pid."""

    def pid() -> int | None:
        assert handle.poll() is None, handle.poll()
        return handle.pid

    return wait_until(pid)


def run(executor: ProcessExecutor, what: Task) -> Ending:
    """Run an attempt to its end."""
    return ending(executor.start(what))


def identity(pid: int) -> Identity:
    """What to know a process by later."""
    return pid, start_ticks(pid)


def alive(who: Identity) -> bool:
    """Whether the process lives; zombies do not."""
    return who[1] is not None and start_ticks(who[0]) == who[1]


def result(place: Path) -> Ending:
    """Wait for the result on disk."""
    path = place / "result.json"
    wait_until(path.exists, 30)
    return read_result(path)


WORKER = """
import json, os, select, sys
from pathlib import Path
from whirr.executors.base import StopReason, Task
from whirr.executors.process import ProcessExecutor
from whirr.executors.supervisor import descendants

words = json.loads(sys.argv[1])
paths = {name: Path(words[name]) for name in ("run_dir", "output", "result", "lock")}
events = open("events.jsonl", "a", buffering=1)

def tell(**event):
    events.write(json.dumps(event) + "\\n")

executor = ProcessExecutor()
executor.adopt_orphans()
handle = executor.start(Task(**{**words, **paths, "argv": tuple(words["argv"])}))
handle.pulse(json.loads(sys.argv[2]))
tell(supervisor=handle.supervisor_pid)
told = False
while True:
    ready = select.select([handle, sys.stdin], [], [])[0]
    ending = handle.poll()
    if handle.pid is not None and not told:
        told = True
        tell(pid=handle.pid)
    if ending is not None:
        break
    if sys.stdin in ready and (line := sys.stdin.readline()):
        reason, grace_s = json.loads(line)
        handle.stop(StopReason(reason), grace_s)
executor.reap_orphans()
executor.close()
tell(ending=ending.as_dict(), left=len(descendants(os.getpid())))
"""


class Worker:
    """A worker that runs one attempt, as a process that can be killed and stopped."""

    def __init__(self, what: Task, pulse_s: float | None = None) -> None:
        self.task, self.place = what, what.run_dir
        words = {name: getattr(what, name) for name in Task.__slots__}
        paths = {name: str(words[name]) for name in ("run_dir", "output", "result", "lock")}
        worker = program(self.place / "worker.py", WORKER)
        command = [sys.executable, worker, json.dumps({**words, **paths}), json.dumps(pulse_s)]
        self.process: Process = start(command, self.place, piped=True)

    def stop(self, reason: StopReason, grace_s: float | None = None) -> None:
        """Have it stop the attempt."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([reason, grace_s]) + "\n")
        self.process.stdin.flush()

    def event(self, name: str) -> Any:
        """Wait until it tells `name`: supervisor, pid or ending."""

        def told() -> dict[str, Any] | None:
            over = self.process.poll() is not None  # asked first: what it told before its end is there by then
            path = self.place / "events.jsonl"
            lines = path.read_text().splitlines() if path.exists() else []
            found = next((event for event in map(json.loads, lines) if name in event), None)
            assert found or name == "ending" or not over, self.process.communicate()
            return found

        return wait_until(told, 30)[name]

    def ending(self) -> Ending:
        """How the attempt ended, as the worker was told."""
        return Ending.from_dict(self.event("ending"))

    def end(self) -> None:
        """See to it that it is gone."""
        self.process.kill()
        self.process.communicate()
