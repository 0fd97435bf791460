"""The line of one record: what ``log()`` keeps of any value."""

from __future__ import annotations

import json
import math
import warnings
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import strict_json
from omegaconf import OmegaConf

from whirr.encode import Encoder
from whirr.errors import NotAMapping, WhirrWarning

MOMENT = datetime(2026, 11, 23, 12, 48, tzinfo=UTC)


def line(metrics: Any, step: Any = None) -> dict[str, Any]:
    """The record as any strict JSON reader sees it, without what stands in every record."""
    text = Encoder().encode(7, MOMENT, metrics, step)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    record = strict_json(text)
    assert record.pop("_idx") == 7
    assert record.pop("_timestamp") == "2026-11-23T12:48:00Z"
    return record


class Number(Enum):
    HALF = 0.5


class Stage(IntEnum):
    TRAIN = 2


class Tensor:
    """A scalar as torch and jax have them."""

    shape = ()

    def __init__(self, value: Any) -> None:
        self.value = value

    def item(self) -> Any:
        return self.value


class Named(Tensor):
    """tensorflow's variables have a name and a method ``value``."""

    name = "a variable"

    def value(self) -> Any:  # type: ignore[override]
        return self

    def __init__(self) -> None:
        """Nothing is kept."""

    def item(self) -> float:
        return 0.5


class Series:
    """As pandas has it: ``keys()``, but iteration over values."""

    def __init__(self, **values: float) -> None:
        self.data = values
        self.values = list(values.values())

    def keys(self) -> list[str]:
        return list(self.data)

    def __getitem__(self, name: str) -> float:
        return self.data[name]

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[float]:
        return iter(self.values)


class Broken(Mapping[str, float]):
    def __getitem__(self, key: str) -> float:
        if key == "bad":
            raise RuntimeError("cannot be read")
        return 1.0

    def __iter__(self) -> Iterator[str]:
        return iter(["good", "bad"])

    def __len__(self) -> int:
        return 2


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class UnspeakableError(Exception):
    __str__ = Unspeakable.__repr__


class RaisesUnspeakable:
    def item(self) -> float:
        raise UnspeakableError

    @property
    def shape(self) -> tuple[int, ...]:
        raise UnspeakableError


KEPT: list[tuple[Any, Any]] = [
    (1, 1),
    (0.5, 0.5),
    (True, True),
    (False, False),
    ("text", "text"),
    ("", ""),
    (None, None),
    ("naïve \U0001f600", "naïve \U0001f600"),
    ("\ud800", "\\ud800"),
    ("two\nlines\0", "two\nlines\0"),
    (2**63, 2**63),
    (2**64 - 1, 2**64 - 1),
    (-(2**63), -(2**63)),
    (2**64, float(2**64)),
    (-(2**70), float(-(2**70))),
    (Decimal("0.25"), 0.25),
    (Fraction(1, 4), 0.25),
    (Number.HALF, 0.5),
    (Stage.TRAIN, 2),
    (np.array(0.5), 0.5),
    (np.array([0.5]), 0.5),
    (np.array([[3]]), 3),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (Tensor(0.5), 0.5),
    (Tensor(3), 3),
    (Tensor(True), True),
    (Named(), 0.5),
    *((kind(3), 3) for kind in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)),
    *((kind(0.5), 0.5) for kind in (np.float16, np.float32, np.float64)),
]

LOST = [
    object(),
    {1, 2},
    deque([1]),
    b"bytes",
    1 + 2j,
    np.complex64(1j),
    np.datetime64("2026-01-01"),
    Path("p"),
    datetime(2026, 1, 1),
    10**400,
    Fraction(10**400),
    Decimal("sNaN"),
    list(range(65)),
    np.zeros(65),
    np.zeros((9, 9)),
    Tensor(Tensor(1)),
    Unspeakable(),
    RaisesUnspeakable(),
    print,
    int,
    Enum("Odd", {"PAIR": (1, 2)}).PAIR,
]


@pytest.mark.parametrize(("value", "kept"), KEPT, ids=[f"{n}-{type(v).__name__}" for n, (v, _) in enumerate(KEPT)])
def test_values_that_are_kept(value: Any, kept: Any) -> None:
    found = line({"m": value, "other": 1.5})
    assert found == {"m": kept, "other": 1.5}
    assert type(found["m"]) is type(kept)


