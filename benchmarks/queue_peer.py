"""A queue of Python's world that needs no server either, where it is installed, for the order of magnitude: huey.

Its tasks are functions in the worker's own process, so no process has to be started; how soon one starts is set by how
often its worker looks, here as often as huey allows by default.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from benchmarks.measure import Effort, Row, clean_environment, python, scratch
from benchmarks.queues import until

TASKS = """
import time
from huey import SqliteHuey
huey = SqliteHuey(filename="huey.db")

@huey.task()
def tell(path):
    now = time.time()
    with open(path, "w") as file:
        file.write(f"{now} ")
"""
SUBMIT = "import sys, time, tasks\ntasks.tell(sys.argv[1])\nprint(time.time())"


def rows(effort: Effort) -> Iterator[Row]:
    """The median from the return of the submission to the start of the task, without a goal."""
    if find_spec("huey") is None:
        print("huey is not installed: not compared")
        return
    with scratch() as folder:
        (folder / "tasks.py").write_text(TASKS)
        consumer = Path(sys.executable).with_name("huey_consumer")
        command = [sys.executable, consumer, "tasks.huey", "--quiet"]
        with subprocess.Popen(command, cwd=folder, env=clean_environment(), stderr=subprocess.DEVNULL) as worker:
            try:
                starts = [_start_s(folder, number) * 1000 for number in range(effort.repeats + 1)]
            finally:
                worker.terminate()
    yield Row(
        "huey, submit to task started, p50", "ms", None, median(starts[1:]), median(starts[1:]), None, "{:.0f} ms"
    )


def _start_s(folder: Path, number: int) -> float:
    told = folder / f"{number}.told"
    command = python(SUBMIT, str(told))
    environ = clean_environment() | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=True, text=True)
    until(lambda: told.exists() and told.read_text().endswith(" "))
    time.sleep(0.3)  # as a worker that has had nothing to do for a while
    return float(told.read_text()) - float(done.stdout)
