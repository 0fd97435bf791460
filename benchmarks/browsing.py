"""A real browser as a ruler: when charts are drawn on a page, how fast frames follow each other, what comes over."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
]
WIDTH, HEIGHT = 1440, 1600
PATIENCE_S = 85.0

RULER = """(() => {
    // A chart is a canvas of which at least a twenty-fifth is ink, or an SVG with a long path; both larger than icons.
    const small = new OffscreenCanvas(64, 48).getContext("2d", {willReadFrequently: true});
    const inked = (canvas) => {
        if (canvas.clientWidth < 120 || canvas.clientHeight < 60 || !canvas.width || !canvas.height) return false;
        small.clearRect(0, 0, 64, 48);
        try { small.drawImage(canvas, 0, 0, 64, 48); } catch { return false; }
        const data = small.getImageData(0, 0, 64, 48).data;
        let ink = 0;
        for (let at = 0; at < data.length; at += 4) {
            let off = 0;
            for (let part = 0; part < 4; part++) off += Math.abs(data[at + part] - data[part]);
            if (off > 24) ink++;
        }
        return ink > 64 * 48 / 25;
    };
    const long = (svg) => svg.clientWidth >= 120 && svg.clientHeight >= 60 &&
        [...svg.querySelectorAll("path, polyline")].some((line) =>
            (line.getAttribute("d") || line.getAttribute("points") || "").length > 400);
    function* all(root) {
        for (const node of root.querySelectorAll("*")) {
            yield node;
            if (node.shadowRoot) yield* all(node.shadowRoot);
        }
    }
    const seen = new Set();
    window.ruler = {drawn: []};
    const look = () => {
        for (const node of all(document)) {
            if (seen.has(node)) continue;
            if (node.localName === "canvas" ? inked(node) : node.localName === "svg" && long(node)) {
                seen.add(node);
                window.ruler.drawn.push(performance.now() / 1000);
            }
        }
        setTimeout(look, 25);
    };
    look();
})()"""

FRAMES = """(seconds) => new Promise((done) => {
    const times = [];
    const end = performance.now() + seconds * 1000;
    const frame = (now) => {
        times.push(now);
        if (now < end) requestAnimationFrame(frame);
        else done(times);
    };
    requestAnimationFrame(frame);
})"""


class Opened(NamedTuple):
    """A page that was opened.

    Attributes:
        first_s: seconds from its opening until a chart was drawn; ``PATIENCE_S`` where none was.
        all_s: the same for as many charts as were waited for.
        own_bytes: bytes that were transferred for the page itself: what was asked for below none of ``data``.
    """

    first_s: float
    all_s: float
    own_bytes: int


class Ruler:
    """A browser, from ``ruler``."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    @contextmanager
    def page(self, cookies: Sequence[dict[str, Any]] = (), script: str = "") -> Iterator[Any]:
        """A page of a browser that has kept nothing."""
        context = self._browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        try:
            context.add_cookies(list(cookies))
            if script:
                context.add_init_script(script)
            yield context.new_page()
        finally:
            context.close()

    def opened(
        self,
        url: str,
        charts: int,
        cookies: Sequence[dict[str, Any]] = (),
        *,
        data: Sequence[str] = (),
        act: Any = None,
    ) -> Opened:
        """Open a page and wait for its charts.

        Args:
            charts: how many.
            data: beginnings of paths whose answers are data, not the page.
            act: what somebody does on the page so that it draws.
        """
        with self.page(cookies, RULER) as page:
            sizes = _sizes(page, data)
            page.goto(url, wait_until="commit")
            if act is not None:
                act(page)
            until = time.monotonic() + PATIENCE_S
            drawn: list[float] = []
            while len(drawn) < charts and time.monotonic() < until:
                page.wait_for_timeout(50)
                drawn = page.evaluate("window.ruler?.drawn ?? []")
            return Opened(
                drawn[0] if drawn else PATIENCE_S,
                drawn[charts - 1] if len(drawn) >= charts else PATIENCE_S,
                sum(sizes.values()),
            )

    def frames_per_s(self, page: Any, box: dict[str, float], seconds: float) -> float:
        """Frames a second, by the median of the gaps between them, while the pointer goes to and fro over a box."""
        page.evaluate(f"window.frames_seen = ({FRAMES})({seconds})")
        until, place = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            place += 7
            x = box["x"] + box["width"] * (0.1 + 0.8 * (place % 100) / 100)
            page.mouse.move(x, box["y"] + box["height"] * (0.3 + 0.4 * (place % 37) / 37))
        times = page.evaluate("window.frames_seen")
        return 1000 / float(median(after - before for before, after in pairwise(times)))


def _sizes(page: Any, data: Sequence[str]) -> dict[str, int]:
    """A dict that fills with the bytes that came over the wire for each request but those for data."""
    sizes: dict[str, int] = {}
    paths: dict[str, str] = {}
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.requestWillBeSent", lambda told: paths.update({told["requestId"]: told["request"]["url"]}))

    def finished(told: dict[str, Any]) -> None:
        path = "/" + paths.get(told["requestId"], "").partition("://")[2].partition("/")[2]
        if not path.startswith(tuple(data) or ("\0",)):
            sizes[told["requestId"]] = int(told["encodedDataLength"])

    session.on("Network.loadingFinished", finished)
    return sizes


@contextmanager
def ruler() -> Iterator[Ruler | None]:
    """A browser; None where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield Ruler(browser)
        finally:
            browser.close()


def memory_mb(pid: int) -> float:
    """The most resident memory that a process and its children have had, in MB of 2**20 bytes."""
    import psutil

    process = psutil.Process(pid)
    kilobytes = 0
    for each in [process, *process.children(recursive=True)]:
        with open(f"/proc/{each.pid}/status") as file:
            kilobytes += next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return kilobytes / 1024