@pytest.mark.parametrize("value", LOST, ids=[f"{n}-{type(v).__name__}" for n, v in enumerate(LOST)])
def test_a_bad_value_costs_its_key_and_one_warning(value: Any) -> None:
    encoder = Encoder()
    with pytest.warns(WhirrWarning) as caught:
        lines = [encoder.encode(step, MOMENT, {"bad": value, "good": 1.5}, step) for step in range(5)]
    assert [str(warning.message).count("bad") >= 1 for warning in caught] == [True]
    for step, text in enumerate(lines):
        assert strict_json(text) == {"_idx": step, "_timestamp": "2026-11-23T12:48:00Z", "step": step, "good": 1.5}


@pytest.mark.parametrize("value", LOST, ids=[f"{n}-{type(v).__name__}" for n, v in enumerate(LOST)])
def test_nothing_is_raised_where_warnings_are_errors(value: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert line({"bad": value, "good": 1.5}, step=value) == {"good": 1.5}


def test_every_bad_name_has_a_warning_of_its_own() -> None:
    encoder = Encoder()
    metrics = {"one": object(), "deep": {"two": object()}, "list": [object(), 1]}
    with pytest.warns(WhirrWarning) as caught:
        lines = [encoder.encode(0, MOMENT, metrics, None) for _ in range(3)]
    assert [strict_json(text)["list/1"] for text in lines] == [1, 1, 1]
    assert [str(warning.message).split("'")[1] for warning in caught] == ["one", "deep/two", "list/0"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), Tensor(math.inf), Decimal("NaN")])
def test_non_finite_floats_are_null_with_their_spelling(value: Any) -> None:
    spelled = str(float(value.item() if hasattr(value, "item") else value))
    assert line({"a": value, "b": 1.0}) == {"a": None, "b": 1.0, "_nonfinite": {"a": spelled}}
    assert line({"deep": {"a": [value]}}) == {"deep/a/0": None, "_nonfinite": {"deep/a/0": spelled}}


@pytest.mark.parametrize(
    ("metrics", "flat"),
    [
        ({}, {}),
        ({"a": {}}, {}),
        ({"a": []}, {}),
        ({"train": {"loss": 1, "acc": {"top1": 2}}}, {"train/loss": 1, "train/acc/top1": 2}),
        ({"a": [1, 2]}, {"a/0": 1, "a/1": 2}),
        ({"a": (1, {"b": 2})}, {"a/0": 1, "a/1/b": 2}),
        ({"a": np.array([1, 2])}, {"a/0": 1, "a/1": 2}),
        ({"a": np.array([[1], [2]])}, {"a/0/0": 1, "a/1/0": 2}),
        ({"a": list(range(64))}, {f"a/{n}": n for n in range(64)}),
        ({1: 2.0, None: 3, 1.5: 4, (1, 2): 5}, {"1": 2.0, "None": 3, "1.5": 4, "(1, 2)": 5}),
        ({"\ud800": 1}, {"\\ud800": 1}),
        ({"": 1}, {"": 1}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Series(a=1.0, b=2.0), {"a": 1.0, "b": 2.0}),
        (OmegaConf.create({"a": 1, "b": "${a}"}), {"a": 1, "b": 1}),
    ],
)
def test_shapes(metrics: Any, flat: dict[str, Any]) -> None:
    assert line(metrics) == flat


@pytest.mark.parametrize("metrics", [Broken(), {"deep": Broken()}, OmegaConf.create({"good": 1.0, "bad": "???"})])
def test_a_part_that_cannot_be_read_costs_only_itself(metrics: Any) -> None:
    with pytest.warns(WhirrWarning, match="bad"):
        found = line(metrics)
    assert list(found.values()) == [1.0]


def test_a_key_that_cannot_be_shown_has_a_name() -> None:
    assert list(line({Unspeakable(): 1}).values()) == [1]


def test_cycles_cost_their_keys() -> None:
    metrics: dict[str, Any] = {"good": 1, "list": [2]}
    metrics["self"] = metrics["again"] = metrics
    metrics["list"].append(metrics["list"])
    with pytest.warns(WhirrWarning, match="nested too deeply"):
        assert line(metrics)["good"] == 1


