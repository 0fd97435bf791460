"""Who may do what: the check of tokens and sessions that every route stands behind, but health and files of pages."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from whirr.errors import AccessDenied, TooMany, Unauthenticated
from whirr.model import Role, Token

T = TypeVar("T")

REMEMBERED_S = 1.0
"""A token that was good so short a time ago is not looked up again: a revocation is felt after that."""

MOST_REMEMBERED = 1000
FAILURES, WITHIN_S = 20, 60.0
"""So many different wrong tokens from one address are looked at in this time; then none is that was not good before,
so that one that guesses, or a worker whose token was revoked, does not shut out the others behind the same address."""

STRANGERS = 8
"""So many tokens that were not good before are looked up at a time; the others wait, and may then be too many."""

REQUESTS_PER_S, BURST = 2000.0, 4000.0
SAFE = ("GET", "HEAD", "OPTIONS")
PAGE_HEADER, PAGE = "X-Whirr", "page"


class Gate:
    """Knows callers by their tokens, and keeps guessing and flooding within bounds.

    Args:
        check: gives the token that a text proves, or None.
        monotonic: seconds on a clock that only goes forward.
    """

    def __init__(self, check: Callable[[str], Token | None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._check = check
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[float, Token]] = OrderedDict()
        self._failures: OrderedDict[str, dict[int, float]] = OrderedDict()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._strangers = asyncio.Semaphore(STRANGERS)

    async def caller(self, text: str, address: str) -> Token:
        """Who holds this token.

        Raises:
            Unauthenticated: it is none, or no longer good.
            TooMany: too many wrong ones came from this address, or too many requests with this one.
        """
        now = self._monotonic()
        known = self._known.get(text)
        if known is None or known[0] < now - REMEMBERED_S:
            known = (now, await self._looked_up(text, address))
            _put(self._known, text, known)
        self._count(known[1])
        return known[1]

    async def _looked_up(self, text: str, address: str) -> Token:
        if not text:
            raise _unknown("the server wants a token")
        if text in self._known:
            return await self._proved(text, address)
        async with self._strangers:
            if len(self._failed(address)) >= FAILURES:
                raise TooMany("too many wrong tokens came from this address", hint="wait a minute")
            return await self._proved(text, address)

    async def _proved(self, text: str, address: str) -> Token:
        token = await run_in_threadpool(self._check, text)
        if token is None:
            _put(self._failures, address, {**self._failed(address), hash(text): self._monotonic()})
            self._known.pop(text, None)
            raise _unknown("the server does not know this token")
        return token

    def _failed(self, address: str) -> dict[int, float]:
        """What was wrong lately from there."""
        late = self._monotonic() - WITHIN_S
        return {wrong: at for wrong, at in self._failures.get(address, {}).items() if at > late}

    def _count(self, token: Token) -> None:
        now = self._monotonic()  # of this moment: a look-up takes its time, and others are counted meanwhile
        left, at = self._left.get(token.id, (BURST, now))
        left = min(left + (now - at) * REQUESTS_PER_S, BURST) - 1
        _put(self._left, token.id, (max(left, 0.0), now))
        if left < 0:
            raise TooMany(f"too many requests with the token {token.name}", hint="slow down")


def _unknown(message: str) -> Unauthenticated:
    return Unauthenticated(
        message, hint="whirr login URL keeps one; on the server: whirr token create NAME --role ROLE"
    )


def _put(kept: OrderedDict[str, T], key: str, value: T) -> None:
    """Keep a value as the newest; the oldest goes when there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MOST_REMEMBERED:
        kept.popitem(last=False)


def caller_of(request: Request) -> Token:
    """Who sent a request that has passed one of the checks below."""
    caller: Token = request.state.caller
    return caller


async def identify(request: Request) -> Token:
    """Who sends a request: by its token, or by the session of a browser.

    Raises:
        Unauthenticated: nobody that is known.
        AccessDenied: it wants to change something, and was not sent by a page of this server.
        TooMany: as ``Gate.caller``.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    token = text.strip() if scheme.lower() == "bearer" else ""
    session = "" if token else request.cookies.get(request.app.state.sessions.cookie, "")
    caller: Token = await request.app.state.gate.caller(token or session, address_of(request))
    request.state.caller = caller
    # A browser sends cookies for any page that makes it ask; no page of another server can send this header.
    if session and request.method not in SAFE and request.headers.get(PAGE_HEADER) != PAGE:
        raise AccessDenied(f"a session changes something only with the header {PAGE_HEADER}: {PAGE}")
    return caller


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


class Needs:
    """Lets callers of these roles pass.

    Args:
        hint: what others are told (default: these roles).
    """

    def __init__(self, *roles: Role, hint: str = "") -> None:
        self.roles = frozenset(roles)
        self._hint = hint or f"this takes one of role {' or '.join(sorted(roles))}"

    async def __call__(self, request: Request) -> None:
        """Raises Unauthenticated, AccessDenied or TooMany."""
        if getattr(request.state, "passed", None) is self:
            return
        caller = await identify(request)
        if caller.role not in self.roles:
            raise AccessDenied(f"the token {caller.name} has the role {caller.role}", hint=self._hint)
        request.state.passed = self


class Guarded(APIRoute):
    """A route that knows who asks before it reads what they send: FastAPI reads the body before its dependencies."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See ``APIRoute``."""
        handle = super().get_route_handler()
        needs = [each.dependency for each in self.dependencies if isinstance(each.dependency, Needs)]

        async def guarded(request: Request) -> Response:
            for need in needs:
                await need(request)
            return await handle(request)

        return guarded


READ = Depends(Needs(*Role))
SUBMIT = Depends(Needs(Role.SUBMIT, Role.ADMIN))
WORK = Depends(Needs(Role.WORKER, Role.ADMIN))
SEND = Depends(
    Needs(
        Role.SUBMIT,
        Role.WORKER,
        Role.ADMIN,
        hint="this takes one of role submit or admin, and for the files of a job one of role worker or admin",
    )
)
"""For routes that take files: of a worker's attempt, or of a run that somebody made without the queue."""

ADMIN = Depends(Needs(Role.ADMIN))
