"""What all pages build on: the modules in ``static/js/lib``, each tried in a real browser."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import axe, dashboard, until
from helpers import wait_until
from playwright.sync_api import Page, expect

FORMATS = {
    "number(0.81184)": "0.8118",
    "number(-0.5)": "\N{MINUS SIGN}0.5000",
    "number(0.0118412)": "0.0118",
    "number(1.0706)": "1.0706",
    "number(12.34567)": "12.346",
    "number(12)": "12",
    "number(61240)": "61,240",
    "number(1234.5678)": "1,234.6",
    "number(123456.78)": "123,457",
    "number(0.00012)": "1.2e-4",
    "number(0.0003)": "3e-4",
    "number(1.5e12)": "1.5e12",
    "number(0)": "0",
    "number(null)": "",
    "number('NaN')": "NaN",
    "number(NaN)": "NaN",
    "number(-Infinity)": "\N{MINUS SIGN}∞",
    "number(true)": "true",
    "duration(0.25)": "250 ms",
    "duration(4.26)": "4.3 s",
    "duration(59.96)": "1 min",
    "duration(4320)": "1 h 12 min",
    "duration(3600)": "1 h",
    "duration(86399)": "1 d",
    "duration(273600)": "3 d 4 h",
    "duration(null)": "",
    "age(100, 100.2)": "now",
    "age(100, 90)": "now",
    "age(0, 540)": "9 m",
    "age(0, 7200)": "2 h",
    "age('2026-01-01T00:00:00.000000Z', 1767225612)": "12 s",
    "age('nonsense', 0)": "",
    "age(0, 86400 * 5)": "5 d",
    "age(0, 86400 * 30)": "4 w",
    "age(0, 86400 * 800)": "2 y",
    "bytes(812)": "812 B",
    "bytes(41500)": "41.5 kB",
    "bytes(999999)": "1 MB",
    "bytes(1.94e9)": "1.94 GB",
    "bytes(undefined)": "",
    "memory(81920 * 2 ** 20)": "80 GiB",
    "memory(20.5 * 2 ** 20)": "20.5 MiB",
    "memory(null)": "",
    "stamp(0, new Date(0)).length": "8",
    "stamp('gibberish')": "gibberish",
    "plural(1, 'run')": "1 run",
    "plural(22000, 'run')": "22,000 runs",
    "plural(2, 'entry', 'entries')": "2 entries",
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page whose modules are tried."""
    with dashboard(tmp_path_factory.mktemp("bench") / ".whirr") as board, board.page("/login", role=None) as page:
        yield page


def call(page: Page, module: str, code: str) -> Any:
    """What an expression gives that uses all that a module of ours offers."""
    path = page.locator('script[src$="shell.js"]').get_attribute("src")
    assert path is not None
    address = str(httpx.URL(page.url).join(path.replace("shell.js", f"{module}.js")))
    return page.evaluate(
        f"import('{address}').then((found) => {{ const {{ {', '.join(exports(module))} }} = found; return {code}; }})"
    )


def exports(module: str) -> list[str]:
    text = (Path(sys.modules["whirr"].__file__ or "").parent / f"dashboard/static/js/lib/{module}.js").read_text()
    return re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", text, re.MULTILINE)


@pytest.mark.parametrize(("code", "text"), FORMATS.items(), ids=list(FORMATS))
def test_values_in_words(bench: Page, code: str, text: str) -> None:
    assert call(bench, "format", f"String({code})") == text


def test_only_what_is_not_usual_stands_in_the_address(bench: Page) -> None:
    defaults = "{filter: '', smooth: 0, raw: true, sel: []}"
    before = bench.url
    told = call(
        bench,
        "state",
        f"""(() => {{
            const state = new UrlState({defaults}), told = [];
            state.on((changed) => told.push([...changed]));
            state.set({{filter: "val/acc > 0.7", smooth: 0.6, raw: false, sel: ["a,b", "c\\\\"]}}, {{push: true}});
            state.set({{smooth: 0.6}});
            return told;
        }})()""",
    )
    assert told == [["filter", "smooth", "raw", "sel"]]
    query = bench.url.partition("?")[2]
    assert query == r"filter=val/acc+%3E+0.7&smooth=0.6&raw=0&sel=a%5C,b,c%5C%5C"
    read = f"(() => {{ const s = new UrlState({defaults}); return s.values; }})()"
    assert call(bench, "state", read) == {"filter": "val/acc > 0.7", "smooth": 0.6, "raw": False, "sel": ["a,b", "c\\"]}
    bench.go_back()
    assert bench.url == before
    assert call(bench, "state", read) == {"filter": "", "smooth": 0, "raw": True, "sel": []}


def test_the_back_button_is_heard(bench: Page) -> None:
    call(
        bench,
        "state",
        "(() => { window.state = new UrlState({x: 'step'}); window.heard = [];"
        " state.on(() => heard.push(state.get('x'))); state.set({x: 'time'}, {push: true}); })()",
    )
    bench.go_back()
    until(bench, "heard.join() === 'time,step'")


def test_a_run_keeps_its_colour(bench: Page) -> None:
    first = call(bench, "colours", "[...assign(['a', 'b', 'c'])]")
    assert first == [["a", 1], ["b", 2], ["c", 3]]
    assert call(bench, "colours", "[...assign(['c', 'd', 'a'])]") == [["c", 3], ["a", 1], ["d", 2]]
    many = call(bench, "colours", "[...assign(Array.from({length: 14}, (_, i) => `r${i}`))]")
    assert sorted(number for _, number in many) == list(range(1, 11))


def test_colours_follow_the_theme(bench: Page) -> None:
    light = call(bench, "colours", "value('--s1')")
    bench.evaluate("document.documentElement.dataset.theme = 'dark'")
    wait_until(lambda: call(bench, "colours", "value('--s1')") != light)
    bench.evaluate("document.documentElement.dataset.theme = 'light'")


def test_nodes_hold_text_and_never_html(bench: Page) -> None:
    made = "h('p', {class: 'x', title: '<', onclick: () => 1, hidden: false, dataset: {a: 'b'}, style: {color: 'red'}},"
    made += " '<img src=x>', null, false, 0, [h('b', null, '&')])"
    assert call(bench, "dom", f"{made}.outerHTML") == (
        '<p class="x" title="&lt;" data-a="b" style="color: red;">&lt;img src=x&gt;0<b>&amp;</b></p>'
    )
    assert call(bench, "dom", "s('svg', {viewBox: '0 0 1 1'}, s('path', {d: 'M0 0'})).firstChild.namespaceURI") == (
        "http://www.w3.org/2000/svg"
    )


def test_what_is_asked_before_something_is_done(bench: Page) -> None:
    bench.evaluate("window.answers = []")
    ask = "void confirm({title: 'Stop it?', text: 'It has run for a day.', action: 'Stop', danger: true})"
    for button, answered in (("Stop", True), ("Keep", False), (None, False)):
        call(bench, "dialog", f"{ask}.then((answer) => window.answers.push(answer))")
        dialog = bench.get_by_role("dialog", name="Stop it?")
        expect(dialog).to_contain_text("It has run for a day.")
        axe(bench)
        if button:
            dialog.get_by_role("button", name=button).click()
        else:
            bench.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        until(bench, f"window.answers.at(-1) === {str(answered).lower()}")
    assert bench.evaluate("window.answers.length") == 3
