"""Looks for a text in a file of any length, a part at a time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import NamedTuple

from whirr.catalog import RunFile

BLOCK = 1 << 20
BUDGET_S = 0.25
MOST = 2_000
"""Seconds and lines after which a part ends."""

LONGEST_TEXT = 200
COLOUR = rb"(?:\x1b\[[0-9;:]*m)*"
"""What may stand between two letters of a text that is coloured in parts."""

PROBLEM = re.compile(
    rb"Traceback \(most recent call last\)|\b(?:ERROR|FATAL|CRITICAL|PANIC)\b|(?:Error|Exception):"
    rb"|\b(?:error|[Ff]atal|[Pp]anic):|\bSegmentation fault|\bKilled\b|\bCUDA out of memory"
)
SIGNS = (
    b"Traceback (most", b"ERROR", b"FATAL", b"CRITICAL", b"PANIC", b"rror:", b"Exception:", b"atal:", b"anic:",
    b"Segmentation fault", b"Killed", b"CUDA out of memory",
)  # fmt: skip
"""One of them is in each line that ``PROBLEM`` fits; to look for a plain text is many times as fast."""


class Matches(NamedTuple):
    """What a part holds.

    Attributes:
        lines: where the lines that fit begin, in bytes.
        next: where the next part begins; an unfinished last line is looked at again.
        size: of the file, as far as it is known.
        done: its end was reached, for now.
    """

    lines: tuple[int, ...]
    next: int
    size: int
    done: bool


class Wanted(NamedTuple):
    """What is looked for.

    Attributes:
        pattern: fits it.
        plain: one of these is in each line that it fits, found fast.
        folded: they are in small letters, as which the line may be read; coloured lines may not.
    """

    pattern: re.Pattern[bytes]
    plain: tuple[bytes, ...]
    folded: bool = False

    def places(self, data: bytes) -> Iterator[int]:
        """Where it stands, or at least where its line does."""
        if self.folded and b"\x1b" in data:
            yield from (match.start() for match in self.pattern.finditer(data))
            return
        looked = data.lower() if self.folded else data
        for place in sorted(place for plain in self.plain for place in _all(looked, plain)):
            if self.folded or self.pattern.search(data, data.rfind(b"\n", 0, place) + 1, _end(data, place)):
                yield place


def _all(data: bytes, text: bytes) -> Iterator[int]:
    place = data.find(text)
    while place >= 0:
        yield place
        place = data.find(text, place + len(text))


def _end(data: bytes, place: int) -> int:
    """Where the line of a place ends."""
    found = data.find(b"\n", place)
    return len(data) if found < 0 else found


def wanted_of(text: str) -> Wanted:
    """A text whatever its case, also where it is coloured in parts."""
    letters = [letter.encode("utf-8", "surrogateescape") for letter in text[:LONGEST_TEXT]]
    whole = b"".join(letters)
    pattern = re.compile(COLOUR.join(map(re.escape, letters)), re.IGNORECASE)  # of bytes: only ASCII letters fold
    return Wanted(pattern, (whole.lower(),), folded=True)


ERRORS = Wanted(PROBLEM, SIGNS)
"""What looks like an error."""


def find(file: RunFile, wanted: Wanted, start: int) -> Matches:
    """The lines that fit, from ``start`` on, which is where a line begins."""
    until = time.monotonic() + BUDGET_S
    size = file.seek(0, 2)
    place = min(start, size)
    file.seek(place)
    found: list[int] = []
    rest = b""
    while time.monotonic() < until and len(found) < MOST:
        block = file.read(BLOCK)
        whole, newline, left = (rest + block).rpartition(b"\n")
        lines = whole + newline
        if len(left) > 8 * BLOCK:  # a line that has no end
            lines, left = lines + left, b""
        found += _lines(lines if block else left, wanted, place)
        place += len(lines)
        rest = left
        if not block:
            break
    if len(found) > MOST:
        return Matches(tuple(found[:MOST]), found[MOST], size, False)
    return Matches(tuple(found), place, size, place + len(rest) >= size)


def _lines(data: bytes, wanted: Wanted, at: int) -> Iterator[int]:
    """Where the lines that fit begin."""
    last = -1
    for place in wanted.places(data):
        begin = data.rfind(b"\n", 0, place) + 1
        if begin != last:
            yield at + begin
            last = begin
