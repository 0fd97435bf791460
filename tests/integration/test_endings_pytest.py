"""Under pytest: a run that a test leaves open ends as the test does."""

from __future__ import annotations

from pathlib import Path

import pytest
from ending_cases import CLEAN, ERROR, PYTHON, SIGHUP, SIGKILL, SIGTERM, Ending, check, run_twice
from helpers import QUICK, outputs, program, start, stored_meta

TEMPLATE = f"""
import os, signal, sys, time
import whirr

def train(run):
    run.log({{{{"loss": 0.5}}}})
    {{body}}

def test_training():
    train(whirr.init({QUICK}))
"""
PYTEST = "-m pytest -q -p no:cacheprovider -p no:hypothesispytest --import-mode=importlib --tb=no"
COMMAND = [*PYTHON, *PYTEST.split()]
EXIT_3 = {"kind": "exit", "exit_code": 3}
INTERRUPT = {"kind": "interrupt"}
KILL = "os.kill(os.getpid(), signal.{}); time.sleep(60)"


@pytest.mark.parametrize(
    "ending",
    [
        CLEAN,
        Ending("exception", 'raise ValueError("loss is gone")', 1, ERROR, raised=True),
        Ending("failed assertion", "assert 1 == 2", 1, {"kind": "exception", "type": "AssertionError"}),
        Ending("sys.exit(3)", "sys.exit(3)", 1, EXIT_3),
        Ending("raise SystemExit(3)", "raise SystemExit(3)", 1, EXIT_3),
        Ending("sys.exit(0)", "sys.exit(0)", 1, None),
        Ending("SIGINT", KILL.format("SIGINT"), 2, INTERRUPT, raised=True),
        Ending("SIGTERM", KILL.format("SIGTERM"), SIGTERM.code, SIGTERM.cause),
        Ending("SIGHUP", KILL.format("SIGHUP"), SIGHUP.code, SIGHUP.cause),
        Ending("SIGKILL", KILL.format("SIGKILL"), SIGKILL.code, SIGKILL.cause),
        Ending("skip", 'import pytest; pytest.skip("no data")', 0, None),
    ],
    ids=str,
)
def test_a_test_that_leaves_its_run_open(ending: Ending, tmp_path: Path) -> None:
    script = program(tmp_path / "test_model.py", TEMPLATE.format(body=ending.body))
    outcome = run_twice([*COMMAND, script], tmp_path)
    assert outcome.code == ending.code, outcome.out
    check(outcome, ending)


def test_each_test_ends_its_own_run(tmp_path: Path) -> None:
    script = program(
        tmp_path / "test_model.py",
        f"""
        import pytest, whirr

        @pytest.fixture(scope="module")
        def shared():
            run = whirr.init(name="shared", {QUICK})
            yield run
            run.finish()

        def test_good(shared):
            whirr.init(name="good", {QUICK})

        def test_bad(shared):
            whirr.init(name="bad", {QUICK})
            raise ValueError("loss is gone")

        def test_after(shared):
            shared.log({{"loss": 0.5}})
        """,
    )
    process = start([*COMMAND, script], tmp_path)
    out, _ = outputs(process)
    assert "1 failed, 2 passed" in out
    runs = {meta["name"]: meta for meta in map(stored_meta, (tmp_path / ".whirr/runs").iterdir())}
    assert {name: meta["status"] for name, meta in runs.items()} == {
        "good": "completed",
        "bad": "failed",
        "shared": "completed",
    }
