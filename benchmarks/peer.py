"""Other trackers that happen to be installed, for the order of magnitude: ``log`` of five floats."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from benchmarks.log import NAMES, bare_write, metrics_of, time_each
from benchmarks.measure import Effort, Row, ratio, scratch

Log = Callable[[int], object]


def rows(effort: Effort) -> Iterator[Row]:
    """The median call of each, without a goal."""
    metrics = metrics_of(len(NAMES))
    steps = range(max(effort.calls // 50, 10))
    for name, tracker in PEERS.items():
        if find_spec(name) is None:
            print(f"{name} is not installed: not compared")
            continue
        with scratch() as folder, tracker(folder, metrics) as log:
            handle = os.open(folder / "bare.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            limit = median(time_each(bare_write(handle, metrics), steps)) / 1000
            theirs = median(time_each(log, steps)) / 1000
            os.close(handle)
        yield ratio(f"{name}, 5 floats, median", "us", limit, theirs, None)


@contextmanager
def _tensorboardx(folder: Path, metrics: dict[str, float]) -> Iterator[Log]:
    with import_module("tensorboardX").SummaryWriter(str(folder)) as writer:

        def log(step: int) -> None:
            for name, value in metrics.items():
                writer.add_scalar(name, value, step)

        yield log


@contextmanager
def _sacred(folder: Path, metrics: dict[str, float]) -> Iterator[Log]:
    experiment = import_module("sacred").Experiment("benchmark", save_git_info=False)
    experiment.observers.append(import_module("sacred.observers").FileStorageObserver(folder))

    @experiment.main  # type: ignore[untyped-decorator]
    def nothing() -> None: ...

    run = experiment._create_run()

    def log(step: int) -> None:
        for name, value in metrics.items():
            run.log_scalar(name, value, step)

    yield log


Tracker = Callable[[Path, dict[str, float]], AbstractContextManager[Log]]
PEERS: dict[str, Tracker] = {"tensorboardX": _tensorboardx, "sacred": _sacred}
