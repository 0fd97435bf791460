"""Reading a large metrics file, as dicts and by columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import orjson

import whirr
from benchmarks.log import NAMES
from benchmarks.measure import Effort, Row, in_turns, ratio, scratch
from whirr.columns import read_columns


def rows(effort: Effort) -> Iterator[Row]:
    """``read_metrics`` against a line loop, ``read_columns`` against the fastest of two other readers."""
    repeats = max(effort.repeats // 5, 1)
    with scratch() as folder:
        path = _write(folder, effort.records)
        what = f"of {effort.records:,} records"
        times = in_turns(repeats, {"loop": lambda: _line_loop(path), "ours": lambda: whirr.read_metrics(path)})
        yield ratio(f"read_metrics {what}", "s", times["loop"], times["ours"], 1.3)
        times = in_turns(2 * repeats, _column_readers(path))
        ours = times.pop("read_columns")
        best = min(times, key=times.__getitem__)
        yield ratio(f"read_columns {what}, limit: {best}", "s", times[best], ours, 1.5)


def _write(folder: Path, records: int) -> Path:
    os.environ["WHIRR_DIR"] = str(folder)
    with whirr.init(name="benchmark", capture_git=False, capture_pip=False, system_metrics=False) as run:
        for step in range(records):
            run.log({name: (step * 0.6180339887498949 + place) % 1 for place, name in enumerate(NAMES)}, step)
    return run.run_dir / "metrics.jsonl"


def _line_loop(path: Path) -> list[object]:
    with path.open("rb") as file:
        return [orjson.loads(line) for line in file]


def _column_readers(path: Path) -> dict[str, Callable[[], object]]:
    duckdb = import_module("duckdb")
    polars = import_module("polars")

    return {
        "polars": lambda: polars.read_ndjson(path),
        "duckdb": lambda: duckdb.sql(f"select * from read_json('{path}')").fetchnumpy(),
        "read_columns": lambda: read_columns(path),
    }
