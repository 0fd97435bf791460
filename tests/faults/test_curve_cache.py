"""The cache of curves under crowds, kills and full disks: whatever happens to it, every curve is a true one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest
from curve_runs import line, write
from disks import a_small_disk, fill
from helpers import Process, outputs, program, start, wait_until

from whirr.curves.cache import CurveCache
from whirr.curves.drawing import Wanted
from whirr.curves.source import Sizes

STEPS = 30_000
SIZES = Sizes(block=20_000, volume=100_000, waiting=4000, most_waiting=16_000, much=200_000)
READER = """
    import os
    import sys
    from pathlib import Path
    from whirr.curves.cache import CurveCache
    from whirr.curves.drawing import Wanted
    from whirr.curves.source import Sizes

    root, steps = Path(sys.argv[1]), int(sys.argv[2])
    sizes = Sizes(block=20_000, volume=100_000, waiting=4000, most_waiting=16_000, much=200_000)
    cache, seen = CurveCache(root, sizes=sizes), 0
    Path(f"ready.{os.getpid()}").touch()
    while seen < steps:
        curve = cache.curve("r", "a", Wanted(points=10**6))
        if curve is None:
            continue
        x, y = curve.drawn.x.tolist(), curve.drawn.y.tolist()
        assert x == y == list(range(len(x))), f"{len(x)} points that are not those that were logged"
        assert len(x) >= seen, f"{seen} points, then {len(x)}"
        if len(x) - seen > steps // 3:
            cache = CurveCache(root, sizes=sizes)
        seen = len(x)
    print("done")
"""


def lines(start: int, end: int) -> bytes:
    return b"".join(line(number, number, number * 0.1, a=number, b=0.5) for number in range(start, end))


def readers(place: Path, count: int) -> list[Process]:
    script = program(place / "reader.py", READER)
    return [start([sys.executable, script, place, str(STEPS)], place) for _ in range(count)]


def is_right(root: Path, count: int = STEPS) -> bool:
    curve = CurveCache(root, sizes=SIZES).curve("r", "a", Wanted(points=10**6))
    return curve is not None and curve.drawn.x.tolist() == curve.drawn.y.tolist() == list(range(count))


def test_several_processes_read_a_run_that_grows(tmp_path: Path) -> None:
    folder = write(tmp_path, "r", {"metrics.jsonl": lines(0, 10)})
    reading = readers(tmp_path, 3)
    wait_until(lambda: len(list(tmp_path.glob("ready.*"))) == 3, 60)
    at = 10
    with (folder / "metrics.jsonl").open("ab", buffering=0) as file:
        while at < STEPS:
            added = lines(at, min(at + random.randrange(1, 600), STEPS))
            torn = random.randrange(len(added))
            file.write(added[:torn])
            file.write(added[torn:])
            at += added.count(b"\n")
    assert [outputs(process) for process in reading] == [("done\n", "")] * 3
    assert is_right(tmp_path)


def test_readers_are_killed_at_any_moment(tmp_path: Path, thorough: bool) -> None:
    write(tmp_path, "r", {"metrics.jsonl": lines(0, STEPS)})
    cache = tmp_path / "cache"
    for _ in range(100 if thorough else 8):
        shutil.rmtree(cache, ignore_errors=True)
        reading = readers(tmp_path, 2)
        wanted = random.randrange(3)
        wait_until(lambda: len(list(cache.rglob("[0-9]*"))) >= wanted or any(p.poll() is not None for p in reading), 60)  # noqa: B023
        for process in reading:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert is_right(tmp_path)


@pytest.mark.needs_root
def test_the_disk_of_the_cache_is_full(tmp_path: Path) -> None:
    write(tmp_path, "r", {"metrics.jsonl": lines(0, STEPS)})
    with a_small_disk(tmp_path / "cache", "1m"):
        cache = CurveCache(tmp_path, sizes=SIZES)
        for count in (STEPS, STEPS + 5000):
            curve = cache.curve("r", "a", Wanted(points=10**6))
            assert curve is not None
            assert curve.drawn.y.tolist() == list(range(count))
            assert is_right(tmp_path, count)
            filler = fill(tmp_path / "cache")
            with (tmp_path / "runs" / "r" / "metrics.jsonl").open("ab") as file:
                file.write(lines(count, count + 5000))
        filler.unlink()
        assert is_right(tmp_path, STEPS + 10_000)
        assert not list((tmp_path / "cache").rglob("*.tmp"))
