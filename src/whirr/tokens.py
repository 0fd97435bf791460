"""Tokens of a server: made once, told once, kept only as hashes.

A token is ``whirr_<id>_<secret>``. The secret has 256 random bits, so that one round of SHA-256 protects it as well as
many would; it is compared in constant time, and one that is unknown is compared with nothing in the same way.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable

from whirr import clock
from whirr.errors import NotFound, UsageError
from whirr.model import Role, Token
from whirr.store.database import Database, Row, Transaction

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]{0,63}")
TEXT = re.compile(r"whirr_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
SERVER_ID = "server"
NOBODY = "0" * 64


class LocalTokens:
    """Implements ``hub.Tokens`` over the queue's database; its docstrings say what each method does.

    Args:
        stamp: the UTC stamp of this moment.
    """

    def __init__(self, database: Database, stamp: Callable[[], str]) -> None:
        self._database = database
        self._stamp = stamp

    def create(self, name: str, role: Role, lasts_s: float | None = None) -> str:
        if not NAME.fullmatch(name):
            raise UsageError(f"{name[:80]!r} is no name", hint="use letters, digits and . _ - + @, at most 64")
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)

        def work(tx: Transaction) -> None:
            tx.run("forget_token", name=name)
            if tx.one("token_of_name", name=name) is not None:
                raise UsageError(f"there is a token {name} already", hint="revoke it first, or give another name")
            now = self._stamp()
            until = None if lasts_s is None else clock.stamp(clock.at(clock.epoch(now) + lasts_s))
            columns = {"id": token_id, "name": name, "role": str(role), "hash": _hash(secret)}
            tx.run("insert_token", **columns, created_at=now, expires_at=until)

        self._database.retry(work, durable=True)
        return f"whirr_{token_id}_{secret}"

    def all(self) -> list[Token]:
        with self._database.snapshot() as tx:
            return [_token_of(row) for row in tx.all("tokens")]

    def revoke(self, name: str) -> None:
        with self._database.transaction(durable=True) as tx:
            if not tx.run("revoke_token", name=name, now_at=self._stamp()):
                raise NotFound(f"there is no token {name[:80]} that could be revoked", hint="whirr token list")

    def check(self, text: str) -> Token | None:
        """The token that a text proves to hold; None where it proves none, or one that is no longer good."""
        match = TEXT.fullmatch(text)
        token_id, secret = (match[1], match[2]) if match else ("", "")
        with self._database.snapshot() as tx:
            row = tx.one("token", id=token_id)
        same = hmac.compare_digest(row["hash"] if row else NOBODY, _hash(secret))
        return self._good(row) if row is not None and same else None

    def holder(self, token_id: str) -> Token | None:
        """The token of an id, for who has proved to hold it before; None where it is no longer good."""
        with self._database.snapshot() as tx:
            row = tx.one("token", id=token_id)
        return self._good(row) if row is not None else None

    def good(self) -> set[str]:
        """The ids of all tokens that are good."""
        with self._database.snapshot() as tx:
            return {row["id"] for row in tx.all("good_tokens", now_at=self._stamp())}

    def _good(self, row: Row) -> Token | None:
        if row["revoked_at"] is not None:
            return None
        token = _token_of(row)
        return None if token.expires_at is not None and token.expires_at <= self._stamp() else token

    def server_id(self) -> str:
        """What tells this database's server from all others; made when it is first asked for."""
        with self._database.transaction(durable=True) as tx:
            tx.run("keep_fact", name=SERVER_ID, value=secrets.token_hex(8))
            row = tx.one("fact", name=SERVER_ID)
        return str(row["value"]) if row else ""


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _token_of(row: Row) -> Token:
    role = Role(row["role"])
    return Token(row["id"], row["name"], role, row["created_at"], row["expires_at"], row["revoked_at"])
