"""Runs and their files, for reading."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

import orjson
from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from whirr import wire
from whirr.annotations import Edit
from whirr.catalog import FileEntry, Labels, RunDetail, RunPage, RunQuery
from whirr.encode import INDEX, TIMESTAMP
from whirr.folder import decode
from whirr.progress import Progress
from whirr.server.access import READ, SUBMIT, Guarded, identify
from whirr.server.app import answer, audit, hub_of
from whirr.server.lanes import lengthy
from whirr.server.schemas import schema
from whirr.server.sending import BLOCK, Asked, Part, Stream, blocks, is_unchanged, sent, tag_of
from whirr.wire import API

router = APIRouter(prefix=wire.API, route_class=Guarded, tags=["runs"])

if TYPE_CHECKING:
    EditBody: TypeAlias = BaseModel
else:
    EditBody = schema(Edit)

MOST = 1000
LONGEST_WAIT_S = 30.0
RunId = Annotated[str, Path(pattern=r"^[^/\x00]{1,255}$")]
Tags = Annotated[str | None, Header(max_length=2000)]
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The part of the file that was asked for"},
    304: {"description": "It is the same as before"},
    412: {"description": "It is no longer the file that If-Match names"},
    416: {"description": "The file has no such part (yet)"},
}


class Found(NamedTuple):
    """The id of the run that was meant."""

    run_id: str


class Files(NamedTuple):
    """The files of a run, by path."""

    files: tuple[FileEntry, ...]


class Changes(NamedTuple):
    """Which code had changed since a job's submission."""

    code_changes: dict[str, Any] | None


@router.get("/runs", dependencies=[READ], responses={200: {"model": schema(RunPage)}})
@lengthy
def runs(
    request: Request,
    status: Annotated[list[str] | None, Query()] = None,
    tag: Annotated[list[str] | None, Query()] = None,
    name: str | None = None,
    where: Annotated[list[str] | None, Query()] = None,
    sort: str | None = None,
    reverse: bool = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    cursor: str | None = None,
    glance: bool = False,
    filter: str | None = None,
) -> Response:
    """Runs, newest first unless `sort` says otherwise. `cursor` gives the page after the one that answered it."""
    query = RunQuery(
        tuple(status or ()), tuple(tag or ()), name, tuple(where or ()), sort, reverse, limit, cursor, glance, filter
    )
    return answer(hub_of(request).runs.page(query))


@router.get("/find", dependencies=[READ], responses={200: {"model": schema(Found)}})
@lengthy
def find(request: Request, reference: Annotated[str, Query(max_length=1000)]) -> Response:
    """The run meant by an id, the start or last part of one, an exact name, or `-` (the newest)."""
    return answer(Found(hub_of(request).runs.find(reference)))


@router.get("/runs/{run_id}", dependencies=[READ], responses={200: {"model": schema(RunDetail)}})
@lengthy
def detail(request: Request, run_id: RunId, curves: bool = False) -> Response:
    """All about one run."""
    return answer(hub_of(request).runs.detail(run_id, curves=curves))


@router.get("/runs/{run_id}/progress", dependencies=[READ], responses={200: {"model": schema(Progress)}})
def progress(request: Request, run_id: RunId) -> Response:
    """How far a run has come."""
    return answer(hub_of(request).runs.progress(run_id))


@router.get("/runs/{run_id}/code-changes", dependencies=[READ], responses={200: {"model": schema(Changes)}})
def code_changes(request: Request, run_id: RunId) -> Response:
    """Which files had changed since the submission when the job started."""
    return answer(Changes(hub_of(request).runs.code_changes(run_id)))


@router.get("/runs/{run_id}/files", dependencies=[READ], responses={200: {"model": schema(Files)}})
@lengthy
def files(request: Request, run_id: RunId) -> Response:
    """All files of a run, by path."""
    return answer(Files(tuple(hub_of(request).runs.files(run_id))))


