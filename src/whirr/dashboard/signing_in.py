"""Signing in and out: a form for a token, a link that signs in once."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from whirr.dashboard.rendering import SignIn, keep_session, sign_in
from whirr.errors import TooMany, Unauthenticated
from whirr.model import Token
from whirr.server.access import address_of, identify
from whirr.server.app import answer, audit
from whirr.server.sessions import Sessions

USED = "This link was used before, or is too old. Start “whirr dashboard” again, or sign in with a token."
WRONG = "The server does not know this token. It may have been revoked, or have expired."
NONE = "Give a token."
FIELDS = 10
router = APIRouter()


@router.get("/login")
async def form(
    request: Request, code: Annotated[str, Query(max_length=200)] = "", next: str = "", ended: bool = False
) -> Response:
    """The form; with the code of a link, the way in."""
    sessions: Sessions = request.app.state.sessions
    token = sessions.redeem(code) if code else None
    if token is not None:
        return _in(request, token, next)
    try:
        await identify(request)
    except (Unauthenticated, TooMany):
        return sign_in(request, SignIn(next, USED if code else "", ended=ended), 401 if code else 200)
    return _to(next)


@router.post("/login")
async def enter(request: Request) -> Response:
    """Begin a session with the token of the form."""
    fields = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=FIELDS)
    text, then = (fields.get(name, [""])[0].strip() for name in ("token", "next"))
    try:
        token = await request.app.state.gate.caller(text, address_of(request))
    except Unauthenticated:
        return sign_in(request, SignIn(then, WRONG if text else NONE), 401)
    except TooMany as error:
        return sign_in(request, SignIn(then, f"{error}: {error.hint}."), 429)
    return _in(request, token, then)


@router.post("/logout")
async def leave(request: Request) -> Response:
    """End the session of this browser."""
    sessions: Sessions = request.app.state.sessions
    found = sign_in(request, SignIn(left=True), 200)
    found.set_cookie(sessions.cookie, "", max_age=0, path=None, httponly=True, samesite="strict")
    return found


@router.get("/ui/session")
async def session(request: Request) -> Response:
    """Who has signed in here; nobody, where the role is null."""
    try:
        token = await identify(request)
    except Unauthenticated:
        return answer({"name": None, "role": None})
    return answer({"name": token.name, "role": str(token.role)})


def _in(request: Request, token: Token, then: str) -> Response:
    request.state.caller = token
    audit(request, "sign-in", role=str(token.role))
    found = _to(then)
    keep_session(request, found, token)
    return found


def _to(then: str) -> Response:
    """To a place below the root of the pages, whatever was asked for: behind ``./`` nothing leads to another server."""
    return RedirectResponse(f"./{then.lstrip('/')}", 303, {"Cache-Control": "no-store"})
