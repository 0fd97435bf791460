"""What the pages of a run, of a comparison and of the artifacts ask for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeAlias

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from whirr import wire
from whirr.annotations import Edit
from whirr.catalog import Labels, RunDetail
from whirr.codediff import compare as compare_code
from whirr.codediff import state_of
from whirr.dashboard import artifact_list, comparison, log_search, run_facts
from whirr.errors import NotFound, UsageError
from whirr.folder import PATCH, REQUIREMENTS
from whirr.hub import Hub
from whirr.server.access import READ, SUBMIT, Guarded, identify
from whirr.server.app import answer, audit, bells_of, hub_of
from whirr.server.lanes import lengthy
from whirr.server.routes_queue import shown
from whirr.server.routes_runs import LONGEST_WAIT_S
from whirr.server.schemas import schema
from whirr.server.sending import BINARY, LOOK_EVERY_S, LOOKS_A_SECOND, is_same, tag_of

router = APIRouter(prefix="/ui", route_class=Guarded, include_in_schema=False)

RunId = Annotated[str, Path(pattern=r"^[^/\x00]{1,255}$")]
LogPath = Annotated[str, Query(max_length=4000)]
Place = Annotated[int, Query(ge=0, le=2**53)]
RunIds = Annotated[str, Query(max_length=3000)]

MOST_BYTES = 1 << 22
"""Bytes of a part of a log."""

if TYPE_CHECKING:
    EditBody: TypeAlias = BaseModel
else:
    EditBody = schema(Edit)


@router.get("/run/{run_id}", dependencies=[READ])
@lengthy
def run(request: Request, run_id: RunId) -> Response:
    """All that the page of a run shows."""
    hub = hub_of(request)
    detail = hub.runs.detail(run_id, curves=False)
    files = hub.runs.files(run_id)
    meta, job = detail.meta, run_facts.job_of(hub, detail.run, detail.meta)
    found = hub.attempts(job.id) if job else []
    progress = hub.runs.progress(run_id)
    git = meta.get("git_info")
    about = {
        "run": detail.as_dict(),
        "now": detail.now,
        "last_seen_at": meta.get("last_seen_at"),
        "ending": run_facts.ending(detail.run, meta),
        "notes": detail.run.notes,
        "tags": detail.run.tags,
        "job": shown(job).as_dict(str(hub.run_dir(job.id))) if job else None,
        "attempts": run_facts.attempts(found, files, job.attempt if job else 0),
        "events": run_facts.events(detail, job, found),
        "packages": _packages(hub, run_id),
        "files": run_facts.files_shown(files),
        "file_count": len(files),
        "git": {**git, "diff": any(file.path == PATCH for file in files)} if isinstance(git, dict) else None,
        "code_changes": detail.code_changes,
        "progress": {**progress.as_dict(), "share": run_facts.share_of(progress)},
    }
    return answer(about)


def _packages(hub: Hub, run_id: str) -> list[tuple[str, str]] | None:
    text = _requirements(hub, run_id)
    return None if text is None else run_facts.packages_of(text)


def _requirements(hub: Hub, run_id: str) -> str | None:
    with suppress(NotFound):
        return hub.runs.read(run_id, REQUIREMENTS).decode("utf-8", "replace")
    return None


@router.post("/run/{run_id}/annotations", dependencies=[SUBMIT])
def annotate(request: Request, run_id: RunId, body: EditBody) -> Response:
    """Change the notes on a run, or its tags."""
    return answer(edited(request, run_id, body))


def edited(request: Request, run_id: str, body: BaseModel) -> Labels:
    """What a run has after an edit."""
    edit = wire.record(Edit, body.model_dump())
    labels = hub_of(request).runs.annotate(run_id, **edit._asdict())
    audit(request, "annotate", run_id=run_id, tags=list(labels.tags), notes_changed=edit.notes is not None)
    return labels


@router.get("/run/{run_id}/log", dependencies=[READ])
async def log(
    request: Request,
    run_id: RunId,
    path: LogPath,
    start: Place = 0,
    count: Annotated[int, Query(ge=0, le=MOST_BYTES)] = 0,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S)] = 0.0,
    tag: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """A part of a log; `wait`: where it begins at the end, more is waited for.

    That there is none, or none any more, is no failure of a page that follows it: the header Whirr-Log says so.
    """

    async def opened() -> BinaryIO:
        return await run_in_threadpool(hub_of(request).runs.open, run_id, path)

    try:
        file = await opened()
    except NotFound:
        await run_in_threadpool(hub_of(request).runs.code_changes, run_id)  # which says so where there is no such run
        return Response(status_code=204, headers={"Whirr-Log": "missing"})
    with closing(file):
        if tag and not is_same(tag, path, os.fstat(file.fileno())):
            return Response(status_code=204, headers={"Whirr-Log": "replaced"})
        if count and not await _growth(request, file, start, wait, opened):
            return Response(status_code=204, headers={"Whirr-Log": "replaced"})
        status = os.fstat(file.fileno())
        data = await run_in_threadpool(os.pread, file.fileno(), count, start) if count else b""
    headers = {"Whirr-Log": "there", "Whirr-Size": str(status.st_size), "Whirr-Tag": tag_of(status)}
    return Response(data, headers=headers, media_type=BINARY)


async def _growth(
    request: Request, file: BinaryIO, size: int, wait_s: float, opened: Callable[[], Awaitable[BinaryIO]]
) -> bool:
    """Wait until a file is longer, the page has gone or the server ends; False: another took the file's place."""
    bells = bells_of(request)
    for look in range(1, round(wait_s / LOOK_EVERY_S) + 1):
        if bells.closed or os.fstat(file.fileno()).st_size > size:
            return True
        if look % LOOKS_A_SECOND == 0:
            await identify(request)  # who may read no more is told so
            if await request.is_disconnected():
                return True
            if not await _is_there(file, opened):
                return False
        await asyncio.sleep(LOOK_EVERY_S)
    return True


