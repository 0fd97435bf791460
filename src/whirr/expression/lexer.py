"""The words of an expression: where they begin and end, and when they need quotes."""

from __future__ import annotations

import re

from whirr.errors import UsageError

KEYWORDS = frozenset(("and", "or", "not", "in", "has", "missing"))
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~", "!~")

NAME = re.compile(r"""[^\s()=!<>~:,"'&|]+""")
VALUE = re.compile(r"""[^\s()=!<>~,"'&|]+""")
END = re.compile(r"""(?:(?!\.\.)[^\s()=!<>~,"'&|])+""")
"""An end of a range, which stops at ``..``."""

_OPERATOR = re.compile(r"!=|<=|>=|==|=~|!~|[=<>~]")
_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_ESCAPED = re.compile(r"""\\(["'\\])""")
_INSTEAD = {
    "&": "and",
    "&&": "and",
    "|": "or",
    "||": "or",
    "!": "not",
    "=~": "~",
    "~=": "~",
    "=>": ">=",
    "=<": "<=",
    "<>": "!=",
}


def quoted(text: str) -> str:
    """A text in quotes, as an expression takes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def is_plain_name(text: str) -> bool:
    """Whether a key or a word needs no quotes."""
    return NAME.fullmatch(text) is not None and text.lower() not in KEYWORDS


def is_plain_value(text: str) -> bool:
    """Whether a value needs no quotes, wherever it stands."""
    return END.fullmatch(text) is not None and text.lower() not in KEYWORDS


class Lexer:
    """Goes through a text word by word.

    Attributes:
        place: the next character.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.last = (0, 0)

    def skip(self) -> None:
        """Go to the next letter that is no space."""
        found = _SPACE.match(self.text, self.place)
        self.place = found.end() if found else self.place

    def at_end(self) -> bool:
        """Whether nothing follows."""
        self.skip()
        return self.place >= len(self.text)

    def sees(self, sign: str) -> bool:
        """Whether this comes next; it is not taken."""
        self.skip()
        return self.text.startswith(sign, self.place)

    def take(self, sign: str) -> bool:
        """Take this if it comes next."""
        if not self.sees(sign):
            return False
        self._advance(self.place + len(sign))
        return True

    def keyword(self) -> str | None:
        """The keyword that comes next, in lower case; it is not taken."""
        self.skip()
        found = NAME.match(self.text, self.place)
        word = found[0].lower() if found else ""
        return word if word in KEYWORDS else None

    def take_keyword(self, word: str) -> bool:
        """Take this keyword if it comes next."""
        return self.keyword() == word and self.take(self.text[self.place : self.place + len(word)])

    def operator(self) -> str | None:
        """Take the operator that comes next, if one does."""
        self.skip()
        found = _OPERATOR.match(self.text, self.place)
        if found is None:
            return None
        sign = self.text[self.place : found.end() + 1]
        if found[0] == "=~" or (sign[-1] in "=<>" and sign != found[0]):
            raise self._instead("=~" if found[0] == "=~" else sign)
        self._advance(found.end())
        return "=" if found[0] == "==" else found[0]

    def name(self, wanted: str) -> tuple[str, bool]:
        """Take a key or a word; whether it was quoted.

        Args:
            wanted: what belongs here, for the error.
        """
        return self._word(NAME, wanted)

    def value(self, wanted: str) -> tuple[str, bool]:
        """Take a value; whether it was quoted."""
        return self._word(VALUE, wanted)

    def end(self, wanted: str) -> tuple[str, bool]:
        """Take an end of a range; whether it was quoted."""
        return self._word(END, wanted)

    def regex(self) -> str:
        """Take a regular expression: quoted, else up to a space or to a parenthesis that was opened before it."""
        if self.at_end() or self.text[self.place] in "\"'":
            return self._word(VALUE, "a regular expression")[0]
        start, depth = self.place, 0
        for place in range(start, len(self.text) + 1):
            letter = self.text[place : place + 1]
            depth += (letter == "(") - (letter == ")")
            if not letter or letter.isspace() or depth < 0:
                break
        if place == start or self.text[start:place].lower() in KEYWORDS:
            raise self.wrong("a regular expression is missing here")
        self._advance(place)
        return self.text[start:place]

    def _word(self, plain: re.Pattern[str], wanted: str) -> tuple[str, bool]:
        self.skip()
        if self.text[self.place : self.place + 1] in ('"', "'"):
            return self._unquoted(), True
        found = plain.match(self.text, self.place)
        if found is None or found[0].lower() in KEYWORDS:
            raise self._unexpected(wanted)
        self._advance(found.end())
        return found[0], False

    def _unquoted(self) -> str:
        found = _QUOTED.match(self.text, self.place)
        if found is None:
            raise UsageError("this quote is not closed", hint="end it", at=(self.place, len(self.text)))
        self._advance(found.end())
        if len(found[0]) == 2:
            return ""
        return _ESCAPED.sub(r"\1", found[0][1:-1])

    def _advance(self, place: int) -> None:
        self.last = (self.place, place)
        self.place = place

    def _unexpected(self, wanted: str) -> UsageError:
        """The error for what comes next where something else belongs."""
        for length in (2, 1):
            sign = self.text[self.place : self.place + length]
            if sign in _INSTEAD:
                return self._instead(sign)
        word = self.keyword()
        if self.at_end():
            return self.wrong(f"{wanted} is missing at the end")
        hint = f'quotes make it a text: "{word}"' if word else "what holds such signs is put in quotes"
        return self.wrong(f"{wanted} belongs here", hint=hint)

    def _instead(self, sign: str) -> UsageError:
        right = _INSTEAD.get(sign)
        hint = f"write {right}" if right else "use one of " + " ".join(OPERATORS)
        return self.wrong(f"{sign} means nothing", hint=hint, length=len(sign))

    def wrong(self, message: str, *, hint: str | None = None, length: int | None = None) -> UsageError:
        """An error about what comes next."""
        self.skip()
        if length is None:
            found = NAME.match(self.text, self.place)
            length = len(found[0]) if found else 1
        end = min(self.place + length, len(self.text))
        return UsageError(message, hint=hint, at=(min(self.place, end), end))
