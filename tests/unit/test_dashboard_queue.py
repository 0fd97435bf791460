"""What the queue and workers pages are told: jobs in words, GPUs as samples say, forms and what is made of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hubs import Ticker, outcome, spec, worker

from whirr import clock
from whirr.connect import open_hub
from whirr.dashboard.gauges import FRESH_S, Gauge, Gauges
from whirr.dashboard.queueview import last_line, queue_of
from whirr.dashboard.rewriting import changes_of, form_of, texts_of
from whirr.dashboard.routes_queue import LASTS_S, Answers
from whirr.dashboard.workersview import workers_of
from whirr.errors import UsageError
from whirr.fleet import look
from whirr.local import LocalHub
from whirr.locks import Held, worker_lock
from whirr.model import CauseKind, Claim, Job, JobSpec, Verdict, WorkerInfo
from whirr.resubmission import Changes, changed
from whirr.waiting import why

AtWork = Callable[..., WorkerInfo]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    hub = open_hub(tmp_path / ".whirr", now=Ticker())
    yield hub
    hub.close()


@pytest.fixture
def at_work(hub: LocalHub) -> Iterator[AtWork]:
    """Registers living workers of this machine."""
    locks: list[Held] = []

    def make(**about: Any) -> WorkerInfo:
        info = worker(**about)._replace(started_at=clock.stamp())
        locks.append(Held(worker_lock(hub.queue, info.id)))
        hub.register(info)
        return info

    yield make
    for lock in locks:
        with suppress(OSError):
            lock.release()


def started(hub: LocalHub, by: WorkerInfo, **about: Any) -> Claim:
    hub.submit(spec("train", **about))
    claim = hub.claim(by)
    assert claim is not None
    return claim


def write(hub: LocalHub, job: Job, name: str, *records: dict[str, Any]) -> None:
    (hub.run_dir(job.id) / name).write_text("".join(json.dumps(record) + "\n" for record in records))


class TestQueue:
    def test_an_empty_one(self, hub: LocalHub) -> None:
        found = queue_of(hub, 10)
        assert (found["running"], found["waiting"], found["recent"], found["counts"]) == ([], [], [], {})
        assert found["workers"] == {"living": 0, "gpus": {"idle": 0, "all": 0}, "slots": {"idle": 0, "all": 0}}
        assert found["start"] == f"whirr worker --dir {hub.root.parent}"
        assert abs(found["now"] - time.time()) < 3600

    def test_a_job_that_runs(self, hub: LocalHub, at_work: AtWork) -> None:
        by = at_work(name="node-1", gpus=("GPU-a", "GPU-b"))
        claim = started(hub, by, name="n", tags=("x", "y"), gpus=2, timeout_s=60.0, config={"max_steps": 200})
        write(hub, claim.job, "metrics.jsonl", {"_idx": 0, "step": 49, "loss": 0.5, "acc": "NaN", "image": {"a": 1}})
        (hub.run_dir(1) / "output.log").write_text("hello\n\x1b[32mlast\x1b[0m line\n")
        [found] = queue_of(hub, 10)["running"]
        assert (found["id"], found["run_id"], found["name"], found["tags"]) == (1, "job-1", "n", ["x", "y"])
        assert (found["status"], found["attempt"], found["gpu_ids"]) == ("running", 1, ["GPU-a", "GPU-b"])
        assert found["worker"] == {"id": by.id, "name": "node-1", "host": by.host, "health": "alive"}
        assert (found["part"], found["timeout_s"], found["line"]) == (49 / 200, 60.0, "last line")
        assert found["progress"]["latest"] == {"loss": 0.5, "acc": "NaN"}

    def test_the_time_that_is_left(self, hub: LocalHub, at_work: AtWork) -> None:
        by = at_work()
        claim = started(hub, by, config={"max_steps": 200}, retries=1)
        [found] = queue_of(hub, 10)["running"]
        assert (found["part"], found["ends_at"]) == (None, None)
        write(hub, claim.job, "metrics.jsonl", {"_idx": 0, "step": 50, "loss": 1.0})
        view = queue_of(hub, 10)
        [found] = view["running"]
        assert found["ends_at"] - view["now"] == pytest.approx(3 * found["elapsed_s"], abs=0.01)

    def test_a_later_attempt_may_have_begun_anywhere(self, hub: LocalHub, at_work: AtWork) -> None:
        by = at_work()
        hub.finish(started(hub, by, config={"max_steps": 200}).lease, outcome(Verdict.REQUEUE, seconds=60.0))
        claim = hub.claim(by)
        assert claim is not None
        write(hub, claim.job, "metrics.jsonl", {"_idx": 0, "step": 100, "loss": 1.0})
        [found] = queue_of(hub, 10)["running"]
        assert (found["attempt"], found["part"], found["ends_at"]) == (2, 0.5, None)

    def test_jobs_that_wait_have_their_places_and_reasons(self, hub: LocalHub, at_work: AtWork) -> None:
        at_work(slots=0)
        first, second = hub.submit(spec("a")), hub.submit(spec("b", priority=3))
        hub.submit(spec("c", after=(first.id,), after_any=(second.id,)))
        found = queue_of(hub, 10)["waiting"]
        assert [(one["id"], one["position"], one["why"]) for one in found] == [
            (2, 1, "next, for a free slot"),
            (1, 2, "1 job before it"),
            (3, None, "after jobs 1 (queued), 2 (queued)"),
        ]
        assert [one["priority"] for one in found] == [3, 0, 0]
        assert found[2]["needs"] == [{"id": 1, "status": "queued"}, {"id": 2, "status": "queued"}]
        assert not any(one["stuck"] for one in found)

    def test_what_somebody_has_to_mend_stands_out(self, hub: LocalHub, at_work: AtWork) -> None:
        hub.submit(spec("a", gpus=4))
        assert [one["stuck"] for one in queue_of(hub, 10)["waiting"]] == [True]  # nobody works
        far = worker("far", host="far", gpus=("GPU-a",), lease_s=60.0)._replace(started_at=clock.stamp())
        hub.register(far)
        hub.submit(spec("b", workdir="/missing"))
        hub.tell_folders(far.id, {"/missing": False})
        found = queue_of(hub, 10)["waiting"]
        assert [one["why"] for one in found] == [
            "needs 4 GPUs; the workers have at most 1",
            "no worker has its folder /missing (1 lacks it)",
        ]
        assert [one["stuck"] for one in found] == [True, True]

    def test_one_that_is_tried_again_later_says_when(self, hub: LocalHub, at_work: AtWork) -> None:
        by = at_work()
        hub.finish(started(hub, by, retries=1).lease, outcome(Verdict.FAILED, exit_code=3))
        view = queue_of(hub, 10)
        [found] = view["waiting"]
        assert found["starts_at"] - view["now"] == 5.0
        assert (found["attempt"], found["last_cause"]) == (1, "exit")

    def test_jobs_that_ended_say_why(self, hub: LocalHub, at_work: AtWork) -> None:
        by = at_work()
        hub.finish(started(hub, by).lease, outcome(Verdict.COMPLETED))
        claim = started(hub, by)
        meta = json.loads((hub.run_dir(2) / "meta.json").read_text())
        own = {"kind": "exception", "type": "ValueError", "message": "bad lr\nmore"}
        (hub.run_dir(2) / "meta.json").write_text(json.dumps({**meta, "cause": own}))
        hub.finish(claim.lease, outcome(Verdict.FAILED, exit_code=1))
        hub.submit(spec("never"))
        hub.cancel(3, "ada@lab")
        found = {one["id"]: one for one in queue_of(hub, 10)["recent"]}
        assert found[1]["cause"] == {"kind": None, "text": ""}
        assert found[2]["cause"] == {"kind": "exit", "text": "ValueError: bad lr"}
        assert found[3]["cause"] == {"kind": "cancelled", "text": "cancelled by ada@lab"}
        assert found[1]["ran_s"] is not None
        assert found[3]["ran_s"] is None

    def test_secrets_are_not_told(self, hub: LocalHub, at_work: AtWork) -> None:
        hub.submit(spec("run", "--token", "hush", env={"API_TOKEN": "hush"}))
        by = at_work()
        started(hub, by)
        assert "hush" not in json.dumps(queue_of(hub, 10))
        assert "hush" not in json.dumps(workers_of(hub, Gauges(hub)))
        assert "hush" not in json.dumps(form_of(hub.job(1)))

    def test_only_so_many(self, hub: LocalHub) -> None:
        for _ in range(5):
            hub.submit(spec("true"))
        found = queue_of(hub, 2)
        assert ([one["id"] for one in found["waiting"]], found["counts"]["queued"]) == ([1, 2], 5)

    @pytest.mark.parametrize(
        ("words", "ids"),
        [
            ("", [1, 2, 3]),
            ("adam", [1, 2]),
            ("ADAM 0.1", [1]),
            ("tag:sweep", [2]),
            ("tag:swee", []),
            ("sweep", [1, 2]),
            ("bob", [3]),
            ("#3", [3]),
            ("job-2", [2]),
            ("nothing", []),
        ],
    )
    def test_a_filter(self, hub: LocalHub, words: str, ids: list[int]) -> None:
        hub.submit(spec("train", "--opt=adam", "--lr=0.1", name="sweeper"))
        hub.submit(spec("train", "--opt=adam", tags=("sweep",)))
        hub.submit(spec("eval", submitted_by="bob@lab"))
        found = queue_of(hub, 10, words)
        assert [one["id"] for one in found["waiting"]] == ids
        assert found["matching"] == ({"waiting": len(ids), "ended": 0} if words else None)

    def test_a_filter_looks_at_more_than_it_shows(self, hub: LocalHub) -> None:
        for number in range(6):
            hub.submit(spec("true", tags=("odd" if number % 2 else "even",)))
        hub.cancel(6, "me")
        found = queue_of(hub, 1, "tag:odd")
        assert [one["id"] for one in found["waiting"]] == [2]
        assert [one["id"] for one in found["recent"]] == [6]
        assert found["matching"] == {"waiting": 2, "ended": 1}


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (b"", ""),
        (b"one\ntwo\n", "two"),
        (b"one\n\n  \n", "one"),
        (b" 10%\r 20%\r 30%", "30%"),
        (b" 10%\r 20%\r", "20%"),
        (b"\x1b[1;31mred\x1b[0m\x1b]0;title\x07 tail", "red tail"),
        (b"<b>&amp;\x00\x1b</b>\n", "<b>&amp;</b>"),
        (b"caf\xff\n", "caf\ufffd"),
        (b"x" * 9000, "x" * 300),
        (b"\x1b[2K\n\x1b[A\n", ""),
    ],
)
def test_the_last_line(hub: LocalHub, written: bytes, line: str) -> None:
    hub.submit(spec("true"))
    (hub.run_dir(1) / "output.log").write_bytes(written)
    assert last_line(hub, "job-1") == line


def test_no_output_is_no_line(hub: LocalHub) -> None:
    hub.submit(spec("true"))
    assert last_line(hub, "job-1") == ""
    (hub.run_dir(1) / "output.log").mkdir()
    assert last_line(hub, "job-1") == ""


def sample(ago_s: float = 0.0, **values: float) -> dict[str, Any]:
    return {"_timestamp": clock.stamp(clock.at(time.time() - ago_s)), "cpu_percent": 3.0, **values}


def gpu_values(number: int, busy: float, used: float = 40.0) -> dict[str, float]:
    return {
        f"gpu_{number}_utilization": busy,
        f"gpu_{number}_memory_used": used,
        f"gpu_{number}_memory_total": 80.0,
    }


class TestGauges:
    def read(self, hub: LocalHub) -> dict[str, Gauge]:
        return {uuid: gauge for (_, uuid), gauge in Gauges(hub).read(look(hub)).items()}

    def test_without_a_sample_nothing_is_known(self, hub: LocalHub, at_work: AtWork) -> None:
        started(hub, at_work(gpus=("GPU-a", "GPU-b")))
        assert self.read(hub) == {"GPU-a": Gauge(), "GPU-b": Gauge()}

    def test_a_sample_of_all_gpus_is_read_in_order(self, hub: LocalHub, at_work: AtWork) -> None:
        claim = started(hub, at_work(gpus=("GPU-a", "GPU-b")))
        old = sample(5, **gpu_values(0, 1), **gpu_values(1, 1))
        new = sample(1, **gpu_values(0, 90), **gpu_values(1, 0, 0.0))
        write(hub, claim.job, "system.jsonl", old, new, sample())
        assert self.read(hub) == {"GPU-a": Gauge(0, "", 0.9, 0.5), "GPU-b": Gauge(1, "", 0.0, 0.0)}

    def test_the_recorded_environment_says_which_is_which(self, hub: LocalHub, at_work: AtWork) -> None:
        claim = started(hub, at_work(gpus=("GPU-c",)))
        write(hub, claim.job, "system.jsonl", sample(1, **gpu_values(0, 10), **gpu_values(2, 70)))
        assert self.read(hub)["GPU-c"].busy is None  # one of two, and nothing says which
        listed = [{"index": 0, "uuid": "GPU-a", "name": "A"}, {"index": 2, "uuid": "GPU-c", "name": "H100"}, "?"]
        meta = json.loads((hub.run_dir(1) / "meta.json").read_text())
        meta["environment"] = {"cuda_devices": {"gpus": listed}}
        (hub.run_dir(1) / "meta.json").write_text(json.dumps(meta))
        assert self.read(hub)["GPU-c"] == Gauge(2, "H100", 0.7, 0.5)

    @pytest.mark.parametrize(
        "record",
        [
            sample(FRESH_S + 30, **gpu_values(0, 90)),
            {"_timestamp": "never", **gpu_values(0, 90)},
            {"gpu_0_utilization": "high", "_timestamp": clock.stamp()},
            sample(gpu_0_temperature=60.0),
        ],
    )
    def test_what_says_nothing_of_now(self, hub: LocalHub, at_work: AtWork, record: dict[str, Any]) -> None:
        claim = started(hub, at_work(gpus=("GPU-a",)))
        write(hub, claim.job, "system.jsonl", record)
        assert self.read(hub)["GPU-a"].busy is None

    def test_a_part_of_a_gpu_has_no_number(self, hub: LocalHub, at_work: AtWork) -> None:
        claim = started(hub, at_work(gpus=("MIG-a",)))
        write(hub, claim.job, "system.jsonl", sample(1, **gpu_values(0, 90)))
        assert self.read(hub)["MIG-a"] == Gauge()

    def test_a_damaged_file_costs_nothing(self, hub: LocalHub, at_work: AtWork) -> None:
        claim = started(hub, at_work(gpus=("GPU-a",)))
        write(hub, claim.job, "system.jsonl", sample(1, **gpu_values(0, 90)))
        with (hub.run_dir(1) / "system.jsonl").open("ab") as file:
            file.write(b'\xff\x00 no json\n{"torn": ')
        (hub.run_dir(1) / "meta.json").write_bytes(b"{")
        assert self.read(hub)["GPU-a"].busy == 0.9

    def test_the_environment_is_asked_for_now_and_then(self, hub: LocalHub, at_work: AtWork) -> None:
        started(hub, at_work(gpus=("GPU-a",)))
        now = 100.0
        gauges = Gauges(hub, monotonic=lambda: now)
        assert gauges.read(look(hub)) != {}
        meta = json.loads((hub.run_dir(1) / "meta.json").read_text())
        meta["environment"] = {"cuda_devices": {"gpus": [{"index": 0, "uuid": "GPU-a", "name": "H100"}]}}
        (hub.run_dir(1) / "meta.json").write_text(json.dumps(meta))
        assert [gauge.name for gauge in gauges.read(look(hub)).values()] == [""]
        now += 11
        assert [gauge.name for gauge in gauges.read(look(hub)).values()] == ["H100"]


class TestWorkers:
    def test_none(self, hub: LocalHub) -> None:
        found = workers_of(hub, Gauges(hub))
        assert (found["workers"], found["living"], found["next"]) == ([], 0, None)
        assert found["start"] == f"whirr worker --dir {hub.root.parent}"

    def test_jobs_leases_and_gpus(self, hub: LocalHub, at_work: AtWork) -> None:
        by = at_work(name="node-1", slots=4, gpus=("GPU-a", "GPU-b"))
        started(hub, by, name="n")
        hub.submit(spec("after", name="next"))
        found = workers_of(hub, Gauges(hub))
        [one] = found["workers"]
        assert (one["name"], one["host"], one["health"], one["slots"]) == ("node-1", by.host, "alive", 4)
        assert one["silent_s"] < 60
        [held] = one["jobs"]
        assert (held["id"], held["name"], held["attempt"], held["gpu_ids"]) == (1, "n", 1, ["GPU-a"])
        assert held["elapsed_s"] >= 0
        assert [(gpu["id"], gpu["job"], gpu["busy"]) for gpu in one["gpus"]] == [
            ("GPU-a", 1, None),
            ("GPU-b", None, None),
        ]
        assert (found["gpus"], found["slots"]) == ({"idle": 1, "all": 2}, {"idle": 3, "all": 4})
        assert (found["queued"], found["next"]["id"]) == (1, 2)

    def test_a_gpu_that_two_workers_offer_is_one_jobs(self, hub: LocalHub, at_work: AtWork) -> None:
        by = at_work(gpus=("GPU-a",))
        at_work(gpus=("GPU-a",))
        started(hub, by)
        assert [one["gpus"][0]["job"] for one in workers_of(hub, Gauges(hub))["workers"]] == [1, 1]

    def test_one_that_is_gone(self, hub: LocalHub) -> None:
        hub.register(worker("gone"))
        found = workers_of(hub, Gauges(hub))
        assert ([one["health"] for one in found["workers"]], found["living"]) == (["dead"], 0)


FULL = spec(
    "python", "train.py", "--name", "a b", "--token", "hush", name="n", tags=("x", "y"), priority=3, gpus=2,
    timeout_s=5400.0, grace_s=0.5, retries=1, after=(1, 2), env={"A": "1 2", "API_TOKEN": "hush", "B": ""},
)  # fmt: skip


class TestForm:
    def test_the_texts(self) -> None:
        assert texts_of(FULL) == {
            "command": "python train.py --name 'a b' --token ***",
            "env": "A='1 2'\nAPI_TOKEN=***\nB=''",
            "name": "n",
            "tags": "x, y",
            "priority": "3",
            "gpus": "2",
            "timeout": "1h30m",
            "grace": "0.5s",
            "retries": "1",
            "after": "1, 2",
            "after_any": "",
        }

    def test_what_is_left_as_it_was_changes_nothing(self) -> None:
        assert changes_of(FULL, texts_of(FULL)) == Changes()
        assert changes_of(FULL, {}) == Changes()
        plain = spec("true")
        assert changes_of(plain, texts_of(plain)) == Changes()

    def test_every_text_can_be_changed(self) -> None:
        texts = {
            "command": "python train.py --name 'c d' --token ***", "env": "A=2\r\nC='x\ny'\r\nAPI_TOKEN=***",
            "name": " m ", "tags": "z,z , w", "priority": "\u22124", "gpus": "0", "timeout": "90",
            "grace": "1m", "retries": "7", "after": "job-4 5", "after_any": "6",
        }  # fmt: skip
        made = self.after(texts)
        assert made.argv == ("python", "train.py", "--name", "c d", "--token", "hush")
        assert dict(made.env) == {"A": "2", "API_TOKEN": "hush", "C": "x\ny"}
        assert (made.name, made.tags, made.priority, made.gpus) == ("m", ("z", "w"), -4, 0)
        assert (made.timeout_s, made.grace_s, made.retries) == (90.0, 60.0, 7)
        assert (made.after, made.after_any) == ((4, 5), (6,))

    def test_empty_texts_give_the_defaults_back(self) -> None:
        made = self.after({"name": "", "gpus": " ", "timeout": "", "tags": "", "env": "", "after": ""})
        assert (made.name, made.gpus, made.timeout_s, made.tags, made.after) == (None, None, None, (), ())
        assert dict(made.env) == {}

    def after(self, texts: dict[str, str]) -> JobSpec:
        return changed(FULL, changes_of(FULL, texts), 7)

    @pytest.mark.parametrize(
        ("texts", "told"),
        [
            ({"command": "python 'train.py"}, "command: no closing quotation"),
            ({"command": "  "}, "command: there is no command"),
            ({"env": "A"}, "env: 'A' is no variable"),
            ({"env": "=1"}, "env: '' is no variable"),
            ({"env": "A='1"}, "env: no closing quotation"),
            ({"priority": "high"}, "priority: 'high' is no whole number"),
            ({"priority": ""}, "priority: '' is no whole number"),
            ({"gpus": "1.5"}, "gpus: '1.5' is no whole number"),
            ({"timeout": "soon"}, "timeout: 'soon' is no duration"),
            ({"retries": ""}, "retries: '' is no whole number"),
            ({"after": "1, x"}, "after: 'x' is no whole number"),
        ],
    )
    def test_what_cannot_be_understood(self, texts: dict[str, str], told: str) -> None:
        with pytest.raises(UsageError) as error:
            changes_of(FULL, texts)
        assert told in str(error.value)


class TestAnswers:
    def test_who_asks_within_a_moment_is_told_the_same(self) -> None:
        now, made = 10.0, 0

        def make() -> int:
            nonlocal made
            made += 1
            return made

        answers = Answers(monotonic=lambda: now)
        assert [answers.get(("a",), make).body for _ in range(3)] == [b"1"] * 3
        assert answers.get(("b",), make).body == b"2"
        now += LASTS_S
        assert answers.get(("a",), make).body == b"3"
        answers.forget()
        assert answers.get(("a",), make).body == b"4"

    def test_not_many_are_kept(self) -> None:
        answers, made = Answers(monotonic=lambda: 0.0), []
        for number in [*range(100), 99, 0]:
            found = answers.get((number,), lambda number=number: made.append(number) or number)
            assert found.body == str(number).encode()
        assert made == [*range(100), 0]

    def test_what_happens_while_an_answer_is_made_counts_as_later(self) -> None:
        answers = Answers(monotonic=lambda: 0.0)
        answers.get(("a",), answers.forget)
        assert answers.get(("a",), lambda: "new").body == b'"new"'

    def test_a_slow_answer_keeps_nobody_waiting_who_wants_another(self) -> None:
        answers, begun, go = Answers(), threading.Event(), threading.Event()

        def slow() -> str:
            begun.set()
            assert go.wait(60)
            return "slow"

        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(answers.get, ("slow",), slow)
            assert begun.wait(60)
            assert answers.get(("quick",), lambda: "quick").body == b'"quick"'
            second = threads.submit(answers.get, ("slow",), lambda: "made twice")
            go.set()
            assert [one.result(60).body for one in (first, second)] == [b'"slow"'] * 2


def test_a_reason_that_stands_out_is_one_of_the_queues(hub: LocalHub) -> None:
    """``STUCK`` goes by how the reasons of ``waiting`` begin."""
    assert why(hub, hub.submit(spec("true"))) == "no worker is running"


def test_causes_have_kinds(hub: LocalHub, at_work: AtWork) -> None:
    by = at_work()
    hub.finish(started(hub, by).lease, outcome(Verdict.FAILED, kind=CauseKind.TIME_LIMIT))
    [found] = queue_of(hub, 10)["recent"]
    assert found["cause"]["kind"] == "time-limit"
