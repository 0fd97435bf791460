"""What is asked of the table of runs, and what it answers."""

from __future__ import annotations

from typing import Any, NamedTuple

from whirr.where import Remark


class TableQuery(NamedTuple):
    """Which runs to show, and what of them.

    Attributes:
        filter: an expression that holds for the runs.
        hide: states whose runs are left out.
        sort: a key, with ``-`` before it largest first; empty: newest first.
        group: a key; empty: no groups.
        columns: keys; None: those that are proposed.
        start: so many rows are passed over.
        limit: so many are given at most.
        sample: not these are given, but so many of all groups (``grouping.sampled``); 0: it is not so.
    """

    filter: str = ""
    hide: tuple[str, ...] = ()
    sort: str = ""
    group: str = ""
    columns: tuple[str, ...] | None = None
    start: int = 0
    limit: int = 100
    sample: int = 0

    @property
    def sort_key(self) -> str:
        """The key to sort by; empty: none."""
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the largest comes first."""
        return self.sort.startswith("-")


class ColumnView(NamedTuple):
    """A column.

    Attributes:
        room: where most of the runs have the key: ``field``, ``summary``, ``metrics``, ``config``.
        lo: the smallest finite number among the chosen runs; None: there is none.
        hi: the largest.
        kind: ``number`` where all values are numbers, else ``text``.
    """

    key: str
    room: str
    lo: float | None
    hi: float | None
    kind: str


class Spread(NamedTuple):
    """The numbers of a group in a column.

    Attributes:
        mean: of all of them.
        sd: the standard deviation of the sample; None of a single one.
        n: how many there are.
    """

    mean: float
    sd: float | None
    n: int


class GroupView(NamedTuple):
    """A group.

    Attributes:
        value: what its runs have in common; None: they do not have the key.
        label: that for people.
        size: how many runs are in it.
        start: the number of its first row among all chosen.
        cells: one a column; None where no run of the group has a finite number.
    """

    value: Any
    label: str
    size: int
    start: int
    cells: tuple[Spread | None, ...]


class RowView(NamedTuple):
    """A run; the values of its cells are as in ``whirr runs --json``, times are UTC stamps.

    Attributes:
        cause: why it did not end well, in words.
        duration_seconds: of a run that goes on: up to now.
        group: the label of its group; None without groups.
        progress: how much of it is done, 0 to 1; None where that is not known.
        logged: whether it has logged numbers.
        cells: one a column; None where it does not have the key.
    """

    id: str
    name: str | None
    status: str
    cause: str | None
    started_at: str | None
    duration_seconds: float | None
    job_id: str | int | None
    tags: tuple[str, ...]
    group: str | None
    progress: float | None
    logged: bool
    cells: tuple[Any, ...]


class Reading(NamedTuple):
    """How far the reading of runs has come: ``done`` of all ``of``."""

    done: int
    of: int


class TablePage(NamedTuple):
    """The answer to a query.

    Attributes:
        every: how many runs there are.
        chosen: how many of them the query chose.
        running: how many of all are running.
        version: another one means that something has changed.
        now: seconds since 1970.
        reading: how far the reading has come where it goes on, and runs or values are still missing; None: all is read.
        remarks: what in the filter may be misspelt.
    """

    every: int
    chosen: int
    running: int
    version: str
    now: float
    reading: Reading | None
    remarks: tuple[Remark, ...]
    columns: tuple[ColumnView, ...]
    groups: tuple[GroupView, ...]
    rows: tuple[RowView, ...]
