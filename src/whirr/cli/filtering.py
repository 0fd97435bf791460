"""``--filter``: expressions that choose runs, and where one of them is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from whirr.cli.screen import clean, screen_of, tell
from whirr.cli.table import text_width
from whirr.errors import UsageError

AROUND = 60
"""Characters on both sides of the place that are shown."""


def joined(expressions: Sequence[str]) -> str | None:
    """All of several expressions as one; None where there are none. The place of an error is shown on stderr.

    Raises:
        UsageError: one of them cannot be understood.
    """
    if not expressions:
        return None
    from whirr.expression import And, parse

    trees = []
    for expression in expressions:
        try:
            trees.append(parse(expression))
        except UsageError as error:
            if error.at:
                _point(expression, *error.at)
            raise
    said = tuple(tree for tree in trees if tree != And(()))
    return str(said[0] if len(said) == 1 else And(said))


def _point(text: str, start: int, end: int) -> None:
    """Show the part of a text around a place, with a mark below that."""
    first, last = max(start - AROUND, 0), min(end + AROUND, len(text))
    screen = screen_of()
    before, meant, after = (clean(part) for part in (text[first:start], text[start:end], text[end:last]))
    left, right = (screen.ellipsis * is_cut for is_cut in (first > 0, last < len(text)))
    tell(f"  {left}{before}{meant}{after}{right}")
    tell("  " + " " * text_width(left + before) + "^" * max(text_width(meant), 1))
