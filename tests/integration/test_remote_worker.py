"""Workers of a server whose jobs write on another disk: what they write is there, while they run and afterwards."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import Process, outputs, program, start, wait_until
from queue_cli import PYTHON, WHIRR, Answer, ask
from run_folders import out_of_reach
from servers import Served, running_server

from whirr.errors import NotFound
from whirr.remote import RemoteHub
from whirr.worker.folders import KEPT

JOB = """
    import os, sys, time
    from pathlib import Path

    def until(name):
        while not os.path.exists(name):
            time.sleep(0.02)

    here = Path(os.environ["WHIRR_RUN_DIR"])
    before = os.environ.get("WHIRR_PREVIOUS_DIR")
    artifacts = here / "artifacts"
    artifacts.mkdir()
    step = int(Path(before, "artifacts", "step").read_text()) if before else 0
    print("step", step, flush=True)
    (here / "metrics.jsonl").write_text('{"_idx": 0, "loss": 0.5}\\n')
    (artifacts / "model.bin").write_bytes(bytes(range(256)) * 4096)
    (artifacts / "best.bin").symlink_to("model.bin")
    (artifacts / "step").write_text(str(step + 1))
    (here / ".hydra").mkdir()
    (here / ".hydra" / "config.yaml").write_text(f"step: {step}")
    until(sys.argv[1])
    print("the last line, without an end", end="", flush=True)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with running_server(tmp_path) as found:
        yield found


@pytest.fixture
def hub(server: Served) -> Iterator[RemoteHub]:
    found = server.hub()
    yield found
    found.close()


def submit(server: Served, *words: str) -> int:
    program(server.place / "job.py", JOB)
    answer = ask("submit", "--server", server.url, "--json", *words, "--", PYTHON, "job.py", server.place / "go",
                 cwd=server.place, **server.environ)  # fmt: skip
    assert answer.code == 0, answer.err
    return int(answer.json()["job_id"])


def machine(server: Served, name: str) -> dict[str, str]:
    """The environment of a machine of its own, as far as files go."""
    return {**server.environ, "XDG_STATE_HOME": str(server.place / name)}


@contextmanager
def worker(server: Served, name: str, *words: str) -> Iterator[Process]:
    command = [*WHIRR, "worker", "--server", server.url, "--gpus", "none", "--name", name, *words]
    process = start(command, server.place, **machine(server, name))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        _, told = outputs(process)
        assert "Traceback" not in told, told


def drain(server: Served, name: str, *words: str) -> Answer:
    command = ["worker", "--server", server.url, "--gpus", "none", "--name", name, "--drain", *words]
    answer = ask(*command, cwd=server.place, **machine(server, name))
    assert answer.code == 0, answer.err
    return answer


def at_server(server: Served, path: str, run: str = "job-1") -> bytes:
    file = server.root / "runs" / run / path
    return file.read_bytes() if file.exists() else b""


def ends(hub: RemoteHub, number: int = 1) -> str:
    def ended() -> str:
        job = hub.job(number)
        return str(job.status) if job.status.terminal else ""

    return wait_until(ended, 60)


def test_what_a_job_writes_is_seen_while_it_runs_and_complete_when_it_has_ended(server: Served, hub: RemoteHub) -> None:
    submit(server)
    with worker(server, "one"):
        wait_until(lambda: at_server(server, "output.log") == b"step 0\n", 30)
        wait_until(lambda: at_server(server, "metrics.jsonl"))
        assert hub.runs.detail("job-1").run.metrics["loss"].last == 0.5
        (server.place / "go").touch()
        assert ends(hub) == "completed"
    assert at_server(server, "output.log") == b"step 0\nthe last line, without an end"
    assert (
        at_server(server, "artifacts/model.bin") == at_server(server, "artifacts/best.bin") == bytes(range(256)) * 4096
    )
    assert hub.runs.detail("job-1").run.status == "completed"
    one, two = (os.stat(server.root / "runs/job-1/artifacts" / name).st_ino for name in ("model.bin", "best.bin"))
    assert one == two  # stored once


