"""Why a run ended, as far as an exception or an exit tells."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from whirr import causes


@pytest.mark.parametrize("code", [0, 3, 255, 256, 259, -1, -256, 2**32, 2**63, -(2**70), True, False, None, 0.0, "x"])
def test_an_exit_is_what_the_system_hears_of_it(code: Any) -> None:
    heard = subprocess.run([sys.executable, "-S", "-c", f"raise SystemExit({code!r})"], stderr=subprocess.DEVNULL)
    cause = causes.of_exit(code)
    assert (cause["exit_code"] if cause else 0) == heard.returncode
    assert causes.of_exception(SystemExit(code)) == cause


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("loss is gone", "loss is gone"),
        (
            "CUDA error: device-side assert triggered\r\nFor debugging consider ...\n",
            "CUDA error: device-side assert triggered",
        ),
        ("\n  one\n  two", "one"),
        ("", ""),
    ],
)
def test_the_message_is_one_line_and_the_traceback_has_them_all(text: str, line: str) -> None:
    cause = causes.of_exception(RuntimeError(text))
    assert cause is not None
    assert cause["message"] == line
    assert cause["traceback"].rstrip("\n").endswith(f"RuntimeError: {text}".rstrip(": \n"))


def test_all_lines_of_an_exit_are_on_one() -> None:
    assert causes.of_exit("usage: train.py\n  no data") == {
        "kind": "exit",
        "exit_code": 1,
        "message": "exited: usage: train.py no data",
    }


def test_a_generator_that_is_closed_early_has_not_failed() -> None:
    assert causes.of_exception(GeneratorExit()) is None
