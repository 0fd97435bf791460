"""A submission whose commit is cut off, over PostgreSQL: job and folder are both there, or neither is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers import wait_until
from hubs import spec

from whirr.connect import open_hub
from whirr.errors import CommitUnknown
from whirr.folder import read_meta
from whirr.local import LocalHub


class Cable:
    """On the way to a PostgreSQL server; cut where a COMMIT passes, before the server sees it or before its answer.

    Attributes:
        cut: ``"before"``, ``"after"``, or None: nothing is cut. Each cut is made once.
    """

    def __init__(self, host: str, port: int) -> None:
        self.cut: str | None = None
        self._server = (host, port)
        self._lost = False
        self._answered = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), closing(socket.create_connection(self._server)) as server, suppress(OSError):
            back = threading.Thread(target=self._answers, args=[server, client], daemon=True)
            back.start()
            while data := client.recv(1 << 16):
                if b"COMMIT\0" not in data or self.cut is None:
                    server.sendall(data)
                    continue
                where, self.cut = self.cut, None
                if where == "after":
                    self._answered.clear()
                    self._lost = True
                    server.sendall(data)
                    assert self._answered.wait(10)
                server.shutdown(socket.SHUT_RDWR)
                return

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if self._lost:
                    self._lost = False
                    self._answered.set()
                    return
                client.sendall(data)


@pytest.fixture
def cable(postgres_url: str) -> Iterator[Cable]:
    place = urlsplit(postgres_url)
    assert place.hostname
    assert place.port
    made = Cable(place.hostname, place.port)
    yield made
    made.close()


@pytest.fixture
def hub(tmp_path: Path, postgres_url: str, cable: Cable) -> Iterator[LocalHub]:
    place = urlsplit(postgres_url)
    made = open_hub(
        tmp_path / ".whirr", place._replace(netloc=place.netloc.replace(str(place.port), str(cable.port))).geturl()
    )
    yield made
    made.close()


def runs(hub: LocalHub) -> list[str]:
    return sorted(path.name for path in (hub.root / "runs").iterdir())


@pytest.mark.parametrize("key", [None, "the key of it"])
def test_a_commit_that_was_made_keeps_the_folder(hub: LocalHub, cable: Cable, key: str | None) -> None:
    staging = hub.staging_folder()
    (staging / "requirements.txt").write_text("numpy\n")
    cable.cut = "after"
    job = hub.submit(spec("true"), staging, key=key)
    assert cable.cut is None
    assert hub.jobs() == [job]
    assert runs(hub) == [job.run_id]
    assert read_meta(hub.run_dir(job.id))["status"] == "queued"
    assert (hub.run_dir(job.id) / "requirements.txt").read_text() == "numpy\n"


@pytest.mark.parametrize("key", [None, "the key of it"])
def test_a_commit_that_was_not_made_leaves_nothing(hub: LocalHub, cable: Cable, key: str | None) -> None:
    cable.cut = "before"
    with pytest.raises(CommitUnknown):
        hub.submit(spec("true"), key=key)
    assert cable.cut is None
    assert hub.jobs() == []
    assert runs(hub) == []
    hub.submit(spec("true"), key=key)
    wait_until(lambda: len(runs(hub)) == 1)
