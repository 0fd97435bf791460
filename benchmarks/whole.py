"""What a whole tracked run adds to a process, capture and all."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import Effort, Row, excess, in_turns, output_of, python, scratch
from benchmarks.worktree import make_packages, make_tree

SCRIPT = """
import whirr
run = whirr.init(name="benchmark", config={"lr": 0.01, "layers": [64, 64]}, tags=["benchmark"])
for step in range(10):
    run.log({"loss": 1 / (step + 1)}, step=step)
run.finish()
"""


def rows(effort: Effort) -> Iterator[Row]:
    """Whole processes, side by side, from import to exit."""
    with scratch() as folder:
        tree, packages = make_tree(folder / "tree"), str(make_packages(folder / "packages"))
        times = in_turns(
            effort.repeats,
            {
                "bare": lambda: output_of(python("pass"), tree, PYTHONPATH=packages),
                "whirr": lambda: output_of(python(SCRIPT), tree, PYTHONPATH=packages),
            },
        )
    yield excess("import, init ... finish over a bare Python", "ms", times["bare"] * 1000, times["whirr"] * 1000, 150)
