"""What mattered, and the runs that means are made of: over all runs that there are, not over a window of them."""

from __future__ import annotations

import random
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_folders import write_run

from whirr.errors import UsageError
from whirr.index import RunIndex
from whirr.roster import Roster
from whirr.runtable import RunTable, TableQuery
from whirr.runtable.mattering import Axis, Mattered, rank_correlation

MANY = 70


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / ".whirr"


def logged(root: Path, run: str, config: dict[str, Any], **metrics: float) -> None:
    write_run(root, run, config=config, rows=[{"_idx": 0, **metrics}])


def table_of(root: Path) -> RunTable:
    index = RunIndex(root)
    table = RunTable(index, Roster(index), look_every_s=0.0, rest_s=0.0)
    assert table.settle()
    return table


def sweep(root: Path) -> RunTable:
    """The smaller `lr`, the larger `acc`; sgd is worse than adamw."""
    for i in range(MANY):
        config = {
            "lr": 10.0 ** -(i / 10),
            "same": 1,
            "data": {"seed": i},
            "name": f"own {i}",
            "opt": ["sgd", "adamw"][i % 2],
            "layers": [2, "auto", 4][i % 3],
            "wd": (i * 37) % MANY,
        }
        logged(root, f"r{i:03}", config, acc=i + 10.0 * (i % 2), other=1.0)
    return table_of(root)


def axis_of(found: Mattered, key: str) -> Axis:
    return next(axis for axis in found.axes if axis.key == key)


def test_correlations_are_of_all_chosen_runs_whichever_are_shown(root: Path) -> None:
    table = sweep(root)
    found = table.mattered(TableQuery(), "acc", ["r003", "gone", "r001"])
    assert found.runs == MANY
    assert [axis.key for axis in found.axes][:1] == ["lr"]
    assert {axis.key for axis in found.axes} == {"lr", "opt", "layers", "wd", "acc"}
    assert found.axes[-1].key == "acc"
    lr = axis_of(found, "lr")
    results = [i + 10.0 * (i % 2) for i in range(MANY)]
    rates = [10.0 ** -(i / 10) for i in range(MANY)]
    assert lr.r == pytest.approx(rank_correlation(np.array(rates), np.array(results)))
    assert lr.r is not None
    assert lr.r < -0.9
    assert (lr.lo, lr.hi) == (pytest.approx(10 ** -((MANY - 1) / 10)), 1.0)
    assert lr.values == (pytest.approx(10**-0.3), None, pytest.approx(10**-0.1))
    assert axis_of(found, "acc").values == (13.0, None, 11.0)
    assert table.mattered(TableQuery(), "acc", []).axes[0].r == lr.r, "whatever is shown"


def test_categories_stand_in_the_order_of_their_results(root: Path) -> None:
    found = sweep(root).mattered(TableQuery(), "acc", ["r000", "r001"])
    opt = axis_of(found, "opt")
    assert (opt.kind, opt.categories, opt.values) == ("category", ("sgd", "adamw"), ("sgd", "adamw"))
    assert opt.r is not None
    assert opt.r > 0
    layers = axis_of(found, "layers")
    assert (set(layers.categories), layers.r) == ({"2", "auto", "4"}, None)


def test_only_runs_that_the_filter_chooses_count(root: Path) -> None:
    table = sweep(root)
    found = table.mattered(TableQuery("acc < 20", hide=("failed",)), "acc", ["r069"])
    assert found.runs == sum(i + 10 * (i % 2) < 20 for i in range(MANY))
    assert axis_of(found, "acc").hi == 69 + 10, "the axis holds what is shown on it"
    with pytest.raises(UsageError):
        table.mattered(TableQuery("acc <"), "acc", [])


@pytest.mark.parametrize("metric", ["other", "nobody has it"])
def test_nothing_goes_with_what_does_not_vary(root: Path, metric: str) -> None:
    assert sweep(root).mattered(TableQuery(), metric, ["r000"]).axes == ()


def test_rank_correlation() -> None:
    chance = random.Random(3)
    x = [float(chance.randrange(12)) for _ in range(40)]
    y = [-value + chance.random() * 3 for value in x]

    def ranks(values: list[float]) -> list[float]:
        return [statistics.mean(i for i, other in enumerate(sorted(values)) if other == value) for value in values]

    def r(one: list[float], other: list[float]) -> float | None:
        return rank_correlation(np.array(one), np.array(other))

    assert r(x, y) == pytest.approx(statistics.correlation(ranks(x), ranks(y)))
    assert r([1, 2, 4, 8, 16, np.nan], [5, 4, 3, 2, 1, 9]) == pytest.approx(-1)
    assert r([1, 2, 3], [1, 2, 3]) is None, "three pairs say nothing"
    assert r([1, 1, 1, 1], [1, 2, 3, 4]) is None


# Samples of groups


def grouped(root: Path, **sizes: int) -> RunTable:
    for name, size in sizes.items():
        for i in range(size):
            logged(root, f"{name}{i:03}", {"opt": name}, acc=float(i))
    return table_of(root)


def sampled(table: RunTable, most: int, sort: str = "-acc") -> dict[str | None, list[str]]:
    found: dict[str | None, list[str]] = {}
    for row in table.page(TableQuery(sort=sort, group="opt", columns=(), sample=most)).rows:
        found.setdefault(row.group, []).append(row.id)
    return found


def test_a_sample_has_every_group_small_ones_as_a_whole(root: Path) -> None:
    table = grouped(root, large=40, other=30, small=3)
    assert {group: len(runs) for group, runs in sampled(table, 100).items()} == {"large": 40, "other": 30, "small": 3}
    assert {group: len(runs) for group, runs in sampled(table, 23).items()} == {"large": 10, "other": 10, "small": 3}
    assert {group: len(runs) for group, runs in sampled(table, 2).items()} == {"large": 1, "other": 1, "small": 1}


def test_a_sample_does_not_go_by_the_order(root: Path) -> None:
    table = grouped(root, large=40)
    chosen = {sort: sampled(table, 10, sort)["large"] for sort in ("-acc", "acc", "")}
    assert len({frozenset(runs) for runs in chosen.values()}) == 1
    assert chosen["acc"] == sorted(chosen["acc"]) == chosen["-acc"][::-1], "it stands in the order"
    assert chosen["acc"] != [f"large{i:03}" for i in range(10)]
