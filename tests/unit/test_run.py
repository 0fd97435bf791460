"""What a training script sees of a run: values, artifacts, and trouble that never reaches it."""

from __future__ import annotations

import argparse
import math
import os
import resource
import shutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import strict_json, wait_until

import whirr
import whirr.run
from whirr.document import Document
from whirr.errors import ArtifactNameError, FolderError, NotAMapping, UsageError, WhirrWarning
from whirr.metrics import MetricsWriter
from whirr.upkeep import Upkeep


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    yield
    for run in list(whirr.run.open_runs()):
        run.finish()


def quick(**more: Any) -> whirr.Run:
    return whirr.init(system_metrics=False, capture_git=False, capture_pip=False, **more)


@pytest.fixture
def run(workplace: Path) -> whirr.Run:
    return quick()


@contextmanager
def nothing_can_be_written() -> Iterator[None]:
    """For no thread of this process, so the capture of the run's origin must be over."""
    wait_until(lambda: all(thread.name != "whirr-capture" for thread in threading.enumerate()), timeout=30)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@dataclass
class Optimizer:
    lr: float = 0.1


class TestConfig:
    """What the program passed, what it sees, what is on disk."""

    @pytest.mark.parametrize(
        "config", [{"lr": 0.1}, argparse.Namespace(lr=0.1), Optimizer(0.1)], ids=["dict", "namespace", "dataclass"]
    )
    def test_every_kind_reads_the_same(self, workplace: Path, config: Any) -> None:
        run = quick(config=config)
        assert run.config == {"lr": 0.1}
        assert whirr.read_meta(run.run_dir)["config"] == {"lr": 0.1}

    def test_none(self, run: whirr.Run) -> None:
        assert run.config == {}
        assert strict_json((run.run_dir / "config.json").read_bytes()) == {}

    def test_the_program_keeps_its_objects(self, workplace: Path) -> None:
        config = {"opt": Optimizer(), "path": Path("data"), "layers": [1, 2], "bad": object(), "nan": math.nan}
        run = quick(config=config)
        assert run.config == config
        assert run.config["opt"] is config["opt"]
        stored = strict_json((run.run_dir / "config.json").read_bytes())
        assert (stored["opt"], stored["path"], stored["nan"]) == ({"lr": 0.1}, "data", "NaN")

    def test_later_changes_reach_neither_the_run_nor_the_file(self, workplace: Path) -> None:
        config: dict[str, Any] = {"layers": [1], "deep": {"a": 1}}
        run = quick(config=config)
        stored = (run.run_dir / "config.json").read_bytes()
        config["layers"].append(2)
        config["deep"]["a"] = 2
        config["new"] = 1
        run.finish()
        assert run.config == {"layers": [1], "deep": {"a": 1}}
        assert (run.run_dir / "config.json").read_bytes() == stored


class TestLog:
    """Records as they come back."""

    def test_all_kinds_of_values(self, run: whirr.Run) -> None:
        run.log(
            {
                "python": 0.5,
                "numpy": np.float32(0.25),
                "zero-d": np.array(3),
                "nan": math.nan,
                "inf": -math.inf,
                "train": {"loss": 1, "acc": {"top1": 2}},
                "list": [1, 2],
                "text": "x",
                "none": None,
                "bool": True,
            },
            step=np.int64(7),
        )
        (row,) = whirr.read_metrics(run.run_dir)
        assert math.isnan(row.pop("nan"))
        assert {key: value for key, value in row.items() if not key.startswith("_")} == {
            "step": 7,
            "python": 0.5,
            "numpy": 0.25,
            "zero-d": 3,
            "inf": -math.inf,
            "train/loss": 1,
            "train/acc/top1": 2,
            "list/0": 1,
            "list/1": 2,
            "text": "x",
            "none": None,
            "bool": True,
        }

    def test_an_empty_record_is_a_record(self, run: whirr.Run) -> None:
        run.log({})
        run.log({}, step=3)
        assert [row.get("step") for row in whirr.read_metrics(run.run_dir)] == [None, 3]

    @pytest.mark.parametrize("metrics", [None, 1, "loss", [("loss", 1)]])
    def test_no_mapping_is_a_type_error(self, run: whirr.Run, metrics: Any) -> None:
        with pytest.raises(NotAMapping):
            run.log(metrics)
        with pytest.raises(TypeError):
            run.summary(metrics)

    def test_one_bad_value_costs_its_key_and_one_warning(self, run: whirr.Run) -> None:
        with pytest.warns(WhirrWarning, match="'bad'") as caught:
            results = [run.log({"bad": object(), "good": i}) for i in range(3)]
        assert (len(caught), results) == (1, [None] * 3)
        assert Path(caught[0].filename) == Path(__file__)
        assert [row["good"] for row in whirr.read_metrics(run.run_dir)] == [0, 1, 2]

    def test_nothing_is_raised_where_warnings_are_errors(self, run: whirr.Run) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run.log({"bad": object(), "good": 1}, step="no step")  # type: ignore[arg-type]
        assert [row["good"] for row in whirr.read_metrics(run.run_dir)] == [1]

    def test_two_runs_do_not_mix(self, workplace: Path) -> None:
        runs = [quick(), quick()]
        for i in range(10):
            runs[i % 2].log({"i": i})
        assert [[row["i"] for row in whirr.read_metrics(run.run_dir)] for run in runs] == [
            [0, 2, 4, 6, 8],
            [1, 3, 5, 7, 9],
        ]
        assert [row["_idx"] for row in whirr.read_metrics(runs[1].run_dir)] == list(range(5))


