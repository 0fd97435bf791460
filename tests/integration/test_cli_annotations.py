"""``whirr note`` and ``whirr tag``: in a folder and at a server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from queue_cli import WHIRR, Answer, ask
from run_folders import write_run
from servers import running_server

Say = Callable[..., Answer]


@pytest.fixture(params=["folder", "server"])
def say(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Say]:
    """Asks whirr about the run ``r01``, whose own tags are ``own`` and ``sweep``."""
    write_run(tmp_path / ".whirr", "r01", name="lr-0.1", tags=["own", "sweep"])
    if request.param == "folder":
        yield lambda *words: ask(*words, cwd=tmp_path)
        return
    with running_server(tmp_path) as server:
        yield lambda *words: ask(*words, "--server", server.url, cwd=tmp_path / "home", **server.environ)


def test_notes(say: Say) -> None:
    assert (say("note", "r01").out, say("note", "r01").code) == ("", 0)
    assert "no notes" in say("note", "r01").err
    assert say("note", "lr-0.1", "looks good\n<b>").err == "noted on r01\n"
    assert say("note", "-").out == "looks good\n<b>\n"
    assert say("note", "r01", "--append", "more").code == 0
    assert say("note", "r01", "--json").json() == {"run_id": "r01", "notes": "looks good\n<b>\nmore"}
    assert say("show", "r01", "--json").json()["notes"] == "looks good\n<b>\nmore"
    assert say("note", "r01", "").err == "the notes on r01 are removed\n"
    assert say("note", "r01").out == ""


def test_tags(say: Say) -> None:
    assert say("tag", "r01").out == "own\nsweep\n"
    assert say("tag", "r01", "+good", "-sweep", "-h").out == "own\ngood\n"
    assert say("tag", "r01", "+-dash", "--json").json() == {"run_id": "r01", "tags": ["own", "good", "-dash"]}
    assert [run["run_id"] for run in say("runs", "--tag", "good", "--json").json()] == ["r01"]
    assert say("runs", "--tag", "sweep", "--json").json() == []
    assert say("tag", "r01", "-own", "-good", "--", "--dash").out == ""


def test_what_cannot_be_understood(say: Say) -> None:
    for words, code in (
        (("tag", "r01", "good"), 2),
        (("tag", "r01", "+"), 2),
        (("tag", "none", "+good"), 3),
        (("note", "none", "x"), 3),
        (("note", "r01", "--append"), 2),
        (("tag", "r01", "+" + "x" * 201), 2),
    ):
        answer = say(*words)
        assert (answer.code, answer.out) == (code, ""), words
        assert "hint:" in answer.err
    assert say("tag", "r01", "+").err == "error: '+' names no tag\nhint: whirr tag r01 +TAG\n"
    assert say("tag", "r01", "good").err == "error: 'good' says neither + nor -\nhint: whirr tag r01 +good\n"


def test_notes_from_standard_input(tmp_path: Path) -> None:
    write_run(tmp_path / ".whirr", "r01")
    subprocess.run([*WHIRR, "note", "r01", "-"], input="one\ntwo\n", text=True, cwd=tmp_path, check=True)
    for words in ("-",), ("--append", "-"):
        failed = subprocess.run(
            [*WHIRR, "note", "r01", *words], input="\n", text=True, cwd=tmp_path, capture_output=True
        )
        assert failed.returncode == 2
        assert failed.stderr.startswith("error: standard input is empty: the notes stay as they are\nhint: ")
    assert ask("note", "r01", cwd=tmp_path).out == "one\ntwo\n"


def test_control_characters_never_reach_the_terminal(tmp_path: Path) -> None:
    write_run(tmp_path / ".whirr", "r01", tags=["a\x1b[31m"])
    assert "\x1b" not in ask("tag", "r01", cwd=tmp_path).out
    ask("note", "r01", "x\x1b]0;title\x07y", cwd=tmp_path)
    assert "\x1b" not in ask("note", "r01", cwd=tmp_path).out
