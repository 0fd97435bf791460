"""However many requests take long: what workers live by is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from helpers import wait_until
from hubs import worker
from servers import serving

from whirr import wire
from whirr.connect import open_hub
from whirr.local import LocalHub
from whirr.model import Role

MANY = 50
"""More than an application has threads for everything."""

SUM = "0" * 64
TREE = "0" * 40


class Long(NamedTuple):
    """A request, and what takes long of it: the part of the hub and its method."""

    part: str
    name: str
    method: str
    path: str
    body: Any = None


LONG = [
    Long("inbox", "begin", "POST", "runs/local-1/inbox"),
    Long("inbox", "append", "PATCH", "runs/local-1/inbox/a?offset=0", b"a"),
    Long("inbox", "replace", "PUT", "runs/local-1/inbox/a", b"a"),
    Long("inbox", "offer", "POST", "runs/local-1/contents", {"path": "a", "sha256": SUM, "size": 1}),
    Long("inbox", "send", "PATCH", f"contents/{SUM}?offset=0", b"a"),
    Long("inbox", "seal", "POST", "runs/local-1/seal", {"files": {"a": {"size": 1, "sha256": SUM}}}),
    Long("code", "known", "POST", "code/known", {"trees": [TREE]}),
    Long("code", "add", "PUT", f"code/{TREE}", b"a"),
    Long("code", "fetch", "POST", f"code/{TREE}/pack", {"trees": []}),
    Long("runs", "page", "GET", "runs"),
    Long("runs", "detail", "GET", "runs/local-1"),
    Long("runs", "files", "GET", "runs/local-1/files"),
    Long("", "upcoming", "GET", "queue/upcoming"),
]


class Broken(Exception):
    """What the work that was held up ends with."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    made = open_hub(tmp_path / ".whirr", serving=True)
    yield made
    made.close()


@contextmanager
def held(hub: LocalHub, long: Long, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Let some work take until the end of the block; how many do it by now."""
    go_on, begun = threading.Event(), list[int]()

    def waits(*_: object, **__: object) -> None:
        begun.append(1)
        go_on.wait(60)
        raise Broken

    monkeypatch.setattr(getattr(hub, long.part) if long.part else hub, long.name, waits)
    try:
        yield lambda: len(begun)
    finally:
        go_on.set()


@pytest.mark.parametrize("long", LONG, ids=lambda long: f"{long.part}.{long.name}")
def test_leases_are_renewed_and_jobs_claimed_meanwhile(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, long: Long
) -> None:
    headers = {"Authorization": f"Bearer {hub.tokens.create('admin', Role.ADMIN)}"}
    info = worker(host="elsewhere", lease_s=300.0)
    asks = {"worker": wire.plain(info), "usable_gpus": None}
    given = {"content" if isinstance(long.body, bytes) else "json": long.body}
    limits = httpx.Limits(max_connections=None)
    with (
        serving(hub) as url,
        httpx.Client(base_url=f"{url}/api/v1/", headers=headers, timeout=30, limits=limits) as client,
        ThreadPoolExecutor(MANY) as pool,
    ):
        client.put(f"workers/{info.id}", json=asks["worker"]).raise_for_status()
        with held(hub, long, monkeypatch) as begun:
            asked = [pool.submit(client.request, long.method, long.path, **given) for _ in range(MANY)]
            wait_until(begun, 30)
            for _ in range(20):
                client.post(f"workers/{info.id}/renew", json=asks["worker"]).raise_for_status()
                client.post(f"workers/{info.id}/claim", json=asks).raise_for_status()
                client.get("jobs").raise_for_status()
        assert [one.result(60).status_code for one in asked] == [500] * MANY
