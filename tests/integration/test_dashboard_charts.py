"""The charts in a real browser: cursor, zoom, smoothing, groups, marks, export, live curves, very many metrics."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import demo_runs
import pytest
from browser import Dashboard, axe, dashboard, no_overflow, until
from curve_runs import line, write
from demo_runs import HOSTILE, Demo
from helpers import QUICK, program, start, wait_until
from playwright.sync_api import Locator, Page, Request, expect
from run_folders import write_run
from runs_page import names

SVG = "{http://www.w3.org/2000/svg}"
COLOURED, CHARTED, MEANT = 8, 60, 500
CROWD, SMALL = 520, 4
MINUS = "\N{MINUS SIGN}"

PIXELS = """(panel, colour) => {
    const canvas = panel.querySelector('canvas');
    const wanted = getComputedStyle(document.documentElement).getPropertyValue(colour).trim();
    const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
    pen.fillStyle = wanted;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b] = pen.getImageData(0, 0, 1, 1).data;
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    const off = (i) => Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200 && off(i) < 12) count += 1;
    return count;
}"""
DOT = """(panel) => {
    const canvas = panel.querySelector('.over');
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    const tone = (i) => Math.max(...data.slice(i, i + 3)) - Math.min(...data.slice(i, i + 3));
    for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 250 && tone(i) > 60)
            return Math.floor(i / 4 / width) * canvas.clientHeight / height + 2;
    return null;
}"""
CURSOR = """() => [...document.querySelectorAll('.chart[data-state=drawn] .over')].map((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value > 0);
})"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Sweep 7, and a run in which much went wrong."""
    made = demo_runs.make(tmp_path_factory.mktemp("charts") / ".whirr", runs=22, steps=120, metrics=14)
    write_run(made.root, "odd", name=HOSTILE, tags=["odd"], config={"lr": 1.0})
    records = [
        line(i, i, i, odd=float("nan") if i == 40 else 900.0 if i == 70 else 1 + (i % 7) / 100) for i in range(120)
    ]
    records += [line(120 + i, 100 + i, 130 + i, odd=1.0) for i in range(40)]
    write(made.root, "odd", {"metrics.jsonl": b"".join(records)})
    gaps = [line(i, i, i, gaps=1.0 + i if i % 2 else float("nan")) for i in range(40)]
    write_run(made.root, "gaps", name="gaps", tags=["gaps"])
    write(made.root, "gaps", {"metrics.jsonl": b"".join(gaps)})
    for i in range(COLOURED + 4):
        write_run(made.root, f"once-{i}", name=f"once {i}", tags=["once"], config={"part": "ab"[i % 2]})
        write(made.root, f"once-{i}", {"metrics.jsonl": line(0, 100, 0, once=30.0 + i)})
    for i in range(COLOURED):
        write_run(made.root, f"near-{i}", name=f"near {i}", tags=["near"])
        near = [line(s, s, s, near=0.80013 + i / 10_000) for s in range(3)]
        write(made.root, f"near-{i}", {"metrics.jsonl": b"".join(near)})
    write_run(made.root, "diverging", name="diverging", tags=["diverging"])
    losses = [0.1, 0.2, 1e-300, 1e300, 1e308]
    write(made.root, "diverging", {"metrics.jsonl": b"".join(line(i, i, i, loss=y) for i, y in enumerate(losses))})
    return made


@pytest.fixture(scope="module")
def board(demo: Demo) -> Iterator[Dashboard]:
    with dashboard(demo.root) as made:
        yield made


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """More runs than are drawn, in a large group and in a small one that stands behind it in the order of `acc`."""
    root = tmp_path_factory.mktemp("crowd") / ".whirr"
    for i in range(CROWD):
        small = i < SMALL
        config = {"opt": "sgd" if small else "adamw", "width": float(-i), "seed": i}
        write_run(root, f"run-{i:03}", name=f"run {i}", tags=["pair"] if i < 80 else [], config=config)
        acc = 0.5 if small else 1.0 + i / 100
        write(root, f"run-{i:03}", {"metrics.jsonl": b"".join(line(s, s, s, acc=acc) for s in range(3))})
    with dashboard(root) as made:
        yield made


def panel(page: Page, name: str) -> Locator:
    """The panel of a metric, once it has been drawn."""
    found = page.locator(f'.chart[data-panel="{name}"]')
    expect(found).to_have_attribute("data-state", "drawn")
    return found