async def _is_there(file: BinaryIO, opened: Callable[[], Awaitable[BinaryIO]]) -> bool:
    """Whether a file still has its name."""
    try:
        now = await opened()
    except NotFound:
        return False
    with closing(now):
        return os.path.samestat(os.fstat(now.fileno()), os.fstat(file.fileno()))


@router.get("/run/{run_id}/find", dependencies=[READ])
@lengthy
def find(
    request: Request,
    run_id: RunId,
    path: LogPath,
    text: Annotated[str, Query(max_length=log_search.LONGEST_TEXT)] = "",
    errors: bool = False,
    start: Place = 0,
) -> Response:
    """Where in a log a text stands, or what looks like an error: the next part of it."""
    if not (text or errors):
        raise UsageError("there is nothing to look for")
    wanted = log_search.wanted_of(text) if text else log_search.ERRORS
    with closing(hub_of(request).runs.open(run_id, path)) as file:
        return answer(log_search.find(file, wanted, start))


@router.get("/compare", dependencies=[READ])
@lengthy
def compare(request: Request, runs: RunIds) -> Response:
    """Runs side by side."""
    hub = hub_of(request)
    details, missing = _details(hub, _ids(runs))
    requirements = [_requirements(hub, detail.run.id) for detail in details]
    configs = [comparison.flat(detail.run.config) for detail in details]
    return answer(
        {
            "runs": [_head(detail) for detail in details],
            "missing": missing,
            "config": comparison.rows_of(configs),
            "summary": comparison.rows_of([comparison.results(detail) for detail in details]),
            "packages": comparison.rows_of(list(map(comparison.packages, requirements))),
            "environment": comparison.rows_of([comparison.environment(detail) for detail in details]),
            "unrecorded": [place for place, text in enumerate(requirements) if text is None],
        }
    )


def _ids(text: str) -> list[str]:
    ids = list(dict.fromkeys(filter(None, text.split(","))))
    if not 1 <= len(ids) <= comparison.MOST_RUNS:
        raise UsageError(f"{len(ids)} runs cannot be compared", hint=f"name 1 to {comparison.MOST_RUNS}")
    return ids


def _details(hub: Hub, ids: list[str]) -> tuple[list[RunDetail], list[str]]:
    """The runs that there are, and the ids of those that are gone."""
    found, missing = [], []
    for run_id in ids:
        try:
            found.append(hub.runs.detail(run_id, curves=False))
        except NotFound:
            missing.append(run_id)
    return found, missing


def _head(detail: RunDetail) -> dict[str, Any]:
    run = detail.run.as_dict()
    kept = ("run_id", "name", "status", "started_at", "duration_seconds", "tags", "job_id", "config")
    git = run.get("git_info") or {}
    code = {key: git.get(key) for key in ("commit", "branch", "dirty")}
    return {**{key: run.get(key) for key in kept}, "code": code, "ending": run_facts.ending(detail.run, detail.meta)}


@router.get("/compare/code", dependencies=[READ])
@lengthy
def compare_code_of(request: Request, runs: RunIds) -> Response:
    """How the code of one run differs from that of another."""
    hub = hub_of(request)
    ids = _ids(runs)
    if len(ids) != 2:
        raise UsageError("the code of two runs is compared", hint="name two")
    one, other = (state_of(hub.runs, run_id, hub.runs.detail(run_id, curves=False).meta) for run_id in ids)
    return answer(compare_code(hub.root, one, other))


@router.get("/artifacts", dependencies=[READ])
@lengthy
def artifacts(
    request: Request,
    filter: Annotated[str, Query(max_length=1000)] = "",
    after: Annotated[str | None, Query(max_length=1000)] = None,
    count: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The artifacts of all runs, those of the newest run first."""
    return answer(artifact_list.artifacts(hub_of(request).runs, filter.strip(), after, count))
