"""What programs give to a client, looked at before anything is sent."""

from __future__ import annotations

import inspect
import operator
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from whirr.errors import NotFound, UsageError
from whirr.paths import names_of
from whirr.values import encodes

P = ParamSpec("P")
T = TypeVar("T")
KEY = re.compile(r"[!-~]{8,200}")
SUCH = {
    "command_argv": '["python", "train.py"]',
    "tags": '["baseline", "sweep"]',
    "env": '{"SEED": "7"}',
    "without_env": '["SEED"]',
}
"""What texts may look like, by the name of the argument."""


@contextmanager
def meant() -> Iterator[None]:
    """What a caller gives that cannot be looked at is his mistake, not the server's.

    Raises:
        UsageError: something of the wrong kind was given.
    """
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"an argument is of the wrong kind: {error}") from error


def calls_in(scope: Callable[[], AbstractContextManager[None]]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates functions that run in a scope, which only calls that fit them come into.

    Any other call is a TypeError, as everywhere in Python.
    """

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @wraps(function)
        def called(*arguments: P.args, **named: P.kwargs) -> T:
            signature.bind(*arguments, **named)
            with scope():
                return function(*arguments, **named)

        return called

    return decorated


def text(name: str, value: Any) -> str:
    """A text that is not empty.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, str) or not value or not encodes(value):
        raise UsageError(f"{name}={value!r} is no text")
    return value


def texts(name: str, values: Any, errors: str = "surrogateescape") -> tuple[str, ...]:
    """Texts.

    Args:
        errors: as in ``values.encodes``.

    Raises:
        UsageError: there is something else among them, or only one text is given for all.
    """
    found = values if isinstance(values, str | bytes) else tuple(values)
    if isinstance(found, str | bytes) or not all(isinstance(value, str) for value in found):
        raise UsageError(f"{name}={values!r} does not hold texts", hint=f"such as {SUCH[name]}")
    if odd := [value for value in found if not encodes(value, errors)]:
        raise UsageError(f"{name}: {odd[0]!r} is no text", hint="a part of it is half a character, or no UTF-8")
    return found


def pairs(name: str, values: Mapping[str, str]) -> dict[str, str]:
    """Texts by texts.

    Raises:
        UsageError: there is something else among them.
    """
    texts(name, (*values.keys(), *values.values()))
    return dict(values)


def waiting(poll_interval: float, timeout: float | None) -> None:
    """How to wait: seconds between two looks, and the most seconds.

    Raises:
        UsageError: one is no number of seconds.
    """
    with meant():
        if not poll_interval >= 0 or not (timeout is None or timeout >= 0 or timeout < 0):
            raise UsageError(f"poll_interval={poll_interval} or timeout={timeout} is no number of seconds")


def run_id(value: Any) -> str:
    """The id of a run.

    Raises:
        UsageError, NotFound: it is none.
    """
    found = text("run_id", value)
    if "/" in found or found.startswith("."):
        raise NotFound(f"there is no run {found[:200]}", hint="whirr runs lists the runs there are")
    return found


def key(value: Any) -> str:
    """The key of a submission.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, str) or not KEY.fullmatch(value):
        raise UsageError("key is not 8 to 200 printable characters")
    return value


def path(value: Any) -> str:
    """A path below a run's folder. The server refuses what leads out of it; here it is refused before that.

    Raises:
        UsageError, NotFound: it is none.
    """
    with meant():
        found = text("path", os.fspath(value))
        names_of(found)
        return found


def number(value: Any) -> int:
    """The number of a job.

    Raises:
        UsageError, NotFound: it is none.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise UsageError(f"{value!r} is not the number of a job", hint="such as result['job_id']")
    found = int(value)
    if not 0 < found < 2**53:
        raise NotFound(f"there is no job {found}", hint="whirr status lists the jobs there are")
    return found


def within(name: str, value: Any, bounds: tuple[float, float]) -> Any:
    """A number in a range, whole where its bounds are; of any library that calculates.

    Raises:
        UsageError: it is none.
    """
    least, most = bounds
    whole = isinstance(least, int)
    with suppress(TypeError, ValueError):
        if least <= value <= most:
            return operator.index(value) if whole else float(value)
    raise UsageError(f"{name}={value!r} is no {'whole ' if whole else ''}number from {least:.12g} to {most:.12g}")


def perhaps(name: str, value: Any, bounds: tuple[float, float]) -> Any:
    """A number in a range or None, as ``within``."""
    return None if value is None else within(name, value, bounds)
