"""The error tree: what a program can catch, and warnings that never break a program."""

from __future__ import annotations

import sys
import warnings
from io import StringIO
from pathlib import Path

import pytest

from whirr import errors
from whirr.errors import WhirrError, WhirrWarning, warn

KINDS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, WhirrError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_says_what_happened_and_what_to_do(kind: type[WhirrError]) -> None:
    error = kind("it broke", hint="mend it")
    assert (str(error), error.hint) == ("it broke", "mend it")
    assert kind("it broke").hint is None
    assert kind.__doc__


def test_codes_are_words_and_unique() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("-", "").isalpha() and code.islower() for code in codes)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.FolderError, OSError),
        (errors.NoActiveRun, RuntimeError),
        (errors.RunFinished, RuntimeError),
        (errors.NotAMapping, TypeError),
        (errors.ArtifactNameError, ValueError),
    ],
)
def test_programs_catch_the_builtin_error(kind: type[WhirrError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="it broke"):
        raise kind("it broke")


def test_a_warning_points_at_the_line_outside_whirr() -> None:
    with pytest.warns(WhirrWarning, match="look") as caught:
        warn("look")
    assert Path(caught[0].filename) == Path(__file__)


def test_where_warnings_are_errors_the_text_goes_to_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", StringIO())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn("look")
    assert sys.stderr.getvalue() == "whirr: warning: look\n"


@pytest.mark.parametrize("closed", [True, False])
def test_without_a_usable_stderr_nothing_is_raised(closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream if closed else None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn("look")
