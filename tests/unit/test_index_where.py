from __future__ import annotations

import math
from pathlib import Path

import pytest
from run_folders import write_run

from whirr.errors import UsageError
from whirr.index import RunEntry, RunIndex
from whirr.where import MISSING, Selection, lookup, parse_condition, sort_by

CONFIG = {
    "lr": 0.01,
    "epochs": 10,
    "layers": [64, 32],
    "model": {"name": "vit", "depth": 12},
    "a.b": 1,
    "data/path": "/x",
    "text": "64",
    "flag": True,
    "nothing": None,
    "loss": "config",
    "wild": float("inf"),
    "status": "mine",
}


@pytest.fixture
def run(tmp_path: Path) -> RunEntry:
    write_run(
        tmp_path,
        "r1",
        name="base-1",
        tags=["a", "b"],
        config=CONFIG,
        summary={"val_loss": 0.3, "best": {"epoch": 7}},
        rows=[{"loss": 2.0, "train/acc": 0.5, "val_loss": 9.0}, {"loss": 1.0, "train/acc": 0.9}],
    )
    return RunIndex(tmp_path).runs()[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "r1"),
        ("name", "base-1"),
        ("status", "completed"),
        ("config.status", "mine"),
        ("duration", 60.0),
        ("tags", "a,b"),
        ("job", MISSING),
        ("val_loss", 0.3),
        ("summary.val_loss", 0.3),
        ("metrics.val_loss", 9.0),
        ("loss", 1.0),
        ("loss.min", 1.0),
        ("metrics.loss.max", 2.0),
        ("metrics.loss.count", 2),
        ("config.loss", "config"),
        ("summary.loss", MISSING),
        ("train/acc", 0.9),
        ("metrics.train/acc.min", 0.5),
        ("lr", 0.01),
        ("config.model.name", "vit"),
        ("model/depth", 12),
        ("model.nothing", MISSING),
        ("config.a.b", 1),
        ("data/path", "/x"),
        ("best.epoch", 7),
        ("config.wild", math.inf),
        ("config.nothing", None),
        ("absent", MISSING),
        ("config.", MISSING),
    ],
)
def test_lookup(run: RunEntry, key: str, value: object) -> None:
    assert lookup(run, key) == value


@pytest.mark.parametrize(
    "condition",
    [
        "config.lr=0.01",
        "config.lr==1e-2",
        "config.lr >= 0.01",
        "config.lr<0.1",
        "config.epochs>9.5",
        "config.epochs!=11",
        "config.epochs<=10",
        "val_loss<0.3000001",
        "config.text=64",
        "config.text='64'",
        "config.flag=true",
        "config.flag!=false",
        "config.nothing=null",
        "config.wild=inf",
        "config.wild>1e300",
        "config.model.name=vit",
        'config.model.name="vit"',
        "config.model.name>vi",
        "config.model.name~^v.t$",
        "config.layers=[64,32]",
        "config.layers~32",
        "tags~b",
        "name~base",
        "started>=2026-01-01",
        "started<2026-01-02",
        "status!=failed",
        "loss.min<=1",
    ],
)
def test_conditions_that_hold(run: RunEntry, condition: str) -> None:
    assert parse_condition(condition).meets(run)


@pytest.mark.parametrize(
    "condition",
    [
        "config.lr>0.01",
        "config.lr=0.010001",
        "config.epochs<9",
        "config.epochs='1'",
        "config.flag=1",
        "config.flag>0",
        "config.model.name<9",
        "config.nothing=0",
        "config.nothing<1",
        "config.layers>1",
        "absent!=1",
        "absent=null",
        "absent~.",
        "summary.loss<5",
        "name~^1",
    ],
)
def test_conditions_that_do_not_hold(run: RunEntry, condition: str) -> None:
    assert not parse_condition(condition).meets(run)


def test_ten_is_more_than_nine(run: RunEntry) -> None:
    assert parse_condition("epochs>9").meets(run)


def test_the_empty_text_is_asked_for_in_quotes(run: RunEntry) -> None:
    assert parse_condition("name!=''").meets(run)
    assert not parse_condition("name=''").meets(run)


@pytest.mark.parametrize("text", ["", "lr", "=1", ">", "name~[", "  ", "loss<", "name=", "name ~ "])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(UsageError):
        parse_condition(text)


def test_nan_equals_nan_and_nothing_else(tmp_path: Path) -> None:
    write_run(tmp_path, "r1", summary={"loss": math.nan})
    (run,) = RunIndex(tmp_path).runs()
    met = [text for text in ("loss=nan", "loss!=nan", "loss<1", "loss>1", "loss=1") if parse_condition(text).meets(run)]
    assert met == ["loss=nan"]


class TestManyRuns:
    @pytest.fixture
    def runs(self, tmp_path: Path) -> list[RunEntry]:
        for number, loss in enumerate([10, 9, 0.5, math.nan, "text", None]):
            summary = {} if loss is None else {"loss": loss}
            tags = ["even", "all"] if number % 2 == 0 else ["all"]
            write_run(tmp_path, f"r{number}", name=f"lr-{number}", tags=tags, summary=summary)
        return RunIndex(tmp_path).runs()

    def test_numbers_then_texts_then_none(self, runs: list[RunEntry]) -> None:
        order = [run.id for run in sort_by(runs, "loss")]
        assert order[:4] == ["r2", "r1", "r0", "r4"]
        assert set(order[4:]) == {"r3", "r5"}

    def test_descending_keeps_what_is_missing_last(self, runs: list[RunEntry]) -> None:
        order = [run.id for run in sort_by(runs, "loss", descending=True)]
        assert order[:4] == ["r4", "r0", "r1", "r2"]
        assert set(order[4:]) == {"r3", "r5"}

    @pytest.mark.parametrize(
        ("selection", "numbers"),
        [
            (Selection(), "012345"),
            (Selection(statuses=("failed",)), ""),
            (Selection(statuses=("failed", "completed")), "012345"),
            (Selection(tags=("even",)), "024"),
            (Selection(tags=("even", "all")), "024"),
            (Selection(tags=("even", "odd")), ""),
            (Selection(name="lr-[12]"), "12"),
            (Selection(name="lr"), ""),
            (Selection(conditions=(parse_condition("loss>1"), parse_condition("loss<10"))), "1"),
            (Selection(tags=("even",), conditions=(parse_condition("loss>1"),)), "0"),
        ],
    )
    def test_selection(self, runs: list[RunEntry], selection: Selection, numbers: str) -> None:
        assert sorted(run.id for run in runs if selection.admits(run)) == [f"r{number}" for number in numbers]
