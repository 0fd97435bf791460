"""``RemoteInbox``: sends the files of runs to a server, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from whirr.hub import Target
from whirr.paths import names_of
from whirr.transport import Transport

BINARY = {"Content-Type": "application/octet-stream"}
PIECE = 1 << 20
LONG_S = 600.0
"""How long a server may take to read what it compares."""


class RemoteInbox:
    """Implements ``hub.Inbox``; its docstrings say what each method does."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def shares(self, folder: Path) -> bool:
        probe = self._transport.call("POST", "/probe")
        try:
            return bool((folder / probe["name"]).read_text() == probe["content"])
        except (OSError, ValueError):
            return False
        finally:
            self._transport.call("DELETE", f"/probe/{probe['name']}", safe=True)

    def begin(self, target: Target) -> dict[str, int]:
        found: dict[str, int] = self._send("POST", target, "inbox")["sizes"]
        return found

    def append(self, target: Target, path: str, offset: int, data: bytes) -> int:
        return int(self._send("PATCH", target, _file(path), data, offset=offset)["size"])

    def replace(self, target: Target, path: str, data: bytes) -> None:
        self._send("PUT", target, _file(path), data)

    def offer(self, target: Target, path: str, sha256: str, size: int) -> int:
        about = {"path": path, "sha256": sha256, "size": size}
        return int(self._send("POST", target, "contents", json=about, timeout_s=LONG_S)["size"])  # it is read once more

    def send(self, sha256: str, offset: int, data: bytes) -> int:
        path, params = f"/contents/{sha256}", {"offset": offset}
        with _body(data) as (content, headers):
            done = self._transport.call("PATCH", path, content=content, params=params, headers=headers, safe=True)
        return int(done["size"])

    def seal(self, target: Target, sums: Mapping[str, tuple[int, str]]) -> list[str]:
        files = {path: {"size": size, "sha256": sha256} for path, (size, sha256) in sums.items()}
        found: list[str] = self._send("POST", target, "seal", json={"files": files}, timeout_s=LONG_S)["differing"]
        return found

    def _send(
        self,
        method: str,
        target: Target,
        what: str,
        data: bytes | None = None,
        *,
        json: Any = None,
        offset: int | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        lease = target.lease
        params = {
            "job": lease and lease.job_id,
            "attempt": lease and lease.attempt,
            "worker": lease and lease.worker,
            "late": True if target.late else None,
            "offset": offset,
        }
        with _body(data) as (content, headers):
            return self._transport.call(
                method,
                f"/runs/{quote(target.run_id, safe='')}/{what}",
                json=json,
                content=content,
                params=params,
                headers=headers,
                safe=True,
                timeout_s=timeout_s,
            )


class Pieces:
    """Bytes that are sent piece by piece, again where a request is repeated.

    Given as a whole, the HTTP client copies what is left of them each time the socket takes some.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def forget(self) -> None:
        """Let go of them."""
        self._data = memoryview(b"")

    def __iter__(self) -> Iterator[memoryview]:
        return (self._data[start : start + PIECE] for start in range(0, len(self._data), PIECE))


@contextmanager
def _body(data: bytes | None) -> Iterator[tuple[Any, dict[str, str]]]:
    """What to send, and its headers."""
    if data is None or len(data) <= PIECE:
        yield data, {} if data is None else BINARY
        return
    pieces = Pieces(data)
    try:
        yield pieces, {**BINARY, "Content-Length": str(len(data))}
    finally:  # an answer refers to what was sent, and lives on until the next collection
        pieces.forget()


def _file(path: str) -> str:
    """The address of a file below its run; what leads elsewhere would be resolved on the way, so it is refused here."""
    names_of(path)
    return f"inbox/{quote(path)}"
