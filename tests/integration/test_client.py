"""``WhirrClient`` with a real server and a real worker."""

from __future__ import annotations

import os
import random
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faulty_proxy
import pytest
from faulty_proxy import Connection, FaultyProxy, Request, pass_on, proxy_for
from helpers import QUICK, program, wait_until
from queue_cli import PYTHON, worker
from servers import Served, running_server

from whirr import WhirrWarning, read_metrics
from whirr.client import WhirrClient, WhirrClientError

SPEC = """
# Submit multiple jobs
configs = [
    {"lr": 0.01},
    {"lr": 0.001},
    {"lr": 0.0001},
]

job_ids = []
for i, config in enumerate(configs):
    result = client.submit_job(
        command_argv=["python", "train.py", "--lr", str(config["lr"])],
        workdir="/home/user/project",
        name=f"sweep-{i}",
        config=config,
        tags=["sweep"],
    )
    job_ids.append(result["job_id"])

print(f"Submitted {len(job_ids)} jobs")

# Wait for all to complete
results = []
for job_id in job_ids:
    job = client.wait_for_job(job_id)
    if job["status"] == "completed":
        run_id = job.get("run_id", f"job-{job_id}")
        metrics = client.get_metrics(run_id)
        results.append(metrics)
    else:
        print(f"Job {job_id} failed")

# Analyze results
for i, metrics in enumerate(results):
    if metrics:
        final = metrics[-1]
        print(f"Config {i}: final loss = {final.get('loss')}")
"""
"""The batch example of the contract, from its second statement on, to the letter."""

TRAIN = f"""
    import sys, whirr
    lr = float(sys.argv[sys.argv.index("--lr") + 1])
    with whirr.init({QUICK}) as run:
        for step in range(3):
            run.log({{"loss": lr * step if step else float("nan")}}, step=step)
    print("lr", lr)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Served]:
    """One server for the tests that leave it alive, with a worker."""
    with running_server(place) as made, working(made):
        program(place / "train.py", TRAIN)
        yield made


@contextmanager
def working(server: Served) -> Iterator[None]:
    """A worker at a server, which finds this interpreter as ``python``."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with worker(server.place, HOME=server.environ["HOME"], PATH=path, WHIRR_SERVER_URL=server.url):
        yield


@pytest.fixture
def client(server: Served) -> Iterator[WhirrClient]:
    with WhirrClient(server.url, environ=server.environ) as made:
        yield made


@pytest.fixture
def proxy(server: Served) -> Iterator[FaultyProxy]:
    with proxy_for(server.port) as made:
        yield made


@pytest.fixture
def by_proxy(proxy: FaultyProxy, server: Served) -> Iterator[WhirrClient]:
    with WhirrClient(proxy.url, token=server.token, timeout=5) as made:
        yield made


def python(code: str) -> list[str]:
    return [PYTHON, "-c", code]


def test_the_batch_example_of_the_contract(
    client: WhirrClient, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace: dict[str, Any] = {"client": client}
    exec(SPEC.replace("/home/user/project", str(place)), namespace)
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "Submitted 3 jobs",
        "Config 0: final loss = 0.02",
        "Config 1: final loss = 0.002",
        "Config 2: final loss = 0.0002",
    ]
    for config, job_id in zip(namespace["configs"], namespace["job_ids"], strict=True):
        job = client.get_job(job_id)
        assert (job["config"], job["tags"], job["exit_code"], job["cause"]) == (config, ["sweep"], 0, None)
        assert job["command_argv"] == ["python", "train.py", "--lr", str(config["lr"])]


