"""The wall clock is set back by a day while a run lives."""

from __future__ import annotations

from pathlib import Path

from ending_cases import PYTHON
from helpers import QUICK, by_writer, only_run, outputs, program, start
from settable_clock import settable_clock

import whirr

__all__ = ["settable_clock"]

TRAIN = f"""
import os, pathlib, time
import whirr
run = whirr.init({QUICK})
def log(who, first, last):
    for n in range(first, last):
        run.log({{"who": who, "n": n}}, step=n)
log("parent", 0, 50)
before = time.time()
pathlib.Path(os.environ["SHIFTED_CLOCK"]).touch()
print(time.time() < before - 3600)
log("parent", 50, 100)
child = os.fork()
if child == 0:
    log("child", 0, 50)
    os._exit(0)
os.waitpid(child, 0)
log("parent", 100, 150)
run.finish()
"""


def test_nothing_is_lost_and_no_time_is_negative(settable_clock: dict[str, str], tmp_path: Path) -> None:
    process = start([*PYTHON, program(tmp_path / "train.py", TRAIN)], tmp_path, **settable_clock)
    out, err = outputs(process)
    assert (process.returncode, out, err) == (0, "True\n", "")
    folder = only_run(tmp_path)
    assert by_writer(whirr.read_metrics(folder)) == {"parent": list(range(150)), "child": list(range(50))}
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["cause"]) == ("completed", None)
    assert 0 <= meta["duration_seconds"] < 3600
