"""A real browser for tests of the dashboard: one Chromium a process, and pages that fail the test on any trouble.

with dashboard(root) as board, board.page("/queue", dark=True) as page:
    page.get_by_role("button", name="Cancel").click()
    axe(page)
"""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from helpers import wait_until
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, expect, sync_playwright
from servers import serving

from whirr.connect import open_hub
from whirr.local import LocalHub
from whirr.model import Role

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
)
WIDE, NARROW = (1440, 900), (390, 844)
PATIENCE_MS = 20_000.0
CLOSED_WITHIN_S = 30.0
SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
OVERFLOWING = """() => {
    const width = document.documentElement.clientWidth;
    const told = (node) => `${node.tagName.toLowerCase()}${node.id && "#" + node.id}.${node.className}`.slice(0, 80);
    const clipped = (node) => {
        for (let up = node.parentElement; up && up.localName !== "main" && up !== document.body; up = up.parentElement)
            if (getComputedStyle(up).overflowX !== "visible" || getComputedStyle(up).position === "fixed") return true;
        return false;
    };
    const wide = [document.documentElement, document.body, document.querySelector("main")]
        .filter((node) => node && node.scrollWidth > node.clientWidth + 1);
    if (!wide.length) return [];
    const found = [...document.querySelectorAll("body *")]
        .filter((node) => node.getBoundingClientRect().right > width + 1 && !clipped(node)).map(told);
    return [...wide.map((node) => `${told(node)}: ${node.scrollWidth} > ${node.clientWidth}`), ...found.slice(0, 8)];
}"""

expect.set_options(timeout=PATIENCE_MS)
_hidden: list[asyncio.AbstractEventLoop] = []
_browsers: list[Browser] = []