def quiet(page: Page) -> None:
    """Wait until no panel waits for an answer."""
    until(page, "document.querySelectorAll('.chart[aria-busy]').length === 0")


def plot_of(page: Page, name: str) -> tuple[float, float, float, float]:
    box = panel(page, name).locator(".plot").bounding_box()
    assert box
    return box["x"], box["y"], box["width"], box["height"]


def hover(page: Page, name: str, across: float = 0.4, down: float = 0.5) -> None:
    """Point at a part of a panel's width and height."""
    x, y, width, height = plot_of(page, name)
    page.mouse.move(x + width * across, y + height * down)


def choose(page: Page, name: str, entry: str) -> None:
    """Take an entry of a panel's menu."""
    page.get_by_role("button", name=f"More of {name}").click()
    page.get_by_role("menu").get_by_text(entry, exact=True).click()


def saved(page: Page, name: str) -> ElementTree.Element:
    """The file that a panel is saved as."""
    quiet(page)
    until(page, "[...document.querySelectorAll('.mattered em')].every((note) => note.textContent)")
    with page.expect_download() as download:
        choose(page, name, "Save as SVG")
    tree = ElementTree.fromstring(Path(download.value.path()).read_bytes())
    assert {node.tag for node in tree.iter()} <= {SVG + tag for tag in ("svg", "rect", "g", "path", "text", "clipPath")}
    return tree


def saved_svg(page: Page, name: str) -> list[str]:
    """The texts of a panel, as they stand in the file that it is saved as."""
    return [node.text or "" for node in saved(page, name).iter(f"{SVG}text")]


