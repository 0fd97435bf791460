"""What people call a job, and why and how it ended: from the queue, and from what its program recorded of itself."""

from __future__ import annotations

from typing import Any

import orjson

from whirr import clock
from whirr.errors import NotFound
from whirr.folder import META
from whirr.hub import Hub
from whirr.model import CauseKind, Job, JobStatus
from whirr.values import revive


def name_of(hub: Hub, job: Job) -> str:
    """The name of a job, or the one that its program gave the run; empty where there is none."""
    name = job.spec.name or (meta_of(hub, job).get("name") if job.attempt else None)
    return str(name) if name else ""


def why_ended(hub: Hub, job: Job) -> str:
    """The cause of a job's end on one line; empty where it completed.

    An exception that its program recorded says more than the exit code it led to.
    """
    if job.cause is None or job.status is JobStatus.COMPLETED:
        return ""
    if job.status is JobStatus.FAILED and job.cause.kind is CauseKind.EXIT:
        return _exception(meta_of(hub, job)) or job.cause.message
    return job.cause.message


def ran_s(hub: Hub, job: Job) -> float | None:
    """How long the last attempt at a job that has ended took, in seconds; None where it was never started."""
    attempts = hub.attempts(job.id)
    if not attempts or attempts[-1].finished_at is None:
        return None
    return max(clock.epoch(attempts[-1].finished_at) - clock.epoch(attempts[-1].started_at), 0.0)


def meta_of(hub: Hub, job: Job) -> dict[str, Any]:
    """What stands in ``meta.json``; where that is missing or damaged the queue knows enough."""
    try:
        found = revive(orjson.loads(hub.runs.read(job.run_id, META)))
    except (NotFound, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _exception(meta: dict[str, Any]) -> str:
    cause = meta.get("cause")
    if not isinstance(cause, dict) or cause.get("kind") != "exception":
        return ""
    message = str(cause.get("message") or "").partition("\n")[0]
    return f"{cause.get('type')}: {message}" if message else str(cause.get("type"))
