"""``RemoteRuns``: the runs of a server, over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from whirr import wire
from whirr.annotations import Edit
from whirr.catalog import FileEntry, Labels, RunDetail, RunPage, RunQuery, RunView, check_id
from whirr.folder import METRICS
from whirr.paths import names_of
from whirr.progress import Progress
from whirr.transport import Transport

BLOCK = 2**18
PAGE = 500
"""So many runs are asked for at a time."""

MARGIN_S = 20.0
"""So much longer than it was asked to wait may the server take."""


class RemoteRuns:
    """Implements ``catalog.Runs``; its docstrings say what each method does."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def page(self, query: RunQuery) -> RunPage:
        runs: list[RunView] = []
        while True:
            left = query.limit - len(runs) if query.limit else PAGE
            page = self._page(query._replace(limit=min(left, PAGE)))
            runs += page.runs
            if page.cursor is None or len(runs) == query.limit:
                return page._replace(runs=tuple(runs))
            query = query._replace(cursor=page.cursor)

    def _page(self, query: RunQuery) -> RunPage:
        names = {"statuses": "status", "tags": "tag"}
        params = {names.get(field, field): value for field, value in query._asdict().items()}
        return wire.record(RunPage, self._transport.get("/runs", params))

    def find(self, reference: str) -> str:
        found: str = self._transport.get("/find", {"reference": reference})["run_id"]
        return found

    def detail(self, run_id: str, *, curves: bool = True) -> RunDetail:
        return wire.record(RunDetail, self._transport.get(_at(run_id), {"curves": curves}))

    def progress(self, run_id: str) -> Progress:
        return wire.record(Progress, self._transport.get(_at(run_id, "progress")))

    @contextmanager
    def metrics(self, run_id: str) -> Iterator[Path]:
        with TemporaryDirectory(prefix="whirr-") as folder:
            self._transport.again(lambda: self._save_metrics(run_id, Path(folder)))
            yield Path(folder)

    def _save_metrics(self, run_id: str, folder: Path) -> None:
        """The records of all writers, which the server has merged."""
        with self._transport.stream(_at(run_id, "metrics")) as answer, (folder / METRICS).open("wb") as file:
            for block in answer.iter_bytes(BLOCK):
                file.write(block)

    def code_changes(self, run_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._transport.get(_at(run_id, "code-changes"))["code_changes"]
        return found

    def files(self, run_id: str) -> list[FileEntry]:
        return [wire.record(FileEntry, file) for file in self._transport.get(_at(run_id, "files"))["files"]]

    def annotate(
        self,
        run_id: str,
        *,
        notes: str | None = None,
        over: str | None = None,
        tags: Sequence[str] | None = None,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> Labels:
        edit = Edit(notes, over, None if tags is None else tuple(tags), tuple(add), tuple(remove))
        return wire.record(Labels, self._transport.call("POST", _at(run_id, "annotations"), json=edit))

    def read(self, run_id: str, path: str) -> bytes:
        with self._transport.stream(_at(run_id, "files", path)) as answer:
            return answer.read()

    def open(self, run_id: str, path: str, *, wait_s: float = 0.0) -> RemoteFile:
        return RemoteFile(self._transport, _at(run_id, "files", path), wait_s)


def _at(run_id: str, *more: str) -> str:
    """The path of something of a run.

    Raises:
        NotFound: the id or a path leads elsewhere; what an address means is settled before it reaches the server.
    """
    check_id(run_id)
    for path in more:
        names_of(path)
    return "/".join(("/runs", quote(os.fsencode(run_id), safe=""), *(quote(os.fsencode(path)) for path in more)))


class RemoteFile:
    """A file of a run, read in parts; it may grow meanwhile.

    Args:
        path: of its content, below the API's root.
        wait_s: as in ``catalog.Runs.open``.

    Raises:
        NotFound: there is no such file.
    """

    def __init__(self, transport: Transport, path: str, wait_s: float) -> None:
        self._transport, self._path, self._wait_s = transport, path, wait_s
        self._place = 0
        self._held, self._held_at = memoryview(b""), 0
        self._size, self._tag = self._look()

    def _look(self) -> tuple[int, str]:
        headers, _, _ = self._transport.part("HEAD", self._path)
        return int(headers.get("Content-Length", 0)), headers.get("ETag", "")

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes at most; empty at the end, for now.

        Raises:
            NotFound: the file is not there any more, or another has taken its place.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        at = self._place - self._held_at
        if size and not 0 <= at < len(self._held):
            self._held, self._held_at, at = memoryview(self._ask(max(size, BLOCK))), self._place, 0
        given = bytes(self._held[at : at + size])
        self._place += len(given)
        return given

    def _ask(self, size: int) -> bytes:
        headers = {"Range": f"bytes={self._place}-{self._place + size - 1}", "If-Match": self._tag}
        wait = {"wait": self._wait_s} if self._wait_s and self._place >= self._size else {}
        answered, status, data = self._transport.part(
            "GET", self._path, params=wait, headers=headers, timeout_s=self._wait_s + MARGIN_S
        )
        if status == 416:
            return b""
        self._tag = answered.get("ETag", self._tag)
        self._size = max(self._size, self._place + len(data))
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place; from the end, as the file is now."""
        if whence == 2:
            self._size, self._tag = self._look()
        self._place = max({0: 0, 1: self._place, 2: self._size}[whence] + offset, 0)
        return self._place

    def close(self) -> None:
        """Forget what was read ahead."""
        self._held = memoryview(b"")
