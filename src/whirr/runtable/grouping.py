"""Runs in groups by the value of a key, with mean and spread of their numbers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from whirr.errors import UsageError
from whirr.expression.matching import stamp_of
from whirr.expression.times import TIMES
from whirr.runtable.column import ABSENT, FLOAT, INT, NULL, Column
from whirr.runtable.views import Spread
from whirr.where import MISSING, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from whirr.runtable.column import Slots

MOST = 500
NO_VALUE = "none"


class Grouped(NamedTuple):
    """Runs by group.

    Attributes:
        order: their slots, one group after the other.
        group: of each of these slots, the number of its group.
        values: of each group; MISSING: the runs without the key.
        starts: where each group begins.
        counts: how many runs are in it.
    """

    order: Slots
    group: NDArray[np.int64]
    values: list[Any]
    starts: list[int]
    counts: list[int]


def grouped(key: str, column: Column | None, slots: Slots, by: Column | None, *, descending: bool) -> Grouped:
    """Put runs into groups, which stand in the order of the mean of a column, else in that of their first runs.

    Args:
        slots: in the order that is kept inside of a group.
        by: the column by which they are sorted.

    Raises:
        UsageError: there are too many groups.
    """
    codes, values = codes_of(column, slots)
    if len(values) > MOST:
        message = f"{key} has {len(values)} different values: too many for groups"
        raise UsageError(message, hint=f"at most {MOST}; group by another key")
    means = [spread.mean if spread else math.nan for spread in spreads(by, slots, codes, len(values))]
    ranked = sorted(range(len(values)), key=lambda group: _rank(values[group], means[group], descending))
    place = np.empty(len(values), np.int64)
    place[ranked] = np.arange(len(values))
    order = np.argsort(place[codes], kind="stable")
    counts = np.bincount(place[codes], minlength=len(values))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(values) else np.zeros(0, np.int64)
    return Grouped(
        slots[order], place[codes][order], [values[group] for group in ranked], starts.tolist(), counts.tolist()
    )


def _rank(value: Any, mean: float, descending: bool) -> tuple[bool, bool, float]:
    """Those without the key last, before them those without a mean; the order of groups that are equal stays."""
    return value is MISSING, math.isnan(mean), 0.0 if math.isnan(mean) else -mean if descending else mean


def codes_of(column: Column | None, slots: Slots) -> tuple[NDArray[np.int64], list[Any]]:
    """Of each run the number of its value, and the values, both in the order in which they come first."""
    if column is None:
        return np.zeros(len(slots), np.int64), [MISSING] if len(slots) else []
    kinds, numbers = column.kinds[slots], column.numbers[slots]
    absent, unlike = (kinds == ABSENT) | (kinds == NULL), np.isnan(numbers)
    pairs = np.empty(len(slots), np.complex128)  # pairs of kind and number, told apart at once
    pairs.real = np.where(kinds == INT, FLOAT, np.where(absent, ABSENT, np.where(unlike, -1, kinds)))
    pairs.imag = np.where(absent | unlike, 0, numbers)
    _, first, codes = np.unique(pairs, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    values = [column.get(int(slots[index])) for index in np.sort(first)]
    return place[codes], [MISSING if value is None else value for value in values]


def spreads(column: Column | None, slots: Slots, codes: NDArray[np.int64], groups: int) -> list[Spread | None]:
    """Mean and spread of a column in each group; None where it has no finite number."""
    if column is None:
        return [None] * groups
    finite = column.finite(slots)
    codes, numbers = codes[finite], column.numbers[slots[finite]]
    counts = np.bincount(codes, minlength=groups)
    means = np.bincount(codes, numbers, groups) / np.maximum(counts, 1)
    squares = np.bincount(codes, (numbers - means[codes]) ** 2, groups)
    return [
        Spread(float(mean), math.sqrt(square / (n - 1)) if n > 1 else None, int(n)) if n else None
        for mean, square, n in zip(means, squares, counts, strict=True)
    ]


def sampled(groups: Grouped, ids: Sequence[str], most: int) -> list[int]:
    """Places in the order of the groups: of all runs, or of so many, as many of each group as of the others.

    Of a larger group it is a part that has nothing to do with the order and stays the same while runs come and go. At
    least one run of each group is among them, so that there may be more.
    """
    share = _share(groups.counts, most)
    found: list[int] = []
    for start, count in zip(groups.starts, groups.counts, strict=True):
        places = list(range(start, start + count))
        by_chance = sorted(places, key=lambda place: zlib.crc32(ids[int(groups.order[place])].encode()))
        found += places if count <= share else sorted(by_chance[:share])
    return found


def _share(counts: Sequence[int], most: int) -> int:
    """How many of each group there can be."""
    left = most
    for place, count in enumerate(sorted(counts)):
        share = left // (len(counts) - place)
        if count > share:
            return max(share, 1)
        left -= count
    return most


def label(key: str, value: Any) -> str:
    """The value of a group for people."""
    if value is MISSING:
        return NO_VALUE
    return stamp_of(value) if key in TIMES else text_of(value)
