"""A table in plain text: columns that fit the screen, cells that never break a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from whirr.cli.screen import Screen

GAP = "  "


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
    """

    title: str
    cells: list[Cell]
    right: bool = False
    least: int = 0
    rank: int = 0

    @property
    def width(self) -> int:
        """Screen columns it takes uncut."""
        return max([text_width(self.title), *(text_width(cell.text) for cell in self.cells)])


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

    On a terminal those of the highest ranks are left out until the rest can be cut to fit; then the
    widest are cut. In a file or a pipe nothing is left out or cut.
    """
    if not screen.fixed:
        return [(column, column.width) for column in columns]
    shown = [_Place(column, column.width) for column in columns]
    while _total(place.least for place in shown) > screen.width and any(place.column.rank for place in shown):
        shown.remove(max(shown, key=lambda place: place.column.rank))
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
    shown = fit(columns, screen)
    lines = [_line([(Cell(column.title, "bold"), column, width) for column, width in shown], screen)]
    for row in range(len(columns[0].cells)):
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
