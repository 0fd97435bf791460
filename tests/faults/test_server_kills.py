"""The server and its database are killed and restarted while workers and clients live: nothing is lost or doubled."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers import wait_until
from postgres import Server, running_server
from remote_queues import a_remote_queue, clients, counted
from servers import running_server as whirr_server

from whirr.errors import StoreError
from whirr.remote import RemoteHub
from whirr.transport import Transport


def test_the_server_is_killed_at_any_moment(tmp_path: Path, thorough: bool) -> None:
    seeded = random.Random(3)
    rounds = 30 if thorough else 5
    with a_remote_queue(tmp_path) as queue:
        queue.ready(*(queue.worker("--slots", "2") for _ in range(2)))
        with clients(queue, 4) as done:
            for _ in range(rounds):
                done.do_more()
                time.sleep(seeded.uniform(0, 0.4))  # the moment is what is tried here
                queue.server.kill()
                queue.server.start()
            done.do_more()
        outcomes = counted(queue, done, "requeued")  # of a claim whose answer died with the server
        assert outcomes["completed"] > rounds
        assert all(worker.process.poll() is None for worker in queue.workers)


@pytest.fixture
def own_server() -> Iterator[Server]:
    with running_server() as server:
        yield server


def test_the_database_of_a_server_is_killed(own_server: Server, tmp_path: Path) -> None:
    name = own_server.create_database()
    with a_remote_queue(tmp_path, own_server.url(name)) as queue:
        queue.ready(*(queue.worker("--slots", "2") for _ in range(2)))
        with clients(queue, 4) as done:
            for _ in range(2):
                done.do_more(3)
                assert own_server.end_sessions(name) > 0
                for how in (signal.SIGINT, signal.SIGQUIT):
                    done.do_more(3)
                    own_server.stop(how)
                    own_server.start()
            done.do_more(3)
        counted(queue, done, "requeued")
        assert queue.server.process.poll() is None
        assert b"Traceback" not in queue.server.log.read_bytes()


def test_a_database_that_is_away_is_named(own_server: Server, tmp_path: Path) -> None:
    url = own_server.url(own_server.create_database())
    with whirr_server(tmp_path, "--database-url", url) as server:
        hub = RemoteHub(Transport(server.url, server.token, tries=1))  # it is told before it stops waiting
        assert httpx.get(f"{server.url}/ready").status_code == 200
        own_server.stop(signal.SIGQUIT)
        answers = [httpx.get(f"{server.url}/ready", timeout=30) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert httpx.get(f"{server.url}/health").status_code == 200
        with pytest.raises(StoreError, match="PostgreSQL at "):
            hub.counts()
        own_server.start()
        wait_until(lambda: httpx.get(f"{server.url}/ready").status_code == 200)
        assert hub.counts() == {}
        hub.close()
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()
