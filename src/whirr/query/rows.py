"""A run as a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from whirr import clock
from whirr.catalog import RunView
from whirr.expression.times import TIMES
from whirr.where import MISSING, dotted, lookup, paths, revived

OWN = ("name", "status", "started", "finished", "duration", "tags", "job")


def row_of(run: RunView, columns: Sequence[str] | None) -> dict[str, Any]:
    """The id of a run, then these keys; None: all there are."""
    found = {key: _value(run, key) for key in (OWN if columns is None else columns)}
    return {"run": run.id, **found, **(_all(run) if columns is None else {})}


def _value(run: RunView, key: str) -> Any:
    value = list(run.tags) if key == "tags" else lookup(run, key)
    if key in TIMES and isinstance(value, str):
        with suppress(ValueError, OverflowError):
            return clock.at(clock.epoch(value))
    return None if value is MISSING else value


def _all(run: RunView) -> dict[str, Any]:
    """All that is configured, summed up and logged."""
    found: dict[str, Any] = {}
    for room, document in (("config", run.config), ("summary", run.summary)):
        for path, value in paths(document):
            found.setdefault(f"{room}.{dotted(path)}", value)
    return found | {f"metrics.{name}": revived(metric.last) for name, metric in run.metrics.items()}
