"""Submitted trees: which are there, taking one in, giving one out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NamedTuple, TypeAlias

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from whirr import wire
from whirr.codestore import PACK_LIMIT
from whirr.errors import TooLarge, UsageError
from whirr.server.access import READ, SUBMIT, WORK, Guarded
from whirr.server.app import answer, hub_of
from whirr.server.lanes import lanes_of, lengthy
from whirr.server.schemas import schema

router = APIRouter(prefix=wire.API, route_class=Guarded, tags=["code"])

BLOCK = 2**18
MOST = 2000
TreeName = Annotated[str, Path(pattern="^[0-9a-f]{40}([0-9a-f]{24})?$")]
PACK: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


class Trees(NamedTuple):
    """Names of git trees."""

    trees: tuple[str, ...]


if TYPE_CHECKING:
    TreesBody: TypeAlias = BaseModel
else:
    TreesBody = schema(Trees)


def _trees(body: BaseModel) -> tuple[str, ...]:
    trees = wire.record(Trees, body.model_dump()).trees
    if len(trees) > MOST:
        raise UsageError(f"{len(trees)} trees are too many at once", hint=f"ask for at most {MOST}")
    return trees


@router.post("/code/known", dependencies=[READ], responses={200: {"model": schema(Trees)}})
@lengthy
def known(request: Request, body: TreesBody) -> Response:
    """Which of these trees are there, with all they hold."""
    return answer(Trees(tuple(hub_of(request).code.known(_trees(body)))))


@router.put(
    "/code/{tree}",
    dependencies=[SUBMIT],
    responses={200: {"model": schema(Trees)}},
    openapi_extra={"requestBody": {"content": PACK[200]["content"]}},
)
async def add(request: Request, tree: TreeName) -> Response:
    """Take a tree in, from a pack of what was not known."""
    code = hub_of(request).code
    size = 0
    with code.draft(tree) as folder:
        with (folder / "pack").open("wb") as file:
            async for piece in request.stream():
                size += len(piece)
                if size > PACK_LIMIT:
                    raise TooLarge("this snapshot is too large", hint=f"at most {PACK_LIMIT} bytes are taken")
                await run_in_threadpool(file.write, piece)
        await lanes_of(request).run("add", code.add, tree, folder / "pack")
    return answer(Trees((tree,)))


@router.post("/code/{tree}/pack", dependencies=[WORK], response_class=StreamingResponse, responses=PACK)
@lengthy
def fetch(request: Request, tree: TreeName, body: TreesBody) -> Response:
    """A pack of a tree, without what the trees named hold."""
    code = hub_of(request).code
    with code.draft(tree) as folder:
        code.fetch(tree, _trees(body), folder / "pack")
        file = (folder / "pack").open("rb")  # its content stays while it is open
    headers = {"Content-Length": str(os.fstat(file.fileno()).st_size)}
    return StreamingResponse(_pieces(file), headers=headers, media_type="application/octet-stream")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(BLOCK):
            yield block
