"""The page of a run in a real browser: ending, results, notes and tags, files, attempts, actions, whatever is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import demo_runs
import pytest
from browser import NARROW, Dashboard, axe, dashboard, no_overflow
from demo_runs import Demo
from playwright.sync_api import Locator, Page, expect
from run_folders import write_rows, write_run

from whirr.model import JobStatus, Role

TABS = ("overview", "charts", "logs", "system", "files", "attempts")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    root = tmp_path_factory.mktemp("lab") / ".whirr"
    demo_runs.hostile(root)
    demo_runs.broken(root)
    return demo_runs.make(root, steps=40, metrics=10)


@pytest.fixture(scope="module")
def board(demo: Demo) -> Iterator[Dashboard]:
    with dashboard(demo.root) as made:
        yield made


@pytest.fixture
def folder(board: Dashboard, request: pytest.FixtureRequest) -> Path:
    """A run of the test's own, started by hand."""
    name = "own-" + re.sub(r"\W+", "-", request.node.name)[:60]
    return write_run(
        board.root, name, name="mine", tags=["own"], config={"lr": 0.1, "model": {"depth": 4, "name": "vit"}}
    )


def card(page: Page, title: str) -> Locator:
    return page.locator("section.card").filter(has=page.get_by_role("heading", name=title, exact=True))


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("tab", name=re.compile(f"^{name}"))


# What it shows


def test_how_a_run_failed_and_why(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.failed}") as page:
        expect(page.get_by_role("heading", level=1)).to_have_text(demo.trials[demo.failed].name)
        expect(page.locator(".rh .sm")).to_have_text("Failed")
        expect(page.locator(".al")).to_contain_text("RuntimeError: CUDA error")
        expect(page.locator(".al .term")).to_contain_text("Traceback (most recent call last)")
        expect(page).to_have_title(re.compile("Failed"))
        page.get_by_role("button", name="Open the log").click()
        expect(tab(page, "Logs")).to_have_attribute("aria-selected", "true")
        page.go_back()
        expect(tab(page, "Overview")).to_have_attribute("aria-selected", "true")


def test_progress_of_a_running_one_and_its_end(board: Dashboard, folder: Path) -> None:
    rows = [{"_idx": n, "_timestamp": f"2026-01-01T00:00:0{n}Z", "step": n, "loss": 1 / (n + 1)} for n in range(5)]
    write_run(board.root, folder.name, status="queued", finished_at=None, config={"epochs": 10}, rows=rows[:2])
    with board.page(f"/runs/{folder.name}") as page:
        expect(page.locator(".rh .sm")).to_have_text("Queued")
        expect(card(page, "Results").locator("tbody tr")).to_contain_text(["loss"])
        write_rows(folder / "metrics.jsonl", rows)
        write_run(board.root, folder.name, status="failed", cause={"kind": "killed", "message": "its process vanished"})
        expect(page.locator(".rh .sm")).to_have_text("Failed")
        expect(page.locator(".al")).to_contain_text("its process vanished")
        expect(card(page, "Results").locator("tbody td").last).to_have_text("5")


def test_progress_bar(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.running[0]}") as page:
        expect(page.locator(".rh .sm")).to_have_text("Running")
        expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute(
            "aria-valuenow", re.compile(r"^\d+$")
        )
        expect(page.locator(".rh-prog")).to_contain_text("left")


def test_the_last_step_is_called_so(board: Dashboard) -> None:
    write_run(board.root, "one-record", rows=[{"_idx": 0, "step": 100, "loss": 1.0}])
    with board.page("/runs/one-record?tab=charts") as page:
        expect(page.get_by_role("group", name=re.compile("^Chart of loss, to step 100,"))).to_be_visible()


def test_many_tags_stay_within_the_page(board: Dashboard) -> None:
    write_run(board.root, "tagged", tags=[f"a-tag-of-{number:03}" for number in range(60)])
    with board.page("/runs/tagged") as page:
        expect(page.locator(".rh-meta .chip")).to_have_count(60)
        left = "(node) => node.getBoundingClientRect().left"
        lefts = page.locator(".rh-meta .chip").evaluate_all(f"(chips) => chips.map({left})")
        assert min(lefts) >= page.locator(".rh-meta").evaluate(left)


