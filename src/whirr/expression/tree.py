"""What an expression says, as frozen records, and its text again.

    val/acc > 0.7 and lr in 1e-4..3e-3 and tag:sweep-7

is ``And((Compare("val/acc", ">", 0.7), Between("lr", 1e-4, 3e-3), Glob("tag", "sweep-7")))`` with its values as
``Literal``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from whirr.expression.lexer import is_plain_name, is_plain_value, quoted
from whirr.where import typed

Span = tuple[int, int]
"""From and to which character of the text."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value.

    Attributes:
        text: as it was written, without quotes.
        plain: it was written without quotes and is a number, ``true``, ``null`` or the like; else it is a text.
    """

    text: str
    plain: bool = False

    @classmethod
    def of(cls, text: str, *, was_quoted: bool = False) -> Literal:
        """The value that a text is; quoted, it is always a text."""
        return cls(text, not was_quoted and not isinstance(typed(text), str))

    def __str__(self) -> str:
        bare = self.plain or (is_plain_value(self.text) and isinstance(typed(self.text), str))
        return self.text if bare else quoted(self.text)


@dataclass(frozen=True, slots=True)
class Compare:
    """``KEY OP VALUE`` with one of ``= != < <= > >= ~ !~``."""

    key: str
    op: str
    value: Literal
    at: Span = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{_name(self.key)} {self.op} {self.value}"


@dataclass(frozen=True, slots=True)
class Between:
    """``KEY in LOW..HIGH``, both ends included; an end that is None is open."""

    key: str
    low: Literal | None
    high: Literal | None
    at: Span = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        low, high = (_end(value) for value in (self.low, self.high))
        gap = " " if low.endswith(".") or high.startswith(".") else ""
        return f"{_name(self.key)} in {low}{gap}..{gap}{high}".rstrip()


@dataclass(frozen=True, slots=True)
class OneOf:
    """``KEY in (A, B, C)``."""

    key: str
    values: tuple[Literal, ...]
    at: Span = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{_name(self.key)} in ({', '.join(map(str, self.values))})"


@dataclass(frozen=True, slots=True)
class Glob:
    """``KEY:PATTERN``: the whole text of the value fits a shell pattern."""

    key: str
    pattern: str
    at: Span = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{_name(self.key)}:{self.pattern if is_plain_value(self.pattern) else quoted(self.pattern)}"


@dataclass(frozen=True, slots=True)
class Has:
    """``has KEY``."""

    key: str
    at: Span = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return f"has {_name(self.key)}"


@dataclass(frozen=True, slots=True)
class Word:
    """A word to search for in name, id and tags, whatever its case."""

    text: str
    at: Span = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return _name(self.text)


@dataclass(frozen=True, slots=True)
class Not:
    """``not PART``."""

    part: Node

    def __str__(self) -> str:
        if isinstance(self.part, Has):
            return f"missing {_name(self.part.key)}"
        return f"not {_within(self.part, And | Or)}"


@dataclass(frozen=True, slots=True)
class And:
    """All of two parts or more; as the whole of an empty text, of none: it holds for every run."""

    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return " and ".join(_within(part, And | Or) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """One of two parts or more."""

    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return " or ".join(_within(part, Or) for part in self.parts)


Leaf: TypeAlias = Compare | Between | OneOf | Glob | Has | Word
Node: TypeAlias = Leaf | Not | And | Or


def leaves(node: Node) -> Iterator[Leaf]:
    """What an expression asks of a run, from left to right."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield node


def _within(part: Node, kinds: object) -> str:
    return f"({part})" if isinstance(part, kinds) else str(part)  # type: ignore[arg-type]


def _name(text: str) -> str:
    return text if is_plain_name(text) else quoted(text)


def _end(value: Literal | None) -> str:
    return "" if value is None else str(value)
