"""Runs inside a worker's job (WHIRR_RUN_DIR) and in distributed jobs (RANK)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ending_cases import PYTHON
from helpers import QUICK, Process, by_writer, only_run, outputs, program, run_dirs, start, stored_meta

import whirr

TRAIN = f"""
import os, sys
import whirr
who, count, *wait = sys.argv[1:]
run = whirr.init(name=who, config={{"who": who}}, tags=["own"], {QUICK})
print("ready", flush=True)
if wait:
    input()
for n in range(int(count)):
    run.log({{"who": who, "n": n}})
run.summary({{who: int(count)}})
run.finish()
"""


def job(place: Path, **files: dict[str, Any]) -> dict[str, str]:
    """A job's folder as a worker makes it, and the variables that the worker sets."""
    folder = place / ".whirr/runs/job-7"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return {"WHIRR_RUN_DIR": str(folder), "WHIRR_JOB_ID": "7", "WHIRR_RUN_ID": "job-7"}


def train(place: Path, who: str, count: int, *wait: str, **variables: str) -> Process:
    script = program(place / "train.py", TRAIN)
    return start([*PYTHON, script, who, str(count), *wait], place, piped=bool(wait), **variables)


def finished(process: Process, stdin: str | None = None) -> None:
    _, err = outputs(process, stdin)
    assert process.returncode == 0, err


def test_the_jobs_folder_is_adopted(tmp_path: Path) -> None:
    variables = job(tmp_path)
    finished(train(tmp_path, "only", 3, **variables))
    folder = only_run(tmp_path)
    meta = whirr.read_meta(folder)
    assert (meta["run_id"], meta["job_id"], meta["status"], meta["name"]) == ("job-7", 7, "completed", "only")
    assert by_writer(whirr.read_metrics(folder)) == {"only": [0, 1, 2]}


def test_a_job_without_a_folder_yet(tmp_path: Path) -> None:
    finished(train(tmp_path, "only", 3, WHIRR_JOB_ID="9"))
    assert only_run(tmp_path).name == "job-9"
    assert whirr.read_meta(only_run(tmp_path))["job_id"] == 9


def test_what_the_worker_wrote_is_kept(tmp_path: Path) -> None:
    started = "2026-01-02T03:04:05.000000Z"
    before = {"run_id": "job-7", "name": "from the queue", "status": "queued", "started_at": started}
    extra = {"tags": ["queued"], "command": ["python", "train.py"], "attempt": 2}
    variables = job(tmp_path, meta={**before, **extra}, config={"lr": 0.1, "who": "the queue"})
    process = train(tmp_path, "only", 1, **variables)
    _, err = outputs(process)
    assert process.returncode == 0
    assert "configuration" in err  # both sides named `who`: that is said, and both are kept
    meta = whirr.read_meta(only_run(tmp_path))
    assert (meta["name"], meta["started_at"], meta["attempt"]) == ("from the queue", started, 2)
    assert meta["command"] == ["python", "train.py"]
    assert meta["tags"] == ["queued", "own"]
    assert meta["status"] == "completed"
    assert meta["config"] == {"lr": 0.1, "who": "the queue"}
    assert meta["config_conflicts"] == {"who": "only"}


def test_processes_one_after_another_in_one_job(tmp_path: Path) -> None:
    """A job may start its program again: records and summary go on where they stopped."""
    variables = job(tmp_path)
    for who in ("first", "second", "third"):
        finished(train(tmp_path, who, 3, **variables))
    folder = only_run(tmp_path)
    assert by_writer(whirr.read_metrics(folder)) == {who: [0, 1, 2] for who in ("first", "second", "third")}
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["_idx"] for line in lines] == list(range(9))
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["summary"]) == ("completed", {"first": 3, "second": 3, "third": 3})


