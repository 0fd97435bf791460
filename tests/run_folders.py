"""Run folders written by hand, for tests of what reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from whirr.jsonio import dumps, write_atomic

LONG_AGO = 1_700_000_000


def meta_of(run_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "name": None,
        "status": "completed",
        "started_at": "2026-01-01T00:00:00.000000Z",
        "finished_at": "2026-01-01T00:01:00.000000Z",
        "duration_seconds": 60.0,
        "tags": [],
        "config_file": "config.json",
        "summary": {},
        "cause": None,
        **changes,
    }


def write_run(
    root: Path,
    run_id: str,
    *,
    config: dict[str, Any] | None = None,
    rows: list[dict[str, Any]] | None = None,
    **meta: Any,
) -> Path:
    """A run folder below a `.whirr` folder, settled: as if it was written long ago."""
    folder = root / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "meta.json", dumps(meta_of(run_id, **meta)))
    write_atomic(folder / "config.json", dumps(config or {}))
    if rows is not None:
        write_rows(folder / "metrics.jsonl", rows)
    settle(folder)
    return folder


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))


def settle(folder: Path, moment: float = LONG_AGO) -> None:
    """Give a folder an old modification time, so that what is remembered of it counts."""
    os.utime(folder, (moment, moment))


@contextmanager
def out_of_reach(folder: Path) -> Iterator[None]:
    """Nobody can write this folder, root neither: a file stands in its place."""
    aside = folder.with_name(f".{folder.name}.aside")
    folder.rename(aside)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)