@router.post("/runs/{run_id}/annotations", dependencies=[SUBMIT], responses={200: {"model": schema(Labels)}})
def annotate(request: Request, run_id: RunId, body: EditBody) -> Response:
    """Change the notes on a run, or its tags."""
    edit = wire.record(Edit, body.model_dump())
    labels = hub_of(request).runs.annotate(run_id, **edit._asdict())
    audit(request, "annotate", run_id=run_id, tags=list(labels.tags), notes_changed=edit.notes is not None)
    return answer(labels)


@router.get(
    "/runs/{run_id}/metrics",
    dependencies=[READ],
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
        304: {"description": "They are the same as before"},
    },
)
def metrics(request: Request, run_id: RunId, if_none_match: Tags = None) -> Response:
    """The metric records of a run, one JSON object a line, those of all its processes by time."""
    files = hub_of(request).runs.open_metrics(run_id)
    states = [os.fstat(file.fileno()) for file in files]
    tag = tag_of(*states)
    if unchanged := is_unchanged(tag, if_none_match):
        for file in files:
            file.close()
        return unchanged
    parts = [blocks(file, Part(0, state.st_size)) for file, state in zip(files, states, strict=True)]
    lines = _whole_lines(parts[0]) if len(parts) == 1 else _joined(_merged(list(map(_lines, parts))))
    return Stream(files, lines, headers={"ETag": tag}, media_type="application/x-ndjson")


def _whole_lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same, but for a torn record at the end; one that lacks only its newline gets it."""
    rest = b""
    for part in parts:
        whole, newline, rest = (rest + part).rpartition(b"\n")
        if newline:
            yield whole + newline
    if decode(rest)[0]:
        yield rest + b"\n"


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    for whole in _whole_lines(parts):
        yield from whole[:-1].split(b"\n")


def _merged(writers: Sequence[Iterator[bytes]]) -> Iterator[bytes]:
    """The lines of several writers by time, numbered anew; as ``folder.merge`` puts records in order."""
    number = 0
    for _, record, line in heapq.merge(*map(_stamped, writers), key=lambda found: found[0]):
        if record is not None:
            record[INDEX] = number
            number += 1
        yield line if record is None else orjson.dumps(record)


def _stamped(lines: Iterator[bytes]) -> Iterator[tuple[str, dict[str, Any] | None, bytes]]:
    """Each line with the time up to it, and the record that it is; None where it is damaged."""
    latest = ""
    for line in lines:
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            found = None
        record = found if isinstance(found, dict) else None
        if record is not None:
            latest = max(latest, str(record.get(TIMESTAMP, "")).removesuffix("Z"))
        yield latest, record, line


def _joined(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines in blocks."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= BLOCK:
            yield b"\n".join(held) + b"\n"
            held, size = [], 0
    if held:
        yield b"\n".join(held) + b"\n"


@router.api_route(
    "/runs/{run_id}/files/{path:path}",
    methods=["GET", "HEAD"],
    dependencies=[READ],
    responses=BYTES,
    response_class=StreamingResponse,
)
async def content(
    request: Request,
    run_id: RunId,
    path: str,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S)] = 0.0,
    range: Annotated[str | None, Header(max_length=100)] = None,
    if_range: Tags = None,
    if_match: Tags = None,
    if_none_match: Tags = None,
) -> Response:
    """A file of a run, or the part of it that Range names. With `wait` a part that begins at the end is waited for."""
    name = _exactly(request, path)
    file: BinaryIO = await run_in_threadpool(hub_of(request).runs.open, run_id, name)
    asked = Asked(range, if_range, if_match, if_none_match, wait, request.method == "HEAD")
    return await sent(file, name, asked, lambda: identify(request))


def _exactly(request: Request, path: str) -> str:
    """The path that was asked for, also where it is no UTF-8 as names of files may be."""
    raw: bytes = request.scope.get("raw_path") or b""
    tail = raw.partition(f"{API}/runs/".encode())[2].partition(b"/files/")[2]
    return os.fsdecode(unquote_to_bytes(tail)) if "\ufffd" in path and tail else path
