"""Why a run ended: the ``cause`` in its ``meta.json``."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_MESSAGE = 2000
LONGEST_TRACEBACK = 20_000


def of_exception(error: BaseException) -> dict[str, Any] | None:
    """The cause in an exception; None for one that means success."""
    if isinstance(error, SystemExit):
        return of_exit(error.code)
    if isinstance(error, GeneratorExit):  # a generator that is closed early ends as it may
        return None
    if isinstance(error, KeyboardInterrupt):
        return {"kind": "interrupt", "message": "interrupted (Ctrl-C)", "traceback": _traceback(error)}
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    message = _message(error)
    return {
        "kind": "exception",
        "type": name,
        "message": message,
        "traceback": _traceback(error),
    }


def of_exit(code: object) -> dict[str, Any] | None:
    """The cause in the argument of ``sys.exit``; None for success. A text means code 1, as in Python."""
    if code is None:
        return None
    if isinstance(code, int):
        heard = code & 0xFF if -(2**63) <= code < 2**63 else 0xFF  # the system hears the last byte, as Python tells it
        return {"kind": "exit", "exit_code": heard, "message": f"exited with code {heard}"} if heard else None
    return {"kind": "exit", "exit_code": 1, "message": f"exited: {' '.join(str(code).split())[:LONGEST_MESSAGE]}"}


def of_unknown_exit() -> dict[str, Any]:
    """The cause of a program left by a ``SystemExit`` whose code nobody could see."""
    return {"kind": "exit", "exit_code": None, "message": "exited with an unknown code"}


def of_signal(number: int) -> dict[str, Any]:
    """The cause in a signal that ended, or asked to end, the program."""
    name = signal.Signals(number).name
    return {"kind": "signal", "signal": name, "message": f"stopped by {name}"}


def _message(error: BaseException) -> str:
    """Its first line; the traceback has them all."""
    try:
        return str(error).strip().partition("\n")[0].rstrip()[:LONGEST_MESSAGE]
    except Exception:
        return f"<{type(error).__name__} that cannot be shown>"


def _traceback(error: BaseException) -> str:
    import traceback

    try:
        return "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
    except Exception:
        return _message(error)
