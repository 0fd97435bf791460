"""Runs of this machine sent to a server: while they run, afterwards, twice, and never over another run."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from helpers import QUICK, only_run, outputs, program, run_dirs, start, wait_until
from hubs import known, spec, worker
from hypothesis import example, given, settings
from hypothesis import strategies as st
from queue_cli import PYTHON, WHIRR, Answer, ask
from servers import Served, running_server

from whirr.connect import open_hub
from whirr.errors import FolderError
from whirr.hub import Target
from whirr.intake import LocalInbox
from whirr.sync import Shipment

SPARSE = 160 * 2**20
PEAK = """
import resource, subprocess, sys

subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)  # a child of the test itself would inherit the test's
"""
RUN = f"""
    import sys, time, os
    import whirr

    run = whirr.init(name="direct", {QUICK})
    for step in range(100):
        run.log({{"loss": 1 / (step + 1)}}, step=step)
    run.save_artifact("model.bin")
    while sys.argv[1:] and not os.path.exists(sys.argv[1]):
        time.sleep(0.02)
    run.log({{"loss": 0.0}}, step=100)
    run.finish()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running_server(tmp_path_factory.mktemp("server")) as found:
        yield found


def run_in(place: Path) -> Path:
    """A run that has ended."""
    (place / "model.bin").write_bytes(random.Random(7).randbytes(300_000))
    done = start([PYTHON, program(place / "run.py", RUN)], place)
    assert outputs(done)[1] == ""
    return only_run(place)


def sync(server: Served, place: Path, *words: str) -> Answer:
    return ask("sync", *words, "--server", server.url, cwd=place, **server.environ)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_that_has_ended_is_sent_once(server: Served, tmp_path: Path) -> None:
    run = run_in(tmp_path)
    first = sync(server, tmp_path, run.name)
    assert first.code == 0, first.err
    assert "sent" in first.out
    assert files_of(server.root / "runs" / run.name) == files_of(run)
    second = sync(server, tmp_path, "--all")
    assert second.out == f"{run.name}  was there already\n"
    told = ask("show", run.name, "--server", server.url, "--json", cwd=tmp_path, **server.environ).json()
    assert (told["status"], told["name"]) == ("completed", "direct")


def test_a_run_is_followed_to_its_end(server: Served, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    going = start([PYTHON, program(tmp_path / "run.py", RUN), tmp_path / "go"], tmp_path)
    run = wait_until(lambda: run_dirs(tmp_path) and run_dirs(tmp_path)[0])
    sending = start([*WHIRR, "sync", run.name, "-f", "--json", "--server", server.url], tmp_path, **server.environ)
    there = server.root / "runs" / run.name
    wait_until(lambda: (there / "metrics.jsonl").exists() and (there / "metrics.jsonl").stat().st_size, 30)
    (tmp_path / "go").touch()
    outputs(going)
    out, err = outputs(sending)
    assert (sending.returncode, err) == (0, ""), out
    assert files_of(there) == files_of(run)


def test_several_may_send_the_same_run_at_once(server: Served, tmp_path: Path) -> None:
    run_dir = run_in(tmp_path)
    (run_dir / "artifacts" / "large.bin").write_bytes(random.Random(8).randbytes(20_000_000))
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: sync(server, tmp_path, "--all"), range(3)))
    assert [answer.code for answer in answers] == [0, 0, 0], "".join(answer.err for answer in answers)
    assert files_of(server.root / "runs" / run_dir.name) == files_of(run_dir)


def test_what_was_sent_is_not_kept_in_memory(server: Served, tmp_path: Path) -> None:
    run_dir = run_in(tmp_path)
    with (run_dir / "artifacts" / "sparse.bin").open("wb") as file:
        file.truncate(SPARSE)
    command = [PYTHON, "-c", PEAK, *WHIRR, "sync", "--all", "--server", server.url]
    environ = {**os.environ, **server.environ}
    peak = subprocess.run(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, check=True).stdout.split()[-1]
    assert int(peak) * 1024 < SPARSE / 1.5
    (server.root / "runs" / run_dir.name / "artifacts" / "sparse.bin").unlink()


