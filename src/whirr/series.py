"""The logged values of a run as curves to draw: by metric, numbers over steps."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from operator import itemgetter
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

    def points(self) -> list[tuple[float, float]]:
        """All values by step, or by place where a step is missing; values that are not finite are gaps."""
        points = zip(self._steps if self.stepped else self._places, self.values, strict=True)
        return sorted((point for point in points if math.isfinite(point[0])), key=itemgetter(0))

    def varies(self) -> bool:
        """Whether there are two different values to draw a curve through."""
        return len({value for value in self.values if math.isfinite(value)}) > 1


class Curves(NamedTuple):
    """What there is to draw of a run.

    Attributes:
        series: by metric.
        sampled: a file was so long that only parts of it were read.
    """

    series: dict[str, Series]
    sampled: bool


def read_curves(folder: str, most: int = LONG) -> Curves:
    """The series of every metric of a run that has numbers; what cannot be read is left out (``derive`` tells it).

    Args:
        folder: the run's folder.
        most: bytes to read of one file; a longer one is sampled.
    """
    found: dict[str, Series] = defaultdict(Series)
    sampled = False
    for entry in metrics_files(folder):
        count = 0
        try:
            sampled = sampled or entry.stat().st_size > most
            for rows in read_rows(entry.path, most):
                _add(found, rows, count)
                count += len(rows)
        except OSError:
            continue
    return Curves(dict(found), sampled)


def _add(found: dict[str, Series], rows: list[Record], count: int) -> None:
    for row in rows:
        step, place = row.get(STEP), row.get(INDEX)
        step = step if isinstance(step, int | float) else None
        place = place if isinstance(place, int) else count
        for name, value in row.items():
            if isinstance(value, int | float) and name not in RESERVED:
                found[name].add(value, step, place)
        count += 1
