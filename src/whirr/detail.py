"""What there is to know of one run beyond what a listing shows."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from whirr import clock
from whirr.catalog import Curve, FileEntry, RunDetail, RunView
from whirr.derive import read_rows
from whirr.errors import WhirrError
from whirr.folder import ARTIFACTS, CODE_CHANGES, META, SYSTEM, is_draft
from whirr.jsonio import plain_file, read_document
from whirr.paths import FOLDER
from whirr.series import Series, read_curves

GPU_UTILIZATION = re.compile(r"gpu_(\d+)_utilization")
DEEPEST = 100
"""Folders in folders that are looked into."""

MOST_POINTS = 4000
"""Points of a curve that are kept; of a longer one, the smallest and the largest of each stretch."""


def detail_of(run: RunView, *, curves: bool = True) -> RunDetail:
    """All about one run."""
    folder = Path(run.path)
    drawn = read_curves(run.path) if curves else None
    return RunDetail(
        run,
        clock.now().timestamp(),
        full_meta(run),
        {name: curve_of(series) for name, series in drawn.series.items()} if drawn else {},
        drawn.sampled if drawn else False,
        machine_use(folder),
        tuple(files_below(folder / ARTIFACTS)),
        code_changes(folder),
    )


def full_meta(run: RunView) -> dict[str, Any]:
    """The listing's record of a run, with its environment, the traceback of its ending, and what the queue noted."""
    try:
        with open(os.path.join(run.path, META), "rb", buffering=0, opener=plain_file) as file:
            raw = orjson.loads(file.read())
    except (OSError, ValueError):
        raw = {}
    if not isinstance(raw, dict):
        raw = {}
    cause, environment, job = (_object(raw.get(key)) for key in ("cause", "environment", "job"))
    return {**run.record, "cause": cause or run.record.get("cause"), "environment": environment, "job": job}


def code_changes(run_dir: Path) -> dict[str, Any] | None:
    """Which files had changed since the submission when the job started; None where none had, or nobody looked.

    ``damaged`` says why what was written about it cannot be read.
    """
    from whirr.submission import Changes

    try:
        return Changes.from_dict(read_document(run_dir / CODE_CHANGES)).as_dict()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, WhirrError) as error:
        return {"names": [], "count": 0, "unknown": None, "note": None, "damaged": f"{CODE_CHANGES}: {error}"}


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def curve_of(series: Series) -> Curve:
    """A series as it is drawn, its extremes kept however long it is."""
    points, values = series.points(), list(series.values)
    return Curve(
        tuple(_thinned(points, [value for _, value in points])), tuple(_thinned(values, values)), series.stepped
    )


def _thinned(items: list[Any], values: list[float]) -> Iterator[Any]:
    if len(items) <= MOST_POINTS:
        yield from items
        return
    stretch = math.ceil(len(items) / (MOST_POINTS // 2))
    for start in range(0, len(items), stretch):
        places = range(start, min(start + stretch, len(items)))
        finite = [place for place in places if math.isfinite(values[place])] or [start]
        lowest, highest = min(finite, key=values.__getitem__), max(finite, key=values.__getitem__)
        for place in sorted({lowest, highest}):
            yield items[place]


def files_below(base: Path) -> list[FileEntry]:
    """The regular files below a folder, by path; links are not followed, whirr's own drafts are left out."""
    try:
        handle = os.open(base, FOLDER)
    except OSError:  # there is none
        return []
    return sorted(_below(handle, ""))


def _below(handle: int, above: str) -> Iterator[FileEntry]:
    """The files of an open folder, which is closed then; what vanishes meanwhile is left out."""
    try:
        with os.scandir(handle) as entries:
            for entry in entries:
                path = above + entry.name
                with suppress(OSError):
                    if is_draft(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False) and path.count("/") < DEEPEST:
                        yield from _below(os.open(entry.name, FOLDER, dir_fd=handle), f"{path}/")
                    elif entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        yield FileEntry(path, status.st_size, clock.stamp(clock.at(status.st_mtime)))
    finally:
        os.close(handle)


def machine_use(folder: Path) -> dict[str, Any]:
    """What the samples of the machine come to; empty without samples.

    Returns:
        ``samples``, ``peak_memory_percent`` (of the machine), ``peak_process_memory_mb``,
        ``mean_cpu_percent``, and ``gpus``: by number ``mean_utilization`` (percent) and ``peak_memory_mb``.
    """
    try:
        rows = [row for rows in read_rows(os.fspath(folder / SYSTEM)) for row in rows]
    except OSError:
        return {}
    if not rows:
        return {}
    numbers = sorted({match[1] for row in rows for key in row if (match := GPU_UTILIZATION.fullmatch(key))}, key=int)
    return {
        "samples": len(rows),
        "peak_memory_percent": max(_values(rows, "memory_percent"), default=None),
        "peak_process_memory_mb": max(_values(rows, "process_memory_mb"), default=None),
        "mean_cpu_percent": _mean(_values(rows, "cpu_percent")),
        "gpus": {
            gpu: {
                "mean_utilization": _mean(_values(rows, f"gpu_{gpu}_utilization")),
                "peak_memory_mb": max(_values(rows, f"gpu_{gpu}_memory_used"), default=None),
            }
            for gpu in numbers
        },
    }


def _values(rows: list[dict[str, Any]], key: str) -> list[float]:
    return [row[key] for row in rows if isinstance(row.get(key), int | float) and math.isfinite(row[key])]


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 1) if values else None
