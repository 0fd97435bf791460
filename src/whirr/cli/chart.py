"""Curves in a terminal: sparklines in block letters, plots in braille dots, both in ASCII where need be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from whirr.cli.screen import number

Point = tuple[float, float]

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.:-=+*#"
LOG_FROM_RATIO = 100.0
"""A curve of positive values whose largest is this many times its smallest is drawn on a log scale."""

BRAILLE = 0x2800
# The bit of each dot of a braille letter: two columns, four rows.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def sparkline(values: Sequence[float], width: int, *, unicode: bool = True) -> str:
    """Values as one line of at most ``width`` letters; a stretch without finite values is a space."""
    count = min(width, len(values))
    parts = [values[len(values) * i // count : len(values) * (i + 1) // count] for i in range(count)]
    means = [_mean(part) for part in parts]
    known = [mean for mean in means if mean is not None]
    letters = BLOCKS if unicode else ASCII_BLOCKS
    if not known:
        return " " * count
    low, high = min(known), max(known)
    return "".join(" " if mean is None else letters[_level(mean, low, high, len(letters))] for mean in means)


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    # Divided first: the sum of huge floats is infinite. Bounded: rounding must not make waves of a constant.
    mean = sum(value / len(finite) for value in finite)
    return min(max(mean, min(finite)), max(finite))


def _level(value: float, low: float, high: float, count: int) -> int:
    return min(max(int(_share(value, low, high) * count), 0), count - 1)


def _share(value: float, low: float, high: float) -> float:
    """Where ``value`` lies between ``low`` (0) and ``high`` (1); the middle where these are the same."""
    # Halved: the difference of two huge floats is infinite.
    span = high / 2 - low / 2
    return (value / 2 - low / 2) / span if span > 0 else 0.5


def wants_log(values: Sequence[float]) -> bool:
    """Whether a log scale shows these values better."""
    low = min(values, default=0.0)
    return low > 0 and max(values) / low >= LOG_FROM_RATIO


def plot(points: Sequence[Point], width: int, height: int, *, log: bool = False, unicode: bool = True) -> list[str]:
    """A curve with its axes.

    Args:
        points: (x, y) by x, every finite y positive for ``log``; where y is not finite the curve has a gap.
        width: letters of a line, labels included.
        height: lines of the curve; one more holds the labels of x.
        log: scale y by its logarithm.
    """
    heights = [y for _, y in points if math.isfinite(y)]
    if not heights:
        return []
    low, high = min(heights), max(heights)
    top, bottom = number(high), number(low) if low != high else ""
    margin = max(len(top), len(bottom))
    canvas = _Canvas(max(width - margin - 2, 8), height, unicode)
    canvas.curve([(x, math.log(y) if math.isfinite(y) else y) for x, y in points] if log else points)
    tick, bar, corner, line = ("┤", "│", "└", "─") if unicode else ("|", "|", "+", "-")
    labels = [top, *[""] * (height - 2), bottom]
    rows = zip(labels, canvas.rows(), strict=True)
    lines = [f"{label:>{margin}} {tick if label else bar}{row}".rstrip() for label, row in rows]
    first, last = _place(points[0][0]), _place(points[-1][0])
    lines.append(f"{'':{margin}} {corner}{_between(first, last, canvas.width, line)}")
    return lines


def _place(x: float) -> str:
    return str(int(x)) if x == int(x) else number(x)


def _between(first: str, last: str, width: int, line: str) -> str:
    """The x axis: its ends named, a line between."""
    if first == last or len(first) + len(last) + 3 > width:
        return f"{first} ".ljust(width, line)
    return f"{first} {line * (width - len(first) - len(last) - 2)} {last}"


class _Canvas:
    """Dots behind letters: 2 x 4 a letter in braille, one in ASCII."""

    def __init__(self, width: int, height: int, unicode: bool) -> None:
        self.width, self.height = width, height
        self._across, self._down = (2, 4) if unicode else (1, 1)
        self._cells = [[0] * width for _ in range(height)]

    def curve(self, points: Sequence[Point]) -> None:
        """Draw points joined by lines; where many fall into one column of dots, all they span."""
        for columns in self._stretches(points):
            before: tuple[int, int] | None = None
            for column, heights in columns.items():
                if before is not None:
                    self._line(before, (column, heights[0]))
                self._line((column, min(heights)), (column, max(heights)))
                before = column, heights[-1]

    def _stretches(self, points: Sequence[Point]) -> Iterator[dict[int, list[int]]]:
        """Between two gaps the dots of the curve, by their column."""
        right, top = self.width * self._across - 1, self.height * self._down - 1
        finite = [y for _, y in points if math.isfinite(y)]
        low, high = min(finite), max(finite)
        first, last = points[0][0], points[-1][0]
        for drawn, stretch in groupby(points, key=lambda point: math.isfinite(point[1])):
            columns: dict[int, list[int]] = {}
            for x, y in stretch if drawn else ():
                column = round(_share(x, first, last) * right) if last > first else right // 2
                columns.setdefault(column, []).append(round((1 - _share(y, low, high)) * top))
            yield columns

    def _line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            self._dot(
                start[0] + round((end[0] - start[0]) * step / steps),
                start[1] + round((end[1] - start[1]) * step / steps),
            )

    def _dot(self, x: int, y: int) -> None:
        bit = DOTS[x % 2][y % 4] if self._across == 2 else 1
        self._cells[y // self._down][x // self._across] |= bit

    def rows(self) -> list[str]:
        """The lines of the drawing, without trailing space."""
        draw = self._braille if self._across == 2 else self._ascii
        return ["".join(map(draw, row)).rstrip() for row in self._cells]

    @staticmethod
    def _braille(cell: int) -> str:
        return chr(BRAILLE + cell) if cell else " "

    @staticmethod
    def _ascii(cell: int) -> str:
        return "*" if cell else " "
