"""What ``whirr show`` reads of a run beyond what a listing knows."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import orjson

from whirr.derive import read_rows
from whirr.errors import WhirrError
from whirr.folder import ARTIFACTS, CODE_CHANGES, META, SYSTEM
from whirr.index import RunEntry
from whirr.jsonio import read_document

GPU_UTILIZATION = re.compile(r"gpu_(\d+)_utilization")


def full_meta(run: RunEntry) -> dict[str, Any]:
    """The listing's record of a run, with its environment, the traceback of its ending, and what the queue noted."""
    try:
        raw = orjson.loads((run.path / META).read_bytes())
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


def artifacts_of(folder: Path) -> list[tuple[str, int]]:
    """The saved files of a run by their path below ``artifacts/``, with their sizes in bytes."""
    base = folder / ARTIFACTS
    found = []
    for path, _, names in os.walk(base):
        for name in names:
            file = os.path.join(path, name)
            try:
                found.append((os.path.relpath(file, base), os.lstat(file).st_size))
            except OSError:
                continue
    return sorted(found)


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
