"""The strands of a metric, one for each file that has it, and what of them is drawn.

Steps go back where a program began again from a checkpoint. What it had logged from there on is then superseded: on the
axis of steps, values of the same file stand only before the step at which a later part began, and those of earlier
attempts only before the first of a later attempt. On the axis of time all that happened is drawn. A metric whose steps
go back more than ``MOST_TURNS`` times was logged in no order: then all its values are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import inf
from typing import NamedTuple

import numpy as np

from whirr.curves.table import Numbers, Rows
from whirr.curves.volume import AXES, MOST_TURNS, GroupHead, Reader, Volume

STEP, TIME, PLACE = range(len(AXES))
NEAR = 1024
"""Among so few values a place is looked for in all of them at once."""


class Part(NamedTuple):
    """The values of a metric in one volume.

    Attributes:
        reader: of the volume.
        name: of the metric.
        group: the number of its group.
        head: of that.
        bad: how many values are not finite.
    """

    reader: Reader
    name: str
    group: int
    head: GroupHead
    bad: int

    def x(self, axis: int, start: int, end: int) -> Numbers:
        """Where values stand on an axis."""
        return self.reader.x(self.group, axis, start, end)

    def values(self, start: int, end: int) -> Numbers:
        """The values."""
        return self.reader.values(self.name, start, end)

    def along(self, other: str, start: int, end: int) -> Numbers:
        """What another metric was in the same records; NaN where it was not logged."""
        column = self.reader.volume.columns.get(other)
        if column is None:
            return np.full(end - start, np.nan)
        if column.group == self.group:
            return self.reader.values(other, start, end)
        here, there = self.reader.rows(self.group)[start:end], self.reader.rows(column.group)
        values = self.reader.values(other, 0, len(there))
        places = np.minimum(np.searchsorted(there, here), len(there) - 1)
        return np.where(there[places] == here, values[places], np.nan)

    def bad_places(self) -> Rows:
        """The numbers of the values that are not finite."""
        return self.reader.bad(self.name) if self.bad else np.zeros(0, np.uint32)


Strand = list[Part]
Attempt = list[Strand]


class Span(NamedTuple):
    """Consecutive values of a part, in order on an axis: from one to before another, and where first and last stand."""

    part: Part
    axis: int
    start: int
    end: int
    first: float
    last: float

    def find(self, x: float, *, after: bool = False) -> int:
        """The number of the first value that stands at ``x`` or beyond it (``after``: beyond it)."""
        if x > self.last or (after and x == self.last):
            return self.end
        if x <= self.first and not after:
            return self.start
        low, high = self.start, self.end
        while high - low > NEAR:
            middle = (low + high) // 2
            found = self.part.x(self.axis, middle, middle + 1)[0]
            low, high = (middle + 1, high) if found < x or (after and found == x) else (low, middle)
        near = self.part.x(self.axis, low, high)
        return low + int(np.searchsorted(near, x, "right" if after else "left"))

    def before(self, x: float) -> Span | None:
        """The part of it before a place."""
        if self.last < x:
            return self
        end = self.find(x)
        if end == self.start:
            return None
        return self._replace(end=end, last=float(self.part.x(self.axis, end - 1, end)[0]))


class Mark(NamedTuple):
    """Where a program began again: on the axis of its steps, and seconds since 1970."""

    x: float
    time: float | None


class Piece(NamedTuple):
    """A stretch of a strand in which an axis never goes back; ``mark``: it begins where the axis did."""

    spans: list[Span]
    mark: Mark | None


class Laid(NamedTuple):
    """What of a metric is drawn.

    Attributes:
        spans: in order on the axis each; together they need not be.
        loose: strands in no order, drawn as a whole.
        marks: where programs began again, in the order in which that happened.
    """

    spans: list[Span]
    loose: list[Strand]
    marks: list[Mark]


def strand_of(volumes: Sequence[Volume], name: str, stack: ExitStack) -> Strand:
    """The values of a metric in the volumes of one file; ``stack`` closes them.

    Raises:
        Stale: a volume is not there any more.
    """
    found = []
    for volume in volumes:
        if column := volume.columns.get(name):
            reader = stack.enter_context(volume.open())
            found.append(Part(reader, name, column.group, volume.groups[column.group], column.bad))
    return found


def order_axis(attempts: Sequence[Attempt]) -> int:
    """Steps, or places where a value has no step."""
    heads = (part.head for strands in attempts for strand in strands for part in strand)
    return PLACE if any(head.stepless for head in heads) else STEP


def lay(attempts: Sequence[Attempt], axis: int) -> Laid:
    """What of a metric is drawn on an axis; the attempts in the order in which they ran."""
    order = order_axis(attempts)
    kept = _superseded([[_pieces(strand, order) for strand in strands] for strands in attempts])
    marks = list(_marks(kept))
    if axis == TIME:
        kept = [[_pieces(strand, TIME) for strand in strands] for strands in attempts]
    spans = [span for strands in kept for pieces in strands if pieces for piece in pieces for span in piece.spans]
    loose = [
        strand
        for strands, told in zip(attempts, kept, strict=True)
        for strand, pieces in zip(strands, told, strict=True)
        if pieces is None
    ]
    return Laid(spans, loose, marks)


def _pieces(strand: Strand, axis: int) -> list[Piece] | None:
    """A strand cut where an axis goes back; None where that is in no order."""
    found: list[Piece] = []
    last = -inf
    for part in strand:
        told = part.head.axes[axis]
        if told.turns is None:
            return None
        starts = [0, *(turn.at for turn in told.turns)]
        firsts = [told.first, *(turn.x for turn in told.turns)]
        lasts = [*(turn.before for turn in told.turns), told.last]
        times = [part.head.time, *(turn.time for turn in told.turns)]
        for start, end, x, until, time in zip(starts, [*starts[1:], part.head.size], firsts, lasts, times, strict=True):
            if x < last or not found:
                found.append(Piece([], Mark(x, time) if found else None))
            found[-1].spans.append(Span(part, axis, start, end, x, until))
            last = until
    return found if len(found) <= MOST_TURNS + 1 else None


def _superseded(attempts: list[list[list[Piece] | None]]) -> list[list[list[Piece] | None]]:
    """Without what a later piece of the same strand, or a later attempt, has superseded."""
    kept = []
    limit = inf
    for strands in reversed(attempts):
        reach = limit
        told: list[list[Piece] | None] = []
        for pieces in strands:
            bound = limit
            left: list[Piece] = []
            for piece in reversed(pieces or []):
                spans = [span for found in piece.spans if (span := found.before(bound)) is not None]
                left.append(piece._replace(spans=spans))
                bound = min(bound, piece.spans[0].first)
            reach = min(reach, bound)
            told.append(None if pieces is None else left[::-1])
        limit = reach
        kept.append(told)
    return kept[::-1]


def _marks(attempts: list[list[list[Piece] | None]]) -> Iterator[Mark]:
    begun = False
    for strands in attempts:
        pieces = [piece for told in strands for piece in told or []]
        firsts = [told[0].spans[0] for told in strands if told and told[0].spans]
        if begun and firsts:
            first = min(firsts, key=lambda span: span.first)
            time = first.part.head.time
            yield Mark(first.first, time)
        begun = begun or any(strands)
        yield from (piece.mark for piece in pieces if piece.mark)
