"""Rows of the store as records, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from whirr.model import Attempt, Cause, Job, JobSpec, JobStatus, WorkerInfo
from whirr.values import to_plain

Row = Mapping[str, Any]


def spec_text(spec: JobSpec) -> str:
    """What is submitted, as the store keeps it."""
    free = {"config": to_plain(dict(spec.config)), "submitted": to_plain(dict(spec.submitted))}
    return _text({**spec._asdict(), **free, "env": dict(spec.env)})


def folder_text(workdir: str) -> str:
    """A work folder as the store keeps it to compare it."""
    return workdir.encode("utf-8", "backslashreplace").decode()


def _text(found: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(found).decode()
    except orjson.JSONEncodeError:  # an argument or a path that is no valid text, as POSIX allows
        import json

        return json.dumps(found)


def _found(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        import json

        return json.loads(text)


def spec_of(text: str) -> JobSpec:
    """The inverse of ``spec_text``; keys of a later version are left out."""
    found = _found(text)
    known = {name: found[name] for name in JobSpec._fields if name in found}
    for name in ("argv", "tags", "after", "after_any"):
        known[name] = tuple(known.get(name, ()))
    return JobSpec(**known)


def cause_text(cause: Cause | None) -> str | None:
    """A cause as the store keeps it."""
    return None if cause is None else _text(cause.as_dict())


def cause_of(text: str | None) -> Cause | None:
    """The inverse of ``cause_text``."""
    return None if text is None else Cause.from_dict(_found(text))


def job_of(row: Row) -> Job:
    """A row of ``jobs``."""
    cause = cause_of(row["cause"])
    return Job(
        id=row["id"],
        spec=spec_of(row["spec"]),
        status=JobStatus(row["status"]),
        attempt=row["attempt"],
        failures=row["failures"],
        crashes=row["crashes"],
        blocked=row["blocked"],
        worker=row["worker"],
        not_before=row["not_before"],
        submitted_at=row["submitted_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        cause=cause,
        exit_code=_exit_code(row["status"], cause),
        cancelled_by=row["cancelled_by"],
    )


def _exit_code(status: str, cause: Cause | None) -> int | None:
    return 0 if status == JobStatus.COMPLETED else cause.exit_code if cause else None


def attempt_of(row: Row) -> Attempt:
    """A row of ``attempts``."""
    return Attempt(
        job_id=row["job_id"],
        number=row["number"],
        worker=row["worker"],
        gpus=tuple(orjson.loads(row["gpus"])),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        outcome=row["outcome"],
        cause=cause_of(row["cause"]),
        usage=orjson.loads(row["usage"]) if row["usage"] else {},
    )


def worker_row(worker: WorkerInfo) -> dict[str, Any]:
    """The parameters of ``insert_worker``."""
    return {
        "id": worker.id,
        "name": worker.name,
        "process": orjson.dumps(worker.process).decode(),
        "slots": worker.slots,
        "gpus": list_text(worker.gpus),
        "lease_s": worker.lease_s,
        "remote": int(worker.remote),
        "finishing": int(worker.finishing),
        "started_at": worker.started_at,
    }


def worker_of(row: Row) -> WorkerInfo:
    """A row of ``workers``."""
    return WorkerInfo(
        id=row["id"],
        name=row["name"],
        process=orjson.loads(row["process"]),
        slots=row["slots"],
        gpus=tuple(orjson.loads(row["gpus"])),
        lease_s=row["lease_s"],
        started_at=row["started_at"],
        seen_at=row["seen_at"],
        remote=bool(row["remote"]),
        finishing=bool(row["finishing"]),
    )


def list_text(items: tuple[str, ...]) -> str:
    """A list of texts as the store keeps it."""
    return orjson.dumps(items).decode()


def usage_text(usage: Mapping[str, Any]) -> str:
    """What an attempt used, as the store keeps it."""
    return orjson.dumps(to_plain(dict(usage))).decode()
