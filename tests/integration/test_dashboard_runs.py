"""The table of the Runs page in a real browser: filter, order, groups, columns, pins, very many runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import demo_runs
import pytest
from browser import Dashboard, axe, dashboard
from demo_runs import Demo
from helpers import wait_until
from playwright.sync_api import Route, expect
from run_folders import write_run
from runs_page import BAD_FILTER, MINUS, ORDERED, SCROLL, cells, count, names, numbers, pick, rows, write_filter

EVERY = 37  # 30 of the sweeps, 7 jobs of others
LAYOUT = """async () => {
    const module = document.querySelector('script[src*="runs/main.js"]').src.replace('main.js', 'layout.js');
    const { Layout } = await import(module);
    const wrong = [];
    for (const sizes of [[], [0, 3, 1], [5], [1, 1, 1, 40], [1000, 1, 2000]]) {
        const groups = [];
        let start = 0;
        for (const [place, count] of sizes.entries()) {
            groups.push({ label: `g${place}`, start, count });
            start += count;
        }
        for (const folded of [[], ['g0'], ['g1', 'g2']]) {
            const layout = new Layout(sizes.length ? start : 7, groups, new Set(folded));
            let below = 0;
            for (let number = 0; number < layout.lines; number++) {
                const line = layout.at(number);
                const found = [layout.lineAt(line.top), layout.lineAt(line.top + line.height - 1)];
                const back = line.kind === 'row' ? layout.lineOf(line.index) : number;
                if (line.top !== below || found.some((one) => one !== number) || back !== number)
                    wrong.push([sizes, folded, number, line.top, below, found, back]);
                below = line.top + line.height;
            }
            if (below !== layout.height || layout.at(layout.lines) !== null) wrong.push([sizes, folded, 'height']);
        }
    }
    return wrong;
}"""
FIGURES = """async () => {
    const module = document.querySelector('script[src*="runs/main.js"]').src.replace('main.js', 'figures.js');
    const { decimals, written } = await import(module);
    const column = (values) => {
        const digits = decimals(Math.min(...values), Math.max(...values));
        return values.map((value) => written(value, digits));
    };
    const some = [[0.8023, 1.0066], [1e-4, 0.0018], [64, 512], [-12.5, 3], [0, 0.25], [123456.25, 2], [1e-7, 0.5],
        [1.1e-4, 0.00125, 0.003, 0.1], [-9.9e-323, 0.1], [0.26, 1000.5]];
    return some.map(column);
}"""
TOKENS = """async (text) => {
    const module = document.querySelector('script[src*="runs/main.js"]').src.replace('main.js', 'tokens.js');
    const found = (await import(module)).tokens(text);
    const kinds = found.filter((one) => one.kind !== 'space').map((one) => one.kind[0]);
    return [found.map((one) => one.text).join(''), kinds.join('')];
}"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Sweep 7: 22 runs, of which three run, and eight of an older sweep."""
    return demo_runs.make(tmp_path_factory.mktemp("lab") / ".whirr", runs=30, steps=60, metrics=6)


@pytest.fixture(scope="module")
def board(demo: Demo) -> Iterator[Dashboard]:
    with dashboard(demo.root) as made:
        yield made


# Filter


def test_filter_narrows_the_table_and_stands_in_the_address(board: Dashboard) -> None:
    with board.page() as page:
        expect(count(page)).to_have_text(f"{EVERY} runs")
        write_filter(page, "tag:sweep-7 and optimizer = lion")
        expect(count(page)).to_have_text(f"8 of {EVERY} runs")
        assert all("lion" in name for name in names(page))
        link = page.url
        assert "filter=tag:sweep-7" in link
        page.get_by_role("button", name="Clear the filter").click()
        expect(count(page)).to_have_text(f"{EVERY} runs")
        page.goto(link)
        expect(count(page)).to_have_text(f"8 of {EVERY} runs")
        expect(page.locator(".t-key").first).to_have_text("tag")
        expect(page.get_by_role("combobox", name="Filter runs")).to_have_value("tag:sweep-7 and optimizer = lion")


