"""What may come next in an expression."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whirr.catalog import STATUSES
from whirr.errors import UsageError
from whirr.expression import parse
from whirr.expression.completion import Completion, complete
from whirr.expression.keys import Key, Keys

KEYS = Keys(
    metrics=(Key("train/loss", 9, lo=0.1, hi=2.0), Key("val/acc", 8, lo=0.68, hi=0.8)),
    summary=(Key("best", 1),),
    config=(
        Key("lr", 9, lo=1e-4, hi=3e-3),
        Key("model.arch", 9, ("resnet 50", "vit-s")),
        Key("odd key", 3, (True, 2, "a")),
        Key("optimizer", 9, ("adamw", "lion", "sgd")),
    ),
    tags=("paper", "sweep-7"),
)


def at_bar(text: str) -> Completion:
    """The completion at the bar in a text."""
    place = text.index("|")
    return complete(text.replace("|", ""), place, KEYS, STATUSES)


def texts(text: str) -> list[str]:
    return [item.text for item in at_bar(text).items]


@pytest.mark.parametrize(
    ("text", "first", "span"),
    [
        ("|", ["train/loss", "val/acc", "best", "lr"], ""),
        ("va|", ["val/acc"], "va"),
        ("ac|", ["val/acc"], "ac"),
        ("loss|", ["train/loss"], "loss"),
        ("opti|mi", ["optimizer"], "optimi"),
        ("lr > 1 and (v|", ["val/acc"], "v"),
        ("od|", ['"odd key"'], "od"),
        ('"od|', ['"odd key"'], '"od'),
        ("sweep|", ["tag:sweep-7"], "sweep"),
        ("mis|", ["missing"], "mis"),
        ("not |", ["train/loss"], ""),
        ("has v|", ["val/acc"], "v"),
        ("val/acc |", ["=", "!=", "<"], ""),
        ("val/acc |> 3", ["=", "!=", "<"], ""),
        ("optimizer = |", ["adamw", "lion", "sgd"], ""),
        ("optimizer = s|", ["sgd"], "s"),
        ("config.optimizer = |", ["adamw", "lion", "sgd"], ""),
        ("model.arch:|", ['"resnet 50"', "vit-s"], ""),
        ("model.arch = 'res|", ['"resnet 50"'], "'res"),
        ('"odd key" = |', ["true", "2", "a"], ""),
        ("optimizer in (|", ["adamw", "lion", "sgd"], ""),
        ("optimizer in (adamw, |", ["adamw", "lion", "sgd"], ""),
        ("optimizer in (adamw |", [",", ")"], ""),
        ("lr in |", ["0.0001", "0.003"], ""),
        ("lr in 1e-4..|", ["0.0001", "0.003"], ""),
        ("tag:|", ["paper", "sweep-7"], ""),
        ("tags = s|", ["sweep-7"], "s"),
        ("status:f|", ["failed"], "f"),
        ("status in (failed, c|", ["completed", "cancelling", "cancelled"], "c"),
        ("started > |", ["1h", "1d"], ""),
        ("duration < |", ["10m", "1h"], ""),
        ("lr > 1 |", ["and", "or"], ""),
        ("lr > 1 a|", ["and"], "a"),
        ("(lr > 1) |", ["and", "or"], ""),
        ("has lr |", ["and", "or"], ""),
        ("zzz|", [], "zzz"),
    ],
)
def test_what_is_offered_first(text: str, first: list[str], span: str) -> None:
    found = at_bar(text)
    assert [item.text for item in found.items][: len(first)] == first
    assert bool(found.items) is bool(first)
    assert text.replace("|", "")[found.start : found.end] == span


def test_what_is_said_of_an_item() -> None:
    said = {item.text: (item.kind, item.detail) for item in at_bar("|").items}
    assert said["val/acc"] == ("metric", "0.68..0.8")
    assert said["best"] == ("summary", "1 run")
    assert said["optimizer"] == ("config", "adamw, lion, sgd")
    assert said["status"] == ("field", "")
    assert said["not"][0] == "operator"
    assert {item.kind for item in at_bar("tag:|").items} == {"tag"}
    assert {item.kind for item in at_bar("optimizer = |").items} == {"value"}


def test_what_stands_there_already_is_not_offered() -> None:
    assert "val/acc" not in texts("val/acc|")


@settings(max_examples=200, deadline=None)
@given(
    st.text()
    | st.lists(st.sampled_from(["lr ", "> ", "in ", "(", ")", ",", "..", "and ", "'", ":", "has ", "x"])).map("".join),
    st.integers(-5, 60),
)
def test_any_text_at_any_place(text: str, place: int) -> None:
    found = complete(text, place, KEYS, STATUSES)
    assert 0 <= found.start <= min(max(place, 0), len(text)) <= found.end <= len(text)


@pytest.mark.parametrize("text", ["", "lr > 1 and ", "not ", "lr in 1.. and (", "has lr or "])
def test_whatever_is_taken_leads_on(text: str) -> None:
    for item in complete(text, len(text), KEYS, STATUSES).items:
        if item.kind in ("metric", "summary", "config", "field"):
            said = text + item.text
            for operator in complete(f"{said} ", len(said) + 1, KEYS, STATUSES).items:
                if operator.text in ("=", "<", "~"):
                    try:
                        parse(f"{said} {operator.text} 1d" + ")" * said.count("("))
                    except UsageError as error:
                        pytest.fail(f"{said}: {error}")
