"""The values of one key for many runs, as arrays: nine bytes a run, compared and sorted all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from whirr.expression.matching import Question, always
from whirr.where import MISSING, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Slots = NDArray[np.int64]

ABSENT, FLOAT, INT, BOOL, NULL, OTHER = range(6)
EXACT = 2**53
"""Integers below this are floats without loss; larger ones are kept like texts."""

TOO_MANY = 4
"""So many times as many distinct values as runs are kept before those that no run has any more are dropped."""


class Column:
    """Values by slot. Texts, objects and large integers are kept once each, and by their number.

    Attributes:
        kinds: what a slot holds.
        numbers: the number it holds, or the number of its value among ``others``.
        others: the distinct values that are no numbers.
    """

    def __init__(self, size: int) -> None:
        self.kinds = np.zeros(size, np.uint8)
        self.numbers = np.zeros(size, np.float64)
        self.others: list[Any] = []
        self._places: dict[Any, int] = {}

    def grow(self, size: int) -> None:
        """Make room for more slots."""
        more = size - len(self.kinds)
        self.kinds = np.concatenate([self.kinds, np.zeros(more, np.uint8)])
        self.numbers = np.concatenate([self.numbers, np.zeros(more, np.float64)])

    def fill(self, cleared: Sequence[int], slots: Sequence[int], values: Sequence[Any]) -> None:
        """Take the values of some slots away, then set those of some; MISSING is none."""
        self.kinds[cleared] = ABSENT
        if slots:
            kinds, numbers = zip(*map(self._stored, values), strict=True)
            self.kinds[slots], self.numbers[slots] = kinds, numbers

    def _stored(self, value: Any) -> tuple[int, float]:
        kind = type(value)
        if kind is float:
            return FLOAT, value
        if kind is int and -EXACT < value < EXACT:
            return INT, value
        if kind is bool:
            return BOOL, value
        if value is MISSING:
            return ABSENT, 0
        return (NULL, 0) if value is None else (OTHER, self._place(value))

    def _place(self, value: Any) -> int:
        key = value if isinstance(value, str | int | tuple) else ("", text_of(value))
        place = self._places.get(key)
        if place is None:
            if len(self.others) > TOO_MANY * len(self.kinds) + 1000:
                self._drop_unused()
            place = self._places[key] = len(self.others)
            self.others.append(value)
        return place

    def _drop_unused(self) -> None:
        used = self.kinds == OTHER
        kept, places = np.unique(self.numbers[used].astype(np.int64), return_inverse=True)
        self.numbers[used] = places
        keys = list(self._places)
        self._places = {keys[old]: new for new, old in enumerate(kept)}
        self.others = [self.others[old] for old in kept]

    def get(self, slot: int) -> Any:
        """The value, or MISSING."""
        return self._value(int(self.kinds[slot]), self.numbers[slot])

    def _value(self, kind: int, number: Any) -> Any:
        if kind == OTHER:
            return self.others[int(number)]
        if kind in (ABSENT, NULL):
            return None if kind == NULL else MISSING
        return float(number) if kind == FLOAT else int(number) if kind == INT else bool(number)

    @property
    def present(self) -> Mask:
        """Which slots have a value."""
        there: Mask = self.kinds != ABSENT
        return there

    def finite(self, slots: Slots) -> Mask:
        """Which of these slots have a finite number that is no bool."""
        kinds = self.kinds[slots]
        found: Mask = ((kinds == FLOAT) | (kinds == INT)) & np.isfinite(self.numbers[slots])
        return found

    def is_numeric(self, slots: Slots) -> bool:
        """Whether these slots hold numbers, and nothing else."""
        kinds = self.kinds[slots]
        there = kinds[(kinds != ABSENT) & (kinds != NULL)]
        return len(there) > 0 and bool(((there == FLOAT) | (there == INT)).all())

    def bounds(self, slots: Slots) -> tuple[float | None, float | None]:
        """The smallest and the largest finite number in these slots."""
        numbers = self.numbers[slots[self.finite(slots)]]
        return (float(numbers.min()), float(numbers.max())) if len(numbers) else (None, None)

    def varies(self, slots: Slots) -> bool:
        """Whether two of these slots hold different values; lists and objects count as none."""
        there = slots[(self.kinds[slots] != ABSENT) & (self.kinds[slots] != NULL)]
        if not len(there) or isinstance(self.get(int(there[0])), list | dict):
            return False
        kinds, numbers = self.kinds[there], self.numbers[there]
        return bool(
            ((kinds != kinds[0]) | ((numbers != numbers[0]) & ~(np.isnan(numbers) & np.isnan(numbers[0])))).any()
        )

    def distinct(self, slots: Slots, most: int | None = None) -> list[Any]:
        """The different values in these slots, numbers first; of many, about ``most``."""
        kinds, numbers = self.kinds[slots], self.numbers[slots]
        found: list[Any] = []
        for kind in (FLOAT, INT, BOOL, OTHER):
            different = np.unique(numbers[kinds == kind])[: None if most is None else most - len(found)]
            found += [self._value(kind, number) for number in different]
        return found

    def passing(self, question: Question) -> Mask:
        """The slots in which a question is answered."""
        present = self.present
        found = present if question.ask is always else self._asked(question)
        if question.turned:
            found = present & ~found
        return np.logical_or(found, ~present) if question.absent else found

    def _asked(self, question: Question) -> Mask:
        found = np.zeros(len(self.kinds), np.bool_)
        numeric = (self.kinds == FLOAT) | (self.kinds == INT)
        if question.interval is not None:
            low, high = question.interval
            found = numeric & (self.numbers >= low) & (self.numbers <= high)
        else:
            self._ask_each(found, FLOAT, question, float)
            self._ask_each(found, INT, question, int)
        self._ask_each(found, BOOL, question, bool)
        self._ask_each(found, OTHER, question, lambda place: self.others[int(place)])
        nulls = self.kinds == NULL
        if nulls.any():
            found |= nulls & question.ask(None)
        return found

    def _ask_each(self, found: Mask, kind: int, question: Question, value: Callable[[Any], Any]) -> None:
        """Put the question to each different value once."""
        slots = np.flatnonzero(self.kinds == kind)
        if len(slots):
            different, places = np.unique(self.numbers[slots], return_inverse=True)
            answers = np.fromiter((question.ask(value(number)) for number in different), np.bool_, len(different))
            found[slots] = answers[places]

    def sorted(self, slots: Slots, *, descending: bool) -> Slots:
        """Slots in the order of ``where.sort_by``: numbers, then texts; those without a value last, either way."""
        kinds, numbers = self.kinds[slots], self.numbers[slots]
        other = kinds == OTHER
        if other.any():
            amounts = np.array([_amount(value) for value in self.others])
            numbers = np.where(other, amounts[np.where(other, numbers, 0).astype(np.int64)], numbers)
        is_number = (kinds != ABSENT) & (kinds != NULL) & ~np.isnan(numbers)
        is_text = other & ~is_number
        by_number = _by(slots[is_number], numbers[is_number], descending)
        by_text = _by(slots[is_text], self._ranks(slots[is_text]), descending)
        parts = [by_text, by_number] if descending else [by_number, by_text]
        return np.concatenate([*parts, slots[~(is_number | is_text)]])

    def _ranks(self, slots: Slots) -> NDArray[np.int64]:
        """Numbers that stand to each other as the texts in these slots do."""
        used, places = np.unique(self.numbers[slots].astype(np.int64), return_inverse=True)
        texts = [text_of(self.others[place]) for place in used]
        ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
        return np.array([ranks[text] for text in texts], np.int64)[places]


def _amount(value: Any) -> float:
    """A large integer as a float; NaN: the value is none."""
    if not isinstance(value, int):
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _by(slots: Slots, ranks: NDArray[Any], descending: bool) -> Slots:
    return slots[np.argsort(-ranks if descending else ranks, kind="stable")]


def merged(columns: Iterable[Column]) -> Column:
    """In each slot the value of the first column that has one."""
    first, *rest = columns
    found = Column(len(first.kinds))
    found.kinds, found.numbers = first.kinds.copy(), first.numbers.copy()
    found.others, found._places = list(first.others), dict(first._places)
    for column in rest:
        slots = np.flatnonzero((found.kinds == ABSENT) & column.present)
        found.kinds[slots], found.numbers[slots] = column.kinds[slots], column.numbers[slots]
        others = slots[column.kinds[slots] == OTHER]
        used, places = np.unique(column.numbers[others].astype(np.int64), return_inverse=True)
        found.numbers[others] = np.array([found._place(column.others[place]) for place in used], np.float64)[places]
    return found
