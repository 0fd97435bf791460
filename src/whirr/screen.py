"""What a stream of console output finally shows: lines, with progress bars reduced to their last state.

A :class:`Screen` follows one stream as a terminal would, as far as progress bars need it: carriage return,
backspace, erasing, cursor up and down. Colours stay; other control sequences go. A :class:`Transcript` turns
the rows of several screens into one text that only grows.

The result depends on the text alone, not on the pieces it came in.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST_LINE = 256 * 1024
"""Bytes after which a line is broken, so that a stream without line ends does not fill the memory."""
ROWS = 64
"""Rows a cursor can go back to; bars further up stay as they are."""
LONGEST_BAR = 4096
"""Bytes beyond which a line is no bar: no cursor goes back to it, so it need not be kept."""

_TOKEN = re.compile(rb"[^\r\n\x08\x1b]+|\n|\r|\x08+|\x1b\[([0-9;?]{0,24})([@-~])|\x1b")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-9;?]{0,24})?\Z")


class Row:
    """One row of a screen.

    Attributes:
        text: what it shows.
        frame: the text was written over an earlier one: a state of a progress bar, say.
        logged: what the transcript holds of it; None when it holds nothing.
    """

    __slots__ = ("frame", "logged", "text")

    def __init__(self) -> None:
        self.text = bytearray()
        self.frame = False
        self.logged: bytes | None = None

    def shown(self) -> bytes:
        """The text; of a frame, without the spaces that wiped out an earlier, longer one."""
        return bytes(self.text.rstrip(b" ") if self.frame else self.text)

    def news(self) -> bool:
        """Whether there is anything the transcript should hold and does not."""
        shown = self.shown()
        return shown != self.logged and not (self.frame and not shown)


class Screen:
    """The rows of one stream, and where its cursor is.

    Args:
        ended: called with the screen whenever a line has ended that should be written down at once.

    Attributes:
        moves: the stream has moved its cursor up: it shows several bars.
    """

    def __init__(self, ended: Callable[[Screen], None]) -> None:
        self._ended = ended
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._rows = [Row()]
        self._at = 0
        self._settled = 0  # the rows before this one have not changed since done() gave them
        self._tail = b""
        self._over = False  # the next text overwrites the row
        self.moves = False

    def feed(self, data: bytes) -> None:
        """Follow what was written to the stream."""
        data = self._tail + data
        unfinished = _UNFINISHED.search(data)
        self._tail = unfinished.group() if unfinished else b""
        for token in _TOKEN.finditer(data, 0, len(data) - len(self._tail)):
            piece = token.group()
            if piece == b"\n":
                self._newline()
            elif piece == b"\r":
                self._over = True
            elif piece[0] == 8:
                self._backspace(len(piece))
            elif token.group(2) is not None and token.group(2) != b"m":
                self._control(token.group(1), token.group(2))
            else:
                self._write(piece)

    def done(self) -> list[Row]:
        """The rows above the cursor, whose lines have ended, that may be news since the last call."""
        rows = self._rows[self._settled : self._at]
        self._settled = self._at
        return rows

    def rest(self) -> list[Row]:
        """The row of the cursor and those below."""
        return self._rows[self._at :]

    def shown(self) -> list[bytes]:
        """The text of the rows that may be news."""
        return [row.shown() for row in self._rows[self._settled :]]

    def _write(self, piece: bytes) -> None:
        row = self._rows[self._at]
        if self._over:
            row.text.clear()
            row.frame, self._over = True, False
        row.text += piece
        while len(row.text) > LONGEST_LINE:
            beyond = row.text[LONGEST_LINE:]
            del row.text[LONGEST_LINE:]
            self._newline()
            row = self._rows[self._at]
            row.text[:] = beyond
            self._over = False

    def _newline(self) -> None:
        row = self._rows[self._at]
        held = row.frame  # the cursor may come back to a bar
        self._at += 1
        self._over = self._at < len(self._rows)
        if not self._over:
            self._rows.append(Row())
        if not held:
            self._ended(self)
        bulky = len(row.text) > LONGEST_BAR
        if bulky or len(self._rows) > ROWS:
            if held:
                self._ended(self)
            self._forget(self._at if bulky else 1)

    def _forget(self, count: int) -> None:
        """Keep the first rows, which are written, no longer."""
        del self._rows[:count]
        self._at -= count
        self._settled = max(self._settled - count, 0)

    def _backspace(self, count: int) -> None:
        text = self._rows[self._at].text
        for _ in range(min(count, len(text))):
            while text and text[-1] & 0xC0 == 0x80:  # the further bytes of one character
                text.pop()
            if text:
                text.pop()

    def _control(self, numbers: bytes, what: bytes) -> None:
        count = int(numbers) if numbers.isdigit() else 0
        if what in b"AF":
            self.moves = self._over = True
            self._at = max(self._at - max(count, 1), 0)
            self._settled = min(self._settled, self._at)
        elif what in b"BE":
            self._over = True
            self._at = min(self._at + max(count, 1), len(self._rows) - 1)
        elif what == b"K" and (count == 2 or (count == 0 and self._over)):
            self._rows[self._at].text.clear()
            self._rows[self._at].frame = True


class Transcript:
    """Puts rows into a text that only grows; at most its last line is open."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._open: Row | None = None

    def take(self) -> bytes:
        """What is to be appended to the text since the last call."""
        taken = bytes(self._out)
        self._out.clear()
        return taken

    def line(self, row: Row) -> None:
        """The row as a line, if that is news; goes on with the open line if that is the row's own."""
        if self._open is row or row.news():
            self._put(row)
            self._out += b"\n"
            self._open = None

    def part(self, row: Row) -> None:
        """The row as it is now, its line left open."""
        if row.news() and row.text:
            self._put(row)
            self._open = row

    def end(self) -> None:
        """End the open line, if there is one."""
        if self._open is not None:
            self._out += b"\n"
            self._open = None

    def _put(self, row: Row) -> None:
        shown = row.shown()
        if self._open is row and row.logged is not None and shown.startswith(row.logged):
            self._out += shown[len(row.logged) :]
        elif self._open is row:
            self._out += b"\r" + shown if shown else b""
        else:
            self.end()
            self._out += shown
        row.logged = shown
