"""Curves against what every single value says, for any records, however they came and were read."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from curve_runs import expected, key, line, write
from hypothesis import given, settings
from hypothesis import strategies as st

from whirr.curves.cache import CurveCache
from whirr.curves.downsample import Bins
from whirr.curves.drawing import Drawn, Wanted
from whirr.curves.source import Sizes

SMALL = Sizes(block=300, volume=6000, waiting=200, most_waiting=900, much=2000)
"""So that a few records take many reads, volumes and merges."""

ALL = 10**6
VALUES = st.one_of(
    st.floats(-1e6, 1e6),
    st.integers(-5, 5),
    st.sampled_from([math.nan, math.inf, -math.inf, True, None, "text", 1e300, -1e300]),
)
AXES = ("step", "time", "metric:epoch")


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """A file of records: mostly in order, now and then a step or a clock set back, a missing stamp, garbage."""
    lines: list[bytes] = []
    step, second = 0, 0.0
    for index in range(draw(st.integers(0, 30))):
        step += draw(st.sampled_from([1, 1, 1, 1, 0, 3, -2, -7]))
        second += draw(st.sampled_from([1.5, 1.5, 1.5, 0.0, -4.0]))
        metrics: dict[str, Any] = {"a": draw(VALUES)}
        if draw(st.booleans()):
            metrics["b"] = draw(VALUES)
        if draw(st.booleans()):
            metrics["epoch"] = index // 4
        stamp = draw(st.sampled_from([second, second, second, second, None]))
        lines.append(line(index, max(step, 0) if draw(st.integers(0, 40)) else None, stamp, **metrics))
        if not draw(st.integers(0, 20)):
            lines.append(draw(st.sampled_from([b"\n", b"garbage\n", b'{"a": 1\n', b"[1]\n", b'{"b": 2}\n'])))
    return b"".join(lines)


def plain() -> st.SearchStrategy[bytes]:
    """A file of many records that are all alike."""
    return st.builds(
        lambda ys, gap: b"".join(line(index, index * gap, float(index), a=y) for index, y in enumerate(ys)),
        st.lists(st.floats(-10, 10), max_size=40),
        st.integers(1, 3),
    )


files = st.one_of(contents(), plain())
attempts_of = st.lists(st.lists(files, min_size=1, max_size=2), min_size=1, max_size=3)


def names_of(attempts: Sequence[Sequence[bytes]]) -> dict[str, bytes]:
    """What the files of attempts are called in a run's folder."""
    found = {}
    for number, contents in enumerate(attempts, 1):
        above = f"attempts/{number}/" if number < len(attempts) else ""
        for writer, content in enumerate(contents):
            found[f"{above}metrics{f'.{writer}' if writer else ''}.jsonl"] = content
    return found


def drawn(cache: CurveCache, metric: str, axis: str, points: int = ALL) -> Drawn | None:
    curve = cache.curve("r", metric, Wanted(axis, points=points))
    return curve.drawn if curve else None


def points_of(found: Drawn | None) -> list[tuple[float, float]]:
    return sorted(zip(found.x.tolist(), found.y.tolist(), strict=True), key=key) if found else []


def as_drawn(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return sorted(((x, y if math.isfinite(y) else math.nan) for x, y in points), key=key)


def same(one: Drawn | None, other: Drawn | None) -> bool:
    return repr(one and tuple(map(_plain, one))) == repr(other and tuple(map(_plain, other)))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


@settings(max_examples=60)
@given(attempts_of, st.sampled_from(["a", "b", "epoch"]), st.sampled_from(AXES))
def test_every_value_is_where_it_was_logged(attempts: list[list[bytes]], metric: str, axis: str) -> None:
    with TemporaryDirectory() as folder:
        write(Path(folder), "r", names_of(attempts))
        cache = CurveCache(Path(folder), sizes=SMALL)
        right = expected(attempts, metric, axis)
        assert repr(points_of(drawn(cache, metric, axis))) == repr(as_drawn(right))
        told = [point for part in cache.rows("r", metric, Wanted(axis)) for point in zip(*part, strict=True)]
        assert repr(sorted(((float(x), float(y)) for x, y in told), key=key)) == repr(right)
        assert [x for x, _ in told] == sorted(x for x, _ in told)


@settings(max_examples=25)
@given(attempts_of, st.sampled_from(AXES))
def test_what_is_drawn_is_the_same_warm_cold_and_rebuilt(attempts: list[list[bytes]], axis: str) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, "r", names_of(attempts))
        cache = CurveCache(root, sizes=SMALL)
        cold = drawn(cache, "a", axis, points=8)
        assert same(cold, drawn(cache, "a", axis, points=8))
        assert same(cold, drawn(CurveCache(root, sizes=SMALL), "a", axis, points=8))
        shutil.rmtree(root / "cache", ignore_errors=True)
        assert same(cold, drawn(cache, "a", axis, points=8))
        assert same(cold, drawn(CurveCache(root), "a", axis, points=8))


