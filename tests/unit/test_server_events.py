"""The stream of events for pages: what they are told, and what they missed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers import wait_until
from hubs import spec

from whirr.connect import open_hub
from whirr.errors import StoreError, Unauthenticated
from whirr.local import LocalHub
from whirr.model import JobStatus
from whirr.server import events as module
from whirr.server.events import Events
from whirr.server.watcher import MOST_NAMED, Watcher


class Told(NamedTuple):
    """One event."""

    kind: str
    number: str | None
    data: Any


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    made = open_hub(tmp_path / ".whirr")
    yield made
    made.close()


async def _known() -> None:
    """Whoever listens may."""


def parsed(part: bytes) -> Told:
    fields = dict(line.split(": ", 1) for line in part.decode().splitlines() if line)
    return Told(fields["event"], fields.get("id"), json.loads(fields["data"]))


async def heard(events: Events, last: str = "", known: Callable[[], Awaitable[object]] = _known) -> AsyncIterator[Told]:
    """The events of a page."""
    async for part in events.stream(last, known):
        yield parsed(part)


async def first(stream: AsyncIterator[Told], kind: str) -> Told:
    """The next event of a kind."""
    async with asyncio.timeout(20):
        async for told in stream:
            if told.kind == kind:
                return told
    raise AssertionError("the stream has ended")


@asynccontextmanager
async def watching(hub: LocalHub) -> AsyncIterator[Events]:
    events = Events(hub, "v1")
    try:
        yield events
    finally:
        await events.stop()


def is_watched(hub: LocalHub) -> bool:
    return any((hub.queue / "bells").glob("dashboard-*.bell"))


def test_a_page_is_greeted_and_told_of_the_queue(hub: LocalHub) -> None:
    async def go() -> None:
        async with watching(hub) as events:
            page = heard(events)
            hello = await anext(page)
            assert (hello.kind, hello.data) == ("hello", {"version": "v1"})
            await first(page, "counts")
            hub.submit(spec("true"))
            assert (await first(page, "runs")).data["changed"] == ["job-1"]
            assert (await first(page, "counts")).data == {"runs": 1, "running": 0, "queued": 1, "workers": 0}

    asyncio.run(go())


def test_nothing_is_watched_for_nobody(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGERS_S", 0.01)

    async def go() -> None:
        async with watching(hub) as events:
            assert not is_watched(hub)
            page = heard(events)
            await first(page, "queue")
            assert is_watched(hub)
            await page.aclose()  # type: ignore[attr-defined]
            async with asyncio.timeout(20):
                while events.count or is_watched(hub):
                    await asyncio.sleep(0.01)

    asyncio.run(go())


def test_one_watcher_looks_for_all_pages(hub: LocalHub) -> None:
    async def go() -> None:
        async with watching(hub) as events:
            pages = [heard(events) for _ in range(50)]
            for page in pages:
                assert (await anext(page)).kind == "hello"
            assert events.count == 50
            await first(pages[0], "counts")
            assert len(list((hub.queue / "bells").glob("dashboard-*.bell"))) == 1
            hub.submit(spec("true"))
            assert [(await first(page, "runs")).data["changed"] for page in pages] == [["job-1"]] * 50

    asyncio.run(go())


def test_what_was_missed_is_told(hub: LocalHub) -> None:
    async def go() -> None:
        async with watching(hub) as events:
            page, other = heard(events), heard(events)
            await anext(other)
            last = (await first(page, "counts")).number
            assert last
            await page.aclose()  # type: ignore[attr-defined]
            for _ in range(2):
                hub.submit(spec("true"))
                await first(other, "runs")
            page = heard(events, last)
            assert (await first(page, "runs")).data["changed"] == ["job-1", "job-2"]

    asyncio.run(go())


@pytest.mark.parametrize("last", ["0123456789ab-7", "nonsense", "-", "0123456789ab-" + "9" * 60])
def test_after_a_restart_everything_may_have_changed(hub: LocalHub, last: str) -> None:
    async def go() -> None:
        async with watching(hub) as events:
            other = heard(events)
            await first(other, "counts")
            page = heard(events, last)
            told = [await anext(page) for _ in range(4)]
            assert [one.kind for one in told] == ["hello", "runs", "queue", "workers"]
            assert told[1].data["changed"] is None

    asyncio.run(go())


def test_what_happened_while_nobody_looked_is_told(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGERS_S", 0.01)

    async def go() -> None:
        async with watching(hub) as events:
            page = heard(events)
            last = (await first(page, "counts")).number
            await page.aclose()  # type: ignore[attr-defined]
            async with asyncio.timeout(20):
                while is_watched(hub):
                    await asyncio.sleep(0.01)
            hub.submit(spec("true"))
            page = heard(events, last or "")
            assert (await first(page, "runs")).data["changed"] == ["job-1"]
            assert (await first(page, "counts")).data["queued"] == 1

    asyncio.run(go())


@pytest.mark.parametrize("happens", ["nothing", "something all the time"])
def test_who_is_known_no_more_is_told_nothing_further(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, happens: str
) -> None:
    monkeypatch.setattr(module, "CHECK_EVERY_S", 0.01)
    answers = iter([None, StoreError("the database is away"), None])

    async def known() -> None:
        if fault := next(answers, Unauthenticated("the token was revoked")):
            raise fault

    async def go() -> None:
        async with watching(hub) as events, asyncio.timeout(20):
            async for _ in heard(events, known=known):
                if happens != "nothing":
                    hub.submit(spec("true"))

    asyncio.run(go())
    assert next(answers, "all were given") == "all were given"


def test_it_is_heard_while_nothing_happens(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.01)

    async def go() -> None:
        async with watching(hub) as events:
            await first(heard(events), "beat")

    asyncio.run(go())


def test_streams_end_with_the_server(hub: LocalHub) -> None:
    async def go() -> list[str]:
        async with watching(hub) as events:
            page = heard(events)
            kinds = [(await anext(page)).kind]
            events.close()
            async with asyncio.timeout(20):
                return kinds + [told.kind async for told in page]

    assert asyncio.run(go())[0] == "hello"
    wait_until(lambda: not is_watched(hub))


def test_a_database_that_was_away_ends_no_stream(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    looks = iter([StoreError("the database is away"), ValueError("a fault of ours")])
    real = hub.counts

    def counts() -> dict[JobStatus, int]:
        if fault := next(looks, None):
            raise fault
        return real()

    monkeypatch.setattr(hub, "counts", counts)

    async def go() -> None:
        async with watching(hub) as events:
            await first(heard(events), "counts")

    asyncio.run(go())


class TestWatcher:
    def test_what_is_the_same_is_no_news(self, hub: LocalHub) -> None:
        watcher = Watcher(hub)
        hub.submit(spec("true"))
        kinds = [kind for kind, _ in watcher.look(rang=True)]
        assert kinds == ["runs", "queue", "workers", "counts"]
        assert watcher.look(rang=False) == []

    def test_a_ring_is_news(self, hub: LocalHub) -> None:
        watcher = Watcher(hub)
        watcher.look(rang=False)
        assert [kind for kind, _ in watcher.look(rang=True)] == ["queue"]

    def test_what_could_not_be_told_is_told_later(self, hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
        watcher = Watcher(hub)
        watcher.look(rang=False)
        hub.submit(spec("true"))

        def away() -> dict[JobStatus, int]:
            raise StoreError("the database is away")

        with monkeypatch.context() as patched:
            patched.setattr(hub, "counts", away)
            with pytest.raises(StoreError):
                watcher.look(rang=True)
        assert watcher.look(rang=False)[:2] == [("runs", frozenset({"job-1"})), ("queue", None)]

    def test_of_very_many_runs_none_is_named(self, hub: LocalHub) -> None:
        for number in range(MOST_NAMED + 1):
            (hub.root / "runs" / f"r{number}").mkdir()
        assert Watcher(hub).look(rang=False)[0] == ("runs", None)
