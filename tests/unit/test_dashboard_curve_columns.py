"""Curves as bytes: what a page decodes is what was drawn, to what can be seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whirr.curves.cache import Curve
from whirr.curves.drawing import Drawn
from whirr.dashboard.curve_columns import columns, encode


def curve(x: list[float], y: list[float]) -> Curve:
    drawn = Drawn(np.array(x), np.array(y, np.float64), len(x), 0.0, 1.0, None, None, None, [(0.0, "NaN")], 1, [2.0])
    return Curve(drawn, "step", 0.0, "v")


def decoded(answer: bytes) -> tuple[dict[str, Any], dict[str, tuple[list[float], list[float]]]]:
    """The header, and x and y by run; as a page reads them."""
    size = int.from_bytes(answer[:4], "little")
    head, begin = orjson.loads(answer[4 : 4 + size]), 4 + size
    assert begin % 8 == 0
    found = {}
    for one in head["series"]:
        at = begin + one["at"]
        assert at % 8 == 0
        width = 8 if one.get("x8") else 4
        x = np.frombuffer(answer, f"<f{width}", one["n"], at).astype(np.float64)
        values = -(-(at + width * one["n"]) // 8) * 8
        y = np.frombuffer(answer, "<f8" if one.get("y8") else "<f4", one["n"], values)
        found[one["run"]] = (x if one.get("x8") else one["x0"] + x).tolist(), y.tolist()
    return head, found


def test_curves_of_any_length_come_back_from_their_places() -> None:
    curves = [(f"run-{count}", curve([*range(count)], [number / 2 for number in range(count)])) for count in range(6)]
    head, found = decoded(encode("val/löss", "step", curves, [{"run": "gone", "message": "no"}]))
    assert found == {run: (one.drawn.x.tolist(), one.drawn.y.tolist()) for run, one in curves}
    assert (head["metric"], head["x"], head["total"]) == ("val/löss", "step", 15)
    assert head["problems"] == [{"run": "gone", "message": "no"}]
    assert head["series"][3]["nonfinite"] == [[0.0, "NaN"]]
    assert head["series"][3]["restarts"] == [2.0]


def test_no_curves_are_an_answer_too() -> None:
    head, found = decoded(encode("loss", "metric:epoch", [], []))
    assert (head["x"], head["total"], found) == ("metric:epoch", 0, {})


@pytest.mark.parametrize(
    ("x", "wide"),
    [
        ([0, 1, 2**24], False),
        ([0, 1, 2**24 + 1], True),
        ([2**40, 2**40 + 1], False),
        ([1.7e9, 1.7e9 + 0.25, 1.7e9 + 3e5 + 0.1], False),
        ([0, 1e7 + 0.1, 1e7 + 0.2], True),
        ([0, 1e300], True),
        ([-1e308, 1e308], True),
    ],
)
def test_places_are_sent_so_that_they_stay_what_and_apart_where_they_are(x: list[float], wide: bool) -> None:
    assert columns(np.array(x, np.float64), np.zeros(len(x))).x8 == wide


@pytest.mark.parametrize(
    ("y", "wide"),
    [
        ([0.5, 0.25, math.nan], False),
        ([0.1, 0.2, 0.3], False),
        ([math.nan], False),
        ([], False),
        ([0.1, 0.1], False),
        ([1e9, 1e9 + 1], True),
        ([1e300, 1], True),
        ([1e-60, 1e-60], True),
        ([1e-60, 1], True),
        ([-1e-40, 1], True),
        ([1e-37, 0, 1], False),
        ([0, 0], False),
    ],
)
def test_values_are_sent_so_that_their_differences_can_be_seen(y: list[float], wide: bool) -> None:
    assert columns(np.arange(float(len(y))), np.array(y, np.float64)).y8 == wide


@given(st.lists(st.tuples(st.floats(-1e300, 1e300), st.floats(-1e308, 1e308)), min_size=1, max_size=50))
def test_what_comes_back_looks_the_same(points: list[tuple[float, float]]) -> None:
    x, y = sorted(x for x, _ in points), [y for _, y in points]
    _, found = decoded(encode("loss", "step", [("r", curve(x, y))], []))
    back_x, back_y = found["r"]
    height, width = max(y) / 2 - min(y) / 2, x[-1] / 2 - x[0] / 2
    assert back_x == sorted(back_x)
    assert all(abs(one / 2 - other / 2) <= 1e-6 * width for one, other in zip(back_x, x, strict=True))
    if height:
        assert all(abs(one / 2 - other / 2) <= 1e-4 * height for one, other in zip(back_y, y, strict=True))
