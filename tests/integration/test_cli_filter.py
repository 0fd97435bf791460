"""`whirr runs --filter`: here and at a server, and how it says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_folders import write_run
from servers import serving

from whirr.connect import open_hub
from whirr.model import Role

WHIRR = [sys.executable, "-c", "from whirr.cli import main; main()"]


@pytest.fixture(params=["folder", "server"])
def options(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What names the place of three runs."""
    root = tmp_path / ".whirr"
    for number in range(3):
        write_run(
            root,
            f"r{number}",
            name=f"vit {number}",
            tags=["sweep-7"] if number else [],
            started_at=f"2026-01-01T00:00:0{number}Z",
            config={"lr": number / 10},
            summary={"val/acc": 1 - number / 10},
        )
    if request.param == "folder":
        yield ["--dir", str(root)]
        return
    hub = open_hub(root, serving=True)
    monkeypatch.setenv("WHIRR_TOKEN", hub.tokens.create("reader", Role.READ))
    with serving(hub) as url:
        yield ["--server", url]
    hub.close()


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*WHIRR, "runs", *words], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_runs_for_which_it_holds(options: list[str]) -> None:
    for expressions, ids in (
        (["val/acc > 0.75 and tag:sweep-7"], ["r2", "r1"]),
        (["val/acc > 0.75", "lr < 0.15 or vit"], ["r2", "r1", "r0"]),
        (["lr in 0.1..", "", "not 'vit 2'"], ["r1"]),
        ([""], ["r2", "r1", "r0"]),
    ):
        words = [word for expression in expressions for word in ("--filter", expression)]
        assert [run["run_id"] for run in json.loads(ask(*options, *words, "--json").stdout)] == ids
    assert [
        run["run_id"] for run in json.loads(ask(*options, "--filter", "vit", "--where", "lr=0.1", "--json").stdout)
    ] == ["r1"]


def test_the_place_of_what_is_wrong_is_shown(options: list[str]) -> None:
    done = ask(*options, "--filter", "vit", "--filter", "lr > 0.1 and (val/acc =< 3)")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "  lr > 0.1 and (val/acc =< 3)",
        "                        ^^",
        "error: =< means nothing",
        "hint: write <=",
    ]


def test_of_a_long_text_the_part_around_it_is_shown(options: list[str]) -> None:
    done = ask(*options, "--filter", "a " * 100 + "💥\t\n(x " + " b" * 100)
    shown, mark, error, *_ = done.stderr.splitlines()
    assert error == "error: this ( is not closed"
    assert len(shown) < 140
    assert "💥" in shown or "\\U0001f4a5" in shown
    assert "\\t\\n(" in shown
    assert mark.strip() == "^"


def test_what_may_be_misspelt_is_said(options: list[str]) -> None:
    done = ask(*options, "--filter", "val/ac > 0.7 or tag:sweep-8")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "none of 3 runs fits",
        "no run has val/ac: did you mean val/acc?",
        "there is no tag sweep-8: did you mean sweep-7?",
    ]
