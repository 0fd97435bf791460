"""Every page in a real browser: light and dark, wide and narrow, under a prefix, over odd data and over plenty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import demo_runs
import pytest
from browser import NARROW, WIDE, Dashboard, axe, browser_page, dashboard, no_overflow, session_cookies, until
from faulty_proxy import Connection, Request, lost, pass_on, proxy_for
from helpers import wait_until
from playwright.sync_api import Page, expect

PAGES = ("runs", "run", "compare", "queue", "workers", "artifacts")
TABS = ("Overview", "Charts", "Logs", "System", "Files", "Attempts")
PLENTY = 10_000


class Shown(NamedTuple):
    """A dashboard, and what it shows."""

    board: Dashboard
    demo: demo_runs.Demo

    def path(self, name: str) -> str:
        """The path of a page."""
        newest, second = [run for run in self.demo.runs if run not in self.demo.running][:2]
        paths = {"runs": "/", "run": f"/runs/{newest}", "compare": f"/compare?runs={newest},{second}"}
        return paths.get(name, f"/{name}")

    def text(self, name: str) -> str:
        """What a page shows once it has its data."""
        newest = next(run for run in self.demo.runs if run not in self.demo.running)
        name_of = self.demo.trials[newest].name
        return {"queue": "whisper-s", "workers": "node-03", "artifacts": "best.pt"}.get(name, name_of)

    def settled(self, page: Page, name: str) -> None:
        """Wait until a page shows its data, and drew it."""
        expect(page.locator("main").get_by_text(self.text(name)).locator("visible=true").first).to_be_visible()
        until(page, "document.fonts.status === 'loaded'")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    root = tmp_path_factory.mktemp("pages") / ".whirr"
    demo = demo_runs.make(root, runs=30, steps=200, metrics=8)
    with dashboard(root) as board:
        yield Shown(board, demo)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    root = tmp_path_factory.mktemp("odd") / ".whirr"
    demo_runs.hostile(root)
    demo_runs.broken(root)
    with dashboard(root) as board:
        yield board


@pytest.fixture(scope="module")
def plenty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    root = tmp_path_factory.mktemp("plenty") / ".whirr"
    demo_runs.many(root, PLENTY)
    with dashboard(root) as board:
        with board.client() as client:
            wait_until(lambda: client.get("/ui/runs", params={"count": 1}).json()["reading"] is None, 120)
        yield board


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shuts_nobody_out(shown: Shown, name: str, dark: bool) -> None:
    with shown.board.page(shown.path(name), dark=dark) as page:
        shown.settled(page, name)
        axe(page)
        no_overflow(page)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_narrow_screen(shown: Shown, name: str) -> None:
    with shown.board.page(shown.path(name), width=NARROW[0], height=NARROW[1]) as page:
        shown.settled(page, name)
        no_overflow(page)
        axe(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_way_in(shown: Shown, dark: bool) -> None:
    with shown.board.page("/login", role=None, dark=dark) as page:
        axe(page)
        no_overflow(page)
    with shown.board.page("/login", role=None, width=NARROW[0], height=NARROW[1]) as page:
        no_overflow(page)


def test_signing_in_leads_to_the_page_that_was_asked_for(shown: Shown) -> None:
    with shown.board.page("/queue", role=None, allowed=["401"]) as page:
        page.get_by_label("Token").fill(shown.board.token())
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/queue")
        shown.settled(page, "queue")


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_of_a_run(shown: Shown, tab: str) -> None:
    with shown.board.page(f"/runs/{shown.demo.failed}") as page:
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("heading", level=1)).to_have_text(shown.demo.trials[shown.demo.failed].name)
        axe(page)
        no_overflow(page)


def test_a_run_whose_facts_do_not_come_is_named_all_the_same(shown: Shown) -> None:
    def withhold(connection: Connection, request: Request) -> None:
        (lost if "/ui/run/" in request.line else pass_on)(connection, request)

    run_id = shown.demo.failed
    with proxy_for(int(shown.board.url.rpartition(":")[2])) as proxy:
        proxy.fault = withhold
        cookies = session_cookies(proxy.url, shown.board.token())
        with browser_page(f"{proxy.url}/runs/{run_id}", cookies=cookies, allowed=["net::ERR_"]) as page:
            expect(page.locator("main").get_by_role("alert")).to_be_visible()
            expect(page.get_by_role("heading", level=1)).to_have_text(run_id)
            axe(page)
            no_overflow(page)


def test_the_theme_is_chosen_and_kept(shown: Shown) -> None:
    with shown.board.page("/queue") as page:
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        page.locator("#theme").click()
        until(page, "document.documentElement.dataset.theme === 'dark'")
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_tabs_lead_to_the_pages(shown: Shown) -> None:
    with shown.board.page("/") as page:
        for label, name in (("Queue", "queue"), ("Workers", "workers"), ("Artifacts", "artifacts"), ("Runs", "runs")):
            page.get_by_role("navigation", name="Pages").get_by_role("link", name=label).click()
            shown.settled(page, name)
            assert page.locator("body").get_attribute("data-page") == name


def test_a_page_that_is_not_there_says_so(shown: Shown) -> None:
    with shown.board.client() as client:
        found = client.get("/runs/no-such-run")
        assert found.status_code == 404
        assert "text/html" in found.headers["content-type"]
        assert "no-such-run" in found.text


class TestWhatTheseTestsSee:
    """A page that goes wrong fails them."""

    @pytest.mark.parametrize(
        ("script", "trouble"),
        [
            ("setTimeout(() => { throw new Error('boom'); })", "boom"),
            ("void Promise.reject(new Error('boom'))", "boom"),
            ("console.error('boom')", "boom"),
            ("document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))", "Policy"),
            ("document.body.setAttribute('style', 'color: red')", "Policy"),
            ("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.2/x.png'}))", "Policy"),
        ],
    )
    def test_errors(self, shown: Shown, script: str, trouble: str) -> None:
        def wrong() -> None:
            with shown.board.page("/login", role=None) as page:
                page.evaluate(script)
                page.wait_for_timeout(100)

        with pytest.raises(AssertionError, match=trouble):
            wrong()

    def test_what_shuts_somebody_out(self, shown: Shown) -> None:
        with shown.board.page("/login", role=None) as page:
            page.evaluate("document.querySelector('main').append(document.createElement('button'))")
            with pytest.raises(AssertionError, match="button-name"):
                axe(page)

    def test_what_sticks_out(self, shown: Shown) -> None:
        with shown.board.page("/login", role=None) as page:
            page.evaluate("document.querySelector('h1').style.width = '3000px'")
            with pytest.raises(AssertionError, match="h1"):
                no_overflow(page)


class TestPrefix:
    """Under a path prefix, whether or not a proxy takes it off."""

    @contextmanager
    def place(self, tmp_path: Path, prefix: str) -> Iterator[Shown]:
        root = tmp_path / ".whirr"
        demo = demo_runs.make(root, runs=22, steps=60, metrics=5)
        with dashboard(root, prefix=prefix) as board:
            yield Shown(board, demo)

    def walk(self, shown: Shown, url: str) -> None:
        """From page to page by their links, each asking only below the address."""
        cookies = session_cookies(url, shown.board.token())
        with browser_page(url + "/", cookies=cookies) as page:
            asked: list[str] = []
            page.context.on("request", lambda request: asked.append(request.url))
            shown.settled(page, "runs")
            for label, name in (("Queue", "queue"), ("Workers", "workers"), ("Artifacts", "artifacts")):
                page.get_by_role("link", name=label).first.click()
                shown.settled(page, name)
            page.goto(f"{url}{shown.path('run')}")
            shown.settled(page, "run")
            page.get_by_role("link", name="Runs").first.click()
            shown.settled(page, "runs")
            assert asked
            assert [each for each in asked if not each.startswith((f"{url}/", "blob:", "data:"))] == []

    def test_the_server_knows_its_prefix(self, tmp_path: Path) -> None:
        with self.place(tmp_path, "/team/whirr") as shown:
            self.walk(shown, shown.board.url)

    def test_a_proxy_keeps_the_prefix(self, tmp_path: Path) -> None:
        with (
            self.place(tmp_path, "/team/whirr") as shown,
            proxy_for(int(shown.board.url.split(":")[2].partition("/")[0])) as proxy,
        ):
            self.walk(shown, f"{proxy.url}/team/whirr")

    @pytest.mark.parametrize("prefix", ["", "/user/ada/proxy/8080"], ids=["unknown", "known"])
    def test_a_proxy_takes_the_prefix_off(self, tmp_path: Path, prefix: str) -> None:
        taken = b"/user/ada/proxy/8080"

        def strip(connection: Connection, request: Request) -> None:
            pass_on(connection, Request(request.line, request.data.replace(b" " + taken, b" ", 1)))

        with self.place(tmp_path, prefix) as shown:
            port = int(shown.board.url.split(":")[2].partition("/")[0])
            with proxy_for(port) as proxy:
                proxy.fault = strip
                self.walk(shown, proxy.url + taken.decode())


class TestOddData:
    def is_text(self, page: Page) -> None:
        """Nothing of the data has become an element or has run."""
        assert page.evaluate("window.pwned === undefined && ({}).polluted === undefined")
        assert page.locator("img[src='x']").count() == 0
        assert page.locator("a[href^='javascript']").count() == 0
        assert page.evaluate("[...document.scripts].every(each => each.src.startsWith(location.origin))")

    @pytest.mark.parametrize("path", ["/", "/?group=tags", "/compare?runs=hostile,broken-torn", "/artifacts"])
    def test_words_of_a_run_show_as_text(self, odd: Dashboard, path: str) -> None:
        with odd.page(path) as page:
            expect(page.locator("main").get_by_text("<img src=x").first).to_be_attached()
            self.is_text(page)
            no_overflow(page)

    def test_they_do_on_every_tab_of_the_run(self, odd: Dashboard) -> None:
        with odd.page("/runs/hostile") as page:
            expect(page.locator("main").get_by_text("<img src=x").first).to_be_visible()
            for tab in TABS[:-1]:
                page.get_by_role("tab", name=tab).click()
                expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
                self.is_text(page)
            page.get_by_role("tab", name="Logs").click()
            expect(page.locator("main").get_by_text("<script>window.pwned=1").first).to_be_visible()
            axe(page)

    def test_they_do_in_addresses(self, odd: Dashboard) -> None:
        words = "%3Cimg%20src%3Dx%20onerror%3D%22window.pwned%3D1%22%3E"
        with odd.page(f"/?filter={words}&metrics={words}&colour={words}&zoom={words}", allowed=["400"]) as page:
            page.locator("main").get_by_role("alert").or_(page.locator("main")).first.wait_for()
            self.is_text(page)

    @pytest.mark.parametrize("name", ["page.html", "drawing.svg", demo_runs.HOSTILE_FILE])
    def test_files_never_run(self, odd: Dashboard, name: str) -> None:
        with odd.client() as client:
            found = client.get(f"/api/v1/runs/hostile/files/artifacts/{name}")
            assert found.status_code == 200
            assert found.headers["x-content-type-options"] == "nosniff"
            assert found.headers["content-disposition"].startswith("attachment")
            assert "sandbox" in found.headers["content-security-policy"]

    def test_broken_folders_are_rows(self, odd: Dashboard) -> None:
        with odd.page("/") as page:
            for name in ("broken-empty", "broken-torn", "broken-list"):
                expect(page.locator("main").get_by_text(name).first).to_be_visible()

    @pytest.mark.parametrize("name", ["empty", "torn", "list", "types", "folders", "loop"])
    def test_a_broken_folder_has_a_page(self, odd: Dashboard, name: str) -> None:
        with odd.page(f"/runs/broken-{name}") as page:
            expect(page.locator("main").get_by_text(f"broken-{name}").first).to_be_visible()
            for tab in ("Charts", "Logs", "System", "Files"):
                page.get_by_role("tab", name=tab).click()
                expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
            axe(page)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "whirr.init"),
        ("queue", "whirr submit"),
        ("workers", "whirr worker"),
        ("artifacts", "artifact"),
        ("compare", "runs"),
    ],
)
def test_an_empty_folder_says_how_to_begin(tmp_path: Path, name: str, words: str) -> None:
    with dashboard(tmp_path / ".whirr") as board, board.page(f"/{name}") as page:
        expect(page.locator("main").get_by_text(words).locator("visible=true").first).to_be_visible()
        axe(page)
        no_overflow(page)
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        no_overflow(page)


class TestPlenty:
    def test_the_table_scrolls_to_its_end(self, plenty: Dashboard) -> None:
        with plenty.page("/?sort=started", width=WIDE[0]) as page:
            expect(page.get_by_text("run 0", exact=True)).to_be_visible()
            body = page.locator("#table")
            body.evaluate("node => node.scrollTo(0, node.scrollHeight)")
            expect(page.get_by_text(f"run {PLENTY - 1}", exact=True)).to_be_visible()
            assert page.locator("main [role=row], main tr").count() < 300

    def test_filter_and_sort(self, plenty: Dashboard) -> None:
        with plenty.page("/?sort=-val/acc&filter=val/acc+%3E+0.79") as page:
            accuracies = {number: demo_runs.accuracy_of(number) for number in range(PLENTY)}
            chosen = sorted((number for number in accuracies if accuracies[number] > 0.79), key=accuracies.__getitem__)
            expect(page.locator("main").get_by_text(f"{len(chosen)} of {PLENTY:,} runs").first).to_be_visible()
            rows = page.locator("main [role=row]").filter(has=page.get_by_role("rowheader"))
            expect(rows.nth(0)).to_contain_text(f"run {chosen[-1]}")
            expect(rows.nth(1)).to_contain_text(f"run {chosen[-2]}")
            page.get_by_role("button", name="val/acc", exact=True).first.click()
            expect(rows.nth(0)).to_contain_text(f"run {chosen[0]}")
