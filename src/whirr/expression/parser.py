"""From text to records, by recursive descent.

any    = all { "or" all }
all    = part { ["and"] part }
part   = "not" part | "(" any ")" | "has" key | "missing" key | leaf
leaf   = key OP value | key ["not"] "in" range | key ["not"] "in" "(" value { "," value } ")" | key ":" pattern | word
range  = [value] ".." [value]
"""

from __future__ import annotations

from whirr.errors import UsageError
from whirr.expression.lexer import Lexer
from whirr.expression.regex import compiled
from whirr.expression.times import check
from whirr.expression.tree import And, Between, Compare, Glob, Has, Literal, Node, Not, OneOf, Or, Span, Word

LONGEST = 4000
"""Characters of an expression."""

DEEPEST = 40
"""Parentheses and ``not`` in one another."""

A_TERM = "a condition or a word to search for"


def parse(text: str) -> Node:
    """The records of an expression; of an empty text ``And(())``, which holds for every run.

    Raises:
        UsageError: it cannot be understood; ``at`` says where.
    """
    if len(text) > LONGEST:
        raise UsageError(f"the expression is longer than {LONGEST} characters", at=(LONGEST, len(text)))
    return _Parser(Lexer(text)).whole()


class _Parser:
    def __init__(self, lexer: Lexer) -> None:
        self._lexer = lexer
        self._depth = 0

    def whole(self) -> Node:
        lexer = self._lexer
        if lexer.at_end():
            return And(())
        found = self._any()
        if not lexer.at_end():
            raise lexer.wrong("this ) closes nothing", hint="take it away, or open it before", length=1)
        return found

    def _any(self) -> Node:
        parts = [self._all()]
        while self._lexer.take_keyword("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self) -> Node:
        parts = [self._part()]
        lexer = self._lexer
        while lexer.take_keyword("and") or not (lexer.at_end() or lexer.sees(")") or lexer.keyword() == "or"):
            parts.append(self._part())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _part(self) -> Node:
        lexer = self._lexer
        if lexer.take_keyword("not"):
            self._go_deeper(lexer.last)
            found = Not(self._part())
            self._depth -= 1
            return found
        if lexer.take("("):
            return self._in_parentheses(lexer.last)
        if lexer.take_keyword("has"):
            return Has(*self._key("the key that a run should have"))
        if lexer.take_keyword("missing"):
            return Not(Has(*self._key("the key that a run should lack")))
        return self._leaf()

    def _in_parentheses(self, opened: Span) -> Node:
        self._go_deeper(opened)
        found = self._any()
        if not self._lexer.take(")"):
            raise UsageError("this ( is not closed", hint="write ) behind what belongs into it", at=opened)
        self._depth -= 1
        return found

    def _go_deeper(self, at: Span) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise UsageError(f"more than {DEEPEST} parentheses or not in one another", at=at)

    def _key(self, wanted: str) -> tuple[str, Span]:
        text, _ = self._lexer.name(wanted)
        if not text:
            raise UsageError(f"{wanted} is empty", at=self._lexer.last)
        return text, self._lexer.last

    def _leaf(self) -> Node:
        lexer = self._lexer
        key, at = self._key(A_TERM)
        if op := lexer.operator():
            return self._compared(key, op, at)
        if lexer.take(":"):
            return Glob(key, lexer.value("a pattern")[0], at)
        if lexer.keyword() == "in":
            return self._contained(key, at)
        place = lexer.place
        if lexer.take_keyword("not"):
            if lexer.keyword() == "in":
                return Not(self._contained(key, at))
            lexer.place = place
        return Word(key, at)

    def _compared(self, key: str, op: str, at: Span) -> Node:
        lexer = self._lexer
        if op in ("~", "!~"):
            pattern = lexer.regex()
            compiled(pattern, lexer.last)
            return Compare(key, op, Literal(pattern), at)
        return Compare(key, op, self._value(key, *lexer.value("a value")), at)

    def _value(self, key: str, text: str, was_quoted: bool) -> Literal:
        check(key, text, self._lexer.last)
        return Literal.of(text, was_quoted=was_quoted)

    def _contained(self, key: str, at: Span) -> Node:
        lexer = self._lexer
        lexer.take_keyword("in")
        if not lexer.take("("):
            return self._range(key, at)
        opened = lexer.last
        values = [self._value(key, *lexer.value("a value"))]
        while lexer.take(","):
            values.append(self._value(key, *lexer.value("a value")))
        if lexer.at_end():
            raise UsageError("this ( is not closed", hint="write ) behind the last value", at=opened)
        if not lexer.take(")"):
            raise lexer.wrong("between two values belongs a comma", hint="such as in (a, b, c)")
        return OneOf(key, tuple(values), at)

    def _range(self, key: str, at: Span) -> Node:
        lexer = self._lexer
        wanted = "a range LOW..HIGH or a list (A, B, C)"
        low = None if lexer.sees("..") else self._value(key, *lexer.end(wanted))
        if not lexer.take(".."):
            raise lexer.wrong("in wants a range LOW..HIGH or a list (A, B, C)", hint=f"such as in ({low}) or = {low}")
        high = self._value(key, *lexer.end("the end of the range")) if self._end_follows() else None
        if low is None and high is None:
            raise UsageError("this range has no ends", hint=f"has {key} asks for any value", at=lexer.last)
        return Between(key, low, high, at)

    def _end_follows(self) -> bool:
        """Whether a value belongs to the dots before it: it follows at once, or there is a space on both sides."""
        lexer = self._lexer
        text, (dots, place) = lexer.text, lexer.last
        if not text[place : place + 1].isspace():
            return text[place : place + 1] not in ("", ")")
        return text[dots - 1].isspace() and not (lexer.at_end() or lexer.sees(")") or lexer.keyword())
