"""``whirr runs`` over many run folders against ``whirr --help``."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

import whirr
from benchmarks.measure import Effort, Row, absolute, in_turns, output_of, ratio, scratch

WHIRR = str(Path(sys.executable).with_name("whirr"))


def rows(effort: Effort) -> Iterator[Row]:
    """Warm (the index is there) and cold (it was deleted)."""
    with scratch() as folder:
        make_runs(folder, effort.folders)

        def run(*arguments: str) -> str:
            return output_of([WHIRR, *arguments], folder, WHIRR_DIR=str(folder))

        run("runs")
        times = in_turns(effort.repeats, {"help": lambda: run("--help"), "runs": lambda: run("runs")})
        what = f"whirr runs, {effort.folders:,} folders"
        yield ratio(f"{what}, warm; limit: --help", "ms", times["help"] * 1000, times["runs"] * 1000, 2)
        cold = in_turns(max(effort.repeats // 5, 1), {"cold": lambda: _cold(folder, run)})
        yield absolute(f"{what}, cold", "s", cold["cold"], 2)


def _cold(folder: Path, run: Callable[..., str]) -> str:
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return run("runs")


def make_runs(folder: Path, count: int) -> None:
    """One real run, and copies of its files under other ids and times."""
    os.environ["WHIRR_DIR"] = str(folder)
    with whirr.init(name="benchmark", config={"lr": 0.01}, tags=["benchmark"], capture_pip=False) as run:
        for step in range(20):
            run.log({"loss": 1 / (step + 1), "acc": step / 20}, step)
        run.summary({"best_loss": 0.05})
    files = {path.name: path.read_bytes() for path in run.run_dir.iterdir() if path.is_file()}
    meta = orjson.loads(files.pop("meta.json"))
    for number in range(1, count):
        identity = f"local-20260101-000000-{number:06x}"
        target = run.run_dir.with_name(identity)
        target.mkdir()
        for name, content in files.items():
            (target / name).write_bytes(content)
        other = {**meta, "run_id": identity, "name": f"run {number}", "summary": {"best_loss": 1 / number}}
        (target / "meta.json").write_bytes(orjson.dumps(other))