class TestSummary:
    """Final metrics."""

    def test_calls_add_up(self, run: whirr.Run) -> None:
        run.summary({"best": 1, "nan": math.nan})
        run.summary({"best": np.float32(0.5), "more": {"deep": Path("x")}})
        stored = strict_json((run.run_dir / "meta.json").read_bytes())["summary"]
        assert stored == {"best": 0.5, "nan": "NaN", "more": {"deep": "x"}}
        assert math.isnan(whirr.read_meta(run.run_dir)["summary"]["nan"])

    def test_after_the_end_it_is_refused(self, run: whirr.Run) -> None:
        run.finish()
        with pytest.raises(RuntimeError):
            run.summary({"late": 1})

    def test_it_survives_the_end(self, run: whirr.Run) -> None:
        run.summary({"best": 1})
        run.finish()
        assert whirr.read_meta(run.run_dir)["summary"] == {"best": 1}


class TestArtifacts:
    """``save_artifact`` as a program calls it."""

    def test_names(self, run: whirr.Run, workplace: Path) -> None:
        (workplace / "model.pt").write_text("weights")
        folder = run.run_dir / "artifacts"
        assert run.save_artifact("model.pt") == folder / "model.pt"
        assert run.save_artifact(workplace / "model.pt", Path("a/b.pt")) == folder / "a" / "b.pt"
        assert (folder / "a" / "b.pt").read_text() == "weights"

    @pytest.mark.parametrize("name", ["../x", "/x", "", "a/../../x"])
    def test_names_that_leave(self, run: whirr.Run, workplace: Path, name: str) -> None:
        (workplace / "model.pt").write_text("weights")
        with pytest.raises(ArtifactNameError):
            run.save_artifact("model.pt", name)

    @pytest.mark.parametrize("source", ["gone", ""])
    def test_a_source_that_is_missing(self, run: whirr.Run, source: str) -> None:
        with pytest.raises(FileNotFoundError):
            run.save_artifact(source)

    def test_a_full_disk_costs_a_warning(self, run: whirr.Run, workplace: Path) -> None:
        (workplace / "model.pt").write_text("weights")
        with nothing_can_be_written(), pytest.warns(WhirrWarning, match="model.pt is not saved"):
            target = run.save_artifact("model.pt")
        assert not target.exists()
        assert list(target.parent.iterdir()) == []

    def test_the_work_tree_with_its_runs(self, run: whirr.Run, workplace: Path) -> None:
        (workplace / "train.py").write_text("pass")
        target = run.save_artifact(".", "code")
        assert sorted(os.listdir(target)) == ["train.py"]

    def test_the_run_folder_itself(self, run: whirr.Run) -> None:
        target = run.save_artifact(run.run_dir, "copy")
        assert {"meta.json", "config.json", "metrics.jsonl"} <= set(os.listdir(target))
        assert "artifacts" not in os.listdir(target)


