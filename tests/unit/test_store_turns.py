"""Turns come in order, are given up in time, and are never lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import wait_until

from whirr.store.turns import Turns


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_turns_come_in_the_order_of_asking(pool: ThreadPoolExecutor) -> None:
    turns, came = Turns(), []

    def take(number: int) -> None:
        assert turns.take(10)
        came.append(number)
        turns.pass_on()

    assert turns.take(0)
    for number in range(6):
        pool.submit(take, number)
        wait_until(lambda number=number: len(turns._waiting) == number + 1)
    turns.pass_on()
    wait_until(lambda: len(came) == 6)
    assert came == list(range(6))
    assert turns.take(0)


def test_who_is_late_is_not_waited_for() -> None:
    turns = Turns()
    assert turns.take(0)
    assert not turns.take(0.01)
    turns.pass_on()
    assert turns.take(0)


def test_no_turn_is_lost_where_waiting_ends_as_it_comes(pool: ThreadPoolExecutor) -> None:
    turns, inside, most = Turns(), 0, 0
    guard = threading.Lock()

    def hurry(_: int) -> int:
        nonlocal inside, most
        count = 0
        for _ in range(300):
            if turns.take(1e-4):
                with guard:
                    inside += 1
                    most = max(most, inside)
                count += 1
                with guard:
                    inside -= 1
                turns.pass_on()
        return count

    assert sum(pool.map(hurry, range(8))) > 0
    assert most == 1
    assert turns.take(0)
