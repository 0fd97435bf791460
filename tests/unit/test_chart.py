from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whirr.cli.chart import plot, sparkline, wants_log

FLOATS = st.floats()
POINTS = st.lists(st.tuples(st.floats(-1e300, 1e300), st.floats(allow_nan=False, allow_infinity=False)), min_size=1)


class TestSparkline:
    def test_rises_with_its_values(self) -> None:
        assert sparkline(range(8), 8) == "▁▂▃▄▅▆▇█"
        assert sparkline(range(8), 8, unicode=False) == "_.:-=+*#"

    def test_many_values_become_means(self) -> None:
        assert sparkline([0, 2, 9, 11], 2) == "▁█"

    def test_few_values_take_few_letters(self) -> None:
        assert sparkline([1.0, 2.0], 20) == "▁█"

    def test_a_constant_is_a_line_in_the_middle(self) -> None:
        assert sparkline([3.0, 3.0, 3.0], 3) == "▅▅▅"

    def test_rounding_makes_no_waves(self) -> None:
        assert set(sparkline([0.1] * 1000, 33)) == {"▅"}

    def test_gaps(self) -> None:
        assert sparkline([0.0, math.nan, 1.0], 3) == "▁ █"
        assert sparkline([math.inf, math.nan], 2) == "  "
        assert sparkline([], 5) == ""

    @given(st.lists(FLOATS, max_size=100), st.integers(1, 30), st.booleans())
    def test_any_values(self, values: list[float], width: int, unicode: bool) -> None:
        line = sparkline(values, width, unicode=unicode)
        assert len(line) == min(width, len(values))
        assert line.isascii() or unicode


class TestPlot:
    def test_a_straight_line_in_ascii(self) -> None:
        lines = plot([(0, 0.0), (10, 10.0)], 14, 4, unicode=False)
        assert lines == ["10 |        **", "   |     ***", "   |  ***", " 0 |**", "   +0 ----- 10"]

    def test_braille(self) -> None:
        lines = plot([(0, 0.0), (100, 1.0), (200, 0.0)], 22, 3)
        assert lines[0].startswith("1 ┤")
        assert lines[2].startswith("0 ┤")
        assert lines[3] == "  └0 ───────────── 200"
        assert set("".join(line[3:] for line in lines[:3])) - {" "} <= {chr(0x2800 + bits) for bits in range(1, 256)}

    def test_rising_on_a_log_scale_is_straight(self) -> None:
        steps = range(4)
        straight = drawn(plot([(step, 1 + step) for step in steps], 40, 10), margin=1)
        curved = drawn(plot([(step, 10.0**step) for step in steps], 43, 10), margin=4)
        log = drawn(plot([(step, 10.0**step) for step in steps], 43, 10, log=True), margin=4)
        assert log == straight != curved

    def test_a_peak_among_many_points_is_seen(self) -> None:
        points = [(float(step), 1.0 if step == 54_321 else 0.0) for step in range(100_000)]
        top = plot(points, 60, 5)[0]
        assert top.removeprefix("1 ┤").strip() != ""

    def test_one_point_and_a_constant(self) -> None:
        assert len(plot([(5, 2.0)], 30, 4)) == 5
        assert plot([(0, 2.0), (1, 2.0)], 30, 4)[0].startswith("2 ┤")
        assert plot([], 30, 4) == []

    def test_a_gap_is_left_open_and_the_axis_goes_on(self) -> None:
        points = [(0, 1.0), (4, 1.0), (5, math.nan), (10, 1.0), (12, 2.0), (20, math.inf)]
        lines = plot(points, 24, 2, unicode=False)
        assert lines[1] == "1 |*****     **"
        assert lines[2] == "  +0 ---------------- 20"
        assert plot([(0, math.nan)], 24, 2) == []
        log = plot([(0, 1.0), (1, math.nan), (2, 1000.0)], 24, 2, log=True, unicode=False)
        assert [line.count("*") for line in log[:2]] == [1, 1]

    @given(POINTS, st.integers(5, 60), st.integers(2, 8), st.booleans())
    def test_any_points(self, points: list[tuple[float, float]], width: int, height: int, unicode: bool) -> None:
        lines = plot(sorted(points), width, height, unicode=unicode)
        assert len(lines) == height + 1
        assert all(line.isascii() for line in lines) or unicode
        assert any(line.rpartition("┤" if unicode else "|")[2].strip() for line in lines[:-1])


def drawn(lines: list[str], margin: int) -> list[str]:
    """A plot without its labels and axes."""
    return [line[margin + 2 :] for line in lines[:-1]]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([1, 100], True), ([1, 99], False), ([0, 1000], False), ([-1, 1000], False), ([], False), ([5e-324, 1], True)],
)
def test_log_scale_when_sensible(values: list[float], wanted: bool) -> None:
    assert wants_log(values) is wanted