def test_a_finished_job_in_every_view(client: WhirrClient, place: Path) -> None:
    done = client.submit_job(["python", "train.py", "--lr", "0.5"], str(place), "seen", {"lr": 0.5}, ["viewed"])
    assert set(done) == {"job_id", "run_id", "run_dir", "message"}
    assert done["run_id"] == f"job-{done['job_id']}"
    job = client.wait_for_job(done["job_id"], poll_interval=0.1, timeout=60)
    run_dir = Path(done["run_dir"])
    assert (job["status"], job["run_dir"]) == ("completed", done["run_dir"])

    records = client.get_metrics(done["run_id"])
    assert repr(records) == repr(read_metrics(run_dir))
    assert records[0]["loss"] != records[0]["loss"]
    assert repr(list(client.follow_metrics(done["run_id"]))) == repr(records)

    files = client.list_artifacts(done["run_id"])
    assert all(set(file) == {"path", "size", "modified"} for file in files)
    sizes = {file["path"]: file["size"] for file in files}
    assert sizes["output.log"] == len("lr 0.5\n")
    assert client.get_artifact(done["run_id"], "output.log") == b"lr 0.5\n"
    assert client.get_artifact(done["run_id"], "metrics.jsonl") == (run_dir / "metrics.jsonl").read_bytes()

    run = client.get_run(done["run_id"])
    assert (run["run_id"], run["status"], run["config"], run["tags"]) == (
        job["run_id"],
        *("completed", {"lr": 0.5}, ["viewed"]),
    )
    assert [each["run_id"] for each in client.get_runs("completed", "viewed")] == [done["run_id"]]
    assert client.get_runs("failed", "viewed") == []
    assert len(client.get_runs(limit=1)) == 1
    status = client.get_status()
    assert status["jobs"]["completed"] >= 1
    assert [each["gone"] for each in status["workers"]] == [False]


def test_metrics_are_those_that_read_metrics_gives(client: WhirrClient, server: Served) -> None:
    run = server.root / "runs" / "merged"
    run.mkdir()
    (run / "meta.json").write_text('{"run_id": "merged", "status": "completed"}')
    assert client.get_metrics("merged") == []
    lines = [f'{{"_idx": {n}, "_timestamp": "2026-01-01T00:00:{n % 60:02}Z", "n": {n}}}\n' for n in range(30_000)]
    (run / "metrics.jsonl").write_text("".join(lines) + '{"_idx": 30000, "_ti')
    assert client.get_metrics("merged") == read_metrics(run)
    (run / "metrics.1-ab.jsonl").write_text("".join(lines[:50]))
    (run / "metrics.2-ab.jsonl").write_text('{"_idx": 0, "_timestamp": "", "_nonfinite": {"loss": "inf"}}\n')
    assert client.get_metrics("merged") == read_metrics(run)
    assert len(read_metrics(run)) == 30_051


def test_damage_is_told(client: WhirrClient, server: Served) -> None:
    run = server.root / "runs" / "damaged"
    run.mkdir()
    (run / "meta.json").write_text('{"run_id": "damaged", "status": "completed"}')
    (run / "metrics.jsonl").write_text('{"_idx": 0, "a": 1}\nnonsense\n{"_idx": 2, "a": 3}\n')
    with pytest.warns(WhirrWarning, match="1 damaged"):
        assert [record["a"] for record in client.get_metrics("damaged")] == [1, 3]


def test_what_a_job_is_given(client: WhirrClient, place: Path) -> None:
    code = "import os; print(os.environ['NOTHING'] + os.environ['SEED'], end='')"
    first = client.submit_job(["true"], str(place), priority=5)["job_id"]
    env = {"NOTHING": "", "SEED": "7", "API_TOKEN": "hidden"}
    options: dict[str, Any] = {"after": [first], "env": env, "time_limit": 60, "grace": 1, "gpus": 0, "retries": 1}
    job = client.submit_and_wait(python(code), str(place), poll_interval=0.1, timeout=60, **options)
    assert client.get_artifact(job["run_id"], "output.log") == b"7"
    assert (job["after"], job["timeout_seconds"], job["grace_seconds"], job["gpus"]) == ([first], 60, 1, 0)
    assert job["env"] == {"NOTHING": "", "SEED": "7", "API_TOKEN": "***"}


