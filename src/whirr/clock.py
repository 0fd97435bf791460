"""UTC stamps and durations: the one home of how time is written."""

from __future__ import annotations

import re
from datetime import UTC, datetime

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
PARTS = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])")
LONGEST_S = 3650 * 86400.0


def now() -> datetime:
    """The current moment, timezone-aware, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime | None = None) -> str:
    """``moment`` (default: now) as RFC 3339 text in UTC with microseconds: ``2026-11-23T12:48:00.123456Z``."""
    utc = (moment or now()).astimezone(UTC)
    return utc.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def at(seconds: float) -> datetime:
    """The moment ``seconds`` after the start of 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def epoch(text: str) -> float:
    """Seconds since 1970 of a stamp.

    Raises:
        ValueError: ``text`` is not an RFC 3339 stamp.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def format_duration(seconds: float) -> str:
    """A duration for people, two units at most: ``0.4s``, ``42s``, ``3m 20s``, ``5h 07m``, ``2d 03h``."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def spell_duration(seconds: float) -> str:
    """A duration as ``parse_duration`` takes it: ``1h30m``, ``90s`` as ``1m30s``, ``0.5s``."""
    left, words = seconds, []
    for unit in ("d", "h", "m"):
        count, left = divmod(left, UNITS[unit])
        words += [f"{int(count)}{unit}"] if count else []
    return "".join([*words, f"{left:.6f}".rstrip("0").rstrip(".") + "s"] if left or not words else words)


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``90``, ``30s``, ``1h30m``, ``2w``.

    Raises:
        ValueError: it is none, or longer than ten years.
    """
    text = text.strip().lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        text += "s"
    if not re.fullmatch(f"(?:{PARTS.pattern})+", text):
        raise ValueError(f"{text!r} is no duration: give seconds, or units as in 30s, 10m, 1h30m, 2d")
    seconds = sum(float(number) * UNITS[unit] for number, unit in PARTS.findall(text))
    if seconds > LONGEST_S:
        raise ValueError(f"{text!r} is longer than ten years")
    return seconds
