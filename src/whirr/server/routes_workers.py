"""What workers ask of the queue: register, claim, renew, report; and their bells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from whirr import wire
from whirr.errors import UsageError
from whirr.model import Claim, Job, Lease, Outcome, Sighting, WorkerInfo
from whirr.server.access import READ, WORK, Guarded, caller_of
from whirr.server.app import answer, bells_of, hub_of
from whirr.server.routes_queue import Number, shown
from whirr.server.schemas import schema

router = APIRouter(prefix=wire.API, route_class=Guarded, tags=["workers"])

WorkerId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+@-]{0,120}$")]


class Claiming(NamedTuple):
    """A worker that asks for a job, and those of its GPUs that may be given out now (None: all)."""

    worker: WorkerInfo
    usable_gpus: tuple[str, ...] | None = None


class Claimed(NamedTuple):
    """The job that a worker was given, if there was one."""

    claim: Claim | None


class Leases(NamedTuple):
    """Leases of a worker, and the server's clock."""

    leases: tuple[Lease, ...]
    now: float


class Report(NamedTuple):
    """How an attempt ended."""

    lease: Lease
    outcome: Outcome


class Sightings(NamedTuple):
    """The workers that have registered and not left, oldest first."""

    workers: tuple[Sighting, ...]


class Folders(NamedTuple):
    """Work folders, and whether the worker has them."""

    folders: dict[str, bool]


class Asked(NamedTuple):
    """Work folders that a worker is asked about, or that it is to look for again."""

    folders: tuple[str, ...]


class Now(NamedTuple):
    """The server's clock, seconds since 1970."""

    now: float


if TYPE_CHECKING:
    WorkerBody: TypeAlias = BaseModel
    ClaimingBody: TypeAlias = BaseModel
    ReportBody: TypeAlias = BaseModel
    FoldersBody: TypeAlias = BaseModel
else:
    WorkerBody, ClaimingBody, ReportBody = schema(WorkerInfo), schema(Claiming), schema(Report)
    FoldersBody = schema(Folders)


def _remote(worker: WorkerInfo) -> WorkerInfo:
    """A worker as this server knows it. It could not see the lock of one without a lease."""
    if worker.lease_s is None or not 1 <= worker.lease_s <= 1e9:
        raise UsageError("a worker of a server needs a lease of a second or more", hint="give --lease, such as 5m")
    if not 1 <= worker.slots <= 10_000:
        raise UsageError(f"{worker.slots} slots are out of range")
    return worker._replace(remote=True)


def _same(worker: WorkerInfo, worker_id: str) -> WorkerInfo:
    if worker.id != worker_id:
        raise UsageError(f"worker {worker.id[:100]} asks as {worker_id}")
    return _remote(worker)


@router.get("/workers", dependencies=[READ], responses={200: {"model": schema(Sightings)}})
def workers(request: Request) -> Response:
    """The workers, and whether they are still there."""
    return answer(Sightings(tuple(hub_of(request).sightings())))


@router.put("/workers/{worker_id}", dependencies=[WORK], responses={200: {"model": schema(Now)}})
def register(request: Request, worker_id: WorkerId, body: WorkerBody) -> Response:
    """Make a worker known."""
    hub = hub_of(request)
    hub.register(_same(wire.record(WorkerInfo, body.model_dump()), worker_id))
    return answer(Now(hub.now()))


@router.delete("/workers/{worker_id}", dependencies=[WORK], responses={200: {"model": schema(Now)}})
def leave(request: Request, worker_id: WorkerId) -> Response:
    """Forget a worker that has no job."""
    hub = hub_of(request)
    if hub.leases(worker_id):
        raise UsageError(f"worker {worker_id} still has a job", hint="report how it ended first")
    hub.leave(worker_id)
    return answer(Now(hub.now()))


