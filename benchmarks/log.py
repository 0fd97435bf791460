"""``log()`` against one ``os.write`` of the same record, encoded by orjson."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median, quantiles
from time import perf_counter_ns

import orjson

import whirr
from benchmarks.measure import Effort, Row, ratio, scratch

TURNS = 20
NAMES = ("train_loss", "val_loss", "train_acc", "val_acc", "learning_rate")
STAMP = "2026-11-23T12:48:00.123456Z"


def metrics_of(count: int) -> dict[str, float]:
    """That many metrics with random values."""
    random = Random(1)
    names = NAMES if count == len(NAMES) else [f"layer_{number}/grad_norm" for number in range(count)]
    return {name: random.random() for name in names}


def rows(effort: Effort) -> Iterator[Row]:
    """The goals for 5 and for 100 metrics a call."""
    with scratch() as folder:
        os.environ["WHIRR_DIR"] = str(folder)
        for count in (5, 100):
            yield from _rows(folder, f"log() of {count} floats", metrics_of(count), effort.calls)


def _rows(folder: Path, what: str, metrics: dict[str, float], calls: int) -> Iterator[Row]:
    run = whirr.init(name="benchmark")
    bare = os.open(folder / "bare.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    limit: list[int] = []
    ours: list[int] = []
    for turn in range(TURNS):
        steps = range(turn * calls // TURNS, (turn + 1) * calls // TURNS)
        limit += time_each(bare_write(bare, metrics), steps)
        ours += time_each(lambda step: run.log(metrics, step), steps)
    os.close(bare)
    run.finish()
    middle = median(ours) / 1000
    yield ratio(f"{what}, median", "us", median(limit) / 1000, middle, 2)
    yield ratio(f"{what}, p99 over its median", "us", middle, quantiles(ours, n=100)[98] / 1000, 25)


def bare_write(handle: int, metrics: dict[str, float]) -> Callable[[int], object]:
    """The limit: the same record, ready made, encoded and written."""
    record = {"_idx": 123456, "_timestamp": STAMP, "step": 123456, **metrics}
    return lambda step: os.write(handle, orjson.dumps(record))


def time_each(call: Callable[[int], object], steps: range) -> list[int]:
    """Nanoseconds of each call."""
    times = []
    for step in steps:
        start = perf_counter_ns()
        call(step)
        times.append(perf_counter_ns() - start)
    return times
