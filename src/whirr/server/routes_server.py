"""The server itself: health, metrics, what it is, its tokens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

import whirr
from whirr import wire
from whirr.errors import StoreError, UsageError
from whirr.fleet import Health, look
from whirr.model import JobStatus, Role, Token
from whirr.server.access import ADMIN, READ, Guarded, caller_of
from whirr.server.app import answer, audit, bells_of, hub_of
from whirr.server.observe import Meters
from whirr.server.schemas import schema

LONGEST_S = 3650 * 86400.0
READY_WITHIN_S = 2.0
outside = APIRouter(tags=["server"])
router = APIRouter(prefix=wire.API, route_class=Guarded, tags=["server"])


class State(NamedTuple):
    """Whether all is well."""

    status: str


class NewToken(NamedTuple):
    """A token to make."""

    name: str
    role: Role
    lasts_s: float | None = None


class Made(NamedTuple):
    """A new token, which is told only now."""

    token: str


class TokenList(NamedTuple):
    """All tokens, oldest first."""

    tokens: tuple[Token, ...]


if TYPE_CHECKING:
    NewTokenBody: TypeAlias = BaseModel
else:
    NewTokenBody = schema(NewToken)


@outside.get("/health", responses={200: {"model": schema(State)}})
async def health() -> Response:
    """Whether the server is alive."""
    return answer(State("ok"))


@outside.get("/ready", responses={200: {"model": schema(State)}})
async def ready(request: Request) -> Response:
    """Whether it can reach its database."""
    state = request.app.state
    if state.looking is None or state.looking.done():  # one look for all who ask: nobody else waits for a thread
        state.looking = asyncio.create_task(asyncio.to_thread(hub_of(request).clock))
        state.looking.add_done_callback(asyncio.Task.exception)  # perhaps nobody waits for it any more
    try:
        await asyncio.wait_for(asyncio.shield(state.looking), READY_WITHIN_S)
    except TimeoutError:
        raise StoreError("the database gives no answer", hint="is it up, and can this machine reach it?") from None
    return answer(State("ok"))


@outside.get("/metrics", dependencies=[READ], response_class=PlainTextResponse)
def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    hub, meters = hub_of(request), request.app.state.meters
    _read(meters, hub.counts(), [str(seen.health) for seen in look(hub).workers], bells_of(request).count)
    meters.pages.set(request.app.state.events.count)
    return Response(meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _read(meters: Meters, counts: dict[JobStatus, int], healths: list[str], bells: int) -> None:
    for status in JobStatus:
        meters.jobs.labels(str(status)).set(counts.get(status, 0))
    for health in Health:
        meters.workers.labels(str(health)).set(healths.count(health))
    meters.bells.set(bells)


@router.get("/server", dependencies=[READ], responses={200: {"model": schema(wire.ServerInfo)}})
def server(request: Request) -> Response:
    """What this server is."""
    hub = hub_of(request)
    role = str(caller_of(request).role)
    about = (str(hub.root), hub.database.kind, hub.outage_s, hub.now(), role)
    return answer(wire.ServerInfo(hub.tokens.server_id(), whirr.__version__, *about))


@router.get("/openapi.json", dependencies=[READ], responses={200: {"content": {"application/json": {}}}})
def openapi(request: Request) -> Response:
    """This API as an OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return answer(document)


@router.get("/tokens", dependencies=[ADMIN], responses={200: {"model": schema(TokenList)}})
def tokens(request: Request) -> Response:
    """The tokens, without what proves them."""
    return answer(TokenList(tuple(hub_of(request).tokens.all())))


@router.post("/tokens", dependencies=[ADMIN], responses={200: {"model": schema(Made)}})
def create_token(request: Request, body: NewTokenBody) -> Response:
    """Make a token."""
    asked = wire.record(NewToken, body.model_dump())
    if asked.lasts_s is not None and not 0 < asked.lasts_s <= LONGEST_S:
        raise UsageError(f"a token cannot last {asked.lasts_s} s", hint="at most ten years")
    made = hub_of(request).tokens.create(asked.name, asked.role, asked.lasts_s)
    audit(request, "create-token", token=asked.name, role=str(asked.role))
    return answer(Made(made))


@router.delete("/tokens/{name}", dependencies=[ADMIN], responses={200: {"model": schema(State)}})
def revoke_token(request: Request, name: str) -> Response:
    """Let a token be good no more."""
    hub_of(request).tokens.revoke(name)
    audit(request, "revoke-token", token=name)
    return answer(State("revoked"))
