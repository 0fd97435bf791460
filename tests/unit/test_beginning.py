"""The files of a run as it begins; what a worker put into them is kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers import strict_json

from whirr import beginning
from whirr.beginning import Start, as_tags, own_metrics
from whirr.config import Settings
from whirr.errors import FolderError, WhirrWarning
from whirr.jsonio import dumps
from whirr.metrics import MetricsWriter
from whirr.opening import Place
from whirr.process import ALIVE, fate
from whirr.values import as_config

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def begin(folder: Path, *, adopted: bool = False, config: Any = None, tags: Any = None, **more: Any) -> Start:
    place = Place(folder, "the-run", adopted=adopted, rank=0, launch=more.pop("launch", None))
    settings = Settings({"WHIRR_JOB_ID": more.pop("job_id", "")})
    return beginning.write(place, settings, more.pop("name", None), as_config(config), as_tags(tags))


def meta_of(folder: Path) -> Any:
    return strict_json((folder / "meta.json").read_bytes())


def config_of(folder: Path) -> Any:
    return strict_json((folder / "config.json").read_bytes())


def test_the_keys_of_the_contract(tmp_path: Path) -> None:
    begin(tmp_path, name="baseline", config={"lr": 0.1}, tags=["a", "b"])
    meta = meta_of(tmp_path)
    assert STAMP.fullmatch(meta.pop("started_at"))
    assert fate(meta.pop("process")) == ALIVE
    assert meta == {
        "run_id": "the-run",
        "name": "baseline",
        "status": "running",
        "finished_at": None,
        "duration_seconds": None,
        "tags": ["a", "b"],
        "config_file": "config.json",
        "summary": {},
        "cause": None,
    }
    assert config_of(tmp_path) == {"lr": 0.1}


@pytest.mark.parametrize(
    ("tags", "kept"),
    [(None, []), ([], []), ("one", ["one"]), (("a", "b"), ["a", "b"]), (iter("ab"), ["a", "b"]), ([1], ["1"])],
)
def test_tags(tmp_path: Path, tags: Any, kept: list[str]) -> None:
    begin(tmp_path, tags=tags)
    assert meta_of(tmp_path)["tags"] == kept


@pytest.mark.parametrize(("job_id", "kept"), [("7", 7), ("array-7", "array-7")])
def test_the_job(tmp_path: Path, job_id: str, kept: Any) -> None:
    begin(tmp_path, job_id=job_id)
    assert meta_of(tmp_path)["job_id"] == kept


def test_what_ranks_have_in_common_is_told(tmp_path: Path) -> None:
    begin(tmp_path, launch="torch-1")
    assert meta_of(tmp_path)["launch"] == "torch-1"


class TestAdopting:
    """A worker was there first."""

    WORKER = {  # noqa: RUF012 - never changed
        "run_id": "job-7",
        "name": "from the queue",
        "status": "queued",
        "started_at": "2026-01-01T00:00:00.000000Z",
        "finished_at": "2026-01-01T01:00:00.000000Z",
        "cause": {"kind": "killed"},
        "tags": ["sweep", "a"],
        "summary": {"best": 1},
        "worker": {"gpu": 3},
        "nothing": None,
    }

    def test_what_it_wrote_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "meta.json").write_bytes(dumps(self.WORKER))
        begin(tmp_path, adopted=True, name="from the program", tags=["a", "b"])
        meta = meta_of(tmp_path)
        for key in ("run_id", "name", "started_at", "summary", "worker"):
            assert meta[key] == self.WORKER[key]
        assert meta["tags"] == ["sweep", "a", "b"]
        assert (meta["status"], meta["finished_at"], meta["cause"]) == ("running", None, None)

    def test_the_time_since_it_started_the_run_counts(self, tmp_path: Path) -> None:
        (tmp_path / "meta.json").write_bytes(dumps(self.WORKER))
        long_ago = begin(tmp_path, adopted=True).monotonic
        (tmp_path / "new").mkdir()
        assert begin(tmp_path / "new").monotonic - long_ago > 3600

    def test_what_it_left_open_is_filled_in(self, tmp_path: Path) -> None:
        (tmp_path / "meta.json").write_bytes(dumps({"name": None, "tags": None, "summary": None}))
        begin(tmp_path, adopted=True, name="from the program", tags=["b"])
        meta = meta_of(tmp_path)
        assert (meta["name"], meta["tags"], meta["summary"]) == ("from the program", ["b"], {})

    def test_both_configs_are_kept(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_bytes(dumps({"lr": 0.5, "same": [1], "theirs": 1, "nan": float("nan")}))
        ours = {"lr": 0.1, "same": [1], "ours": 2, "nan": float("nan")}
        with pytest.warns(WhirrWarning, match="differ in lr;"):
            start = begin(tmp_path, adopted=True, config=ours)
        assert config_of(tmp_path) == {"lr": 0.5, "same": [1], "theirs": 1, "ours": 2, "nan": "NaN"}
        assert meta_of(tmp_path)["config_conflicts"] == {"lr": 0.1}
        assert (start.config["lr"], start.config["theirs"], start.config["ours"]) == (0.1, 1, 2)

    @pytest.mark.parametrize("text", ["", "{", "\0"])
    def test_a_broken_file_is_told_and_written_anew(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "meta.json").write_text(text)
        with pytest.warns(WhirrWarning, match="written anew"):
            begin(tmp_path, adopted=True)
        assert meta_of(tmp_path)["status"] == "running"

    def test_nobody_elses_files_are_read_by_a_direct_run(self, tmp_path: Path) -> None:
        (tmp_path / "meta.json").write_text("{")
        begin(tmp_path)
        assert meta_of(tmp_path)["run_id"] == "the-run"


class TestErrors:
    """A folder that cannot be written is one clear error."""

    def test_documents(self, tmp_path: Path) -> None:
        (tmp_path / "meta.json").mkdir()
        with pytest.raises(FolderError, match="cannot write a run") as caught:
            begin(tmp_path)
        assert isinstance(caught.value, OSError)

    def test_metrics(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").mkdir()
        with pytest.raises(FolderError, match="cannot write a run"):
            own_metrics(tmp_path)

    def test_metrics_of_another_process_are_left_to_it(self, tmp_path: Path) -> None:
        theirs = MetricsWriter(str(tmp_path / "metrics.jsonl"))
        assert own_metrics(tmp_path) is None
        theirs.close()
        ours = own_metrics(tmp_path)
        assert ours is not None
        ours.close()
