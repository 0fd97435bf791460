"""The table of runs over folders: what it shows, and that it is up to date and honest."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from helpers import wait_until
from hypothesis import given, settings
from hypothesis import strategies as st
from run_folders import settle, write_rows, write_run

from whirr import index as index_module
from whirr import roster as roster_module
from whirr.catalog import RunQuery
from whirr.errors import FolderError, UsageError
from whirr.index import RunIndex
from whirr.jsonio import dumps, write_atomic
from whirr.localruns import LocalRuns
from whirr.roster import Roster
from whirr.runtable import RunTable, TablePage, TableQuery
from whirr.runtable.views import Spread

NOW = 1_772_366_400.0  # 2026-03-01T12:00:00Z


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / ".whirr"


def table_of(root: Path) -> RunTable:
    index = RunIndex(root)
    return RunTable(index, Roster(index), now=lambda: NOW, look_every_s=0.0, rest_s=0.0)


@pytest.fixture
def table(root: Path) -> RunTable:
    return table_of(root)


def stamp(number: int) -> str:
    return f"2026-01-01T00:{number // 60:02}:{number % 60:02}.000000Z"


def numbered(root: Path, *numbers: int, **more: Any) -> None:
    for number in numbers:
        write_run(
            root,
            f"r{number:02}",
            **{
                "name": f"run {number}",
                "status": "failed" if number % 2 else "completed",
                "tags": ["odd"] if number % 2 else [],
                "started_at": stamp(number),
                "config": {"lr": number / 10, "optimizer": ("adamw", "sgd", "lion")[number % 3]},
                "summary": {"best": number},
                "rows": [{"_idx": 0, "_timestamp": stamp(number), "step": 0, "val/acc": 1 - number / 100}],
                **more,
            },
        )


def ids(page: TablePage) -> list[str]:
    return [row.id for row in page.rows]


def read(table: RunTable, **query: Any) -> TablePage:
    assert table.settle()
    return table.page(TableQuery(**query))


class TestPage:
    def test_without_any_run(self, table: RunTable) -> None:
        page = read(table)
        assert (page.every, page.chosen, page.running, page.reading) == (0, 0, 0, None)
        assert (page.columns, page.groups, page.rows, page.remarks) == ((), (), (), ())
        assert read(table, group="lr", sort="x", filter="lr > 1").groups == ()

    def test_a_row(self, root: Path, table: RunTable) -> None:
        numbered(root, 1, cause={"kind": "exception", "message": "out of\nmemory"}, job_id=7)
        page = read(table, columns=("val/acc", "lr", "optimizer", "absent", "started", "val/acc.count"))
        (row,) = page.rows
        assert row.cells == (0.99, 0.1, "sgd", None, stamp(1), 1)
        assert (row.id, row.name, row.status, row.cause, row.tags) == ("r01", "run 1", "failed", "out of", ("odd",))
        assert (row.started_at, row.duration_seconds, row.job_id, row.group) == (stamp(1), 60.0, 7, None)
        assert [(column.key, column.room, column.kind, column.lo) for column in page.columns] == [
            ("val/acc", "metrics", "number", 0.99),
            ("lr", "config", "number", 0.1),
            ("optimizer", "config", "text", None),
            ("absent", "config", "text", None),
            ("started", "field", "text", None),
            ("val/acc.count", "metrics", "number", 1.0),
        ]

    def test_order_window_and_counts(self, root: Path, table: RunTable) -> None:
        numbered(root, *range(10))
        page = read(table, start=2, limit=3)
        assert (ids(page), page.every, page.chosen) == (["r07", "r06", "r05"], 10, 10)
        assert ids(read(table, sort="lr", limit=2)) == ["r00", "r01"]
        assert ids(read(table, sort="-lr", limit=2)) == ["r09", "r08"]
        assert ids(read(table, sort="val/acc", start=8)) == ["r01", "r00"]
        assert ids(read(table, start=99)) == []
        page = read(table, filter="lr >= 0.5 and tag:odd", sort="lr")
        assert (ids(page), page.every, page.chosen) == (["r05", "r07", "r09"], 10, 3)
        assert page.columns[0].lo is not None
        assert ids(read(table, hide=("failed", "running"))) == ["r08", "r06", "r04", "r02", "r00"]

    def test_bounds_are_those_of_the_chosen(self, root: Path, table: RunTable) -> None:
        numbered(root, *range(10))
        (column,) = read(table, filter="lr > 0.35", columns=("lr",)).columns
        assert (column.lo, column.hi) == (0.4, 0.9)

    def test_groups(self, root: Path, table: RunTable) -> None:
        numbered(root, *range(7))
        write_run(root, "r90", started_at=stamp(90))
        page = read(table, group="optimizer", sort="-lr", columns=("lr", "optimizer"))
        assert [(group.label, group.value, group.size, group.start) for group in page.groups] == [
            ("lion", "lion", 2, 0),
            ("adamw", "adamw", 3, 2),
            ("sgd", "sgd", 2, 5),
            ("none", None, 1, 7),
        ]
        assert ids(page) == ["r05", "r02", "r06", "r03", "r00", "r04", "r01", "r90"]
        assert [row.group for row in page.rows] == ["lion"] * 2 + ["adamw"] * 3 + ["sgd"] * 2 + ["none"]
        cells = [group.cells for group in page.groups]
        assert cells[1] == (Spread(pytest.approx(0.3), pytest.approx(0.3), 3), None)
        assert cells[3] == (None, None)
        assert ids(read(table, group="optimizer", sort="-lr", start=5, limit=2)) == ["r04", "r01"]

    def test_values_that_are_no_plain_json(self, root: Path, table: RunTable) -> None:
        config = {"layers": [1, 2], "big": 2**60, "wild": "Infinity", "none": None, "model": {"a": 1}, "flag": True}
        write_run(root, "r1", config=config)
        page = read(table, columns=tuple(config))
        assert page.rows[0].cells == ("[1,2]", 2**60, float("inf"), None, '{"a":1}', True)
        assert [column.kind for column in page.columns] == ["text", "text", "number", "text", "text", "text"]

    def test_columns_that_are_proposed(self, root: Path, table: RunTable) -> None:
        numbered(root, 1, 2, 3)
        assert [column.key for column in read(table).columns] == ["val/acc", "best", "lr", "optimizer"]
        assert [column.key for column in read(table, filter="lr = 0.1").columns] == [
            "val/acc",
            "best",
            "lr",
            "optimizer",
        ]

    def test_what_cannot_be_understood(self, root: Path, table: RunTable) -> None:
        numbered(root, 1)
        with pytest.raises(UsageError) as caught:
            read(table, filter="lr > ")
        assert caught.value.at == (5, 5)

    def test_remarks(self, root: Path, table: RunTable) -> None:
        numbered(root, 1, 2)
        page = read(table, filter="not val/ac > 1 and tag:od and status:x and best > 0")
        assert [(remark.text, remark.hint, remark.at) for remark in page.remarks] == [
            ("no run has val/ac", "did you mean val/acc?", (4, 10)),
            ("there is no tag od", "did you mean odd?", (19, 22)),
            ("there is no status called x", None, (30, 36)),
        ]

    def test_hostile_texts_are_texts(self, root: Path, table: RunTable) -> None:
        odd = "<img src=x onerror=alert(1)>"
        write_run(root, "r1", name=odd, tags=[odd], config={odd: odd})
        page = read(table, columns=(odd,), group=odd, filter=f'"{odd}" = "{odd}"')
        assert (page.rows[0].name, page.rows[0].cells, page.groups[0].label) == (odd, (odd,), odd)


class TestUpToDate:
    def test_runs_come_change_and_go(self, root: Path, table: RunTable) -> None:
        numbered(root, 1)
        first = read(table)
        assert table.page(TableQuery()).version == first.version
        numbered(root, 2)
        second = read(table)
        assert (ids(second), second.version != first.version) == (["r02", "r01"], True)
        numbered(root, 1, status="running", name="renamed", summary={"best": 99})
        assert read(table, filter="renamed", columns=("best",)).rows[0].cells == (99,)
        shutil.rmtree(root / "runs" / "r02")
        assert ids(read(table)) == ["r01"]

    @pytest.mark.parametrize("many", [False, True])
    def test_a_document_changed_in_place_is_seen_when_its_run_is_shown(
        self, root: Path, table: RunTable, monkeypatch: pytest.MonkeyPatch, many: bool
    ) -> None:
        if many:
            monkeypatch.setattr(roster_module, "MANY", 1)
        numbered(root, 1, 2)
        read(table)
        path = root / "runs" / "r01" / "meta.json"
        meta = orjson.loads(path.read_bytes())
        path.write_bytes(orjson.dumps({**meta, "name": "edited"}))
        settle(path.parent)
        assert table.page(TableQuery()).rows[1].name == "edited"

    def test_what_a_run_logs_is_seen(self, root: Path, table: RunTable) -> None:
        process = {"pid": os.getpid(), "boot_id": None, "start_time": None, "host": os.uname().nodename}
        folder = write_run(root, "r1", status="running", started_at="2026-03-01T11:59:00Z", process=process)
        with (folder / "metrics.jsonl").open("ab") as file:
            for number in range(3):
                file.write(orjson.dumps({"_idx": number, "_timestamp": stamp(number), "loss": number}) + b"\n")
                file.flush()
                (folder / "heartbeat").touch()
                settle(folder)  # appending does not touch the folder
                page = read(table, columns=("loss", "loss.count"))
                assert page.rows[0].cells == (number, number + 1)

    def test_what_an_ended_run_gets_late_is_seen(self, root: Path, table: RunTable) -> None:
        numbered(root, 1)
        read(table)
        write_rows(root / "runs" / "r01" / "metrics.late.jsonl", [{"_idx": 0, "_timestamp": stamp(5), "late": 1}])
        settle(root / "runs" / "r01")
        assert read(table, columns=("late",)).rows[0].cells == (1,)

    def test_a_live_run_counts_and_shows_how_far_it_is(self, root: Path, tmp_path: Path) -> None:
        import whirr

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WHIRR_DIR", str(root))
            run = whirr.init(name="live", config={"epochs": 4}, capture_git=False, capture_pip=False)
        run.log({"loss": 0.5, "epoch": 1})
        table = table_of(root)
        page = read(table, columns=("loss",))
        assert (page.running, page.rows[0].progress, page.rows[0].cells) == (1, 0.25, (0.5,))
        assert page.rows[0].duration_seconds is not None
        run.finish()
        page = read(table)
        assert (page.running, page.rows[0].status, page.rows[0].progress) == (0, "completed", None)

    def test_broken_folders_are_rows(self, root: Path, table: RunTable) -> None:
        numbered(root, 1)
        for name, text in (("broken", "{"), ("list", "[]"), ("wrong", '{"tags": 3, "name": [], "started_at": 5}')):
            (root / "runs" / name).mkdir()
            (root / "runs" / name / "meta.json").write_text(text)
        (root / "runs" / "empty").mkdir()
        page = read(table, columns=("lr",))
        assert {row.id: row.status for row in page.rows if row.id != "r01"} == dict.fromkeys(
            ("broken", "list", "wrong", "empty"), "unknown"
        )
        assert read(table, filter="status:unknown").chosen == 4
        write_atomic(root / "runs" / "broken" / "meta.json", dumps({"status": "completed", "name": "mended"}))
        assert read(table, filter="mended").rows[0].status == "completed"

    def test_a_folder_that_cannot_be_read_is_an_error_until_it_can(self, root: Path, table: RunTable) -> None:
        root.mkdir()
        (root / "runs").write_text("no folder")
        with pytest.raises(FolderError):
            read(table)
        (root / "runs").unlink()
        numbered(root, 1)
        assert ids(read(table)) == ["r01"]

    def test_of_very_much_the_end_is_shown_first(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(index_module, "READ_AT_ONCE", 1000)
        numbered(root, 1)
        rows = [{"_idx": n, "_timestamp": stamp(n % 60), "loss": 1.0 / (n + 1)} for n in range(20_000)]
        write_run(root, "big", started_at=stamp(50), rows=rows)
        index = RunIndex(root)
        table = RunTable(index, Roster(index), look_every_s=0.0, rest_s=3600.0)
        page = wait_until(lambda: (found := table.page(TableQuery(columns=("loss",)))).reading is None and found)
        assert page.rows[0].cells == (1.0 / 20_000,)
        assert table.page(TableQuery(columns=("loss.max",))).rows[0].cells == (None,)
        assert read(table_of(root), columns=("loss", "loss.max", "loss.count")).rows[0].cells == (
            1.0 / 20_000,
            1.0,
            20_000,
        )


def test_while_runs_are_read_it_says_so(root: Path, table: RunTable, monkeypatch: pytest.MonkeyPatch) -> None:
    numbered(root, *range(20))
    gate, begun = threading.Event(), threading.Event()
    logged = RunIndex.glance

    def slow(self: RunIndex, entry: Any) -> Any:
        begun.set()
        assert gate.wait(30)
        return logged(self, entry)

    monkeypatch.setattr(RunIndex, "glance", slow)
    page = table.page(TableQuery(filter="optimizer:adamw", columns=("val/acc", "lr")))
    assert begun.wait(30)
    page = table.page(TableQuery(filter="optimizer:adamw", columns=("val/acc", "lr")))
    assert page.reading == (0, 20)
    assert page.every == 20
    assert {row.cells[0] for row in page.rows} == {None}
    assert page.rows[0].cells[1] is not None
    gate.set()
    assert read(table, filter="optimizer:adamw").reading is None


FILTERS = [
    "lr > 0.4",
    "best in 2..5 or tag:odd",
    "status:failed and not optimizer = sgd",
    "val/acc < 0.97 and has lr",
    "run",
]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(FILTERS), st.sampled_from([None, "lr", "-val/acc", "name", "-optimizer", "absent"]))
def test_it_chooses_and_sorts_as_the_listing_does(
    shared: tuple[LocalRuns, RunTable], written: str, sort: str | None
) -> None:
    runs, table = shared
    listed = runs.page(RunQuery(filter=written, sort=sort))
    page = table.page(TableQuery(filter=written, sort=sort or ""))
    assert ids(page) == [run.id for run in listed.runs]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalRuns, RunTable]:
    root = tmp_path_factory.mktemp("shared") / ".whirr"
    numbered(root, *range(12))
    runs = LocalRuns(root)
    table = runs.table
    assert runs.table is table
    assert table.settle()
    return runs, table


def test_many_who_ask_while_runs_come_and_go(root: Path, table: RunTable) -> None:
    numbered(root, *range(10))
    stop = threading.Event()
    failures: list[BaseException] = []

    def ask(query: TableQuery) -> None:
        try:
            while not stop.is_set():
                page = table.page(query)
                assert len(set(ids(page))) == len(page.rows)
                assert all(row.cells[1] == "adamw" for row in page.rows)
                table.keys()
        except BaseException as error:
            failures.append(error)

    query = TableQuery(filter="optimizer = adamw", sort="-val/acc", group="lr", columns=("val/acc", "optimizer"))
    threads = [threading.Thread(target=ask, args=(query,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(10, 40):
        numbered(root, number)
        shutil.rmtree(root / "runs" / f"r{number - 10:02}")
    stop.set()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert ids(read(table)) == [f"r{number:02}" for number in range(39, 29, -1)]


def test_keys(root: Path, table: RunTable) -> None:
    numbered(root, 1, 2, 3)
    assert table.settle()
    keys = table.keys()
    assert [(key.key, key.runs, key.values) for key in keys.config] == [
        ("lr", 3, (0.1, 0.2, 0.3)),
        ("optimizer", 3, ("adamw", "lion", "sgd")),
    ]
    assert ([key.key for key in keys.metrics], [key.key for key in keys.summary], keys.tags) == (
        ["val/acc"],
        ["best"],
        ("odd",),
    )
    assert {"started", "tag"} <= set(keys.fields)
