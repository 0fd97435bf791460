"""Regular expressions from people who share a server: those that could run for ever are refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from time import monotonic

from whirr.errors import UsageError

LONGEST = 300
"""Characters of a pattern."""

LOOKED_AT = (100_000, 10_000, 800, 300, 120)
"""Characters at the start of a text that are looked at, by the number of repeats without bound in the pattern: each
multiplies the time by the length of the text. So no text takes longer than about a second; more repeats are refused."""

MOST_WAYS = 10_000
"""So many ways there may be to go through choices and options without a repeat."""

PATIENCE_S = 3.0
"""All texts of one look at the runs together take no longer."""

_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,\d*\}|\{\d+\}|.", re.DOTALL)
_TIMES = re.compile(r"\{(\d+)\}")


def compiled(pattern: str, at: tuple[int, int] | None = None) -> re.Pattern[str]:
    """A pattern, ready to search with.

    Raises:
        UsageError: it is none, or could take a time that grows without bound.
    """
    if len(pattern) > LONGEST:
        raise UsageError(f"the regular expression is longer than {LONGEST} characters", at=at)
    try:
        found = re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        message = f"{pattern!r} is not a regular expression: {error}"
        raise UsageError(message, hint="=, : and plain words take texts as they are", at=at) from None
    if _Effort(pattern).repeats >= len(LOOKED_AT):
        hint = f"repeat no group that itself repeats or chooses, and use * and + at most {len(LOOKED_AT) - 1} times"
        raise UsageError(f"{pattern!r} could take for ever", hint=hint, at=at)
    return found


class _Group:
    """An open group: the ways through it so far, and whether anything in it repeats."""

    def __init__(self) -> None:
        self.before, self.ways, self.repeats = 0.0, 1.0, False


class _Effort:
    """How long a search may take at worst.

    Attributes:
        repeats: how many parts may be repeated without bound; infinite where the time would grow exponentially.
    """

    def __init__(self, pattern: str) -> None:
        self.repeats = 0.0
        parts = _PART.findall(pattern)
        groups = [_Group()]
        for part, following in zip(parts, [*parts[1:], ""], strict=True):
            group = groups[-1]
            if part == "(":
                groups.append(_Group())
            elif part == "|":
                group.before, group.ways = group.before + group.ways, 1.0
            elif part == ")" and len(groups) > 1:
                outer = groups[-2]
                outer.ways *= self._ways(group.before + group.ways, following, group.repeats)
                outer.repeats |= group.repeats or following in ("*", "+")
                groups.pop()
            elif not _is_quantifier(part):
                group.ways *= self._ways(1.0, following, False)
                group.repeats |= _is_quantifier(following) and following != "?"
        if groups[0].before + groups[0].ways > MOST_WAYS:
            self.repeats = math.inf

    def _ways(self, ways: float, quantifier: str, repeats: bool) -> float:
        """The ways through a part that is repeated, or not."""
        if quantifier == "?":
            return ways + 1
        if times := _TIMES.fullmatch(quantifier):
            self.repeats += math.inf if repeats else 0
            return math.exp(min(math.log(ways) * int(times[1]), 100.0))
        if _is_quantifier(quantifier):
            self.repeats += math.inf if ways > 1 or repeats else 1
        return ways


def _is_quantifier(part: str) -> bool:
    return part in ("*", "+", "?") or (len(part) > 1 and part[0] == "{")


class Search:
    """Searches in text after text, but not longer than a few seconds altogether.

    Args:
        pattern: as ``compiled`` takes it.
        clock: seconds.
    """

    def __init__(self, pattern: str, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._search = compiled(pattern).search
        self._looked_at = LOOKED_AT[int(_Effort(pattern).repeats)]
        self._pattern = pattern
        self._until: float | None = None

    def __call__(self, text: str) -> bool:
        """Whether it is found.

        Raises:
            UsageError: all texts together took too long.
        """
        now = self._clock()
        if self._until is None:
            self._until = now + PATIENCE_S
        if now > self._until:
            raise UsageError(f"looking for {self._pattern!r} takes too long", hint="use a simpler regular expression")
        return self._search(text[: self._looked_at]) is not None
