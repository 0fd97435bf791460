"""The cache of curves: what it shows of attempts, restarts and samples, and that nothing done to its files matters."""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from curve_runs import START, line, write

from whirr import clock
from whirr.curves.cache import Curve, CurveCache, Kind, Metric
from whirr.curves.drawing import Wanted
from whirr.curves.source import Sizes
from whirr.errors import NotFound

SMALL = Sizes(block=4000, volume=20_000, waiting=2000, most_waiting=4000, much=10_000)
MANY = 3000


def content(count: int = MANY, first: int = 0, scale: float = 1.0, base: int = 0) -> bytes:
    numbers = range(first, first + count)
    return b"".join(line(number, number, number * 0.5, a=base + number * scale, b=-number) for number in numbers)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "r", {"metrics.jsonl": content()})
    return tmp_path


@pytest.fixture
def cache(root: Path) -> CurveCache:
    return CurveCache(root, sizes=SMALL)


def metrics_file(root: Path) -> Path:
    return root / "runs" / "r" / "metrics.jsonl"


def volumes(root: Path) -> list[Path]:
    folder = root / "cache" / "curves" / "r" / "metrics.jsonl"
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def points(cache: CurveCache, metric: str = "a", **wanted: object) -> list[tuple[float, float]]:
    curve = cache.curve("r", metric, Wanted(**{"points": 10**6, **wanted}))  # type: ignore[arg-type]
    return [] if curve is None else list(zip(curve.drawn.x.tolist(), curve.drawn.y.tolist(), strict=True))


def is_right(cache: CurveCache, count: int = MANY, scale: float = 1.0, base: int = 0) -> bool:
    return points(cache) == [(number, base + number * scale) for number in range(count)]


def whole(curve: Curve | None) -> Curve:
    assert curve is not None
    return curve


def test_what_was_read_is_kept_in_volumes_and_read_no_more(root: Path, cache: CurveCache) -> None:
    assert is_right(cache)
    assert len(volumes(root)) > 2
    kept = [path.stat().st_mtime_ns for path in volumes(root)]
    assert is_right(CurveCache(root, sizes=SMALL))
    assert [path.stat().st_mtime_ns for path in volumes(root)] == kept


def test_a_file_that_grows_is_read_from_where_it_ended(root: Path, cache: CurveCache) -> None:
    for number in range(20):
        assert is_right(cache, MANY + 100 * number)
        with metrics_file(root).open("ab") as file:
            file.write(content(100, MANY + 100 * number))
    first = volumes(root)[0].stat().st_ino
    assert is_right(cache, MANY + 2000)
    assert volumes(root)[0].stat().st_ino == first
    assert is_right(CurveCache(root, sizes=SMALL), MANY + 2000)


def test_a_torn_line_is_shown_when_it_is_whole(root: Path, cache: CurveCache) -> None:
    more = line(MANY, MANY, 0.0, a=MANY, b=0)
    for end in (10, len(more) - 1, len(more)):
        metrics_file(root).write_bytes(content() + more[:end])
        found = points(cache)
        assert len(found) == (MANY if end == 10 else MANY + 1)


def test_a_line_without_end_does_not_fill_the_memory(root: Path) -> None:
    cache = CurveCache(root, sizes=SMALL._replace(line=20_000))
    assert is_right(cache)
    os.truncate(metrics_file(root), len(content()) + 2**23)
    tracemalloc.start()
    try:
        assert cache.metrics(["r"]).metrics[0].points == MANY
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    with metrics_file(root).open("ab") as file:
        file.write(b"\n" + line(MANY, MANY, 0.0, a=MANY, b=0))
    assert is_right(cache, MANY + 1)
    assert is_right(CurveCache(root), MANY + 1)


@pytest.mark.parametrize("kept", [True, False], ids=["cache on disk", "cache in memory"])
def test_truncated_replaced_and_rewritten_files_are_noticed(root: Path, cache: CurveCache, kept: bool) -> None:
    if not kept:
        (root / "cache").write_text("no folder can be made here")
    file = metrics_file(root)
    assert is_right(cache)
    os.truncate(file, len(content(1000)))
    assert is_right(cache, 1000)
    other = file.with_name("other")
    other.write_bytes(content(scale=2.0))
    os.replace(other, file)
    assert is_right(cache, scale=2.0)
    with file.open("r+b") as same:  # the same inode, and more than before
        same.write(content(MANY + 1, scale=3.0))
    assert is_right(cache, MANY + 1, scale=3.0)
    assert is_right(CurveCache(root, sizes=SMALL), MANY + 1, scale=3.0)
    file.unlink()
    assert points(cache) == []
    file.write_bytes(content(10))
    assert is_right(cache, 10)


