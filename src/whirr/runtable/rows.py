"""All runs in memory, flat: a slot for each run, a column for each key that a run has."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from whirr.catalog import RunView
from whirr.expression import And, Node, Not, Or, question_of, value_of
from whirr.expression.matching import TAGS, WORDS, Question
from whirr.runtable.column import BOOL, FLOAT, INT, Column, merged
from whirr.runtable.sources import ROOMS, TAG, Source, Spellings, metrics_of, record_of, value_at
from whirr.where import FIELDS, find

if TYPE_CHECKING:
    from whirr.runtable.column import Mask, Slots

FIRST_SIZE = 1024
MOST_BYTES = 96 << 20
"""Of all columns together. Those for which nobody has asked for the longest time go first; they can be made anew."""

BYTES_A_SLOT = 9
NUMBERS = (FLOAT, INT, BOOL)
NOTHING: tuple[list[int], list[Any]] = ([], [])


class View(Protocol):
    """Gives a run as it was when it was read last."""

    def __call__(self, run_id: str, *, record: bool, metrics: bool) -> RunView:
        """Only its record or its metrics where the other is not wanted."""


class Rows:
    """See the module. For one thread at a time.

    Args:
        view: a run as it was when it was read last, by its id, or only its record or its metrics.
        most_bytes: as ``MOST_BYTES``.

    Attributes:
        order: the slots of the runs, newest first.
        ids: the id in each slot.
    """

    def __init__(self, view: View, most_bytes: int = MOST_BYTES) -> None:
        self._view = view
        self._most_bytes = most_bytes
        self._size = FIRST_SIZE
        self._free: list[int] = list(range(FIRST_SIZE))[::-1]
        self.slots: dict[str, int] = {}
        self.ids: list[str] = [""] * FIRST_SIZE
        self.order: Slots = np.zeros(0, np.int64)
        self._words: list[str] = [""] * FIRST_SIZE
        self._columns: OrderedDict[Source, Column | None] = OrderedDict()
        self._counts: dict[Source, int] = {}
        self._spellings = Spellings()
        for key in (*FIELDS, TAG):
            self._add(Source("field", (key,)))

    # Filling

    def put(self, runs: Sequence[RunView], *, metrics: bool) -> None:
        """Take in what is new of runs: their records, or, where ``metrics``, what they logged."""
        slots = [self._slot(run.id) for run in runs]
        found: dict[Source, tuple[list[int], list[Any]]] = {}
        for slot, run in zip(slots, runs, strict=True):
            for source, value in metrics_of(run) if metrics else record_of(run):
                places, values = found.setdefault(source, ([], []))
                places.append(slot)
                values.append(value)
            if not metrics:
                self._words[slot] = value_of(run, WORDS)
        for source in found.keys() - self._columns.keys():
            self._add(source)
        rooms = ("metrics",) if metrics else ("field", "summary", "config")
        for source, column in self._columns.items():
            if column is not None and source.room in rooms:
                column.fill(slots, *found.get(source, NOTHING))
        self._put_derived(runs, slots, ("part", "lookup") if metrics else ("lookup",))

    def _put_derived(self, runs: Sequence[RunView], slots: Sequence[int], rooms: tuple[str, ...]) -> None:
        derived = [(source, column) for source, column in self._columns.items() if column and source.room in rooms]
        views = [self._view(run.id, record=True, metrics=True) for run in runs] if derived else []
        for source, column in derived:
            column.fill(slots, slots, [value_at(view, source) for view in views])

    def _slot(self, run_id: str) -> int:
        slot = self.slots.get(run_id)
        if slot is None:
            if not self._free:
                self._grow()
            slot = self.slots[run_id] = self._free.pop()
            self.ids[slot] = run_id
        return slot

    def _grow(self) -> None:
        size = 2 * self._size
        self._free = list(range(self._size, size))[::-1]
        self.ids += [""] * self._size
        self._words += [""] * self._size
        for column in self._columns.values():
            if column:
                column.grow(size)
        self._size = size
        self._keep_within_bounds()

    def remove(self, run_ids: Iterable[str]) -> None:
        """Forget runs."""
        for run_id in run_ids:
            slot = self.slots.pop(run_id, None)
            if slot is not None:
                for column in self._columns.values():
                    if column:
                        column.fill([slot], [], [])
                self.ids[slot] = self._words[slot] = ""
                self._free.append(slot)

    def arrange(self, run_ids: Sequence[str]) -> None:
        """Set the order of the runs that are there; others are left out."""
        slots = self.slots
        self.order = np.fromiter((slots[run_id] for run_id in run_ids if run_id in slots), np.int64)

    def _add(self, source: Source) -> Column:
        column = self._columns[source] = Column(self._size)
        self._keep_within_bounds()
        self._spellings.add(source)
        return column

    def _keep_within_bounds(self) -> None:
        most = max(self._most_bytes // (BYTES_A_SLOT * self._size), 2 * len(FIELDS))
        if len(self._columns) > most:
            kept = [source for source, column in self._columns.items() if column and source.room != "field"]
            for source in kept[: max(len(kept) - most, 0)]:
                self._drop(source)

    def _drop(self, source: Source) -> None:
        column = self._columns[source]
        if source.room in ("part", "lookup"):
            del self._columns[source]
        elif column is not None:
            self._counts[source] = int(np.count_nonzero(column.present))
            self._columns[source] = None

    # Asking

    def sources(self, key: str) -> list[Source]:
        """As ``Spellings.sources``."""
        return self._spellings.sources(key)

    def column(self, key: str) -> Column | None:
        """The values that ``expression.value_of`` gives for a key; None where no run has had it."""
        sources = self._spellings.sources(key)
        columns = self._built(sources)
        return None if not columns else columns[0] if len(columns) == 1 else merged(columns)

    def _built(self, sources: Sequence[Source]) -> list[Column]:
        lacking = [source for source in sources if self._columns.get(source) is None]
        for source in sources:
            if source in self._columns:
                self._columns.move_to_end(source)
        if lacking:
            self._build(lacking)
        return [cast(Column, self._columns[source]) for source in sources]

    def _build(self, sources: Sequence[Source]) -> None:
        """Make columns from what was read of all runs."""
        rooms = {source.room for source in sources}
        record, metrics = bool(rooms - {"part", "metrics"}), bool(rooms & {"part", "metrics", "lookup"})
        values: list[list[Any]] = [[] for _ in sources]
        for run_id in self.slots:
            run = self._view(run_id, record=record, metrics=metrics)
            for source, found in zip(sources, values, strict=True):
                found.append(value_at(run, source))
        slots = list(self.slots.values())
        for source, found in zip(sources, values, strict=True):
            column = self._columns[source] = Column(self._size)
            column.fill([], slots, found)
        self._keep_within_bounds()

    def built(self, source: Source) -> Column:
        """The column of a source that there is."""
        return self._built([source])[0]

    def peek(self, source: Source) -> Column | None:
        """The column of a source; None where it is not kept."""
        return self._columns.get(source)

    def count(self, source: Source) -> int:
        """How many runs have a value there."""
        column = self._columns.get(source)
        return self._counts.get(source, 0) if column is None else int(np.count_nonzero(column.present))

    def known(self) -> list[Source]:
        """Where there are values, but for fields, parts and lookups."""
        return [source for source in list(self._columns) if source.room in ROOMS]

    def has_logged(self, slot: int) -> bool:
        """Whether a run has logged a number."""
        columns = [column for source, column in self._columns.items() if source.room == "metrics"]
        if any(column is not None and column.kinds[slot] in NUMBERS for column in columns):
            return True
        return None in columns and bool(self._view(self.ids[slot], record=False, metrics=True).metrics)

    def room_of(self, key: str, slots: Slots) -> str:
        """Where most of these runs have a key: ``field``, ``summary``, ``metrics`` or ``config``."""
        counts = {"": 0}
        for source in self._spellings.sources(key):
            if source.room == "lookup":
                views = (self._view(self.ids[slot], record=True, metrics=True) for slot in slots[:100])
                return next((room for view in views if (room := find(view, key)[0])), "config")
            column = self.built(source)
            room = "metrics" if source.room == "part" else source.room
            counts[room] = counts.get(room, 0) + int(np.count_nonzero(column.kinds[slots]))
        return max(counts, key=counts.__getitem__) or next(
            (source.room for source in self._spellings.sources(key)), "field"
        )

    def passing(self, node: Node, now: float) -> Mask:
        """The slots for whose runs an expression holds.

        Raises:
            UsageError: a regular expression takes too long.
        """
        match node:
            case And(parts):
                found = np.ones(self._size, np.bool_)
                for part in parts:
                    found &= self.passing(part, now)
                return found
            case Or(parts):
                return cast("Mask", np.logical_or.reduce([self.passing(part, now) for part in parts]))
            case Not(part):
                return ~self.passing(part, now)
            case _:
                return self._answered(question_of(node, now))

    def _answered(self, question: Question) -> Mask:
        if question.key == WORDS:
            return np.fromiter(map(question.ask, self._words), np.bool_, self._size)
        if question.key in TAGS:
            return self.built(Source("field", (TAG,))).passing(question)
        column = self.column(question.key)
        return np.full(self._size, question.absent) if column is None else column.passing(question)