def test_deep_nesting_costs_its_key() -> None:
    deep: Any = 1
    for _ in range(2000):
        deep = {"d": deep}
    with pytest.warns(WhirrWarning, match="nested too deeply"):
        assert line({"deep": deep, "good": 1}) == {"good": 1}


@pytest.mark.parametrize(
    ("metrics", "step", "found"),
    [
        ({"_idx": 1, "_timestamp": 2}, None, {"user/_idx": 1, "user/_timestamp": 2}),
        ({"_nonfinite": 3}, None, {"user/_nonfinite": 3}),
        ({"step": 1}, 5, {"step": 5, "user/step": 1}),
        ({"step": 1}, None, {"step": 1}),
        ({"step": 1.5}, None, {"step": 1.5}),
        ({"step": np.int64(4)}, None, {"step": 4}),
        ({"step": "one"}, None, {"user/step": "one"}),
        ({"step": True}, None, {"user/step": True}),
        ({"step": math.nan}, None, {"user/step": None, "_nonfinite": {"user/step": "nan"}}),
        ({"step": 1, "user/step": 2}, 5, {"step": 5, "user/step": 1, "user/user/step": 2}),
        ({"user/step": 2, "step": 1}, 5, {"step": 5, "user/step": 2, "user/user/step": 1}),
        (
            {"_idx": math.nan, "user/_idx": 1.0},
            None,
            {"user/_idx": None, "user/user/_idx": 1.0, "_nonfinite": {"user/_idx": "nan"}},
        ),
        ({"a/b": 1, "a": {"b": 2}}, None, {"a/b": 1, "user/a/b": 2}),
        ({1: 1, "1": 2}, None, {"1": 1, "user/1": 2}),
        ({"a": {"b": 1}, "a/b": 2, "user/a/b": 3}, None, {"a/b": 1, "user/a/b": 2, "user/user/a/b": 3}),
    ],
)
def test_a_name_that_is_taken_is_kept_beside(metrics: Any, step: Any, found: dict[str, Any]) -> None:
    assert line(metrics, step) == found


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        (3, 3),
        (-1, -1),
        (2.5, 2.5),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.array(3), 3),
        (np.array([3]), 3),
        (Tensor(3), 3),
        (Stage.TRAIN, 2),
        (2**70, float(2**70)),
    ],
)
def test_steps(step: Any, kept: Any) -> None:
    assert line({"a": 1}, step) == {"step": kept, "a": 1}


@pytest.mark.parametrize(
    "step", [math.nan, math.inf, "3", True, [3], object(), 10**400, Unspeakable(), np.array([1, 2])]
)
def test_a_step_that_is_no_number_costs_the_step(step: Any) -> None:
    with pytest.warns(WhirrWarning, match="step"):
        assert line({"a": 1}, step) == {"a": 1}


@pytest.mark.parametrize("metrics", [None, 1, "loss", [("loss", 1)], {"loss"}, np.array([1]), object()])
def test_what_has_no_names_is_a_type_error(metrics: Any) -> None:
    with pytest.raises(NotAMapping, match="log") as caught:
        line(metrics)
    assert isinstance(caught.value, TypeError)
    assert caught.value.hint


def test_what_the_program_passed_is_unchanged() -> None:
    metrics = {"a": [1, {"b": math.nan}], "step": 3, "_idx": 1}
    shown = repr(metrics)
    line(metrics, 5)
    assert repr(metrics) == shown


def test_torch_values() -> None:
    torch = pytest.importorskip("torch")
    values = {"a": torch.tensor(0.5), "b": torch.tensor([3]), "c": torch.tensor([1, 2]), "d": torch.tensor(True)}
    assert line(values, torch.tensor(4)) == {"step": 4, "a": 0.5, "b": 3, "c/0": 1, "c/1": 2, "d": True}


def test_the_line_is_one_line_of_json_whatever_the_text() -> None:
    text = Encoder().encode(0, MOMENT, {"a\n": "b\r\n\u2028"}, None)
    assert text.count(b"\n") == 1
    assert json.loads(text)["a\n"] == "b\r\n\u2028"
