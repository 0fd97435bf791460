"""`whirr.query`: the same tables in every library, of a folder and of a server."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import pandas
import polars
import pytest
from run_folders import write_rows, write_run
from servers import serving

from whirr import query
from whirr.connect import open_hub
from whirr.errors import MissingExtra, NotFound, Unauthenticated, UsageError
from whirr.model import Role
from whirr.query import frames

Where = dict[str, Any]


def stamp(number: int) -> str:
    return f"2026-01-01T00:00:{number:02}.000000Z"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three runs: one with texts and non-finite numbers, one of two processes, one that logged nothing."""
    root = tmp_path / ".whirr"
    rows = [{"_idx": n, "_timestamp": stamp(n), "step": n, "loss": 1.0 / (n + 1), "tokens": 100 - n} for n in range(4)]
    rows[2] |= {"loss": None, "_nonfinite": {"loss": "nan"}, "note": "spike"}
    del rows[3]["loss"]
    write_run(
        root,
        "r1",
        name="one",
        started_at=stamp(0),
        tags=["a", "b"],
        config={"lr": 0.1, "model": {"depth": 12}, "mixed": 1},
        summary={"best": 0.5},
        rows=rows,
    )
    folder = write_run(root, "r2", name="two", started_at=stamp(1), config={"lr": 1, "mixed": "x", "layers": [1, 2]})
    write_rows(folder / "metrics.jsonl", [{"_idx": 0, "_timestamp": stamp(5), "step": 7, "loss": 3}])
    write_rows(folder / "metrics.rank1.jsonl", [{"_idx": 0, "_timestamp": stamp(4), "loss": "text"}])
    write_run(root, "r3", status="failed", started_at=stamp(2), finished_at=None)
    return root


@pytest.fixture(params=["folder", "server"])
def where(request: pytest.FixtureRequest, root: Path) -> Iterator[Where]:
    if request.param == "folder":
        yield {"dir": root}
        return
    hub = open_hub(root, serving=True)
    with serving(hub) as url:
        yield {"server": url, "token": hub.tokens.create("reader", Role.READ)}
    hub.close()


@pytest.fixture(params=["pandas", "polars", None])
def frame(request: pytest.FixtureRequest) -> str | None:
    found: str | None = request.param
    return found


def records(table: Any) -> list[dict[str, Any]]:
    """Any table as dicts, without what is missing."""
    if isinstance(table, pandas.DataFrame):
        rows = [
            {str(name): None if value is pandas.NaT else value for name, value in row.items()}
            for row in table.astype(object).to_dict("records")
        ]
    else:
        rows = table.to_dicts() if isinstance(table, polars.DataFrame) else table
    return [{name: value for name, value in row.items() if not is_missing(value)} for row in rows]


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


class TestRuns:
    def test_all_there_is(self, where: Where, frame: str | None) -> None:
        table = query.runs(**where, frame=frame)
        third, second, first = records(table)
        assert (first["run"], first["name"], first["status"], list(first["tags"])) == (
            "r1",
            "one",
            "completed",
            ["a", "b"],
        )
        assert first["started"] == datetime(2026, 1, 1, tzinfo=UTC)
        assert (first["config.lr"], first["config.model.depth"], first["summary.best"]) == (0.1, 12, 0.5)
        assert (first["metrics.tokens"], second["metrics.loss"]) == (97, 3)
        assert (str(first["config.mixed"]), second["config.mixed"]) == ("1", "x")
        assert "finished" not in third

    def test_chosen_sorted_and_cut(self, where: Where, frame: str | None) -> None:
        table = query.runs(
            "lr > 0 and name:*o*", columns=["lr", "loss.count", "absent"], sort="-lr", **where, frame=frame
        )
        assert records(table) == [{"run": "r2", "lr": 1, "loss.count": 2}, {"run": "r1", "lr": 0.1, "loss.count": 3}]
        if frame is not None:
            assert list(table.columns) == ["run", "lr", "loss.count", "absent"]
        assert [row["run"] for row in records(query.runs(limit=2, **where, frame=frame))] == ["r3", "r2"]
        nothing = query.runs("nothing", columns=["lr"], **where, frame=frame)
        assert records(nothing) == []
        if frame is not None:
            assert list(nothing.columns) == ["run", "lr"]

    def test_a_filter_that_cannot_be_understood(self, where: Where) -> None:
        with pytest.raises(UsageError) as caught:
            query.runs("lr >", **where)
        assert caught.value.at == (4, 4)


