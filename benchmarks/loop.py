"""A training loop of 1 ms steps that logs five floats each step, against one that writes them itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import whirr
from benchmarks.log import NAMES, bare_write, metrics_of, time_each
from benchmarks.measure import Effort, Row, scratch, seconds

STEP = 0.001
STEPS_A_TURN = 20


def rows(effort: Effort) -> Iterator[Row]:
    """The median step of each: what else the machine does hits few steps, and both loops alike."""
    work = _work_of(STEP)
    metrics = metrics_of(len(NAMES))
    limit: list[int] = []
    ours: list[int] = []
    with scratch() as folder:
        os.environ["WHIRR_DIR"] = str(folder)
        handle = os.open(folder / "bare.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with whirr.init(name="benchmark") as run:
            bare = _step_of(work, bare_write(handle, metrics))
            tracked = _step_of(work, lambda step: run.log(metrics, step))
            for turn in range(10 * effort.repeats):
                steps = range(turn * STEPS_A_TURN, (turn + 1) * STEPS_A_TURN)
                limit += time_each(bare, steps)
                ours += time_each(tracked, steps)
        os.close(handle)
    middle, ours_middle = median(limit) / 1e6, median(ours) / 1e6
    slowed = (ours_middle / middle - 1) * 100
    yield Row("a step of 1 ms with log() of 5 floats", "ms", middle, ours_middle, slowed, 1, "{:+.2f} %")


def _step_of(work: Callable[[], object], log: Callable[[int], object]) -> Callable[[int], object]:
    def step(number: int) -> None:
        work()
        log(number)

    return step


def _work_of(duration: float) -> Callable[[], object]:
    """A fixed piece of work that takes about that long when nothing interrupts it."""
    rounds = 1000
    while min(seconds(partial(sum, range(rounds))) for _ in range(5)) < duration:
        rounds = int(rounds * 1.2)
    return partial(sum, range(rounds))