def test_all_of_a_run_is_printed(board: Dashboard, demo: Demo) -> None:
    long = write_run(board.root, "long-log", name="long")
    (long / "output.log").write_text("".join(f"line {number}\n" for number in range(300)))
    for path in (f"{demo.failed}", "long-log?tab=logs"):
        with board.page(f"/runs/{path}") as page:
            expect(page.locator("[role=tabpanel] .cd, .lg-line").first).to_be_visible()
            assert len(re.findall(rb"/Type /Page\b", page.pdf())) > 1
            page.emulate_media(media="print")
            expect(page.get_by_role("banner")).to_be_hidden()
            expect(page.get_by_role("tablist")).to_be_hidden()


def test_config_and_results_are_searched(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.runs[0]}") as page:
        config = card(page, "Config")
        config.get_by_role("searchbox").fill("lr")
        expect(config.locator(".lf .k")).to_have_text(["lr"])
        results = card(page, "Results")
        results.get_by_role("button", name="val/loss", exact=True).click()
        expect(tab(page, "Charts")).to_have_attribute("aria-selected", "true")
        expect(page).to_have_url(re.compile(r"tab=charts.*metrics=val/loss|metrics=val/loss.*tab=charts"))


def test_git_with_its_changes(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.failed}") as page:
        card(page, "Git").get_by_role("button", name="Show the changes").click()
        changes = card(page, "Uncommitted changes")
        expect(changes.locator(".df-file").first).to_be_visible()
        expect(changes.locator(".df-body .df-p").first).to_contain_text("+")


def test_a_run_that_is_not_there(board: Dashboard) -> None:
    with board.page("/runs/nobody", allowed=["404"]) as page:
        expect(page.locator("main")).to_contain_text("Not found")


# Notes and tags


def test_notes_keep_themselves(board: Dashboard, folder: Path) -> None:
    with board.page(f"/runs/{folder.name}") as page:
        notes = card(page, "Notes and tags")
        notes.get_by_role("button", name="Edit").click()
        text = "see https://example.org/a?b=1, or <b>javascript:alert(1)</b>"
        notes.get_by_role("textbox", name="Notes").fill(text)
        expect(notes.get_by_role("status")).to_have_text("Saved")
        assert json.loads((folder / "annotations.json").read_text())["notes"] == text
        notes.get_by_role("textbox", name="Notes").blur()
        expect(notes.locator(".nt-text")).to_have_text(text)
        expect(notes.locator(".nt-text a")).to_have_attribute("href", "https://example.org/a?b=1")
        expect(notes.locator(".nt-text a")).to_have_attribute("rel", re.compile("noopener"))
        assert notes.locator(".nt-text b").count() == 0
        page.reload()
        expect(card(page, "Notes and tags").locator(".nt-text")).to_have_text(text)


def test_notes_of_two_people_are_both_kept(board: Dashboard, folder: Path) -> None:
    with board.page(f"/runs/{folder.name}", allowed=["409"]) as page:
        notes = card(page, "Notes and tags")
        notes.get_by_role("button", name="Edit").click()
        board.hub.runs.annotate(folder.name, notes="theirs")
        notes.get_by_role("textbox", name="Notes").fill("mine")
        expect(notes.get_by_role("status")).to_contain_text("Somebody else")
        assert board.hub.runs.annotate(folder.name).notes == "theirs"
        notes.get_by_role("button", name="Keep both").click()
        expect(notes.get_by_role("status")).to_have_text("Saved")
        assert board.hub.runs.annotate(folder.name).notes == "theirs\n\nmine"


def test_what_is_written_outlives_the_session(board: Dashboard, folder: Path) -> None:
    with board.page(f"/runs/{folder.name}", allowed=["401"]) as page:
        notes = card(page, "Notes and tags")
        notes.get_by_role("button", name="Edit").click()
        page.context.clear_cookies()
        notes.get_by_role("textbox", name="Notes").fill("an hour of thought")
        expect(notes.get_by_role("status")).to_have_text(
            "Not saved: your session has ended: sign in in another tab, then try again"
        )
        expect(notes.get_by_role("textbox", name="Notes")).to_have_value("an hour of thought")
        page.context.add_cookies(board.cookies())  # type: ignore[arg-type]
        notes.get_by_role("button", name="Try again").click()
        expect(notes.get_by_role("status")).to_have_text("Saved")
        assert board.hub.runs.annotate(folder.name).notes == "an hour of thought"


def test_a_form_that_is_filled_in_outlives_the_session(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.failed}", allowed=["401"]) as page:
        page.get_by_role("button", name="Submit again").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Command").fill("python train.py --lr 0.5")
        page.context.clear_cookies()
        dialog.get_by_role("button", name="Submit").click()
        expect(dialog.get_by_role("alert")).to_contain_text("sign in in another tab")
        expect(dialog.get_by_label("Command")).to_have_value("python train.py --lr 0.5")


