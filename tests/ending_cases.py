"""The ways in which a program ends, what its run must say then, and how they are tried.

Every program runs twice, once tracked and once with WHIRR_MODE=disabled: exit status and output must agree.
"""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import QUICK, only_run, outputs, start

import whirr


@dataclass(frozen=True)
class Ending:
    """One way to end.

    Attributes:
        id: its name among the tests.
        body: the last statements of the program.
        code: exit status of the process, as subprocess tells it.
        cause: what the run's cause must hold; None for a completed run.
        raised: the ending is an exception whose traceback is to be kept.
    """

    id: str
    body: str
    code: int
    cause: dict[str, Any] | None
    raised: bool = False

    @property
    def status(self) -> str:
        return "completed" if self.cause is None else "failed"

    def __str__(self) -> str:
        return self.id


def _exit(code: int, message: str | None = None) -> dict[str, Any]:
    return {"kind": "exit", "exit_code": code, "message": message or f"exited with code {code}"}


def _signal(name: str) -> dict[str, Any]:
    return {"kind": "signal", "signal": name, "message": f"stopped by {name}"}


def _send(name: str) -> str:
    return f"os.kill(os.getpid(), signal.{name})\ntime.sleep(60)"


ERROR = {"kind": "exception", "type": "ValueError", "message": "loss is gone"}
NOT_JSON = {"kind": "exception", "type": "json.decoder.JSONDecodeError"}
INTERRUPT = {"kind": "interrupt", "message": "interrupted (Ctrl-C)"}
KILLED = {"kind": "killed"}

CLEAN = Ending("clean", "pass", 0, None)
EXCEPTION = Ending("exception", 'raise ValueError("loss is gone")', 1, ERROR, raised=True)
LIBRARY_EXCEPTION = Ending("exception-of-a-library", 'import json\njson.loads("{")', 1, NOT_JSON, raised=True)
EXIT_0 = Ending("sys.exit(0)", "sys.exit(0)", 0, None)
EXIT_NONE = Ending("sys.exit()", "sys.exit()", 0, None)
EXIT_3 = Ending("sys.exit(3)", "sys.exit(3)", 3, _exit(3))
EXIT_TEXT = Ending("sys.exit(text)", 'sys.exit("no data")', 1, _exit(1, "exited: no data"))
BARE_0 = Ending("raise SystemExit(0)", "raise SystemExit(0)", 0, None)
BARE_3 = Ending("raise SystemExit(3)", "raise SystemExit(3)", 3, _exit(3))
BUILTIN_4 = Ending("exit(4)", "exit(4)", 4, _exit(4))
CAUGHT = Ending("caught SystemExit", 'try:\n    sys.exit(5)\nexcept SystemExit:\n    print("caught")', 0, None)
CAUGHT_THEN_ERROR = Ending(
    "caught SystemExit, then exception",
    'try:\n    sys.exit(5)\nexcept SystemExit:\n    pass\nraise ValueError("loss is gone")',
    1,
    ERROR,
    raised=True,
)
CAUGHT_THEN_BARE = Ending(
    "caught sys.exit, then raise SystemExit",
    "try:\n    sys.exit(5)\nexcept SystemExit:\n    pass\nraise SystemExit(3)",
    3,
    _exit(3),
)
CAUGHT_ERROR = Ending("caught exception", "try:\n    1 / 0\nexcept ZeroDivisionError:\n    pass", 0, None)
SIGINT = Ending("SIGINT", _send("SIGINT"), -2, INTERRUPT, raised=True)
SIGTERM = Ending("SIGTERM", _send("SIGTERM"), -15, _signal("SIGTERM"))
SIGHUP = Ending("SIGHUP", _send("SIGHUP"), -1, _signal("SIGHUP"))
SIGKILL = Ending("SIGKILL", _send("SIGKILL"), -9, KILLED)
SEGFAULT = Ending("SIGSEGV", _send("SIGSEGV"), -11, KILLED)
HARD_EXIT = Ending("os._exit(0)", "os._exit(0)", 0, KILLED)