def test_a_failed_job_says_why(client: WhirrClient, place: Path) -> None:
    job = client.submit_and_wait(python("raise SystemExit(3)"), str(place), poll_interval=0.1, timeout=60)
    assert (job["status"], job["exit_code"], job["cause"]["kind"]) == ("failed", 3, "exit")


def test_the_time_is_up_and_the_job_goes_on_until_it_is_cancelled(client: WhirrClient, place: Path) -> None:
    job_id = client.submit_job(python("import time; time.sleep(600)"), str(place))["job_id"]
    with pytest.raises(TimeoutError, match=f"job {job_id} .* (queued|running)"):
        client.wait_for_job(job_id, poll_interval=0.01, timeout=0.3)
    with pytest.raises(TimeoutError):
        client.wait_for_job(job_id, poll_interval=0, timeout=0)
    client.cancel_job(job_id)
    job = client.wait_for_job(job_id, poll_interval=0.1, timeout=60)
    assert job["status"] == "cancelled"
    assert "token admin" in job["cancelled_by"]
    with pytest.raises(WhirrClientError) as told:
        client.cancel_job(client.submit_and_wait(["true"], str(place), poll_interval=0.1)["job_id"])
    assert told.value.code == "illegal-transition"


def test_a_running_job_is_followed_through_its_attempts(client: WhirrClient, place: Path) -> None:
    go = place / "go"
    code = f"""
        import os, pathlib, time, whirr
        run = whirr.init({QUICK})
        attempt = os.environ["WHIRR_ATTEMPT"]
        print("attempt", attempt, flush=True)
        whirr.log({{"attempt": int(attempt)}})
        while not pathlib.Path({str(go)!r} + attempt).exists():
            time.sleep(0.01)
        print("end of", attempt, flush=True)
        raise SystemExit(85 if attempt == "1" else 0)
    """
    done = client.submit_job([PYTHON, str(program(place / "follow.py", code))], str(place))
    log = client.follow_log(done["job_id"])
    first = next(log)
    assert first == b"attempt 1\n"  # it is still running: its end is not allowed yet
    metrics = client.follow_metrics(done["run_id"])
    assert next(metrics)["attempt"] == 1
    with ThreadPoolExecutor(2) as threads:
        rest, records = threads.submit(b"".join, log), threads.submit(list, metrics)
        Path(f"{go}1").touch()
        wait_until(lambda: client.get_job(done["job_id"])["attempt"] == 2, 60)
        Path(f"{go}2").touch()
        assert rest.result(60) == b"end of 1\nattempt 2\nend of 2\n"
        assert [record["attempt"] for record in records.result(60)] == [2]


def test_a_job_is_moved_and_submitted_again(client: WhirrClient, place: Path) -> None:
    done = client.submit_job(python("import os; print(os.environ['SEED'])"), str(place), "n", env={"SEED": "1"})
    assert client.wait_for_job(done["job_id"], poll_interval=0.1, timeout=60)["status"] == "completed"
    with pytest.raises(WhirrClientError) as told:
        client.set_priority(done["job_id"], 5)
    assert told.value.code == "illegal-transition"
    again = client.submit_again(done["job_id"], name="m", env={"SEED": "2"}, priority=3)
    assert again["run_id"] == f"job-{again['job_id']}"
    job = client.wait_for_job(again["job_id"], poll_interval=0.1, timeout=60)
    assert (job["status"], job["name"], job["priority"], job["env"]) == ("completed", "m", 3, {"SEED": "2"})
    assert client.get_artifact(again["run_id"], "output.log") == b"2\n"
    held = client.submit_job(["true"], str(place), after=[again["job_id"]], gpus=10**6)
    assert client.set_priority(held["job_id"], -7)["priority"] == -7
    client.cancel_job(held["job_id"])


