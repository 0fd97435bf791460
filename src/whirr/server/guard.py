"""What a request must be before it is looked at: for this host, from no foreign page, of bounded size."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whirr import wire
from whirr.errors import AccessDenied, NotFound, TooLarge, UsageError, WhirrError

BODY_LIMIT, LARGE_LIMIT = 1 << 20, 40 << 20
LARGE = re.compile(f"{wire.API}/(jobs$|runs/|contents/)")
"""Where files come with a request; how long they may be their routes say too."""

UNBOUNDED = ("PUT", f"{wire.API}/code/")
"""Method and path of packs, which their route counts and writes to disk as they come."""

_DOTS = frozenset((".", ".."))
HEADERS, HEADER_BYTES = 100, 64 << 10
PIECE_WITHIN_S = 60.0
"""The next piece of a body has to come within this."""


def hosts_of(bound: str, more: Iterable[str] = ()) -> frozenset[str]:
    """The names by which this machine may be called, in lower case, without ports.

    Args:
        bound: the address the server listens at.
        more: further names, such as a proxy's; ``*`` allows any.
    """
    name = os.uname().nodename
    found = {"localhost", "127.0.0.1", "::1", bound, name, socket.getfqdn(), *more}
    for host in (name, bound):
        try:
            found.update(str(info[4][0]) for info in socket.getaddrinfo(host, None))
        except OSError:
            continue
    return frozenset(host.lower() for host in found if host not in ("0.0.0.0", "::", ""))


class Guard:
    """ASGI middleware; see the module.

    Host and Origin are checked whatever the method, so that no page that a browser shows can reach this server by a
    name that its owner lets point here ("DNS rebinding").

    Args:
        hosts: from ``hosts_of``.
        prefix: the path under which the server lies, such as ``/whirr``; a proxy may have taken it off already.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], prefix: str = "") -> None:
        self._app = app
        self._hosts = hosts
        self._prefix = prefix.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if self._prefix and (path == self._prefix or path.startswith(self._prefix + "/")):
            scope["path"] = path = path[len(self._prefix) :] or "/"
            scope["raw_path"] = _without(self._prefix, scope["raw_path"])
        try:
            self._check(scope, path)
            limit = _limit(scope, path)
        except WhirrError as error:
            await refuse(error, send)
            return
        await self._app(scope, _bounded(receive, limit), send)

    def _check(self, scope: Scope, path: str) -> None:
        """Raises WhirrError where the request is refused."""
        size = len(path) + len(scope["query_string"]) + sum(len(name) + len(value) for name, value in scope["headers"])
        if len(scope["headers"]) > HEADERS or size > HEADER_BYTES:
            raise TooLarge("the request has too many headers", hint=f"at most {HEADERS} of {HEADER_BYTES} bytes")
        if "\0" in path or "\\" in path or not _DOTS.isdisjoint(path.split("/")):
            raise NotFound("there is nothing at this path")
        hosts, origins = (_values(scope, name) for name in (b"host", b"origin"))
        if len(hosts) != 1 or not self._ours(hosts[0]):
            raise AccessDenied(
                f"this server is not called {', '.join(hosts)[:100]!r}",
                hint="start it with --allowed-host NAME if it is",
            )
        for origin in origins:
            if not self._ours(origin.partition("://")[2]):
                raise AccessDenied(f"a page of {origin[:100]!r} may not ask this server")

    def _ours(self, host: str) -> bool:
        if "*" in self._hosts:
            return True
        try:
            return (urlsplit(f"//{host}").hostname or "") in self._hosts
        except ValueError:
            return False


def _without(prefix: str, raw: bytes) -> bytes:
    """A path as it was sent, without its prefix: bytes that are no UTF-8 stay as they are."""
    begins = next((each for each in (prefix.encode(), quote(prefix).encode()) if raw.startswith(each)), b"")
    return raw[len(begins) :] or b"/"


class BehindProxy:
    """ASGI middleware: who asks is whom the proxy names.

    That is the last entry of ``X-Forwarded-For``, which the proxy itself has added; those before it may be anybody's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            named = [entry.strip() for value in _values(scope, b"x-forwarded-for") for entry in value.split(",")]
            if named and named[-1]:
                scope["client"] = (named[-1][:64], 0)
            for scheme in _values(scope, b"x-forwarded-proto"):
                scope["scheme"] = "https" if scheme.strip().lower() == "https" else "http"
        await self._app(scope, receive, send)


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _limit(scope: Scope, path: str) -> int | None:
    """The most bytes of the body; None where the route counts.

    Raises:
        TooLarge: the request says that it has more.
    """
    if scope["method"] == UNBOUNDED[0] and path.startswith(UNBOUNDED[1]):
        return None
    limit = LARGE_LIMIT if LARGE.match(path) else BODY_LIMIT
    for length in _values(scope, b"content-length"):
        if length.isdecimal() and int(length) > limit:
            raise TooLarge(f"the request is too large: {length} bytes", hint=f"at most {limit} bytes")
    return limit


def _bounded(receive: Receive, limit: int | None) -> Receive:
    """Counts what is received, since a request need not say how long it is, and waits for no piece for ever."""
    got, whole = 0, False

    async def counted() -> Message:
        nonlocal got, whole
        if whole:  # what comes now is the end of the connection
            return await receive()
        try:
            async with asyncio.timeout(PIECE_WITHIN_S):
                message = await receive()
        except TimeoutError:
            raise UsageError(f"the rest of the request did not come within {PIECE_WITHIN_S:g} s") from None
        got += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if limit is not None and got > limit:
            raise TooLarge("the request is too large", hint=f"at most {limit} bytes")
        return message

    return counted


STATUS = {AccessDenied: 403, NotFound: 404, TooLarge: 413}


async def refuse(error: WhirrError, send: Send) -> None:
    """Answer an error before the application has seen the request."""
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": STATUS[type(error)], "headers": headers})
    await send({"type": "http.response.body", "body": wire.dumps(wire.error_as_dict(error))})
