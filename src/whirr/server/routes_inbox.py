"""Files that were written on another disk: what grows by offset, the rest by content."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from whirr import wire
from whirr.errors import AccessDenied, TooLarge
from whirr.hub import Target
from whirr.model import Lease, Role
from whirr.server import probe
from whirr.server.access import SEND, WORK, Guarded, caller_of
from whirr.server.app import answer, hub_of
from whirr.server.lanes import lanes_of, lengthy
from whirr.server.schemas import schema

router = APIRouter(prefix=wire.API, route_class=Guarded, tags=["files of other machines"])

PART_LIMIT = 16 << 20
"""Bytes of one request; more is sent in parts."""

PIECE = 1 << 20
"""Bytes that are written while more of the same part is on its way."""

RunId = Annotated[str, Path(pattern=r"^[^/\x00]{1,200}$")]
Offset = Annotated[int, Query(ge=0, le=2**53)]


class Sizes(NamedTuple):
    """The files that are there, and how many bytes of each."""

    sizes: dict[str, int]


class Size(NamedTuple):
    """How many bytes are there now."""

    size: int


class Content(NamedTuple):
    """A file of a run, named by its content."""

    path: str
    sha256: str
    size: int


class Sum(NamedTuple):
    """Size and SHA-256 sum of a file."""

    size: int
    sha256: str


class Sums(NamedTuple):
    """What the files of a run must be, by path."""

    files: dict[str, Sum]


class Differing(NamedTuple):
    """The files that are not what they must be."""

    differing: tuple[str, ...]


class Probe(NamedTuple):
    """A file in the server's folder, and what it holds."""

    name: str
    content: str


if TYPE_CHECKING:
    ContentBody: TypeAlias = BaseModel
    SumsBody: TypeAlias = BaseModel
else:
    ContentBody, SumsBody = schema(Content), schema(Sums)


def target_of(
    request: Request,
    run_id: RunId,
    job: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    attempt: Annotated[int, Query(ge=0, le=2**31)] = 0,
    worker: Annotated[str, Query(max_length=200)] = "",
    late: bool = False,
) -> Target:
    """Whose files are sent. Those of a job come from its worker, those of other runs from whoever may submit."""
    caller = caller_of(request)
    needed = Role.SUBMIT if job is None else Role.WORKER
    if caller.role not in (needed, Role.ADMIN):
        raise AccessDenied(
            f"the token {caller.name} may not send these files", hint=f"it takes one of role {needed} or admin"
        )
    return Target(run_id, None if job is None else Lease(job, attempt, worker), late)


Whose = Annotated[Target, Depends(target_of)]
BYTES = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


async def _pieces(request: Request) -> AsyncIterator[bytearray]:
    """The bytes of one part as they come, in pieces worth writing; an empty part is one empty piece."""
    data, count, none_yet = bytearray(), 0, True
    async for piece in request.stream():
        data += piece
        count += len(piece)
        if count > PART_LIMIT:
            raise TooLarge("this part is too large", hint=f"send at most {PART_LIMIT} bytes at a time")
        if len(data) >= PIECE:
            yield data
            data, none_yet = bytearray(), False
    if data or none_yet:
        yield data


async def _kept(request: Request, offset: int, keep: Callable[[int, bytearray], int]) -> int:
    """Keep each piece while the next one comes; where the file ends then."""
    keeping: Future[int] | None = None
    try:
        async for piece in _pieces(request):
            if keeping is not None:
                await keeping
            keeping = asyncio.ensure_future(lanes_of(request).run("append", keep, offset, piece))
            offset += len(piece)  # not where the file ends: of a part that is sent again that is behind the next piece
    finally:  # the client may have gone away: what came is kept
        ends_at = offset if keeping is None else await keeping
    return ends_at


@router.post("/runs/{run_id}/inbox", dependencies=[SEND], responses={200: {"model": schema(Sizes)}})
@lengthy
def begin(request: Request, target: Whose) -> Response:
    """Make the run's folder if it is missing; what is in it."""
    return answer(Sizes(hub_of(request).inbox.begin(target)))


@router.patch(
    "/runs/{run_id}/inbox/{path:path}",
    dependencies=[SEND],
    responses={200: {"model": schema(Size)}},
    openapi_extra=BYTES,
)
async def append(request: Request, target: Whose, path: str, offset: Offset) -> Response:
    """Append to a file that ends at this offset; 409 tells where it ends, if elsewhere."""
    return answer(Size(await _kept(request, offset, partial(hub_of(request).inbox.append, target, path))))


@router.put(
    "/runs/{run_id}/inbox/{path:path}",
    dependencies=[SEND],
    responses={200: {"model": schema(Size)}},
    openapi_extra=BYTES,
)
async def replace(request: Request, target: Whose, path: str) -> Response:
    """Replace a small file as a whole."""
    data = b"".join([piece async for piece in _pieces(request)])
    await lanes_of(request).run("replace", hub_of(request).inbox.replace, target, path, data)
    return answer(Size(len(data)))


@router.post("/runs/{run_id}/contents", dependencies=[SEND], responses={200: {"model": schema(Size)}})
@lengthy
def offer(request: Request, target: Whose, body: ContentBody) -> Response:
    """Name a file by its content; how many bytes of that are there. All: the file is in place."""
    asked = wire.record(Content, body.model_dump())
    return answer(Size(hub_of(request).inbox.offer(target, asked.path, asked.sha256, asked.size)))


@router.patch("/contents/{sha256}", dependencies=[SEND], responses={200: {"model": schema(Size)}}, openapi_extra=BYTES)
async def send(request: Request, sha256: str, offset: Offset) -> Response:
    """Bytes of an offered content."""
    return answer(Size(await _kept(request, offset, partial(hub_of(request).inbox.send, sha256))))


@router.post("/runs/{run_id}/seal", dependencies=[SEND], responses={200: {"model": schema(Differing)}})
@lengthy
def seal(request: Request, target: Whose, body: SumsBody) -> Response:
    """Write to disk and compare."""
    files = wire.record(Sums, body.model_dump()).files
    sums = {path: (one.size, one.sha256) for path, one in files.items()}
    return answer(Differing(tuple(hub_of(request).inbox.seal(target, sums))))


@router.post("/probe", dependencies=[WORK], responses={200: {"model": schema(Probe)}})
def begin_probe(request: Request) -> Response:
    """Put a file into the server's folder for a moment: who finds it shares that disk."""
    return answer(Probe(*probe.make(hub_of(request).root)))


@router.delete("/probe/{name}", dependencies=[WORK], responses={200: {"model": schema(Size)}})
def end_probe(request: Request, name: str) -> Response:
    """Take that file away."""
    return answer(Size(probe.remove(hub_of(request).root, name)))