def test_one_client_serves_many_threads(client: WhirrClient, place: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda seed: client.submit_job(["true"], str(place), f"thread-{seed}"), range(24)))
    assert len({one["job_id"] for one in done}) == 24
    for one in done:
        client.cancel_job(one["job_id"]) if client.get_job(one["job_id"])["status"] == "queued" else None


def test_what_is_not_there(client: WhirrClient, tmp_path: Path) -> None:
    for call in (
        lambda: client.get_job(10**6),
        lambda: client.wait_for_job(10**6),
        lambda: next(client.follow_log(10**6)),
        lambda: client.cancel_job(10**6),
        lambda: client.get_run("job-1000000"),
        lambda: client.get_metrics("nobody"),
        lambda: next(client.follow_metrics("nobody")),
        lambda: client.list_artifacts("nobody"),
        lambda: client.get_artifact("nobody", "output.log"),
        lambda: client.get_artifact("job-1", "nothing.bin"),
        lambda: client.download_artifact("job-1", "nothing.bin", tmp_path / "file"),
    ):
        with pytest.raises(WhirrClientError, match="there is no") as told:
            call()
        assert told.value.code == "not-found"


def test_a_wrong_token(server: Served) -> None:
    nobody = {"HOME": "/nonexistent"}
    for about in ({"token": "whirr_nobody_nothing"}, {"environ": nobody}):
        with WhirrClient(server.url, **about) as client, pytest.raises(WhirrClientError) as told:
            client.submit_job(["true"], "/")
        assert told.value.code == "unauthenticated"
    with WhirrClient(server.url, environ={**nobody, "WHIRR_TOKEN": server.token}) as client:
        assert client.get_status()["role"] == "admin"


# On a bad line


def test_a_submission_whose_answer_is_lost_makes_one_job(
    proxy: FaultyProxy, by_proxy: WhirrClient, client: WhirrClient, place: Path
) -> None:
    def fault(connection: Connection, request: Request) -> None:
        if request.line.startswith("POST") and proxy.count == 0:
            proxy.met()
            faulty_proxy.unanswered(connection, request)
        pass_on(connection, request)

    before = sum(client.get_status()["jobs"].values())
    proxy.fault = fault
    done = by_proxy.submit_job(["true"], str(place), key="one-and-only")
    assert proxy.count == 1
    assert sum(client.get_status()["jobs"].values()) == before + 1
    assert client.submit_job(["true"], str(place), key="one-and-only")["job_id"] == done["job_id"]


def test_a_download_that_breaks_goes_on_where_it_was(
    proxy: FaultyProxy, by_proxy: WhirrClient, server: Served, tmp_path: Path
) -> None:
    data = random.Random(4).randbytes(9_000_001)
    run = server.root / "runs" / "copied-in"
    (run / "artifacts").mkdir(parents=True)
    (run / "artifacts" / "model #1.pt").write_bytes(data)
    ranges: list[bool] = []

    def broken_off(connection: Connection, request: Request) -> None:
        """The server is asked, and of the answer a part comes through."""
        ranges.append(b"\r\nrange: " in request.data.lower())
        if len(ranges) > 4:
            connection.proxy.fault = pass_on
            return pass_on(connection, request)
        with socket.create_connection(proxy.server) as upstream:
            upstream.sendall(request.data)
            left = 1_500_000
            while left > 0 and (block := upstream.recv(65536)):
                connection.client.sendall(block)
                left -= len(block)
        connection.delivered()
        raise faulty_proxy.Broken

    proxy.fault = broken_off
    got = by_proxy.download_artifact("copied-in", "artifacts/model #1.pt", tmp_path)
    assert got == tmp_path / "model #1.pt"
    assert got.read_bytes() == data
    assert ranges == [False, True, True, True, True]
    assert os.listdir(tmp_path) == ["model #1.pt"]

    # A call that gave up is gone on with by the next one; another file in its place is not mixed with it.
    proxy.fault, dest = faulty_proxy.lost, tmp_path / "second"
    Path(f"{dest}.part").write_bytes(data[:1000])
    with pytest.raises(WhirrClientError) as told:
        by_proxy.download_artifact("copied-in", "artifacts/model #1.pt", dest)
    assert told.value.code == "unreachable"
    proxy.fault = pass_on
    for tag in ('"of-another-file"', ""):
        Path(f"{dest}.part").write_bytes(b"something else")
        Path(f"{dest}.part.tag").write_text(tag)
        assert by_proxy.download_artifact("copied-in", "artifacts/model #1.pt", dest).read_bytes() == data


