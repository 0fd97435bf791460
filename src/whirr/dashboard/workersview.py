"""The workers as their page shows them: slots, leases, GPUs, and how to start one."""

from __future__ import annotations

from typing import Any

from whirr import about, clock, resubmission
from whirr.dashboard.gauges import Gauge, Gauges
from whirr.dashboard.queueview import part_of, room_of, seen_of, start_of
from whirr.fleet import Fleet, Seen, look
from whirr.hub import Hub
from whirr.model import Job, JobStatus


def workers_of(hub: Hub, gauges: Gauges) -> dict[str, Any]:
    """The workers now, the jobs they hold, what of them is free."""
    fleet, now = look(hub), hub.now()
    read = gauges.read(fleet)
    following = hub.upcoming(1)
    return {
        "now": now,
        "root": str(hub.root),
        "start": start_of(hub),
        "workers": [_worker(hub, fleet, seen, read, now) for seen in fleet.shown],
        **room_of(fleet),
        "queued": hub.counts().get(JobStatus.QUEUED, 0),
        "next": _named(hub, following[0]) if following and not following[0].blocked else None,
    }


def _worker(hub: Hub, fleet: Fleet, seen: Seen, read: dict[tuple[str, str], Gauge], now: float) -> dict[str, Any]:
    worker = seen.worker
    holders = _holders(fleet, worker.machine)
    return {
        **seen_of(seen),
        "silent_s": seen.silent_s,
        "slots": worker.slots,
        "lease_s": worker.lease_s,
        "remote": worker.remote,
        "pid": worker.process.get("pid"),
        "started_at": worker.started_at,
        "jobs": [_lease(hub, fleet, job, now) for job in seen.jobs],
        "gpus": [_gpu(uuid, read[worker.machine, uuid], holders.get(uuid)) for uuid in worker.gpus],
    }


def _holders(fleet: Fleet, machine: str) -> dict[str, int]:
    """Which job has which GPU of a machine to itself, whichever worker runs it."""
    jobs = [job for seen in fleet.workers if seen.worker.machine == machine for job in seen.jobs]
    return {uuid: job.id for job in jobs for uuid in fleet.gpus.get(job.id, ())}


def _gpu(uuid: str, gauge: Gauge, job: int | None) -> dict[str, Any]:
    return {
        "id": uuid,
        "index": gauge.number,
        "name": gauge.name,
        "busy": gauge.busy,
        "mem": gauge.memory,
        "job": job,
    }


def _named(hub: Hub, job: Job) -> dict[str, Any]:
    command = resubmission.written(resubmission.shown(job.spec).argv)
    return {"id": job.id, "run_id": job.run_id, "name": about.name_of(hub, job), "command": command}


def _lease(hub: Hub, fleet: Fleet, job: Job, now: float) -> dict[str, Any]:
    return {
        **_named(hub, job),
        "status": str(job.status),
        "attempt": job.attempt,
        "elapsed_s": max(now - clock.epoch(job.started_at), 0.0) if job.started_at else 0.0,
        "gpu_ids": list(fleet.gpus.get(job.id, ())),
        "part": part_of(hub.runs.progress(job.run_id)),
    }
