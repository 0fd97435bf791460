"""Bins and the points that stand for them, at the edges of what numbers can be."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whirr.curves.downsample import Bins, min_max

PLACES = st.lists(st.floats(-1.7e308, 1.7e308), min_size=1, max_size=60)


@given(PLACES, st.data(), st.integers(2, 20))
def test_every_bin_keeps_its_extremes_wherever_points_stand(
    places: list[float], data: st.DataObject, many: int
) -> None:
    x = np.sort(np.array(places))
    y = np.array(data.draw(st.lists(st.floats(-1e308, 1e308), min_size=len(x), max_size=len(x))))
    bins = Bins(float(x[0]), float(x[-1]), many)
    chosen = min_max(x, y, bins)
    numbers = bins.of(x)
    assert (np.diff(chosen) > 0).all()
    assert {0, len(x) - 1} <= set(chosen.tolist())
    assert len(chosen) <= 2 * many + 2
    for number in np.unique(numbers):
        of_bin, shown = y[numbers == number], y[chosen][numbers[chosen] == number]
        assert (of_bin.min(), of_bin.max()) == (shown.min(), shown.max())


@given(PLACES, st.integers(2, 20))
def test_bins_are_in_order_and_within_their_count(places: list[float], many: int) -> None:
    x = np.sort(np.array(places))
    numbers = Bins(float(x[0]), float(x[-1]), many).of(x)
    assert (np.diff(numbers) >= 0).all()
    assert set(numbers.tolist()) <= set(range(many))


@given(st.floats(-1.7e308, 1.7e308), st.floats(-1.7e308, 1.7e308), st.integers(2, 20))
def test_bins_that_grow_reach_over_all_and_not_much_farther(one: float, other: float, many: int) -> None:
    first, last = min(one, other), max(one, other)
    bins = Bins.growing(first, last, many)
    assert (bins.first, bins.many) == (first, many)
    assert bins.last >= last
    assert bins.last / 2 - first / 2 <= (last / 2 - first / 2) * 1.2 + math.ulp(max(abs(first), abs(last)))


@pytest.mark.parametrize("x", [[3.0] * 9, [0.0] * 8 + [5e-324], [-1.7e308] * 4 + [1.7e308] * 5])
def test_ranges_without_width_or_of_all_numbers(x: list[float]) -> None:
    y = np.array([0.0, 5, 1, -2, 0, 3, 9, -7, 0])
    chosen = min_max(np.array(x), y, Bins(x[0], x[-1], 4)).tolist()
    assert {0, 6, 7, 8} <= set(chosen)


@pytest.mark.parametrize("missing", ["numpy", "tsdownsample"])
def test_what_is_not_installed_is_told_with_how_to_install_it(missing: str) -> None:
    code = f"""
import sys
from whirr.errors import MissingExtra
sys.modules[{missing!r}] = None
try:
    import whirr.curves
except MissingExtra as error:
    print(error, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("curves need numpy and tsdownsample")
    assert "'.[server]'" in done.stdout