def test_notes_that_another_wrote_appear(board: Dashboard, folder: Path) -> None:
    with board.page(f"/runs/{folder.name}") as page:
        expect(card(page, "Notes and tags").locator(".nt-text")).to_have_text("No notes yet.")
        board.hub.runs.annotate(folder.name, notes="from elsewhere", add=["new"])
        expect(card(page, "Notes and tags").locator(".nt-text")).to_have_text("from elsewhere")
        expect(page.get_by_role("list", name="Tags").get_by_role("listitem")).to_contain_text(["own", "new"])


def test_tags(board: Dashboard, folder: Path) -> None:
    with board.page(f"/runs/{folder.name}") as page:
        tags = page.get_by_role("list", name="Tags").get_by_role("listitem")
        expect(tags).to_contain_text(["own"])
        field = page.get_by_role("combobox", name="Add a tag")
        for tag in ("best", "<i>x</i>"):
            field.fill(tag)
            field.press("Enter")
            expect(tags.filter(has_text=tag)).to_have_count(1)
        page.get_by_role("button", name="Take off the tag own").click()
        expect(tags).to_have_count(2)
        assert board.hub.runs.detail(folder.name).run.tags == ["best", "<i>x</i>"]


def test_who_only_reads_changes_nothing(board: Dashboard, demo: Demo, folder: Path) -> None:
    with board.page(f"/runs/{demo.failed}", role=Role.READ) as page:
        expect(page.locator(".nt-text")).to_have_text("No notes.")
        for name in ("Edit", "Retry", "Submit again", "Stop"):
            expect(page.get_by_role("button", name=name, exact=True)).to_be_hidden()
        expect(page.get_by_label("Add a tag")).to_have_count(0)
    for role, status in ((Role.READ, 403), (Role.WORKER, 403), (Role.SUBMIT, 200)):
        with board.client(role) as client:
            assert client.post(f"/ui/run/{folder.name}/annotations", json={"notes": "x"}).status_code == status


def test_edits_are_audited(board: Dashboard, folder: Path) -> None:
    with board.client() as client:
        client.post(f"/ui/run/{folder.name}/annotations", json={"add": ["seen"]})
        wrong = client.post(f"/ui/run/{folder.name}/annotations", json={"add": ["a\nb"]})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "usage")
    kept = "".join(path.read_text() for path in board.root.rglob("audit*") if path.is_file())
    assert f'"run_id":"{folder.name}"' in kept.replace(" ", "")


# Files


def test_files_are_shown_and_never_run(board: Dashboard, demo: Demo) -> None:
    with board.page("/runs/hostile?tab=files") as page:
        files = page.get_by_role("navigation", name="Files")
        shown = page.get_by_role("region", name="Content of the file")
        for name, selector in (
            ("page.html", "pre.pv-text"),
            ("drawing.svg", "img.pv-img"),
            ("table.csv", "table"),
            ("config.json", ".pv-json .lf"),
            ("uncommitted.patch", ".df-body"),
            ("output.log", ".lg-line"),
        ):
            files.get_by_role("button", name=name).click()
            expect(shown.get_by_role("heading", name=re.compile(re.escape(name)))).to_be_visible()
            expect(shown.locator(selector).first).to_be_visible()
        files.get_by_role("button", name="<img").click()
        expect(shown.locator("pre.pv-text")).to_contain_text("<script>")
        assert page.evaluate("window.pwned") is None


def test_files_of_odd_names_and_kinds(board: Dashboard, folder: Path) -> None:
    content = {
        "a b%2f?.txt": b"hello",
        "ü\udcff#.txt": b"odd",
        "deep/er/x.bin": b"\0\1",
        "nothing": b"",
        "Makefile": b"all:\n",
    }
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with board.page(f"/runs/{folder.name}?tab=files") as page:
        shown = page.get_by_role("region", name="Content of the file")
        for name, text in (
            ("a b%2f?.txt", "hello"),
            ("ü\\xff#.txt", "odd"),
            ("x.bin", "This is no text"),
            ("nothing", "The file is empty."),
            ("Makefile", "all:"),
        ):
            page.get_by_role("navigation", name="Files").get_by_title(name).or_(
                page.get_by_role("button", name=name)
            ).first.click()
            expect(shown.locator(".pv-body")).to_contain_text(text)
        page.get_by_role("searchbox", name="Search the files").fill("makef")
        expect(page.get_by_role("navigation", name="Files").get_by_role("button")).to_have_count(1)


