"""The Runs page in a real browser, beside its table: the run in focus, what happens live, the command field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import demo_runs
import orjson
import pytest
from browser import NARROW, Dashboard, axe, dashboard, no_overflow, screenshot, until
from demo_runs import HOSTILE, Demo
from helpers import wait_until
from playwright.sync_api import expect
from runs_page import ORDERED, count, names, rows

from whirr.model import JobStatus, Role


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Sweep 7: 22 runs, of which three run, and eight of an older sweep."""
    return demo_runs.make(tmp_path_factory.mktemp("lab") / ".whirr", runs=30, steps=60, metrics=6)


@pytest.fixture(scope="module")
def board(demo: Demo) -> Iterator[Dashboard]:
    with dashboard(demo.root) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Demo, Dashboard]]:
    """One of its own for a test that changes it."""
    demo = demo_runs.make(tmp_path / ".whirr", runs=22, steps=30, metrics=4)
    with dashboard(demo.root) as made:
        yield demo, made


# The run in focus


def test_the_run_in_focus_shows_log_config_files_and_notes(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/?focus={demo.failed}") as page:
        drawer = page.get_by_role("region", name="Run in focus")
        expect(drawer.get_by_role("heading", level=2)).to_have_text(demo.trials[demo.failed].name)
        expect(drawer.get_by_role("log")).to_contain_text("Traceback")
        drawer.get_by_role("tab", name="Logs").press("ArrowLeft")
        expect(drawer.get_by_role("tab", name="Notes")).to_be_focused()
        assert "tab=notes" in page.url
        drawer.get_by_role("tab", name="Config").click()
        expect(drawer).to_contain_text("data.augment.mixup")
        axe(page)
        drawer.get_by_role("tab", name="Files").click()
        expect(drawer.get_by_role("link", name="metrics.jsonl")).to_be_visible()
        page.keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        assert "focus" not in page.url


def test_enter_shows_the_run_under_the_cursor(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7") as page:
        expect(rows(page).first).to_be_visible()
        page.keyboard.press("j")
        page.keyboard.press("j")
        expect(page.get_by_role("grid")).to_have_attribute("aria-activedescendant", "line-1")
        page.keyboard.press("Enter")
        run = rows(page).nth(1)
        expect(page.locator("#drawer h2")).to_have_text(run.locator(".nm").inner_text())
        expect(run).to_have_attribute("aria-current", "true")
        page.go_back()
        expect(page.locator("#drawer")).to_be_hidden()
        rows(page).nth(3).click()
        expect(page.locator("#drawer h2")).to_have_text(rows(page).nth(3).locator(".nm").inner_text())
        page.locator("#drawer h2 a").click()
        expect(page).to_have_url(re.compile(r"/runs/job-\d+"))


def test_its_job_is_submitted_again_and_stopped_after_a_question(own: tuple[Demo, Dashboard]) -> None:
    demo, board = own
    run = demo.running[0]
    number = int(run.removeprefix("job-"))
    with board.page(f"/?focus={run}") as page:
        dialog = page.get_by_role("dialog")
        page.locator("#drawer").get_by_role("button", name="Clone").click()
        dialog.get_by_label("Name", exact=True).fill("once more")
        dialog.get_by_role("button", name="Submit").click()
        expect(dialog).to_have_count(0)
        expect(page.locator(".rows .nm", has_text="once more")).to_be_visible()
        page.locator("#drawer").get_by_role("button", name="Stop").click()
        dialog.get_by_role("button", name="Keep").click()
        assert board.hub.job(number).status is JobStatus.RUNNING
        page.locator("#drawer").get_by_role("button", name="Stop").click()
        dialog.get_by_role("button", name=re.compile("^Stop")).click()
        wait_until(lambda: board.hub.job(number).status is JobStatus.CANCELLING)


def test_who_may_only_read_sees_no_actions(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/?focus={demo.running[0]}", role=Role.READ) as page:
        expect(page.locator("#drawer .meta")).to_contain_text("step")
        expect(page.locator("#drawer .acts button")).to_have_count(0)


# Live


def log_more(folder: Path, step: int, **values: float) -> None:
    """What a running program would log next."""
    record = {"_idx": 10_000 + step, "_timestamp": "2026-11-28T12:00:00.000000Z", "step": step, **values}
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


def test_values_of_running_runs_change_in_place(own: tuple[Demo, Dashboard]) -> None:
    demo, board = own
    run = demo.running[-1]
    with board.page("/?columns=val/acc&sort=-val/acc") as page:
        row = page.locator(f"[data-run='{run}']")
        expect(row).to_be_visible()
        expect(page.locator("#live")).to_have_attribute("data-state", "on")
        node = row.element_handle()
        log_more(demo.root / "runs" / run, 70_000, **{"val/acc": 0.99})
        expect(row).to_contain_text("0.9900")
        expect(rows(page).first).to_have_attribute("data-run", run)
        assert node.evaluate("node => node.isConnected"), "it is the same node still"


def test_rows_keep_their_places_under_the_pointer(own: tuple[Demo, Dashboard]) -> None:
    demo, board = own
    run = demo.running[-1]
    with board.page("/?columns=val/acc&sort=-val/acc") as page:
        expect(page.locator("#live")).to_have_attribute("data-state", "on")
        row = page.locator(f"[data-run='{run}']")
        rows(page).nth(5).hover()
        before = names(page)
        log_more(demo.root / "runs" / run, 70_000, **{"val/acc": 0.99})
        expect(row).to_contain_text("0.9900")
        assert names(page) == before
        page.get_by_role("combobox", name="Filter runs").hover()
        expect(rows(page).first).to_have_attribute("data-run", run)


def test_a_new_run_does_not_move_what_is_in_sight(tmp_path: Path) -> None:
    root = tmp_path / ".whirr"
    demo_runs.many(root, 300)
    with dashboard(root) as board, board.page() as page:
        expect(count(page)).to_have_text("300 runs")
        expect(page.locator("#live")).to_have_attribute("data-state", "on")
        page.evaluate("() => { document.querySelector('.table').scrollTop = 2700; }")
        row = page.locator("[role=row]", has=page.get_by_text("run 195", exact=True))
        expect(row).to_be_visible()
        before = row.bounding_box()
        demo_runs.quick_run(root, "newest", b"", {}, name="the newest", started_at="2026-11-28T12:00:00.000000Z")
        expect(count(page)).to_have_text("301 runs")
        assert row.bounding_box() == before
        page.evaluate("() => { document.querySelector('.table').scrollTop = 0; }")
        expect(rows(page).first).to_contain_text("the newest")


# The command field


def test_the_command_field_jumps_to_runs_metrics_and_pages(board: Dashboard, demo: Demo) -> None:
    name = demo.trials[demo.runs[0]].name
    with board.page() as page:
        page.keyboard.press("Control+k")
        field = page.get_by_role("combobox", name="Jump to a run, metric or command")
        field.fill(name.replace("·", " "))
        expect(page.get_by_role("option").first).to_contain_text(name)
        axe(page, "dialog")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"/runs/"))
        page.go_back()
        page.keyboard.press("Control+k")
        field.fill("val/loss")
        page.get_by_role("option").filter(has_text="metric").first.click()
        expect(page).to_have_url(re.compile(r"metrics=val/loss|metrics=val%2Floss"))
        theme = page.evaluate("document.documentElement.dataset.theme")
        page.keyboard.press("Control+k")
        field.fill("light or")
        page.keyboard.press("Enter")
        until(page, f"document.documentElement.dataset.theme !== '{theme}'")
        page.keyboard.press("Control+k")
        field.fill("no such thing at all")
        expect(page.get_by_text("Nothing of this name")).to_be_visible()
        page.keyboard.press("Escape")
        expect(field).to_have_count(0)


def test_all_keys_are_listed(board: Dashboard) -> None:
    with board.page() as page:
        expect(rows(page).first).to_be_visible()
        page.keyboard.press("?")
        told = page.get_by_role("dialog").inner_text()
        for text in (
            "Filter the runs",
            "Next run",
            "Sort by a key",
            "Pin the run",
            "Group by a key",
            "Choose the columns",
        ):
            assert text in told


# Around it


def test_workers_stand_at_the_foot(board: Dashboard) -> None:
    with board.page() as page:
        strip = page.get_by_role("region", name="Workers")
        expect(strip).to_contain_text("4 online")
        expect(strip.locator(".w")).to_have_count(4)
        expect(strip.get_by_role("img").first).to_have_attribute("aria-label", re.compile(r"\d of 8 GPUs busy"))
        expect(strip.get_by_role("link")).to_have_attribute("href", "/workers")


def test_the_width_of_the_table_is_remembered(board: Dashboard) -> None:
    with board.page() as page:
        bar = page.get_by_role("separator", name="Width of the table")
        before = int(bar.get_attribute("aria-valuenow") or 0)
        bar.press("ArrowRight")
        expect(bar).to_have_attribute("aria-valuenow", str(before + 24))
        page.reload()
        expect(bar).to_have_attribute("aria-valuenow", str(before + 24))
        width = page.evaluate("document.querySelector('.list').getBoundingClientRect().width")
        assert abs(width - before - 24) <= 1
        page.mouse.dblclick(width, 400)
        expect(bar).to_have_attribute("aria-valuenow", str(before))


def test_an_empty_folder_says_how_to_begin(tmp_path: Path) -> None:
    with dashboard(tmp_path / ".whirr") as board, board.page() as page:
        expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
        expect(page.locator("#blank")).to_contain_text("whirr.init")
        axe(page)
        no_overflow(page)
        demo_runs.quick_run(board.root, "first", b"", {}, name="the first")
        expect(rows(page).first).to_contain_text("the first")
        expect(page.locator("#blank")).to_be_hidden()


def test_names_are_text_whatever_they_hold(tmp_path: Path) -> None:
    root = tmp_path / ".whirr"
    demo_runs.hostile(root)
    with dashboard(root) as board, board.page("/?focus=hostile&tab=config") as page:
        expect(rows(page).first.locator(".nm")).to_have_text(HOSTILE)
        expect(page.locator("#drawer h2")).to_have_text(HOSTILE)
        expect(page.locator("#drawer .lists")).to_contain_text(HOSTILE)
        for key, label in (("g", "Group by"), ("v", "Columns")):
            page.keyboard.press(key)
            expect(page.get_by_role("dialog", name=label)).to_contain_text(HOSTILE)
            page.keyboard.press("Escape")
            expect(page.locator(".pop:popover-open")).to_have_count(0)
            until(page, "document.activeElement === document.body")
        page.keyboard.press("Control+k")
        expect(page.get_by_role("listbox", name="Where to")).to_contain_text(HOSTILE)
        page.keyboard.press("Escape")
        assert page.evaluate("window.pwned") is None
        assert page.locator("main img").count() == 0


@pytest.mark.parametrize("dark", [False, True])
def test_everyone_can_use_it(board: Dashboard, demo: Demo, dark: bool) -> None:
    path = f"/?filter=tag:sweep-7&group=optimizer&sort=-val/acc&focus={demo.running[0]}&sel={demo.running[1]}"
    with board.page(path, dark=dark) as page:
        expect(page.locator(".rows .group").first).to_be_visible()
        expect(page.locator("#drawer .meta")).to_contain_text("step")
        axe(page)
        screenshot(page, f"runs-{'dark' if dark else 'light'}")
        assert page.evaluate(ORDERED)


def test_a_narrow_window_shows_table_run_and_charts_below_one_another(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/?focus={demo.failed}", width=NARROW[0], height=NARROW[1]) as page:
        expect(rows(page).first).to_be_visible()
        expect(page.locator("#drawer h2")).to_be_visible()
        no_overflow(page)
        assert page.evaluate("document.querySelector('main').scrollWidth") <= NARROW[0]
        tops = page.evaluate(
            "['.list', '#drawer', '#board'].map((each) => document.querySelector(each).getBoundingClientRect().top)"
        )
        assert tops == sorted(tops)
        axe(page)
        screenshot(page, "runs-narrow")
