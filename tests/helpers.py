"""What tests of every folder share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Process = subprocess.Popen[str]


def wait_until(predicate: Callable[[], T], timeout: float = 10) -> T:
    """Call `predicate` until it returns something true and return that; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not reached within {timeout} s: {predicate}")
        time.sleep(0.01)


def program(path: Path, body: str) -> Path:
    """Write a program (dedented) to `path` and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(body).lstrip("\n"))
    return path


def start(command: list[str | Path], cwd: Path, piped: bool = False, **variables: str) -> Process:
    """Start a real process in `cwd`, with `variables` added to the environment.

    Its output is piped; its input too where ``piped``, else it has none.
    """
    cwd.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
        stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def outputs(process: Process, stdin: str | None = None, timeout: float = 60) -> tuple[str, str]:
    """Wait for the end of a process; its stdout and stderr. One that hangs is killed and told as AssertionError."""
    try:
        return process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its children too: they hold the pipes open
        raise AssertionError(f"{process.args} hangs: {process.communicate(timeout=timeout)}") from None


def run_dirs(place: Path) -> list[Path]:
    """The run folders under `place/.whirr/runs`, oldest name first."""
    return sorted((place / ".whirr" / "runs").glob("*"))


def only_run(place: Path) -> Path:
    """The one run folder under `place`; AssertionError when there is none or another."""
    found = run_dirs(place)
    assert len(found) == 1, found
    return found[0]


def stored_meta(run_dir: Path) -> dict[str, Any]:
    """What `meta.json` itself says, not judged by a reader."""
    return json.loads((run_dir / "meta.json").read_bytes())


QUICK = "system_metrics=False, capture_git=False, capture_pip=False"
"""Arguments of `whirr.init` for programs that test something else than what is captured."""


def strict_json(data: bytes | str) -> Any:
    """JSON as RFC 8259 has it: the NaN and Infinity that Python's reader also takes are refused."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(data, parse_constant=refuse)


def by_writer(records: list[dict[str, Any]]) -> dict[str, list[int]]:
    """The numbers `n` that each writer `who` logged, in order; AssertionError unless `_idx` counts the records."""
    assert [record["_idx"] for record in records] == list(range(len(records)))
    found: dict[str, list[int]] = {}
    for record in records:
        found.setdefault(record["who"], []).append(record["n"])
    return found