def test_a_cache_deleted_at_any_time_does_not_matter(root: Path, cache: CurveCache) -> None:
    assert is_right(cache)
    shutil.rmtree(root / "cache")
    assert is_right(cache)
    volumes(root)[1].unlink()
    assert is_right(cache)
    assert is_right(CurveCache(root, sizes=SMALL))


def test_a_cache_deleted_again_and_again_while_it_is_used(root: Path, cache: CurveCache) -> None:
    done = threading.Event()

    def delete() -> None:
        while not done.is_set():
            shutil.rmtree(root / "cache", ignore_errors=True)

    deleting = threading.Thread(target=delete)
    deleting.start()
    try:
        assert all(is_right(CurveCache(root, sizes=SMALL)) and is_right(cache) for _ in range(4))
    finally:
        done.set()
        deleting.join()


@pytest.mark.parametrize("damage", ["empty", "cut", "longer", "header", "not ours"])
def test_damaged_volumes_are_read_anew(root: Path, cache: CurveCache, damage: str) -> None:
    assert is_right(cache)
    for path in volumes(root)[1:]:
        data = path.read_bytes()
        size = 16 + int.from_bytes(data[8:12], sys.byteorder)
        made = {
            "empty": b"",
            "cut": data[:-8],
            "longer": data + b"\0" * 8,
            "header": data[:16] + data[16:size].replace(b"[0,", b"[1,") + data[size:],
            "not ours": b"something" * 1000,
        }
        path.write_bytes(made[damage])
    assert is_right(CurveCache(root, sizes=SMALL))
    assert is_right(cache)
    assert is_right(CurveCache(root, sizes=SMALL))


def of_another_boot(volume: bytes) -> bytes:
    """A volume as it would be had it been written before the machine started."""
    size = int.from_bytes(volume[8:12], sys.byteorder)
    head = re.sub(rb'"boot":"[^"]*"', lambda found: found[0].replace(b"-", b"+"), volume[16 : 16 + size])
    assert head != volume[16 : 16 + size]
    return volume[:12] + zlib.crc32(head).to_bytes(4, sys.byteorder) + head + volume[16 + size :]


def test_what_a_power_cut_left_unwritten_is_read_anew(root: Path, cache: CurveCache) -> None:
    assert is_right(cache)
    for path in volumes(root):
        path.write_bytes(of_another_boot(path.read_bytes())[:-4096] + b"\0" * 4096)
    assert is_right(CurveCache(root, sizes=SMALL))


def test_of_an_earlier_start_of_the_machine_what_is_whole_is_used(root: Path, cache: CurveCache) -> None:
    assert is_right(cache)
    for path in volumes(root):
        path.write_bytes(of_another_boot(path.read_bytes()))
    kept = [path.stat().st_mtime_ns for path in volumes(root)]
    assert is_right(CurveCache(root, sizes=SMALL))
    assert [path.stat().st_mtime_ns for path in volumes(root)] == kept


@pytest.mark.parametrize("bases", [(0, 10**9), (10**6, 2 * 10**6)], ids=["of other lines", "of lines as long"])
def test_volumes_of_two_readings_are_never_mixed(tmp_path: Path, bases: tuple[int, int]) -> None:
    before: dict[Path, bytes] = {}
    for base in bases:
        write(tmp_path, "r", {"metrics.jsonl": content(base=base)})
        assert is_right(CurveCache(tmp_path, sizes=SMALL), base=base)
        for path, data in before.items():
            path.write_bytes(data)
        assert is_right(CurveCache(tmp_path, sizes=SMALL), base=base)
        before = {path: path.read_bytes() for path in volumes(tmp_path)[1:-1]}
        shutil.rmtree(tmp_path / "cache")


def test_a_shorter_volume_in_the_place_of_a_longer_one_is_not_followed_by_the_next(tmp_path: Path) -> None:
    folder = write(tmp_path, "r", {"metrics.jsonl": content(100)})
    cache = CurveCache(tmp_path, sizes=SMALL)
    assert is_right(cache, 100)
    (short,) = volumes(tmp_path)
    before = short.read_bytes()
    for count in (150, 1000):
        (folder / "metrics.jsonl").write_bytes(content(count))
        assert is_right(cache, count)
    assert len(volumes(tmp_path)) > 2
    assert len(short.read_bytes()) > len(before)
    short.write_bytes(before)
    assert is_right(CurveCache(tmp_path, sizes=SMALL), 1000)


def test_memory_stays_within_its_budget_and_answers_stay_right(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path, f"r{number}", {"metrics.jsonl": content(500, scale=number)})
    (tmp_path / "cache").write_text("no folder can be made here")
    cache = CurveCache(tmp_path, budget=100_000, sizes=SMALL)
    for _ in range(2):
        for number in range(12):
            drawn = whole(cache.curve(f"r{number}", "a", Wanted())).drawn
            assert (drawn.total, drawn.last_y) == (500, 499 * number)
    assert cache.weight < 200_000


