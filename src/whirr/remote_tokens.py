"""``RemoteTokens``: the tokens of a server, over HTTP."""

from __future__ import annotations

from urllib.parse import quote

from whirr import wire
from whirr.model import Role, Token
from whirr.transport import Transport


class RemoteTokens:
    """Implements ``hub.Tokens``; its docstrings say what each method does."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, role: Role, lasts_s: float | None = None) -> str:
        asked = {"name": name, "role": role, "lasts_s": lasts_s}
        made: str = self._transport.call("POST", "/tokens", json=asked)["token"]
        return made

    def all(self) -> list[Token]:
        return [wire.record(Token, one) for one in self._transport.get("/tokens")["tokens"]]

    def revoke(self, name: str) -> None:
        self._transport.call("DELETE", f"/tokens/{quote(name, safe='')}")
