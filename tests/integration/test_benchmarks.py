"""Every part of the benchmarks runs and prints its rows; whether a goal is met is for a quiet machine to say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = {
    "log": ["log() of 5 floats, median", "log() of 100 floats, p99"],
    "imports": ["import whirr"],
    "init": ["init() returns"],
    "whole": ["import, init ... finish"],
    "read": ["read_metrics of 2,000", "read_columns of 2,000"],
    "listing": ["warm; limit: --help", "cold"],
    "memory": ["resident memory", "further threads"],
    "loop": ["a step of 1 ms"],
    "sampler": ["share of a core"],
    "peer": ["tensorboardX", "sacred"],
    "start": ["submit to process started, p95", "cancel to first signal", "memory of a supervisor"],
    "throughput": ["jobs of `true`", "end of a job to start of the next"],
    "claim": ["claim with 50 jobs queued"],
    "submit": ["whirr submit"],
    "snapshot": ["record the tree", "look for changes"],
    "queue_peer": ["huey"],
    "server_start": ["started, SQLite, p95", "started, PostgreSQL, p50"],
    "server_submit": ["16 clients, SQLite", "16 clients, PostgreSQL", "share of a core, SQLite"],
    "server_idle": ["200 idle workers"],
    "ship": ["append a line", "until it is there", "artifact; limit", "log; limit"],
    "server_list": ["of 50 runs from the server"],
    "dashboard": ["first chart, cold", "all 5 charts", "while hovering", "sort a table of", "filter a table of"],
}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("part", ROWS)
def test_each_part_prints_its_rows(part: str) -> None:
    done = bench("--effort", "tiny", part)
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr
    for row in ROWS[part]:
        assert row in done.stdout
    missed = done.stdout.count("MISSED\n")
    assert done.returncode == (missed > 0)
    assert done.stdout.endswith(f"{missed} goal(s) missed\n" if missed else "every goal is met\n")


def test_an_unknown_part_is_refused() -> None:
    done = bench("everything")
    assert done.returncode == 2
    assert f"there is no part everything; the parts are {', '.join(ROWS)}" in done.stderr
