"""Columns of many runs give what one look at a run after the other gives: keys, filters, order, groups."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whirr.catalog import RunView
from whirr.derive import Derived
from whirr.errors import UsageError
from whirr.expression import matcher, parse, value_of
from whirr.expression.matching import TAGS
from whirr.runtable.column import Column, merged
from whirr.runtable.grouping import MOST, grouped, label, spreads
from whirr.runtable.keys import all_keys, keys_of, name_of
from whirr.runtable.proposal import proposed
from whirr.runtable.rows import Rows
from whirr.where import MISSING, lookup, sort_by

NOW = 1_772_366_400.0

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**60, 2**60 + 1, -(2**62)])
    | st.floats(-2, 2)
    | st.sampled_from(["NaN", "Infinity", "-Infinity", "", "a", "b", "64", "-1"])
)
KEYS = st.sampled_from(["a", "b", "a.b", "a/b", "b.c", "c", "loss", "min", "", "config", "config.a", "tag"])
DOCUMENTS = st.recursive(
    st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=2), max_size=4),
    lambda inner: st.dictionaries(KEYS, SCALARS | inner, max_size=4),
    max_leaves=8,
)
METRICS = st.dictionaries(
    st.sampled_from(["loss", "a", "a.b", "a/b", "loss.min", "", "min"]),
    st.builds(
        Derived, SCALARS, st.none() | st.floats(-2, 2), st.none() | st.floats(-2, 2), st.integers(1, 9), st.just(0)
    ),
    max_size=3,
)
RECORDS = st.fixed_dictionaries(
    {
        "name": st.sampled_from([None, "vit", "Res net"]),
        "status": st.sampled_from(["completed", "failed", "running"]),
        "started_at": st.sampled_from(["2026-02-28T12:00:00.000000Z", "2026-03-01T00:00:00Z", "once", None]),
        "duration_seconds": st.sampled_from([None, 5.5, 4000]),
        "tags": st.sampled_from([None, [], ["x"], ["x", "sweep-7"]]),
        "summary": DOCUMENTS,
        "config": DOCUMENTS,
    }
)
RUNS = st.lists(st.tuples(RECORDS, METRICS), max_size=6).map(
    lambda parts: [RunView(f"r{number}", "", *part) for number, part in enumerate(parts)]
)
PATHS = [
    "a",
    "b",
    "a.b",
    "a/b",
    "a.b.c",
    "a/b.c",
    "c",
    "loss",
    "loss.min",
    "min",
    "a.count",
    "loss.last",
    "",
    "tag",
    "tags",
]
ASKED = st.sampled_from(
    [room + path for room in ("", "config.", "summary.", "metrics.") for path in PATHS]
    + ["name", "status", "started", "duration", "id", "job", "absent"]
)


def rows_of(runs: list[RunView], most_bytes: int = 1 << 30) -> Rows:
    by_id = {run.id: run for run in runs}
    rows = Rows(lambda run_id, record, metrics: by_id[run_id], most_bytes)
    rows.put(runs, metrics=False)
    rows.put(runs, metrics=True)
    rows.arrange([run.id for run in runs])
    return rows


def same(one: Any, other: Any) -> bool:
    return (type(one) is type(other) and one == other) or (one != one and other != other)


@settings(max_examples=100, deadline=None)
@given(RUNS, st.lists(ASKED, min_size=1, max_size=6), st.sampled_from([1, 1 << 30]))
def test_columns_hold_what_lookups_give(runs: list[RunView], keys: list[str], most_bytes: int) -> None:
    rows = rows_of(runs, most_bytes)
    for key in keys:
        column = rows.column(key)
        for run in runs:
            expected = lookup(run, "tags") if key in TAGS else value_of(run, key)
            found = MISSING if column is None else column.get(rows.slots[run.id])
            assert same(found, expected), (key, run)


OPERANDS = ["1", "-1", "0.5", "a", "'64'", "64", "true", "null", "nan", "inf", str(2**60), "b", "sweep-7"]
CONDITIONS = st.one_of(
    st.builds(
        "{} {} {}".format,
        ASKED.map(lambda key: f'"{key}"' if key else "b"),
        st.sampled_from(["=", "!=", "<", ">="]),
        st.sampled_from(OPERANDS),
    ),
    st.builds(
        '"{}" in {}..{}'.format, ASKED.filter(bool), st.sampled_from(["-1", "", "0"]), st.sampled_from(["1", "2.5"])
    ),
    st.builds('"{}" in ({}, 1)'.format, ASKED.filter(bool), st.sampled_from(OPERANDS)),
    st.builds('{} "{}"'.format, st.sampled_from(["has", "missing"]), ASKED.filter(bool)),
    st.builds('"{}":{}'.format, ASKED.filter(bool), st.sampled_from(["a*", "*", "6?", "x"])),
    st.builds('"{}" {} {}'.format, ASKED.filter(bool), st.sampled_from(["~", "!~"]), st.sampled_from(["^a|4$", "."])),
    st.sampled_from(
        ["vit", "res", "r1", "sweep", "started > 1d", "started = 2026-02", "duration > 1h", "started ~ ^once"]
    ),
).filter(lambda text: not text.startswith(('"started"', '"duration"')) or ":" in text or "~" in text)


@settings(max_examples=200, deadline=None)
@given(RUNS, st.lists(CONDITIONS, min_size=1, max_size=3), st.sampled_from([" and ", " or ", " and not "]))
def test_filters_choose_the_same_runs(runs: list[RunView], conditions: list[str], joint: str) -> None:
    text = joint.join(conditions)
    rows = rows_of(runs)
    passing = rows.passing(parse(text), NOW)
    holds = matcher(text, NOW)
    assert [run.id for run in runs if passing[rows.slots[run.id]]] == [run.id for run in runs if holds(run)], text


@settings(max_examples=80, deadline=None)
@given(RUNS, ASKED.filter(lambda key: key not in TAGS), st.booleans())
def test_orders_are_the_same(runs: list[RunView], key: str, descending: bool) -> None:
    rows = rows_of(runs)
    column = rows.column(key)
    order = rows.order if column is None else column.sorted(rows.order, descending=descending)
    expected = sort_by(runs, key, descending=descending, look=value_of if key == "started" else lookup)
    assert [rows.ids[slot] for slot in order] == [run.id for run in expected]


@settings(max_examples=40, deadline=None)
@given(st.lists(RUNS, min_size=1, max_size=4), st.lists(ASKED, min_size=1, max_size=4), st.sampled_from([1, 1 << 30]))
def test_what_changes_step_by_step_is_as_if_read_at_once(
    stages: list[list[RunView]], keys: list[str], most_bytes: int
) -> None:
    now: dict[str, RunView] = {}
    rows = Rows(lambda run_id, record, metrics: now[run_id], most_bytes)
    for runs in stages:
        gone = now.keys() - {run.id for run in runs}
        now.clear()
        now.update({run.id: run for run in runs})
        rows.remove(gone)
        rows.put(runs, metrics=False)
        rows.put(runs, metrics=True)
        rows.arrange(list(now))
        fresh = rows_of(runs)
        for key in keys:
            columns = rows.column(key), fresh.column(key)
            for run in runs:
                one, other = (
                    MISSING if column is None else column.get(table.slots[run.id])
                    for column, table in zip(columns, (rows, fresh), strict=True)
                )
                assert same(one, other), key
    assert len(rows.order) == len(now)


def run(number: int, *, metrics: dict[str, float] | None = None, **config: Any) -> RunView:
    found = {name: Derived(value, value, value, 1, 0) for name, value in (metrics or {}).items()}
    record = {"status": "completed", "started_at": f"2026-01-01T00:{number:02}:00Z", "config": config, "tags": []}
    return RunView(f"r{number}", "", record, found)


class TestColumn:
    def test_more_slots_than_there_were(self) -> None:
        runs = [run(0, n=number)._replace(id=f"r{number}") for number in range(3000)]
        rows = rows_of(runs)
        column = rows.column("n")
        assert column is not None
        assert [column.get(slot) for slot in rows.order] == list(range(3000))

    def test_texts_that_nobody_has_any_more_are_forgotten(self) -> None:
        column = Column(4)
        for number in range(5000):
            column.fill([number % 4], [number % 4], [f"text {number}"])
        assert len(column.others) < 1100
        assert [column.get(slot) for slot in range(4)] == [f"text {4996 + slot}" for slot in range(4)]

    def test_merged_takes_the_first_there_is(self) -> None:
        first, second = Column(4), Column(4)
        first.fill([], [0, 1], ["a", 1])
        second.fill([], [1, 2, 3], ["b", "c", "a"])
        both = merged([first, second])
        assert [both.get(slot) for slot in range(4)] == ["a", 1, "c", "a"]
        assert first.others == ["a"]


class TestGroups:
    def groups(self, values: list[Any], numbers: list[float | None], *, descending: bool = False) -> list[Any]:
        column, by = Column(len(values)), Column(len(values))
        slots = np.arange(len(values))
        column.fill([], slots.tolist(), values)
        by.fill([], slots.tolist(), [MISSING if number is None else number for number in numbers])
        found = grouped("key", column, slots, by, descending=descending)
        assert sorted(found.order.tolist()) == slots.tolist()
        return [
            (value, found.order[start : start + count].tolist())
            for value, start, count in zip(found.values, found.starts, found.counts, strict=True)
        ]

    def test_groups_stand_in_the_order_of_their_means(self) -> None:
        values, numbers = ["a", "b", "a", MISSING, "b", "c"], [1.0, 5.0, 2.0, 9.0, 7.0, None]
        assert self.groups(values, numbers) == [("a", [0, 2]), ("b", [1, 4]), ("c", [5]), (MISSING, [3])]
        assert self.groups(values, numbers, descending=True) == [
            ("b", [1, 4]),
            ("a", [0, 2]),
            ("c", [5]),
            (MISSING, [3]),
        ]

    def test_without_an_order_in_that_of_their_first_runs(self) -> None:
        assert self.groups(["b", "a", "b"], [None, None, None]) == [("b", [0, 2]), ("a", [1])]

    def test_numbers_that_are_equal_are_one_group(self) -> None:
        values = [1, 1.0, True, "1", math.nan, math.nan, None, MISSING]
        assert [members for _, members in self.groups(values, [0.0] * 8)] == [[0, 1], [2], [3], [4, 5], [6, 7]]

    def test_a_key_that_no_run_has_makes_one_group(self) -> None:
        found = grouped("key", None, np.arange(3), None, descending=False)
        assert (found.values, found.counts, label("key", found.values[0])) == ([MISSING], [3], "none")
        assert grouped("key", None, np.arange(0), None, descending=False).values == []

    def test_mean_and_spread_are_those_of_the_sample(self) -> None:
        numbers = [1.5, 2.5, 7.0, math.inf, 4.0]
        column = Column(5)
        column.fill([], list(range(5)), numbers)
        first, second = spreads(column, np.arange(5), np.array([0, 0, 0, 1, 1]), 2)
        assert first is not None
        assert (first.mean, first.n) == (statistics.fmean(numbers[:3]), 3)
        assert first.sd == pytest.approx(statistics.stdev(numbers[:3]))
        assert second is not None
        assert tuple(second) == (4.0, None, 1)

    def test_too_many_groups_are_refused(self) -> None:
        with pytest.raises(UsageError, match="too many"):
            self.groups(list(range(MOST + 1)), [0.0] * (MOST + 1))


class TestKeys:
    def test_what_there_is_to_choose_from(self) -> None:
        runs = [
            run(number, lr=10.0**-number, optimizer="sgd", model={"depth": 3}, loss="mse", metrics={"loss": 1.0})
            for number in range(3)
        ]
        rows = rows_of(runs)
        found = keys_of(rows)
        assert [(key.key, key.runs, key.values, key.lo, key.hi) for key in found.config] == [
            ("config.loss", 3, ("mse",), None, None),
            ("lr", 3, (0.01, 0.1, 1.0), 0.01, 1.0),
            ("model.depth", 3, (3,), 3.0, 3.0),
            ("optimizer", 3, ("sgd",), None, None),
        ]
        assert [(key.key, key.runs) for key in found.metrics] == [("loss", 3)]
        assert sorted(all_keys(rows)) == ["config.loss", "loss", "lr", "model.depth", "optimizer"]
        assert all(rows.sources(name_of(rows, source))[0] == source for source in rows.known())

    def test_many_values_are_not_listed(self) -> None:
        rows = rows_of([run(number, seed=number) for number in range(40)])
        assert [(key.key, key.values, key.hi) for key in keys_of(rows).config] == [("seed", (), 39.0)]

    def test_columns_are_proposed_that_vary(self) -> None:
        runs = [
            run(
                number,
                lr=0.1 * number,
                epochs=70,
                seed=number,
                model={"depth": number},
                metrics={"train/loss": number, "val/acc": number, "val/loss": number, "grad": number, "step_time": 1.0},
            )
            for number in range(4)
        ]
        assert list(proposed(rows_of(runs))) == ["val/acc", "val/loss", "train/loss", "lr", "model.depth", "seed"]
        assert list(proposed(rows_of(runs[:1])))[:2] == ["val/acc", "val/loss"]  # of the only run whatever it has
        assert list(proposed(rows_of([]))) == []