@settings(max_examples=60)
@given(files, st.lists(st.integers(0, 3000), max_size=6), st.sampled_from(AXES))
def test_lines_added_at_any_split_come_to_the_same(content: bytes, splits: list[int], axis: str) -> None:
    with TemporaryDirectory() as folder:
        path = write(Path(folder), "r", {}) / "metrics.jsonl"
        cache = CurveCache(Path(folder), sizes=SMALL)
        for split in sorted(splits):
            path.write_bytes(b"") if not path.exists() else None
            with path.open("ab") as file:
                file.write(content[path.stat().st_size : split])
            assert points_of(drawn(cache, "a", axis)) is not None
            if split % 3 == 0:  # and another process goes on with what is kept
                cache = CurveCache(Path(folder), sizes=SMALL)
        with path.open("ab") as file:
            file.write(content[path.stat().st_size :])
        assert repr(points_of(drawn(cache, "a", axis))) == repr(as_drawn(expected([[content]], "a", axis)))


@settings(max_examples=60)
@given(attempts_of, st.sampled_from(AXES), st.integers(4, 12), st.floats(-5, 40), st.floats(0, 40))
def test_each_bin_keeps_its_smallest_and_largest_value(
    attempts: list[list[bytes]], axis: str, points: int, start: float, width: float
) -> None:
    base = expected([[line(0, 0, 0.0, a=1)]], "a", "time")[0][0] if axis == "time" else 0.0
    low, high = base + start, base + start + width
    with TemporaryDirectory() as folder:
        write(Path(folder), "r", names_of(attempts))
        curve = CurveCache(Path(folder), sizes=SMALL).curve("r", "a", Wanted(axis, low, high, points))
    every = expected(attempts, "a", axis)
    if not every:
        assert curve is None
        return
    assert curve is not None
    found = curve.drawn
    inside = [(x, y) for x, y in every if low <= x <= high]
    assert found.total == len(inside)
    assert found.nonfinite_total == sum(not math.isfinite(y) for _, y in inside)
    bins = Bins(max(low, every[0][0]), min(high, every[-1][0]), max(points // 2, 2))
    shown = [(x, y) for x, y in points_of(found) if low <= x <= high and math.isfinite(y)]
    assert extremes(shown, bins) == extremes([(x, y) for x, y in inside if math.isfinite(y)], bins)
    assert len(shown) <= max(points, 2 * bins.many + 2)
    assert set(map(key, shown)) <= set(map(key, inside))


def extremes(points: Sequence[tuple[float, float]], bins: Bins) -> dict[float, tuple[float, float]]:
    """The smallest and the largest value of each bin."""
    found: dict[float, tuple[float, float]] = {}
    numbers = bins.of(np.array([x for x, _ in points]))
    for number, (_, y) in zip(numbers.tolist(), points, strict=True):
        low, high = found.get(number, (y, y))
        found[number] = min(low, y), max(high, y)
    return found


@settings(max_examples=15)
@given(st.integers(0, 10**9), st.integers(2, 3), st.booleans())
def test_blocks_stand_for_their_values(seed: int, bins: int, restarted: bool) -> None:
    """Of curves so long that blocks of values are not looked into."""
    random = Random(seed)
    count = random.randrange(1500, 4000)
    ys = [random.choice([random.gauss(0, 1), random.gauss(0, 100), math.nan, math.inf]) for _ in range(count)]
    half = random.randrange(count) if restarted else count
    steps = [index if index < half else index - half // 3 for index in range(count)]
    content = b"".join(
        line(index, step, index * 0.25, a=y) for index, (step, y) in enumerate(zip(steps, ys, strict=True))
    )
    with TemporaryDirectory() as folder:
        write(Path(folder), "r", {"metrics.jsonl": content})
        cache = CurveCache(Path(folder), sizes=Sizes(volume=30_000))
        for axis in ("step", "time"):
            every = expected([[content]], "a", axis) if axis == "time" else kept_by_step(steps, ys)
            finite = [(x, y) for x, y in every if math.isfinite(y)]
            found = drawn(cache, "a", axis, points=2 * bins)
            assert found is not None
            told = Bins.growing(every[0][0], every[-1][0], bins)
            shown = [(x, y) for x, y in points_of(found) if math.isfinite(y)]
            assert extremes(shown, told) == extremes(finite, told)
            assert (found.low, found.high) == (min(y for _, y in finite), max(y for _, y in finite))
            assert found.total == len(every)


def kept_by_step(steps: Sequence[int], ys: Sequence[float]) -> list[tuple[float, float]]:
    """As ``expected``, for steps that go back once at most."""
    again = [at for at in range(1, len(steps)) if steps[at] < steps[at - 1]]
    limit = steps[again[0]] if again else math.inf
    return [
        (float(step), y)
        for at, (step, y) in enumerate(zip(steps, ys, strict=True))
        if not again or at >= again[0] or step < limit
    ]
