"""A command says the same over a folder and over the server of that folder: one code path, one output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import program
from queue_cli import PYTHON, Answer, ask, drain, submit
from servers import Served, running_server

TRAIN = """
import sys, whirr
with whirr.init(name=sys.argv[1], config={"lr": float(sys.argv[2]), "model": {"depth": 3}}, tags=["sweep"]) as run:
    for step in range(20):
        run.log({"loss": 1 / (step + 1), "acc": step / 20}, step=step)
    run.summary({"best": float(sys.argv[2]) * 2})
    (run.run_dir / "note.txt").write_text("x")
    run.save_artifact(run.run_dir / "note.txt")
    print("trained", sys.argv[1])
    if sys.argv[1] == "bad":
        raise ValueError("no such layer")
"""

READING = [
    ["runs"],
    ["runs", "--json"],
    ["runs", "--limit", "1", "--sort", "-best"],
    ["runs", "--where", "config.lr>0.15", "--columns", "id,name,best,loss,config.model.depth"],
    ["runs", "--status", "failed", "--tag", "sweep", "--name", "b*"],
    ["runs", "--filter", "lr in 0.05..0.15 and status:completed"],
    ["runs", "--sort", "nosuch"],
    ["runs", "--where", "nonsense"],
    ["runs", "--filter", "lr >"],
    ["show", "job-1"],
    ["show", "job-2", "--json"],
    ["show", "job-2", "--traceback"],
    ["show", "good", "--metric", "lo*"],
    ["show", "job"],
    ["show", "nosuch"],
    ["status"],
    ["status", "--all", "--json"],
    ["status", "1"],
    ["status", "2", "--json"],
    ["status", "99"],
    ["logs", "1"],
    ["logs", "2", "-n", "1"],
    ["logs", "1", "--attempt", "7"],
    ["logs", "99"],
    ["tag", "job-1"],
]
CHANGING = [
    ["note", "job-1", "the good one"],
    ["note", "job-1"],
    ["tag", "job-1", "+kept", "-sweep"],
    ["runs", "--tag", "kept"],
    ["cancel", "3"],
    ["cancel", "3"],
    ["cancel", "1"],
    ["retry", "3"],
    ["retry", "1"],
    ["retry", "99"],
    ["cancel", "3", "4", "99"],
]

MOVING = re.compile(r"\b\d+(\.\d+)? ?(ms|s|m|h)\b( ago)?|\bnow\b")
"""Ages and durations up to now; the stamps of files do not move."""


class Places:
    """One folder, filled, and its server."""

    def __init__(self, place: Path, served: Served) -> None:
        self.place, self.served = place, served

    def ask(self, where: str, *words: str) -> Answer:
        place = ("--dir", str(self.place)) if where == "dir" else ("--server", self.served.url)
        return ask(words[0], *place, *words[1:], cwd=self.place, HOME=self.served.environ["HOME"], COLUMNS="160")


def filled(place: Path) -> None:
    train = program(place / "train.py", TRAIN)
    for name, lr in (("good", "0.1"), ("bad", "0.2")):
        submit(place, "--name", name, "--", PYTHON, train, name, lr)
    drain(place)
    for name in ("waiting", "last"):
        submit(place, "--name", name, "--gpus", "0", "--", PYTHON, train, name, "0.3")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    place = tmp_path_factory.mktemp("read")
    filled(place)
    with running_server(place) as served:
        yield Places(place, served)


def said(answer: Answer) -> tuple[int, str, str]:
    """What can be compared: the folder and the address of the same place are the same."""
    out, err = (
        text.replace("whirr worker --server PLACE", "whirr worker") for text in map(placed, (answer.out, answer.err))
    )
    return answer.code, MOVING.sub("AGE", out), MOVING.sub("AGE", err)


def placed(text: str) -> str:
    return re.sub(r"http://[^\s,]+|/\S+/\.whirr\b\S*", "PLACE", text)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_the_same_is_read(places: Places, words: list[str]) -> None:
    here, there = places.ask("dir", *words), places.ask("server", *words)
    assert said(here) == said(there)
    assert here.out or here.code


def test_the_same_is_done(tmp_path: Path) -> None:
    found = []
    for where in ("dir", "server"):
        place = tmp_path / where
        place.mkdir()
        filled(place)
        with running_server(place) as served:
            found.append([said(Places(place, served).ask(where, *words)) for words in CHANGING])
    assert found[0] == found[1]
