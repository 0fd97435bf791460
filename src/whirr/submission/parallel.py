"""Several questions asked at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """What both functions return: the first runs in a thread of its own, the second in this one.

    Raises whatever one of them raised, the second's error first; neither is left running.
    """
    done: list[A] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(first())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="whirr-submission", daemon=True)
    thread.start()
    try:
        other = second()
    finally:
        thread.join()
    if failed:
        raise failed[0]
    return done[0], other
