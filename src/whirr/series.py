"""The logged values of a run as curves to draw: by metric, numbers over steps."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from typing import NamedTuple

from whirr.derive import Record, metrics_files, read_rows
from whirr.encode import INDEX, RESERVED, STEP

LONG = 2**23
"""Bytes of a metrics file beyond which a curve is drawn from samples."""


class Series:
    """The numbers of one metric.

    Attributes:
        values: the numbers, NaN and infinities among them.
        stepped: every value was logged with a step.
    """

    __slots__ = ("_places", "_steps", "stepped", "values")

    def __init__(self) -> None:
        self.values = array("d")
        self.stepped = True
        self._steps = array("d")
        self._places = array("d")

    def add(self, value: float, step: float | None, place: int) -> None:
        """Add one value, with its step and its place among the records of its file."""
        self.values.append(value)
        self._places.append(place)
        self._steps.append(place if step is None else step)
        self.stepped = self.stepped and step is not None

    def finite(self) -> list[tuple[float, float]]:
        """The points that can be drawn, by step, or by place where a step is missing."""
        points = zip(self._steps if self.stepped else self._places, self.values, strict=True)
        return sorted((point for point in points if math.isfinite(point[1])), key=lambda point: point[0])


class Curves(NamedTuple):
    """What there is to draw of a run.

    Attributes:
        series: by metric.
        sampled: a file was so long that only parts of it were read.
        problems: what is wrong with the metrics files.
    """

    series: dict[str, Series]
    sampled: bool
    problems: list[str]


def read_curves(folder: str, most: int = LONG) -> Curves:
    """The series of every metric of a run that has numbers.

    Args:
        folder: the run's folder.
        most: bytes to read of one file; a longer one is sampled.
    """
    found: dict[str, Series] = defaultdict(Series)
    problems = []
    sampled = False
    for entry in metrics_files(folder):
        count = garbage = 0
        try:
            sampled = sampled or entry.stat().st_size > most
            for rows, bad in read_rows(entry.path, most):
                _add(found, rows, count)
                count += len(rows)
                garbage += bad
        except OSError as error:
            problems.append(f"{entry.name} cannot be read: {error.strerror}")
        if garbage:
            problems.append(f"{entry.name}: lines that are no records: {'at least ' * sampled}{garbage}")
    return Curves(dict(found), sampled, problems)


def _add(found: dict[str, Series], rows: list[Record], count: int) -> None:
    for row in rows:
        step, place = row.get(STEP), row.get(INDEX)
        step = step if isinstance(step, int | float) else None
        place = place if isinstance(place, int) else count
        for name, value in row.items():
            if isinstance(value, int | float) and name not in RESERVED:
                found[name].add(value, step, place)
        count += 1
