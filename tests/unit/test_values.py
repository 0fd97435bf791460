"""Configs and documents: any value becomes plain JSON data, and nothing of the program is changed."""

from __future__ import annotations

import argparse
import copy
import math
import pickle
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import UUID

import attrs
import numpy as np
import pydantic
import pytest
from helpers import strict_json
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from whirr.jsonio import dumps
from whirr.values import LONGEST_TEXT, ReadOnlyDict, as_config, revive, scalar, to_plain


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    ON = "on"


@dataclass(frozen=True, slots=True)
class Frozen:
    lr: float = 0.1
    path: Path = Path("data")


@dataclass
class Nested:
    kind: ClassVar[str] = "not a field"
    seed: InitVar[int]
    optimizer: Frozen = field(default_factory=Frozen)
    layers: list[int] = field(default_factory=lambda: [64, 32])


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    lr: float = 0.1
    inner: dict[str, int] = {"depth": 2}


@attrs.define
class Slotted:
    lr: float = 0.1
    colour: Colour = Colour.RED


class MyArguments(argparse.Namespace):
    """A subclass is a namespace too."""


Pair = namedtuple("Pair", "x y")


class Hostile:
    """Raises whatever it is asked."""

    def __refuse(self, *_: object) -> Any:
        raise RuntimeError("no")

    __repr__ = __str__ = __eq__ = __len__ = __iter__ = __bool__ = __getitem__ = __float__ = __refuse  # type: ignore[assignment]
    __hash__ = object.__hash__
    shape = tolist = item = property(__refuse)


