"""What the main pages look like, loosely: something is drawn, in the colours of its theme, and the page weighs little.

The pictures are left in `build/screenshots`, for whoever wants to look.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import demo_runs
import pytest
from browser import NARROW, WIDE, Dashboard, dashboard, no_overflow, screenshot, until
from helpers import wait_until
from playwright.sync_api import Page, expect

HEAVIEST = 400_000
LOOKS = """async (picture) => {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], {type: "image/png"}));
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const data = canvas.getImageData(0, 0, image.width, image.height).data;
    const counts = new Map();
    let light = 0, coloured = 0;
    for (let at = 0; at < data.length; at += 4) {
        const [red, green, blue] = data.subarray(at, at + 3);
        const shade = red >> 4 << 8 | green >> 4 << 4 | blue >> 4;
        counts.set(shade, (counts.get(shade) || 0) + 1);
        light += (red * 0.3 + green * 0.6 + blue * 0.1) / 255;
        if (Math.max(red, green, blue) - Math.min(red, green, blue) > 70) coloured++;
    }
    const pixels = data.length / 4;
    return {shades: counts.size, most: Math.max(...counts.values()) / pixels, light: light / pixels,
            coloured: coloured / pixels};
}"""
"""Of a picture: how many shades, the share of the most frequent one, the mean lightness, the share of strong colour."""


COLOURS = """() => {
    const style = getComputedStyle(document.documentElement);
    const parser = new OffscreenCanvas(1, 1).getContext("2d");
    const names = ["ctx", ...Array.from({length: 10}, (_, at) => `s${at + 1}`)];
    const wanted = names.map((name) => {
        parser.fillStyle = style.getPropertyValue(`--${name}`).trim();
        parser.fillRect(0, 0, 1, 1);
        return [name, ...parser.getImageData(0, 0, 1, 1).data];
    });
    const seen = [...document.querySelectorAll("main canvas")].filter((each) => each.clientWidth > 120 && each.width);
    return seen.map((each) => {
        const data = each.getContext("2d").getImageData(0, 0, each.width, each.height).data;
        const found = Object.fromEntries(names.map((name) => [name, 0]));
        for (let at = 0; at < data.length; at += 4)
            for (const [name, red, green, blue] of wanted)
                if (data[at + 3] > 200 && Math.abs(data[at] - red) + Math.abs(data[at + 1] - green)
                    + Math.abs(data[at + 2] - blue) < 12) found[name] += 4 / data.length;
        return found;
    });
}"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> demo_runs.Demo:
    return demo_runs.make(tmp_path_factory.mktemp("visual") / ".whirr", runs=60, steps=400, metrics=10)


@pytest.fixture(scope="module")
def board(demo: demo_runs.Demo) -> Iterator[Dashboard]:
    with dashboard(demo.root) as made:
        yield made


def looks_of(page: Page, picture: Path) -> dict[str, Any]:
    return page.evaluate(LOOKS, base64.b64encode(picture.read_bytes()).decode())  # type: ignore[no-any-return]


def drawn(page: Page) -> list[dict[str, float]]:
    """The share of each canvas that is seen in a colour of runs (s1 to s10), and in that of all others (ctx)."""
    return page.evaluate(COLOURS)  # type: ignore[no-any-return]


def has_curves(page: Page) -> bool:
    """Whether two charts at least show runs in colour."""
    return sum(sum(found.values()) - found["ctx"] > 0.001 for found in drawn(page)) >= 2


def path_of(demo: demo_runs.Demo, name: str) -> str:
    ended = [run for run in demo.runs if run.startswith("job-") and run not in demo.running]
    paths = {
        "runs": "/?filter=tag:sweep-7&sort=-val/acc&group=optimizer&smooth=0.6",
        "run": f"/runs/{demo.failed}",
        "compare": f"/compare?runs={ended[0]},{ended[1]},{ended[-1]}",
    }
    return paths.get(name, f"/{name}")


def text_of(name: str) -> str:
    texts = {"queue": "whisper-s", "workers": "node-03", "artifacts": "best.pt", "run": "CUDA error"}
    return texts.get(name, "adamw")


@pytest.mark.parametrize(("width", "height"), [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["runs", "run", "compare", "queue", "workers", "artifacts"])
def test_a_page_has_its_looks(
    board: Dashboard, demo: demo_runs.Demo, name: str, dark: bool, width: int, height: int
) -> None:
    with board.page(path_of(demo, name), dark=dark, width=width, height=height) as page:
        expect(page.locator("main").get_by_text(text_of(name)).locator("visible=true").first).to_be_visible()
        until(page, "document.fonts.status === 'loaded'")
        if name == "runs" and width == WIDE[0]:
            wait_until(lambda: has_curves(page), 30)
        told = f"{name}-{'dark' if dark else 'light'}-{width}"
        looks = looks_of(page, screenshot(page, told))
        assert looks["shades"] > 20, looks
        assert looks["most"] < 0.97, looks
        assert (looks["light"] < 0.35) if dark else (looks["light"] > 0.75), looks
        if name == "runs" and width == WIDE[0]:
            assert looks["coloured"] > 0.002, looks
        no_overflow(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_runs_that_matter_have_colour_and_the_others_are_grey(board: Dashboard, dark: bool) -> None:
    with board.page("/?sort=-val/acc", dark=dark) as page:
        wait_until(lambda: has_curves(page), 30)
        chart = max(drawn(page), key=lambda found: sum(found.values()))
        assert sum(share > 0 for name, share in chart.items() if name != "ctx") >= 4, chart
        assert chart["ctx"] > 0.001, chart


@pytest.mark.parametrize("name", ["runs", "run", "queue"])
def test_a_page_weighs_little(board: Dashboard, demo: demo_runs.Demo, name: str) -> None:
    """All that comes over the wire for it but data, to a browser that has kept nothing."""
    with board.page("/login", role=None) as page:
        page.context.add_cookies(board.cookies())  # type: ignore[arg-type]
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        asked: dict[str, str] = {}
        sizes: dict[str, int] = {}
        session.on("Network.requestWillBeSent", lambda told: asked.update({told["requestId"]: told["request"]["url"]}))
        session.on("Network.loadingFinished", lambda told: sizes.update({told["requestId"]: told["encodedDataLength"]}))
        page.goto(board.url + path_of(demo, name))
        expect(page.locator("main").get_by_text(text_of(name)).locator("visible=true").first).to_be_visible()
        until(page, "document.fonts.status === 'loaded'")
        own = {
            url: sizes[key] for key, url in asked.items() if key in sizes and "/ui/" not in url and "/api/" not in url
        }
        assert len(own) > 5
        assert sum(own.values()) < HEAVIEST, sorted(own.items(), key=lambda pair: -pair[1])
