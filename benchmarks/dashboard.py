"""The dashboard in a real browser, beside two others that are given the same curves in the same run.

The browser starts with nothing kept, on a page 1440 x 1600 large. Of ours and theirs alike `browsing.RULER` sees when
charts are drawn. Everything is warm but what a row calls cold: the server has answered the same page before.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.browsing import Opened, Ruler, memory_mb, ruler
from benchmarks.dashboard_peers import PEERS, Curve, Peer
from benchmarks.measure import Effort, Row, absolute, ratio, scratch
from benchmarks.queues import until
from benchmarks.servers import Served, server

NAMES = ("train/loss", "train/acc", "val/loss", "val/acc", "train/grad_norm")
RUNS = 50
DATA = ("/ui/", "/api/")
TURNS = 3
HOVER_S = 3.0
MOST_MB = 200

CHANGED = """([query, place, words]) => new Promise((done) => {
    const part = document.querySelector(place);
    const begun = performance.now();
    history.pushState(null, "", query);
    dispatchEvent(new PopStateEvent("popstate"));
    const look = () => {
        if (part.textContent.includes(words)) done(performance.now() - begun);
        else if (performance.now() - begun > 20000) done(20000);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""
"""Milliseconds from a change of what is asked for until the answer stands on the page."""


class Size(NamedTuple):
    """How many runs of how many steps, and which metrics."""

    runs: int
    steps: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.runs} x {len(self.names)} x {self.steps:,}"


def rows(effort: Effort) -> Iterator[Row]:
    """Charts beside those of the peers, then what the others have no equal of."""
    wide = Size(RUNS if effort.repeats > 1 else 3, max(effort.records // 100, 20), NAMES)
    long = Size(1, effort.records, NAMES[:1])
    with ruler() as browser:
        if browser is None:
            print("there is no Chromium: not measured")
            return
        yield from _charts(browser, wide, effort)
        yield from _charts(browser, long, effort)
        yield from _table(browser, effort)


def demo_runs() -> Any:
    """The module of the tests that writes runs."""
    tests = str(Path(__file__).parents[1] / "tests")
    sys.path.append(tests)
    try:
        import demo_runs as found  # type: ignore[import-not-found]
    finally:
        sys.path.remove(tests)
    return found


def cookies(served: Served) -> list[dict[str, Any]]:
    """Those of somebody who has signed in."""
    import httpx

    with httpx.Client(headers={"Origin": served.url}, timeout=60) as client:
        client.post(f"{served.url}/login", data={"token": served.token})
        return [{"name": each.name, "value": each.value, "url": served.url} for each in client.cookies.jar]


def _charts(browser: Ruler, size: Size, effort: Effort) -> Iterator[Row]:
    """How long after its opening a page has drawn its charts, ours and theirs."""
    with scratch() as folder:
        demo_runs().grid(folder / ".whirr", runs=size.runs, steps=size.steps, metrics=size.names)
        first_goal, all_goal, cold_goal = (1.0, 2.0, None) if size.runs > 1 else (1.0, 1.0, 3.0)
        with server(folder) as served:
            signed_in = cookies(served)
            cold = browser.opened(served.url, len(size.names), signed_in, data=DATA)
            warm = _median([browser.opened(served.url, len(size.names), signed_in, data=DATA) for _ in range(TURNS)])
            fps, limit = _hovering(browser, served.url, signed_in) if size.runs > 1 else (0.0, 1.0)
            memory = memory_mb(served.pid)
        shutil.rmtree(folder / ".whirr")
        yield absolute(f"{size}: first chart", "s", warm.first_s, first_goal)
        if size.runs > 1:
            yield absolute(f"{size}: all {len(size.names)} charts", "s", warm.all_s, all_goal)
        yield Row(f"{size}: first chart, cold", "s", None, cold.first_s, cold.first_s, cold_goal, "{:.2f} s")
        if size.runs > 1:
            yield Row(
                "frames while hovering; limit: an empty page", "/s", limit, fps, fps / limit, 0.9, "{:.2f} x", True
            )
            yield absolute("the page without its data, as transferred", "kB", cold.own_bytes / 1000, 400)
        yield absolute(f"{size}: the server's memory at most", "MB", memory, MOST_MB)
        yield from _beside(browser, size, warm, memory, folder, effort)


def _median(found: list[Opened]) -> Opened:
    return Opened(median(each.first_s for each in found), median(each.all_s for each in found), found[-1].own_bytes)


def _hovering(browser: Ruler, url: str, signed_in: list[dict[str, Any]]) -> tuple[float, float]:
    """Frames a second while the pointer moves over the first chart, and over an empty page."""
    from benchmarks.browsing import RULER

    with browser.page() as page:
        page.goto("about:blank")
        limit = browser.frames_per_s(page, {"x": 100, "y": 100, "width": 600, "height": 300}, HOVER_S)
    with browser.page(signed_in, RULER) as page:
        page.goto(url)
        until(lambda: page.wait_for_timeout(50) or len(page.evaluate("window.ruler.drawn")) >= 3)
        box = page.locator("main canvas:visible").first.bounding_box()
        return browser.frames_per_s(page, box, HOVER_S), limit


def _beside(browser: Ruler, size: Size, ours: Opened, memory: float, folder: Path, effort: Effort) -> Iterator[Row]:
    """Each peer as the limit of ours."""
    curves: dict[str, dict[str, Curve]] = {}
    for peer in PEERS:
        if effort.repeats == 1 and not peer.is_there():
            print(f"{peer.name} is not installed: not compared")
            continue
        peer.install()
        curves = curves or _curves(size)
        theirs, their_memory = _theirs(browser, peer, size, curves, folder / peer.name)
        yield ratio(f"{size}: first chart; limit: {peer.name}", "s", theirs.first_s, ours.first_s, 1)
        if size.runs > 1:
            yield ratio(f"{size}: all charts; limit: {peer.name}", "s", theirs.all_s, ours.all_s, 1)
            yield ratio(f"the page; limit: {peer.name}", "kB", theirs.own_bytes / 1000, ours.own_bytes / 1000, None)
        yield ratio(f"{size}: memory; limit: {peer.name}", "MB", their_memory, memory, None)


def _theirs(
    browser: Ruler, peer: Peer, size: Size, curves: dict[str, dict[str, Curve]], folder: Path
) -> tuple[Opened, float]:
    folder.mkdir()
    peer.write(peer.home / "bin", folder, curves)
    with peer.serving(folder) as (url, pid):
        browser.opened(url, 1, act=peer.act)  # it is warm then
        found = browser.opened(url, len(size.names), act=peer.act, data=peer.data)
        return found, memory_mb(pid)


def _curves(size: Size) -> dict[str, dict[str, Curve]]:
    import numpy

    place = numpy.arange(size.steps) / size.steps
    found: dict[str, dict[str, Curve]] = {}
    for number in range(size.runs):
        random = numpy.random.default_rng(number)
        curve = 1 + 2 * numpy.exp(-5 * place)
        noise = {name: random.normal(0, 0.05, size.steps) for name in size.names}
        found[f"run-{number:02}"] = {name: (curve + noise[name]).tolist() for name in size.names}
    return found


def _table(browser: Ruler, effort: Effort) -> Iterator[Row]:
    """A table of very many runs: from the wish to the rows on the page."""
    with scratch() as folder, ExitStack() as stack:
        made = demo_runs()
        made.many(folder / ".whirr", effort.folders)
        served = stack.enter_context(server(folder))
        page = stack.enter_context(browser.page(cookies(served)))
        page.goto(f"{served.url}/?sort=started")
        until(lambda: page.evaluate("fetch('ui/runs?count=1').then(r => r.json()).then(found => !found.reading)"))
        page.get_by_text("run 0", exact=True).first.wait_for()
        took: dict[str, list[float]] = {"sort": [], "filter": []}
        last = f"run {effort.folders - 1}"
        for turn in range(max(effort.repeats // 2, 1)):
            words, order = (last, "-started") if turn % 2 == 0 else ("run 0", "started")
            took["sort"].append(page.evaluate(CHANGED, [f"?sort={order}", "#table", words]))
            asked = f"val/acc > {0.7 + turn / 1000:.3f} and name:run*"
            chosen = page.evaluate(
                "(asked) => fetch('ui/runs?count=1&filter=' + encodeURIComponent(asked)).then(r => r.json())"
                ".then(found => found.chosen)",
                asked,
            )
            query = page.evaluate("(asked) => '?filter=' + encodeURIComponent(asked)", asked)
            took["filter"].append(page.evaluate(CHANGED, [query, "#sub", f"{chosen:,} of"]))
        memory = memory_mb(served.pid)
    for what, times in took.items():
        yield absolute(f"{what} a table of {effort.folders:,} runs", "ms", median(times), 150)
    yield absolute(f"{effort.folders:,} runs: the server's memory at most", "MB", memory, MOST_MB)