def test_another_run_of_the_same_id_is_not_overwritten(server: Served, tmp_path: Path) -> None:
    run = run_in(tmp_path)
    assert sync(server, tmp_path, run.name).code == 0
    before = files_of(server.root / "runs" / run.name)
    metrics = run / "metrics.jsonl"
    metrics.write_bytes(b'{"loss": 7}\n' + metrics.read_bytes())
    (run / "meta.json").write_bytes(b"{}")
    answer = sync(server, tmp_path, run.name)
    assert answer.code == 1
    assert "the server has another run" in answer.err
    assert files_of(server.root / "runs" / run.name) == before


def test_what_is_wrong_is_said(server: Served, tmp_path: Path) -> None:
    run = run_in(tmp_path)
    assert "name runs, or give --all" in sync(server, tmp_path).err
    assert "no run" in sync(server, tmp_path, "nothing-like-it").err
    answer = ask("sync", "--all", "--server", "http://127.0.0.1:9", cwd=tmp_path, **server.environ)
    assert (answer.code != 0, "is not running" in answer.err) == (True, True)
    (run.parent / "job-3").mkdir()
    (run.parent / "job-3" / "meta.json").write_bytes((run / "meta.json").read_bytes())
    assert "its worker sends it" in sync(server, tmp_path, "job-3").err


class Shaky(LocalInbox):
    """An inbox whose answers get lost: what was asked is done, or not, and the asker never knows."""

    chance = random.Random(1)
    odds = 0.0

    def _within(self, target, work):  # type: ignore[no-untyped-def]
        self._lose()
        done = super()._within(target, work)
        self._lose()
        return done

    def send(self, sha256: str, offset: int, data: bytes) -> int:
        self._lose()
        cut = self.chance.randrange(len(data) + 1) if self.chance.random() < self.odds else len(data)
        done = super().send(sha256, offset, data[:cut])
        self._lose()
        return done

    def _lose(self) -> None:
        if self.chance.random() < self.odds:
            raise FolderError("lost on the way")


PATHS = ("output.log", "metrics.jsonl", "metrics.7.jsonl", "meta.json", "artifacts/a/model.bin", "notes.txt")
STEP = st.tuples(
    st.sampled_from(PATHS),
    st.sampled_from(["grow", "grow", "replace", "truncate", "delete", "again"]),
    st.binary(min_size=1, max_size=40),
)


REPLACED = [
    ("output.log", "grow", b"01"),
    ("output.log", "grow", b"234567"),
    ("output.log", "again", b"-"),
    ("output.log", "replace", b"89abcdef"),
]
"""A log that another of the same length takes the place of, after its sender was started anew."""


@settings(max_examples=40)
@given(st.lists(STEP, max_size=30), st.integers(0, 2**32))
@example(REPLACED, 0)
def test_whatever_is_written_and_lost_on_the_way_the_same_is_there_at_the_end(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, bytes]], seed: int
) -> None:
    place = tmp_path_factory.mktemp("sync")
    hub = open_hub(place / ".whirr")
    inbox = Shaky(hub.root, hub.database)
    inbox.chance, inbox.odds = random.Random(seed), 0.2
    hub.submit(spec("true"))
    claim = hub.claim(known(hub, worker()))
    assert claim is not None
    target = Target(claim.job.run_id, claim.lease)
    here, there = place / "here", hub.run_dir(1)
    here.mkdir()
    shipment = Shipment(inbox, target, here)
    for path, what, data in steps:
        change(here / path, what, data)
        if what == "again":  # by a worker that was started anew
            shipment = Shipment(inbox, target, here)
        with_luck(shipment.turn)
    inbox.odds = 0.05
    while not with_luck(shipment.complete):
        pass
    found, wanted = files_of(there), files_of(here)
    assert {path: found.get(path) for path in wanted} == wanted
    hub.close()