def test_caches_of_runs_that_are_gone_are_swept(root: Path, cache: CurveCache) -> None:
    write(root, "other", {"metrics.jsonl": content(10)})
    assert cache.curve("other", "a", Wanted())
    assert is_right(cache)
    kept = root / "cache" / "curves"
    (kept / "other").mkdir(exist_ok=True)
    shutil.rmtree(root / "runs" / "other")
    drafts = [kept / "r" / f".{number}.0a.tmp" for number in range(2)]
    for draft in drafts:
        draft.touch()
    os.utime(drafts[0], (0, 0))
    cache.sweep()
    assert [draft.exists() for draft in drafts] == [False, True]
    drafts[1].unlink()
    assert [path.name for path in kept.iterdir()] == ["r"]
    assert [path.name for path in (kept / "r").iterdir()] == ["metrics.jsonl"]
    assert is_right(cache)


def test_nothing_outside_the_runs_is_read(root: Path, cache: CurveCache, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "x", {"metrics.jsonl": content(10), "attempts/1/metrics.jsonl": content(10)})
    outside = tmp_path / "elsewhere" / "runs" / "x"
    (root / "runs" / "link").symlink_to(outside)
    (root / "runs" / "r" / "attempts").symlink_to(outside / "attempts")
    (root / "runs" / "r" / "metrics.1.jsonl").symlink_to(outside / "metrics.jsonl")
    for run in ("link", "../elsewhere/runs/x", "..", ".", "", "nothing", "r/attempts/1"):
        with pytest.raises(NotFound):
            cache.curve(run, "a", Wanted())
    assert is_right(cache)


def test_a_later_attempt_supersedes_the_earlier_from_where_it_began(tmp_path: Path) -> None:
    files = {
        "attempts/1/metrics.jsonl": b"".join(line(step, step, step, a=1) for step in range(10)),
        "attempts/2/metrics.jsonl": b"".join(line(step, step + 6, 100 + step, a=2) for step in range(3)),
        "attempts/10/metrics.jsonl": b"".join(line(step, step + 7, 200 + step, a=3) for step in range(5)),
        "metrics.jsonl": b"",
    }
    write(tmp_path, "r", files)
    cache = CurveCache(tmp_path)
    drawn = whole(cache.curve("r", "a", Wanted())).drawn
    assert drawn.y.tolist() == [1] * 6 + [2] + [3] * 5
    assert (drawn.x.tolist(), drawn.restarts) == (list(range(12)), [6, 7])
    drawn = whole(cache.curve("r", "a", Wanted("relative"))).drawn
    assert drawn.x.tolist() == [*range(10), 100, 101, 102, *range(200, 205)]
    assert drawn.restarts == [100, 200]


def test_relative_time_begins_with_the_first_attempt(tmp_path: Path) -> None:
    def meta(after_s: float) -> bytes:
        return orjson.dumps({"started_at": clock.stamp(clock.at(clock.epoch(START) + after_s))})

    files = {"meta.json": meta(50), "metrics.jsonl": line(0, 0, 60, a=1)}
    folder = write(tmp_path, "r", files)
    cache = CurveCache(tmp_path)
    assert points(cache, axis="relative") == [(10, 1)]
    assert whole(cache.curve("r", "a", Wanted("relative", 10, 10))).drawn.total == 1
    write(tmp_path, "r", {"attempts/1/meta.json": meta(5), "attempts/1/metrics.jsonl": line(0, 0, 7, a=2)})
    assert points(cache, axis="relative") == [(2, 2), (55, 1)]
    (folder / "attempts/1/meta.json").write_bytes(b"{}")
    assert points(cache, axis="relative") == [(-43, 2), (10, 1)]


def test_steps_in_no_order_are_drawn_by_step_without_marks(tmp_path: Path) -> None:
    steps = [number * 7919 % 1000 for number in range(1000)]
    write(tmp_path, "r", {"metrics.jsonl": b"".join(line(i, step, 0.0, a=step) for i, step in enumerate(steps))})
    drawn = whole(CurveCache(tmp_path, sizes=SMALL).curve("r", "a", Wanted(points=5000))).drawn
    assert drawn.x.tolist() == drawn.y.tolist() == list(range(1000))
    assert drawn.restarts == []


def test_many_values_that_are_not_finite_are_marked_where_each_row_of_them_begins(tmp_path: Path) -> None:
    lines = [line(step, step, 0.0, a=math.nan if step % 100 > 50 else 1.0) for step in range(1000)]
    write(tmp_path, "r", {"metrics.jsonl": b"".join(lines)})
    drawn = whole(CurveCache(tmp_path).curve("r", "a", Wanted(points=20))).drawn
    assert drawn.nonfinite == [(number * 100 + 51, "NaN") for number in range(10)]
    assert drawn.nonfinite_total == 490
    gaps = drawn.x[[math.isnan(y) for y in drawn.y]].tolist()
    assert gaps == [place for place, _ in drawn.nonfinite]


