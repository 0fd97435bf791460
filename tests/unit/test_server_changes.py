"""Which runs have changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from whirr.server import changes
from whirr.server.changes import LIVES_S, SWEEP_EVERY_S, Changes

OLD = 1_000_000_000.0


class Clocks:
    """One moment for files and for waiting, which a test moves on."""

    def __init__(self) -> None:
        self.seconds = OLD + 1_000_000

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clocks:
    return Clocks()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def watch(runs: Path, clock: Clocks) -> Changes:
    return Changes(runs, clock, clock)


def put(runs: Path, run: str, at: float, *names: str) -> Path:
    """A run all of whose files are of a moment."""
    folder = runs / run
    folder.mkdir(exist_ok=True)
    for name in names or ("meta.json", "metrics.jsonl"):
        (folder / name).write_text("x")
    touch(folder, at)
    return folder


def touch(folder: Path, at: float) -> None:
    for path in (*folder.iterdir(), folder):
        os.utime(path, (at, at))


def append(folder: Path, name: str, at: float) -> None:
    """As a run does it: the folder itself stays as it is, but where the file is new."""
    with (folder / name).open("a") as file:
        file.write("more\n")
    os.utime(folder / name, (at, at))


def test_the_first_look_gives_those_that_live(runs: Path, watch: Changes, clock: Clocks) -> None:
    put(runs, "old", OLD)
    put(runs, "new", clock.seconds - 1)
    assert watch.look() == {"new"}
    assert watch.look() == set()


def test_rows_of_a_run_that_lives_are_seen_at_each_look(runs: Path, watch: Changes, clock: Clocks) -> None:
    folder = put(runs, "a", clock.seconds)
    watch.look()
    for name in ("metrics.jsonl", "metrics.rank1.jsonl", "system.jsonl"):
        append(folder, name, clock.seconds)
        assert watch.look() == {"a"}
        assert watch.look() == set()


def test_what_is_no_row_is_passed_over(runs: Path, watch: Changes, clock: Clocks) -> None:
    folder = put(runs, "a", clock.seconds, "meta.json", "metrics.jsonl", "output.log", "heartbeat")
    watch.look()
    append(folder, "output.log", clock.seconds)
    append(folder, "heartbeat", clock.seconds)
    assert watch.look() == set()


def test_a_document_that_is_replaced_is_seen(runs: Path, watch: Changes, clock: Clocks) -> None:
    folder = put(runs, "a", clock.seconds)
    watch.look()
    os.utime(folder, (clock.seconds + 1, clock.seconds + 1))
    assert watch.look() == {"a"}


def test_runs_that_come_and_go_are_seen_at_once(runs: Path, watch: Changes, clock: Clocks) -> None:
    put(runs, "stays", OLD)
    watch.look()
    put(runs, "copied", OLD)  # by rsync, with its old times
    assert watch.look() == {"copied"}
    shutil.rmtree(runs / "copied")
    assert watch.look() == {"copied"}
    assert watch.look() == set()


def test_the_first_run_of_an_empty_folder_is_seen(runs: Path, watch: Changes) -> None:
    assert watch.look() == set()
    put(runs, "copied", OLD)
    assert watch.look() == {"copied"}


def test_a_folder_that_is_missing_holds_nothing(tmp_path: Path, clock: Clocks) -> None:
    watch = Changes(tmp_path / "runs", clock, clock)
    assert watch.look() == set()
    (tmp_path / "runs").mkdir()
    put(tmp_path / "runs", "a", clock.seconds)
    assert watch.look() == {"a"}


def test_an_old_run_that_goes_on_is_found_by_a_sweep(runs: Path, watch: Changes, clock: Clocks) -> None:
    folder = put(runs, "old", OLD)
    watch.look()
    append(folder, "metrics.jsonl", clock.seconds)
    assert watch.look() == set()
    clock.seconds += SWEEP_EVERY_S
    assert watch.look() == {"old"}
    append(folder, "metrics.jsonl", clock.seconds)
    assert watch.look() == {"old"}


def test_one_that_falls_silent_is_told_once_and_looked_at_no_more(runs: Path, watch: Changes, clock: Clocks) -> None:
    put(runs, "a", clock.seconds)
    watch.look()
    clock.seconds += LIVES_S - 1
    assert watch.look() == set()
    clock.seconds += 2
    assert watch.look() == {"a"}  # its process may have been killed: it is to be judged again
    clock.seconds += SWEEP_EVERY_S
    assert watch.look() == set()


def test_a_heartbeat_keeps_it_alive(runs: Path, watch: Changes, clock: Clocks) -> None:
    folder = put(runs, "a", clock.seconds, "meta.json", "metrics.jsonl", "heartbeat")
    watch.look()
    for _ in range(10):
        clock.seconds += 10
        os.utime(folder / "heartbeat", (clock.seconds, clock.seconds))
        assert watch.look() == set()
    append(folder, "metrics.jsonl", clock.seconds)
    assert watch.look() == {"a"}


def test_what_is_no_run_does_no_harm(runs: Path, watch: Changes, clock: Clocks) -> None:
    put(runs, ".submit-1", clock.seconds)
    (runs / "file").write_text("x")
    (runs / "nowhere").symlink_to(runs / "missing")
    os.utime(runs / "file", (OLD, OLD))
    assert watch.look() == set()


def test_few_of_very_many_are_looked_at_each_time(
    runs: Path, watch: Changes, clock: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_LIVE", 3)
    for number in range(10):
        put(runs, f"r{number}", clock.seconds - number)
    assert len(watch.look()) == 10
    for number in range(10):
        append(runs / f"r{number}", "metrics.jsonl", clock.seconds)
    assert watch.look() == {"r0", "r1", "r2"}  # those with the latest signs of life