@router.post("/workers/{worker_id}/claim", dependencies=[WORK], responses={200: {"model": schema(Claimed)}})
def claim(request: Request, worker_id: WorkerId, body: ClaimingBody) -> Response:
    """The next job for a worker."""
    asked = wire.record(Claiming, body.model_dump())
    return answer(Claimed(hub_of(request).claim(_same(asked.worker, worker_id), usable_gpus=asked.usable_gpus)))


@router.post("/workers/{worker_id}/left", dependencies=[WORK], responses={200: {"model": schema(Number)}})
def left(request: Request, worker_id: WorkerId, body: WorkerBody) -> Response:
    """How many queued jobs a worker may yet run."""
    worker = _same(wire.record(WorkerInfo, body.model_dump()), worker_id)
    return answer(Number(hub_of(request).left_for(worker)))


@router.post("/workers/{worker_id}/renew", dependencies=[WORK], responses={200: {"model": schema(Leases)}})
def renew(request: Request, worker_id: WorkerId, body: WorkerBody) -> Response:
    """A sign of life: extends the leases of a worker and gives those it still holds."""
    hub = hub_of(request)
    worker = _same(wire.record(WorkerInfo, body.model_dump()), worker_id)
    return answer(Leases(tuple(hub.renew(worker)), hub.now()))


@router.get("/workers/{worker_id}/leases", dependencies=[READ], responses={200: {"model": schema(Leases)}})
def leases(request: Request, worker_id: WorkerId) -> Response:
    """The leases that a worker holds."""
    hub = hub_of(request)
    return answer(Leases(tuple(hub.leases(worker_id)), hub.now()))


@router.get("/workers/{worker_id}/cancelling", dependencies=[READ], responses={200: {"model": schema(Leases)}})
def cancelling(request: Request, worker_id: WorkerId) -> Response:
    """The leases of a worker whose jobs are to be stopped."""
    hub = hub_of(request)
    return answer(Leases(tuple(hub.cancelling(worker_id)), hub.now()))


@router.post("/workers/{worker_id}/finish", dependencies=[WORK], responses={200: {"model": schema(Job)}})
def finish(request: Request, worker_id: WorkerId, body: ReportBody) -> Response:
    """Report the end of an attempt. Sent again it changes nothing; without its lease it is refused."""
    report = wire.record(Report, body.model_dump())
    if report.lease.worker != worker_id:
        raise UsageError(f"the lease is not one of {worker_id}")
    return answer(shown(hub_of(request).finish(report.lease, report.outcome)))


@router.get("/workers/{worker_id}/folders", dependencies=[WORK], responses={200: {"model": schema(Asked)}})
def unknown_folders(request: Request, worker_id: WorkerId) -> Response:
    """The work folders of queued jobs of which a worker has not said whether it has them."""
    return answer(Asked(tuple(hub_of(request).unknown_folders(worker_id))))


@router.get("/workers/{worker_id}/folders/lacked", dependencies=[WORK], responses={200: {"model": schema(Asked)}})
def lacked_folders(request: Request, worker_id: WorkerId) -> Response:
    """The work folders of queued jobs of which a worker has said that it lacks them."""
    return answer(Asked(tuple(hub_of(request).lacked_folders(worker_id))))


@router.put("/workers/{worker_id}/folders", dependencies=[WORK], responses={200: {"model": schema(Now)}})
def tell_folders(request: Request, worker_id: WorkerId, body: FoldersBody) -> Response:
    """Say which work folders a worker has."""
    hub = hub_of(request)
    if all(seen.id != worker_id for seen in hub.workers()):
        raise UsageError(f"there is no worker {worker_id}", hint="it registers first")
    hub.tell_folders(worker_id, wire.record(Folders, body.model_dump()).folders)
    return answer(Now(hub.now()))


@router.get(
    "/workers/{worker_id}/bell",
    dependencies=[WORK],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def bell(request: Request, worker_id: WorkerId) -> Response:
    """Rings, as events without end, when there may be something to do. An open bell is a sign of life."""
    events = bells_of(request).ringing(worker_id, caller_of(request))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
