"""Runs to draw, and what their curves must be: told value by value, without columns, caches or blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from whirr import clock

SPELLED = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
START = "2026-11-23T12:00:00.000000Z"


def line(index: int, step: float | None = None, after_s: float | None = None, **metrics: Any) -> bytes:
    """A record as whirr writes it; ``after_s`` seconds after ``START``, if anything."""
    record: dict[str, Any] = {"_idx": index}
    if after_s is not None:
        record["_timestamp"] = clock.stamp(clock.at(clock.epoch(START) + after_s))
    if step is not None:
        record["step"] = step
    wild = {}
    for name, value in metrics.items():
        if isinstance(value, float) and not math.isfinite(value):
            wild[name], value = str(value), None
        record[name] = value
    if wild:
        record["_nonfinite"] = wild
    return orjson.dumps(record) + b"\n"


def write(root: Path, run: str, files: dict[str, bytes]) -> Path:
    """A run with these files; its folder."""
    folder = root / "runs" / run
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Value(NamedTuple):
    """One logged number of a metric, with all that stands in its record."""

    y: float
    step: float | None
    time: float | None
    place: float
    record: dict[str, Any]


def records(content: bytes) -> Iterator[dict[str, Any]]:
    """The records of a file, non-finite numbers brought back."""
    for text in content.split(b"\n"):
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(record, dict):
            spelled = record.pop("_nonfinite", {})
            yield {**record, **{name: SPELLED[word] for name, word in spelled.items()}}


def values(content: bytes, metric: str) -> list[Value]:
    """The numbers of a metric in a file."""
    found = []
    for number, record in enumerate(records(content)):
        y = record.get(metric)
        if isinstance(y, int | float):
            place = float(record.get("_idx", number))
            found.append(Value(float(y), record.get("step"), _time(record.get("_timestamp")), place, record))
    return found


def _time(stamp: Any) -> float | None:
    try:
        return clock.epoch(stamp)
    except (TypeError, ValueError):
        return None


def expected(attempts: Sequence[Sequence[bytes]], metric: str, axis: str) -> list[tuple[float, float]]:
    """The points of a metric on an axis, sorted; ``attempts`` holds the files of each."""
    told = [[found for content in files if (found := values(content, metric))] for files in attempts]
    stepped = all(value.step is not None for files in told for found in files for value in found)

    def order(value: Value) -> float:
        return float(value.step) if stepped and value.step is not None else value.place

    kept = (
        [value for files in told for found in files for value in found]
        if axis == "time"
        else [value for number in range(len(told)) for value in _kept(told, number, order)]
    )
    points = [(_place(value, axis, order(value)), value.y) for value in kept]
    return sorted(((x, y) for x, y in points if x is not None), key=key)


def key(point: tuple[float, float]) -> tuple[float, str]:
    """By which points are sorted, NaN among them."""
    return point[0], repr(point[1])


def _kept(told: list[list[list[Value]]], number: int, order: Any) -> Iterator[Value]:
    later = [order(value) for files in told[number + 1 :] for found in files for value in found]
    for found in told[number]:
        steps = list(map(order, found))
        for at, value in enumerate(found):
            again = [steps[other] for other in range(at + 1, len(steps)) if steps[other] < steps[other - 1]]
            if all(steps[at] < step for step in (*again, *later)):
                yield value


def _place(value: Value, axis: str, order: float) -> float | None:
    if axis == "time":
        return value.time
    if axis == "step":
        return order
    x = value.record.get(axis.removeprefix("metric:"))
    return float(x) if isinstance(x, int | float) and math.isfinite(x) else None
