"""How far a run has come, read from its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from whirr.progress import Progress, read_progress


def write(folder: Path, config: dict[str, Any] | None, *records: dict[str, Any], name: str = "metrics.jsonl") -> Path:
    folder.mkdir(exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    lines = [json.dumps({"_idx": n, "_timestamp": f"2026-11-25T12:00:{n:02}Z", **r}) for n, r in enumerate(records)]
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


def steps(first: int, last: int, **more: Any) -> list[dict[str, Any]]:
    return [{"step": step, "loss": 1.0 / (step + 1), **more} for step in range(first, last + 1)]


@pytest.mark.parametrize(
    ("config", "first", "last", "done", "total"),
    [
        ({"epochs": 10}, 0, 3, 4, 10),
        ({"epochs": 10}, 0, 9, 10, 10),
        ({"epochs": 10}, 1, 10, 10, 10),
        ({"max_steps": 50}, 1, 20, 20, 50),
        ({"steps": 50, "epochs": 5}, 0, 20, 21, 50),
        ({"train": {"num_train_epochs": 8}}, 1, 4, 4, 8),
        ({"train": {"steps": 8}, "steps": 30}, 1, 4, 4, 30),
        ({"Total-Steps": 30}, 1, 4, 4, 30),
        ({"epochs": 3}, 0, 20, None, None),
        ({"lr": 3, "epochs": "ten", "steps": True}, 0, 20, None, None),
        ({"epochs": 0}, 0, 3, None, None),
        (None, 0, 3, None, None),
    ],
)
def test_the_total_is_what_the_config_says(
    tmp_path: Path, config: dict[str, Any] | None, first: int, last: int, done: int | None, total: int | None
) -> None:
    found = read_progress(write(tmp_path, config, *steps(first, last)))
    assert (found.step, found.done, found.total) == (last, done, total)


def test_epochs_are_counted_by_a_metric_of_that_name(tmp_path: Path) -> None:
    found = read_progress(write(tmp_path, {"num_train_epochs": 3}, *steps(0, 40, epoch=1.25)))
    assert (found.step, found.done, found.total) == (40, 1.25, 3)


def test_the_latest_values_come_from_all_writers(tmp_path: Path) -> None:
    write(tmp_path, {"epochs": 100}, {"step": 0, "a": 1, "b": 1}, {"step": 1, "a": 2})
    write(tmp_path, None, {"step": 0, "c": 1}, {"step": 7, "c": 3}, {"step": 8, "c": None}, name="metrics.rank1.jsonl")
    found = read_progress(tmp_path)
    assert found.latest == {"a": 2, "b": 1, "c": None}
    assert (found.step, found.done) == (8, 9)


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"steps": 10**6}, *steps(0, 20_000))
    found = read_progress(tmp_path)
    assert (found.step, found.done) == (20_000, 20_001)


NOTHING = Progress(None, None, None, {})


@pytest.mark.parametrize("text", [b"", b"\n\n", b'{"step": 1', b"\x00[\xff\n{}\n", b'{"step": "one"}\n', b"[1]\n"])
def test_damage_is_no_progress(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(text)
    (tmp_path / "config.json").write_bytes(b"[")
    assert read_progress(tmp_path) == NOTHING


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "missing") == NOTHING


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"epochs": 10}, *steps(0, 3))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 0.')
    assert read_progress(tmp_path).step == 3
