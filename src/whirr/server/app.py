"""The application: routes over a hub, each behind a role, and every error as JSON."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import whirr
from whirr import errors, wire
from whirr.local import LocalHub
from whirr.model import Token
from whirr.server.access import Gate, caller_of
from whirr.server.bells import Bells
from whirr.server.events import Events
from whirr.server.guard import Guard
from whirr.server.lanes import Lanes
from whirr.server.observe import LOG, Meters, Observer, keep_audit
from whirr.server.sessions import MARK, Sessions, read_key
from whirr.server.submissions import Submissions

STATUS_OF: dict[type[errors.WhirrError], int] = {
    errors.UsageError: 400,
    errors.BadAnswer: 400,
    errors.Unauthenticated: 401,
    errors.AccessDenied: 403,
    errors.NotFound: 404,
    errors.Ambiguous: 409,
    errors.WrongOffset: 409,
    errors.IllegalTransition: 409,
    errors.EditConflict: 409,
    errors.LeaseLost: 412,
    errors.TooLarge: 413,
    errors.TooMany: 429,
    errors.StoreError: 503,
    errors.FolderError: 507,
}
"""What an error is in HTTP; of the classes an error belongs to the first that stands here counts."""

Missing: TypeAlias = Callable[[Request], Awaitable[Response]]

CODES = {400: "usage", 404: "not-found", 405: "usage", 413: "too-large", 422: "usage"}
NOTHING = "there is nothing at this path; is the prefix of the server right?"
QUIET = frozenset(
    ("/health", "/ready", "/metrics", f"{wire.API}/workers/{{worker_id}}/renew", "/static/{version}/{path:path}")
)
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "hint": {"type": ["string", "null"]},
                "actual": {"type": "integer", "description": "Of wrong-offset: how many bytes are there"},
                "at": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "description": "Of usage, where an expression is meant: from and to which character",
                },
            },
        }
    },
}


def create_app(
    hub: LocalHub,
    routers: Sequence[APIRouter],
    *,
    hosts: frozenset[str] = frozenset("*"),
    prefix: str = "",
    owner: Token | None = None,
    version: str = "",
    missing: Missing | None = None,
) -> FastAPI:
    """The application over a hub.

    Args:
        hosts: the names by which it may be called (``guard.hosts_of``).
        prefix: the path under which it lies.
        owner: who signs in by a link, as in ``Sessions``.
        version: of the pages; those that are open load themselves anew when it is another.
        missing: answers a browser that asks for a page that there is not.
    """
    bells, events, meters, submissions = Bells(hub), Events(hub, version), Meters(), Submissions(hub)
    sessions = Sessions(read_key(hub.queue), hub.tokens.server_id(), hub.tokens.holder, owner=owner)

    def known(text: str) -> Token | None:
        return sessions.check(text) if text.startswith(MARK) else hub.tokens.check(text)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        bells.start()
        try:
            yield
        finally:
            await events.stop()
            await bells.stop()
            submissions.close()

    app = FastAPI(
        title="whirr", version=whirr.__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.hub, app.state.bells, app.state.events, app.state.meters = hub, bells, events, meters
    app.state.submissions, app.state.looking, app.state.lanes = submissions, None, Lanes()
    app.state.gate, app.state.sessions, app.state.prefix = Gate(known), sessions, prefix
    app.state.missing = missing
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(errors.WhirrError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(Guard, hosts=hosts, prefix=prefix)
    app.add_middleware(Observer, meters=meters, broken=_broken, quiet=QUIET)
    app.openapi = lambda: _openapi(app, prefix)  # type: ignore[method-assign]
    return app


def answer(value: Any, status: int = 200) -> Response:
    """Records or plain values as the JSON of an answer."""
    return Response(wire.dumps(value), status, media_type="application/json")


async def _told(_: Request, error: Exception) -> Response:
    told = cast(errors.WhirrError, error)
    status = next((STATUS_OF[kind] for kind in type(told).__mro__ if kind in STATUS_OF), 500)
    found = answer(wire.error_as_dict(told), status)
    if status == 401:
        found.headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        found.headers["Retry-After"] = "1"
    return found


async def _invalid(_: Request, error: Exception) -> Response:
    first = cast(RequestValidationError, error).errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ()))
    return _plain(422, f"{where}: {first.get('msg', 'it cannot be understood')}")


async def _http(request: Request, error: Exception) -> Response:
    told = cast(HTTPException, error)
    if isinstance(told.__cause__, errors.WhirrError):  # raised while FastAPI read the body
        return await _told(request, told.__cause__)
    nothing = told.status_code == 404  # of the routing itself: routes raise NotFound
    if nothing and "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(wire.API):
        missing: Missing | None = request.app.state.missing
        if missing is not None:
            return await missing(request)
    found = _plain(told.status_code, NOTHING if nothing else str(told.detail))
    found.headers.update(told.headers or {})
    return found


async def _gone(_: Request, error: Exception) -> Response:
    return _plain(400, "the client went away before its request was whole")  # for the log: nobody gets it


def _broken(request_id: str) -> bytes:
    about = {"code": "error", "message": "the server broke on this request", "hint": f"see {request_id} in its log"}
    return wire.dumps({"error": about})


def _plain(status: int, message: str) -> Response:
    error = {"code": CODES.get(status, "error"), "message": message[:1000], "hint": None}
    return answer({"error": error}, status)


def hub_of(request: Request) -> LocalHub:
    """The hub that a request is about."""
    return cast(LocalHub, request.app.state.hub)


def bells_of(request: Request) -> Bells:
    """The bells of the workers."""
    return cast(Bells, request.app.state.bells)


def audit(request: Request, action: str, **about: Any) -> None:
    """Keep who did what. Where the file cannot be written, the log still says it."""
    client = request.client.host if request.client else None
    caller = caller_of(request)
    try:
        keep_audit(hub_of(request).root, {"action": action, "caller": caller.name, "client": client, **about})
    except OSError as error:
        LOG.error("the audit file cannot be written: %s", error.strerror)


def _openapi(app: FastAPI, prefix: str) -> dict[str, Any]:
    """What FastAPI makes of the routes, with the errors and the tokens as they are here."""
    if app.openapi_schema:
        return app.openapi_schema
    made = get_openapi(title=app.title, version=app.version, routes=app.routes)
    parts = made.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Error"] = ERROR
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    failure = {
        "description": "What went wrong, and what to do",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for path, operations in made["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"] |= {"4XX": failure, "5XX": failure}
            if path not in ("/health", "/ready"):
                operation["security"] = [{"token": []}]
    if prefix:
        made["servers"] = [{"url": prefix}]
    app.openapi_schema = made
    return made