def test_a_wrong_filter_is_told_at_its_place_and_rows_stay(board: Dashboard) -> None:
    with board.page("/?hide=failed", allowed=[BAD_FILTER]) as page:
        expect(rows(page).first).to_be_visible()
        before = names(page)
        write_filter(page, "tag:sweep-7 and lr >")
        trouble = page.get_by_role("alert")
        expect(trouble).to_be_visible()
        expect(page.get_by_role("combobox", name="Filter runs")).to_have_attribute("aria-invalid", "true")
        assert names(page)[:9] == before[:9]
        mark, end = page.locator(".squiggle").bounding_box(), page.locator(".inkline span").last.bounding_box()
        assert mark
        assert end
        assert abs(mark["x"] - (end["x"] + end["width"])) < 16, "it stands at the end, where something is missing"
        page.keyboard.type(" 0")
        page.keyboard.press("Enter")
        expect(trouble).to_be_hidden()
        expect(page.locator(".squiggle")).to_have_count(0)


def test_completions_are_taken_by_keyboard(board: Dashboard) -> None:
    with board.page(allowed=[BAD_FILTER]) as page:
        expect(rows(page).first).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type("val/ac")
        options = page.get_by_role("listbox", name="Completions")
        expect(options.get_by_role("option").first).to_contain_text("val/acc")
        box = page.get_by_role("combobox", name="Filter runs")
        expect(box).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("ArrowDown")
        expect(box).to_have_attribute("aria-activedescendant", "completion-0")
        page.keyboard.press("Enter")
        expect(box).to_have_value("val/acc ")
        page.keyboard.type("> 0.8")
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        expect(count(page)).to_contain_text(re.compile(rf"^\d+ of {EVERY} runs"))
        page.keyboard.press("Escape")
        expect(box).not_to_be_focused()


def test_a_filter_that_nothing_fits_says_so(board: Dashboard) -> None:
    with board.page("/?filter=val/acc+%3E+7") as page:
        expect(page.get_by_text("No run fits this filter.")).to_be_visible()
        page.get_by_role("button", name="Show all runs").click()
        expect(count(page)).to_have_text(f"{EVERY} runs")


