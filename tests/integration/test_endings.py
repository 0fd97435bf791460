"""How a script ends is what its run says, and tracking changes nothing of how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from ending_cases import (
    CHIEFLY,
    CLEAN,
    EVERYWHERE,
    EXCEPTION,
    EXIT_3,
    INSIDE_WITH,
    OPEN,
    PYTHON,
    Ending,
    check,
    run_twice,
    source,
)
from helpers import QUICK, program

FORMS = {"open": OPEN, "with": INSIDE_WITH}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", EVERYWHERE, ids=str)
def test_a_script(ending: Ending, form: str, tmp_path: Path) -> None:
    script = program(tmp_path / "train.py", source(FORMS[form], ending.body))
    outcome = run_twice([*PYTHON, script], tmp_path)
    assert outcome.code == ending.code
    check(outcome, ending)


@pytest.mark.parametrize("ending", CHIEFLY, ids=str)
def test_a_module(ending: Ending, tmp_path: Path) -> None:
    program(tmp_path / "code/project/__init__.py", "")
    program(tmp_path / "code/project/train.py", source(OPEN, ending.body))
    command = [*PYTHON, "-m", "project.train"]
    outcome = run_twice(command, tmp_path, PYTHONPATH=str(tmp_path / "code"))
    assert outcome.code == ending.code
    check(outcome, ending)


@pytest.mark.parametrize("ending", [CLEAN, EXCEPTION, EXIT_3], ids=str)
@pytest.mark.parametrize("how", ["-c", "stdin"])
def test_a_program_without_a_file(ending: Ending, how: str, tmp_path: Path) -> None:
    text = source(OPEN, ending.body)
    if how == "-c":
        outcome = run_twice([*PYTHON, "-c", text], tmp_path)
    else:
        outcome = run_twice([*PYTHON, "-"], tmp_path, stdin=text)
    assert outcome.code == ending.code
    check(outcome, ending)


COROUTINE = f"""\
import asyncio, os, signal, sys, time
import whirr

async def train():
    run = whirr.init({QUICK})
    run.log({{{{"loss": 0.5}}}})
    print("trained", flush=True)
    await asyncio.sleep(0)
{{body}}

asyncio.run(train())
"""


@pytest.mark.parametrize("ending", CHIEFLY, ids=str)
def test_a_coroutine(ending: Ending, tmp_path: Path) -> None:
    script = program(tmp_path / "train.py", source(COROUTINE, ending.body.replace("time.sleep", "await asyncio.sleep")))
    outcome = run_twice([*PYTHON, script], tmp_path)
    assert outcome.code == ending.code
    check(outcome, ending)