def test_samples_of_the_machine_are_told_by_time(root: Path, cache: CurveCache) -> None:
    samples = b"".join(
        orjson.dumps({"_timestamp": clock.stamp(clock.at(clock.epoch(START) + 10 * number)), "cpu_percent": number})
        + b"\n"
        for number in range(5)
    )
    write(root, "r", {"system.jsonl": samples})
    curve = whole(cache.curve("r", "cpu_percent", Wanted("step"), Kind.SYSTEM))
    assert (curve.axis, curve.drawn.x.tolist()) == ("relative", [0, 10, 20, 30, 40])
    curve = whole(cache.curve("r", "cpu_percent", Wanted("time"), Kind.SYSTEM))
    assert curve.drawn.x[0] == clock.epoch(START)
    assert cache.curve("r", "cpu_percent", Wanted()) is None


def test_metrics_and_the_axes_they_can_stand_on(tmp_path: Path) -> None:
    lines = [line(i, i, 0.0, loss=math.sin(i), epoch=i // 10, lr=0.1, text="x") for i in range(50)]
    again = [line(i, i, 0.0, loss=math.sin(i), epoch=i // 10, tokens=i * 64) for i in range(25, 60)]
    write(tmp_path, "one", {"metrics.jsonl": b"".join([*lines, *again])})
    write(tmp_path, "two", {"metrics.jsonl": b"".join(lines), "system.jsonl": b'{"cpu_percent": 5}\n'})
    found = CurveCache(tmp_path, sizes=SMALL).metrics(["one", "gone", "two"])
    told = {(metric.name, metric.kind): metric for metric in found.metrics}
    assert told["loss", Kind.METRICS] == Metric("loss", Kind.METRICS, 2, 135)
    assert told["cpu_percent", Kind.SYSTEM] == Metric("cpu_percent", Kind.SYSTEM, 1, 1)
    assert ("text", Kind.METRICS) not in told
    assert found.axes == ["step", "time", "relative", "metric:epoch", "metric:tokens"]


def test_a_zoom_shows_finer_data_and_lines_that_run_on(root: Path, cache: CurveCache) -> None:
    far, near = points(cache, points=20), points(cache, points=20, start=100.5, end=110.5)
    assert len(far) <= 22
    assert near == [(number, number) for number in range(100, 112)]
    assert points(cache, points=20, start=1e9, end=2e9) == [(MANY - 1, MANY - 1)]
    assert points(cache, points=20, start=2e9, end=1e9) == [(MANY - 1, MANY - 1)]


def test_a_curve_that_grows_does_not_flicker(tmp_path: Path) -> None:
    folder = write(tmp_path, "r", {})
    cache = CurveCache(tmp_path)
    noise = [math.sin(number**2) for number in range(2400)]
    drawn = []
    for count in (2060, 2200, 2400):
        lines = [line(step, step, 0.0, a=noise[step]) for step in range(count)]
        (folder / "metrics.jsonl").write_bytes(b"".join(lines))
        drawn.append([(x, y) for x, y in points(cache, points=40) if x < 1900])
    assert len(drawn[0]) > 30
    assert drawn[0] == drawn[1] == drawn[2]


def test_versions_change_with_the_files_alone(root: Path, cache: CurveCache) -> None:
    before = whole(cache.curve("r", "a", Wanted())).version
    assert whole(CurveCache(root).curve("r", "b", Wanted("time"))).version == before
    with metrics_file(root).open("ab") as file:
        file.write(line(MANY, MANY, 0.0, a=1))
    assert whole(cache.curve("r", "a", Wanted())).version != before


def test_an_open_export_goes_on_while_the_cache_is_deleted(root: Path, cache: CurveCache) -> None:
    with ExitStack() as stack:
        parts = cache.rows("r", "a", Wanted())
        stack.callback(parts.close)  # type: ignore[attr-defined]
        first = next(parts)
        shutil.rmtree(root / "cache")
        assert sum(len(part.x) for part in (first, *parts)) == MANY


@pytest.mark.parametrize("budget", [1, 10**8], ids=["hardly any memory", "enough memory"])
def test_many_threads_ask_at_once(tmp_path: Path, budget: int) -> None:
    for number in range(4):
        write(tmp_path, f"r{number}", {"metrics.jsonl": content(400, base=number)})
    cache = CurveCache(tmp_path, budget=budget, sizes=SMALL)

    def ask(number: int) -> bool:
        if number == 30:
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        run = number % 4
        drawn = whole(cache.curve(f"r{run}", "a", Wanted(points=1000))).drawn
        return drawn.y.tolist() == [run + step for step in range(400)]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(80)))