def test_statuses_can_be_hidden(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7+or+tag:sweep-6") as page:
        expect(page.locator(".st-failed").first).to_be_visible()
        every = int(count(page).locator("b").inner_text())
        page.get_by_role("button", name="Show and hide by status").click()
        page.get_by_label("failed", exact=True).uncheck()
        expect(page.locator(".rows .st-failed")).to_have_count(0)
        assert int(count(page).locator("b").inner_text()) < every
        assert "hide=failed" in page.url
        page.reload()
        expect(page.get_by_role("button", name="Hidden: failed")).to_be_visible()
        expect(page.locator(".rows .st-failed")).to_have_count(0)


# Order, groups, columns


def test_a_column_sorts_by_its_head_with_bars_and_the_best_in_bold(board: Dashboard) -> None:
    with board.page("/?columns=val/acc,val/loss,lr&filter=tag:sweep-7") as page:
        head = page.get_by_role("columnheader", name="val/acc")
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", "descending")
        expect(page.locator(".rows .best")).to_have_count(1)
        values = numbers(cells(page, 1))
        assert values == sorted(values, reverse=True)
        assert len(values) > 9
        assert float(page.locator(".rows .best").inner_text()) == values[0]
        widths = page.locator(".rows .bar").evaluate_all("bars => bars.map((bar) => bar.getBoundingClientRect().width)")
        assert widths == sorted(widths, reverse=True)
        assert widths[0] > widths[9]
        loss = page.get_by_role("columnheader", name="val/loss")
        loss.get_by_role("button").press("Enter")
        expect(loss).to_have_attribute("aria-sort", "ascending")
        expect(head).to_have_attribute("aria-sort", "none")
        assert "sort=val/loss" in page.url
        page.keyboard.press("r")
        expect(loss).to_have_attribute("aria-sort", "descending")
        pick(page, "s", "lr")
        expect(page.get_by_role("columnheader", name="lr")).not_to_have_attribute("aria-sort", "none")


def test_groups_tell_mean_and_deviation_and_fold(board: Dashboard) -> None:
    with board.page("/?columns=val/acc,started&filter=tag:sweep-7&sort=-val/acc") as page:
        expect(rows(page).first).to_be_visible()
        pick(page, "g", "optimizer")
        first = page.locator(".rows .group").first
        expect(first).to_contain_text("8 runs")
        members = [cells(page, 1)[place] for place in range(8)]
        values = numbers(members)
        mean = sum(values) / 8
        deviation = (sum((value - mean) ** 2 for value in values) / 7) ** 0.5
        told = first.locator(".cell").all_inner_texts()
        assert abs(float(told[1]) - mean) < 2e-4
        assert abs(float(told[2].removeprefix("± ")) - deviation) < 2e-3
        before = rows(page).count()
        first.get_by_role("button").click()
        expect(first.get_by_role("button")).to_have_attribute("aria-expanded", "false")
        assert rows(page).count() < before
        page.keyboard.press("Enter")
        expect(first.get_by_role("button")).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("[")
        expect(rows(page)).to_have_count(0)
        page.keyboard.press("]")
        expect(rows(page).first).to_be_visible()


def test_columns_are_picked_ordered_and_proposed_again(board: Dashboard) -> None:
    with board.page() as page:
        expect(rows(page).first).to_be_visible()
        proposed = page.locator(".head .cell").all_inner_texts()
        page.keyboard.press("v")
        picker = page.get_by_role("dialog", name="Columns")
        picker.get_by_role("searchbox").fill("batch")
        picker.get_by_role("checkbox", name=re.compile("^batch_size")).check()
        expect(page.get_by_role("columnheader", name="batch_size")).to_be_visible()
        up = picker.get_by_role("button", name="Move batch_size up")
        while up.is_enabled():
            up.click()
        expect(page.locator(".head .cell").nth(1)).to_contain_text("batch_size")
        assert "columns=batch_size" in page.url
        axe(page, ".pop:popover-open")
        picker.get_by_role("checkbox", name=proposed[1]).click()
        expect(page.get_by_role("columnheader", name=proposed[1])).to_have_count(0)
        picker.get_by_role("button", name="As proposed").click()
        expect(page.locator(".head .cell").nth(1)).to_contain_text(proposed[1])
        assert "columns" not in page.url


# Pins and colours


def test_the_best_have_colour_and_pins_keep_theirs(board: Dashboard) -> None:
    with board.page("/?columns=val/acc&filter=tag:sweep-7&sort=-val/acc") as page:
        coloured = page.locator(".rows .line:not(.ctx)")
        expect(coloured).to_have_count(8)
        last = rows(page).nth(15)
        last.locator(".swb").click()
        expect(last.locator(".swb")).to_have_attribute("aria-pressed", "true")
        expect(last.locator(".line circle")).to_have_count(1)
        expect(coloured).to_have_count(8)
        run = last.get_attribute("data-run") or ""
        colour = last.locator(".line").get_attribute("class") or ""
        page.keyboard.press("k")
        page.keyboard.press("x")
        expect(page.locator("#pinned")).to_contain_text("2 pinned")
        link = page.get_by_role("link", name="Compare", exact=True).last
        assert run in (link.get_attribute("href") or "")
        page.get_by_role("button", name=re.compile("^Colour")).click()
        page.get_by_label(re.compile("^Pinned only")).check()
        expect(coloured).to_have_count(2)
        page.keyboard.press("Shift+X")
        expect(page.locator("#pinned")).to_be_hidden()
        assert "ctx" not in colour


def test_the_best_is_bold_however_the_column_is_sorted(board: Dashboard) -> None:
    with board.page("/?columns=val/loss&filter=tag:sweep-7&sort=val/loss") as page:
        expect(rows(page).first.locator(".best")).to_have_count(1)
        least = page.locator(".rows .best").inner_text()
    with board.page("/?columns=val/loss&filter=tag:sweep-7 and has val/loss&sort=-val/loss") as page:
        expect(page.locator(".rows .best")).to_have_count(1)
        assert page.locator(".rows .best").inner_text() == least == cells(page, 1)[-1]


def test_pinned_runs_that_no_row_shows_are_counted(tmp_path: Path) -> None:
    for name in ("seen", "other"):
        write_run(tmp_path / ".whirr", name, tags=[name])
    with dashboard(tmp_path / ".whirr") as board, board.page("/?sel=seen,other,gone&filter=tag:seen") as page:
        told = page.locator("#pinned")
        expect(told).to_contain_text("2 pinned · 1 not there · 1 outside the filter")
        write_filter(page, "")
        expect(told).to_contain_text("2 pinned · 1 not there")
        expect(told).not_to_contain_text("outside")


def test_groups_can_have_the_colours(board: Dashboard) -> None:
    with board.page("/?filter=tag:sweep-7&group=optimizer&colour=group") as page:
        groups = page.locator(".rows .group")
        expect(groups.first).to_be_visible()
        expect(page.locator(".rows .c1.d0").first).to_be_visible()
        expect(page.locator(".rows .c2.d1").first).to_be_visible()
        classes = page.locator(".rows .line").evaluate_all("lines => lines.map((line) => line.classList[1])")
        found = list(dict.fromkeys(classes))
        assert found == [f"c{place + 1}" for place in range(len(found))]
        assert len(found) > 1


# Many


@pytest.mark.parametrize("late", ["**/js/runs/*.js", "**/ui/runs?*"], ids=["modules", "rows"])
def test_what_is_awaited_is_said(board: Dashboard, late: str) -> None:
    with board.page("/login") as page:
        held: list[Route] = []
        through = False
        page.route(late, lambda route: route.continue_() if through else held.append(route))
        page.goto(f"{board.url}/", wait_until="commit")
        expect(count(page)).to_have_text("Loading runs")
        wait_until(lambda: page.evaluate("1") and held)
        through = True
        for route in held:
            route.continue_()
        expect(count(page)).to_contain_text(re.compile(r"^\d+ runs"))


def test_ten_thousand_runs_scroll_filter_and_sort(tmp_path: Path) -> None:
    demo_runs.many(tmp_path / ".whirr", 10_000)
    with dashboard(tmp_path / ".whirr") as board, board.page() as page:
        expect(count(page)).to_have_text("10,000 runs", timeout=120_000)  # all are read for the first time
        assert page.locator(".rows .row").count() < 80
        expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "10001")
        page.get_by_role("grid").focus()
        page.keyboard.press("End")
        expect(rows(page).last.locator(".nm")).to_have_text("run 0")
        expect(page.locator(".cursor")).to_have_attribute("aria-rowindex", "10001")
        page.keyboard.press("PageUp")
        for part in (0.5, 0.1, 0.93):
            page.evaluate(SCROLL, part)
            expect(page.locator(".rows .wait")).to_have_count(0)
            assert page.evaluate(ORDERED)
            assert page.locator(".rows .row").count() < 80
        write_filter(page, "val/acc > 0.79")
        expect(count(page)).to_contain_text("of 10,000 runs")
        assert page.locator(".table").evaluate("box => box.scrollTop") == 0
        page.keyboard.press("Escape")
        page.get_by_role("columnheader", name="val/acc").get_by_role("button").click()
        expect(page.get_by_role("columnheader", name="val/acc")).to_have_attribute("aria-sort", "descending")
        expect(page.locator(".rows .best")).to_have_count(1)
        assert not page.evaluate(LAYOUT)


