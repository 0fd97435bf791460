"""A curve as it is drawn: as many points as asked for, with all that the picture says beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf
from typing import NamedTuple, TypeVar

import numpy as np

from whirr.curves.downsample import FEWEST, Bins, min_max
from whirr.curves.strand import TIME, Attempt, Laid, Span, Strand, lay, order_axis
from whirr.curves.table import Numbers, Rows
from whirr.curves.volume import BLOCK
from whirr.values import spell

T = TypeVar("T")

MOST_MARKS = 100
ROWS_AT_ONCE = 2**15


class Wanted(NamedTuple):
    """What is asked for of a metric.

    Attributes:
        axis: ``step``, ``time`` or ``relative`` (both in seconds), or the name of a metric after ``metric:``.
        start: from here; None: from its first value.
        end: up to here; None: to its last value.
        points: about so many; never more than two and the marks beyond it.
    """

    axis: str = "step"
    start: float | None = None
    end: float | None = None
    points: int = 400


class Drawn(NamedTuple):
    """A curve to draw.

    Attributes:
        x: where the points stand, increasing.
        y: their values; NaN is a gap.
        total: how many values there are in the range that was asked for.
        first: where the whole curve begins.
        last: where it ends.
        last_y: the value there; None where that is not finite.
        low: the smallest finite value in the range; None where there is none.
        high: the largest.
        nonfinite: where values in the range are not finite, and what they are; of many the first of each row of them.
        nonfinite_total: how many there are.
        restarts: where a program began again.
    """

    x: Numbers
    y: Numbers
    total: int
    first: float
    last: float
    last_y: float | None
    low: float | None
    high: float | None
    nonfinite: list[tuple[float, float | str]]
    nonfinite_total: int
    restarts: list[float]


class Stretch(NamedTuple):
    """Values that are sorted by where they stand, in memory."""

    x: Numbers
    y: Numbers


def draw(attempts: Sequence[Attempt], wanted: Wanted, zero: float = 0.0) -> Drawn | None:
    """The curve of a metric; None where there is nothing to draw.

    Args:
        attempts: its strands, of each attempt that has any.
        wanted: see there.
        zero: when the run began, seconds since 1970.
    """
    shift = zero if wanted.axis == "relative" else 0.0
    spans, loose, restarts = _laid(attempts, wanted.axis)
    ends = [(span.first, span.last) for span in spans] + [(part.x[0], part.x[-1]) for part in loose]
    if not ends:
        return None
    first, last = float(min(end[0] for end in ends)), float(max(end[1] for end in ends))
    low = first if wanted.start is None else max(wanted.start + shift, first)
    high = last if wanted.end is None else min(wanted.end + shift, last)
    inside = [_window(span, low, high) for span in spans]
    held = [_held(part, low, high) for part in loose]
    total = sum(span.end - span.start for span in inside) + sum(len(part.x) for part in held)
    gaps, bad = _bad(inside, held)
    cut = Bins if wanted.end is not None else Bins.growing
    points = _points(inside, held, total, cut(low, high, max(wanted.points // 2, FEWEST)), wanted.points)
    finite = points.y[np.isfinite(points.y)]
    outer = list(_neighbours(spans, loose, low, high))
    if total > wanted.points:  # else the gaps are among the points
        outer.append(Stretch(gaps.x, np.full(len(gaps.x), np.nan)))
    whole = _in_order([points, *outer])
    return Drawn(
        whole.x - shift,
        np.where(np.isfinite(whole.y), whole.y, np.nan),
        total,
        first - shift,
        last - shift,
        _last(spans, loose, last),
        float(finite.min()) if len(finite) else None,
        float(finite.max()) if len(finite) else None,
        [(float(x) - shift, spell(float(y))) for x, y in zip(*gaps, strict=True)],
        bad,
        [x - shift for x in restarts[-MOST_MARKS:]],
    )


def _laid(attempts: Sequence[Attempt], axis: str) -> tuple[list[Span], list[Stretch], list[float]]:
    """What lies in order on an axis, what had to be put in order, and where programs began again."""
    timed = axis in ("time", "relative")
    number = TIME if timed else order_axis(attempts)
    laid = lay(attempts, number)
    if axis.startswith("metric:"):
        return _along(laid, axis.removeprefix("metric:"))
    loose = [_sorted(_read(strand, number)) for strand in laid.loose]
    marks = [mark.time if timed else mark.x for mark in laid.marks]
    return laid.spans, [part for part in loose if len(part.x)], [mark for mark in marks if mark is not None]


def _read(strand: Strand, axis: int) -> list[Stretch]:
    return [Stretch(part.x(axis, 0, part.head.size), part.values(0, part.head.size)) for part in strand]


def _sorted(parts: list[Stretch]) -> Stretch:
    """Stretches as one, without what has no place; they may be long, and are let go."""
    found = _in_order(parts)
    parts.clear()
    kept = np.isfinite(found.x)
    return found if kept.all() else Stretch(found.x[kept], found.y[kept])


def _in_order(parts: Sequence[Stretch]) -> Stretch:
    x, y = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    if (x[1:] >= x[:-1]).all():
        return Stretch(x, y)
    order = np.argsort(x, kind="stable")
    return Stretch(x[order], y[order])


def _along(laid: Laid, name: str) -> tuple[list[Span], list[Stretch], list[float]]:
    """The same on the axis of a metric, where it was logged in the same records."""
    places = [(span.part, span.start, span.end, span.first) for span in laid.spans]
    places += [(part, 0, part.head.size, inf) for strand in laid.loose for part in strand]
    began = {mark.x for mark in laid.marks}
    parts, marks = [], []
    for part, start, end, first in places:
        x = part.along(name, start, end)
        parts.append(Stretch(x, part.values(start, end)))
        known = x[np.isfinite(x)]
        if first in began and len(known):
            marks.append(float(known[0]))
    found = _sorted(parts) if parts else None
    return [], [found] if found is not None and len(found.x) else [], marks


def _window(span: Span, low: float, high: float) -> Span:
    """What of a span lies in a range; its ends still say where the whole span has its own."""
    start = span.start if low <= span.first else span.find(low)
    end = span.end if high >= span.last else span.find(high, after=True)
    return span._replace(start=start, end=max(end, start))


def _held(part: Stretch, low: float, high: float) -> Stretch:
    start, end = np.searchsorted(part.x, low, "left"), np.searchsorted(part.x, high, "right")
    return Stretch(part.x[start:end], part.y[start:end])


def _points(spans: list[Span], held: list[Stretch], total: int, bins: Bins, points: int) -> Stretch:
    """All values where they are few enough, else the extremes of the finite ones."""
    if total <= points:
        return _in_order([*map(_values, spans), *held]) if spans or held else Stretch(np.zeros(0), np.zeros(0))
    candidates = [part for span in spans for part in _candidates(span, bins)]
    found = _in_order([_finite(part) for part in (*candidates, *held)])
    chosen = min_max(*found, bins)
    return Stretch(found.x[chosen], found.y[chosen])


def _values(span: Span) -> Stretch:
    return Stretch(span.part.x(span.axis, span.start, span.end), span.part.values(span.start, span.end))


def _finite(part: Stretch) -> Stretch:
    kept = np.isfinite(part.y)
    return part if kept.all() else Stretch(part.x[kept], part.y[kept])


def _candidates(span: Span, bins: Bins) -> Iterator[Stretch]:
    """Values of a span among which the extremes of every bin are.

    A block that lies in one bin gives its own extremes; of the others all values are read.
    """
    if span.end - span.start <= BLOCK * bins.many:
        yield _values(span)
        return
    part, begin, stop = span.part, -(-span.start // BLOCK), span.end // BLOCK
    firsts, lasts = part.reader.edges(part.group, span.axis, begin, stop)
    low, high, low_x, high_x = part.reader.extremes(part.name, span.axis, begin, stop)
    whole = bins.of(firsts) == bins.of(lasts)
    yield Stretch(low_x[whole], low[whole])
    yield Stretch(high_x[whole], high[whole])
    yield _values(span._replace(end=begin * BLOCK))
    split = begin + np.flatnonzero(~whole)
    for run in np.split(split, np.flatnonzero(np.diff(split) > 1) + 1) if len(split) else ():
        yield _values(span._replace(start=int(run[0]) * BLOCK, end=(int(run[-1]) + 1) * BLOCK))
    yield _values(span._replace(start=stop * BLOCK))


def _bad(spans: list[Span], held: list[Stretch]) -> tuple[Stretch, int]:
    """Where to say that values are not finite, and how many are not."""
    found: list[tuple[Span, Rows]] = []
    for span in spans:
        if span.part.bad:
            places = span.part.bad_places()
            start, end = np.searchsorted(places, [span.start, span.end])
            found.append((span, places[start:end]))
    loose = [Stretch(part.x[~np.isfinite(part.y)], part.y[~np.isfinite(part.y)]) for part in held]
    total = sum(len(places) for _, places in found) + sum(len(part.x) for part in loose)
    if total > MOST_MARKS:
        found = [(span, _first_of_each_row(places)) for span, places in found]
    shown = [(span, int(place)) for span, places in found for place in places]
    told = [_values(span._replace(start=place, end=place + 1)) for span, place in _some(shown)]
    if not told and not loose:
        return Stretch(np.zeros(0), np.zeros(0)), 0
    together = _in_order([*told, *loose])
    chosen = np.array(_some(range(len(together.x))), np.intp)
    return Stretch(together.x[chosen], together.y[chosen]), total


def _first_of_each_row(places: Rows) -> Rows:
    return places[np.diff(places.astype(np.int64), prepend=-2) > 1]


def _some(items: Sequence[T]) -> list[T]:
    """At most so many as are marked, from all over, the first among them."""
    if len(items) <= MOST_MARKS:
        return list(items)
    return [items[len(items) * number // MOST_MARKS] for number in range(MOST_MARKS)]


def _neighbours(spans: list[Span], loose: list[Stretch], low: float, high: float) -> Iterator[Stretch]:
    """The points just outside a range, so that lines run on to its edges."""
    left: list[Stretch] = []
    right: list[Stretch] = []
    for span in spans:
        if span.first < low and (at := span.find(low)) > span.start:
            left.append(_values(span._replace(start=at - 1, end=at)))
        if span.last > high and (at := span.find(high, after=True)) < span.end:
            right.append(_values(span._replace(start=at, end=at + 1)))
    for part in loose:
        before, after = np.searchsorted(part.x, low, "left"), np.searchsorted(part.x, high, "right")
        left += [Stretch(part.x[before - 1 : before], part.y[before - 1 : before])] if before else []
        right += [Stretch(part.x[after : after + 1], part.y[after : after + 1])] if after < len(part.x) else []
    if left:
        yield max(left, key=lambda part: float(part.x[0]))
    if right:
        yield min(right, key=lambda part: float(part.x[0]))


def _last(spans: list[Span], loose: list[Stretch], last: float) -> float | None:
    """The value with which a curve ends."""
    found = [float(span.part.values(span.end - 1, span.end)[0]) for span in spans if span.last == last]
    found += [float(part.y[-1]) for part in loose if part.x[-1] == last]
    return found[-1] if np.isfinite(found[-1]) else None


def rows(attempts: Sequence[Attempt], wanted: Wanted, zero: float = 0.0) -> Iterator[Stretch]:
    """All that a curve is drawn from, some thousand values at a time, in order; NaN and infinities as they are."""
    shift = zero if wanted.axis == "relative" else 0.0
    low = -inf if wanted.start is None else wanted.start + shift
    high = inf if wanted.end is None else wanted.end + shift
    spans, loose, _ = _laid(attempts, wanted.axis)
    inside = sorted((_window(span, low, high) for span in spans), key=lambda span: span.first)
    apart = all(one.last <= other.first for one, other in pairwise(inside))
    if loose or not apart:
        parts = [*map(_values, inside), *(_held(part, low, high) for part in loose)]
        spread: Iterator[Stretch] = iter([_in_order(parts)])
    else:
        spread = (part for span in inside for part in _by_pieces(span))
    for part in spread:
        for start in range(0, len(part.x), ROWS_AT_ONCE):
            yield Stretch(part.x[start : start + ROWS_AT_ONCE] - shift, part.y[start : start + ROWS_AT_ONCE])


def _by_pieces(span: Span) -> Iterator[Stretch]:
    for start in range(span.start, span.end, ROWS_AT_ONCE):
        yield _values(span._replace(start=start, end=min(start + ROWS_AT_ONCE, span.end)))
