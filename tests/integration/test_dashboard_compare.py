"""The pages that compare runs and list artifacts, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import demo_runs
import pytest
from browser import NARROW, Dashboard, axe, dashboard, no_overflow
from playwright.sync_api import Locator, Page, expect
from repositories import git, write
from run_folders import write_run

from whirr.capture import git_info

SAME = {"optimizer": "adamw", "data": {"name": "mini"}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs of a git work tree, the code of which changed on the way, and one that would do harm."""
    top = tmp_path_factory.mktemp("work")
    git(top, "init", "-q", "-b", "main", ".")
    write(top, {"train.py": "lr = 0.1\n", ".gitignore": ".whirr/\n"})
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "one")
    for number in range(4):
        write(top, {"train.py": f"lr = 0.{number + 1}\n"})
        folder = write_run(top / ".whirr", f"r{number}")
        info = git_info(top, folder / "uncommitted.patch")
        (folder / "requirements.txt").write_text(f"numpy==1.{number // 2}\ntorch==2.0\n")
        (folder / "artifacts" / "deep").mkdir(parents=True)
        (folder / "artifacts" / "model.pt").write_bytes(b"x" * number)
        (folder / "artifacts" / "deep" / "plot.png").write_bytes(demo_runs.picture())
        rows = [
            {"_idx": n, "_timestamp": f"2026-01-01T00:00:0{n}Z", "step": n, "val/acc": n / (number + 2)} for n in (0, 1)
        ]
        config = {**SAME, "lr": (number + 1) / 10, **({"seed": 1} if number else {})}
        about = {"name": f"try {number}", "git_info": info, "environment": {"host": "node", "python": f"3.1{number}"}}
        write_run(
            top / ".whirr",
            f"r{number}",
            config=config,
            rows=rows,
            started_at=f"2026-01-0{number + 1}T00:00:00Z",
            **about,
        )
    demo_runs.hostile(top / ".whirr")
    return top / ".whirr"


@pytest.fixture(scope="module")
def board(root: Path) -> Iterator[Dashboard]:
    with dashboard(root) as made:
        yield made


def card(page: Page, title: str) -> Locator:
    return page.locator("section.card").filter(has=page.get_by_role("heading", name=title, exact=True))


def keys(page: Page, title: str) -> Locator:
    return card(page, title).locator("tbody th[scope=row]")


class TestCompare:
    def test_only_what_differs_unless_all_is_wanted(self, board: Dashboard) -> None:
        with board.page("/compare?runs=r0,r1") as page:
            expect(keys(page, "Config")).to_have_text(["lr", "seed"])
            expect(card(page, "Config")).to_contain_text("2 of 4 differ")
            expect(card(page, "Config").locator("td.none")).to_contain_text("not set")
            expect(keys(page, "Environment")).to_have_text(["git dirty", "python"])
            expect(card(page, "Packages")).to_contain_text("They had the same packages.")
            page.get_by_role("switch", name="Also what is the same").click()
            expect(keys(page, "Config")).to_have_text(["data.name", "lr", "optimizer", "seed"])
            expect(keys(page, "Packages")).to_have_text(["numpy", "torch"])
            expect(page).to_have_url(re.compile("all=1"))

    def test_results_with_their_distance_and_the_best(self, board: Dashboard) -> None:
        with board.page("/compare?runs=r0,r1,r2") as page:
            row = card(page, "Results").locator("tbody tr").filter(has_text="val/acc")
            expect(row.locator("td")).to_have_text(
                ["0.5000", re.compile("0.3333.*\N{MINUS SIGN}33 %"), re.compile("0.2500.*\N{MINUS SIGN}50 %")]
            )
            expect(row.locator("td.far")).to_have_text("0.5000")

    def test_runs_are_added_by_keys_moved_and_taken_out(self, board: Dashboard) -> None:
        with board.page("/compare?runs=r0") as page:
            field = page.get_by_role("combobox", name=re.compile("Add a run"))
            field.fill("try")
            expect(page.get_by_role("listbox", name="Runs").get_by_role("option")).to_have_count(3)
            field.press("ArrowDown")
            field.press("Enter")
            chips = page.get_by_role("list", name="Runs compared").get_by_role("listitem")
            expect(chips).to_contain_text(["try 0", "try 2"])
            expect(page).to_have_url(re.compile("runs=r0,r2"))
            page.get_by_role("button", name="Compare all with try 2").click()
            expect(chips).to_contain_text(["try 2", "try 0"])
            page.get_by_role("button", name="Take out try 2").click()
            expect(chips).to_contain_text(["try 0"])
            page.go_back()
            expect(chips).to_contain_text(["try 2", "try 0"])

    def test_curves_of_all(self, board: Dashboard) -> None:
        with board.page("/compare?runs=r0,r1") as page:
            expect(page.locator(".cmp-charts").get_by_role("heading", name="val/acc")).to_be_visible()

    def test_code(self, board: Dashboard) -> None:
        with board.page("/compare?runs=r1,r3,r2") as page:
            code = card(page, "Code")
            expect(code.locator(".df-body .df-m")).to_have_text("-lr = 0.2")
            expect(code.locator(".df-body .df-p")).to_have_text("+lr = 0.4")
            code.get_by_role("combobox", name="To").select_option("r2")
            expect(code.locator(".df-body .df-p")).to_have_text("+lr = 0.3")
            expect(page).to_have_url(re.compile("code=r1,r2"))

    def test_runs_that_are_gone_are_named(self, board: Dashboard) -> None:
        with board.page("/compare?runs=r0,nobody") as page:
            expect(page.get_by_role("alert")).to_have_text("Not there any more: nobody")
            expect(keys(page, "Config")).to_have_count(3)

    def test_without_any(self, board: Dashboard) -> None:
        with board.page("/compare") as page:
            expect(page.get_by_role("heading", name="Choose runs to compare")).to_be_visible()
            axe(page)

    def test_hostile_words_are_text(self, board: Dashboard) -> None:
        with board.page("/compare?runs=hostile,r0&all=1") as page:
            expect(keys(page, "Config")).to_contain_text(["__proto__.polluted"])
            expect(card(page, "Code")).to_contain_text(re.compile("differ|compares|not known"))
            assert page.evaluate("window.pwned") is None
            assert page.locator("main script, main img").count() == 0

    def test_what_cannot_be_compared(self, board: Dashboard) -> None:
        with board.client() as client:
            for path in ("/ui/compare?runs=", "/ui/compare?runs=" + ",".join("abcdefghi"), "/ui/compare/code?runs=r0"):
                assert client.get(path).status_code == 400
            assert client.get("/ui/compare/code?runs=r0,nobody").status_code == 404

    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_nobody_is_shut_out_and_nothing_sticks_out(self, board: Dashboard, dark: bool) -> None:
        with board.page("/compare?runs=r0,r1,r2&all=1", dark=dark) as page:
            expect(card(page, "Code").locator(".df-body")).to_be_visible()
            axe(page)
            page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
            no_overflow(page)
            axe(page)


