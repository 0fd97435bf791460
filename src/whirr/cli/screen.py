"""Where output goes: the width, colours and letters of the terminal, and values as short text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TextIO

from whirr.errors import WhirrError
from whirr.jsonio import write_all
from whirr.values import NON_FINITE

PIPE_WIDTH = 120
STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "": "",
}
STATUS_STYLES = {
    "queued": "blue",
    "running": "cyan",
    "cancelling": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "unknown": "magenta",
}


class Screen(NamedTuple):
    """What the reader of an output can see.

    Attributes:
        width: columns.
        fixed: whether longer lines would be broken (a terminal) or kept (a file or pipe).
        color: whether escape sequences are understood.
        unicode: whether more than ASCII can be shown.
    """

    width: int
    fixed: bool
    color: bool
    unicode: bool

    def paint(self, text: str, style: str) -> str:
        """``text`` in a style of ``STYLES``; itself where there are no colours."""
        return f"\033[{STYLES[style]}m{text}\033[0m" if self.color and style and text else text

    @property
    def ellipsis(self) -> str:
        """What stands for text that was cut off."""
        return "…" if self.unicode else "~"


def screen_of(stream: TextIO | None = None) -> Screen:
    """The screen behind a stream (default: stdout).

    Honours NO_COLOR, FORCE_COLOR and TERM=dumb, and on a terminal COLUMNS.
    """
    stream = stream or sys.stdout
    terminal = stream.isatty()
    columns = os.environ.get("COLUMNS", "")
    asked = columns.isdigit() and int(columns) > 0
    color = terminal and os.environ.get("TERM") != "dumb"
    if os.environ.get("FORCE_COLOR"):
        color = True
    if os.environ.get("NO_COLOR"):
        color = False
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    width = PIPE_WIDTH if not terminal else int(columns) if asked else _width(stream)
    return Screen(width, terminal, color, encoding.startswith("utf"))


def _width(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or PIPE_WIDTH
    except (OSError, ValueError):
        return PIPE_WIDTH


def emit(text: str) -> None:
    """Print data on stdout. Where its reader has left (``| head``), what is not yet read is dropped quietly.

    Raises:
        WhirrError: it cannot be written (a full disk).
    """
    try:
        print(text, flush=True)
    except OSError as error:
        _drop_output(error)


def emit_bytes(data: bytes) -> bool:
    """Put bytes on stdout as they are; False where its reader has left.

    Raises:
        WhirrError: they cannot be written (a full disk).
    """
    try:
        write_all(sys.stdout.fileno(), data)
    except OSError as error:
        _drop_output(error)
        return False
    return True


def _drop_output(error: OSError) -> None:
    """Send what is still in the buffer nowhere: it would be tried again, and complained about, at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    if not isinstance(error, BrokenPipeError):
        raise WhirrError(f"cannot write the output: {error.strerror}") from None


def note(text: str) -> None:
    """Say something beside the data, on stderr."""
    tell(screen_of(sys.stderr).paint(text, "dim"))


def tell(text: str) -> None:
    """Print a line on stderr; where nobody can read it (a closed terminal), that stops nothing."""
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")  # in one piece: threads tell things too
        sys.stderr.flush()


def complain(problem: str, hint: str | None = None) -> None:
    """Say on stderr what went wrong and what to do next."""
    screen = screen_of(sys.stderr)
    tell(f"{screen.paint('error:', 'red')} {clean(problem)}")
    if hint:
        tell(f"{screen.paint('hint:', 'cyan')} {clean(hint)}")


def clean(text: str) -> str:
    """``text`` on one line, with nothing that could steer a terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def number(value: float) -> str:
    """A number in four significant digits; integers in full."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value != value:
        return "nan"
    if 1e4 <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.4g}"


def short(value: Any) -> str:
    """Any value of a document on one line, numbers in four significant digits."""
    return _line(value, number)


def exact(value: Any) -> str:
    """Any value of a document on one line, numbers such that they can be compared with."""
    return _line(value, lambda value: number(value) if isinstance(value, int) else repr(value))


def _line(value: Any, number: Callable[[float], str]) -> str:
    if isinstance(value, str):
        return number(NON_FINITE[value]) if value in NON_FINITE else clean(value)
    if isinstance(value, int | float):
        return number(value)
    if value is None:
        return "null"
    import orjson

    return clean(orjson.dumps(value).decode())


def size(count: float) -> str:
    """A number of bytes for people: ``312 B``, ``4.2 kB``, ``1.1 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
