"""The artifacts of all runs, those of the newest run first, as far as a moment's look goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from whirr.dashboard.run_facts import kind_of
from whirr.detail import files_below
from whirr.folder import ARTIFACTS
from whirr.index import RunEntry
from whirr.localruns import LocalRuns

BUDGET_S = 0.4
OF_ONE_RUN = 2_000
"""Files of one run that are shown at most."""


def artifacts(runs: LocalRuns, wanted: str, after: str | None, limit: int) -> dict[str, Any]:
    """Some artifacts.

    Args:
        wanted: a text in the path, the run's id, name or tags; with ``*`` or ``?`` a pattern for the path.
        after: what the page before gave as ``next``.
        limit: about so many; those of one run are not parted.

    Returns:
        ``files``; ``looked`` and ``every``: through how many of how many runs it has looked so far; ``next``: None
        where all were looked through.
    """
    until = time.monotonic() + BUDGET_S
    every, passed, entries = runs.walk(after)
    found: list[dict[str, Any]] = []
    for place, (order, run) in enumerate(entries, 1):
        found += _of(run, wanted)
        last = passed + place == every
        if (len(found) >= limit or time.monotonic() > until) and not last:
            return {"files": found, "looked": passed + place, "every": every, "next": f"{order}/{run.id}"}
    return {"files": found, "looked": every, "every": every, "next": None}


def _of(run: RunEntry, wanted: str) -> Iterator[dict[str, Any]]:
    files = files_below(run.path / ARTIFACTS)
    if not files:
        return
    whole = wanted.lower() in f"{run.id}\n{run.name or ''}\n{' '.join(run.tags)}".lower()
    for file in sorted(files, key=lambda file: file.modified, reverse=True)[:OF_ONE_RUN]:
        if whole or _fits(file.path, wanted):
            about = {"run": run.id, "name": run.name, "status": run.status, "kind": kind_of(file.path)}
            yield {**about, **file._asdict(), "path": f"{ARTIFACTS}/{file.path}"}


def _fits(path: str, wanted: str) -> bool:
    if "*" in wanted or "?" in wanted:
        return fnmatchcase(path, wanted) or fnmatchcase(path.rpartition("/")[2], wanted)
    return wanted.lower() in path.lower()