class TestTrouble:
    """After ``init`` returned, nothing about the disk reaches the program."""

    def test_init_in_a_place_that_cannot_be_written_is_one_clear_error(self, workplace: Path) -> None:
        (workplace / ".whirr").mkdir()
        (workplace / ".whirr" / "runs").write_text("")
        with pytest.raises(FolderError, match="cannot write a run into"):
            quick()
        assert whirr.run.open_runs() == []

    @pytest.mark.parametrize("tags", [5, b"ab"])
    def test_tags_that_are_none_leave_no_trace(self, workplace: Path, tags: Any) -> None:
        with pytest.raises(UsageError, match="is no list of texts") as caught:
            quick(tags=tags)
        assert caught.value.hint
        assert os.listdir(workplace) == []

    @pytest.mark.parametrize(("name", "value"), [("WHIRR_MODE", "of"), ("WHIRR_SYSTEM_INTERVAL", "x")])
    def test_a_setting_that_means_nothing(
        self, workplace: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(UsageError):
            quick()
        assert os.listdir(workplace) == []

    def test_a_full_disk_and_space_again(self, run: whirr.Run) -> None:
        with nothing_can_be_written(), warnings.catch_warnings(record=True):
            for i in range(50):
                run.log({"i": i})
            run.summary({"best": 1})
        run.finish()
        assert [row["i"] for row in whirr.read_metrics(run.run_dir)] == list(range(50))
        meta = whirr.read_meta(run.run_dir)
        assert (meta["status"], meta["summary"], meta.get("dropped_records")) == ("completed", {"best": 1}, None)

    def test_space_again_while_the_program_only_computes(self, run: whirr.Run) -> None:
        with nothing_can_be_written(), warnings.catch_warnings(record=True):
            run.log({"i": 0})
            run.summary({"best": 1})
        wait_until(lambda: whirr.read_metrics(run.run_dir), timeout=30)
        wait_until(lambda: whirr.read_meta(run.run_dir)["summary"], timeout=30)

    def test_the_folder_deleted_under_the_run(self, run: whirr.Run) -> None:
        run.log({"i": 0})
        run.summary({"best": 1})
        shutil.rmtree(run.run_dir)
        with warnings.catch_warnings(record=True):
            run.log({"i": 1})
            run.finish()
        assert [row["i"] for row in whirr.read_metrics(run.run_dir)] == [0, 1]
        assert whirr.read_meta(run.run_dir)["status"] == "completed"
        assert whirr.read_meta(run.run_dir)["summary"] == {"best": 1}


def test_numbers_that_are_kept_cause_no_warning(run: whirr.Run) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run.log({"a": np.int8(100), "b": np.int8(100)})
        run.log({"a": np.int32(2**31 - 1), "b": np.int32(2**31 - 1)})
    assert [str(warning.message) for warning in caught] == []


def test_a_value_that_logs_while_it_is_read(run: whirr.Run) -> None:
    """As a signal handler may, in the midst of another record."""

    class Nested:
        shape = ()

        def item(self) -> float:
            run.log({"inner": 1})
            return 0.5

    run.log({"outer": Nested()})
    rows = whirr.read_metrics(run.run_dir)
    assert sorted(key for row in rows for key in row if not key.startswith("_")) == ["inner", "outer"]
    assert [row["_idx"] for row in rows] == [0, 1]


def test_threads_share_a_run_and_its_end(run: whirr.Run) -> None:
    over = threading.Event()
    logged: list[int] = []

    def work() -> None:
        try:
            while not over.is_set():
                run.log({"i": len(logged)})
                logged.append(1)
        except RuntimeError:
            over.set()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(logged) > 100)
    run.finish()
    assert over.wait(10)
    for thread in threads:
        thread.join()
    rows = whirr.read_metrics(run.run_dir)
    assert len(rows) == len(logged)
    assert [row["_idx"] for row in rows] == list(range(len(rows)))


def test_repr(run: whirr.Run) -> None:
    assert repr(run) == f"<whirr.Run {run.run_id}>"


class TestRounds:
    """What the background thread does for a run, round by round."""

    @pytest.fixture
    def writer(self, tmp_path: Path) -> Iterator[MetricsWriter]:
        writer = MetricsWriter(str(tmp_path / "metrics.jsonl"))
        yield writer
        writer.close()

    @staticmethod
    def upkeep(folder: Path, writer: MetricsWriter, sample_every: float | None) -> Upkeep:
        document = Document(folder / "meta.json", {})
        return Upkeep(folder, writer, document, b"{}", sample_every=sample_every, capture_output=False)

    def test_every_round_is_a_sign_of_life_and_not_every_one_a_sample(
        self, tmp_path: Path, writer: MetricsWriter
    ) -> None:
        """A run on another host is lost after 90 silent seconds, however seldom it samples."""
        upkeep = self.upkeep(tmp_path, writer, 3600)
        for _ in range(5):
            os.utime(tmp_path / "heartbeat", (1, 1))
            upkeep.tick()
            assert (tmp_path / "heartbeat").stat().st_mtime > 1
        upkeep.close(hurried=True)
        assert len((tmp_path / "system.jsonl").read_bytes().splitlines()) == 1

    def test_without_samples(self, tmp_path: Path, writer: MetricsWriter) -> None:
        upkeep = self.upkeep(tmp_path, writer, None)
        for _ in range(3):
            upkeep.tick()
        upkeep.close(hurried=False)
        assert sorted(os.listdir(tmp_path)) == ["heartbeat", "metrics.jsonl"]
