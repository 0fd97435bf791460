"""Logs in a real browser: followed while they grow, in colour, searched, of any length, never anything but text."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import Dashboard, axe, dashboard, until
from playwright.sync_api import Page, expect
from run_folders import write_run

LINE = """async (text) => {
    const place = document.querySelector('script[src*="run/main.js"]').src.replace('main.js', 'ansi.js');
    const { Screen, PLAIN } = await import(place);
    const screen = new Screen();
    return text.split('\\n').map((line) => screen.line(line).map(({ text, style }) => {
        const changed = Object.entries(style).filter(([key, value]) => value !== PLAIN[key]);
        return [text, Object.fromEntries(changed)];
    }));
}"""


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    root = tmp_path_factory.mktemp("logs") / ".whirr"
    with dashboard(root) as made:
        yield made


@pytest.fixture
def log(board: Dashboard, request: pytest.FixtureRequest) -> Path:
    """The log of a run that waits in the queue, so that more may come."""
    name = "log-" + re.sub(r"\W+", "-", request.node.name)[:50]
    return write_run(board.root, name, status="queued", finished_at=None) / "output.log"


def opened(board: Dashboard, log: Path) -> str:
    return f"/runs/{log.parent.name}?tab=logs"


def add(log: Path, text: str | bytes) -> None:
    with log.open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())


def end(log: Path) -> None:
    """The run that writes it is over."""
    folder = log.parent
    write_run(folder.parents[1], folder.name, status="completed")


class TestFollowing:
    def test_what_is_printed_appears(self, board: Dashboard, log: Path) -> None:
        with board.page(opened(board, log)) as page:
            expect(page.locator(".lg-note")).to_have_text("No output yet.")
            add(log, "one\ntw")
            expect(page.locator(".lg-line")).to_have_text(["one", "tw"])
            add(log, "o\nthree\n")
            expect(page.locator(".lg-line")).to_have_text(["one", "two", "three"])
            expect(page.locator(".lg-follow")).to_have_text("following")

    def test_a_progress_bar_stays_one_line(self, board: Dashboard, log: Path) -> None:
        add(log, "start\n")
        with board.page(opened(board, log)) as page:
            for percent in (1, 50, 99):
                add(log, f"\r{percent:3}%|{'#' * (percent // 10):10}|")
                expect(page.locator(".lg-rest .lg-line")).to_have_text(re.compile(f"{percent}%"))
            assert page.locator(".lg-line").count() == 2
            add(log, "\ndone\n")
            expect(page.locator(".lg-line")).to_have_text(["start", re.compile("99%"), "done"])

    def test_who_reads_further_up_is_left_there(self, board: Dashboard, log: Path) -> None:
        add(log, "".join(f"line {number}\n" for number in range(500)))
        with board.page(opened(board, log)) as page:
            expect(page.get_by_text("line 499", exact=True)).to_be_in_viewport()
            page.locator(".lg-scroll").evaluate("node => { node.scrollTop = 1000; }")
            expect(page.locator(".lg-follow")).to_have_text("to the end ↓")
            add(log, "new\n")
            expect(page.locator(".lg-follow")).to_have_text("1 new line ↓")
            assert page.locator(".lg-scroll").evaluate("node => node.scrollTop") == 1000
            page.locator(".lg-follow").click()
            expect(page.get_by_text("new", exact=True)).to_be_in_viewport()

    def test_a_new_attempt(self, board: Dashboard, log: Path) -> None:
        add(log, "first attempt\n")
        with board.page(opened(board, log)) as page:
            expect(page.locator(".lg-line")).to_have_text(["first attempt"])
            kept = log.parent / "attempts" / "1"
            kept.mkdir(parents=True)
            log.rename(kept / "output.log")
            add(log, "second\n")
            expect(page.locator(".lg-line")).to_have_text(["second"])

    def test_of_a_run_that_is_over(self, board: Dashboard, log: Path) -> None:
        add(log, "all\nthere is")
        end(log)
        with board.page(opened(board, log)) as page:
            expect(page.locator(".lg-line")).to_have_text(["all", "there is"])
            expect(page.locator(".lg-follow")).to_be_hidden()
        log.unlink()
        with board.page(opened(board, log)) as page:
            expect(page.locator(".lg-note")).to_have_text("There is no output.")

    def test_a_server_that_ends_is_not_held_up(self, tmp_path: Path) -> None:
        log = write_run(tmp_path / ".whirr", "r", status="queued", finished_at=None) / "output.log"
        add(log, "x\n")
        with dashboard(tmp_path / ".whirr") as own, own.page("/runs/r?tab=logs", allowed=["."]) as page:
            expect(page.locator(".lg-line")).to_have_text(["x"])
            own.hub.ring()


# Lines as a program prints them, and the pieces that a terminal would show of them.
SHOWN: list[tuple[str, list[list[object]]]] = [
    ("plain", [["plain", {}]]),
    ("\x1b[31mred\x1b[39m no", [["red", {"fg": 1}], [" no", {}]]),
    ("\x1b[91;44mx", [["x", {"fg": 9, "bg": 4}]]),
    ("\x1b[38;5;208mx", [["x", {"fg": "#ff8700"}]]),
    ("\x1b[38;5;244;1mx", [["x", {"fg": "#808080", "bold": True}]]),
    ("\x1b[48;2;300;0;16mx", [["x", {"bg": "#ff0010"}]]),
    ("\x1b[1m\x1b[2mx\x1b[22my", [["x", {"bold": True, "dim": True}], ["y", {}]]),
    ("\x1b[7;4;3mx", [["x", {"italic": True, "underline": True, "inverse": True}]]),
    ("abc\rX", [["Xbc", {}]]),
    ("100%\r\x1b[K5%", [["5%", {}]]),
    ("abc\b\bX", [["aXc", {}]]),
    ("a\tb", [["a       b", {}]]),
    ("done\r", [["done", {}]]),
    ("\x1b]0;title\x07seen", [["seen", {}]]),
    ("\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\", [["link", {}]]),
    ("\x1b[2J\x1b[H\x1b(Btext\x00\x07", [["text", {}]]),
    ("ab\x1b[5Gx", [["ab  x", {}]]),
    ("a\x1b[", [["a", {}]]),
]


def pieces(found: list[list[object]]) -> list[list[object]]:
    """Neighbours of the same style as one."""
    merged: list[list[object]] = []
    for text, style in found:
        if merged and merged[-1][1] == style:
            merged[-1][0] = f"{merged[-1][0]}{text}"
        else:
            merged.append([text, style])
    return merged


def test_colours(board: Dashboard, log: Path) -> None:
    add(log, "\x1b[1;32mgreen\x1b[0m \x1b[38;2;1;2;3mtrue\x1b[m <b>no</b>\n")
    with board.page(opened(board, log)) as page:
        expect(page.locator(".lg-line")).to_have_text(["green true <b>no</b>"])
        expect(page.locator(".lg-line .lg-f2.lg-bold")).to_have_text("green")
        expect(page.locator(".lg-line span").nth(1)).to_have_css("color", "rgb(1, 2, 3)")
        assert page.locator(".lg-line b").count() == 0
        for text, shown in SHOWN:
            assert pieces(page.evaluate(LINE, text)[0]) == shown, text
        # A colour goes on in the next line.
        assert page.evaluate(LINE, "\x1b[32mone\ntwo\x1b[0m") == [[["one", {"fg": 2}]], [["two", {"fg": 2}]]]
        (long,) = page.evaluate(LINE, "x" * 50_000)
        assert sum(len(text) for text, _ in long) < 5000
        (overwritten,) = page.evaluate(LINE, "".join(f"\r{number}" for number in range(5000)))
        assert overwritten[0][0] == "4999"


class TestSearch:
    def test_one_match_after_the_other(self, board: Dashboard, log: Path) -> None:
        add(log, "".join(f"step {number} loss 0.{number % 7}\n" for number in range(3000)) + "\x1b[31mNeed\x1b[0mle\n")
        end(log)
        with board.page(opened(board, log)) as page:
            field, count = page.get_by_role("searchbox", name="Search the log"), page.locator(".lg-count")
            field.fill("STEP 29")
            expect(count).to_have_text(re.compile(r"^\d+ of 111$"))
            page.get_by_role("button", name="Next match").click()
            expect(page.locator(".lg-at")).to_be_in_viewport()
            field.fill("needle")
            expect(count).to_have_text("1 of 1")
            expect(page.locator(".lg-at")).to_have_text("Needle")
            assert until(page, "CSS.highlights.get('whirr-found')?.size") == 1
            field.fill("nowhere")
            expect(count).to_have_text("not found")

    def test_the_first_error(self, board: Dashboard, log: Path) -> None:
        middle = "Traceback (most recent call last):\n  File\nValueError: bad\n"
        add(log, "fine\n" * 4000 + middle + "more\n" * 4000)
        end(log)
        with board.page(opened(board, log)) as page:
            page.get_by_role("button", name="First error").click()
            expect(page.locator(".lg-at")).to_have_text("Traceback (most recent call last):")
            expect(page.locator(".lg-at")).to_be_in_viewport()
            page.get_by_role("button", name="Next match").click()
            expect(page.locator(".lg-at")).to_have_text("ValueError: bad")

    def test_what_comes_is_looked_through_too(self, board: Dashboard, log: Path) -> None:
        add(log, "hit\n")
        with board.page(opened(board, log)) as page:
            page.get_by_role("searchbox", name="Search the log").fill("hit")
            expect(page.locator(".lg-count")).to_have_text("1 of 1")
            add(log, "another hit\n")
            expect(page.locator(".lg-count")).to_have_text("1 of 2")


class TestSize:
    def lines(self, page: Page) -> int:
        return int(page.evaluate("document.querySelectorAll('.lg-line').length"))

    def scroll(self, page: Page, where: str, done: Callable[[], bool]) -> None:
        """Scroll to an edge again and again, as somebody does who wants to see what is there."""
        for _ in range(200):
            page.locator(".lg-scroll").evaluate(f"node => {{ node.scrollTop = {where}; }}")
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            if done():
                return
        raise AssertionError(f"never reached by scrolling to {where}")

    def test_a_very_long_log_costs_little(self, board: Dashboard, log: Path) -> None:
        """A quarter of a gigabyte, most of it a hole in the file."""
        with log.open("wb") as file:
            file.write(b"the first line\n")
            file.seek(1 << 28)
            file.write(b"\n" + b"".join(b"line %d of the end\n" % number for number in range(60_000)))
        with board.page(opened(board, log)) as page:
            expect(page.get_by_text("line 59999 of the end", exact=True)).to_be_in_viewport()
            assert self.lines(page) < 20_000
            self.scroll(page, "0", lambda: page.get_by_text("line 30000 of the end", exact=True).count() > 0)
            assert self.lines(page) < 25_000
            page.locator(".lg-follow").click()
            expect(page.get_by_text("line 59999 of the end", exact=True)).to_be_in_viewport()
            page.get_by_role("searchbox", name="Search the log").fill("line 12345 of")
            expect(page.locator(".lg-at")).to_have_text("line 12345 of the end")
            self.scroll(
                page, "node.scrollHeight", lambda: page.get_by_text("line 20000 of the end", exact=True).count() > 0
            )

    def test_bytes_that_are_no_text(self, board: Dashboard, log: Path) -> None:
        add(log, os.urandom(200_000) + b"\nlast\n")
        end(log)
        with board.page(opened(board, log)) as page:
            expect(page.get_by_text("last", exact=True)).to_be_visible()


def test_nobody_is_shut_out(board: Dashboard, log: Path) -> None:
    add(
        log, "".join(f"\x1b[{code}mcolour {code}\x1b[0m\n" for code in (30, 31, 32, 33, 34, 35, 36, 37, *range(90, 98)))
    )
    for dark in (False, True):
        with board.page(opened(board, log), dark=dark) as page:
            expect(page.locator(".lg-line")).to_have_count(16)
            axe(page)


class TestParts:
    """The route that the view asks."""

    def test_states(self, board: Dashboard, log: Path) -> None:
        where = f"/ui/run/{log.parent.name}/log"
        with board.client() as client:
            missing = client.get(where, params={"path": "output.log"})
            assert (missing.status_code, missing.headers["Whirr-Log"]) == (204, "missing")
            add(log, "0123456789")
            part = client.get(where, params={"path": "output.log", "start": 3, "count": 4})
            assert (part.content, part.headers["Whirr-Size"]) == (b"3456", "10")
            tag = part.headers["Whirr-Tag"]
            add(log, "more")
            assert (
                client.get(where, params={"path": "output.log", "count": 99, "tag": tag}).content == b"0123456789more"
            )
            log.rename(log.with_name("old"))
            add(log, "a new file that is longer than the other was")
            replaced = client.get(where, params={"path": "output.log", "count": 99, "tag": tag})
            assert (replaced.status_code, replaced.headers["Whirr-Log"]) == (204, "replaced")
            assert client.get("/ui/run/none/log", params={"path": "output.log"}).status_code == 404
            assert client.get(where, params={"path": "../other/output.log"}).headers["Whirr-Log"] == "missing"
        with board.client(None) as stranger:
            assert stranger.get(where, params={"path": "output.log"}).status_code == 401
