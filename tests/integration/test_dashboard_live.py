"""Pages that follow what happens: runs that log, jobs that come and go, a server that dies and comes back."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import demo_runs
import httpx
import pytest
from browser import Dashboard, browser_page, dashboard, session_cookies, until
from helpers import QUICK, Process, program, start, wait_until
from playwright.sync_api import Page, expect
from servers import WHIRR, running_server

from whirr.model import JobSpec, JobStatus

TRAINING = f"""
    import os, pathlib, time
    import whirr

    with whirr.init(name="a live run", config={{"lr": 0.01, "epochs": 50}}, {QUICK}) as run:
        step = 0
        while not pathlib.Path("stop").exists():
            step += 1
            run.log({{"val/acc": 0.5 + step / 1000, "loss": 1 / step}}, step=step)
            print(f"step {{step}} done", flush=True)
            time.sleep(0.02)
        run.log({{"val/acc": 0.987654, "loss": 0.0}}, step=step + 1)
"""


@contextmanager
def training(root: Path) -> Iterator[tuple[Process, Path]]:
    """A real run that logs until a file is there; its process and that file."""
    place = root.parent / "training"
    script = program(place / "train.py", TRAINING)
    process = start([sys.executable, script], place, WHIRR_DIR=str(root), WHIRR_CAPTURE_OUTPUT="1")
    try:
        wait_until(lambda: list((root / "runs").glob("local-*/meta.json")), 30)
        yield process, place / "stop"
    finally:
        (place / "stop").touch()
        process.communicate(timeout=30)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Dashboard]:
    with dashboard(tmp_path / ".whirr") as made:
        yield made


def live_state(page: Page) -> str:
    """What the light in the header says."""
    return page.locator("#live").get_attribute("data-state") or ""


def test_a_run_appears_goes_on_and_ends_without_a_reload(board: Dashboard) -> None:
    with board.page("/?columns=val/acc,loss") as page:
        page.evaluate("window.same = true")
        with training(board.root) as (process, stop):
            row = page.locator("main").locator("tr, [role=row]").filter(has_text="a live run").first
            expect(row).to_be_visible()
            first = row.inner_text()
            wait_until(lambda: row.inner_text() != first, 20)
            expect(row.get_by_role("img", name="running")).to_be_attached()
            stop.touch()
            assert process.wait(30) == 0
            expect(row.get_by_text("0.9877").or_(row.get_by_text("0.988")).first).to_be_visible()
            expect(row.get_by_role("img", name="running")).to_have_count(0)
        assert page.evaluate("window.same")


def test_curves_and_log_of_a_run_follow_it(board: Dashboard) -> None:
    with training(board.root) as (_, stop), board.client() as client:
        (folder,) = (board.root / "runs").glob("local-*")
        with board.page(f"/runs/{folder.name}") as page:
            page.evaluate("window.same = true")
            page.get_by_role("tab", name="Logs").click()
            expect(page.locator("main").get_by_text("step 1 done", exact=True).first).to_be_attached()
            lines = len((folder / "output.log").read_text().splitlines())
            expect(page.locator("main").get_by_text(f"step {lines + 50} done", exact=True).first).to_be_attached()
            page.get_by_role("tab", name="Charts").click()
            canvas = page.locator("main canvas:visible").first
            expect(canvas).to_be_visible()
            before = canvas.screenshot()
            wait_until(lambda: canvas.screenshot() != before, 20)
            stop.touch()
            wait_until(lambda: client.get(f"/ui/run/{folder.name}").json()["run"]["status"] == "completed", 30)
            expect(page.locator("main").get_by_text("completed").first).to_be_visible()
            assert page.evaluate("window.same")


def test_the_queue_page_follows_jobs(board: Dashboard) -> None:
    with board.page("/queue") as page:
        page.evaluate("window.same = true")
        job = board.hub.submit(JobSpec(("true",), "/", name="came later"))
        expect(page.locator("main").get_by_text("came later").first).to_be_visible()
        board.hub.cancel(job.id, "somebody@else")
        expect(
            page.locator("main").get_by_text("somebody@else").or_(page.get_by_text("cancelled")).first
        ).to_be_visible()
        assert page.evaluate("window.same")


def test_pages_follow_a_job_that_a_worker_runs(board: Dashboard) -> None:
    place = board.root.parent / "training"
    script = program(place / "train.py", TRAINING)
    job = board.hub.submit(JobSpec((sys.executable, str(script)), str(place), gpus=0))
    with board.page("/queue") as page, board.page(f"/runs/{job.run_id}") as run_page:
        for each in (page, run_page):
            each.evaluate("window.same = true")
        expect(page.get_by_role("region", name="Waiting").get_by_text("no worker is running").first).to_be_visible()
        worker = start([WHIRR, "worker", "--drain", "--gpus", "none"], place, WHIRR_DIR=str(board.root))
        try:
            running = page.get_by_role("region", name="Running")
            expect(running.get_by_text("a live run").first).to_be_visible()
            expect(running.get_by_text(re.compile("step [0-9]+ done")).first).to_be_visible()
            (place / "stop").touch()
            assert worker.wait(60) == 0
        finally:
            (place / "stop").touch()
            worker.terminate()
            worker.communicate(timeout=60)
        expect(page.get_by_role("region", name="Ended").get_by_text("a live run").first).to_be_visible()
        expect(running.get_by_text("a live run")).to_have_count(0)
        expect(run_page.locator("main").get_by_text(re.compile("completed", re.IGNORECASE)).first).to_be_visible()
        assert all(each.evaluate("window.same") for each in (page, run_page))


def test_a_worker_page_follows_workers(board: Dashboard) -> None:
    with board.page("/workers") as page, demo_runs.open_lab(board.root):
        expect(page.locator("main").get_by_text("node-03").first).to_be_visible()


class TestReconnection:
    def test_a_page_outlives_its_server(self, tmp_path: Path) -> None:
        with running_server(tmp_path) as server, closing(server.hub()) as hub:
            cookies = session_cookies(server.url, server.token)
            with browser_page(f"{server.url}/queue", cookies=cookies, allowed=["ERR_", "Failed to fetch"]) as page:
                wait_until(lambda: live_state(page) == "on", 20)
                page.evaluate("window.same = true")
                server.kill()
                wait_until(lambda: live_state(page) != "on", 20)
                assert page.locator("#live").inner_text() != ""
                server.start()
                hub.submit(JobSpec(("true",), "/", name="after the night"))
                expect(page.locator("main").get_by_text("after the night").first).to_be_visible(timeout=40_000)
                wait_until(lambda: live_state(page) == "on", 60)
                assert page.evaluate("window.same")

    def test_what_happened_meanwhile_is_told(self, tmp_path: Path) -> None:
        with running_server(tmp_path) as server:
            cookies = session_cookies(server.url, server.token)
            with browser_page(f"{server.url}/", cookies=cookies, allowed=["ERR_", "Failed to fetch"]) as page:
                wait_until(lambda: live_state(page) == "on", 20)
                server.kill()
                demo_runs.many(server.root, 5)
                server.start()
                expect(page.locator("main").get_by_text("run 4", exact=True).first).to_be_visible(timeout=40_000)

    def test_a_server_with_open_pages_ends_gracefully(self, tmp_path: Path) -> None:
        with running_server(tmp_path) as server:
            cookies = session_cookies(server.url, server.token)
            with browser_page(f"{server.url}/", cookies=cookies, allowed=["ERR_", "Failed to fetch"]) as page:
                wait_until(lambda: live_state(page) == "on", 20)
                assert server.stop() == 0
                assert "Traceback" not in server.log.read_text()


class TestEvents:
    """The stream behind the pages."""

    def listen(self, stack: ExitStack, board: Dashboard, **headers: str) -> Iterator[tuple[str, str, str]]:
        client = stack.enter_context(board.client())
        answer = stack.enter_context(client.stream("GET", "/ui/events", headers=headers, timeout=60))
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "no-store" in answer.headers["cache-control"] or "no-cache" in answer.headers["cache-control"]
        return events(answer.iter_lines())

    def test_one_tells_of_a_job(self, board: Dashboard) -> None:
        with ExitStack() as stack:
            heard = self.listen(stack, board)
            board.hub.submit(JobSpec(("true",), "/"))
            assert next(name for name, _, _ in heard if name == "queue") == "queue"

    def test_it_goes_on_from_where_it_was_lost(self, board: Dashboard) -> None:
        with ExitStack() as stack:
            heard = self.listen(stack, board)
            board.hub.submit(JobSpec(("true",), "/"))
            last = next(number for name, number, _ in heard if name == "queue")
            assert last
        board.hub.submit(JobSpec(("true",), "/"))
        with ExitStack() as stack:
            heard = self.listen(stack, board, **{"Last-Event-ID": last})
            assert next(name for name, _, _ in heard if name == "queue") == "queue"

    def test_fifty_listeners_hear_the_same(self, board: Dashboard) -> None:
        with ExitStack() as stack:
            all_heard = [self.listen(stack, board) for _ in range(50)]
            job = board.hub.submit(JobSpec(("true",), "/"))
            for heard in all_heard:
                assert next(name for name, _, _ in heard if name == "queue") == "queue"
            assert board.hub.job(job.id).status is JobStatus.QUEUED

    def test_one_page_asks_for_one_stream_whatever_the_number_of_its_tabs(self, board: Dashboard) -> None:
        with board.page("/") as page:
            wait_until(lambda: live_state(page) == "on", 20)
            others = [page.context.new_page() for _ in range(3)]
            for other in others:
                other.goto(f"{board.url}/queue")
                wait_until(lambda other=other: live_state(other) == "on", 20)
            with board.client() as client:
                text = client.get("/metrics").text
            assert "whirr" in text
            until(page, "document.readyState === 'complete'")


def events(lines: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    """The events of a stream: name, id, data."""
    name = number = data = ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "id":
            number = value
        elif field == "data":
            data += value
        elif not line and name:
            yield name, number, data
            name = data = ""


def test_whirr_dashboard_opens_signed_in(tmp_path: Path) -> None:
    root = tmp_path / ".whirr"
    demo_runs.many(root, 3)
    command = [str(Path(sys.executable).with_name("whirr")), "dashboard", "--port", "0", "--no-browser"]
    with start(command, tmp_path, HOME=str(tmp_path)) as process:
        try:
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            assert link.startswith("http://127.0.0.1:")
            with browser_page(link) as page:
                expect(page.locator("main").get_by_text("run 2", exact=True).first).to_be_visible()
                assert "code=" not in page.url
            assert httpx.get(link, follow_redirects=True).status_code == 401  # it signs in once
        finally:
            process.terminate()
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert process.returncode in (0, 130, 143)
