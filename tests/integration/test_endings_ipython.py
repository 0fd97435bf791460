"""In IPython, where an exception ends a cell and not the program."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ending_cases import (
    CAUGHT,
    CAUGHT_THEN_ERROR,
    CHIEFLY,
    CLEAN,
    ERROR,
    EXIT_3,
    EXIT_TEXT,
    HARD_EXIT,
    LIBRARY_EXCEPTION,
    OPEN,
    PYTHON,
    SIGHUP,
    SIGKILL,
    SIGTERM,
    Ending,
    Outcome,
    check,
    run_twice,
    source,
)
from helpers import QUICK, outputs, program, run_dirs, start, stored_meta

pytest.importorskip("IPython", reason="IPython is not installed")

IPYTHON: list[str | Path] = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor"]

IN_IPYTHON = [*CHIEFLY, LIBRARY_EXCEPTION, EXIT_TEXT, CAUGHT, CAUGHT_THEN_ERROR, SIGHUP, HARD_EXIT]


@pytest.mark.parametrize("ending", IN_IPYTHON, ids=str)
def test_a_script_run_by_ipython(ending: Ending, tmp_path: Path) -> None:
    script = program(tmp_path / "train.py", source(OPEN, ending.body))
    outcome = run_twice([*IPYTHON, script], tmp_path, same_stderr=False, IPYTHONDIR=str(tmp_path / "profile"))
    check(outcome, ending)


CELLS = f"""
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(colors="NoColor")
shell.run_cell("import os, signal, sys, time, whirr")
shell.run_cell("run = whirr.init({QUICK})")
shell.run_cell("def train(run):\\n    run.log({{{{'loss': 0.5}}}})\\n    print('trained', flush=True)")
for cell in {{cells}}:
    shell.run_cell(cell)
"""


def ended_after(cells: list[str], tmp_path: Path, **variables: str) -> Outcome:
    """A notebook's life: an IPython shell that is given cells, and then ends."""
    script = program(tmp_path / "notebook.py", CELLS.format(cells=repr(cells)))
    variables["IPYTHONDIR"] = str(tmp_path / "profile")
    return run_twice([*PYTHON, script], tmp_path, same_stderr=False, **variables)


RAISES = "raise ValueError('loss is gone')"
KILL = "os.kill(os.getpid(), signal.{}); time.sleep(60)"


@pytest.mark.parametrize(
    ("ending", "cells"),
    [
        (CLEAN, ["train(run)"]),
        (CLEAN, ["train(run)", RAISES, "print('better now')"]),
        (CLEAN, ["train(run)", "run.finish()", RAISES]),
        (Ending("exception", "", 0, ERROR), ["train(run)", RAISES]),
        (Ending("syntax", "", 0, {"kind": "exception", "type": "SyntaxError"}), ["train(run)", "print("]),
        (Ending("inside with", "", 0, ERROR), [f"with run:\n    train(run)\n    {RAISES}", "1"]),
        (Ending("exit", "", 0, {"kind": "exit", "exit_code": 3}), ["train(run)", "sys.exit(3)"]),
        (Ending("SIGINT", "", 0, {"kind": "interrupt"}), ["train(run)", KILL.format("SIGINT")]),
        (SIGTERM, ["train(run)", KILL.format("SIGTERM")]),
        (SIGHUP, ["train(run)", KILL.format("SIGHUP")]),
        (SIGKILL, ["train(run)", KILL.format("SIGKILL")]),
    ],
    ids=lambda value: str(value) if isinstance(value, Ending) else f"{len(value)} cells",
)
def test_cells(ending: Ending, cells: list[str], tmp_path: Path) -> None:
    outcome = ended_after(cells, tmp_path)
    assert outcome.code == ending.code
    check(outcome, ending)


def test_a_run_that_a_cell_ended_by_another_init_ends_too(tmp_path: Path) -> None:
    """Running the same cell again begins another run; both end with the notebook."""
    again = f"second = whirr.init({QUICK}); second.log({{'loss': 1}})"
    script = program(tmp_path / "notebook.py", CELLS.format(cells=repr(["train(run)", again])))
    process = start([*PYTHON, script], tmp_path, IPYTHONDIR=str(tmp_path / "profile"))
    outputs(process)
    assert process.returncode == 0
    assert [stored_meta(folder)["status"] for folder in run_dirs(tmp_path)] == ["completed", "completed"]


SESSION = f"""
import os, signal, sys, time, whirr
run = whirr.init({QUICK})
run.log({{{{"loss": 0.5}}}})
{{last}}
"""


@pytest.mark.parametrize(
    ("ending", "last"),
    [
        (CLEAN, "print('trained')"),
        (Ending("exception", "", 0, ERROR), RAISES),
        (EXIT_3, "sys.exit(3)"),
        (SIGTERM, KILL.format("SIGTERM")),
    ],
    ids=str,
)
def test_a_terminal_session(ending: Ending, last: str, tmp_path: Path) -> None:
    """`ipython` as people start it, its input typed ahead."""
    command = [*IPYTHON, "--simple-prompt", "--no-confirm-exit"]
    typed = SESSION.format(last=last)
    outcome = run_twice(command, tmp_path, stdin=typed, same_stderr=False, IPYTHONDIR=str(tmp_path / "profile"))
    check(outcome, ending)
