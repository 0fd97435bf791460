"""What ``whirr doctor`` finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    FIXED = "fixed"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: what was looked at, in a word or two.
        text: what was found.
        advice: what to do about it.
        mend: does that, and says what it did; None where only people should.
    """

    state: State
    about: str
    text: str
    advice: str = ""
    mend: Callable[[], str] | None = None

    def as_dict(self) -> dict[str, str | bool | None]:
        """As ``--json`` gives it."""
        return {
            "state": str(self.state),
            "about": self.about,
            "text": self.text,
            "advice": self.advice or None,
            "fixable": self.mend is not None,
        }


def ok(about: str, text: str) -> Finding:
    """All is well."""
    return Finding(State.OK, about, text)


def remark(about: str, text: str, advice: str = "", mend: Callable[[], str] | None = None) -> Finding:
    """Good to know."""
    return Finding(State.NOTE, about, text, advice, mend)


def problem(about: str, text: str, advice: str = "", mend: Callable[[], str] | None = None) -> Finding:
    """Something is wrong."""
    return Finding(State.PROBLEM, about, text, advice, mend)
