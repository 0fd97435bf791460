"""The part of the rows that a query asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from whirr.expression import Node
from whirr.expression.matching import moment_of, stamp_of
from whirr.expression.times import TIMES
from whirr.runtable.column import OTHER, Column
from whirr.runtable.grouping import Grouped, grouped, label, sampled, spreads
from whirr.runtable.rows import Rows
from whirr.runtable.sources import TAG, Source
from whirr.runtable.views import ColumnView, GroupView, RowView, TableQuery
from whirr.where import MISSING

if TYPE_CHECKING:
    from whirr.runtable.column import Slots

OWN = ("name", "status", "cause", "started", "duration", "job")
LONGEST_CAUSE = 300


class Picture:
    """See the module. Made and looked at while nobody changes the rows.

    Args:
        tree: the filter of the query.
        keys: of the columns.
        now: seconds since 1970.

    Attributes:
        slots: of the chosen runs, in their order.

    Raises:
        UsageError: there are too many groups, or a regular expression takes too long.
    """

    def __init__(self, rows: Rows, query: TableQuery, tree: Node, keys: Sequence[str], now: float) -> None:
        self._rows, self._query, self._keys, self._now = rows, query, keys, now
        self._own = {key: rows.column(key) for key in OWN}
        self._columns = [rows.column(key) for key in keys]
        by = rows.column(query.sort_key) if query.sort_key else None
        self.slots = chosen(rows, query, tree, now)
        if by is not None:
            self.slots = by.sorted(self.slots, descending=query.descending)
        self._groups: Grouped | None = None
        if query.group:
            by_key = rows.column(query.group)
            self._groups = grouped(query.group, by_key, self.slots, by, descending=query.descending)
            self.slots = self._groups.order

    def columns(self) -> tuple[ColumnView, ...]:
        """The columns, with the bounds of the chosen runs."""
        return tuple(map(self._column, self._keys, self._columns))

    def _column(self, key: str, column: Column | None) -> ColumnView:
        if column is None or key in TIMES:
            return ColumnView(key, "field" if key in TIMES else "config", None, None, "text")
        low, high = column.bounds(self.slots)
        kind = "number" if column.is_numeric(self.slots) else "text"
        return ColumnView(key, self._rows.room_of(key, self.slots), low, high, kind)

    def groups(self) -> tuple[GroupView, ...]:
        """The groups, in order."""
        found = self._groups
        if found is None:
            return ()
        columns = [
            spreads(None if key in TIMES else column, found.order, found.group, len(found.values))
            for key, column in zip(self._keys, self._columns, strict=True)
        ]
        key = self._query.group
        return tuple(
            GroupView(_plain(key, value), label(key, value), size, start, tuple(column[number] for column in columns))
            for number, (value, size, start) in enumerate(zip(found.values, found.counts, found.starts, strict=True))
        )

    def rows(self) -> tuple[RowView, ...]:
        """The rows that are asked for."""
        return tuple(map(self._row, self._places()))

    def _places(self) -> Sequence[int]:
        query = self._query
        if query.sample and self._groups is not None:
            return sampled(self._groups, self._rows.ids, query.sample)
        return range(query.start, min(query.start + query.limit, len(self.slots)))

    def _row(self, place: int) -> RowView:
        slot, groups = int(self.slots[place]), self._groups
        own = {key: self._cell(key, column, slot) for key, column in self._own.items()}
        tags = self._rows.built(Source("field", (TAG,))).get(slot)
        return RowView(
            id=self._rows.ids[slot],
            name=own["name"],
            status=own["status"],
            cause=own["cause"] and own["cause"].partition("\n")[0][:LONGEST_CAUSE],
            started_at=own["started"],
            duration_seconds=self._duration(own),
            job_id=own["job"],
            tags=() if tags is MISSING else tags,
            group=groups and label(self._query.group, groups.values[groups.group[place]]),
            progress=None,
            logged=self._rows.has_logged(slot),
            cells=tuple(self._cell(key, column, slot) for key, column in zip(self._keys, self._columns, strict=True)),
        )

    def _duration(self, own: dict[str, Any]) -> float | None:
        duration, started = own["duration"], moment_of(own["started"])
        if duration is None and own["status"] == "running" and isinstance(started, float):
            return max(self._now - started, 0.0)
        return duration if isinstance(duration, int | float) else None

    def _cell(self, key: str, column: Column | None, slot: int) -> Any:
        return None if column is None else _plain(key, column.get(slot))


def chosen(rows: Rows, query: TableQuery, tree: Node, now: float) -> Slots:
    """The slots of the runs for which a filter holds, newest first, without those in states that are hidden.

    Raises:
        UsageError: a regular expression takes too long.
    """
    slots: Slots = rows.order[rows.passing(tree, now)[rows.order]]
    status = rows.column("status")
    if not query.hide or status is None:
        return slots
    hidden = [place for place, word in enumerate(status.others) if word in query.hide]
    seen: Slots = slots[~((status.kinds[slots] == OTHER) & np.isin(status.numbers[slots], hidden))]
    return seen


def _plain(key: str, value: Any) -> Any:
    """A value as JSON can have it; objects and lists as text."""
    if value is MISSING:
        return None
    if key in TIMES:
        return stamp_of(value)
    return value if isinstance(value, str | int | float | bool | None) else label(key, value)
