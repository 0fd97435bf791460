"""What whirr derives from the logged rows of a run: last, min, max and count of every metric.

Each metrics file is read once. What was found is kept as a small state with the byte offset it reaches,
so that a file that has grown is read from there on. Only whole lines enter the state: a line without
its end may still be in the writing.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from whirr.encode import RESERVED, TIMESTAMP
from whirr.folder import CHUNK, decode
from whirr.jsonio import plain_file
from whirr.values import spell

END_BYTES = 2**18
SAMPLE_BYTES = 2**15

State = dict[str, Any]
"""By file name: ``inode`` and ``offset`` of what was read, ``garbage``, the lines of it that were no records,
``error``, why it could not be read (or empty), and ``metrics``, by name
``[count, last, stamp of last, min, max, count of non-finite]``."""

Record = dict[str, Any]


class Derived(NamedTuple):
    """One metric of a run.

    Attributes:
        last: the value logged last, of any type; a float that is not finite is spelled out (``"NaN"``).
        min: the smallest finite number logged; None when there is none.
        max: the largest.
        times: how many values were logged.
        nonfinite: how many of them were NaN or infinite.
    """

    last: Any
    min: float | None
    max: float | None
    times: int
    nonfinite: int

    def as_dict(self) -> dict[str, Any]:
        """The form it has in ``--json``."""
        return {
            "last": self.last,
            "min": self.min,
            "max": self.max,
            "count": self.times,
            "nonfinite": self.nonfinite,
        }


def metrics_files(folder: str) -> list[os.DirEntry[str]]:
    """The metrics files of a run: its own and those of further processes."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if _is_metrics(entry.name)), key=lambda entry: entry.name)
    except OSError:
        return []


def _is_metrics(name: str) -> bool:
    return name.startswith("metrics.") and name.endswith(".jsonl")


def signature_of(folder: str) -> int:
    """A number that changes when a metrics file of the run grows, appears or is replaced."""
    found = []
    for entry in metrics_files(folder):
        try:
            status = entry.stat()
        except OSError:
            continue
        found.append((status.st_ino, status.st_size))
    return hash(tuple(found))


def summarise(folder: str, state: State, *, unchanged: bool = False) -> tuple[dict[str, Derived], State | None]:
    """The derived metrics of a run.

    Args:
        folder: the run's folder.
        state: what an earlier call gave back, or an empty dict.
        unchanged: the files are known to be as they were then; they are not opened.

    Returns:
        The metrics by name in the order they were first logged; the new state, None when it is the old one.
    """
    if unchanged:
        return _merge(list(state.values())), None
    grown: State = {}
    shown: list[State] = []
    for entry in metrics_files(folder):
        known, tail = _advance(entry.path, state.get(entry.name))
        grown[entry.name] = known
        shown.append(_with_tail(known, tail) if tail else known)
    return _merge(shown), grown


def problems_of(state: State, bound: str = "") -> list[str]:
    """What is wrong with the metrics files, one line each; ``bound`` goes before counts that are not exact."""
    found = []
    for name, known in state.items():
        if known["error"]:
            found.append(f"{name} cannot be read: {known['error']}")
        if known["garbage"]:
            found.append(f"{name}: lines that are no records: {bound}{known['garbage']}")
    return found


def _unread(inode: int = 0) -> State:
    return {"inode": inode, "offset": 0, "garbage": 0, "error": "", "metrics": {}}


def _advance(path: str, known: State | None) -> tuple[State, list[Record]]:
    """The state of a file after what was added to it, and a whole last record that has no newline yet."""
    tail: list[Record] = []
    try:
        with open(path, "rb", opener=plain_file) as file:
            status = os.fstat(file.fileno())
            if known is None or known["inode"] != status.st_ino or known["offset"] > status.st_size:
                known = _unread(status.st_ino)
            known["error"] = ""
            file.seek(known["offset"])
            for rows, consumed, garbage in _chunks(file):
                if consumed:
                    _add(known["metrics"], rows)
                    known["offset"] += consumed
                    known["garbage"] += garbage
                else:
                    tail = rows
    except OSError as error:
        known = known or _unread()
        known["error"] = error.strerror or str(error)
    return known, tail


def _with_tail(known: State, tail: list[Record]) -> State:
    """A state with records that are not to be remembered as read."""
    metrics = {name: list(values) for name, values in known["metrics"].items()}
    _add(metrics, tail)
    return {"metrics": metrics}


