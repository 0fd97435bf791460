"""Jobs, attempts and the queue as people and programs see them."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from whirr import jobrun, resubmission, wire
from whirr.capture.redact import hide_arguments
from whirr.errors import TooLarge, UsageError, not_written
from whirr.folder import PATCH, REQUIREMENTS
from whirr.jsonio import write_plain
from whirr.local import LocalHub
from whirr.model import RANGES, Attempt, Job, JobSpec, JobStatus
from whirr.resubmission import Changes
from whirr.server.access import READ, SUBMIT, Guarded, caller_of
from whirr.server.app import answer, audit, hub_of
from whirr.server.lanes import lanes_of, lengthy
from whirr.server.schemas import schema
from whirr.submitting import Submission
from whirr.values import encodes

router = APIRouter(prefix=wire.API, route_class=Guarded, tags=["queue"])

STAGED = (PATCH, REQUIREMENTS)
STAGED_LIMIT = 16 << 20
"""Bytes of the files that a submission brings with it."""

MOST = 1000
JobId = Annotated[int, Path(ge=1, le=2**53)]
Limit = Annotated[int, Query(ge=0, le=2**31 - 1)]


class Sent(NamedTuple):
    """A job to queue.

    Attributes:
        files: what was recorded about it, by name, in base64.
    """

    spec: JobSpec
    files: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple's default


class Submitted(NamedTuple):
    """A job that was queued, and the folder of its run on the server."""

    job: Job
    run_dir: str


class JobPage(NamedTuple):
    """Some jobs; ``next``, given as ``before``, gives the page after it."""

    jobs: tuple[Job, ...]
    next: int | None = None


class Attempts(NamedTuple):
    """The attempts at a job, oldest first."""

    attempts: tuple[Attempt, ...]


class Wish(NamedTuple):
    """Who asks, as the client says."""

    by: str = ""


class Place(NamedTuple):
    """The priority that a job is to have."""

    priority: int


class Again(NamedTuple):
    """What is to be different when a job is submitted again, and who asks, as the client says."""

    changes: Changes
    by: str = ""


class QueueState(NamedTuple):
    """The queue at this moment: jobs by state, and the clocks of ``Job.not_before`` and of UTC stamps."""

    counts: dict[str, int]
    clock: float
    now: float


class Number(NamedTuple):
    """A number of jobs."""

    number: int


class Workers(NamedTuple):
    """The ids of workers."""

    workers: tuple[str, ...]


if TYPE_CHECKING:
    SubmissionBody: TypeAlias = BaseModel
    WishBody: TypeAlias = BaseModel
    PlaceBody: TypeAlias = BaseModel
    AgainBody: TypeAlias = BaseModel
else:
    SubmissionBody, WishBody = schema(Sent), schema(Wish)
    PlaceBody, AgainBody = schema(Place), schema(Again)


def shown(job: Job) -> Job:
    """A job without its secrets."""
    return job._replace(spec=resubmission.shown(job.spec))


@router.post("/jobs", dependencies=[SUBMIT], responses={200: {"model": schema(Submitted)}})
async def submit(
    request: Request,
    body: SubmissionBody,
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=200)] = None,
) -> Response:
    """Queue a job. Sent again with the same Idempotency-Key it gives the job that is there."""
    hub = hub_of(request)
    sent = wire.record(Sent, body.model_dump())
    spec = _checked(sent.spec)._replace(submitted_by=who(request, sent.spec.submitted_by))
    staging = await lanes_of(request).run("stage", _staged, hub, sent.files) if sent.files else None
    job = await request.app.state.submissions.submit(
        Submission(spec, staging, idempotency_key),
        lambda job: audit(request, "submit", job_id=job.id, command=hide_arguments(job.spec.argv)),
    )
    return answer(Submitted(shown(job), str(hub.run_dir(job.id))))


def who(request: Request, said: str) -> str:
    """Who asks: what the client says is believed only as far as the token's name stands beside it.

    The owner of a dashboard of one's own has no token, but a name.
    """
    caller = caller_of(request)
    if caller == request.app.state.sessions.owner:
        return caller.name
    name = caller.name
    said = said.strip()[:200]
    return f"{said} (token {name})" if said else f"token {name}"


def _checked(spec: JobSpec) -> JobSpec:
    if not spec.argv or not spec.argv[0]:
        raise UsageError("there is no command to run", hint='give one as a list, such as ["python", "train.py"]')
    if not spec.workdir.startswith("/"):
        raise UsageError(f"the folder {spec.workdir!r} is not absolute", hint="give the whole path, as on the workers")
    texts = (*spec.argv, spec.workdir, *spec.env, *spec.env.values(), *spec.tags, spec.name or "")
    if any("\0" in text for text in texts) or any("=" in name or not name for name in spec.env):
        raise UsageError("a text holds a NUL, or the name of a variable a '='")
    odd = [text for text in (*texts, spec.executable or "") if not encodes(text)]
    odd += [tag for tag in spec.tags if not encodes(tag, "strict")]
    if odd:
        raise UsageError(f"{odd[0][:200]!r} is no valid text", hint="a part of it is half a character, or no UTF-8")
    numbers = {name: value for name in RANGES if (value := getattr(spec, name)) is not None}
    wrong = [name for name, value in numbers.items() if not RANGES[name][0] <= value <= RANGES[name][1]]
    strange = [need for need in (*spec.after, *spec.after_any) if not 0 < need < 2**53]
    if wrong or strange:
        raise UsageError(f"{', '.join(wrong) or 'a job to wait for'} is out of range")
    return spec


def _files(sent: dict[str, str]) -> dict[str, bytes]:
    if strange := sorted(set(sent) - set(STAGED)):
        raise UsageError(f"a submission brings no file {strange[0][:80]!r}", hint=f"only {', '.join(STAGED)}")
    if sum(map(len, sent.values())) > STAGED_LIMIT * 4 / 3:
        raise TooLarge("the files of the submission are too large", hint=f"at most {STAGED_LIMIT} bytes together")
    try:
        return {name: base64.b64decode(text, validate=True) for name, text in sent.items()}
    except (binascii.Error, ValueError):
        raise UsageError("a file of the submission is not in base64") from None


def _staged(hub: LocalHub, sent: dict[str, str]) -> FilePath:
    files = _files(sent)
    staging = hub.staging_folder()
    try:
        for name, data in files.items():
            write_plain(staging / name, data)
    except OSError as error:
        jobrun.remove(staging)
        raise not_written(staging.parent, error) from None
    return staging


@router.get("/jobs", dependencies=[READ], responses={200: {"model": schema(JobPage)}})
def jobs(
    request: Request,
    status: Annotated[list[JobStatus] | None, Query()] = None,
    tag: Annotated[str | None, Query(max_length=1000)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """Jobs, newest first."""
    found = hub_of(request).jobs(tuple(status or ()), tag=tag, limit=limit + 1, before=before)
    more = found[limit - 1].id if len(found) > limit else None
    return answer(JobPage(tuple(map(shown, found[:limit])), more))


@router.get("/jobs/{job_id}", dependencies=[READ], responses={200: {"model": schema(Job)}})
def job(request: Request, job_id: JobId) -> Response:
    """One job."""
    return answer(shown(hub_of(request).job(job_id)))


@router.get("/jobs/{job_id}/attempts", dependencies=[READ], responses={200: {"model": schema(Attempts)}})
def attempts(request: Request, job_id: JobId) -> Response:
    """The attempts at a job, oldest first."""
    return answer(Attempts(tuple(hub_of(request).attempts(job_id))))


@router.get("/jobs/{job_id}/dependencies", dependencies=[READ], responses={200: {"model": schema(JobPage)}})
def dependencies(request: Request, job_id: JobId) -> Response:
    """The jobs that a job was submitted to wait for."""
    return answer(JobPage(tuple(map(shown, hub_of(request).dependencies(job_id)))))


@router.get("/jobs/{job_id}/ahead", dependencies=[READ], responses={200: {"model": schema(Number)}})
def ahead(request: Request, job_id: JobId) -> Response:
    """How many queued jobs come before a queued one."""
    hub = hub_of(request)
    return answer(Number(hub.ahead(hub.job(job_id))))


@router.post("/jobs/{job_id}/cancel", dependencies=[SUBMIT], responses={200: {"model": schema(Job)}})
def cancel(request: Request, job_id: JobId, body: WishBody) -> Response:
    """Cancel a queued job now, a running one as soon as its processes are gone."""
    by = who(request, wire.record(Wish, body.model_dump()).by)
    done = hub_of(request).cancel(job_id, by)
    audit(request, "cancel", job_id=job_id, status=str(done.status))
    return answer(shown(done))


@router.post("/jobs/{job_id}/retry", dependencies=[SUBMIT], responses={200: {"model": schema(Job)}})
def retry(request: Request, job_id: JobId) -> Response:
    """Queue a failed or cancelled job again."""
    done = hub_of(request).retry(job_id)
    audit(request, "retry", job_id=job_id, status=str(done.status))
    return answer(shown(done))


@router.post("/jobs/{job_id}/priority", dependencies=[SUBMIT], responses={200: {"model": schema(Job)}})
def priority(request: Request, job_id: JobId, body: PlaceBody) -> Response:
    """Give a queued job another place in the order."""
    return answer(shown(moved(request, job_id, wire.record(Place, body.model_dump()).priority)))


def moved(request: Request, job_id: int, wanted: int) -> Job:
    """Give a queued job the priority that a caller wants for it.

    Raises:
        UsageError: no job can have that.
        NotFound, IllegalTransition: as ``hub.reprioritise``.
    """
    least, most = RANGES["priority"]
    if not least <= wanted <= most:
        raise UsageError("priority is out of range", hint=f"from {least} to {most}")
    done = hub_of(request).reprioritise(job_id, wanted)
    audit(request, "priority", job_id=job_id, priority=wanted)
    return done


@router.post("/jobs/{job_id}/again", dependencies=[SUBMIT], responses={200: {"model": schema(Submitted)}})
def again(
    request: Request,
    job_id: JobId,
    body: AgainBody,
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=200)] = None,
) -> Response:
    """Submit a job again as a new one, with its code and packages, but for some changes."""
    asked = wire.record(Again, body.model_dump())
    done = submitted_again(request, job_id, asked.changes, asked.by, idempotency_key)
    return answer(Submitted(shown(done), str(hub_of(request).run_dir(done.id))))


def submitted_again(request: Request, job_id: int, changes: Changes, said: str, key: str | None) -> Job:
    """Submit a job again for a caller, who says that he is ``said``.

    Raises:
        UsageError: the changes make no job that can be run.
        NotFound: as ``hub.again``.
    """
    hub = hub_of(request)
    _checked(resubmission.changed(hub.job(job_id).spec, changes, job_id))
    done = hub.again(job_id, changes, who(request, said), key=key)
    audit(request, "again", job_id=done.id, of=job_id, command=hide_arguments(done.spec.argv))
    return done


@router.get("/queue", dependencies=[READ], responses={200: {"model": schema(QueueState)}})
def queue(request: Request) -> Response:
    """How many jobs are in each state, and what time it is there."""
    hub = hub_of(request)
    return answer(QueueState({str(status): count for status, count in hub.counts().items()}, hub.clock(), hub.now()))


@router.get("/queue/upcoming", dependencies=[READ], responses={200: {"model": schema(JobPage)}})
@lengthy
def upcoming(request: Request, limit: Limit = 100) -> Response:
    """The queued jobs in the order in which they will run; limit 0: all."""
    return answer(JobPage(tuple(map(shown, hub_of(request).upcoming(limit)))))


@router.get("/queue/ended", dependencies=[READ], responses={200: {"model": schema(JobPage)}})
def ended(request: Request, status: Annotated[list[JobStatus], Query(max_length=10)], limit: Limit = 100) -> Response:
    """The jobs that have ended in these states, the last ones first; limit 0: all."""
    return answer(JobPage(tuple(map(shown, hub_of(request).ended(tuple(status), limit)))))


@router.get("/queue/lacking", dependencies=[READ], responses={200: {"model": schema(Workers)}})
def lacking(request: Request, workdir: Annotated[str, Query(max_length=10000)]) -> Response:
    """The workers that have said they lack a work folder."""
    return answer(Workers(tuple(hub_of(request).lacking(workdir))))
