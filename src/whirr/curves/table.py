"""Records as tables of numbers: what the lines of a file come to, by metric.

Metrics that stand in the very same records are a *group*: their steps and times are kept once. Texts and nulls are
no numbers and are left out; bools are 1 and 0; NaN and infinities stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from whirr import clock
from whirr.encode import INDEX, NON_FINITE, RESERVED, STEP, TIMESTAMP
from whirr.folder import decode

Numbers = NDArray[np.float64]
Rows = NDArray[np.uint32]
Records = list[dict[str, Any]]
Patterns = dict[tuple[str, ...], list[int]]

NUMBERS = frozenset((int, float, bool))
NEWLINE, QUOTE, BRACE = b'\n"{'
STAMP = len("2026-11-23T12:48:00.123456Z")
MICROSECONDS = np.dtype("datetime64[us]")


class Group(NamedTuple):
    """The records that some metrics stand in.

    Attributes:
        rows: their numbers, from the first record of the table.
        step: NaN where there is none.
        time: seconds since 1970; NaN where there is none.
        place: the record's ``_idx``, or its number in the file where it has none.
    """

    rows: Rows
    step: Numbers
    time: Numbers
    place: Numbers


class Column(NamedTuple):
    """One metric: the number of its group, and a value for each record of that."""

    group: int
    values: Numbers


class Table(NamedTuple):
    """Some consecutive records.

    Attributes:
        rows: how many, those without any number among them.
        groups: see ``Group``.
        columns: by metric.
    """

    rows: int
    groups: list[Group]
    columns: dict[str, Column]

    @property
    def size(self) -> int:
        """Bytes of all numbers."""
        return sum(28 * len(group.rows) for group in self.groups) + sum(
            8 * len(column.values) for column in self.columns.values()
        )


EMPTY = Table(0, [], {})


def parse(block: bytes, first: int) -> Table:
    """The table of whole lines, without the newline of the last; lines that are no records are left out.

    Args:
        first: how many records of the file come before these.
    """
    records = _one_a_line(block)
    if records is not None:
        quotes = int(np.count_nonzero(np.frombuffer(block, np.uint8) == QUOTE))
        found = _alike(records, first, quotes)
        if found is not None:
            return found
        patterns = _patterns(records)
        if not any(NON_FINITE in names for names in patterns):
            return _mixed(records, first, patterns, quotes)
    records = decode(block)[0]
    return _mixed(records, first, _patterns(records))


def _one_a_line(block: bytes) -> Records | None:
    """The records of lines that each begin with the only brace in them, which holds of flat ones; else None."""
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(text == NEWLINE)
    lines = len(ends) + 1
    if not block.startswith(b"{") or block.endswith(b"\n") or np.count_nonzero(text == BRACE) != lines:
        return None
    if not (text[ends + 1] == BRACE).all():
        return None
    try:
        records: Records = orjson.loads(b"[" + block.replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:
        return None
    return records if len(records) == lines else None


def _alike(records: Records, first: int, quotes: int) -> Table | None:
    """The table of flat records that all have the names of the first, with a stamp and else numbers; None in any doubt.

    Every name has two quotes, as has the stamp: where each record has these names and there are no more quotes,
    there are neither other names nor other texts.
    """
    count = len(records)
    names = [name for name in records[0] if name != TIMESTAMP]
    if quotes != count * (2 * len(names) + 4) or NON_FINITE in names:
        return None
    by_name = _cells(records, names)
    stamps = [record.get(TIMESTAMP) for record in records]
    if by_name is None or set(map(type, stamps)) != {str}:
        return None
    none, numbers = np.full(count, np.nan), first + np.arange(count, dtype=np.float64)
    rows = np.arange(count, dtype=np.uint32)
    group = Group(rows, by_name.get(STEP, none), seconds(stamps), by_name.get(INDEX, numbers))
    columns = {name: Column(0, values) for name, values in by_name.items() if name not in RESERVED}
    return Table(count, [group] if columns else [], columns)


def _cells(records: Records, names: list[str]) -> dict[str, Numbers] | None:
    """The numbers under these names; None where a record lacks one, or has a null or something nested there.

    Texts must not be among them: those of numbers would be read as such.
    """
    if len(names) < 2:
        return {} if not names else None
    try:
        cells = chain.from_iterable(map(itemgetter(*names), records))
        flat = np.fromiter(cells, np.float64, len(records) * len(names))
    except (KeyError, TypeError, ValueError):
        return None
    if np.isnan(flat).any():  # a null: JSON has no NaN
        return None
    return dict(zip(names, np.ascontiguousarray(flat.reshape(-1, len(names)).T), strict=True))


def seconds(stamps: Sequence[Any]) -> Numbers:
    """Stamps as seconds since 1970; NaN where one is none."""
    with suppress(TypeError, ValueError):
        if _all_plain("".join(stamps), len(stamps)):
            return np.array(stamps, f"S{STAMP - 1}").astype(MICROSECONDS).view(np.int64) / 1e6
    return np.array([_second(stamp) for stamp in stamps], np.float64)


def _all_plain(text: str, count: int) -> bool:
    """Whether so many stamps are of the form that whirr writes: numpy reads these alone as they are meant."""
    return (
        len(text) == STAMP * count
        and text[STAMP - 1 :: STAMP] == "Z" * count
        and [text.count(mark) for mark in "-:Z+"] == [2 * count, 2 * count, count, 0]
        and text.isascii()
    )


def _second(stamp: Any) -> float:
    try:
        return clock.epoch(stamp)
    except (TypeError, ValueError, OverflowError):
        return np.nan


class _Part(NamedTuple):
    """The values of a metric in the records that have the same names; ``pattern`` tells these, where all count."""

    pattern: int | bytes
    rows: Rows
    values: Numbers


def _patterns(records: Records) -> Patterns:
    """By the names that they have, the numbers of the records."""
    found: Patterns = {}
    for row, record in enumerate(records):
        found.setdefault(tuple(record), []).append(row)
    return found


def _mixed(records: Records, first: int, patterns: Patterns, quotes: int | None = None) -> Table:
    """The table of any records; ``quotes`` that flat ones have in the file tell whether there are texts in them."""
    stamps = [record.get(TIMESTAMP) for record in records]
    named = sum(2 * len(names) * len(rows) for names, rows in patterns.items())
    only_numbers = quotes == named + 2 * len(records) and set(map(type, stamps)) == {str}
    found: dict[str, list[_Part]] = {}
    for number, (names, places) in enumerate(patterns.items()):
        for name, part in _parts(number, names, places, records, only_numbers):
            found.setdefault(name, []).append(part)
    count = len(records)
    whole = Group(
        np.arange(count, dtype=np.uint32),
        _put(found.pop(STEP, []), np.full(count, np.nan)),
        seconds(stamps),
        _put(found.pop(INDEX, []), first + np.arange(count, dtype=np.float64)),
    )
    return _grouped(found, count, whole)


def _parts(
    number: int, names: tuple[str, ...], places: list[int], records: Records, only_numbers: bool
) -> Iterator[tuple[str, _Part]]:
    """The numbers of the records that have the same names."""
    rows = np.array(places, np.uint32)
    chosen = [records[row] for row in places]
    wanted = [name for name in names if name not in (TIMESTAMP, NON_FINITE)]
    cells = _cells(chosen, wanted) if only_numbers else None
    for name in wanted:
        if cells is not None:
            yield name, _Part(number, rows, cells[name])
        else:
            part = _part(number, rows, [record[name] for record in chosen])
            if len(part.rows):
                yield name, part


def _part(number: int, rows: Rows, values: list[Any]) -> _Part:
    if set(map(type, values)) <= NUMBERS:
        return _Part(number, rows, np.array(values, np.float64))
    kept = [place for place, value in enumerate(values) if type(value) in NUMBERS]
    rows = rows[kept]
    return _Part(rows.tobytes(), rows, np.array([values[place] for place in kept], np.float64))


def _put(parts: list[_Part], numbers: Numbers) -> Numbers:
    for part in parts:
        numbers[part.rows] = part.values
    return numbers


def _grouped(found: dict[str, list[_Part]], count: int, whole: Group) -> Table:
    groups: list[Group] = []
    numbers: dict[tuple[int | bytes, ...], int] = {}
    orders: list[NDArray[np.intp] | None] = []
    columns: dict[str, Column] = {}
    for name, parts in found.items():
        key = tuple(part.pattern for part in parts)
        if key not in numbers:
            numbers[key] = len(groups)
            rows = np.concatenate([part.rows for part in parts])
            orders.append(np.argsort(rows) if len(parts) > 1 else None)
            rows = rows if orders[-1] is None else rows[orders[-1]]
            groups.append(Group(rows, whole.step[rows], whole.time[rows], whole.place[rows]))
        values = np.concatenate([part.values for part in parts])
        order = orders[numbers[key]]
        columns[name] = Column(numbers[key], values if order is None else values[order])
    return Table(count, groups, columns)


def join(tables: Iterable[Table]) -> Table:
    """Tables one after the other as one."""
    tables = [table for table in tables if table.rows]
    if len(tables) <= 1:
        return tables[0] if tables else EMPTY
    starts = [0, *np.cumsum([table.rows for table in tables]).tolist()]
    names = dict.fromkeys(name for table in tables for name in table.columns)
    groups: list[Group] = []
    numbers: dict[tuple[int | None, ...], int] = {}
    columns: dict[str, Column] = {}
    for name in names:
        parts = [table.columns.get(name) for table in tables]
        key = tuple(None if part is None else part.group for part in parts)
        if key not in numbers:
            numbers[key] = len(groups)
            groups.append(_joined(tables, starts, key))
        columns[name] = Column(numbers[key], np.concatenate([part.values for part in parts if part is not None]))
    return Table(starts[-1], groups, columns)


def _joined(tables: list[Table], starts: list[int], key: tuple[int | None, ...]) -> Group:
    chosen = [
        (start, table.groups[number])
        for start, table, number in zip(starts[:-1], tables, key, strict=True)
        if number is not None
    ]
    rows = np.concatenate([group.rows + np.uint32(start) for start, group in chosen])
    return Group(rows, *(np.concatenate([group[field] for _, group in chosen]) for field in (1, 2, 3)))
