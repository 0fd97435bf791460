"""One listener for all workers of a server, and who of them is woken.

A job that became ready wakes as many workers with a free slot as there are such jobs, and one more; only if it is still
there a moment later are all others woken too. So two hundred idle workers do not all ask for one job, and a long queue
behind busy ones wakes nobody.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

from whirr.errors import WhirrError
from whirr.leasing import Calls
from whirr.local import LocalHub
from whirr.model import Lease, Token
from whirr.server.observe import LOG

KEEPALIVE_S = 10.0
LOOK_EVERY_S = 2.0
"""Waits end and leases run out without a ring."""

AGAIN_S = 1.0
"""What failed is tried again after so long."""

CHECK_EVERY_S = 1.0
"""A bell is open so much longer than its token is good."""

BETWEEN_LOOKS_S = 0.01
MORE_AFTER_S = 0.05
ASKING_S = 0.01
"""What a claim may cost: all of ``n`` workers are not woken again before ``n`` times as long."""

REMINDED_AFTER_S = 10.0
LOOKED_AT = 64
"""So many jobs that are ready are looked at; when there are more, all workers are woken."""

RING, SILENCE = b"data: ring\n\n", b": \n\n"


class Rota:
    """Says whom to wake.

    Attributes:
        again_at: when to look again for jobs that few were woken for; None: there are none.
    """

    def __init__(self) -> None:
        self.again_at: float | None = None
        self._ready: frozenset[tuple[int, int]] = frozenset()
        self._offered: frozenset[tuple[int, int]] = frozenset()
        self._all_at = 0.0
        self._told: dict[Lease, float] = {}

    def wake(self, calls: Calls, listening: Sequence[str], now: float, *, rang: bool) -> set[str]:
        """The workers to wake.

        Args:
            listening: all that can be woken, those first that were not for longest.
            now: seconds on a clock that only goes forward.
            rang: something happened since the last call.
        """
        free = [worker for worker in listening if worker not in calls.full]
        return self._stopping(calls, now) & set(listening) | set(self._ready_for(calls, free, now, rang=rang))

    def _stopping(self, calls: Calls, now: float) -> set[str]:
        told = {lease: at for lease, at in self._told.items() if at > now - REMINDED_AFTER_S}
        new = [lease for lease in calls.stopping if lease not in told]
        self._told = {lease: told.get(lease, now) for lease in calls.stopping}
        return {lease.worker for lease in new}

    def _ready_for(self, calls: Calls, free: list[str], now: float, *, rang: bool) -> list[str]:
        ready = frozenset(calls.ready)
        new, self._ready = ready - self._ready, ready
        left = self._offered & ready
        due = bool(left) and self.again_at is not None and now >= self.again_at
        if due or (new and len(ready) >= LOOKED_AT):
            if now >= self._all_at:
                self._offered, self.again_at = frozenset(), None
                self._all_at = now + ASKING_S * len(free)
                return free
            self._offered, self.again_at = left | new, self._all_at
        else:
            self._offered = left | new
            if not self._offered:
                self.again_at = None
            elif self.again_at is None:
                self.again_at = now + MORE_AFTER_S
        return free[: len(new) + 1] if new or (rang and ready) else []


class Listener:
    """An open bell.

    Attributes:
        token: by which it was opened.
        woken: there may be something to do, or it is over.
        over: the token is good no more.
    """

    __slots__ = ("over", "token", "woken")

    def __init__(self, token: Token) -> None:
        self.token = token
        self.woken = asyncio.Event()
        self.over = False


class Bells:
    """See the module.

    Args:
        hub: where the rings come from.
    """

    def __init__(self, hub: LocalHub) -> None:
        self._hub = hub
        self._rota = Rota()
        self._open: set[Listener] = set()
        self._waiting: dict[str, Listener] = {}
        self._rang = asyncio.Event()
        self._closed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def count(self) -> int:
        """How many workers listen."""
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        """Whether the server ends: whatever waits for something comes back."""
        return self._closed.is_set()

    def start(self) -> None:
        """Begin to listen, in the running event loop."""
        loop = asyncio.get_running_loop()
        self._bell = self._hub.listen(f"server-{os.urandom(6).hex()}")
        loop.add_reader(self._bell.fileno(), self._heard)
        steps = (self._spread, self._expire, self._note_life, self._check)
        self._tasks = [loop.create_task(self._repeat(step)) for step in steps]

    def close(self) -> None:
        """End every stream."""
        self._closed.set()
        self._rang.set()
        for listener in self._open:
            listener.woken.set()

    async def stop(self) -> None:
        """End listening."""
        self.close()
        asyncio.get_running_loop().remove_reader(self._bell.fileno())
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._bell.close()

    def _heard(self) -> None:
        with suppress(WhirrError):
            self._bell.drain()
        self._rang.set()

    async def ringing(self, worker: str, token: Token) -> AsyncIterator[bytes]:
        """The events for one worker; the first comes at once, since something may have happened before.

        They end with the token by which it listens.
        """
        mine = self._waiting[worker] = Listener(token)
        self._open.add(mine)
        try:
            yield RING
            while not (self._closed.is_set() or mine.over):
                try:
                    await asyncio.wait_for(mine.woken.wait(), KEEPALIVE_S)
                except TimeoutError:
                    yield SILENCE
                    continue
                mine.woken.clear()
                if not mine.over:
                    yield RING
        finally:
            self._open.discard(mine)
            if self._waiting.get(worker) is mine:
                del self._waiting[worker]

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step again and again. One that fails is told of, and ends nothing."""
        while not self._closed.is_set():
            try:
                await step()
            except WhirrError as error:  # a database that is away
                LOG.warning("the queue could not be looked after: %s", error)
                await asyncio.sleep(AGAIN_S)
            except Exception:
                LOG.exception("looking after the queue broke")
                await asyncio.sleep(AGAIN_S)

    async def _spread(self) -> None:
        """Wake whom something concerns that has happened since the last look."""
        rang = await self._wait()
        if self._waiting:
            calls = await asyncio.to_thread(self._hub.calls, LOOKED_AT)
            self._ring(self._rota.wake(calls, list(self._waiting), time.monotonic(), rang=rang))
        await asyncio.sleep(BETWEEN_LOOKS_S)

    async def _expire(self) -> None:
        await asyncio.to_thread(self._hub.expire)
        await asyncio.sleep(LOOK_EVERY_S)

    async def _wait(self) -> bool:
        """Whether it rang before it was time to look in any case."""
        again = self._rota.again_at
        timeout = LOOK_EVERY_S if again is None else min(max(again - time.monotonic(), 0.0), LOOK_EVERY_S)
        try:
            await asyncio.wait_for(self._rang.wait(), timeout)
        except TimeoutError:
            return False
        self._rang.clear()
        return True

    def _ring(self, workers: set[str]) -> None:
        """Wake them; they come last next time."""
        for worker in workers & self._waiting.keys():
            listener = self._waiting.pop(worker)
            self._waiting[worker] = listener
            listener.woken.set()

    async def _note_life(self) -> None:
        await asyncio.sleep(KEEPALIVE_S)
        if self._waiting:
            await asyncio.to_thread(self._hub.see, list(self._waiting))

    async def _check(self) -> None:
        """End the bells whose token is good no more: one look for all, however many are open."""
        await asyncio.sleep(CHECK_EVERY_S)
        if listeners := list(self._open):  # those that come while it looks may have newer tokens
            good = await asyncio.to_thread(self._hub.tokens.good)
            for listener in listeners:
                if listener.token.id not in good:
                    listener.over = True
                    listener.woken.set()
