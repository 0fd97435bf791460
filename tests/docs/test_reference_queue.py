"""The reference of the queue names every state and cause, every file of a job's run and every key in them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from whirr.executors.base import Fault, StopReason
from whirr.model import CauseKind, JobStatus

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "queue.md").read_text()
WHIRR = Path(sys.executable).with_name("whirr")
COMMAND = ("sh", "-c", 'test "$WHIRR_ATTEMPT" = 2 || exit 85')


@pytest.fixture
def run_dirs(workplace: Path) -> list[Path]:
    """The folders of a job whose code changed before its second attempt, and of one in a checkout."""
    subprocess.run(["git", "init", "-q", "."], check=True)
    (workplace / "train.py").write_text("print('old')\n")
    for options in ((), ("--snapshot",)):
        subprocess.run([WHIRR, "submit", *options, "--", *COMMAND], check=True, capture_output=True)
    (workplace / "train.py").write_text("print('new')\n")
    subprocess.run([WHIRR, "worker", "--drain", "--quiet"], check=True)
    return [workplace / ".whirr" / "runs" / f"job-{number}" for number in (1, 2)]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def missing(words: set[str]) -> set[str]:
    return {word for word in words if f"`{word}`" not in PAGE}


def test_every_state_and_cause_is_documented() -> None:
    assert missing({*JobStatus, *CauseKind, *StopReason, *Fault}) == set()


def test_every_file_is_documented(run_dirs: list[Path]) -> None:
    layout = PAGE.split("```")[1].replace("result.3.json", "result.2.json").replace("attempts/1/ ", "attempts/ ")
    usual = {"meta.json", "config.json", "metrics.jsonl", "system.jsonl", "heartbeat"}
    found = {path.name + "/" * path.is_dir() for run_dir in run_dirs for path in run_dir.iterdir()}
    assert {name for name in found - usual if f" {name} " not in layout} == set()
    assert {"code/", "code_changes.json", "result.2.json", "attempts/", "output.log"} <= found

    queue = {path.name + "/" * path.is_dir() for path in (run_dirs[0].parents[1] / "queue").iterdir()}
    assert {name for name in queue if f" {name} " not in layout} <= {"queue.db-journal", "queue.db-wal", "queue.db-shm"}


def test_every_key_is_documented(run_dirs: list[Path]) -> None:
    job = read(run_dirs[0] / "meta.json")["job"]
    result = read(run_dirs[0] / "attempts" / "1" / "result.json")
    keys = {*job, *job["tree"], *result, *read(run_dirs[0] / "code_changes.json")}
    assert {"command", "left_out", "exit_code", "leftovers", "unknown"} <= keys
    assert missing(keys) == set()
