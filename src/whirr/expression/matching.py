"""What an expression asks, ready to be put to runs: one by one here, or to whole columns (``runtable``)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import translate
from functools import partial
from typing import Any

from whirr import clock
from whirr.expression.parser import parse
from whirr.expression.regex import Search
from whirr.expression.times import DURATION, TIMES, moments, seconds
from whirr.expression.tree import And, Between, Compare, Glob, Has, Leaf, Literal, Node, Not, OneOf, Or, Word
from whirr.where import MISSING, Condition, Run, holds, lookup, text_of, typed

TAGS = ("tag", "tags")
WORDS = "words"
"""The key under which a run's name, id and tags are searched."""

Interval = tuple[float, float]
Ask = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the value of a key.

    Attributes:
        key: what ``value_of`` understands.
        ask: whether a value, which is not MISSING, answers it.
        interval: all numbers that answer it, both ends included, where that is what ``ask`` says of numbers.
        turned: the answer is turned round.
        absent: the answer where a run has no such thing.
    """

    key: str
    ask: Ask
    interval: Interval | None = None
    turned: bool = False
    absent: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a run with this value passes."""
        return self.absent if value is MISSING else self.ask(value) is not self.turned


def value_of(run: Run, key: str) -> Any:
    """What ``where.lookup`` gives, but times as seconds since 1970, and tags and words in a form of their own."""
    if key == WORDS:
        return words_of(run)
    if key in TAGS:
        return tuple(run.tags) or MISSING
    value = lookup(run, key)
    return moment_of(value) if key in TIMES else value


def words_of(run: Run) -> str:
    """What words are searched in."""
    return "\n".join((run.name or "", run.id, *run.tags)).lower()


def moment_of(value: Any) -> Any:
    """Seconds since 1970 of a stamp; anything else as it is."""
    if isinstance(value, str):
        with suppress(ValueError, OverflowError):
            return clock.epoch(value)
    return value


def stamp_of(value: Any) -> str:
    """The reverse of ``moment_of``, as text."""
    if isinstance(value, float):
        with suppress(ValueError, OverflowError):
            return clock.stamp(clock.at(value))
    return text_of(value)


def matcher(text: str, now: float) -> Callable[[Run], bool]:
    """Tells for one run after the other whether an expression holds.

    Args:
        now: seconds since 1970, for times such as ``2d``.

    Raises:
        UsageError: it cannot be understood; so does the matcher where a regular expression takes too long.
    """
    return _matcher(parse(text), now)


def _matcher(node: Node, now: float) -> Callable[[Run], bool]:
    match node:
        case And(parts):
            return partial(_all, [_matcher(part, now) for part in parts])
        case Or(parts):
            return partial(_any, [_matcher(part, now) for part in parts])
        case Not(part):
            return partial(_not, _matcher(part, now))
        case _:
            return partial(_passes, question_of(node, now))


def _all(parts: list[Callable[[Run], bool]], run: Run) -> bool:
    return all(part(run) for part in parts)


def _any(parts: list[Callable[[Run], bool]], run: Run) -> bool:
    return any(part(run) for part in parts)


def _not(part: Callable[[Run], bool], run: Run) -> bool:
    return not part(run)


def _passes(question: Question, run: Run) -> bool:
    return question.holds(value_of(run, question.key))


def question_of(leaf: Leaf, now: float) -> Question:
    """The question that a leaf of an expression is."""
    match leaf:
        case Word(text):
            return Question(WORDS, partial(_contains, text.lower()))
        case Has(key):
            return Question(key, always)
        case Glob(key, pattern):
            fits = re.compile(translate(pattern)).match
            return _of_texts(key, lambda text: fits(text) is not None)
        case Compare(key, "~" | "!~" as op, value):
            return _of_texts(key, Search(value.text), turned=op == "!~")
        case Compare(key, op, value):
            return _compared(key, op, value, now)
        case Between(key, low, high):
            parts = [_compared(key, op, end, now) for op, end in ((">=", low), ("<=", high)) if end is not None]
            return _together(key, parts, all)
        case OneOf(key, values):
            return _together(key, [_compared(key, "=", value, now) for value in values], any)
    raise AssertionError(leaf)


def _contains(part: str, whole: str) -> bool:
    return part in whole


def always(_: Any) -> bool:
    """The answer of every value."""
    return True


def _of_texts(key: str, fits: Callable[[str], bool], *, turned: bool = False) -> Question:
    """A question to the text of a value; of tags, whether one of them fits."""
    if key in TAGS:
        return Question(key, lambda tags: any(map(fits, tags)), turned=turned, absent=turned)
    text = stamp_of if key in TIMES else text_of
    return Question(key, lambda value: fits(text(value)), turned=turned)


def _compared(key: str, op: str, value: Literal, now: float) -> Question:
    if op == "!=":
        same = _compared(key, "=", value, now)
        return Question(key, same.ask, same.interval, turned=True, absent=key in TAGS)
    if key in TIMES:
        interval = _interval(op, *_last_included(moments(value.text, now)))
        return Question(key, partial(_within, interval), interval)
    wanted = typed(value.text) if value.plain else value.text
    if key == DURATION and isinstance(wanted, str):
        wanted = seconds(wanted)
    condition = Condition(key, op, wanted, value.text)
    if key in TAGS:
        return Question(key, lambda tags: any(holds(tag, condition) for tag in tags))
    return Question(key, lambda found: holds(found, condition), _numbers(op, wanted))


def _numbers(op: str, wanted: Any) -> Interval | None:
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or wanted != wanted:
        return None
    try:
        limit = float(wanted)
    except OverflowError:
        return None
    return _interval(op, limit, limit) if limit == wanted else None


def _last_included(span: tuple[float, float]) -> Interval:
    """A span whose end is not part of it, with its last moment as its end."""
    start, end = span
    return start, max(start, math.nextafter(end, -math.inf))


def _interval(op: str, low: float, high: float) -> Interval:
    """The numbers that stand so to those from ``low`` to ``high``; where there are none, the ends are exchanged."""
    if op == "=":
        return low, high
    if op in ("<", "<="):
        return -math.inf, high if op == "<=" else _below(low)
    return (low if op == ">=" else -_below(-high)), math.inf


def _below(value: float) -> float:
    """The largest number below; below the smallest there is NaN, which nothing equals or exceeds."""
    return math.nan if value == -math.inf else math.nextafter(value, -math.inf)


def _within(interval: Interval, value: Any) -> bool:
    return isinstance(value, int | float) and interval[0] <= value <= interval[1]


def _together(key: str, parts: list[Question], how: Callable[[Iterable[bool]], bool]) -> Question:
    """All or any of several questions as one."""
    interval = None
    known = [part.interval for part in parts if part.interval is not None]
    if len(known) == len(parts) and (how is all or len(parts) == 1):
        interval = max(low for low, _ in known), min(high for _, high in known)
    return Question(key, lambda value: how(part.ask(value) for part in parts), interval)
