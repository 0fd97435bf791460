"""Tells pages that something has changed, by server-sent events. One watcher looks, for all pages of this server.

While no page listens, nothing is looked at. An event says what kind of thing has changed, not how: a page asks for what
it shows. What a page missed while its connection was lost it is told when it comes back with the number of the last
event that it got.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from whirr import wire
from whirr.errors import StoreError, WhirrError
from whirr.hub import Bell
from whirr.local import LocalHub
from whirr.server.observe import LOG
from whirr.server.watcher import MOST_NAMED, Watcher

BEAT_S = 10.0
AT_MOST_EVERY_S = 0.5
CHECK_EVERY_S = 1.0
"""A page is told of changes so much longer than it is known."""

AGAIN_S = 2.0
LINGERS_S = 5.0
"""The watcher ends so long after the last page has gone, since pages that are loaded anew come back."""

REMEMBERED = 1000
MISSED_S = 5.0
"""A page that is new is told of what happened while it was loaded."""

EVERYTHING = ("runs", "queue", "workers")
KINDS = (*EVERYTHING, "counts")


class News(NamedTuple):
    """Something that has changed.

    Attributes:
        number: counts all news.
        at: on the monotonic clock.
        runs: of kind ``runs``, which; None: perhaps all.
    """

    number: int
    at: float
    kind: str
    runs: frozenset[str] | None = None


class Events:
    """See the module.

    Args:
        hub: what is watched.
        version: of the files of the pages, told to each page.
    """

    def __init__(self, hub: LocalHub, version: str) -> None:
        self._hub = hub
        self._version = version
        self._era = os.urandom(6).hex()
        self._news: deque[News] = deque(maxlen=REMEMBERED)
        self._number = 0
        self._counts: dict[str, int] = {}
        self._pages: set[asyncio.Event] = set()
        self._came, self._rang = asyncio.Event(), asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._watcher = Watcher(hub)

    @property
    def count(self) -> int:
        """How many pages listen."""
        return len(self._pages)

    def close(self) -> None:
        """End every stream."""
        for woken in (self._closing, self._came, self._rang, *self._pages):
            woken.set()

    async def stop(self) -> None:
        """End watching."""
        self.close()
        if self._task is not None:
            await self._task

    async def stream(self, last: str, known: Callable[[], Awaitable[object]]) -> AsyncIterator[bytes]:
        """The events for one page, until it goes or is no longer known.

        Args:
            last: the id of the last event that it got; empty: none.
            known: raises a ``WhirrError`` when whoever looks at the page may no longer; asked once a second.
        """
        woken = asyncio.Event()
        check_at, beat_at = time.monotonic() + CHECK_EVERY_S, time.monotonic() + BEAT_S
        self._pages.add(woken)
        self._start()
        try:
            missed, seen = bool(last) and not self._remembers(last), self._resumed(last)
            yield _event("hello", {"version": self._version}, f"{self._era}-{seen}")
            if missed:
                for kind in EVERYTHING:
                    yield _event(kind, {"version": str(seen), "changed": None}, None)
            if self._counts:
                yield _event("counts", self._counts, None)
            while not self._closing.is_set():
                woken.clear()
                if time.monotonic() >= check_at:
                    with suppress(StoreError):  # a database that is away ends no stream
                        await known()
                    check_at = time.monotonic() + CHECK_EVERY_S
                told, seen = self._since(seen), self._number
                if not told and time.monotonic() >= beat_at:
                    told = [_event("beat", {}, None)]
                for part in told:
                    yield part
                if told:
                    beat_at = time.monotonic() + BEAT_S
                else:
                    await _rings(woken, min(check_at, beat_at) - time.monotonic())
        except WhirrError:
            return  # the next request of the page is told why
        finally:
            self._pages.discard(woken)

    def _remembers(self, last: str) -> bool:
        """Whether all is known that has happened since an event."""
        era, _, number = last.partition("-")
        oldest = self._news[0].number if self._news else self._number + 1
        return era == self._era and number.isdecimal() and oldest - 1 <= int(number) <= self._number

    def _resumed(self, last: str) -> int:
        """The number of the last news that a page has taken in, or will have."""
        if last:
            return int(last.partition("-")[2]) if self._remembers(last) else self._number
        recent = [news.number for news in self._news if news.at >= time.monotonic() - MISSED_S]
        return min(recent, default=self._number + 1) - 1

    def _since(self, seen: int) -> list[bytes]:
        """What has happened since, each kind once."""
        new = [news for news in self._news if news.number > seen]
        kinds = [kind for kind in KINDS if any(news.kind == kind for news in new)]
        told = {kind: self._data(kind, [news for news in new if news.kind == kind]) for kind in kinds}
        last = f"{self._era}-{self._number}"
        return [_event(kind, data, last if kind == kinds[-1] else None) for kind, data in told.items()]

    def _data(self, kind: str, news: list[News]) -> dict[str, Any]:
        if kind == "counts":
            return dict(self._counts)
        if kind != "runs":
            return {"version": str(self._number)}
        named: set[str] | None = set()
        for one in news:
            named = None if named is None or one.runs is None else named | one.runs
        changed = None if named is None or len(named) > MOST_NAMED else sorted(named)
        return {"version": str(self._number), "changed": changed}

    def _add(self, kind: str, runs: frozenset[str] | None = None) -> None:
        self._number += 1
        self._news.append(News(self._number, time.monotonic(), kind, runs))
        for woken in self._pages:
            woken.set()

    def _start(self) -> None:
        self._came.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        """Look until no page has listened for a while."""
        while not self._closing.is_set() and await self._wanted():
            try:
                await self._listen()
            except (OSError, WhirrError) as error:  # a database that is away, a folder without room for a bell
                LOG.warning("no look at what has changed: %s", error)
                await _rings(self._closing, AGAIN_S)
            except Exception:
                LOG.exception("the look at what has changed broke")
                await _rings(self._closing, AGAIN_S)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        bell = await asyncio.to_thread(self._hub.listen, f"dashboard-{self._era}")
        loop.add_reader(bell.fileno(), self._heard, bell)
        try:
            while not self._closing.is_set() and await self._wanted():
                rang = self._rang.is_set()
                self._rang.clear()
                if await self._look(rang=rang):
                    await _rings(self._closing, AT_MOST_EVERY_S)
                else:
                    await _rings(self._rang, AT_MOST_EVERY_S)
        finally:
            loop.remove_reader(bell.fileno())
            await asyncio.to_thread(bell.close)  # which may wait for its thread

    def _heard(self, bell: Bell) -> None:
        with suppress(WhirrError):
            bell.drain()
        self._rang.set()

    async def _look(self, *, rang: bool) -> bool:
        """Look once; whether there was news."""
        found = await asyncio.to_thread(self._watcher.look, rang=rang)
        self._counts = self._watcher.counts
        for kind, runs in found:
            self._add(kind, runs)
        return bool(found)

    async def _wanted(self) -> bool:
        if not self._pages:
            self._came.clear()
            await _rings(self._came, LINGERS_S)
        return bool(self._pages)


async def _rings(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return False
    return True


def _event(kind: str, data: Any, number: str | None) -> bytes:
    id_line = f"id: {number}\n" if number else ""
    return f"event: {kind}\n{id_line}data: {wire.dumps(data).decode()}\n\n".encode()
