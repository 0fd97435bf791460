"""Templates, what every page shows, the headers of pages, and what is shown where a page cannot be."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined

from whirr.dashboard.static_files import files
from whirr.errors import NotFound, Unauthenticated, WhirrError
from whirr.model import Token
from whirr.server.access import identify
from whirr.server.app import STATUS_OF, hub_of
from whirr.server.sessions import LASTS_S, Sessions

TABS = (
    ("runs", "/", "Runs"),
    ("compare", "/compare", "Compare"),
    ("queue", "/queue", "Queue"),
    ("workers", "/workers", "Workers"),
    ("artifacts", "/artifacts", "Artifacts"),
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",  # with none at all, forms would say that they come from nowhere
    "Cache-Control": "no-store",
}
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class SignIn(NamedTuple):
    """What the page shows that asks for a token.

    Attributes:
        next: where to go afterwards: path and query below the root of the pages.
        problem: why it is shown again.
        left: somebody has signed out.
        ended: a page that was open found its session at an end.
    """

    next: str = ""
    problem: str = ""
    left: bool = False
    ended: bool = False


class Assets:
    """The addresses of the files of one page.

    Args:
        base: where they lie, as the page names it.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._named: list[str] = []

    def static(self, path: str) -> str:
        """The address of a file."""
        self._named.append(path)
        return f"{self._base}/{path}"

    def modules(self) -> list[str]:
        """The addresses of what the modules named so far import, so that a browser asks for all of them at once."""
        first = [path for path in self._named if path.endswith(".js")]
        further = dict.fromkeys(path for entry in first for path in files().modules_of(entry))
        return [f"{self._base}/{path}" for path in further if path not in first]


class PageRoute(APIRoute):
    """A route whose errors are pages: who is not known is asked for a token, at the same address."""

    def get_route_handler(self) -> Handler:
        """The handler with that around it."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await handle(request)
            except Unauthenticated:
                path, query = request.scope["path"].lstrip("/"), request.scope["query_string"].decode("latin-1")
                return sign_in(request, SignIn(quote(path) + (f"?{query}" if query else "")), 401)
            except WhirrError as error:
                return _trouble(request, error)

        return shown


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("whirr.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def root_of(request: Request) -> str:
    """The root of the pages as their links name it, without a slash at its end.

    It is relative unless the server was told its path prefix, so that pages work below any path that a proxy takes off.
    """
    known: str = request.app.state.prefix
    return known or "/".join([".."] * (request.scope["path"].count("/") - 1)) or "."


def rendered(request: Request, template: str, *, status: int = 200, page: str = "", **more: Any) -> HTMLResponse:
    """A template as an answer.

    Args:
        page: the name of the page, which stands at ``body`` and picks the tab.
        more: what this template shows beside what every page does.
    """
    about = {**_about(request, page), **more}
    found = HTMLResponse(_templates().get_template(template).render(about), status, HEADERS)
    _renew(request, found)
    return found


def _about(request: Request, page: str) -> dict[str, Any]:
    """What every page shows."""
    caller: Token | None = getattr(request.state, "caller", None)
    prefix, version = root_of(request), files().version
    assets = Assets(f"{prefix}/static/{version}")
    folder = hub_of(request).root.resolve().parent
    return {
        "page": page,
        "prefix": prefix,
        "static": assets.static,
        "modules": assets.modules,
        "tabs": TABS,
        "version": version,
        "caller": caller,
        "role": str(caller.role) if caller else "",
        "own": caller is not None and caller == _sessions(request).owner,
        "folder": str(folder),
        "place": (folder.parent.name, folder.name),
    }


async def missing(request: Request) -> HTMLResponse:
    """The page for an address at which there is none."""
    with suppress(WhirrError):
        await identify(request)  # who is known is shown the way to the other pages
    return _trouble(request, NotFound("There is no page at this address."))


def _trouble(request: Request, error: WhirrError) -> HTMLResponse:
    status = next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), 500)
    return rendered(request, "trouble.html", status=status, error=error, missing=isinstance(error, NotFound))


def sign_in(request: Request, about: SignIn, status: int) -> HTMLResponse:
    """The page that asks for a token."""
    return rendered(request, "login.html", status=status, about=about, by_link=_sessions(request).owner is not None)


def _sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


def keep_session(request: Request, response: Response, token: Token) -> None:
    """Begin a session of who holds a token.

    The cookie names no path: it is good where the page lies that sets it, which is the root of the pages, and a proxy
    may know that by another name.
    """
    sessions = _sessions(request)
    response.set_cookie(
        sessions.cookie,
        sessions.begin(token),
        max_age=LASTS_S,
        path=None,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _renew(request: Request, response: Response) -> None:
    caller: Token | None = getattr(request.state, "caller", None)
    sessions, at_root = _sessions(request), request.scope["path"].count("/") == 1
    if caller is not None and at_root and sessions.is_old(request.cookies.get(sessions.cookie, "")):
        keep_session(request, response, caller)