def dots(page: Page, name: str) -> int:
    """How many circles a panel has, those at the ends of lines among them."""
    return sum(path.get("d", "").count("a") // 2 for path in saved(page, name).iter(f"{SVG}path"))


def state_of(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def bodies(page: Page) -> list[dict[str, Any]]:
    """A list that fills with what is asked of `/ui/curves`."""
    found: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.url.endswith("/ui/curves"):
            found.append(json.loads(request.post_data or "{}"))

    page.on("request", note)
    return found


# What is drawn


def test_a_panel_for_each_metric_the_sorted_one_first(board: Dashboard) -> None:
    with board.page("/?sort=-val/acc&filter=tag:sweep-7") as page:
        first = panel(page, "val/acc")
        expect(page.locator(".chart").first).to_have_attribute("data-panel", "val/acc")
        expect(first).to_have_attribute("data-size", "l")
        expect(first.locator(".hint")).to_have_text("higher is better")
        expect(first.locator("em")).to_contain_text("22 runs")
        expect(page.get_by_text("8 in colour, 14 as context")).to_be_visible()
        assert first.evaluate(PIXELS, "--s1") > 50
        assert first.evaluate(PIXELS, "--ctx") > 50
        expect(first.locator(".plot")).to_have_attribute("aria-label", re.compile("Chart of val/acc, 22 runs"))
        no_overflow(page)


def test_runs_without_curves_take_no_colours(tmp_path: Path) -> None:
    root = tmp_path / ".whirr"
    for i in range(COLOURED + 4):
        write_run(root, f"empty-{i}", started_at=f"2026-02-01T00:00:{i:02}.000000Z")
        write_run(root, f"drawn-{i}", started_at=f"2026-01-01T00:00:{i:02}.000000Z")
        write(root, f"drawn-{i}", {"metrics.jsonl": line(0, 0, 0, loss=1.0 + i) + line(1, 1, 1, loss=0.5 + i)})
    with dashboard(root) as made, made.page() as page:
        drawn = [f"drawn-{i}" for i in range(4, 12)]
        assert set(drawn) <= set(saved_svg(page, "loss")), "the newest of those that have a curve"
        assert page.locator(".rows .line:not(.ctx)").count() == COLOURED


def test_labels_tell_apart_what_the_axis_tells_apart(board: Dashboard) -> None:
    with board.page("/?filter=tag:near") as page:
        assert {f"0.{80013 + 10 * i}" for i in range(COLOURED)} <= set(saved_svg(page, "near"))


def test_labels_at_the_ends_name_the_coloured_runs_with_their_values(board: Dashboard) -> None:
    with board.page("/?sort=-val/acc&filter=tag:sweep-7") as page:
        panel(page, "val/acc")
        texts = saved_svg(page, "val/acc")
        assert len(set(texts) & set(names(page)[:COLOURED])) >= COLOURED / 2, "long ones are cut in the middle"
        assert len([text for text in texts if re.fullmatch(r"0\.7\d\d|0\.8\d\d", text)]) >= COLOURED


def test_colours_follow_the_theme(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7") as page:
        drawn = panel(page, "val/loss")
        light = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--s4').trim()")
        page.get_by_role("button", name="Light or dark").click()
        until(page, "document.documentElement.dataset.theme === 'dark'")
        assert light != page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--s4').trim()")
        wait_until(lambda: drawn.evaluate(PIXELS, "--s4") > 20)


# The cursor


def test_one_cursor_stands_in_all_panels_and_tells_the_five_nearest(board: Dashboard) -> None:
    with board.page("/?sort=-val/acc&filter=tag:sweep-7&smooth=0.5") as page:
        panel(page, "val/loss")
        hover(page, "val/acc")
        tip = page.locator(".chart-tip")
        expect(tip).to_be_visible()
        expect(tip.locator(".row")).to_have_count(5)
        expect(tip).to_contain_text(re.compile(r"5 nearest of 2\d"))
        expect(tip).to_contain_text(re.compile(r"step [\d,]+"))
        expect(tip).to_contain_text(re.compile(r"differs in .*lr"))
        values = [float(text) for text in tip.locator(".row span:nth-child(3)").all_inner_texts()]
        assert values == sorted(values, reverse=True), "from top to bottom, as the curves lie"
        assert sum(page.evaluate(CURSOR)) >= 2
        before = tip.inner_text()
        hover(page, "val/acc", 0.55)
        expect(tip).not_to_have_text(before)
        page.mouse.move(5, 5)
        expect(tip).to_be_hidden()
        until(page, f"!({CURSOR})().some(Boolean)")


def test_the_keyboard_moves_the_cursor_and_the_values_are_said(board: Dashboard) -> None:
    with board.page("/?sort=-val/acc&filter=tag:sweep-7") as page:
        plot = panel(page, "val/acc").locator(".plot")
        plot.focus()
        said = page.locator(".charts [aria-live]")
        page.keyboard.press("End")
        expect(said).to_have_text(re.compile(r"step [\d,]+, .+ 0\.\d+"))
        at_end = said.inner_text()
        page.keyboard.press("Shift+ArrowLeft")
        expect(said).not_to_have_text(at_end)
        page.keyboard.press("+")
        until(page, "location.search.includes('zoom=')")
        page.keyboard.press("Escape")
        until(page, "!location.search.includes('zoom=')")


def test_a_click_on_a_curve_puts_its_run_in_focus(board: Dashboard) -> None:
    with board.page("/?sort=-val/acc&filter=tag:sweep-7") as page:
        x, y, width, _ = plot_of(page, "val/acc")
        hover(page, "val/acc", 0.4)
        expect(page.locator(".chart-tip")).to_be_visible()
        dot = panel(page, "val/acc").evaluate(DOT)
        assert dot is not None
        page.mouse.click(x + width * 0.4, y + dot)
        until(page, "location.search.includes('focus=')")
        expect(page.get_by_role("region", name="Run in focus")).to_be_visible()


# Zoom, axes, smoothing


def test_a_drag_zooms_all_panels_and_asks_for_finer_data(board: Dashboard) -> None:
    with board.page("/?sort=-val/acc&filter=tag:sweep-7") as page:
        panel(page, "val/loss")
        asked = bodies(page)
        x, y, width, height = plot_of(page, "val/acc")
        page.mouse.move(x + width * 0.2, y + height / 2)
        page.mouse.down()
        page.mouse.move(x + width * 0.4, y + height / 2, steps=4)
        expect(panel(page, "val/acc").locator(".band")).to_be_visible()
        page.mouse.up()
        until(page, "location.search.includes('zoom=')")
        start_at, end_at = map(float, state_of(page)["zoom"].split(".."))
        assert 0 < start_at < end_at < 61240
        expect(page.get_by_role("button", name="Leave the zoom")).to_be_visible()
        quiet(page)
        zoomed = {body["metric"]: (body["from"], body["to"]) for body in asked if body["from"] is not None}
        assert {"val/acc", "val/loss"} <= set(zoomed)
        assert set(zoomed.values()) == {(start_at, end_at)}
        with board.page(urlsplit(page.url).path + "?" + urlsplit(page.url).query) as other:
            expect(other.get_by_role("button", name="Leave the zoom")).to_be_visible()
        page.mouse.dblclick(x + width * 0.3, y + 4)
        until(page, "!location.search.includes('zoom=')")


def test_the_x_axis_can_be_time_or_a_logged_metric(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7") as page:
        panel(page, "val/loss")
        axes = page.get_by_role("group", name="x axis")
        asked = bodies(page)
        axes.get_by_role("button", name="Epoch").click()
        until(page, "location.search.includes('x=metric:epoch')")
        panel(page, "val/loss")
        assert any(body["x"] == "metric:epoch" for body in asked)
        axes.get_by_role("button", name="Relative").click()
        quiet(page)
        hover(page, "val/loss")
        expect(page.locator(".chart-tip h6")).to_contain_text("after")
        expect(axes.get_by_role("button", name="Relative")).to_have_attribute("aria-pressed", "true")


def test_smoothing_is_drawn_at_once_and_stands_in_the_address(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7") as page:
        drawn = panel(page, "val/loss")
        raw = page.get_by_role("switch", name="Raw")
        expect(raw).to_be_disabled()
        before = drawn.evaluate(PIXELS, "--s1")
        asked = bodies(page)
        slider = page.get_by_role("slider", name="Smoothing")
        slider.fill("0.9")
        until(page, "location.search.includes('smooth=0.9')")
        page.wait_for_function(
            f"([panel, count]) => ({PIXELS})(panel, '--s1') !== count", arg=[drawn.element_handle(), before]
        )
        expect(raw).to_be_enabled()
        assert all(body["metric"] != "val/loss" for body in asked), "it needs nothing from the server"
        page.get_by_role("switch", name="Log y").click()
        page.get_by_role("switch", name="Clip").click()
        assert {"logy": "1", "clip": "0", "smooth": "0.9"}.items() <= state_of(page).items()


def test_groups_as_mean_with_band(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7&group=optimizer&colour=group") as page:
        drawn = panel(page, "val/loss")
        page.get_by_role("switch", name="Group mean").click()
        expect(drawn.locator(".hint")).to_have_text("mean ± s.d.")
        expect(page.get_by_text("3 groups", exact=True)).to_be_visible()
        texts = saved_svg(page, "val/loss")
        assert {"adamw", "lion", "sgd"} <= set(texts)
        hover(page, "val/loss")
        expect(page.locator(".chart-tip .row")).to_have_count(3)
        expect(page.locator(".chart-tip .row").first).to_contain_text("±")


def test_means_are_of_all_runs_of_each_group_whatever_the_order(crowd: Dashboard) -> None:
    for order in ("-acc", "acc"):
        with crowd.page(f"/?filter=tag:pair&group=opt&mean=1&sort={order}") as page:
            expect(page.get_by_text("2 groups", exact=True)).to_be_visible()
            expect(page.locator(".mattered em")).to_contain_text("over 80 runs")
            texts = saved_svg(page, "acc")
            assert {"adamw", "sgd"} <= set(texts)
            assert "1.415" in texts, "the mean of 76 runs"
            expect(panel(page, "acc").locator("em")).to_contain_text("80 runs")


def test_of_too_many_runs_the_page_says_how_many_the_means_are_of(crowd: Dashboard) -> None:
    with crowd.page("/?group=opt&sort=-acc") as page:
        context = f"{COLOURED} in colour, {CHARTED - COLOURED} as context, of {CROWD} runs"
        expect(page.get_by_text(context, exact=True)).to_be_visible()
        panel(page, "acc")
        page.get_by_role("switch", name="Group mean").click()
        expect(page.get_by_text(f"2 groups, of {MEANT} of {CROWD} runs", exact=True)).to_be_visible()
        hover(page, "acc")
        rows = page.locator(".chart-tip .row")
        expect(rows).to_have_text([re.compile(rf"adamw \({MEANT - SMALL}\)"), re.compile(rf"sgd \({SMALL}\)")])
        page.get_by_role("switch", name="Group mean").click()
        expect(page.get_by_text(context, exact=True)).to_be_visible()


def test_without_groups_there_is_no_mean_of_one(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7&mean=1") as page:
        drawn = panel(page, "val/loss")
        expect(page.get_by_role("switch", name="Group mean")).to_be_hidden()
        expect(drawn.locator(".hint")).to_have_text("lower is better")


def test_a_value_alone_between_gaps_is_a_dot(board: Dashboard) -> None:
    with board.page("/?filter=tag:gaps") as page:
        assert dots(page, "gaps") == 20 + 2, "and the end of the line, filled and with an edge"


def test_runs_of_one_point_are_dots_those_without_colour_too(board: Dashboard) -> None:
    with board.page("/?filter=tag:once") as page:
        assert dots(page, "once") == COLOURED + 4 + 2 * COLOURED, "and the ends of lines"
        assert panel(page, "once").evaluate(PIXELS, "--ctx") >= 4


def test_the_mean_of_runs_of_one_point_is_drawn(board: Dashboard) -> None:
    with board.page("/?filter=tag:once&group=part&mean=1") as page:
        texts = saved_svg(page, "once")
        assert {"a", "b", "35", "36"} <= set(texts)
        assert not {"0", "1", "0.5"} & set(texts)


def test_a_run_that_diverges_is_drawn_on_a_log_axis(board: Dashboard) -> None:
    with board.page("/?filter=tag:diverging&logy=1") as page:
        panel(page, "loss")
        axis = [text for text in saved_svg(page, "loss") if text.startswith("1e")]
        assert len(axis) >= 3


# Marks


def test_what_is_not_finite_restarts_and_outliers_are_marked_and_told(board: Dashboard) -> None:
    with board.page("/runs/odd#charts") as page:
        page.get_by_role("tab", name="Charts").click()
        note = panel(page, "odd").locator("em")
        expect(note).to_contain_text("1 outlier clipped ↑")
        expect(note).to_contain_text("1 not finite")
        told = set()
        tip = page.locator(".chart-tip")
        x, y, width, height = plot_of(page, "odd")
        for pixel in range(40, int(width) - 60, 4):
            page.mouse.move(x + pixel, y + height / 2)
            page.evaluate("new Promise(requestAnimationFrame)")
            told |= set(tip.locator("small").all_inner_texts())
        assert {re.sub(r"^.*: ", "", text) for text in told} == {"NaN", "restarted", "goes beyond the drawn range"}
        assert all(text.startswith(HOSTILE) for text in told), "a name is a text"
        assert page.evaluate("window.pwned") is None


def test_events_of_the_job_stand_on_axes_of_time(board: Dashboard, demo: Demo) -> None:
    run = next(run for run, trial in demo.trials.items() if run.startswith("job-") and trial.end == "completed")
    for axis in ("time", "relative"):
        with board.page(f"/?sort=-val/acc&filter=tag:sweep-7&focus={run}&x={axis}") as page:
            panel(page, "val/acc")
            wait_until(lambda page=page: {"queued", "ended"} & {text.split()[0] for text in saved_svg(page, "val/acc")})


# A panel by itself


def test_a_panel_is_saved_as_it_is_seen_and_as_numbers(board: Dashboard, demo: Demo) -> None:
    with board.page("/?filter=tag:sweep-7") as page:
        panel(page, "val/loss")
        with page.expect_download() as download:
            choose(page, "val/loss", "Save as PNG")
        assert download.value.suggested_filename == "val-loss.png"
        assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        with page.expect_download() as download:
            choose(page, "val/loss", "Save all values as CSV")
        lines = Path(download.value.path()).read_text().splitlines()
        assert lines[0] == "run,step,val/loss"
        assert {text.split(",")[0] for text in lines[1:]} >= set(demo.running)
        texts = saved_svg(page, "val/loss")
        assert texts[0] == "val/loss"


def test_a_saved_picture_holds_hostile_names_as_text(board: Dashboard) -> None:
    with board.page("/?filter=tag:odd+or+tag:sweep-7&sel=odd&metrics=odd&panels=odd:w") as page:
        panel(page, "odd")
        texts = saved_svg(page, "odd")  # would not be XML otherwise
        assert texts[0] == "odd"
        assert page.evaluate("window.pwned") is None


def test_size_and_pin_of_a_panel_stand_in_the_address(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7") as page:
        panel(page, "val/loss")
        choose(page, "train/loss", "Pin as first")
        expect(page.locator(".chart").first).to_have_attribute("data-panel", "train/loss")
        choose(page, "train/loss", "Whole width")
        expect(panel(page, "train/loss")).to_have_attribute("data-size", "w")
        link = page.url
        assert "train/loss:wp" in link
        page.goto(link)
        expect(panel(page, "train/loss")).to_have_attribute("data-size", "w")
        expect(page.locator(".chart").first).to_have_attribute("data-panel", "train/loss")


def test_a_panel_fills_the_screen(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7") as page:
        panel(page, "val/loss")
        choose(page, "val/loss", "Full screen")
        until(page, "document.fullscreenElement?.dataset.panel === 'val/loss'")
        until(page, "document.querySelector('.chart:fullscreen canvas').clientWidth > 1000")
        hover(page, "val/loss")
        expect(page.locator(".chart-tip")).to_be_visible()


def test_a_chart_can_be_read_as_a_table(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7") as page:
        panel(page, "val/loss")
        choose(page, "val/loss", "Show as table")
        table = page.get_by_role("dialog", name="val/loss").get_by_role("table")
        expect(table.get_by_role("row")).to_have_count(23)
        expect(table.get_by_role("columnheader").nth(1)).to_have_text("step 0")
        axe(page, "dialog")


@pytest.mark.parametrize("dark", [False, True])
def test_charts_shut_nobody_out(board: Dashboard, dark: bool) -> None:
    with board.page("/?filter=tag:sweep-7&group=optimizer&smooth=0.5", dark=dark) as page:
        panel(page, "val/loss")
        expect(page.locator(".parallel .run").first).to_be_attached()
        axe(page, ".charts")
        page.get_by_role("button", name="More of val/loss").click()
        expect(page.get_by_role("menuitemradio", name="Small")).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("menuitemradio", name="Middle")).to_be_focused()
        axe(page, ".charts")
        page.keyboard.press("Escape")
        expect(page.get_by_role("menu")).to_have_count(0)


# What mattered


def test_a_brush_on_an_axis_filters_the_runs(board: Dashboard) -> None:
    with board.page("/?sort=-val/acc&filter=tag:sweep-7") as page:
        expect(page.locator(".parallel .run")).to_have_count(22)
        expect(page.locator(".mattered em")).to_have_text(re.compile(rf"r\(.+\) {MINUS}?\d\.\d\d"))
        grip = page.get_by_role("slider", name="Filter by val/acc")
        box = grip.bounding_box()
        assert box
        middle = box["x"] + box["width"] / 2
        page.mouse.move(middle, box["y"] + 4)
        page.mouse.down()
        page.mouse.move(middle, box["y"] + box["height"] / 2, steps=3)
        page.mouse.up()
        until(page, "new URLSearchParams(location.search).get('filter').includes('and val/acc >= 0.')")
        until(page, "document.querySelectorAll('.parallel .run').length < 22")
        page.go_back()
        expect(page.locator(".parallel .run")).to_have_count(22)


@pytest.mark.parametrize("order", ["", "acc", "-acc", "-width"])
def test_what_mattered_is_told_of_all_runs_whichever_are_drawn(crowd: Dashboard, order: str) -> None:
    with crowd.page(f"/?sort={order}") as page:
        said = f"r(width) {MINUS}1.00 · r(opt) 0.15 · over {CROWD} runs, {CHARTED} drawn"
        expect(page.locator(".mattered em")).to_have_text(said)
        expect(page.locator(".parallel .run")).to_have_count(CHARTED)


def test_an_axis_is_brushed_with_the_keyboard_too(board: Dashboard) -> None:
    with board.page("/?sort=-val/acc&filter=tag:sweep-7") as page:
        expect(page.locator(".parallel .run")).to_have_count(22)
        grip = page.get_by_role("slider", name="Filter by lr")
        grip.focus()
        for _ in range(8):
            page.keyboard.press("ArrowUp")
        expect(grip).to_have_attribute("aria-valuenow", "40")
        page.keyboard.press("Enter")
        until(page, "new URLSearchParams(location.search).get('filter').includes('and lr >= ')")


# The machine


def test_strips_show_the_machine_of_a_run(board: Dashboard, demo: Demo) -> None:
    run = next(run for run, trial in demo.trials.items() if trial.end == "completed")  # on 4 of the GPUs of its machine
    with board.page(f"/?focus={run}") as page:
        strips = page.locator(".strips .strip")
        expect(strips).to_have_count(4)
        expect(strips.first).to_contain_text(re.compile(r"GPU utilisation\s*(8\d|9\d|100) %"))
        expect(strips.nth(1)).to_contain_text(re.compile(r"GPU memory\s*[\d.]+ GiB of 80 GiB"))
        until(page, f"({PIXELS})(document.querySelector('.strip.heat'), '--run') >= 0")
        axe(page, ".strips")


def test_gpus_share_a_panel(board: Dashboard, demo: Demo) -> None:
    with board.page(f"/runs/{demo.running[0]}") as page:
        page.get_by_role("tab", name="System").click()
        page.locator('.chart[data-panel="gpu_utilization"]').scroll_into_view_if_needed()
        panel(page, "gpu_utilization")
        hover(page, "gpu_utilization")
        expect(page.locator(".chart-tip")).to_contain_text("GPU 0")


# Many, and live


def test_five_hundred_metrics_ask_only_for_what_is_seen(tmp_path: Path) -> None:
    root = tmp_path / ".whirr"
    for number in range(2):
        write_run(root, f"wide-{number}", name=f"wide {number}")
        values = {f"layer{i // 10}/norm{i % 10}": float(i + number) for i in range(500)}
        write(root, f"wide-{number}", {"metrics.jsonl": b"".join(line(i, i, i, **values) for i in range(5))})
    with dashboard(root) as board, board.page() as page:
        asked = bodies(page)
        until(page, "document.querySelectorAll('.chart[data-state=drawn]').length >= 2")
        expect(page.get_by_placeholder("Filter 500 metrics")).to_be_visible()
        expect(page.locator(".chart-fold")).to_have_count(50)
        assert page.locator(".chart").count() < 20
        assert len(asked) < 20
        page.get_by_label("Filter metrics").fill("layer33 norm7")
        panel(page, "layer33/norm7")
        expect(page.locator(".chart")).to_have_count(1)
        page.get_by_label("Filter metrics").fill("nothing like it")
        expect(page.get_by_text("No metric fits “nothing like it”.")).to_be_visible()
        page.get_by_label("Filter metrics").fill("")
        page.locator(".chart-fold summary").nth(7).click()
        expect(page.locator(".chart-fold[open] .chart")).to_have_count(10)


LIVE = f"""
    import pathlib, time
    import whirr

    with whirr.init(name="a live run", {QUICK}) as run:
        for step in range(2_000_000):
            if pathlib.Path("stop").exists():
                break
            run.log({{"loss": 1 / (1 + step)}}, step=step)
            if step == 50:
                run.log({{"late": 1.0}}, step=step)
            time.sleep(0.02)
"""


def test_curves_grow_while_a_run_logs_and_never_vanish(tmp_path: Path) -> None:
    place = tmp_path / "place"
    root = place / ".whirr"
    script = program(place / "train.py", LIVE)
    process = start([sys.executable, script], place, WHIRR_DIR=str(root))
    try:
        with dashboard(root) as board, board.page() as page:
            drawn = panel(page, "loss")
            page.evaluate("""() => {
                window.seen = new Set();
                const panel = document.querySelector('.chart[data-panel=loss]');
                new MutationObserver(() => seen.add(panel.dataset.state)).observe(panel, { attributes: true });
            }""")
            label = drawn.locator(".plot")
            for _ in range(2):
                before = label.get_attribute("aria-label") or ""
                expect(label).not_to_have_attribute("aria-label", before)
            panel(page, "late")
            assert set(page.evaluate("[...seen]")) <= {"drawn"}
    finally:
        (place / "stop").touch()
        process.communicate(timeout=30)


def test_what_cannot_be_loaded_says_so_and_can_be_tried_again(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7") as page:
        panel(page, "val/loss")
        page.evaluate("""() => {
            window.real = fetch;
            const down = () => Promise.reject(new TypeError('down'));
            window.fetch = (url, ...more) => url.endsWith('/ui/curves') ? down() : real(url, ...more);
        }""")
        page.get_by_role("group", name="x axis").get_by_role("button", name="Time", exact=True).click()
        first = page.locator('.chart[data-panel="val/loss"]')
        expect(first).to_have_attribute("data-state", "failed")
        expect(first).to_contain_text("could not be loaded")
        page.evaluate("void (window.fetch = real)")
        first.get_by_role("button", name="Try again").click()
        panel(page, "val/loss")
        expect(first.get_by_role("button", name="Try again")).to_be_hidden()