def change(file: Path, what: str, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if what == "grow":
        with file.open("ab") as opened:
            opened.write(data)
    elif what == "replace":
        draft = file.with_suffix(".draft")
        draft.write_bytes(data)
        os.replace(draft, file)
    elif what == "truncate" and file.exists():
        os.truncate(file, len(data) % 7)
    elif what == "delete":
        file.unlink(missing_ok=True)


def with_luck(send: Callable[[], object]) -> bool:
    try:
        send()
    except FolderError:
        return False
    return True


def test_links_within_the_run_are_sent_as_files_and_others_are_told(tmp_path: Path) -> None:
    hub = open_hub(tmp_path / ".whirr")
    here = tmp_path / "here"
    (here / "artifacts").mkdir(parents=True)
    (here / "artifacts/step_9.pt").write_bytes(b"weights")
    (here / "artifacts/last.pt").symlink_to("step_9.pt")
    (here / "artifacts/data").symlink_to("/usr")
    (here / "secret").symlink_to("/etc/hostname")
    (here / "broken").symlink_to("nowhere")
    os.mkfifo(here / "pipe")
    (here / os.fsdecode(b"\xff.txt")).write_bytes(b"x")
    told: list[str] = []
    Shipment(hub.inbox, Target("local-1"), here, told.append).complete()
    assert files_of(hub.root / "runs/local-1") == dict.fromkeys(
        ["artifacts/step_9.pt", "artifacts/last.pt"], b"weights"
    )
    assert sorted(line.partition(" is not sent")[0] for line in told) == sorted(
        [repr("\udcff.txt"), "artifacts/data", "secret"]
    )
    hub.close()


def test_hidden_files_are_sent_but_not_what_is_whirrs_own(tmp_path: Path) -> None:
    hub = open_hub(tmp_path / ".whirr")
    here = tmp_path / "here"
    theirs = (".hydra/config.yaml", ".env", "artifacts/.hidden/x", "artifacts/.sent", "artifacts/code/x")
    own = (
        ".meta.json.1.tmp",
        "artifacts/.1.tmp/x",
        ".reserve",
        ".sent",
        ".lease",
        ".sending",
        "code/x",
        "attempts/1/x",
    )
    for name in (*theirs, *own):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(b"x")
    told: list[str] = []
    Shipment(hub.inbox, Target("local-1"), here, told.append).complete()
    assert files_of(hub.root / "runs/local-1") == dict.fromkeys(theirs, b"x")
    assert told == []
    hub.close()


def test_of_a_file_that_has_grown_only_what_was_added_is_sent(tmp_path: Path) -> None:
    hub = open_hub(tmp_path / ".whirr")
    here = tmp_path / "here"
    here.mkdir()
    events = here / "events.out"
    events.write_bytes(random.Random(3).randbytes(100_000))
    shipment = Shipment(hub.inbox, Target("local-1"), here)
    shipment.turn(final=True)
    with events.open("ab") as file:
        file.write(b"more")
    shipment.turn(final=True)
    assert shipment.sent == 100_004
    assert (hub.root / "runs/local-1/events.out").read_bytes() == events.read_bytes()
    events.write_bytes(b"other" + events.read_bytes())  # it did not grow: it is another
    shipment.complete()
    assert (hub.root / "runs/local-1/events.out").read_bytes() == events.read_bytes()
    hub.close()


def test_of_a_log_that_grows_after_its_sender_was_started_anew_too(tmp_path: Path) -> None:
    hub = open_hub(tmp_path / ".whirr")
    here = tmp_path / "here"
    here.mkdir()
    log = here / "output.log"
    log.write_bytes(b"before\n" * 1000)
    Shipment(hub.inbox, Target("local-1"), here).turn()
    anew = Shipment(hub.inbox, Target("local-1"), here)
    anew.turn()
    with log.open("ab") as file:
        file.write(b"after\n")
    anew.complete()
    assert anew.sent == len(b"after\n")
    assert (hub.root / "runs/local-1/output.log").read_bytes() == log.read_bytes()
    hub.close()


def test_annotations_are_sent_once_and_then_edited_where_they_came_to(server: Served, tmp_path: Path) -> None:
    run = run_in(tmp_path)
    assert ask("note", run.name, "from here", cwd=tmp_path).code == 0
    assert sync(server, tmp_path, run.name).code == 0
    with closing(server.hub()) as hub:
        assert hub.runs.annotate(run.name).notes == "from here"
        hub.runs.annotate(run.name, notes="edited there", add=["there"])
        assert ask("note", run.name, "edited here", cwd=tmp_path).code == 0
        assert sync(server, tmp_path, run.name).out == f"{run.name}  was there already\n"
        assert hub.runs.annotate(run.name) == ("edited there", ("there",))
