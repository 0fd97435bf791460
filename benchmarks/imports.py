"""What ``import whirr`` adds to a bare Python."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import Effort, Row, excess, in_turns, output_of, python, scratch


def rows(effort: Effort) -> Iterator[Row]:
    """Whole processes, side by side."""
    with scratch() as folder:
        output_of(python("import whirr"), folder)  # compiled once
        times = in_turns(
            2 * effort.repeats,
            {
                "bare": lambda: output_of(python("pass"), folder),
                "whirr": lambda: output_of(python("import whirr"), folder),
            },
        )
    yield excess("import whirr over a bare Python", "ms", times["bare"] * 1000, times["whirr"] * 1000, 30)