class TestArtifacts:
    def test_newest_first_and_filtered(self, board: Dashboard) -> None:
        with board.page("/artifacts") as page:
            rows = page.get_by_role("region", name="Artifacts").locator("tbody tr")
            expect(rows).to_have_count(12)
            expect(rows.filter(has_text="try").first).to_contain_text("try 3")
            page.get_by_role("searchbox").fill("*.png")
            expect(rows).to_have_count(4)
            expect(page).to_have_url(re.compile(r"filter=.*png"))
            page.get_by_role("link", name="deep/plot.png", exact=True).first.click()
            expect(page.locator("img.pv-img")).to_be_visible()
            page.go_back()
            page.get_by_role("searchbox").fill("nothing is called so")
            expect(page.get_by_role("heading", name="No artifact fits")).to_be_visible()

    def test_new_ones_are_offered(self, board: Dashboard, root: Path) -> None:
        with board.page("/artifacts?filter=later") as page:
            expect(page.get_by_role("heading", name="No artifact fits")).to_be_visible()
            folder = write_run(root, "r0later", name="later", started_at="2026-02-01T00:00:00Z")
            (folder / "artifacts").mkdir()
            (folder / "artifacts" / "a.bin").write_text("x")
            page.get_by_role("button", name="Show new ones").click()
            expect(page.get_by_role("link", name="a.bin", exact=True)).to_be_visible()

    def test_very_many_runs_are_looked_through_bit_by_bit(self, tmp_path: Path) -> None:
        root = tmp_path / ".whirr"
        for number in range(400):
            folder = write_run(root, f"r{number:04}", started_at=f"2026-01-01T{number // 60:02}:{number % 60:02}:00Z")
            (folder / "artifacts").mkdir()
            (folder / "artifacts" / f"f{number}.txt").write_text("x")
        with dashboard(root) as board, board.page("/artifacts") as page:
            rows = page.locator("tbody tr")
            expect(rows.first).to_contain_text("f399.txt")
            expect(page.get_by_role("status").filter(has_text="of 400 runs")).to_be_visible()
            page.get_by_role("button", name="Look on").scroll_into_view_if_needed()
            expect(rows.nth(150)).to_be_attached()
            assert rows.count() < 400

    def test_without_any(self, tmp_path: Path) -> None:
        with dashboard(tmp_path / ".whirr") as board, board.page("/artifacts") as page:
            expect(page.get_by_role("heading", name="No artifacts yet")).to_be_visible()
            axe(page)

    def test_nobody_is_shut_out_and_nothing_sticks_out(self, board: Dashboard) -> None:
        for dark in (False, True):
            with board.page("/artifacts", dark=dark) as page:
                expect(page.get_by_role("region", name="Artifacts")).to_be_visible()
                axe(page)
                page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
                no_overflow(page)
                assert page.evaluate("window.pwned") is None
