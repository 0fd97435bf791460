"""Real command lines on real queues, for tests of the queue's commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers import Process, start, wait_until

WHIRR = [sys.executable, "-c", "from whirr.cli import main; main()"]
PYTHON = sys.executable


class Answer:
    """What a command said, and its exit code; never a traceback."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert "Traceback" not in self.err, self.err

    def json(self) -> Any:
        return json.loads(self.out)


BOUND = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""What lets a command of root's be refused by the permissions of a file, as anybody else's is."""


def ask(*words: str | Path, cwd: Path, bound: bool = False, **variables: str) -> Answer:
    """Run one command line of whirr to its end; `bound`: permissions hold for root too."""
    environ = {**os.environ, **variables}
    command = [*(BOUND if bound else []), *WHIRR, *map(str, words)]
    return Answer(subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120))


def submit(place: Path, *words: str | Path, **variables: str) -> int:
    """Submit a command line; the number of the job."""
    answer = ask("submit", "--json", *words, cwd=place, **variables)
    assert answer.code == 0, answer.err
    return int(answer.json()["job_id"])


def job(place: Path, number: int, **variables: str) -> dict[str, Any]:
    """What `whirr status ID --json` says."""
    return ask("status", str(number), "--json", cwd=place, **variables).json()


def reaches(place: Path, number: int, status: str, **variables: str) -> dict[str, Any]:
    """Wait until a job is in a state."""
    return wait_until(lambda: found if (found := job(place, number, **variables))["status"] == status else None, 60)


def drain(place: Path, *words: str, **variables: str) -> Answer:
    """Run a worker until nothing is left to do."""
    answer = ask("worker", "--drain", "--gpus", "none", *words, cwd=place, **variables)
    assert answer.code == 0, answer.err
    return answer


@contextmanager
def worker(place: Path, *words: str, **variables: str) -> Iterator[Process]:
    """A worker beside the test; stopped with its jobs at the end."""
    process = start([*WHIRR, "worker", "--gpus", "none", *words], place, **variables)
    try:
        wait_until(lambda: workers(place, **variables), 30)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def workers(place: Path, **variables: str) -> list[dict[str, Any]]:
    """The workers that the queue knows."""
    answer = ask("status", "--json", cwd=place, **variables)
    return answer.json()["workers"] if answer.code == 0 else []
