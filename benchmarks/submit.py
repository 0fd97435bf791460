"""``whirr submit`` as a process, against a Python that imports what most command lines are made of."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from benchmarks.measure import Effort, Row, in_turns, output_of, python, ratio, scratch
from benchmarks.queues import WHIRR


def rows(effort: Effort) -> Iterator[Row]:
    """All that a submission records and writes, in a folder that is no git work tree."""
    if find_spec("typer") is None or find_spec("rich") is None:
        print("typer and rich are not installed: whirr submit is not compared")
        return
    with scratch() as folder:
        times = in_turns(
            effort.repeats,
            {
                "limit": lambda: output_of(python("import typer, rich"), folder),
                "ours": lambda: output_of([WHIRR, "submit", "--", "true"], folder),
            },
        )
    yield ratio("whirr submit; limit: import typer, rich", "ms", times["limit"] * 1000, times["ours"] * 1000, 1.5)
