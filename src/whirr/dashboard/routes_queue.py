"""What the pages of the queue and of the workers ask for, and what people do there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias, cast

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response

from whirr import wire
from whirr.dashboard.gauges import Gauges
from whirr.dashboard.queueview import job_of, queue_of
from whirr.dashboard.rewriting import TEXTS, changes_of, form_of
from whirr.dashboard.workersview import workers_of
from whirr.errors import UsageError
from whirr.local import LocalHub
from whirr.model import Job, JobStatus
from whirr.server.access import READ, SUBMIT, Guarded
from whirr.server.app import answer, audit, hub_of
from whirr.server.lanes import lengthy
from whirr.server.routes_queue import JobId, moved, submitted_again, who

router = APIRouter(route_class=Guarded, include_in_schema=False)

LASTS_S = 0.4
"""Pages that ask within this time of each other are told the same: they all hear of a change at once."""

MOST = 2000
KEPT = 32
LONGEST = 1 << 18
"""Characters of a text of a form."""


Key: TypeAlias = tuple[str | int, ...]


class Kept:
    """An answer, and until when it holds."""

    __slots__ = ("data", "era", "making", "until")

    def __init__(self) -> None:
        self.making = threading.Lock()
        self.era, self.until, self.data = -1, 0.0, b""


class Answers:
    """Answers that several pages want at once: each is made once, and made anew after something was done.

    Args:
        monotonic: seconds on a clock that only goes forward.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._era = 0
        self._kept: dict[Key, Kept] = {}

    def get(self, key: Key, make: Callable[[], Any]) -> Response:
        """The answer under a key; one that takes long keeps nobody waiting who wants another."""
        with self._guard:
            kept = self._kept.setdefault(key, Kept())
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        with kept.making:
            if kept.era != self._era or self._monotonic() >= kept.until:
                kept.era = self._era  # what happens while it is made counts as later
                kept.data = wire.dumps(make())
                kept.until = self._monotonic() + LASTS_S
            data = kept.data
        return Response(data, media_type="application/json", headers={"Cache-Control": "no-store"})

    def forget(self) -> None:
        """Something has changed."""
        with self._guard:
            self._era += 1


class Desk(NamedTuple):
    """What is kept between requests."""

    answers: Answers
    gauges: Gauges


def _desk(request: Request) -> Desk:
    state = request.app.state
    if not hasattr(state, "queue_desk"):
        state.queue_desk = Desk(Answers(), Gauges(hub_of(request)))
    return cast(Desk, state.queue_desk)


@router.get("/ui/queue", dependencies=[READ])
@lengthy
def queue(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    words: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """What runs, what waits and why, what has ended."""
    hub = hub_of(request)
    return _desk(request).answers.get(("queue", limit, words), lambda: queue_of(hub, limit, words))


@router.get("/ui/workers", dependencies=[READ])
@lengthy
def workers(request: Request) -> Response:
    """The workers, their jobs and GPUs."""
    desk, hub = _desk(request), hub_of(request)
    return desk.answers.get(("workers",), lambda: workers_of(hub, desk.gauges))


@router.get("/ui/jobs/{job_id}", dependencies=[READ])
def form(request: Request, job_id: JobId) -> Response:
    """A job as texts, to be submitted again with changes."""
    return answer(form_of(hub_of(request).job(job_id)))


@router.post("/ui/jobs/{job_id}/cancel", dependencies=[SUBMIT])
def cancel(request: Request, job_id: JobId) -> Response:
    """Cancel a queued job now, a running one as soon as its processes are gone."""
    hub = hub_of(request)
    before = hub.job(job_id).status
    done = hub.cancel(job_id, who(request, ""))
    audit(request, "cancel", job_id=job_id, status=str(done.status))
    if done.status is before:
        return _told(request, done, f"job {job_id} is {done.status} already")
    return _told(request, done, f"job {job_id} is {_stopping(done)}")


def _stopping(job: Job) -> str:
    return "being stopped" if job.status is JobStatus.CANCELLING else str(job.status)


@router.post("/ui/jobs/{job_id}/retry", dependencies=[SUBMIT])
def retry(request: Request, job_id: JobId) -> Response:
    """Queue a failed or cancelled job again."""
    done = hub_of(request).retry(job_id)
    audit(request, "retry", job_id=job_id, status=str(done.status))
    return _told(request, done, _queued(done, f"job {job_id} is queued again"))


@router.post("/ui/jobs/{job_id}/priority", dependencies=[SUBMIT])
def priority(
    request: Request,
    job_id: JobId,
    priority: Annotated[int | None, Body()] = None,
    by: Annotated[int, Body()] = 0,
) -> Response:
    """Give a queued job another place in the order: this priority, or one that differs by so much from what it has."""
    wanted = hub_of(request).job(job_id).spec.priority + by if priority is None else priority
    done = moved(request, job_id, wanted)
    return _told(request, done, f"job {job_id} has priority {wanted}, {_place(hub_of(request), done)}")


def _place(hub: LocalHub, job: Job) -> str:
    if job.blocked:
        return "and waits for others"
    ahead = hub.ahead(job)
    return f"{ahead} before it" if ahead else "nothing before it"


@router.post("/ui/jobs/{job_id}/again", dependencies=[SUBMIT])
def again(
    request: Request, job_id: JobId, texts: Annotated[dict[str, str] | None, Body(embed=True)] = None
) -> Response:
    """Submit a job again as a new one, with the texts of a form, where they are given, in place of what it had."""
    texts = texts or {}
    if strange := sorted(set(texts) - set(TEXTS)):
        raise UsageError(f"a job has no {strange[0][:80]!r} that can be changed", hint=f"only {', '.join(TEXTS)}")
    if any(len(text) > LONGEST for text in texts.values()):
        raise UsageError("a text is too long", hint=f"at most {LONGEST} characters")
    changes = changes_of(hub_of(request).job(job_id).spec, texts)
    done = submitted_again(request, job_id, changes, "", None)
    return _told(request, done, _queued(done, f"job {done.id} is queued"))


def _queued(job: Job, words: str) -> str:
    if job.status is not JobStatus.FAILED:
        return words
    return f"job {job.id} has failed at once: {job.cause.message if job.cause else 'no cause is known'}"


def _told(request: Request, job: Job, text: str) -> Response:
    """What became of a job, for programs and in words."""
    _desk(request).answers.forget()
    return answer({"job": job_of(hub_of(request), job), "text": text})