def test_a_job_that_goes_on_after_a_kill_inside_a_line(tmp_path: Path) -> None:
    variables = job(tmp_path)
    finished(train(tmp_path, "first", 3, **variables))
    metrics = only_run(tmp_path) / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-7])
    finished(train(tmp_path, "second", 3, **variables))
    with pytest.warns(whirr.WhirrWarning, match=r"1 line"):
        records = whirr.read_metrics(metrics)
    assert [(record["who"], record["n"]) for record in records] == [
        ("first", 0),
        ("first", 1),
        ("second", 0),
        ("second", 1),
        ("second", 2),
    ]
    indices = [record["_idx"] for record in records]
    assert indices == sorted(set(indices))


def test_two_processes_in_one_job_at_once(tmp_path: Path) -> None:
    variables = job(tmp_path)
    first = train(tmp_path, "first", 200, "wait", **variables)
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    folder = only_run(tmp_path)
    owner = stored_meta(folder)["process"]
    second = train(tmp_path, "second", 200, **variables)
    finished(second)
    assert stored_meta(folder)["process"] == owner
    assert whirr.read_meta(folder)["status"] == "running"  # the second one ended nothing
    finished(first, "\n")
    assert by_writer(whirr.read_metrics(folder)) == {who: list(range(200)) for who in ("first", "second")}
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["name"], meta["config"]["who"]) == ("completed", "first", "first")
    assert meta["summary"] == {"first": 200, "second": 200}


def launched(place: Path, ranks: list[int], **variables: str) -> None:
    """Processes of one parent, started in the order given, as torchrun and mpirun start them."""
    script = program(place / "train.py", TRAIN)
    launcher = program(
        place / "launch.py",
        f"""
        import os, subprocess, sys
        children = []
        for rank in {ranks}:
            words = [sys.executable, {str(script)!r}, f"rank {{rank}}", "50"]
            environ = {{**os.environ, "RANK": str(rank), "WORLD_SIZE": "{len(ranks)}"}}
            children.append(subprocess.Popen(words, env=environ))
        sys.exit(max(child.wait() for child in children))
        """,
    )
    process = start([*PYTHON, launcher], place, **variables)
    finished(process)


def check_ranks(folder: Path, count: int) -> None:
    assert by_writer(whirr.read_metrics(folder)) == {f"rank {n}": list(range(50)) for n in range(count)}
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["cause"], meta["name"]) == ("completed", None, "rank 0")
    assert meta["config"] == {"who": "rank 0"}
    assert meta["summary"] == {f"rank {n}": 50 for n in range(count)}
    assert stored_meta(folder)["summary"] == {"rank 0": 50}  # rank 0 alone writes meta.json
    assert len(list(folder.glob("metrics.rank*.jsonl"))) == count - 1


ORDERS = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_ranks_share_one_run(order: list[int], tmp_path: Path) -> None:
    launched(tmp_path, order)
    check_ranks(only_run(tmp_path), 4)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_ranks_in_a_job(order: list[int], tmp_path: Path) -> None:
    launched(tmp_path, order, **job(tmp_path))
    folder = only_run(tmp_path)
    assert folder.name == "job-7"
    check_ranks(folder, 4)


def test_two_launches_do_not_mix(tmp_path: Path) -> None:
    for number in range(2):
        launched(tmp_path, [1, 0])
        assert len(run_dirs(tmp_path)) == number + 1
    for folder in run_dirs(tmp_path):
        check_ranks(folder, 2)


def test_ranks_of_a_command_without_a_launcher_of_its_own(tmp_path: Path) -> None:
    """`RANK` that some shell profile exports: a lone rank 0 is a run like any other."""
    finished(train(tmp_path, "rank 0", 50, RANK="0"))
    check_ranks(only_run(tmp_path), 1)


def test_a_jobs_command_that_starts_the_program_twice(tmp_path: Path) -> None:
    """`bash -c` in between, as queues start commands."""
    script = program(tmp_path / "train.py", TRAIN)
    variables = job(tmp_path)
    words = " ".join([*map(str, PYTHON), str(script), "only", "3"])
    finished(start(["bash", "-c", f"{words}; {words}"], tmp_path, **variables))
    assert len(whirr.read_metrics(only_run(tmp_path))) == 6