class BrokenMapping(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        if key == "bad":
            raise KeyError(key)
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter(["good", "bad"])

    def __len__(self) -> int:
        return 2


class UnreadableMapping(BrokenMapping):
    __hash__ = object.__hash__

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")


def function() -> None:
    """Something callable with a name."""


CONFIGS: list[tuple[Any, dict[str, Any]]] = [
    ({"lr": 0.1, "layers": [1, 2]}, {"lr": 0.1, "layers": [1, 2]}),
    (None, {}),
    (argparse.Namespace(lr=0.1, out=Path("o")), {"lr": 0.1, "out": "o"}),
    (MyArguments(lr=0.1), {"lr": 0.1}),
    (SimpleNamespace(lr=0.1), {"lr": 0.1}),
    (Frozen(), {"lr": 0.1, "path": "data"}),
    (Nested(seed=1), {"optimizer": {"lr": 0.1, "path": "data"}, "layers": [64, 32]}),
    (Model(extra=3), {"lr": 0.1, "inner": {"depth": 2}, "extra": 3}),
    (Slotted(), {"lr": 0.1, "colour": "red"}),
    (OmegaConf.create({"a": 1, "b": "${a}", "c": {"d": [1, 2]}}), {"a": 1, "b": 1, "c": {"d": [1, 2]}}),
    (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    ("just a text", {"config": "just a text"}),
    ([1, 2], {"config": [1, 2]}),
]

VALUES: list[tuple[Any, Any]] = [
    (Colour.RED, "red"),
    (Level.LOW, 1),
    (Word.ON, "on"),
    (Path("a/b"), "a/b"),
    (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(3, 4), "03:04:00"),
    (Decimal("0.5"), 0.5),
    (Fraction(1, 4), 0.25),
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (np.array(2.5), 2.5),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array([0.5, np.nan]), [0.5, "NaN"]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a"}), ["a", "b"]),
    (range(3), [0, 1, 2]),
    (deque([1, 2]), [1, 2]),
    (Pair(1, 2), [1, 2]),
    (b"abc", "abc"),
    (2**63, 2**63),
    (2**64, str(2**64)),
    (-(2**63) - 1, str(-(2**63) - 1)),
    (math.nan, "NaN"),
    (math.inf, "Infinity"),
    (-math.inf, "-Infinity"),
    (UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')"),
    (1 + 2j, "(1+2j)"),
    (int, "builtins.int"),
    (function, f"{__name__}.function"),
    ({1: "a", None: "b", Colour.RED: "c", (1, 2): "d"}, {"1": "a", "None": "b", "red": "c", "[1, 2]": "d"}),
    (Slotted, f"{__name__}.Slotted"),
    (defaultdict(list, a=[1]), {"a": [1]}),
]


def ids(cases: list[tuple[Any, Any]]) -> list[str]:
    return [f"{position}-{type(given).__name__}" for position, (given, _) in enumerate(cases)]


@pytest.mark.parametrize(("config", "plain"), CONFIGS, ids=ids(CONFIGS))
def test_configs_of_every_kind(config: Any, plain: dict[str, Any]) -> None:
    assert strict_json(dumps(as_config(config))) == plain


@pytest.mark.parametrize(("value", "plain"), VALUES, ids=ids(VALUES))
def test_values_inside(value: Any, plain: Any) -> None:
    assert to_plain(value) == plain
    assert type(to_plain(value)) is type(plain)
    assert strict_json(dumps({"deep": [value]})) == {"deep": [plain]}


def test_what_omegaconf_misses_is_told() -> None:
    config = OmegaConf.create({"a": "???", "b": "${nowhere}", "c": 1})
    plain = strict_json(dumps(as_config(config)))
    assert plain["c"] == 1
    assert plain["a"].startswith("<unreadable")
    assert plain["b"].startswith("<unreadable")


def test_a_part_that_cannot_be_read_costs_only_itself() -> None:
    assert to_plain(BrokenMapping()) == {"good": 1, "bad": "<unreadable: KeyError>"}
    assert as_config(BrokenMapping()) == {"good": 1, "bad": "<unreadable: KeyError>"}


@pytest.mark.parametrize("thing", [Hostile(), UnreadableMapping(), partial(function), object(), lambda: None])
def test_no_value_is_refused(thing: Any) -> None:
    for config in ({"thing": thing}, {"deep": [{"thing": thing}]}, {thing: 1}, thing, [thing]):
        assert strict_json(dumps(as_config(config)))
    assert strict_json(dumps(as_config({"thing": thing, "lr": 0.1})))["lr"] == 0.1


def test_cycles_end() -> None:
    config: dict[str, Any] = {"lr": 0.1, "items": []}
    config["self"] = config["again"] = config
    config["items"].append(config["items"])
    plain = strict_json(dumps(as_config(config)))
    assert plain["lr"] == 0.1
    assert "again" in str(plain["items"])


def test_deep_nesting_ends() -> None:
    config: Any = {"end": 1}
    for _ in range(5000):
        config = {"down": config}
    assert strict_json(dumps(as_config(config)))


def test_shared_parts_are_no_cycles() -> None:
    shared = {"lr": 0.1}
    assert to_plain({"a": shared, "b": [shared, shared]}) == {"a": shared, "b": [shared, shared]}


def test_long_values_are_shortened() -> None:
    assert to_plain(np.zeros((100, 100))) == "ndarray(shape=(100, 100), dtype=float64)"
    assert len(to_plain(b"x" * 10**6)) == LONGEST_TEXT
    assert len(to_plain(SimpleNamespace.__init__)) < LONGEST_TEXT


def test_text_that_is_no_unicode_is_kept_readable() -> None:
    assert strict_json(dumps({"\ud800k": "v\udfff", "ok": "ü"})) == {"\\ud800k": "v\\udfff", "ok": "ü"}


@pytest.mark.parametrize(
    ("holder", "found"),
    [
        (np.float16(0.5), 0.5),
        (np.uint8(7), 7),
        (np.bool_(False), False),
        (np.array([3]), 3),
        (Decimal("1.5"), 1.5),
        (Fraction(1, 2), 0.5),
    ],
)
def test_scalar(holder: Any, found: Any) -> None:
    assert scalar(holder) == found
    assert type(scalar(holder)) is type(found)


@pytest.mark.parametrize(
    "thing", [np.array([1, 2]), np.complex64(1j), object(), np.array([]), {}, np.datetime64("now")]
)
def test_scalar_refuses_what_holds_no_single_value(thing: Any) -> None:
    with pytest.raises(TypeError):
        scalar(thing)


def test_torch_values() -> None:
    torch = pytest.importorskip("torch")
    assert to_plain({"t": torch.tensor(0.5), "v": torch.tensor([1, 2])}) == {"t": 0.5, "v": [1, 2]}


class TestRunConfig:
    """What the program sees as ``run.config``."""

    def test_it_equals_what_was_passed_and_holds_the_very_objects(self) -> None:
        values = {"path": Path("x"), "colour": Colour.RED, "object": object(), "nested": Nested(seed=1)}
        passed = {**values, "when": datetime(2026, 1, 1), "list": [1, {"a": (2, [3])}], "set": {1}, "float": 0.1}
        config = as_config(passed)
        assert config == passed
        assert isinstance(config, dict)
        assert all(config[name] is value for name, value in values.items())

    def test_later_changes_by_the_program_do_not_reach_it(self) -> None:
        passed: dict[str, Any] = {"list": [1, [2]], "dict": {"a": 1}, "tuple": ([1],), "set": {1}}
        before = copy.deepcopy(passed)
        config = as_config(passed)
        passed["list"][1].append(3)
        passed["dict"]["b"] = 2
        passed["tuple"][0].append(2)
        passed["set"].add(2)
        passed["new"] = 1
        assert config == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda config: config.update(lr=1),
            lambda config: config.__setitem__("lr", 1),
            lambda config: config.__delitem__("lr"),
            lambda config: config.pop("lr"),
            lambda config: config.popitem(),
            lambda config: config.clear(),
            lambda config: config.setdefault("new", 1),
            lambda config: config.__ior__({"lr": 1}),
            lambda config: config["deep"].update(a=2),
        ],
    )
    def test_it_is_read_only(self, change: Any) -> None:
        config = as_config({"lr": 0.1, "deep": {"a": 1}})
        with pytest.raises(TypeError, match="read-only"):
            change(config)
        assert config == {"lr": 0.1, "deep": {"a": 1}}

    def test_copies_are_plain_dicts(self) -> None:
        config = as_config({"lr": 0.1, "deep": {"a": 1}})
        for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config)), config | {}, config.copy()):
            assert type(twin) is dict
            assert twin == config
        assert isinstance(config, ReadOnlyDict)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(codec=None), max_size=5),
    st.binary(max_size=5),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.datetimes(),
    st.dates(),
    st.uuids(),
    st.sampled_from([Colour.RED, Level.LOW, Path("p"), int, function, np.float32(1.5), np.array([1, 2]), Frozen()]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(max_size=4), st.integers(), st.booleans(), st.none()), inner, max_size=4),
        st.frozensets(st.one_of(st.integers(), st.text(max_size=3)), max_size=1),
    ),
    max_leaves=15,
)


@given(TREES)
def test_anything_becomes_strict_json_and_stays_as_it_was(value: Any) -> None:
    before, shown = copy.deepcopy(value), repr(value)
    config = as_config({"value": value})
    document = strict_json(dumps(config))
    assert set(document) == {"value"}
    assert repr(value) == shown == repr(before)
    assert repr(dict(config)) == repr({"value": value})


PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text(max_size=4)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=15,
).filter(lambda value: not any(word in repr(value) for word in ("'NaN'", "'Infinity'", "'-Infinity'")))


@given(PLAIN)
def test_plain_data_comes_back_as_it_was(value: Any) -> None:
    assert revive(strict_json(dumps(value))) == value


def test_nan_comes_back_as_nan() -> None:
    assert math.isnan(revive(strict_json(dumps([math.nan])))[0])