def chromium_path() -> str:
    """Where Chromium is. Without it the test is skipped; under CI, whose `scripts/test` installs it, it fails."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        absent = "no Chromium on this machine, and it could not be installed: apt-get install chromium-headless-shell"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    return found


@contextmanager
def _driving() -> Iterator[None]:
    """Playwright holds its event loop as this thread's running one; between pages that would be in others' way."""
    before = asyncio._get_running_loop()
    if before is None and _hidden:
        asyncio._set_running_loop(_hidden[0])
    try:
        yield
    finally:
        if before is None:
            now = asyncio._get_running_loop()
            _hidden[:] = [now] if now is not None else []
            asyncio._set_running_loop(None)


@cache
def _playwright() -> Playwright:
    playwright = sync_playwright().start()

    def end() -> None:
        with _driving():
            if _browsers:
                _browsers[-1].close()
            playwright.stop()
            _hidden.clear()

    atexit.register(end)
    return playwright


def _chromium() -> Browser:
    """The browser of this process, begun where there is none or it has been ended."""
    if not (_browsers and _browsers[-1].is_connected()):
        program = chromium_path()
        _browsers.append(_playwright().chromium.launch(executable_path=program, args=ARGUMENTS, handle_sigint=False))
    return _browsers[-1]


def _close(context: BrowserContext) -> None:
    """Close a context. Chromium has been seen to never answer to that on a busy machine: then it is ended."""

    def end() -> None:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if process.name().startswith("chrom"):
                    process.kill()

    overdue = threading.Timer(CLOSED_WITHIN_S, end)
    overdue.start()
    try:
        with suppress(Error):
            context.close()
    finally:
        overdue.cancel()
        overdue.join()


def session_cookies(url: str, token: str) -> list[dict[str, Any]]:
    """The cookies of somebody who has signed in with a token, as Playwright takes them.

    Args:
        url: where the dashboard lies, with its path prefix.
    """
    with httpx.Client(verify=False, headers={"Origin": url.removesuffix(urlsplit(url).path)}) as client:
        done = client.post(f"{url}/login", data={"token": token})
        assert done.status_code == 303, done.text
        return [
            {"name": cookie.name, "value": cookie.value, "domain": cookie.domain, "path": cookie.path, "httpOnly": True}
            for cookie in client.cookies.jar
        ]


@contextmanager
def browser_page(
    url: str,
    *,
    width: int = WIDE[0],
    height: int = WIDE[1],
    dark: bool = False,
    cookies: Sequence[dict[str, Any]] = (),
    allowed: Sequence[str] = (),
    ready: bool = True,
) -> Iterator[Page]:
    """A page in a browser that knows nothing of other pages.

    At the end it fails on what the page or another of its context wrote to the console as an error (a violation of the
    content security policy is one too) and on exceptions that nobody caught.

    Args:
        cookies: from ``session_cookies``.
        allowed: regular expressions of errors that the test means to cause.
        ready: come back when everything that the page names has been loaded, not as soon as it begins.
    """
    with _driving():
        context = _chromium().new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            accept_downloads=True,
        )
        troubles = _troubles_of(context)
        try:
            context.set_default_timeout(PATIENCE_MS)
            if cookies:
                context.add_cookies(list(cookies))  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(url, wait_until="load" if ready else "commit")
            yield page
            with suppress(Error):  # the page may be on its way elsewhere
                page.evaluate("0")  # what was said last has arrived too
        except BaseException as error:
            error.add_note("\n".join(["The pages said:", *troubles]))
            raise
        finally:
            _close(context)
        unexpected = [trouble for trouble in troubles if not any(re.search(each, trouble) for each in allowed)]
        assert not unexpected, "\n".join(unexpected)


def _troubles_of(context: BrowserContext) -> list[str]:
    """A list that fills with what goes wrong in any page of a context."""
    found: list[str] = []
    context.on(
        "console",
        lambda said: found.append(f"console: {said.text} ({said.location['url']})") if said.type == "error" else None,
    )
    context.on("weberror", lambda error: found.append(f"exception: {error.error}"))
    return found


class Dashboard:
    """A dashboard that runs.

    Attributes:
        url: where it lies, with its path prefix, without a slash at the end.
        root: the ``.whirr`` folder.
        hub: its own hub.
    """

    def __init__(self, url: str, hub: LocalHub) -> None:
        self.url, self.hub, self.root = url, hub, hub.root
        self._tokens: dict[Role, str] = {}
        self._cookies: dict[Role, list[dict[str, Any]]] = {}

    def token(self, role: Role = Role.ADMIN) -> str:
        """A token of a role."""
        if role not in self._tokens:
            self._tokens[role] = self.hub.tokens.create(f"browser-{role.value}", role)
        return self._tokens[role]

    def cookies(self, role: Role = Role.ADMIN) -> list[dict[str, Any]]:
        """Those of a session of this role."""
        if role not in self._cookies:
            self._cookies[role] = session_cookies(self.url, self.token(role))
        return self._cookies[role]

    def client(self, role: Role | None = Role.ADMIN) -> httpx.Client:
        """A client for what a page asks, with the session of a role; None: without any."""
        names = {each["name"]: each["value"] for each in self.cookies(role)} if role else {}
        return httpx.Client(base_url=self.url, cookies=names, headers={"X-Whirr": "page"}, timeout=60)

    @contextmanager
    def page(self, path: str = "/", *, role: Role | None = Role.ADMIN, **about: Any) -> Iterator[Page]:
        """A page of it with the session of a role; further arguments as ``browser_page`` takes them."""
        with browser_page(self.url + path, cookies=self.cookies(role) if role else (), **about) as page:
            yield page


@contextmanager
def dashboard(root: Path, *, prefix: str = "") -> Iterator[Dashboard]:
    """The dashboard over a ``.whirr`` folder, in a thread at a free port of the loopback."""
    chromium_path()
    hub = open_hub(root, serving=True)
    try:
        with serving(hub, prefix=prefix) as url:
            yield Dashboard(url + prefix, hub)
    finally:
        hub.close()


def until(page: Page, condition: str, timeout: float = PATIENCE_MS / 1000) -> Any:
    """Wait until an expression of JavaScript is true in a page, and give it; asked again and again.

    For what locators cannot say: those wait by themselves.
    """
    return wait_until(lambda: page.evaluate(condition), timeout)


@cache
def _axe_source() -> str:
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


def axe(page: Page, within: str | None = None, *, without: Sequence[str] = ()) -> None:
    """Fails where axe finds that a page shuts somebody out.

    Args:
        within: a CSS selector (default: the whole page).
        without: ids of rules that are not looked at.
    """
    page.evaluate(_axe_source())  # by the debugger's door, which the content security policy does not shut
    rules = {rule: {"enabled": False} for rule in without}
    found = page.evaluate(
        "([within, rules]) => axe.run(within || document, {rules, resultTypes: ['violations']})", [within, rules]
    )
    told = [
        f"{violation['id']} ({violation['impact']}): {violation['help']}\n    {node['html'][:200]}\n"
        f"    {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"][:5]
    ]
    assert not told, "\n".join(told)


def no_overflow(page: Page) -> None:
    """Fails where a page is wider than its window; tells the parts that stick out."""
    found = page.evaluate(OVERFLOWING)
    assert not found, "\n".join(found)


def screenshot(page: Page, name: str) -> Path:
    """Keep what a page looks like as ``build/screenshots/<name>.png``, for whoever wants to see it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    return path
