"""What of the configuration goes with a result: rank correlations over all runs that were chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from whirr.runtable.column import Column
from whirr.runtable.grouping import codes_of
from whirr.runtable.keys import name_of
from whirr.runtable.rows import Rows
from whirr.runtable.sources import Source
from whirr.where import MISSING, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from whirr.runtable.column import Slots

    Numbers = NDArray[np.float64]

MOST_AXES = 6
MOST_CATEGORIES = 12
FEWEST = 4
"""Pairs of values; fewer say nothing."""

CHANCE = re.compile(r"(^|[._-])seed$", re.IGNORECASE)
"""What runs are told to differ in by chance explains nothing."""


class Axis(NamedTuple):
    """A key of the configuration, or the metric that it is held against.

    Attributes:
        kind: ``number`` or ``category``.
        categories: texts of the values of a category, by the mean of the metric over their runs.
        lo: the smallest finite number of all runs; None of a category.
        hi: the largest.
        r: rank correlation with the metric, -1 to 1; None where there is none: of more than two categories, of fewer
            than four runs, of the metric itself.
        values: of the runs that are shown, in their order; None where a run has none.
    """

    key: str
    kind: str
    categories: tuple[str, ...]
    lo: float | None
    hi: float | None
    r: float | None
    values: tuple[float | str | None, ...]


class Mattered(NamedTuple):
    """What mattered.

    Attributes:
        runs: over so many of the chosen runs, those that have the metric.
        left_out: so many keys of the configuration were not looked at, as there are too many to keep.
        axes: of keys in which the runs differ, those that go with the metric most first, and that of the metric last;
            empty where there is nothing to compare.
    """

    runs: int
    left_out: int
    axes: tuple[Axis, ...]


class Mattering:
    """See the module. Made and looked at while nobody changes the rows.

    Args:
        chosen: the slots of the runs that count.
        metric: what they logged; its last value is the result.
        shown: the ids of the runs whose values are wanted. They may be others.
    """

    def __init__(self, rows: Rows, chosen: Slots, metric: str, shown: Sequence[str]) -> None:
        self._rows = rows
        slots = [rows.slots.get(run_id) for run_id in shown]
        others = {slot for slot in slots if slot is not None} - set(chosen.tolist())
        self._slots = np.concatenate([chosen, np.array(sorted(others), np.int64)])
        place = {slot: place for place, slot in enumerate(self._slots.tolist())}
        self._places = [None if slot is None else place[slot] for slot in slots]
        self._source = Source("metrics", (metric,))
        self._known = self._source in rows.known()
        results = _numbers(rows.built(self._source), chosen) if self._known else np.full(len(chosen), np.nan)
        self._results = np.concatenate([results, np.full(len(others), np.nan)])

    def found(self) -> Mattered:
        """It."""
        name = name_of(self._rows, self._source)
        sources = [source for source in self._rows.known() if source.room == "config"]
        names = {source: name_of(self._rows, source) for source in sources}
        asked = [source for source in sources if not CHANCE.search(names[source])]
        left_out = sum(self._rows.peek(source) is None for source in asked)
        runs = int(np.count_nonzero(np.isfinite(self._results)))
        if not self._known or not (last := self._number(name, self._rows.built(self._source), None)):
            return Mattered(runs, left_out, ())
        found = [axis for source in asked if (axis := self._axis(names[source], self._rows.peek(source)))]
        found.sort(key=lambda axis: -abs(axis.r or 0.0))
        return Mattered(runs, left_out, (*found[:MOST_AXES], last) if found else ())

    def _axis(self, key: str, column: Column | None) -> Axis | None:
        """None: it does not vary, or is a name that every run has for itself."""
        if column is None or not column.varies(self._slots):
            return None
        if column.is_numeric(self._slots):
            return self._number(key, column, rank_correlation(_numbers(column, self._slots), self._results))
        return self._category(key, column)

    def _number(self, key: str, column: Column, r: float | None) -> Axis | None:
        low, high = column.bounds(self._slots)
        if low is None or low == high:
            return None
        numbers = _numbers(column, self._slots)
        shown = (None if place is None else float(numbers[place]) for place in self._places)
        values = tuple(None if number is None or np.isnan(number) else number for number in shown)
        return Axis(key, "number", (), low, high, r, values)

    def _category(self, key: str, column: Column) -> Axis | None:
        codes, values = codes_of(column, self._slots)
        texts = [None if value is MISSING else text_of(value) for value in values]
        if not 2 <= len(set(texts) - {None}) <= MOST_CATEGORIES:
            return None
        known = np.isfinite(self._results)
        sums = np.bincount(codes[known], self._results[known], len(texts))
        means = sums / np.maximum(np.bincount(codes[known], minlength=len(texts)), 1)
        ranked = sorted(range(len(texts)), key=lambda code: (means[code], str(texts[code])))
        categories = list(dict.fromkeys(text for code in ranked if (text := texts[code]) is not None))
        places = np.array([np.nan if text is None else categories.index(text) for text in texts])[codes]
        r = rank_correlation(places, self._results) if len(categories) == 2 else None
        shown = tuple(None if place is None else texts[codes[place]] for place in self._places)
        return Axis(key, "category", tuple(categories), None, None, r, shown)


def rank_correlation(one: Numbers, other: Numbers) -> float | None:
    """Spearman's, of the pairs in which both are finite; None: they are too few, or all the same on one side."""
    both = np.isfinite(one) & np.isfinite(other)
    if np.count_nonzero(both) < FEWEST:
        return None
    first, second = _ranks(one[both]), _ranks(other[both])
    first, second = first - first.mean(), second - second.mean()
    norm = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / norm) if norm else None


def _ranks(values: Numbers) -> Numbers:
    """Ranks; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Numbers = (ends - (counts - 1) / 2)[places]
    return ranks


def _numbers(column: Column, slots: Slots) -> Numbers:
    """The finite numbers in these slots; NaN where there is none."""
    return np.where(column.finite(slots), column.numbers[slots], np.nan)
