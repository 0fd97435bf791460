"""``RemoteHub``: the hub of a server, over HTTP."""

from __future__ import annotations

import base64
import shutil
import tempfile
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from whirr import clock, wire
from whirr.errors import BadAnswer
from whirr.folder import PATCH, REQUIREMENTS, RUNS
from whirr.hub import Bell
from whirr.model import (
    Attempt,
    Claim,
    Job,
    JobSpec,
    JobStatus,
    Lease,
    Outcome,
    Sighting,
    WorkerInfo,
    run_id_of,
)
from whirr.remote_bell import RemoteBell
from whirr.remote_code import RemoteCode
from whirr.remote_inbox import RemoteInbox
from whirr.remote_runs import RemoteRuns
from whirr.remote_tokens import RemoteTokens
from whirr.resubmission import Changes
from whirr.transport import Transport

LOOK_EVERY_S = 30.0
PAGE = 1000
ONE_CLOCK_S = 1.0
"""Clocks that are no further apart are taken for one: an answer takes its time, too."""

STAGED = (REQUIREMENTS, PATCH)


class RemoteHub:
    """Implements ``hub.Hub``; its docstrings say what each method does.

    Attributes:
        info: what the server says of itself.
        root: its folder on its own machine, not to be opened here.

    Raises:
        Unreachable, AccessDenied, BadAnswer: there is no server, it wants another token, it is none of whirr.
    """

    locks: Path | None = None
    look_every_s = LOOK_EVERY_S

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.url: str | None = transport.url
        found = transport.get("/server")
        try:
            self.info = wire.record(wire.ServerInfo, found)
        except ValueError:
            raise BadAnswer(f"{transport.url} is no whirr server", hint="is the address right?") from None
        self.root = Path(self.info.root)
        self.outage_s = self.info.outage_s
        self.runs = RemoteRuns(transport)
        self.inbox = RemoteInbox(transport)
        self.code = RemoteCode(transport)
        self.tokens = RemoteTokens(transport)
        self._ahead_s = self.info.now - time.time()

    # Submitting

    def staging_folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="whirr-submit-"))

    def submit(self, spec: JobSpec, staging: Path | None = None, *, key: str | None = None) -> Job:
        there = [staging / name for name in STAGED if (staging / name).is_file()] if staging else []
        files = {path.name: base64.b64encode(path.read_bytes()).decode() for path in there}
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        try:
            done = self._post("/jobs", {"spec": spec, "files": files}, headers=headers)
        finally:
            if staging is not None:
                shutil.rmtree(staging, ignore_errors=True)
        return wire.record(Job, done["job"])

    # Looking

    def job(self, job_id: int) -> Job:
        return wire.record(Job, self._transport.get(f"/jobs/{job_id}"))

    def jobs(
        self,
        statuses: Collection[JobStatus] = (),
        *,
        tag: str | None = None,
        limit: int = 0,
        before: int | None = None,
    ) -> list[Job]:
        found: list[Job] = []
        while True:
            most = min(limit - len(found), PAGE) if limit else PAGE
            params = {"status": list(statuses), "tag": tag, "limit": most, "before": before}
            page = self._transport.get("/jobs", params)
            found += _jobs(page)
            before = page["next"]
            if before is None or len(found) == limit:
                return found

    def counts(self) -> dict[JobStatus, int]:
        return {JobStatus(status): count for status, count in self._transport.get("/queue")["counts"].items()}

    def attempts(self, job_id: int) -> list[Attempt]:
        return [wire.record(Attempt, one) for one in self._transport.get(f"/jobs/{job_id}/attempts")["attempts"]]

    def dependencies(self, job_id: int) -> list[Job]:
        return _jobs(self._transport.get(f"/jobs/{job_id}/dependencies"))

    def ahead(self, job: Job) -> int:
        return int(self._transport.get(f"/jobs/{job.id}/ahead")["number"])

    def upcoming(self, limit: int = 0) -> list[Job]:
        return _jobs(self._transport.get("/queue/upcoming", {"limit": limit}))

    def ended(self, statuses: Collection[JobStatus], limit: int = 0) -> list[Job]:
        return _jobs(self._transport.get("/queue/ended", {"status": list(statuses), "limit": limit}))

    def clock(self) -> float:
        return float(self._transport.get("/queue")["clock"])

    def now(self) -> float:
        return time.time() + self._ahead_s

    def run_dir(self, job_id: int) -> Path:
        return Path(PurePosixPath(self.info.root, RUNS, run_id_of(job_id)))

    # People's wishes

    def cancel(self, job_id: int, by: str) -> Job:
        return wire.record(Job, self._post(f"/jobs/{job_id}/cancel", {"by": by}))

    def retry(self, job_id: int) -> Job:
        return wire.record(Job, self._transport.call("POST", f"/jobs/{job_id}/retry"))

    def reprioritise(self, job_id: int, priority: int) -> Job:
        return wire.record(Job, self._post(f"/jobs/{job_id}/priority", {"priority": priority}))

    def again(self, job_id: int, changes: Changes, by: str, *, key: str | None = None) -> Job:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return wire.record(Job, self._post(f"/jobs/{job_id}/again", {"by": by, "changes": changes}, headers)["job"])

    # Workers

    def register(self, worker: WorkerInfo) -> None:
        there = worker._replace(started_at=self._there(worker.started_at))
        self._set_clock(self._transport.call("PUT", _of(worker.id), json=there, safe=True))

    def workers(self) -> list[WorkerInfo]:
        return [seen.worker for seen in self.sightings()]

    def sightings(self) -> list[Sighting]:
        return [wire.record(Sighting, one) for one in self._transport.get("/workers")["workers"]]

    def leave(self, worker: str) -> None:
        self._transport.call("DELETE", _of(worker), safe=True)

    def unknown_folders(self, worker: str) -> list[str]:
        found: list[str] = self._transport.get(_of(worker, "folders"))["folders"]
        return found

    def tell_folders(self, worker: str, folders: Mapping[str, bool]) -> None:
        self._transport.call("PUT", _of(worker, "folders"), json={"folders": folders}, safe=True)

    def lacked_folders(self, worker: str) -> list[str]:
        found: list[str] = self._transport.get(_of(worker, "folders/lacked"))["folders"]
        return found

    def lacking(self, workdir: str) -> list[str]:
        text = workdir.encode("utf-8", "backslashreplace").decode()  # as the store compares it
        found: list[str] = self._transport.get("/queue/lacking", {"workdir": text})["workers"]
        return found

    def left_for(self, worker: WorkerInfo) -> int:
        return int(self._post(_of(worker.id, "left"), worker)["number"])

    def claim(self, worker: WorkerInfo, *, usable_gpus: Sequence[str] | None = None) -> Claim | None:
        # Not sent again: a claim whose answer was lost is given back with the next renewal.
        asked = {"worker": worker, "usable_gpus": usable_gpus}
        found = self._transport.call("POST", _of(worker.id, "claim"), json=asked)["claim"]
        return None if found is None else wire.record(Claim, found)

    def renew(self, worker: WorkerInfo) -> list[Lease]:
        done = self._post(_of(worker.id, "renew"), worker)
        self._set_clock(done)
        return _leases(done)

    def leases(self, worker: str) -> list[Lease]:
        return _leases(self._transport.get(_of(worker, "leases")))

    def cancelling(self, worker: str) -> list[Lease]:
        return _leases(self._transport.get(_of(worker, "cancelling")))

    def finish(self, lease: Lease, outcome: Outcome) -> Job:
        there = outcome._replace(finished_at=self._there(outcome.finished_at))
        return wire.record(Job, self._post(_of(lease.worker, "finish"), {"lease": lease, "outcome": there}))

    def _set_clock(self, answer: Mapping[str, Any]) -> None:
        self._ahead_s = float(answer["now"]) - time.time()

    def _there(self, stamp: str) -> str:
        """A stamp of this machine's clock as the server's clock would have given it."""
        if abs(self._ahead_s) < ONE_CLOCK_S:
            return stamp
        return clock.stamp(clock.at(clock.epoch(stamp) + self._ahead_s))

    # Bells

    def listen(self, worker: str) -> Bell:
        return RemoteBell(self._transport, _of(worker, "bell"))

    def ring(self) -> None:
        """Nothing: the server rings for whatever it is told."""

    def close(self) -> None:
        self._transport.close()

    def _post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        return self._transport.call("POST", path, json=body, headers=headers, safe=True)


def _of(worker: str, what: str = "") -> str:
    return f"/workers/{quote(worker, safe='')}" + (f"/{what}" if what else "")


def _jobs(page: Mapping[str, Any]) -> list[Job]:
    return [wire.record(Job, job) for job in page["jobs"]]


def _leases(page: Mapping[str, Any]) -> list[Lease]:
    return [wire.record(Lease, lease) for lease in page["leases"]]
