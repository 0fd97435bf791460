"""Moments and durations in expressions: ``started > 2d``, ``finished = 2026-11-28``, ``duration > 1h30m``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from whirr import clock
from whirr.errors import UsageError

TIMES = frozenset(("started", "finished"))
DURATION = "duration"

_DATE = re.compile(
    r"(?P<day>\d{4}(?:-\d\d(?:-\d\d)?)?)"
    r"(?:[T ](?P<time>\d\d(?::\d\d(?::\d\d(?P<fraction>\.\d{1,6})?)?)?))?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_LENGTHS = {2: timedelta(hours=1), 5: timedelta(minutes=1), 8: timedelta(seconds=1)}
_DAYS = {"today": 0, "yesterday": 1}
_DAY = timedelta(days=1)

Moments = tuple[float, float]
"""From (included) to (not included), seconds since 1970."""


def check(key: str, text: str, at: tuple[int, int]) -> None:
    """See that a value is a time where the key is one.

    Raises:
        UsageError: it is none.
    """
    try:
        if key in TIMES:
            moments(text, 0.0)
        elif key == DURATION:
            seconds(text)
    except ValueError as error:
        hint = "such as 90, 30s, 10m, 1h30m, 2d"
        if key in TIMES:
            hint = "such as 2d (ago), today, 2026-11-28, 2026-11-28T10:30"
        raise UsageError(str(error), hint=hint, at=at) from None


def seconds(text: str) -> float:
    """A duration: any number of seconds, or with units.

    Raises:
        ValueError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        return clock.parse_duration(text)


def moments(text: str, now: float) -> Moments:
    """The time that a text names: a duration is so long ago; a year, month, day, hour ... is all of it, in UTC.

    Args:
        now: seconds since 1970.

    Raises:
        ValueError: it names none.
    """
    word = text.strip().lower()
    if word == "now":
        return now, now
    if word in _DAYS:
        midnight = clock.at(now).replace(hour=0, minute=0, second=0, microsecond=0) - _DAYS[word] * _DAY
        return midnight.timestamp(), (midnight + _DAY).timestamp()
    if found := _DATE.fullmatch(text.strip()):
        try:
            return _dated(found)
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r} is no date that there is") from None
    if word.replace(".", "").isdigit():
        raise ValueError(f"{text!r} is no time: it lacks a unit")
    try:
        ago = now - clock.parse_duration(word)
    except ValueError:
        raise ValueError(f"{text!r} is no time") from None
    return ago, ago


def _dated(found: re.Match[str]) -> Moments:
    day, time, zone = found["day"], found["time"], found["zone"] or "Z"
    whole = day + "-01" * (2 - day.count("-"))
    start = datetime.fromisoformat(f"{whole}T{time or '00'}{zone}").astimezone(UTC)
    if found["fraction"]:
        return start.timestamp(), start.timestamp()
    if time:
        return start.timestamp(), (start + _LENGTHS[len(time)]).timestamp()
    return start.timestamp(), (start + (_DAY if day.count("-") == 2 else _length(day))).timestamp()


def _length(day: str) -> timedelta:
    """Of a month or a year."""
    year, month = (int(part) for part in f"{day}-00".split("-")[:2])
    after = (year + 1, 1) if month in (0, 12) else (year, month + 1)
    return datetime(*after, 1) - datetime(year, month or 1, 1)
