"""The contract with users, to the letter: names, defaults, files and their keys."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import strict_json

import whirr
import whirr.run
from whirr.errors import NoActiveRun

NONE = inspect.Parameter.empty
LOG = [("metrics", NONE), ("step", None)]
ARTIFACT = [("source_path", NONE), ("artifact_name", None)]
INIT = [
    ("name", None),
    ("config", None),
    ("tags", None),
    ("system_metrics", True),
    ("capture_git", True),
    ("capture_pip", True),
]


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    yield
    for run in list(whirr.run.open_runs()):
        run.finish()


def quick(**more: Any) -> whirr.Run:
    return whirr.init(system_metrics=False, capture_git=False, capture_pip=False, **more)


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (whirr.init, INIT),
        (whirr.Run, INIT[:3]),
        (whirr.Run.log, [("self", NONE), *LOG]),
        (whirr.Run.summary, [("self", NONE), LOG[0]]),
        (whirr.Run.save_artifact, [("self", NONE), *ARTIFACT]),
        (whirr.Run.finish, [("self", NONE)]),
        (whirr.log, LOG),
        (whirr.summary, LOG[:1]),
        (whirr.save_artifact, ARTIFACT),
        (whirr.finish, []),
        (whirr.read_metrics, [("path", NONE)]),
        (whirr.read_meta, [("run_dir", NONE)]),
    ],
)
def test_signatures(function: Callable[..., Any], parameters: list[tuple[str, Any]]) -> None:
    found = inspect.signature(function).parameters.values()
    assert [(one.name, one.default) for one in found] == parameters
    assert {one.kind for one in found} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert function.__doc__


def test_readers_live_in_two_places() -> None:
    assert whirr.run.read_metrics is whirr.read_metrics
    assert whirr.run.read_meta is whirr.read_meta


def test_the_quick_example(workplace: Path) -> None:
    run = whirr.init(name="my-experiment", config={"lr": 0.01})
    for epoch in range(3):
        assert run.log({"loss": 1 / (epoch + 1)}, step=epoch) is None
    assert run.summary({"best_loss": 0.1}) is None
    assert run.finish() is None
    assert [(row["step"], row["loss"]) for row in whirr.read_metrics(run.run_dir / "metrics.jsonl")] == [
        (0, 1.0),
        (1, 0.5),
        (2, 1 / 3),
    ]
    meta = whirr.read_meta(run.run_dir)
    assert (meta["name"], meta["status"], meta["config"]) == ("my-experiment", "completed", {"lr": 0.01})
    assert meta["summary"] == {"best_loss": 0.1}


def test_all_arguments_by_position(workplace: Path) -> None:
    run = whirr.init("name", {"lr": 1}, ["tag"], False, False, False)
    run.log({"a": 1}, 5)
    (workplace / "file").write_text("x")
    saved = run.save_artifact("file", "kept")
    run.finish()
    meta = whirr.read_meta(run.run_dir)
    assert (meta["name"], meta["config"], meta["tags"]) == ("name", {"lr": 1}, ["tag"])
    assert whirr.read_metrics(run.run_dir)[0]["step"] == 5
    assert saved == run.run_dir / "artifacts" / "kept"
    assert {path.name for path in run.run_dir.iterdir()}.isdisjoint({"system.jsonl", "requirements.txt"})
    assert "git_info" not in meta


def test_properties(workplace: Path) -> None:
    run = quick(config={"lr": 0.1})
    assert re.fullmatch(r"local-\d{8}-\d{6}-[0-9a-f]{6}", run.run_id)
    assert isinstance(run.run_dir, Path)
    assert run.run_dir == workplace / ".whirr" / "runs" / run.run_id
    assert (type(run.config).__mro__[1], run.config) == (dict, {"lr": 0.1})
    for name in ("run_id", "run_dir", "config"):
        with pytest.raises(AttributeError):
            setattr(run, name, None)
    with pytest.raises(TypeError):
        run.config["lr"] = 1


def test_the_constructor_begins_a_run(workplace: Path) -> None:
    with whirr.Run(name="direct", config={"lr": 1}, tags=["t"]) as run:
        assert whirr.read_meta(run.run_dir)["status"] == "running"
    assert whirr.read_meta(run.run_dir)["tags"] == ["t"]


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


def test_every_file_and_its_keys(workplace: Path) -> None:
    """The one run here with everything on."""
    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", "git@example.org:user/repo.git")
    (workplace / "train.py").write_text("pass")
    git("add", ".")
    git("commit", "-q", "-m", "Begin")
    with whirr.init(name="baseline", config={"lr": 0.01}, tags=["baseline"]) as run:
        run.log({"loss": 2.34}, step=0)
        run.log({"loss": 1.89})
        run.summary({"best_loss": 0.123})
    assert git("status", "--porcelain") == ""

    meta = strict_json((run.run_dir / "meta.json").read_bytes())
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
    assert re.fullmatch(stamp, meta["started_at"])
    assert re.fullmatch(stamp, meta["finished_at"])
    assert meta["finished_at"] >= meta["started_at"]
    assert meta["duration_seconds"] > 0
    contract = {key: meta[key] for key in ("run_id", "name", "status", "tags", "config_file", "summary")}
    assert contract == {
        "run_id": run.run_id,
        "name": "baseline",
        "status": "completed",
        "tags": ["baseline"],
        "config_file": "config.json",
        "summary": {"best_loss": 0.123},
    }
    found = meta["git_info"]
    assert found["commit"] == git("rev-parse", "HEAD")
    assert (found["branch"], found["dirty"], found["remote_url"]) == ("main", False, "git@example.org:user/repo.git")

    assert strict_json((run.run_dir / "config.json").read_bytes()) == {"lr": 0.01}
    first, second = (strict_json(line) for line in (run.run_dir / "metrics.jsonl").read_bytes().splitlines())
    assert list(first) == ["_idx", "_timestamp", "step", "loss"]
    assert list(second) == ["_idx", "_timestamp", "loss"]
    assert (first["_idx"], second["_idx"]) == (0, 1)
    assert re.fullmatch(stamp, first["_timestamp"])

    samples = [strict_json(line) for line in (run.run_dir / "system.jsonl").read_bytes().splitlines()]
    assert samples
    assert {"_timestamp", "cpu_percent", "memory_percent"} <= set(samples[-1])
    requirements = (run.run_dir / "requirements.txt").read_text().splitlines()
    assert any(re.match(r"orjson==\d", line) for line in requirements)
    assert not list(run.run_dir.glob(".*"))


class TestFinish:
    """Ends."""

    def test_log_after_it_is_a_runtime_error(self, workplace: Path) -> None:
        run = quick()
        run.log({"a": 1})
        run.finish()
        for late in ({"a": 1}, {"a": "slow road"}, {}):
            with pytest.raises(RuntimeError, match="finish"):
                run.log(late)
        assert len(whirr.read_metrics(run.run_dir)) == 1

    def test_again_changes_nothing(self, workplace: Path) -> None:
        run = quick()
        run.finish()
        before = (run.run_dir / "meta.json").read_bytes()
        run.finish()
        run.fail(ValueError("too late"))
        with run:
            pass
        assert (run.run_dir / "meta.json").read_bytes() == before

    def test_a_context_completes(self, workplace: Path) -> None:
        with quick() as run:
            assert whirr.read_meta(run.run_dir)["status"] == "running"
        assert whirr.read_meta(run.run_dir)["status"] == "completed"

    def test_a_context_left_by_an_exception_fails_and_raises_it(self, workplace: Path) -> None:
        error = ValueError("bad luck")
        with pytest.raises(ValueError, match="bad luck") as caught, quick() as run:
            raise error
        assert caught.value is error
        meta = whirr.read_meta(run.run_dir)
        assert (meta["status"], meta["cause"]["kind"], meta["cause"]["type"]) == ("failed", "exception", "ValueError")
        assert meta["cause"]["message"] == "bad luck"
        assert "raise error" in meta["cause"]["traceback"]
        assert meta["finished_at"]

    @pytest.mark.parametrize(("code", "ends"), [(0, "completed"), (None, "completed"), (3, "failed"), ("x", "failed")])
    def test_a_context_left_by_an_exit(self, workplace: Path, code: Any, ends: str) -> None:
        with pytest.raises(SystemExit), quick() as run:
            raise SystemExit(code)
        assert whirr.read_meta(run.run_dir)["status"] == ends

    def test_a_context_left_by_the_keyboard(self, workplace: Path) -> None:
        with pytest.raises(KeyboardInterrupt), quick() as run:
            raise KeyboardInterrupt
        assert whirr.read_meta(run.run_dir)["cause"]["kind"] == "interrupt"

    def test_finished_inside_a_context_stays_completed(self, workplace: Path) -> None:
        run = quick()
        with run:
            run.finish()
        with pytest.raises(ValueError, match="later"), run:
            raise ValueError("later")
        assert whirr.read_meta(run.run_dir)["status"] == "completed"


class TestModuleLevel:
    """``whirr.log`` and its like act on the current run."""

    def test_they_act_on_the_run_begun_last(self, workplace: Path) -> None:
        (workplace / "file").write_text("x")
        outer = quick(name="outer")
        inner = quick(name="inner")
        whirr.log({"a": 1}, step=1)
        whirr.summary({"best": 1})
        assert whirr.save_artifact("file", "kept") == inner.run_dir / "artifacts" / "kept"
        whirr.finish()
        whirr.log({"a": 2})
        whirr.finish()
        assert [row["a"] for row in whirr.read_metrics(inner.run_dir)] == [1]
        assert [row["a"] for row in whirr.read_metrics(outer.run_dir)] == [2]
        assert whirr.read_meta(inner.run_dir)["summary"] == {"best": 1}
        assert {whirr.read_meta(run.run_dir)["status"] for run in (inner, outer)} == {"completed"}

    @pytest.mark.parametrize(
        "call", [lambda: whirr.log({}), lambda: whirr.summary({}), lambda: whirr.save_artifact("x")]
    )
    def test_without_a_run_it_is_a_runtime_error(self, call: Callable[[], Any]) -> None:
        with pytest.raises(RuntimeError, match="without an active run") as caught:
            call()
        assert isinstance(caught.value, NoActiveRun)
        assert "whirr.init" in str(caught.value.hint)

    def test_without_a_run_there_is_nothing_to_finish(self) -> None:
        assert whirr.finish() is None


class TestDisabled:
    """``WHIRR_MODE=disabled``: every call is a no-op."""

    @pytest.fixture(autouse=True)
    def disabled(self, monkeypatch: pytest.MonkeyPatch, workplace: Path) -> None:
        monkeypatch.setenv("WHIRR_MODE", "disabled")

    def test_nothing_on_disk(self, workplace: Path) -> None:
        (workplace / "file").write_text("x")
        with whirr.init(name="n", config={"lr": 1}, tags=["t"]) as run:
            run.log({"a": object()}, step=object())
            run.summary({"a": 1})
            run.save_artifact("file")
            run.save_artifact("gone")
            whirr.log({"a": 1})
            whirr.summary({"a": 1})
            whirr.save_artifact("file")
            whirr.finish()
        run.finish()
        run.log({"a": 1})
        assert os.listdir(workplace) == ["file"]
        assert whirr.run.open_runs() == []

    def test_properties_are_usable(self, workplace: Path) -> None:
        run = whirr.init(config={"lr": 0.1})
        assert run.config == {"lr": 0.1}
        assert isinstance(run.run_id, str)
        (run.run_dir / "my-own-file").write_text("x")
        assert run.run_dir == run.run_dir
        assert workplace not in run.run_dir.parents
        assert whirr.read_metrics(run.run_dir) == []

    def test_an_exception_still_leaves_the_context(self) -> None:
        with pytest.raises(ValueError, match="mine"), whirr.init():
            raise ValueError("mine")

    def test_a_worker_is_no_exception(self, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WHIRR_RUN_DIR", str(workplace / "job-1"))
        whirr.init().finish()
        assert os.listdir(workplace) == []


class TestWhereRunsGo:
    """No set-up step is needed, and no ``.whirr`` appears anywhere else."""

    @pytest.fixture
    def deep(self, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = workplace / "a" / "b"
        folder.mkdir(parents=True)
        monkeypatch.chdir(folder)
        return folder

    @staticmethod
    def made(workplace: Path) -> list[str]:
        return sorted(str(path.parent.relative_to(workplace)) for path in workplace.rglob("runs"))

    def test_the_working_directory(self, workplace: Path, deep: Path) -> None:
        quick().finish()
        assert self.made(workplace) == ["a/b/.whirr"]

    def test_the_git_root(self, workplace: Path, deep: Path) -> None:
        git("init", "-q", str(workplace))
        quick().finish()
        assert self.made(workplace) == [".whirr"]
        assert git("status", "--porcelain") == ""

    def test_the_nearest_one_above(self, workplace: Path, deep: Path) -> None:
        git("init", "-q", str(workplace))
        (workplace / "a" / ".whirr").mkdir()
        quick().finish()
        assert self.made(workplace) == ["a/.whirr"]

    def test_a_setting(self, workplace: Path, deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (workplace / ".whirr").mkdir()
        monkeypatch.setenv("WHIRR_DIR", str(workplace / "mine"))
        quick().finish()
        assert self.made(workplace) == ["mine"]
        assert (workplace / "mine" / ".gitignore").read_text() == "*\n"

    def test_a_worker(self, workplace: Path, deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        job = workplace / "store" / "job-7"
        monkeypatch.setenv("WHIRR_DIR", str(workplace / "mine"))
        monkeypatch.setenv("WHIRR_RUN_DIR", str(job))
        monkeypatch.setenv("WHIRR_JOB_ID", "7")
        monkeypatch.setenv("WHIRR_RUN_ID", "job-7")
        with quick() as run:
            run.log({"a": 1})
        assert (run.run_id, run.run_dir) == ("job-7", job)
        assert self.made(workplace) == []
        assert whirr.read_meta(job)["job_id"] == 7

    def test_settings_are_read_when_a_run_begins(self, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = quick()
        monkeypatch.setenv("WHIRR_DIR", str(workplace / "mine"))
        second = quick()
        assert first.run_dir.parents[1] == workplace / ".whirr"
        assert second.run_dir.parents[1] == workplace / "mine"
