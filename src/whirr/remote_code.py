"""``RemoteCode``: the submitted trees of a server, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from whirr.errors import Unreachable
from whirr.transport import TRIES, Transport, pause

BLOCK = 2**18
LIMIT_S = 600.0


class RemoteCode:
    """Implements ``hub.Code``; its docstrings say what each method does."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def known(self, trees: Sequence[str]) -> list[str]:
        found: list[str] = self._transport.call("POST", "/code/known", json={"trees": list(trees)}, safe=True)["trees"]
        return found

    def add(self, tree: str, pack: Path) -> None:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(pack.stat().st_size)}
        for tries in range(1, TRIES):
            try:
                self._transport.call("PUT", f"/code/{tree}", content=_blocks(pack), headers=headers, timeout_s=LIMIT_S)
                return
            except Unreachable:
                if tries == TRIES - 1:
                    raise
                pause(tries)
                if self.known([tree]):  # only the answer was lost
                    return

    def fetch(self, tree: str, known: Sequence[str], pack: Path) -> None:
        path, body = f"/code/{tree}/pack", {"trees": list(known)}
        with (
            self._transport.stream(path, method="POST", json=body, timeout_s=LIMIT_S) as answer,
            pack.open("xb") as file,
        ):
            for block in answer.iter_bytes(BLOCK):
                file.write(block)


def _blocks(pack: Path) -> Iterator[bytes]:
    with pack.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
