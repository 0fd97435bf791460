"""``RunTable``: the runs as the dashboard shows them, answered from memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, time
from typing import Generic, TypeVar

import numpy as np

from whirr.catalog import STATUSES
from whirr.expression import Node, parse
from whirr.expression.keys import Keys
from whirr.expression.remarks import remarks
from whirr.index import RunIndex
from whirr.progress import read_progress
from whirr.roster import Roster
from whirr.runtable.keys import all_keys, keys_of, tags_of
from whirr.runtable.mattering import Mattered, Mattering
from whirr.runtable.picture import Picture, chosen
from whirr.runtable.proposal import proposed
from whirr.runtable.reading import LOOK_EVERY_S, REST_S, Reader
from whirr.runtable.views import RowView, TablePage, TableQuery
from whirr.where import Remark

T = TypeVar("T")

WAIT_S, FIRST_WAIT_S = 0.3, 0.8
"""So long is waited for a look at the runs that takes long, and for everything to be read for the first time."""

PROGRESS_S = 2.0
REST = 20
"""What is derived from all runs is made anew after so many times as long as it takes."""


class RunTable:
    """See the module. Good for several threads.

    Args:
        index: the runs.
        roster: which there are.
        now: seconds since 1970.
        look_every_s: a look at the runs is not older than this when somebody asks.
        rest_s: as ``reading.REST_S``.
    """

    def __init__(
        self,
        index: RunIndex,
        roster: Roster,
        *,
        now: Callable[[], float] = time,
        look_every_s: float = LOOK_EVERY_S,
        rest_s: float = REST_S,
    ) -> None:
        self._folder, self._now = index.folder, now
        self._era = os.urandom(4).hex()
        self._reader = Reader(index, roster, look_every_s=look_every_s, rest_s=rest_s)
        self._proposed: _Kept[tuple[str, ...]] = _Kept(lambda: tuple(proposed(self._reader.rows)))
        self._keys: _Kept[Keys] = _Kept(lambda: keys_of(self._reader.rows))
        self._progress: dict[str, tuple[float, float | None]] = {}

    def page(self, query: TableQuery) -> TablePage:
        """The rows that a query asks for.

        Raises:
            UsageError: the filter cannot be understood (``at`` says where), or there are too many groups.
            FolderError: the runs cannot be read.
        """
        tree = parse(query.filter)
        self._reader.refresh(WAIT_S, FIRST_WAIT_S)
        with self._reader.lock:
            page = self._page(query, tree)
        if self._reader.verify([row.id for row in page.rows], WAIT_S):
            with self._reader.lock:
                page = self._page(query, tree)
        return page._replace(rows=tuple(map(self._with_progress, page.rows)))

    def mattered(self, query: TableQuery, metric: str, shown: Sequence[str]) -> Mattered:
        """What of the configuration goes with the last value of a metric, over all runs that a query chooses.

        Args:
            shown: the runs whose own values are wanted.

        Raises:
            UsageError: the filter cannot be understood (``at`` says where).
            FolderError: the runs cannot be read.
        """
        tree = parse(query.filter)
        self._reader.refresh(WAIT_S, FIRST_WAIT_S)
        with self._reader.lock:
            rows = self._reader.rows
            return Mattering(rows, chosen(rows, query, tree, self._now()), metric, shown).found()

    def keys(self) -> Keys:
        """The keys that runs have, and what values they have there.

        Raises:
            FolderError: the runs cannot be read.
        """
        self._reader.refresh(WAIT_S, FIRST_WAIT_S)
        with self._reader.lock:
            return self._keys.get(self._reader.version)

    def settle(self, wait_s: float = 60.0) -> bool:
        """Wait until everything has been read; whether it was."""
        return self._reader.settle(wait_s)

    def _page(self, query: TableQuery, tree: Node) -> TablePage:
        reader, now, reading = self._reader, self._now(), self._reader.progress
        keys = self._proposed.get(reader.version) if query.columns is None else query.columns
        picture = Picture(reader.rows, query, tree, keys, now)
        return TablePage(
            every=reading.of if reading else len(reader.rows.order),
            chosen=len(picture.slots),
            running=self._running(),
            version=f"{self._era}-{reader.version}",
            now=now,
            reading=reading,
            remarks=tuple(self._remarks(tree)) if query.filter else (),
            columns=picture.columns(),
            groups=picture.groups(),
            rows=picture.rows(),
        )

    def _running(self) -> int:
        rows = self._reader.rows
        column = rows.column("status")
        if column is None or "running" not in column.others:
            return 0
        return int(np.count_nonzero(column.numbers[rows.order] == column.others.index("running")))

    def _remarks(self, tree: Node) -> list[Remark]:
        rows = self._reader.rows

        def known(key: str) -> bool:
            column = rows.column(key)
            return column is not None and bool(column.present.any())

        def keys() -> Iterable[str]:
            return all_keys(rows)

        return remarks(tree, known, keys, {"status": STATUSES, "tag": tags_of(rows)})

    def _with_progress(self, row: RowView) -> RowView:
        if row.status != "running":
            return row
        until, share = self._progress.get(row.id, (0.0, None))
        if monotonic() > until:
            if len(self._progress) > 1000:
                self._progress.clear()
            found = read_progress(self._folder / row.id)
            share = min(found.done / found.total, 1.0) if found.done is not None and found.total else None
            self._progress[row.id] = (monotonic() + PROGRESS_S, share)
        return row._replace(progress=share)


class _Kept(Generic[T]):
    """Something made of all rows, kept while they are as they were, and for a time that making it is worth."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: T | None = None
        self._version, self._until = -1, 0.0

    def get(self, version: int) -> T:
        """It; for who holds the lock of the rows."""
        began = monotonic()
        if self._made is None or (version != self._version and began >= self._until):
            self._made, self._version = self._make(), version
            self._until = monotonic() + REST * (monotonic() - began)
        return self._made
