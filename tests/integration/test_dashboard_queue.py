"""The queue and workers pages in a real browser, over real queues: what they show, and what people do there."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from browser import NARROW, Dashboard, axe, dashboard, no_overflow, screenshot, until
from helpers import wait_until
from hubs import outcome, spec
from hubs import worker as worker_info
from playwright.sync_api import Locator, Page, expect
from queue_cli import worker

from whirr import clock
from whirr.locks import Held, worker_lock
from whirr.model import Cause, CauseKind, JobStatus, Role, Verdict, WorkerInfo

HOSTILE = "<img src=x onerror=window.struck=1>\"'`${1}</li>"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Dashboard]:
    with dashboard(tmp_path / ".whirr") as made:
        yield made


class Fleet:
    """Workers that hold jobs and do nothing, as long as the test needs them."""

    def __init__(self, board: Dashboard) -> None:
        self._hub = board.hub
        self._locks: list[Held] = []

    def add(self, name: str = "node-1", **about: Any) -> WorkerInfo:
        info = worker_info(name, **about)._replace(started_at=clock.stamp())
        self._locks.append(Held(worker_lock(self._hub.queue, info.id)))
        self._hub.register(info)
        return info

    def run(self, by: WorkerInfo, name: str, **about: Any) -> int:
        """A job that this worker has begun."""
        self._hub.submit(spec("python", "train.py", name=name, priority=100, **about))
        claim = self._hub.claim(by)
        assert claim is not None
        assert claim.job.spec.name == name
        return claim.job.id

    def close(self) -> None:
        for lock in self._locks:
            with suppress(OSError):
                lock.release()


@pytest.fixture
def fleet(board: Dashboard) -> Iterator[Fleet]:
    made = Fleet(board)
    yield made
    made.close()


def row(page: Page, number: int) -> Locator:
    return page.locator(f'.job[data-id="{number}"]')


def ids(page: Page, name: str) -> list[int]:
    """The jobs of a list, in its order."""
    return [int(one) for one in page.locator(f"#{name} > .job").evaluate_all("nodes => nodes.map(n => n.dataset.id)")]


def write(board: Dashboard, number: int, name: str, *records: dict[str, Any]) -> None:
    (board.hub.run_dir(number) / name).write_text("".join(json.dumps(record) + "\n" for record in records))


def audited(board: Dashboard) -> list[tuple[str, int]]:
    """Action and job of what was kept about who did what."""
    lines = (board.root / "audit.jsonl").read_text().splitlines()
    return [(one["action"], one["job_id"]) for one in map(json.loads, lines) if "job_id" in one]


def busy_queue(board: Dashboard, fleet: Fleet) -> None:
    """Jobs in every state, 1 to 9, on two workers: 1 completed, 2 failed, 3 cancelled, 4 and 5 run, 6 to 9 wait."""
    hub = board.hub
    first, second = fleet.add("node-1", gpus=("GPU-a", "GPU-b")), fleet.add("node-2", gpus=("GPU-c", "GPU-d"), slots=2)
    ends = (
        ("resnet50 · 1", outcome(Verdict.COMPLETED, seconds=60)),
        ("vit-s · 2", outcome(Verdict.FAILED, exit_code=1)._replace(cause=Cause(CauseKind.OUT_OF_MEMORY, "ran out"))),
    )
    for name, end in ends:
        hub.submit(spec("python", "train.py", name=name))
        claim = hub.claim(first)
        assert claim is not None
        hub.finish(claim.lease, end)
    hub.submit(spec("python", "prepare.py", name="tokenizer"))
    hub.cancel(3, "ada@lab")
    fleet.run(first, "convnext-t · 4", gpus=2, tags=("sweep-7",), config={"max_steps": 1000})
    fleet.run(second, "eval · 5", gpus=1)
    write(board, 4, "metrics.jsonl", {"_idx": 0, "step": 680, "val/loss": 0.8118, "lr": 0.0004})
    (hub.run_dir(4) / "output.log").write_text("epoch 47/70\n\x1b[32mloss 0.8076\x1b[0m\n")
    values = {"utilization": 97.0, "memory_used": 60.0, "memory_total": 80.0}
    gpus = {f"gpu_{number}_{name}": value for number in (0, 1) for name, value in values.items()}
    write(board, 4, "system.jsonl", {"_timestamp": clock.stamp(), **gpus})
    hub.submit(spec("torchrun", "sft.py", name="sft · 6", gpus=2, priority=1, tags=("sft",), submitted_by="ada@lab"))
    hub.submit(spec("python", "train.py", name="convnext-t · 7", tags=("sweep-7",)))
    hub.submit(spec("python", "report.py", "--out", "a b.html", after=(4, 5)))
    hub.submit(spec("python", "mega.py", name="mega · 9", gpus=16))


def test_the_page_says_what_runs_what_waits_and_why_and_what_ended(board: Dashboard, fleet: Fleet) -> None:
    busy_queue(board, fleet)
    with board.page("/queue") as page:
        expect(row(page, 4)).to_contain_text("convnext-t · 4")
        for words in ("68 %", "node-1", "2 GPUs", "val/loss 0.8118", "loss 0.8076", "left", "sweep-7"):
            expect(row(page, 4)).to_contain_text(words)
        expect(row(page, 4)).not_to_contain_text("epoch 47")
        assert ids(page, "running") == [4, 5]
        assert ids(page, "waiting") == [6, 7, 9, 8]
        expect(row(page, 6)).to_contain_text("next, for 2 GPUs")
        expect(row(page, 7)).to_contain_text("1 job before it")
        expect(row(page, 9)).to_contain_text("needs 16 GPUs; the workers have at most 2")
        expect(row(page, 9).locator(".why")).to_have_class("why stuck")
        expect(row(page, 8)).to_contain_text("python report.py --out 'a b.html'")
        expect(row(page, 8)).to_contain_text("after jobs 4 (running), 5 (running)")
        expect(row(page, 8).get_by_role("link", name="4", exact=True)).to_have_attribute("href", "/runs/job-4")
        expect(row(page, 2)).to_contain_text("ran out")
        expect(row(page, 2).get_by_role("img", name="failed")).to_be_visible()
        expect(row(page, 3)).to_contain_text("cancelled by ada@lab")
        expect(page.locator("#room")).to_have_text("2 workers · 1 of 4 GPUs idle")
        row(page, 4).get_by_role("link", name="convnext-t · 4").click()
        page.wait_for_url("**/runs/job-4")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", ["wide", "narrow"])
@pytest.mark.parametrize("path", ["queue", "workers"])
def test_everybody_can_use_it(board: Dashboard, fleet: Fleet, path: str, width: str, dark: bool) -> None:
    busy_queue(board, fleet)
    size = {"width": NARROW[0], "height": NARROW[1]} if width == "narrow" else {}
    with board.page(f"/{path}", dark=dark, **size) as page:
        expect(page.locator("main[data-ready]")).to_be_visible()
        expect(page.get_by_text("node-1").first).to_be_visible()
        screenshot(page, f"{path}-{width}{'-dark' if dark else ''}")
        axe(page)
        no_overflow(page)


def test_a_dialog_can_be_used_by_everybody(board: Dashboard, fleet: Fleet) -> None:
    busy_queue(board, fleet)
    with board.page("/queue", width=NARROW[0], height=NARROW[1]) as page:
        row(page, 6).get_by_role("button", name="Submit job 6 again").click()
        expect(page.get_by_role("textbox", name="Command")).to_be_focused()
        axe(page)
        no_overflow(page)
        page.keyboard.press("Escape")
        expect(row(page, 6).get_by_role("button", name="Submit job 6 again")).to_be_focused()


def test_a_job_that_waits_is_taken_out(board: Dashboard) -> None:
    board.hub.submit(spec("true", name="first"))
    board.hub.submit(spec("true", name="second", after=(1,)))
    with board.page("/queue") as page:
        row(page, 1).get_by_role("button", name="Cancel job 1").click()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_have_count(0)
        row(page, 1).get_by_role("button", name="Cancel job 1").click()
        page.get_by_role("button", name="Keep", exact=True).click()
        assert board.hub.job(1).status is JobStatus.QUEUED
        row(page, 1).get_by_role("button", name="Cancel job 1").click()
        page.get_by_role("button", name="Take out").click()
        expect(page.get_by_role("status").filter(has_text="Job 1 is cancelled")).to_be_visible()
        expect(page.locator("#ended").get_by_text("first", exact=True)).to_be_visible()
        expect(row(page, 2)).to_contain_text("job 1, which it needs, did not complete")
    assert "token browser-admin" in (board.hub.job(1).cancelled_by or "")
    assert audited(board) == [("cancel", 1)]


def test_a_real_job_is_seen_to_run_stopped_and_queued_again(board: Dashboard, tmp_path: Path) -> None:
    code = "import time; print('hello from the job', flush=True); time.sleep(600)"
    with board.page("/queue") as page:
        expect(page.get_by_text("The queue is empty")).to_be_visible()
        board.hub.submit(spec("python3", "-c", code, workdir=str(tmp_path), name="sleeper"))
        expect(page.get_by_text("1 job waits, and no worker is running")).to_be_visible()
        with worker(tmp_path):
            expect(page.locator("#running").get_by_text("sleeper")).to_be_visible()
            expect(row(page, 1)).to_contain_text("hello from the job", timeout=30_000)
            expect(page.locator("#notice")).to_be_empty()
            row(page, 1).get_by_role("button", name="Stop job 1").click()
            page.get_by_role("button", name="Stop job", exact=True).click()
            expect(page.get_by_role("status").filter(has_text="Job 1 is being stopped")).to_be_visible()
            expect(page.locator("#ended").get_by_text("sleeper")).to_be_visible(timeout=30_000)
        row(page, 1).get_by_role("button", name="Queue job 1 again").click()
        page.get_by_role("button", name="Queue again").click()
        expect(page.locator("#waiting").get_by_text("sleeper")).to_be_visible()
    assert board.hub.job(1).status is JobStatus.QUEUED
    assert audited(board) == [("cancel", 1), ("retry", 1)]


def test_priorities_by_button_and_by_key(board: Dashboard) -> None:
    for number in (1, 2, 3):
        board.hub.submit(spec("true", name=f"job-{number}"))
    with board.page("/queue") as page:
        expect(row(page, 3)).to_be_visible()
        row(page, 3).get_by_role("button", name="Raise the priority of job 3").click()
        expect(page.get_by_role("status").filter(has_text="Job 3 has priority 1, nothing before it")).to_be_visible()
        assert ids(page, "waiting") == [1, 2, 3]  # nothing moves below the pointer
        page.mouse.move(5, 5)
        until(page, "document.querySelector('#waiting .job').dataset.id === '3'")
        assert ids(page, "waiting") == [3, 1, 2]
        row(page, 2).get_by_role("link", name="job-2").focus()
        for _ in range(2):
            page.keyboard.press("Shift+ArrowUp")
        expect(page.get_by_role("status").filter(has_text="Job 2 has priority 2, nothing before it")).to_be_visible()
        until(page, "document.querySelector('#waiting .job').dataset.id === '2'")
        expect(row(page, 2).get_by_role("link", name="job-2")).to_be_focused()
        page.keyboard.press("Shift+ArrowDown")
        wait_until(lambda: board.hub.job(2).spec.priority == 1)
    assert [job.spec.priority for job in board.hub.upcoming()] == [1, 1, 0]
    assert audited(board)[0] == ("priority", 3)


def test_a_job_is_submitted_again_with_changes(board: Dashboard) -> None:
    board.hub.submit(
        spec("python", "train.py", "--lr=1", "--token", "hush", name="n", env={"API_TOKEN": "s", "A": "1"})
    )
    with board.page("/queue", allowed=("400",)) as page:
        row(page, 1).get_by_role("link", name="n", exact=True).focus()
        page.keyboard.press("e")
        command = page.get_by_role("textbox", name="Command")
        expect(command).to_have_value("python train.py --lr=1 --token ***")
        command.fill("python train.py --lr='2")
        page.get_by_role("button", name="Submit", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("no closing quotation")
        command.fill("python train.py --lr=2 --token ***")
        page.get_by_label("Variables").fill("API_TOKEN=***\nSEED='a b'")
        page.get_by_label("Name").fill("m")
        page.get_by_label("GPUs").fill("0")
        page.get_by_label("Time limit").fill("1h30m")
        page.get_by_role("button", name="Submit", exact=True).click()
        expect(page.get_by_role("status").filter(has_text="Job 2 is queued")).to_be_visible()
        expect(row(page, 2)).to_contain_text("m")
    made = board.hub.job(2).spec
    assert made.argv == ("python", "train.py", "--lr=2", "--token", "hush")
    assert dict(made.env) == {"API_TOKEN": "s", "SEED": "a b"}
    assert (made.name, made.gpus, made.timeout_s, made.submitted["again_of"]) == ("m", 0, 5400.0, 1)
    assert made.submitted_by == "token browser-admin"
    assert audited(board) == [("again", 2)]


def test_several_at_once(board: Dashboard) -> None:
    for number in range(1, 6):
        board.hub.submit(spec("true", name=f"job-{number}"))
    board.hub.cancel(5, "me")
    with board.page("/queue") as page:
        bar = page.get_by_role("toolbar", name="Selected jobs")
        page.get_by_label("Select all that wait").check()
        page.get_by_label("Select job 5").check()
        page.get_by_label("Select job 2").uncheck()
        expect(bar).to_contain_text("4 jobs selected")
        expect(bar.get_by_role("button", name="Cancel 3")).to_be_visible()
        expect(bar.get_by_role("button", name="Queue again 1")).to_be_visible()
        bar.get_by_role("button", name="Raise 3").click()
        expect(page.get_by_role("status").filter(has_text="3 jobs raised")).to_be_visible()
        board.hub.cancel(4, "somebody else")
        expect(bar.get_by_role("button", name="Cancel 2")).to_be_visible()
        bar.get_by_role("button", name="Cancel 2").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel 2 jobs").click()
        expect(page.get_by_role("status").filter(has_text="2 jobs cancelled")).to_be_visible()
        expect(page.locator("#waiting-count")).to_have_text("1")
        page.keyboard.press("Escape")
        expect(bar).to_be_hidden()
    assert [job.id for job in board.hub.upcoming()] == [2]


def test_what_cannot_be_done_any_more_is_said(board: Dashboard) -> None:
    board.hub.submit(spec("true", name="one"))
    with board.page("/queue", allowed=("409",)) as page:
        row(page, 1).get_by_role("button", name="Cancel job 1").click()
        board.hub.cancel(1, "somebody else")
        board.hub.retry(1)
        info = worker_info("quick")
        board.hub.register(info)
        claim = board.hub.claim(info)
        assert claim is not None
        board.hub.finish(claim.lease, outcome(Verdict.COMPLETED))
        page.get_by_role("button", name="Take out").click()
        expect(page.get_by_role("alert")).to_contain_text("Job 1 has ended: completed")


def test_keys_move_select_and_ask(board: Dashboard) -> None:
    for number in (1, 2, 3):
        board.hub.submit(spec("true", name=f"job-{number}"))
    with board.page("/queue") as page:
        expect(row(page, 3)).to_be_visible()
        for key in "jjk":
            page.keyboard.press(key)
        expect(row(page, 1).get_by_role("link", name="job-1")).to_be_focused()
        for key in "xjx":
            page.keyboard.press(key)
        expect(page.get_by_role("toolbar")).to_contain_text("2 jobs selected")
        page.keyboard.press("c")
        expect(page.get_by_role("dialog")).to_contain_text("Cancel 2 jobs?")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Raise its priority")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("/")
        page.keyboard.type("job-2")
        expect(row(page, 1)).to_have_count(0)
    assert [job.status for job in board.hub.jobs()] == [JobStatus.QUEUED] * 3


def test_a_filter_is_in_the_address_and_goes_back(board: Dashboard) -> None:
    for number in range(1, 5):
        board.hub.submit(spec("true", name=f"job-{number}", tags=("odd" if number % 2 else "even",)))
    board.hub.cancel(4, "me")
    with board.page("/queue?q=tag:odd") as page:
        expect(page.locator("#filter")).to_have_value("tag:odd")
        expect(page.locator("#waiting-count")).to_have_text("2 of 3")
        assert ids(page, "waiting") == [1, 3]
        expect(page.get_by_text("None of the last that ended fits the filter.")).to_be_visible()
        page.locator("#filter").fill("nothing like it")
        expect(page.get_by_text("No job that waits fits the filter.")).to_be_visible()
        page.locator("#filter").fill("")
        expect(page.locator("#waiting > .job")).to_have_count(3)
        page.get_by_role("button", name="Ended", exact=True).click()
        expect(page.locator(".part.waiting")).to_be_hidden()
        page.wait_for_url("**/queue?show=ended")
        page.go_back()
        expect(page.locator(".part.waiting")).to_be_visible()


def test_more_than_fit_are_counted_and_shown_when_asked_for(board: Dashboard) -> None:
    with board.hub.database.transaction() as tx:
        columns = {"workdir": "/", "snapshot": 0, "submission": None, "priority": 0, "gpus": 0, "blocked": 0}
        for number in range(130):
            about = {"argv": ["true", str(number)], "workdir": "/", "name": f"many-{number}"}
            tx.one("insert_job", spec=json.dumps(about), submitted_at=clock.stamp(), **columns)
    with board.page("/queue") as page:
        expect(page.locator("#waiting > .job")).to_have_count(100)
        expect(page.locator("#waiting-count")).to_have_text("130")
        page.get_by_role("button", name="Show more: 30 waiting are not shown").click()
        expect(page.locator("#waiting > .job")).to_have_count(130)


def test_who_may_only_look_sees_nothing_to_press(board: Dashboard, fleet: Fleet) -> None:
    busy_queue(board, fleet)
    with board.page("/queue", role=Role.READ) as page:
        expect(row(page, 6)).to_be_visible()
        expect(page.locator(".job button")).to_have_count(0)
        expect(page.locator("input.pick:visible")).to_have_count(0)
        row(page, 6).get_by_role("link", name="sft · 6").focus()
        page.keyboard.press("c")
        expect(page.get_by_role("dialog")).to_have_count(0)
        axe(page)
    with board.client(Role.READ) as client:
        for action, body in (("cancel", {}), ("retry", {}), ("priority", {"priority": 1}), ("again", {"texts": {}})):
            answer = client.post(f"/ui/jobs/6/{action}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "access-denied"), action
    assert board.hub.job(6).status is JobStatus.QUEUED


def test_a_stranger_is_told_nothing(board: Dashboard) -> None:
    board.hub.submit(spec("true"))
    with board.client(None) as client:
        for path in ("/ui/queue", "/ui/workers", "/ui/jobs/1"):
            assert client.get(path).status_code == 401, path
        assert client.post("/ui/jobs/1/cancel", json={}).status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("9/cancel", {}, 404),
        ("1/retry", {}, 409),
        ("1/priority", {"priority": 10**7}, 400),
        ("1/priority", {"priority": "high"}, 422),
        ("1/again", {"texts": {"workdir": "/"}}, 400),
        ("1/again", {"texts": {"gpus": "-1"}}, 400),
        ("1/again", {"texts": {"name": "x" * 300_000}}, 400),
        ("1/again", {"texts": {"command": "a\0b"}}, 400),
        ("1/again", {"texts": {"after": "99"}}, 404),
    ],
)
def test_what_makes_no_sense_is_refused(board: Dashboard, path: str, body: dict[str, Any], status: int) -> None:
    board.hub.submit(spec("true"))
    with board.client() as client:
        answer = client.post(f"/ui/jobs/{path}", json=body)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
    assert [job.status for job in board.hub.jobs()] == [JobStatus.QUEUED]


def test_hostile_names_are_text(board: Dashboard, fleet: Fleet) -> None:
    by = fleet.add(HOSTILE, gpus=("GPU-a",))
    fleet.run(by, HOSTILE, tags=(HOSTILE,), gpus=1)
    write(board, 1, "metrics.jsonl", {"_idx": 0, "step": 1, HOSTILE: 0.5})
    (board.hub.run_dir(1) / "output.log").write_text(f"{HOSTILE}\n")
    board.hub.submit(spec(HOSTILE, HOSTILE, workdir=f"/{HOSTILE}", tags=(HOSTILE,), env={"A": HOSTILE}, gpus=1))
    board.hub.submit(spec("true", name=HOSTILE))
    board.hub.cancel(3, HOSTILE)
    for path in ("/queue", f"/queue?q={HOSTILE[:20]}", "/workers"):
        with board.page(path) as page:
            expect(page.get_by_text(HOSTILE).first).to_be_visible()
            assert page.locator("main img").count() == 0
            if path == "/queue":
                expect(row(page, 1).locator(".line")).to_have_text(HOSTILE)
                row(page, 2).get_by_role("button", name="Submit job 2 again").click()
                expect(page.get_by_label("Variables")).to_have_value(f"A={shlex.quote(HOSTILE)}")
            assert page.evaluate("window.struck") is None


def test_rows_keep_their_nodes_and_the_focus_while_things_happen(board: Dashboard) -> None:
    for number in (1, 2, 3):
        board.hub.submit(spec("true", name=f"job-{number}"))
    with board.page("/queue") as page:
        row(page, 2).get_by_role("button", name="Submit job 2 again").focus()
        row(page, 2).evaluate("node => { node.mine = true }")
        board.hub.submit(spec("true", name="urgent", priority=9))
        expect(row(page, 4)).to_be_visible()
        assert ids(page, "waiting") == [4, 1, 2, 3]
        assert row(page, 2).evaluate("node => node.mine")
        expect(row(page, 2).get_by_role("button", name="Submit job 2 again")).to_be_focused()
        board.hub.cancel(2, "me")
        expect(page.locator('#waiting .job[data-id="2"]')).to_have_count(0)
        expect(row(page, 3).get_by_role("button", name="Submit job 3 again")).to_be_focused()


def test_workers_their_gpus_and_leases(board: Dashboard, fleet: Fleet) -> None:
    busy_queue(board, fleet)
    board.hub.register(worker_info("node-0"))  # nobody holds its lock: it is gone
    with board.page("/workers") as page:
        expect(page.locator("#sum")).to_have_text("2 online · 1 gone · 3 of 4 GPUs busy · 2 of 10 slots taken")
        assert page.locator(".worker h2").all_inner_texts() == ["node-1", "node-2", "node-0"]
        first, second, gone = (page.locator(".worker").nth(number) for number in range(3))
        assert first.locator(".gpu .label").all_inner_texts() == ["97 %", "97 %"]
        expect(first.locator(".gpu").first).to_contain_text("GPU 0: job 4, 97 % busy, 75 % of its memory used, GPU-a")
        assert second.locator(".gpu .label").all_inner_texts() == ["busy", "idle"]
        expect(second.locator(".gpu").first).to_contain_text("GPU 0: job 5, no sample says how busy it is, GPU-c")
        expect(first.locator(".held li")).to_contain_text("attempt 1 · 2 GPUs")
        expect(first.locator(".held li")).to_contain_text("68 %")
        expect(first).to_contain_text("1 of 8 slots taken")
        expect(first.locator(".seen")).to_contain_text("online, seen")
        expect(gone.locator(".seen")).to_contain_text("gone, last seen")
        expect(page.locator("#next")).to_have_text("next in the queue: sft · 6 · 4 jobs wait")
        first.locator(".held li").hover()
        expect(first.locator(".gpu.lit")).to_have_count(2)
        first.get_by_role("link", name="convnext-t · 4").click()
        page.wait_for_url("**/runs/job-4")


def test_workers_come_and_go_without_a_reload(board: Dashboard, tmp_path: Path) -> None:
    board.hub.submit(spec("sleep", "600", workdir=str(tmp_path), name="sleeper"))
    with board.page("/workers") as page:
        expect(page.get_by_text("No worker is running")).to_be_visible()
        expect(page.get_by_text("1 job waits for one.")).to_be_visible()
        expect(page.locator("#start code").first).to_have_text(f"whirr worker --dir {tmp_path}")
        axe(page)
        with worker(tmp_path, "--name", "here"):
            expect(page.locator(".worker h2")).to_have_text("here")
            expect(page.locator(".held li")).to_contain_text("sleeper", timeout=30_000)
            expect(page.get_by_text("it runs jobs on the processor")).to_be_visible()
        expect(page.locator(".worker")).to_have_count(0)


def test_it_works_below_a_path(tmp_path: Path) -> None:
    with dashboard(tmp_path / ".whirr", prefix="/lab/whirr") as board:
        board.hub.submit(spec("true", name="one"))
        with board.page("/queue") as page:
            row(page, 1).get_by_role("button", name="Raise the priority of job 1").click()
            expect(page.get_by_role("status").filter(has_text="Job 1 has priority 1")).to_be_visible()
            expect(row(page, 1).get_by_role("link", name="one")).to_have_attribute("href", "/lab/whirr/runs/job-1")