EVERYWHERE = (
    CLEAN,
    EXCEPTION,
    LIBRARY_EXCEPTION,
    EXIT_0,
    EXIT_NONE,
    EXIT_3,
    EXIT_TEXT,
    BARE_0,
    BARE_3,
    BUILTIN_4,
    CAUGHT,
    CAUGHT_THEN_ERROR,
    CAUGHT_THEN_BARE,
    CAUGHT_ERROR,
    SIGINT,
    SIGTERM,
    SIGHUP,
    SIGKILL,
    SEGFAULT,
    HARD_EXIT,
)

CHIEFLY = (CLEAN, EXCEPTION, EXIT_0, EXIT_3, BARE_3, CAUGHT_THEN_BARE, SIGINT, SIGTERM, SIGKILL)
"""For programs that are like a script but for one thing."""

HEAD = """\
import os, signal, sys, threading, time
import whirr

def train(run):
    run.log({{"loss": 0.5}}, step=0)
    print("trained", flush=True)
{body}

"""
OPEN = HEAD + f'run = whirr.init(name="ending", {QUICK})\ntrain(run)\n'
INSIDE_WITH = HEAD + f'with whirr.init(name="ending", {QUICK}) as run:\n    train(run)\n'


def source(template: str, body: str) -> str:
    """A program that trains and ends as `body` says."""
    return template.format(body=textwrap.indent(body, "    "))


@dataclass(frozen=True)
class Outcome:
    """What became of a program: exit status, output, and (tracked) its run as a reader sees it."""

    code: int
    out: str
    err: str
    place: Path

    def meta(self) -> dict[str, Any]:
        return whirr.read_meta(only_run(self.place))

    def metrics(self) -> list[dict[str, Any]]:
        return whirr.read_metrics(only_run(self.place))


def run_twice(
    command: list[str | Path],
    place: Path,
    stdin: str | None = None,
    *,
    same_stderr: bool = True,
    **variables: str,
) -> Outcome:
    """Run a command tracked and untracked, side by side; what it is to the shell must be the same."""
    tracked, plain = place / "tracked", place / "plain"
    processes = [
        start(command, tracked, piped=stdin is not None, **variables),
        start(command, plain, piped=stdin is not None, WHIRR_MODE="disabled", **variables),
    ]
    (out, err), (plain_out, plain_err) = (outputs(process, stdin) for process in processes)
    assert processes[0].returncode == processes[1].returncode, (out, err, plain_err)
    assert _comparable(out) == _comparable(plain_out), err
    assert not same_stderr or _comparable(err) == _comparable(plain_err)
    assert not (plain / ".whirr").exists()
    return Outcome(processes[0].returncode, out, err, tracked)


def _comparable(text: str) -> str:
    """Text without what differs between any two runs: addresses and durations."""
    return re.sub(r"0x[0-9a-f]+|\d+\.\d+ ?s|/(tracked|plain)/", "", text)


def check(outcome: Outcome, ending: Ending) -> None:
    """The run says how the program ended, and nothing that was logged is lost."""
    meta = outcome.meta()
    assert meta["status"] == ending.status, (meta["cause"], outcome.err)
    assert meta["problems"] == []
    assert [record["loss"] for record in outcome.metrics()] == [0.5]
    if ending.cause is None:
        assert meta["cause"] is None
    else:
        assert meta["cause"] is not None
        found = {key: meta["cause"].get(key) for key in ending.cause}
        assert found == ending.cause
    if ending.raised:
        trace = meta["cause"]["traceback"]
        assert trace.startswith("Traceback (most recent call last)")
        assert "in train" in trace
    if ending.cause != KILLED:
        assert meta["finished_at"] is not None
        assert meta["duration_seconds"] >= 0


PYTHON: list[str | Path] = [sys.executable]