def test_waiting_outlasts_a_restart_of_the_server(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, WhirrClient(server.url, environ=server.environ) as client:
        job_id = client.submit_job(["echo", "back again"], str(tmp_path))["job_id"]
        with ThreadPoolExecutor(2) as threads:
            waiting = threads.submit(client.wait_for_job, job_id, 0.05, 120)
            following = threads.submit(b"".join, client.follow_log(job_id))
            server.kill()
            with pytest.raises(TimeoutError, match="cannot be reached"):
                client.wait_for_job(job_id, poll_interval=0.05, timeout=0.3)
            with pytest.raises(WhirrClientError) as told:
                client.get_job(job_id)
            assert told.value.code == "unreachable"
            assert not waiting.done()
            assert not following.done()
            server.start()
            with working(server):
                assert waiting.result(60)["status"] == "completed"
                assert following.result(60) == b"back again\n"


def test_a_server_that_stays_away_for_too_long_is_an_error(place: Path, server: Served, proxy: FaultyProxy) -> None:
    with WhirrClient(proxy.url, token=server.token, away=0.2) as client:
        job_id = client.submit_job(["true"], str(place))["job_id"]
        proxy.refuse()
        for call in (lambda: client.wait_for_job(job_id, 0.05), lambda: list(client.follow_log(job_id))):
            with pytest.raises(WhirrClientError, match="nothing listens"):
                call()


# What is no whirr server


@contextmanager
def answering(answer: bytes | None) -> Iterator[str]:
    """The address of something that answers every request with these bytes; None: never."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                held.append(connection)
                if answer is not None:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in held:
                connection.close()


def http(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (http(b"<html>a router</html>", kind="text/html"), "bad-answer"),
        (http(b"<html>no</html>", "404 Not Found", "text/html"), "bad-answer"),
        (http(b"", "302 Found"), "bad-answer"),
        (http(b"{}"), "bad-answer"),
        (http(b"[1, 2]"), "bad-answer"),
        (http(b"null"), "bad-answer"),
        (http(b'"text"'), "bad-answer"),
        (http(b'{"job": {}, "jobs": [], "runs": 5, "files": [7], "counts": []}'), "bad-answer"),
        (b"220 smtp.example.org ESMTP\r\n", "unreachable"),
        (http(b"<html>bad gateway</html>", "502 Bad Gateway", "text/html"), "unreachable"),
    ],
)
def test_an_answer_of_something_else(answer: bytes, code: str, tmp_path: Path) -> None:
    with answering(answer) as url, WhirrClient(url, token="any") as client:
        calls = (
            lambda: client.submit_job(["true"], "/"),
            lambda: client.get_job(1),
            lambda: client.wait_for_job(1),
            lambda: client.get_status(),
            lambda: client.get_run("job-1"),
            lambda: client.get_runs(),
            lambda: client.list_artifacts("job-1"),
            lambda: client.cancel_job(1),
            lambda: list(client.follow_metrics("x")),
        )
        for call in calls if code == "bad-answer" else calls[:2]:  # what is asked again takes its time
            with pytest.raises(WhirrClientError) as told:
                call()
            assert told.value.code == code, told.value


def test_a_server_that_hangs_is_given_up() -> None:
    with answering(None) as url, WhirrClient(url, token="any", timeout=0.1) as client:
        with pytest.raises(WhirrClientError, match="no answer in time") as told:
            client.get_job(1)
        assert told.value.code == "unreachable"