def test_a_job_goes_on_from_its_checkpoint_on_another_machine(server: Served, hub: RemoteHub) -> None:
    submit(server)
    with worker(server, "one") as first:
        wait_until(lambda: at_server(server, "output.log") == b"step 0\n", 30)
        first.send_signal(signal.SIGTERM)
        outputs(first)
    assert hub.job(1).status == "queued"
    (server.place / "go").touch()
    drain(server, "two")
    job = hub.job(1)
    assert (job.status, job.attempt) == ("completed", 2), job
    assert at_server(server, "output.log").startswith(b"step 1\n")
    assert at_server(server, "attempts/1/output.log") == b"step 0\n"
    assert at_server(server, "attempts/1/artifacts/step") == b"1"
    assert at_server(server, "attempts/1/.hydra/config.yaml") == b"step: 0"
    assert at_server(server, ".hydra/config.yaml") == hub.runs.read("job-1", ".hydra/config.yaml") == b"step: 1"
    assert at_server(server, "artifacts/step") == b"2"


def test_a_server_that_is_killed_under_a_job_gets_everything_when_it_is_back(server: Served, hub: RemoteHub) -> None:
    submit(server)
    with worker(server, "one"):
        wait_until(lambda: at_server(server, "output.log") == b"step 0\n", 30)
        server.kill()
        (server.place / "go").touch()
        spool = server.place / "one" / "whirr" / hub.info.id / "runs" / "job-1" / "1"
        wait_until(lambda: (spool / "result.1.json").exists(), 30)
        server.start()
        assert ends(hub) == "completed"
    assert hub.job(1).attempt == 1
    assert at_server(server, "output.log") == b"step 0\nthe last line, without an end"
    assert len(at_server(server, "artifacts/model.bin")) == 2**20


SUMMARY = """
    import json, os, time
    from pathlib import Path

    meta = Path(os.environ["WHIRR_RUN_DIR"], "meta.json")
    while not os.path.exists("go"):
        time.sleep(0.02)
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"summary": {"loss": 0.5}}))
    print("done")
"""


def test_a_job_ends_though_the_server_cannot_write_its_folder_and_its_files_follow(
    server: Served, hub: RemoteHub
) -> None:
    program(server.place / "summary.py", SUMMARY)
    command = ["submit", "--server", server.url, "--", PYTHON, "summary.py"]
    assert ask(*command, cwd=server.place, **server.environ).code == 0
    with worker(server, "one"):
        wait_until(lambda: "output.log" in {file.path for file in hub.runs.files("job-1")}, 30)
        with out_of_reach(server.root / "runs" / "job-1"):
            (server.place / "go").touch()
            assert ends(hub) == "completed"
            assert submit(server) == 2
            assert ends(hub, 2) == "completed"  # in the one slot there is
        wait_until(lambda: at_server(server, "output.log") == b"done\n", 60)
        wait_until(lambda: json.loads(at_server(server, "meta.json"))["summary"] == {"loss": 0.5}, 60)
        spool = server.place / "one" / "whirr" / hub.info.id / "runs" / "job-1" / "1"
        wait_until((spool / ".sent").exists, 30)
    meta = json.loads(at_server(server, "meta.json"))
    assert (meta["status"], meta["finished_at"]) == ("completed", hub.job(1).finished_at)


def test_a_killed_worker_leaves_its_files_to_the_next_on_its_machine(server: Served, hub: RemoteHub) -> None:
    submit(server)
    with worker(server, "one") as first:
        wait_until(lambda: at_server(server, "output.log") == b"step 0\n", 30)
        first.kill()
        outputs(first)
    (server.place / "go").touch()
    drain(server, "one")
    assert hub.job(1).status == "completed"
    assert at_server(server, "attempts/1/output.log").startswith(b"step 0\n")
    assert len(at_server(server, "attempts/1/artifacts/model.bin")) == 2**20


