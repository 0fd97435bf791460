"""A run that is copied or pickled with what holds it, and a run whose folder is renamed."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

import whirr
from whirr.run import open_runs

QUIET = {"system_metrics": False, "capture_git": False, "capture_pip": False}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHIRR_DIR", str(tmp_path / "runs of the test"))
    return tmp_path / "runs of the test"


def test_a_copy_is_the_same_run() -> None:
    with whirr.init(**QUIET) as run:
        assert copy.copy(run) is run
        assert copy.deepcopy({"model": [run]})["model"][0] is run


def test_an_old_checkpoint_brings_no_run_back_to_life() -> None:
    old = whirr.init(**QUIET)
    stale = pickle.dumps(old)
    old.log({"loss": 1.0})
    old.finish()
    with whirr.init(**QUIET) as new:
        loaded = pickle.loads(stale)
        assert loaded.run_id == old.run_id
        whirr.log({"accuracy": 0.9})
        whirr.summary({"best": 0.9})
        with pytest.raises(RuntimeError, match="was finished"):
            loaded.log({"loss": 2.0})
        loaded.finish()
        assert open_runs() == [new]
    assert [record["accuracy"] for record in whirr.read_metrics(new.run_dir)] == [0.9]
    assert whirr.read_meta(new.run_dir)["summary"] == {"best": 0.9}
    assert [record["loss"] for record in whirr.read_metrics(old.run_dir)] == [1.0]


def test_a_copy_of_an_ended_run_does_not_get_in_the_way() -> None:
    ended = whirr.init(**QUIET)
    ended.finish()
    with whirr.init(**QUIET) as new:
        again = pickle.loads(pickle.dumps(ended))
        again.finish()
        whirr.log({"loss": 0.5})
    assert len(whirr.read_metrics(new.run_dir)) == 1


def test_a_run_of_a_folder_that_is_gone_is_over(folder: Path) -> None:
    run = whirr.init(**QUIET)
    data = pickle.dumps(run)
    run.finish()
    run.run_dir.rename(folder / "elsewhere")
    with pytest.raises(RuntimeError):
        pickle.loads(data).log({"loss": 1.0})


def test_a_run_follows_its_folder(folder: Path) -> None:
    run = whirr.init(**QUIET)
    run.log({"loss": 1.0})
    moved = folder.with_name("renamed")
    folder.rename(moved)
    run.log({"loss": 0.5})
    run.summary({"best": 0.5})
    source = moved / "model"
    source.write_text("weights")
    saved = run.save_artifact(source)
    run.finish()
    assert run.run_dir.parent == moved / "runs"
    assert saved == run.run_dir / "artifacts" / "model"
    meta = whirr.read_meta(run.run_dir)
    assert (meta["status"], meta["summary"], meta["problems"]) == ("completed", {"best": 0.5}, [])
    assert [record["loss"] for record in whirr.read_metrics(run.run_dir)] == [1.0, 0.5]
    assert not folder.exists()
    assert not [path for path in run.run_dir.iterdir() if path.name.startswith(".")]
