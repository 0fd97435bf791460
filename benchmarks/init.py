"""How soon ``init`` returns, with all capture on, where there is much to capture."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.measure import Effort, Row, absolute, output_of, python, scratch
from benchmarks.worktree import make_packages, make_tree

SCRIPT = """
from time import perf_counter
import whirr
start = perf_counter()
run = whirr.init(name="benchmark", config={"lr": 0.01, "layers": [64, 64]}, tags=["benchmark"])
print((perf_counter() - start) * 1000)
run.finish()
"""


def rows(effort: Effort) -> Iterator[Row]:
    """Each measured in a process of its own."""
    with scratch() as folder:
        tree, packages = make_tree(folder / "tree"), make_packages(folder / "packages")
        command = python(SCRIPT)
        times = [float(output_of(command, tree, PYTHONPATH=str(packages))) for _ in range(effort.repeats)]
    yield absolute("init() returns, all capture on", "ms", median(times), 10)