@pytest.mark.parametrize(("first", "second"), [("d1", "d2"), ("d1", ".whirr"), (".whirr", "d2")])
def test_a_job_that_ended_is_not_run_again_by_a_worker_with_another_data_folder(
    server: Served, hub: RemoteHub, first: str, second: str
) -> None:
    submit(server)
    of = {name: server.place / name / hub.info.id / "runs/job-1/1" for name in ("d1", "d2")}
    of[".whirr"] = server.root / "runs/job-1"
    with worker(server, "one", "--data-dir", str(server.place / first)) as killed:
        wait_until(lambda: at_server(server, "output.log") == b"step 0\n", 30)
        server.kill()
        (server.place / "go").touch()
        wait_until(lambda: (of[first] / "result.1.json").exists(), 30)
        killed.kill()
        outputs(killed)
        server.start()
    told = drain(server, "one", "--data-dir", str(server.place / second)).err
    assert "job 1 lost its worker" in told
    job = hub.job(1)
    assert (job.status, job.attempt, job.cause) == ("completed", 1, None), told
    assert at_server(server, "output.log") == b"step 0\nthe last line, without an end"
    assert len(at_server(server, "artifacts/model.bin")) == 2**20


def test_on_a_disk_that_the_server_shares_nothing_is_copied(server: Served, hub: RemoteHub) -> None:
    (server.place / "go").touch()
    submit(server)
    told = drain(server, "one", "--data-dir", str(server.root)).err
    assert "which the server shares" in told
    assert hub.job(1).status == "completed"
    assert at_server(server, "output.log") == b"step 0\nthe last line, without an end"
    assert (server.root / "runs/job-1/artifacts/best.bin").is_symlink()
    assert not (server.place / "one" / "whirr" / hub.info.id / "runs").exists()


def test_a_folder_that_is_not_the_servers_is_a_spool(server: Served, hub: RemoteHub) -> None:
    (server.place / "go").touch()
    submit(server)
    (server.place / "elsewhere").mkdir()
    drain(server, "one", "--data-dir", str(server.place / "elsewhere"))
    assert hub.job(1).status == "completed"
    assert (server.place / "elsewhere" / hub.info.id / "runs" / "job-1" / "1" / "output.log").exists()
    assert len(at_server(server, "artifacts/model.bin")) == 2**20


def test_a_worker_that_lacks_the_folder_of_a_job_leaves_it_to_others(server: Served, hub: RemoteHub) -> None:
    (server.place / "go").touch()
    missing = server.place / "not here"
    submit(server, "--workdir", str(missing))
    drain(server, "one")
    assert hub.job(1).status == "queued"
    missing.mkdir()
    program(missing / "job.py", JOB)
    drain(server, "one")
    assert hub.job(1).status == "completed"


def test_a_worker_says_clearly_that_there_is_no_server(server: Served) -> None:
    server.stop()
    answer = ask("worker", "--server", server.url, cwd=server.place, **machine(server, "one"))
    assert answer.code != 0
    assert "is not running" in answer.err


def test_a_run_that_is_not_there_is_not_found(hub: RemoteHub) -> None:
    with pytest.raises(NotFound):
        hub.runs.read("job-9", "meta.json")


def test_the_last_attempts_stay_in_the_spool_and_older_ones_go(server: Served, hub: RemoteHub) -> None:
    (server.place / "go").touch()
    for _ in range(KEPT + 3):
        submit(server)
    drain(server, "one", "--slots", "4")
    assert {hub.job(number).status for number in range(1, KEPT + 4)} == {"completed"}
    runs = server.place / "one" / "whirr" / hub.info.id / "runs"
    assert len(list(runs.glob("job-*/*/.sent"))) == len(list(runs.glob("job-*"))) == KEPT