class TestMetrics:
    def test_of_what_runs_gave(self, where: Where, frame: str | None) -> None:
        chosen = query.runs("has loss", sort="name", **where, frame=frame)
        table = query.metrics(chosen, **where, frame=frame)
        found = records(table)
        assert [(row["run"], row.get("step")) for row in found] == [
            ("r1", 0),
            ("r1", 1),
            ("r1", 2),
            ("r1", 3),
            ("r2", None),
            ("r2", 7),
        ]
        assert found[0]["timestamp"] == datetime(2026, 1, 1, tzinfo=UTC)
        assert [row.get("tokens") for row in found] == [100, 99, 98, 97, None, None]
        assert [str(row.get("loss")) for row in found[:2]] == ["1.0", "0.5"]
        assert (found[4]["loss"], float(found[5]["loss"])) == ("text", 3.0)
        assert found[2]["note"] == "spike"

    def test_keys(self, where: Where, frame: str | None) -> None:
        table = query.metrics(["r1"], "loss", **where, frame=frame)
        assert [row["step"] for row in records(table)] == [0, 1, 2]
        if frame == "polars":
            assert table["loss"].is_nan().to_list() == [False, False, True]
        if frame is not None:
            assert list(table.columns) == ["run", "step", "timestamp", "loss"]
            assert table["step"].to_list() == [0, 1, 2]
            assert table.schema["step"] == polars.Int64 if frame == "polars" else str(table["step"].dtype) == "int64"
        nothing = query.metrics(["r3"], ["loss"], **where, frame=frame)
        assert records(nothing) == []
        if frame is not None:
            assert list(nothing.columns) == ["run", "step", "timestamp", "loss"]

    def test_other_axes_and_bounds(self, where: Where, frame: str | None) -> None:
        table = query.metrics("one", ["loss"], x="tokens", between=(99, None), **where, frame=frame)
        assert [(row["tokens"], row["step"]) for row in records(table)] == [(99, 1), (100, 0)]
        table = query.metrics(["r2"], ["loss"], x="relative", **where, frame=frame)
        assert [row["relative"] for row in records(table)] == [3.0, 4.0]
        table = query.metrics(["r1"], ["tokens"], x="time", between=(None, 1_767_225_601.0), **where, frame=frame)
        assert [row["time"] for row in records(table)] == [1_767_225_600.0, 1_767_225_601.0]
        table = query.metrics(["r1", "r2"], ["loss"], between=(1, 7), **where, frame=frame)
        assert [(row["run"], row["step"]) for row in records(table)] == [("r1", 1), ("r1", 2), ("r2", 7)]

    def test_of_no_run(self, where: Where, frame: str | None) -> None:
        assert records(query.metrics([], **where, frame=frame)) == []
        with pytest.raises(NotFound):
            query.metrics(["none"], **where, frame=frame)

    def test_the_same_in_every_library(self, where: Where) -> None:
        plain, *others = (records(query.metrics(["r1"], **where, frame=kind)) for kind in (None, "pandas", "polars"))
        assert all(other == plain for other in others)


def test_polars_without_numpy(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> object:
        return None if name == "numpy" else True

    expected = query.metrics(["r1"], dir=root, frame="polars")
    monkeypatch.setattr(frames, "find_spec", without)
    found = query.metrics(["r1"], dir=root, frame="polars")
    assert records(found) == records(expected)
    assert records(query.metrics(["r3"], dir=root, frame="polars")) == []


class TestWrongCalls:
    def test_a_library_that_is_missing(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(frames, "find_spec", lambda name: None)
        with pytest.raises(MissingExtra, match="neither pandas nor polars is installed") as caught:
            query.runs(dir=root)
        assert "frame=None" in str(caught.value.hint)
        with pytest.raises(MissingExtra, match=r"^polars is not installed$"):
            query.runs(dir=root, frame="polars")
        assert len(query.runs(dir=root, frame=None)) == 3

    def test_arguments(self, root: Path) -> None:
        for call in (
            lambda: query.runs(dir=root, frame="excel"),
            lambda: query.runs(dir=root, server="http://localhost:1"),
            lambda: query.runs(dir=root, columns="lr"),
            lambda: query.metrics(7, dir=root),
            lambda: query.metrics([{"id": "r1"}], dir=root),
            lambda: query.metrics(polars.DataFrame({"id": ["r1"]}), dir=root),
        ):
            with pytest.raises(UsageError):
                call()
        with pytest.raises(NotFound):
            query.runs(dir=root / "none")

    def test_a_token_that_is_wrong(self, root: Path) -> None:
        hub = open_hub(root, serving=True)
        with serving(hub) as url, pytest.raises(Unauthenticated):
            query.runs(server=url, token="wrong")
        hub.close()


def test_the_folder_in_force_and_the_server_of_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHIRR_DIR", str(root))
    assert len(query.runs(frame=None)) == 3
    monkeypatch.setenv("WHIRR_SERVER_URL", "http://127.0.0.1:1")
    assert len(query.runs(dir=root, frame=None)) == 3


def test_arrays_become_rows_of_plain_values() -> None:
    masked = numpy.ma.MaskedArray([1.0, 2.0], [False, True])
    texts = numpy.ma.MaskedArray(numpy.array(["x", "y"], object))
    assert frames.Plain().part({"loss": masked, "phase": texts}) == [
        {"loss": 1.0, "phase": "x"},
        {"loss": None, "phase": "y"},
    ]
