"""What may come next in an expression, for whoever is writing one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from whirr.expression.keys import Key, Keys
from whirr.expression.lexer import is_plain_name, is_plain_value, quoted
from whirr.expression.matching import TAGS
from whirr.expression.times import DURATION, TIMES

MOST = 50
OPERATORS = {
    "=": "equal",
    "!=": "not equal",
    "<": "less",
    "<=": "at most",
    ">": "more",
    ">=": "at least",
    "in": "in LOW..HIGH or in (A, B)",
    "~": "fits a regular expression",
    "!~": "does not fit it",
}
BETWEEN = {"and": "both", "or": "one of both"}
BEGINNINGS = {"not": "turn round", "has": "has the key", "missing": "lacks the key"}
TIME_WORDS = ("1h", "1d", "2d", "7d", "30d", "today", "yesterday")
DURATION_WORDS = ("10m", "1h", "6h", "1d")

_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|(?P<op>!=|<=|>=|==|!~|[=<>~])|(?P<sign>\.\.|[(),:!&|])"""
    r"""|(?P<word>(?:(?!\.\.)[^\s()=!<>~:,"'&|])+)""",
    re.DOTALL,
)


class Item(NamedTuple):
    """Something that may be put in.

    Attributes:
        text: as it is put in.
        kind: ``metric``, ``config``, ``summary``, ``field``, ``operator``, ``value`` or ``tag``.
        detail: a few words about it.
    """

    text: str
    kind: str
    detail: str = ""


class Completion(NamedTuple):
    """What may stand in place of the characters from ``start`` to ``end``, best first."""

    start: int
    end: int
    items: tuple[Item, ...]


class _Place(NamedTuple):
    """Where the cursor is.

    Attributes:
        wants: ``term``, ``key``, ``operator``, ``value``, ``list`` (a value or its end) or ``joint`` (and, or).
        key: whose value it is.
    """

    wants: str
    key: str = ""


def complete(text: str, at: int, keys: Keys, statuses: tuple[str, ...] = ()) -> Completion:
    """What may be written at a place of an expression, which need not be whole.

    Args:
        at: the place of the cursor, in characters.
        keys: those there are.
        statuses: the states of runs.
    """
    at = min(max(at, 0), len(text))
    start, end = _word_at(text, at)
    written = text[start:at].lstrip("\"'")
    place = _place(text[:start])
    items = [*_items(place, keys, statuses, text[start:at])]
    return Completion(start, end, tuple(_fitting(items, written)[:MOST]))


def _word_at(text: str, at: int) -> tuple[int, int]:
    """The word that the cursor touches or is in; none: the cursor itself."""
    for token in _TOKEN.finditer(text):
        if token.start() < at <= token.end() and token.lastgroup in ("word", "quoted"):
            return token.start(), token.end()
        if token.start() == at and token.lastgroup == "word":
            return at, token.end()
    return at, at


def _place(before: str) -> _Place:
    """What belongs behind a text, token by token."""
    place, last = _Place("term"), ""
    in_list = False
    for token in _TOKEN.finditer(before):
        kind, said = token.lastgroup, token[0]
        word = said.lower() if kind == "word" else ""
        if kind == "op" or said == ":" or (word == "in" and place.wants in ("operator", "term")):
            place = _Place("value", last)
        elif said == "(" and place.wants == "value":
            in_list, place = True, _Place("value", last)
        elif said == ")":
            in_list, place = False, _Place("joint")
        elif said == "," or said == "..":
            place = _Place("value", last)
        elif word in ("has", "missing") and place.wants in ("term", "joint", "operator"):
            place = _Place("key")
        elif word in ("and", "or", "not") or said == "(":
            place = _Place("term")
        elif place.wants == "value":
            place = _Place("list" if in_list else "joint", last)
        elif kind in ("word", "quoted"):
            last = said if kind == "word" else _bare(said)
            place = _Place("joint" if place.wants == "key" else "operator", last)
    return place


def _bare(said: str) -> str:
    return said.strip(said[0])


def _items(place: _Place, keys: Keys, statuses: tuple[str, ...], written: str) -> Iterator[Item]:
    match place.wants:
        case "term":
            yield from _keys(keys)
            yield from (Item(word, "operator", detail) for word, detail in BEGINNINGS.items())
            if written:
                yield from (Item(f"tag:{_value(tag)}", "tag") for tag in keys.tags)
        case "key":
            yield from _keys(keys)
        case "operator":
            yield from (Item(op, "operator", detail) for op, detail in {**OPERATORS, **BETWEEN}.items())
        case "value":
            yield from _values(place.key, keys, statuses)
        case "list":
            yield from (Item(sign, "operator") for sign in (",", ")"))
        case _:
            yield from (Item(word, "operator", detail) for word, detail in BETWEEN.items())


def _keys(keys: Keys) -> Iterator[Item]:
    for kind, room in (("metric", keys.metrics), ("summary", keys.summary), ("config", keys.config)):
        yield from (Item(_name(key.key), kind, _about(key)) for key in room)
    yield from (Item(field, "field") for field in keys.fields)


def _about(key: Key) -> str:
    """Few values, bounds, else the number of runs."""
    if key.values:
        return ", ".join(_shown(value) for value in key.values[:4]) + (", …" if len(key.values) > 4 else "")
    if key.lo is not None and key.hi is not None:
        return f"{_shown(key.lo)}..{_shown(key.hi)}"
    return f"{key.runs} run{'s' * (key.runs != 1)}"


def _values(key: str, keys: Keys, statuses: tuple[str, ...]) -> Iterator[Item]:
    if key in TAGS:
        yield from (Item(_value(tag), "tag") for tag in keys.tags)
    elif key == "status":
        yield from (Item(status, "value") for status in statuses)
    elif key in TIMES or key == DURATION:
        yield from (Item(word, "value") for word in (TIME_WORDS if key in TIMES else DURATION_WORDS))
    else:
        for known in (*keys.summary, *keys.metrics, *keys.config):
            if key in (known.key, f"config.{known.key}", f"summary.{known.key}", f"metrics.{known.key}"):
                values = known.values or [value for value in (known.lo, known.hi) if value is not None]
                yield from (Item(_value(value), "value") for value in values)


def _name(key: str) -> str:
    return key if is_plain_name(key) else quoted(key)


def _value(value: object) -> str:
    text = _shown(value)
    return text if is_plain_value(text) else quoted(text)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _fitting(items: list[Item], written: str) -> list[Item]:
    """Those that begin with what is written, then those a part of which does, then those that have it in them."""
    lower = written.lower()
    ways: tuple[Callable[[str], bool], ...] = (
        lambda text: text.startswith(lower),
        lambda text: any(part.startswith(lower) for part in re.split(r"[./_:\-]", text)),
        lambda text: lower in text,
    )
    found: dict[Item, None] = {}
    for fits in ways:
        found |= {item: None for item in items if fits(item.text.lower().lstrip("\"'"))}
    return [item for item in found if item.text != written]
