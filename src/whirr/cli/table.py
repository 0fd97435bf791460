"""A table in plain text: columns that fit the screen, cells that never break a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from whirr.cli.screen import Screen

GAP = "  "

WIDEST = 40
"""A cell is cut to this width unless its column says otherwise: one long text must not widen every line."""


class Cell(NamedTuple):
    """Text and its style."""

    text: str
    style: str = ""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: its heading.
        cells: one a row.
        right: numbers stand at the right.
        least: the width it may be cut down to when the table is too wide; 0 if it may not be cut.
        rank: the column with the highest rank is left out first when the table is too wide; 0 always stays.
        most: the width beyond which it is cut on any screen; 0 if never.
    """

    title: str
    cells: list[Cell]
    right: bool = False
    least: int = 0
    rank: int = 0
    most: int = WIDEST

    @property
    def width(self) -> int:
        """Screen columns it takes where there is room."""
        whole = max([text_width(self.title), *(text_width(cell.text) for cell in self.cells)])
        return min(whole, self.most) if self.most else whole


def text_width(text: str) -> int:
    """Screen columns a text takes; East Asian letters and emoji take two."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(letter) else 1 + (east_asian_width(letter) in "WF") for letter in text)


def cut(text: str, width: int, ellipsis: str) -> str:
    """``text`` in at most ``width`` screen columns."""
    if text_width(text) <= width:
        return text
    kept, used = [], text_width(ellipsis)
    for letter in text:
        used += text_width(letter)
        if used > width:
            break
        kept.append(letter)
    return "".join(kept).rstrip() + ellipsis


def fit(columns: list[Column], screen: Screen) -> list[tuple[Column, int]]:
    """The columns that are shown and their widths.

    On a terminal those of the highest ranks are left out until the rest can be cut to fit, or only those of
    rank 0 are left; then those with most to spare are cut, none below its ``least``. Where that is not enough,
    lines are wider than the screen. In a file or a pipe no column is left out or cut below its ``width``.
    """
    if not screen.fixed:
        return [(column, column.width) for column in columns]
    shown = [_Place(column, column.width) for column in columns]
    optional = sorted((place for place in shown if place.column.rank), key=lambda place: place.column.rank)
    least = _total(place.least for place in shown)
    while optional and least > screen.width:
        least -= optional[-1].least + len(GAP)
        shown.remove(optional.pop())
    while (excess := _total(place.width for place in shown) - screen.width) > 0:
        widest = max(shown, key=lambda place: place.width - place.least)
        slack = widest.width - widest.least
        if slack <= 0:
            break
        widest.width -= min(slack, max(excess // 2, 1))
    return [(place.column, place.width) for place in shown]


class _Place:
    """A column on the screen: the width it has now and the least it may have."""

    def __init__(self, column: Column, width: int) -> None:
        self.column, self.width = column, width
        self.least = min(column.least or width, width)


def _total(widths: Iterable[int]) -> int:
    every = list(widths)
    return sum(every) + len(GAP) * (len(every) - 1)


def render(columns: list[Column], screen: Screen) -> list[str]:
    """The lines of a table, headings first."""
    return draw(fit(columns, screen), screen)


def draw(shown: list[tuple[Column, int]], screen: Screen) -> list[str]:
    """The lines of the columns that ``fit`` gave, headings first."""
    lines = [_line([(Cell(column.title, "bold"), column, width) for column, width in shown], screen)]
    for row in range(len(shown[0][0].cells) if shown else 0):
        lines.append(_line([(column.cells[row], column, width) for column, width in shown], screen))
    return lines


def _line(parts: list[tuple[Cell, Column, int]], screen: Screen) -> str:
    texts = []
    for cell, column, width in parts:
        text = cut(cell.text, width, screen.ellipsis)
        space = " " * (width - text_width(text))
        painted = screen.paint(text, cell.style)
        texts.append(space + painted if column.right else painted + space)
    return GAP.join(texts).rstrip()
