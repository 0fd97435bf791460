"""Tables as volumes: see ``volume`` for what they hold."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from whirr.curves.table import Group, Numbers, Table
from whirr.curves.volume import (
    BLOCK,
    MAGIC,
    MOST_TURNS,
    PREFIX,
    Axis,
    ColumnHead,
    GroupHead,
    Origin,
    Turn,
    Volume,
    boot,
    padded,
    read,
)
from whirr.jsonio import write_atomic


def pack(table: Table, origin: Origin) -> Volume:
    """A table as a volume in memory."""
    parts: list[bytes] = []
    at = 0

    def add(*arrays: NDArray[Any]) -> int:
        nonlocal at
        began = at
        for array in arrays:
            data = array.tobytes()
            parts.append(data.ljust(padded(len(data)), b"\0"))
            at += len(parts[-1])
        return began

    groups = [_group_head(add(*_group_parts(group)), group) for group in table.groups]
    columns: dict[str, ColumnHead] = {}
    for name, column in table.columns.items():
        bad = np.flatnonzero(~np.isfinite(column.values)).astype(np.uint32)
        extremes = _extremes(column.values, table.groups[column.group], len(bad) > 0)
        low, high = _or_none(extremes[0].min()), _or_none(extremes[1].max())
        falls = int(np.count_nonzero(column.values[1:] < column.values[:-1]))
        columns[name] = ColumnHead(column.group, add(column.values, *extremes, bad), len(bad), low, high, falls)
    total = 0
    for part in parts:
        total = zlib.crc32(part, total)
    head = {
        "origin": origin,
        "rows": table.rows,
        "groups": groups,
        "columns": columns,
        "size": at,
        "sum": total,
        "boot": boot(),
    }
    text = orjson.dumps(head, default=list)
    text = text.ljust(padded(len(text)))
    whole = b"".join((MAGIC, PREFIX.pack(len(text), zlib.crc32(text)), text, *parts))
    return Volume(origin, table.rows, tuple(groups), columns, len(whole) - at, len(whole), held=whole)


def _group_parts(group: Group) -> Iterator[NDArray[Any]]:
    yield from group
    for x in group[1:]:
        yield x[::BLOCK]
        yield np.append(x[BLOCK - 1 :: BLOCK], x[-1:]) if len(x) % BLOCK else x[BLOCK - 1 :: BLOCK]


def _group_head(at: int, group: Group) -> GroupHead:
    step, time, place = (_axis(x, group.time) for x in (group.step, group.time, group.place))
    stepless = bool(np.isnan(group.step).any())
    return GroupHead(at, len(group.rows), (step, time, place), _or_none(group.time[0]), stepless)


def _axis(x: Numbers, time: Numbers) -> Axis:
    turns = np.flatnonzero(x[1:] < x[:-1]) + 1
    if len(turns) > MOST_TURNS or not np.isfinite(x).all():
        return Axis(0.0, 0.0, None)
    found = (Turn(int(at), float(x[at - 1]), float(x[at]), _or_none(time[at])) for at in turns)
    return Axis(float(x[0]), float(x[-1]), tuple(found))


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _extremes(values: Numbers, group: Group, has_bad: bool) -> list[Numbers]:
    """Of each block the smallest and the largest finite value, and where these stand on each axis."""
    finite = np.isfinite(values) if has_bad else None
    found, places = [], []
    for absent, choose in ((np.inf, np.argmin), (-np.inf, np.argmax)):
        chosen = _by_block(values if finite is None else np.where(finite, values, absent), choose)
        places.append(chosen)
        low_or_high = values[chosen]
        found.append(low_or_high if finite is None else np.where(finite[chosen], low_or_high, absent))
    axes = (group.step, group.time, group.place)
    return [*found, *(x[chosen] for x in axes for chosen in places)]


def _by_block(values: Numbers, choose: Callable[..., Any]) -> NDArray[np.intp]:
    whole = len(values) // BLOCK * BLOCK
    inner = choose(values[:whole].reshape(-1, BLOCK), axis=1) + np.arange(0, whole, BLOCK)
    last = [whole + choose(values[whole:])] if whole < len(values) else []
    return np.append(inner, last).astype(np.intp)


def write(volume: Volume, path: str) -> Volume:
    """The same volume in a file, of which nothing is kept in memory.

    Raises:
        OSError: it cannot be written.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_atomic(path, volume.held or b"")
    found = read(path)
    if found is None or found.origin != volume.origin:  # another process has put its own there
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)
    return found
