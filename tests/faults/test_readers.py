"""Reading while processes write: no exception, no warning, and always a beginning of what is written."""

from __future__ import annotations

from pathlib import Path

from ending_cases import PYTHON
from helpers import QUICK, by_writer, only_run, outputs, program, run_dirs, start, wait_until

import whirr

WRITER = f"""
import os, sys
import whirr
run = whirr.init(name="read me", config={{"lr": 0.1}}, {QUICK})
who = "child" if os.fork() == 0 else "parent"
for n in range(20_000):
    run.log({{"who": who, "n": n, "loss": n / 7, "acc": float("nan")}}, step=n)
    if n % 500 == 0:
        run.summary({{who: n}})
if who == "child":
    os._exit(0)
os.wait()
run.finish()
"""


def test_reading_while_two_processes_write(tmp_path: Path) -> None:
    process = start([*PYTHON, program(tmp_path / "train.py", WRITER)], tmp_path)
    wait_until(lambda: run_dirs(tmp_path))
    folder = only_run(tmp_path)
    wait_until(lambda: (folder / "meta.json").exists())
    sizes = []
    while process.poll() is None:
        found = by_writer(whirr.read_metrics(folder))
        for numbers in found.values():
            assert numbers == list(range(len(numbers)))
        sizes.append(sum(map(len, found.values())))
        meta = whirr.read_meta(folder)
        assert (meta["problems"], meta["name"], meta["config"]) == ([], "read me", {"lr": 0.1})
        assert meta["status"] in ("running", "completed")
    outputs(process)
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 3  # the readings fell into the writing
    assert by_writer(whirr.read_metrics(folder)) == {who: list(range(20_000)) for who in ("parent", "child")}
