from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from run_folders import write_rows

from whirr.derive import Derived, State, summarise
from whirr.encode import RESERVED, Encoder
from whirr.folder import read_metrics
from whirr.series import read_curves
from whirr.values import spell

VALUES = st.one_of(
    st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), st.sampled_from(["", "warm", "NaN?"])
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["loss", "acc", "a/b"]), VALUES, max_size=3), max_size=12)


def lines_of(rows: list[dict[str, Any]]) -> list[bytes]:
    """The lines whirr itself writes for these metrics."""
    from datetime import UTC, datetime

    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return [Encoder().encode(index, moment.replace(microsecond=index), row, index) for index, row in enumerate(rows)]


def expected(records: list[dict[str, Any]]) -> dict[str, Derived]:
    """The slow and plain way to the same result."""
    found: dict[str, list[Any]] = {}
    for record in records:
        for name, value in record.items():
            if name not in RESERVED:
                found.setdefault(name, []).append(value)
    return {name: derived_of(values) for name, values in found.items()}


def derived_of(values: list[Any]) -> Derived:
    numbers = [value for value in values if isinstance(value, int | float)]
    finite = [value for value in numbers if math.isfinite(value)]
    last = spell(values[-1]) if isinstance(values[-1], float) else values[-1]
    low, high = (min(finite), max(finite)) if finite else (None, None)
    return Derived(last, low, high, len(values), len(numbers) - len(finite))


def summarise_anew(folder: Path) -> dict[str, Derived]:
    return summarise(str(folder), {})[0]


@given(rows=ROWS, cut=st.integers(0, 10_000))
def test_the_same_as_the_plain_way_wherever_the_file_was_cut(tmp_path_factory: Any, rows: Any, cut: int) -> None:
    folder = tmp_path_factory.mktemp("run")
    whole = b"".join(lines_of(rows))
    file = folder / "metrics.jsonl"
    state: State = {}
    for content in (whole[: cut % (len(whole) + 1)], whole):
        file.write_bytes(content)
        derived, grown = summarise(str(folder), state)
        assert derived == expected(read_metrics(file))
        # What is remembered goes through a file.
        state = orjson.loads(orjson.dumps(grown))
    assert summarise(str(folder), state, unchanged=True) == (derived, None)


def test_no_metrics(tmp_path: Path) -> None:
    assert summarise_anew(tmp_path) == {}
    assert summarise_anew(tmp_path / "missing") == {}


def test_garbage_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b'{"loss":1}\n{"loss":\n\x00\x00\n[1]\n{"loss":3}\n')
    assert summarise_anew(tmp_path) == {"loss": Derived(3, 1, 3, 2, 0)}


def test_only_added_bytes_are_read(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"loss":1}\n')
    _, state = summarise(str(tmp_path), {})
    assert state is not None
    with file.open("r+b") as same:
        same.write(b'{"loss":9}\n{"loss":2}\n')
    derived, _ = summarise(str(tmp_path), state)
    assert derived == {"loss": Derived(2, 1, 2, 2, 0)}


def test_a_file_that_shrank_or_was_replaced_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"loss":1}\n{"loss":5}\n')
    _, state = summarise(str(tmp_path), {})
    assert state is not None
    with file.open("r+b") as same:
        same.truncate(11)
    derived, shrunk = summarise(str(tmp_path), state)
    assert derived == {"loss": Derived(1, 1, 1, 1, 0)}
    assert shrunk is not None
    other = tmp_path / "new"
    other.write_bytes(b'{"loss":7}\n{"loss":8}\n{"loss":9}\n')
    other.replace(file)
    assert summarise(str(tmp_path), shrunk)[0] == {"loss": Derived(9, 7, 9, 3, 0)}


def test_several_writers_the_newest_value_is_the_last(tmp_path: Path) -> None:
    write_rows(tmp_path / "metrics.jsonl", [{"_timestamp": "2026-01-01T00:00:05Z", "loss": 5, "own": 1}])
    write_rows(tmp_path / "metrics.rank1.jsonl", [{"_timestamp": "2026-01-01T00:00:09Z", "loss": 9}])
    write_rows(tmp_path / "metrics.rank2.jsonl", [{"_timestamp": "2026-01-01T00:00:01Z", "loss": 1}])
    assert summarise_anew(tmp_path) == {"loss": Derived(9, 1, 9, 3, 0), "own": Derived(1, 1, 1, 1, 0)}


def test_longer_than_one_chunk(tmp_path: Path) -> None:
    rows = [{"_idx": index, "loss": index, "pad": "x" * 500} for index in range(5000)]
    write_rows(tmp_path / "metrics.jsonl", rows)
    assert summarise_anew(tmp_path)["loss"] == Derived(4999, 0, 4999, 5000, 0)


class TestSeries:
    def test_over_steps_in_their_order(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "metrics.jsonl", [{"step": 2, "loss": 0.2}, {"step": 1, "loss": 0.1}])
        series, _ = read_curves(str(tmp_path))
        assert (series["loss"].stepped, series["loss"].points()) == (True, [(1, 0.1), (2, 0.2)])

    def test_over_records_where_a_step_is_missing(self, tmp_path: Path) -> None:
        rows = [{"step": 10, "loss": 0.2, "text": "x"}, {"other": 1}, {"loss": 0.1}]
        write_rows(tmp_path / "metrics.jsonl", rows)
        series = read_curves(str(tmp_path)).series
        assert (series["loss"].stepped, series["loss"].points()) == (False, [(0, 0.2), (2, 0.1)])
        assert set(series) == {"loss", "other"}

    def test_what_is_not_finite_keeps_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_bytes(b"".join(lines_of([{"a": math.nan}, {"a": 1.0}, {"a": math.inf}])))
        series = read_curves(str(tmp_path)).series["a"]
        assert [(place, math.isfinite(value)) for place, value in series.points()] == [
            (0, False),
            (1, True),
            (2, False),
        ]
        assert not series.varies()

    def test_a_step_that_is_no_number_is_no_place(self, tmp_path: Path) -> None:
        text = '{"step":null,"_nonfinite":{"step":"nan"},"a":1}\n{"step":2,"a":3}\n'
        (tmp_path / "metrics.jsonl").write_text(text)
        series = read_curves(str(tmp_path)).series["a"]
        assert (series.points(), series.varies()) == ([(2, 3)], True)

    def test_garbage_and_what_cannot_be_read_are_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_bytes(b'{"a":1}\nnonsense\n{"a":2}\n{"a":')
        (tmp_path / "metrics.folder.jsonl").mkdir()
        series, _ = read_curves(str(tmp_path))
        assert list(series["a"].values) == [1, 2]

    def test_a_long_file_is_sampled_over_its_whole_length(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "metrics.jsonl", [{"_idx": place, "a": place} for place in range(20_000)])
        series, sampled = read_curves(str(tmp_path), most=2**17)
        points = series["a"].points()
        assert sampled
        assert 5000 < len(points) < 12_000
        assert (points[0], points[-1]) == ((0, 0), (19_999, 19_999))
        assert all(place == value for place, value in points)
        assert max(after - before for (before, _), (after, _) in pairwise(points)) < 6000

    def test_lines_longer_than_a_sample(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "metrics.jsonl", [{"a": 1, "text": "x" * 50_000}] * 10)
        assert read_curves(str(tmp_path), most=2**17) == ({}, True)
