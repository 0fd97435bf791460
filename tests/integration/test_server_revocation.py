"""What is open for long ends with the token by which it was opened."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest
from helpers import wait_until
from hubs import spec
from servers import serving

from whirr.connect import open_hub
from whirr.local import LocalHub
from whirr.model import Role


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    made = open_hub(tmp_path / ".whirr", serving=True)
    yield made
    made.close()


@pytest.fixture
def client(hub: LocalHub) -> Iterator[httpx.Client]:
    with serving(hub) as url, httpx.Client(base_url=url, timeout=60) as made:
        yield made


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def lines(stack: ExitStack, client: httpx.Client, path: str, token: str) -> Iterator[str]:
    """The lines of a stream."""
    answer = stack.enter_context(client.stream("GET", path, headers=headers(token)))
    assert answer.status_code == 200
    return answer.iter_lines()


def open_bells(client: httpx.Client, token: str) -> str:
    """How many bells are open, as the metrics say."""
    text = client.get("/metrics", headers=headers(token)).text
    return next(line for line in text.splitlines() if line.startswith("whirr_bells ")).split()[1]


def test_a_bell_is_open_as_long_as_its_token_is_good(hub: LocalHub, client: httpx.Client) -> None:
    leaver, stayer = (hub.tokens.create(name, Role.WORKER) for name in ("w1", "w2"))
    with ExitStack() as stack:
        bell, again, other = (
            lines(stack, client, f"/api/v1/workers/{worker}/bell", token)
            for worker, token in (("w1", leaver), ("w1", leaver), ("w2", stayer))
        )
        for heard in (bell, again, other):
            assert next(heard) == "data: ring"
        hub.tokens.revoke("w1")
        for heard in (bell, again):
            assert ": " not in heard  # a bell that stays open breaks its silence
        wait_until(lambda: open_bells(client, stayer) == "1.0")
        hub.submit(spec("true"))
        assert "data: ring" in other


def test_a_page_is_told_nothing_more_though_something_changes_all_the_time(hub: LocalHub, client: httpx.Client) -> None:
    token = hub.tokens.create("leaver", Role.READ)
    told = 0
    with ExitStack() as stack:
        for line in lines(stack, client, "/ui/events", token):
            if line.startswith("event: runs"):
                told += 1
                assert told < 30, "it is told of every change still"
                if told == 1:
                    hub.tokens.revoke("leaver")
            hub.submit(spec("true"))
    assert told


@pytest.mark.parametrize(
    "path", ["/api/v1/runs/job-1/files/output.log?wait=30", "/ui/run/job-1/log?path=output.log&start=5&count=9&wait=30"]
)
def test_who_follows_a_log_is_refused(
    hub: LocalHub, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    token = hub.tokens.create("leaver", Role.READ)
    (hub.run_dir(hub.submit(spec("true")).id) / "output.log").write_text("ours\n")
    waits, real = threading.Event(), hub.runs.open

    def opened(run_id: str, name: str) -> BinaryIO:
        waits.set()
        return real(run_id, name)

    monkeypatch.setattr(hub.runs, "open", opened)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(client.get, path, headers={**headers(token), "Range": "bytes=5-"})
        assert waits.wait(20)
        hub.tokens.revoke("leaver")
        assert following.result(60).status_code == 401
