"""Whom a server wakes when something happened, and that it goes on doing so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hubs import spec

from whirr.connect import open_hub
from whirr.errors import StoreError
from whirr.leasing import Calls
from whirr.local import LocalHub
from whirr.model import Lease, Role, Token
from whirr.server import bells as module
from whirr.server.bells import LOOKED_AT, MORE_AFTER_S, REMINDED_AFTER_S, RING, Bells, Rota

WORKERS = [f"w{number}" for number in range(200)]


def calls(ready: int = 0, first: int = 1, stopping: tuple[Lease, ...] = (), full: tuple[str, ...] = ()) -> Calls:
    return Calls(tuple((number, 0) for number in range(first, first + ready)), stopping, frozenset(full))


@pytest.mark.parametrize(("ready", "woken"), [(0, 0), (1, 2), (5, 6), (LOOKED_AT, 200)])
def test_as_many_are_woken_as_there_are_jobs_and_one_more(ready: int, woken: int) -> None:
    assert len(Rota().wake(calls(ready), WORKERS, 100.0, rang=True)) == woken


def test_all_are_woken_when_nobody_took_the_job() -> None:
    rota = Rota()
    assert rota.wake(calls(1), WORKERS, 100.0, rang=True) == {"w0", "w1"}
    assert rota.again_at == 100.0 + MORE_AFTER_S
    assert rota.wake(calls(1), WORKERS, 100.01, rang=False) == set()
    assert rota.wake(calls(1), WORKERS, 100.0 + MORE_AFTER_S, rang=False) == set(WORKERS)
    assert rota.again_at is None
    assert rota.wake(calls(1), WORKERS, 110.0, rang=False) == set()


def test_nobody_else_is_woken_when_it_was_taken() -> None:
    rota = Rota()
    rota.wake(calls(1), WORKERS, 100.0, rang=True)
    assert rota.wake(calls(), WORKERS, 100.0 + MORE_AFTER_S, rang=False) == set()
    assert rota.again_at is None


def test_all_are_not_woken_again_and_again() -> None:
    rota, woken = Rota(), 0
    for number in range(50):  # jobs that none of them can take
        now = 100.0 + number / 5
        woken += rota.wake(calls(number), WORKERS, now, rang=True) == set(WORKERS)
    assert 1 <= woken <= 6


def test_what_was_put_off_is_made_up_for() -> None:
    rota = Rota()
    for now in (100.0, 100.1):
        rota.wake(calls(1), WORKERS, now, rang=True)
    rota.wake(calls(1, first=2), WORKERS, 100.2, rang=True)
    rota.wake(calls(1, first=2), WORKERS, 100.3, rang=False)
    assert rota.again_at is not None
    assert rota.again_at > 101
    assert rota.wake(calls(1, first=2), WORKERS, rota.again_at, rang=False) == set(WORKERS)


def test_a_long_queue_behind_busy_workers_wakes_nobody() -> None:
    rota = Rota()
    busy = calls(60, full=tuple(WORKERS))
    assert rota.wake(busy, WORKERS, 100.0, rang=True) == set()
    assert rota.wake(busy, WORKERS, 101.0, rang=True) == set()


def test_a_wait_that_is_over_wakes_without_a_ring() -> None:
    rota = Rota()
    assert rota.wake(calls(), WORKERS, 100.0, rang=False) == set()
    assert rota.wake(calls(1), WORKERS, 102.0, rang=False) == {"w0", "w1"}


def test_an_old_job_that_nobody_took_wakes_one() -> None:
    """Something else ended: its GPUs may be free now."""
    rota = Rota()
    rota.wake(calls(1), WORKERS, 100.0, rang=True)
    rota.wake(calls(1), WORKERS, 101.0, rang=False)
    assert len(rota.wake(calls(1), WORKERS, 105.0, rang=True)) == 1


def test_who_is_to_stop_a_job_is_told_at_once_and_reminded() -> None:
    rota, lease = Rota(), Lease(7, 1, "w5")
    stopping = calls(stopping=(lease,), full=("w5",))
    assert rota.wake(stopping, WORKERS, 100.0, rang=True) == {"w5"}
    assert rota.wake(stopping, WORKERS, 101.0, rang=True) == set()
    assert rota.wake(stopping, WORKERS, 101.0 + REMINDED_AFTER_S, rang=False) == {"w5"}
    assert rota.wake(calls(stopping=(lease._replace(attempt=2),)), WORKERS, 112.0, rang=True) == {"w5"}


def test_who_does_not_listen_is_not_woken() -> None:
    lease = Lease(7, 1, "elsewhere")
    assert Rota().wake(calls(stopping=(lease,)), WORKERS, 100.0, rang=True) == set()
    assert Rota().wake(calls(3), [], 100.0, rang=True) == set()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    made = open_hub(tmp_path / ".whirr", serving=True)
    yield made
    made.close()


@asynccontextmanager
async def listening(hub: LocalHub) -> AsyncIterator[Bells]:
    bells = Bells(hub)
    bells.start()
    try:
        yield bells
    finally:
        await bells.stop()


@pytest.fixture
def token(hub: LocalHub) -> Token:
    found = hub.tokens.check(hub.tokens.create("worker", Role.WORKER))
    assert found is not None
    return found


def failing(monkeypatch: pytest.MonkeyPatch, hub: LocalHub, name: str) -> Callable[[], bool]:
    """Let a method of a hub fail at first, in a way that is known and in one that is not; whether it works again."""
    faults = iter([StoreError("the database is away"), RuntimeError("can't start new thread")])
    real, worked = getattr(hub, name), list[Any]()

    def method(*given: Any) -> Any:
        if fault := next(faults, None):
            raise fault
        worked.append(given)
        return real(*given)

    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    monkeypatch.setattr(hub, name, method)
    return lambda: bool(worked)


def test_whatever_fails_once_workers_are_woken_afterwards(
    hub: LocalHub, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = failing(monkeypatch, hub, "calls")

    async def go() -> None:
        async with listening(hub) as bells, asyncio.timeout(20):
            bell = bells.ringing("w1", token)
            assert await anext(bell) == RING
            hub.submit(spec("true"))
            while await anext(bell) != RING:
                pass
            assert works()

    asyncio.run(go())


@pytest.mark.parametrize("name", ["see", "expire"])
def test_what_failed_is_tried_again(hub: LocalHub, token: Token, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(module, "KEEPALIVE_S", 0.01)
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    works = failing(monkeypatch, hub, name)

    async def go() -> None:
        async with listening(hub) as bells, asyncio.timeout(20):
            bell = bells.ringing("w1", token)
            while not works():
                await anext(bell)

    asyncio.run(go())