def test_a_file_is_downloaded(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.runs[0]}?tab=files&file=artifacts/classes.csv") as page:
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Download").click()
        assert waiting.value.suggested_filename == "classes.csv"


# Attempts and actions


def test_attempts_with_their_logs(board: Dashboard, folder: Path) -> None:
    old = folder / "attempts" / "1"
    old.mkdir(parents=True)
    (old / "output.log").write_text("the first try\n")
    (folder / "output.log").write_text("the second try\n")
    with board.page(f"/runs/{folder.name}?tab=attempts") as page:
        page.get_by_role("button", name="Open").click()
        expect(page.locator(".lg-line")).to_have_text("the first try")
        page.get_by_role("combobox", name="Which log").select_option("output.log")
        expect(page.locator(".lg-line")).to_have_text("the second try")


def test_what_happened(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.failed}?tab=attempts") as page:
        expect(page.locator(".ev")).to_have_count(3)
        expect(page.locator(".ev").first).to_contain_text("queued by")
        expect(page.get_by_role("region", name="Attempts")).to_contain_text("failed")


def test_a_job_is_retried_and_stopped_after_a_question(board: Dashboard, demo: Demo) -> None:
    number = int(demo.failed.removeprefix("job-"))
    with board.page(f"/runs/{demo.failed}") as page:
        page.get_by_role("button", name="Retry").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        assert board.hub.job(number).status is JobStatus.FAILED
        page.get_by_role("button", name="Retry").click()
        page.get_by_role("dialog").get_by_role("button", name="Queue again").click()
        expect(page.locator(".rh .sm")).to_have_text("Queued")
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("dialog").get_by_role("button", name="Take out").click()
        expect(page.locator(".rh .sm")).to_have_text("Cancelled")
        assert board.hub.job(number).status is JobStatus.CANCELLED


# Whatever is in it


@pytest.mark.parametrize("tab_name", TABS)
def test_hostile_words_are_text_in_every_tab(board: Dashboard, demo: Demo, tab_name: str) -> None:
    with board.page(f"/runs/hostile?tab={tab_name}") as page:
        expect(page.locator(f"#panel-{tab_name} > *").first).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_text(demo_runs.HOSTILE)
        assert page.evaluate("window.pwned") is None
        assert page.locator("main script, main img:not(.pv-img)").count() == 0


@pytest.mark.parametrize("name", ["empty", "torn", "list", "types", "folders", "loop"])
def test_damaged_folders_are_shown_with_their_problems(board: Dashboard, demo: Demo, name: str) -> None:
    with board.page(f"/runs/broken-{name}") as page:
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(card(page, "About")).to_be_visible()
        if name in ("torn", "list", "empty"):
            expect(page.locator(".al")).to_contain_text("meta.json")
        for each in TABS[1:]:
            tab(page, each.capitalize()).click()
            expect(page.locator(f"#panel-{each} > *").first).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("tab_name", TABS)
def test_nobody_is_shut_out_and_nothing_sticks_out(board: Dashboard, demo: Demo, tab_name: str, dark: bool) -> None:
    file = "&file=artifacts/settings.json" if tab_name == "files" else ""
    with board.page(f"/runs/{demo.runs[-1]}?tab={tab_name}{file}", dark=dark) as page:
        expect(page.locator(f"#panel-{tab_name} > *").first).to_be_visible()
        axe(page)
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        no_overflow(page)
        axe(page)


def test_a_job_is_submitted_again_with_changes(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.runs[-1]}") as page:
        page.get_by_role("button", name="Submit again").click()
        page.get_by_role("dialog").get_by_label("Name").fill("changed")
        page.get_by_role("dialog").get_by_role("button", name="Submit").click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        newest = board.hub.jobs(limit=1)[0]
        assert (newest.spec.name, newest.status) == ("changed", JobStatus.QUEUED)


def test_keys_lead_through_the_tabs(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.runs[-1]}") as page:
        tab(page, "Overview").focus()
        page.keyboard.press("ArrowRight")
        expect(tab(page, "Charts")).to_be_focused()
        page.keyboard.press("End")
        expect(tab(page, "Attempts")).to_have_attribute("aria-selected", "true")
        page.keyboard.press("l")
        expect(tab(page, "Logs")).to_have_attribute("aria-selected", "true")
