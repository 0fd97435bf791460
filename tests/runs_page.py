"""What tests look at on the Runs page."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

BAD_FILTER = r"status of 400"
MINUS = "\N{MINUS SIGN}"
ORDERED = """() => {
    const tops = [...document.querySelectorAll('.rows .row')].map((row) => row.getBoundingClientRect().top);
    return tops.every((top, place) => place === 0 || top > tops[place - 1]);
}"""
"""Whether the lines stand in the document as they are seen."""

SCROLL = "(part) => { const box = document.querySelector('.table'); box.scrollTop = box.scrollHeight * part; }"


def rows(page: Page) -> Locator:
    """The rows of runs that are there, in their order."""
    return page.locator(".rows [data-run]")


def names(page: Page) -> list[str]:
    """The names in sight, from the top."""
    return [text.strip() for text in page.locator(".rows [data-run] .nm").all_text_contents()]


def cells(page: Page, column: int) -> list[str]:
    """The texts in a column of the rows, counted from 1: beside the name."""
    return rows(page).locator(f":scope > :nth-child({column + 1})").all_text_contents()


def count(page: Page) -> Locator:
    return page.locator("#sub .count")


def write_filter(page: Page, text: str) -> None:
    page.keyboard.press("/")
    page.get_by_role("combobox", name="Filter runs").fill(text)
    page.keyboard.press("Enter")


def pick(page: Page, key: str, text: str) -> None:
    """Open a picker by its key, and take the first that has this text."""
    page.keyboard.press(key)
    seek = page.locator(".pop:popover-open .seek")
    seek.fill(text)
    seek.press("Enter")
    expect(page.locator(".pop:popover-open")).to_have_count(0)


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace(MINUS, "-").replace(",", "")) for text in texts if text]