def test_small_numbers_are_seen_whole(tmp_path: Path) -> None:
    for place, lr in enumerate((1.1e-4, 0.1, -9.9e-300)):
        write_run(tmp_path / ".whirr", f"run-{place}", config={"lr": lr})
    with dashboard(tmp_path / ".whirr") as board, board.page("/?columns=lr&sort=-lr") as page:
        expect(rows(page)).to_have_count(3)
        assert cells(page, 1) == ["0.1000", "1.1e-4", f"{MINUS}9.9e-300"]
        cut = "(all) => all.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)"
        assert page.locator(".rows .cell:not(.name)").evaluate_all(cut) == []


def test_figures_of_a_column_and_the_parts_of_a_filter(board: Dashboard) -> None:
    with board.page() as page:
        assert page.evaluate(FIGURES) == [
            ["0.8023", "1.0066"],
            ["1.0e-4", "1.8e-3"],
            ["64", "512"],
            [f"{MINUS}12.500", "3.000"],
            ["0", "0.2500"],
            ["123,456", "2"],
            ["1.0e-7", "0.5000"],
            ["1.1e-4", "1.25e-3", "0.0030", "0.1000"],
            [f"{MINUS}9.88e-323", "0.1000"],
            ["0.26", "1,000.5"],
        ]
        for text, kinds in {
            "val/acc > 0.7": "kov",
            "tag:sweep-7 and not (lr in 1e-4..3e-3)": "kovoookovo",
            'status in (failed, "x y") or vit': "koovovoow",
            "has lr": "ok",
        }.items():
            assert page.evaluate(TOKENS, text) == [text, kinds]
