"""What the parts share: how much to measure, turns, processes, and one row of the result."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple


class Effort(NamedTuple):
    """How much to measure.

    Attributes:
        calls: calls of a fast function.
        repeats: turns of something slow.
        records: lines of a metrics file.
        folders: run folders to list.
        samples: samples of the machine.
        jobs: jobs run one after another.
        queued: jobs that wait in a long queue.
    """

    calls: int
    repeats: int
    records: int
    folders: int
    samples: int
    jobs: int
    queued: int


EFFORTS = {
    "full": Effort(
        calls=100_000, repeats=25, records=1_000_000, folders=10_000, samples=100, jobs=1_000, queued=100_000
    ),
    "quick": Effort(calls=20_000, repeats=7, records=200_000, folders=2_000, samples=30, jobs=200, queued=20_000),
    "tiny": Effort(calls=200, repeats=1, records=2_000, folders=20, samples=2, jobs=5, queued=50),
}


class Row(NamedTuple):
    """One measured goal.

    Attributes:
        what: what was measured.
        unit: of ``limit`` and ``ours``.
        limit: what the machine does without whirr; None where there is no such thing.
        ours: what whirr does.
        figure: what the goal is about.
        goal: the most that ``figure`` may be; None for rows that only inform.
        form: how ``figure`` and ``goal`` are written.
        at_least: the goal is the least that ``figure`` may be, not the most.
    """

    what: str
    unit: str
    limit: float | None
    ours: float
    figure: float
    goal: float | None
    form: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        if self.goal is None:
            return True
        return self.figure >= self.goal if self.at_least else self.figure <= self.goal

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"{self.limit:.2f} {self.unit}"
        figure = self.form.format(self.figure)
        goal = "" if self.goal is None else f"{'>=' if self.at_least else '<='} {self.form.format(self.goal)}"
        verdict = "" if self.goal is None else "ok" if self.met else "MISSED"
        return f"{self.what:44} {limit:>13} {self.ours:>10.2f} {self.unit:<2} {figure:>11} {goal:>13}  {verdict}"


HEADING = f"{'':44} {'limit':>13} {'ours':>13} {'figure':>11} {'goal':>13}"


def rows_of(part: str, effort: Effort) -> list[Row]:
    """The rows of one part."""
    rows: list[Row] = list(import_module(f"benchmarks.{part}").rows(effort))
    return rows


def ratio(what: str, unit: str, limit: float, ours: float, goal: float | None) -> Row:
    """A goal about how many times the limit whirr takes."""
    return Row(what, unit, limit, ours, ours / limit, goal, "{:.2f} x")


def excess(what: str, unit: str, limit: float, ours: float, goal: float) -> Row:
    """A goal about what whirr adds to the limit."""
    return Row(what, unit, limit, ours, ours - limit, goal, "{:+.1f} " + unit)


def absolute(what: str, unit: str, ours: float, goal: float) -> Row:
    """A goal that knows no limit."""
    return Row(what, unit, None, ours, ours, goal, "{:.2f} " + unit)


def seconds(function: Callable[[], object]) -> float:
    """How long one call takes; freeing its result is not counted."""
    start = perf_counter()
    result = function()
    elapsed = perf_counter() - start
    del result
    return elapsed


def in_turns(repeats: int, contestants: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The median seconds of each contestant; all take a turn before any takes its next."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, function in contestants.items():
            times[name].append(seconds(function))
    return {name: median(measured) for name, measured in times.items()}


def python(script: str, *arguments: str) -> list[str]:
    """The command line of this Python with a script."""
    return [sys.executable, "-c", script, *arguments]


def output_of(command: Sequence[str], cwd: Path, **variables: str) -> str:
    """What a program prints, started in ``cwd`` without any setting of whirr but ``variables``.

    Raises:
        CalledProcessError: it failed.
    """
    done = subprocess.run(command, cwd=cwd, env=clean_environment() | variables, capture_output=True, check=True)
    return done.stdout.decode()


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting of whirr."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WHIRR_")}


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all values do not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder that is gone afterwards."""
    with TemporaryDirectory(prefix="whirr-benchmark-") as folder:
        yield Path(folder)