def unread(folder: str, state: State) -> int:
    """How many bytes ``summarise`` would have to read."""
    total = 0
    for entry in metrics_files(folder):
        known = state.get(entry.name)
        total += max(_size(entry) - (known["offset"] if known else 0), 0)
    return total


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0


def ends(folder: str) -> tuple[dict[str, Derived], State]:
    """The derived metrics of the last records of a run alone, of which only the last values mean anything.

    Returns:
        The metrics by name, and a state that is good for ``problems_of`` alone.
    """
    found: State = {}
    for entry in metrics_files(folder):
        known = found[entry.name] = _unread()
        try:
            with open(entry.path, "rb", opener=plain_file) as file:
                rows, known["garbage"] = _whole_lines(file, max(_size(entry) - END_BYTES, 0), END_BYTES)
                _add(known["metrics"], rows)
        except OSError as error:
            known["error"] = error.strerror or str(error)
    return _merge(list(found.values())), found


def read_rows(path: str, most: int | None = None) -> Iterator[list[Record]]:
    """The intact records of a file of records in order, many at a time.

    Args:
        path: the file.
        most: of a longer file read about this many bytes, spread evenly over it.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb", opener=plain_file) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            yield from _samples(file, size, most // SAMPLE_BYTES)
            return
        for rows, _, _ in _chunks(file):
            yield rows


def _samples(file: BinaryIO, size: int, count: int) -> Iterator[list[Record]]:
    for number in range(count):
        start = (size - SAMPLE_BYTES) * number // (count - 1)
        yield _whole_lines(file, start, SAMPLE_BYTES)[0]


def _whole_lines(file: BinaryIO, start: int, size: int) -> tuple[list[Record], int]:
    """The records of the lines that begin and end in a part of a file, and how many such lines were none."""
    file.seek(start)
    block = file.read(size)
    first, last = block.find(b"\n") + 1 if start else 0, block.rfind(b"\n")
    return decode(block[first:last]) if first < last else ([], 0)


def _chunks(file: BinaryIO) -> Iterator[tuple[list[Record], int, int]]:
    """Records, the bytes they took and the lines that were none; a last one without its newline takes 0 bytes."""
    rest = b""
    while chunk := file.read(CHUNK):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            rows, garbage = decode(whole)
            yield rows, len(whole) + 1, garbage
    if rest:
        rows, garbage = decode(rest)
        yield rows, 0, garbage


def _add(metrics: State, rows: list[Record]) -> None:
    columns: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    for name in RESERVED:
        columns.pop(name, None)
    stamps = _latest(rows, set(columns))
    for name, values in columns.items():
        known = metrics.setdefault(name, _nothing())
        known[1], known[2] = values[-1], stamps[name]
        _extend(known, values)


def _nothing() -> list[Any]:
    return [0, None, "", None, None, 0]


def _latest(rows: list[Record], names: set[str]) -> dict[str, str]:
    """By metric the stamp of the last record that has it, such that later ones are greater texts."""
    found: dict[str, str] = {}
    for row in reversed(rows):
        if not names:
            break
        found.update(dict.fromkeys(names & row.keys(), str(row.get(TIMESTAMP, "")).rstrip("Z")))
        names = names - row.keys()
    return found


def _extend(known: list[Any], values: list[Any]) -> None:
    if isinstance(known[1], float):
        known[1] = spell(known[1])
    known[0] += len(values)
    try:
        plain = math.isfinite(sum(values))
    except (TypeError, OverflowError):  # texts or nulls among the numbers
        plain = False
    if not plain:
        numbers = [value for value in values if isinstance(value, int | float)]
        values = [value for value in numbers if math.isfinite(value)]
        known[5] += len(numbers) - len(values)
    if values:
        known[3] = _either(min, known[3], min(values))
        known[4] = _either(max, known[4], max(values))


def _merge(states: list[State]) -> dict[str, Derived]:
    """Several files as one: the last value is the one with the newest stamp."""
    merged: dict[str, list[Any]] = {}
    for state in states:
        for name, (count, last, stamp, low, high, wild) in state["metrics"].items():
            known = merged.setdefault(name, _nothing())
            if stamp >= known[2]:
                known[1], known[2] = last, stamp
            known[0] += count
            known[3] = _either(min, known[3], low)
            known[4] = _either(max, known[4], high)
            known[5] += wild
    return {name: Derived(last, low, high, count, wild) for name, (count, last, _, low, high, wild) in merged.items()}


def _either(choose: Any, one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else choose(one, other)
