"""``WhirrClient``: a whirr server for programs, in plain dicts."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from whirr import arguments as given
from whirr import wire
from whirr.catalog import STATUSES, RunQuery, RunView
from whirr.config import Settings
from whirr.credentials import Credentials, normal
from whirr.errors import MissingExtra, UsageError, WhirrError, warn
from whirr.folder import METRICS, OUTPUT, RUNS, decode
from whirr.model import RANGES, Job, JobSpec, JobStatus, run_id_of
from whirr.process import person
from whirr.remote_files import Follower, Patience, Stage, download, read_records, whole_lines
from whirr.remote_runs import RemoteRuns
from whirr.resubmission import Changes
from whirr.transport import LONGEST_S, Transport
from whirr.values import as_config, to_plain

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

AWAY_S = 86400.0
PAGE = 500
SHORTEST_INTERVAL_S = 0.05
JOB_RUN = re.compile(r"job-(\d{1,15})")


class WhirrClientError(WhirrError):
    """A request to a server did not do what was asked.

    Attributes:
        code: of what went wrong: ``unreachable``, ``not-found``, ``unauthenticated``, ...
        hint: what to do next.
    """

    code = "client"

    def __init__(self, message: str, *, hint: str | None = None, code: str = "client") -> None:
        super().__init__(message, hint=hint)
        self.code = code


@contextmanager
def _told() -> Iterator[None]:
    """Whatever goes wrong on the way reaches the caller as ``WhirrClientError``.

    What is given is looked at before anything is sent (``arguments``); what has the wrong form after that is an answer.
    """
    try:
        yield
    except WhirrClientError:
        raise
    except MissingExtra as error:
        raise WhirrClientError(f"{error}: {error.hint}", hint=error.hint, code=error.code) from error
    except WhirrError as error:
        raise WhirrClientError(str(error), hint=error.hint, code=error.code) from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        about = f"the server gave an answer that whirr does not understand: {type(error).__name__}: {error}"
        raise WhirrClientError(about, hint="is it of the same version?", code="bad-answer") from error
    except RuntimeError as error:  # httpx: the client has been closed
        raise WhirrClientError(str(error), hint="make a new WhirrClient", code="usage") from error


_asks = given.calls_in(_told)


class WhirrClient:
    """Submits jobs to a whirr server, waits for them, and gets at their results.

    It may be shared by threads, and be used as a context manager. Requests that may be sent twice are sent up to four
    times within about a second when the connection fails or the server is busy.

    Args:
        url: of the server, such as ``http://head-node:8080``.
        token: what proves who asks (default: ``WHIRR_TOKEN``, else what ``whirr login`` or the server itself kept for
            this user).
        timeout: seconds to wait for an answer.
        away: seconds for which waiting for a job and following one bear that a server which has answered before is
            away.
        environ: the environment (default: this process's).
        http: makes the connections (default: a new ``httpx.Client``); it is closed with this client.

    Raises:
        WhirrClientError: the address is none, or the extra ``server`` is not installed. Nothing is sent yet.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = 20.0,
        away: float = AWAY_S,
        environ: Mapping[str, str] | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        with _told(), given.meant():
            if not timeout > 0 or not away >= 0:
                raise UsageError(f"timeout={timeout} or away={away} is no time to wait", hint="give seconds")
            normal(given.text("url", url))
            self.url = url.strip().rstrip("/")
            env = os.environ if environ is None else environ
            found = token or Settings.from_env({"WHIRR_TOKEN": env.get("WHIRR_TOKEN", "")}).token
            found = found or Credentials(env).token_for(self.url)
            self._transport = Transport(self.url, found and found.strip(), timeout_s=timeout, client=http)
            self._runs = RemoteRuns(self._transport)
        self._timeout, self._away = timeout, away
        self._root: str | None = None

    def __enter__(self) -> WhirrClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()

    # Jobs

    @_asks
    def submit_job(
        self,
        command_argv: list[str],
        workdir: str,
        name: str | None = None,
        config: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        *,
        priority: int = 0,
        gpus: int | None = None,
        time_limit: float | None = None,
        grace: float = 10.0,
        retries: int = 0,
        after: Sequence[int] = (),
        after_any: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """Submit a job to the queue. A submission whose answer is lost is sent again, and makes one job.

        Args:
            command_argv: the command as a list of arguments; no shell sees it.
            workdir: the folder it runs in, absolute, as the workers see it.
            name, tags: of the job and its run.
            config: its configuration; anything that ``whirr.init`` takes.
            priority: higher ones run first.
            gpus: how many GPUs it gets to itself (default: one where there are any).
            time_limit: seconds an attempt may run.
            grace: seconds between SIGTERM and SIGKILL when it is stopped.
            retries: how often it is tried again when it fails.
            after: jobs that must complete first.
            after_any: jobs that must end first, however.
            env: variables to set.
            key: names this submission, 8 to 200 characters: one with the same key is the same job (default: a new one).

        Returns:
            ``job_id``, ``run_id``, ``run_dir`` (on the server's machine) and ``message``.

        Raises:
            WhirrClientError: the server cannot be reached, or refuses.
        """
        with given.meant():
            spec = JobSpec(
                argv=given.texts("command_argv", command_argv),
                workdir=given.text("workdir", os.fspath(workdir)),
                name=given.text("name", name) if name else None,
                config=to_plain(as_config(config)),
                tags=given.texts("tags", tags or (), "strict"),
                priority=given.within("priority", priority, RANGES["priority"]),
                gpus=given.perhaps("gpus", gpus, RANGES["gpus"]),
                timeout_s=given.perhaps("time_limit", time_limit, RANGES["timeout_s"]),
                grace_s=given.within("grace", grace, RANGES["grace_s"]),
                retries=given.within("retries", retries, RANGES["retries"]),
                after=tuple(map(given.number, after)),
                after_any=tuple(map(given.number, after_any)),
                env=given.pairs("env", env or {}),
                submitted_by=person(),
            )
        return self._send("/jobs", {"spec": spec, "files": {}}, key)

    def _send(self, path: str, asked: Mapping[str, Any], key: str | None) -> dict[str, Any]:
        headers = {"Idempotency-Key": uuid.uuid4().hex if key is None else given.key(key)}
        answer = self._transport.call("POST", path, json=asked, headers=headers, safe=True)
        job = wire.record(Job, answer["job"])
        message = f"job {job.id} is {job.status}"
        return {"job_id": job.id, "run_id": job.run_id, "run_dir": answer["run_dir"], "message": message}

    @_asks
    def get_job(self, job_id: int) -> dict[str, Any]:
        """One job: ``job_id``, ``run_id``, ``status``, ``exit_code``, ``cause`` and what it was submitted with.

        Raises:
            WhirrClientError: there is none of this number, or the server cannot be reached.
        """
        return self._as_dict(wire.record(Job, self._transport.get(f"/jobs/{given.number(job_id)}")))

    @_asks
    def wait_for_job(self, job_id: int, poll_interval: float = 1.0, timeout: float | None = None) -> dict[str, Any]:
        """Wait until a job has ended, and give it.

        A server that has answered this client before may be away meanwhile, for up to ``away`` seconds at a stretch.

        Args:
            poll_interval: seconds between two looks.
            timeout: the most seconds to wait; None: for ever.

        Raises:
            TimeoutError: the time is up; the job goes on.
            WhirrClientError: there is no such job, or the server cannot be reached.
        """
        given.waiting(poll_interval, timeout)
        path = f"/jobs/{given.number(job_id)}"
        until = None if timeout is None else time.monotonic() + timeout
        status = "not known, since the server cannot be reached"
        patience = self._patience()
        while True:
            left = self._timeout if until is None else max(until - time.monotonic(), 1.0)
            with patience.bearing():
                found = self._transport.call("GET", path, timeout_s=min(left, self._timeout))
                job = wire.record(Job, found)
                if job.status.terminal:
                    return self._as_dict(job)
                status = job.status
            pause = min(max(poll_interval, SHORTEST_INTERVAL_S), LONGEST_S)
            pause = pause if until is None else min(pause, until - time.monotonic())
            if pause <= 0:
                raise TimeoutError(f"job {job_id} has not ended within {timeout} s: its state is {status}")
            time.sleep(pause)

    def submit_and_wait(
        self,
        command_argv: list[str],
        workdir: str,
        name: str | None = None,
        config: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        poll_interval: float = 1.0,
        timeout: float | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Submit a job and wait until it has ended.

        Args:
            timeout: seconds to wait; what limits the job itself is ``time_limit``.
            options: the keyword arguments of ``submit_job``.

        Returns and raises as ``wait_for_job``.
        """
        with _told():
            given.waiting(poll_interval, timeout)
        job_id = self.submit_job(command_argv, workdir, name, config, tags, **options)["job_id"]
        return self.wait_for_job(job_id, poll_interval, timeout)

    @_asks
    def cancel_job(self, job_id: int) -> dict[str, Any]:
        """Cancel a queued or running job, and give it; a running one is ``cancelling`` until its processes are gone.

        Raises:
            WhirrClientError: there is no such job, or it has ended otherwise.
        """
        answer = self._transport.call("POST", f"/jobs/{given.number(job_id)}/cancel", json={"by": person()}, safe=True)
        return self._as_dict(wire.record(Job, answer))

    @_asks
    def set_priority(self, job_id: int, priority: int) -> dict[str, Any]:
        """Give a queued job another priority, and give the job; higher ones run first.

        Raises:
            WhirrClientError: there is no such job, or it waits no longer.
        """
        path = f"/jobs/{given.number(job_id)}/priority"
        asked = {"priority": given.within("priority", priority, RANGES["priority"])}
        answer = self._transport.call("POST", path, json=asked, safe=True)
        return self._as_dict(wire.record(Job, answer))

    @_asks
    def submit_again(
        self,
        job_id: int,
        command_argv: list[str] | None = None,
        name: str | None = None,
        tags: list[str] | None = None,
        *,
        priority: int | None = None,
        gpus: int | None = None,
        time_limit: float | None = None,
        retries: int | None = None,
        env: Mapping[str, str] | None = None,
        without_env: Sequence[str] = (),
        key: str | None = None,
    ) -> dict[str, Any]:
        """Submit a job again as a new one, with its code, packages and configuration; what is None stays as it was.

        Args:
            job_id: of the job that is repeated, whatever became of it.
            command_argv, name, tags: in place of those it had.
            priority, gpus, time_limit, retries, key: as for ``submit_job``.
            env: variables to set, beside those it had.
            without_env: variables that it had and is no longer given.

        Returns and raises as ``submit_job``.
        """
        with given.meant():
            changes = Changes(
                argv=None if command_argv is None else given.texts("command_argv", command_argv),
                name=None if name is None else given.text("name", name),
                tags=None if tags is None else given.texts("tags", tags, "strict"),
                priority=given.perhaps("priority", priority, RANGES["priority"]),
                gpus=given.perhaps("gpus", gpus, RANGES["gpus"]),
                timeout_s=given.perhaps("time_limit", time_limit, RANGES["timeout_s"]),
                retries=given.perhaps("retries", retries, RANGES["retries"]),
                env=given.pairs("env", env or {}),
                without_env=given.texts("without_env", without_env),
            )
        return self._send(f"/jobs/{given.number(job_id)}/again", {"by": person(), "changes": changes}, key)

    @_asks
    def get_status(self) -> dict[str, Any]:
        """The server: ``version``, ``role`` of the token, ``jobs`` by state, ``workers``.

        Raises:
            WhirrClientError: the server cannot be reached.
        """
        info = wire.record(wire.ServerInfo, self._transport.get("/server"))
        workers = [
            {
                "worker_id": seen["worker"]["id"],
                **{key: seen["worker"][key] for key in ("name", "slots", "gpus")},
                "host": seen["worker"]["process"].get("host"),
                "silent_seconds": seen["silent_s"],
                "gone": seen["gone"],
            }
            for seen in self._transport.get("/workers")["workers"]
        ]
        counts = self._transport.get("/queue")["counts"]
        jobs = {str(status): counts.get(status, 0) for status in JobStatus}
        return {"url": self.url, **info._asdict(), "jobs": jobs, "workers": workers}

    # Runs

    @_asks
    def get_run(self, run_id: str) -> dict[str, Any]:
        """One run: ``run_id``, ``name``, ``status``, ``config``, ``summary``, ``tags``, times, cause and more.

        Raises:
            WhirrClientError: there is no such run, or the server cannot be reached.
        """
        return self._runs.detail(given.run_id(run_id), curves=False).as_dict()

    @_asks
    def get_runs(self, status: str | None = None, tag: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Runs, newest first.

        Args:
            status: only those with this status.
            tag: only those with this tag.
            limit: so many at most; 0: all.

        Raises:
            WhirrClientError: the server cannot be reached, or no run can have that status.
        """
        if status is not None and status not in STATUSES:
            raise UsageError(f"{status!r} is no status", hint=f"use one of {', '.join(STATUSES)}")
        limit = given.within("limit", limit, (0, 2**31 - 1))
        query = RunQuery((status,) if status else (), () if tag is None else (given.text("tag", tag),))
        found: list[RunView] = []
        while True:
            page = self._runs.page(query._replace(limit=min(limit - len(found), PAGE) if limit else PAGE))
            found += page.runs
            if page.cursor is None or len(found) == limit:
                return [run.as_dict() for run in found]
            query = query._replace(cursor=page.cursor)

    @_asks
    def get_metrics(self, run_id: str) -> list[dict[str, Any]]:
        """The records of a run's ``metrics.jsonl``, as ``whirr.read_metrics`` gives them; [] where it has none.

        Raises:
            WhirrClientError: there is no such run, or the server cannot be reached.
        """
        place = f"/runs/{quote(os.fsencode(given.run_id(run_id)), safe='')}/metrics"
        records, damaged = self._transport.again(lambda: read_records(self._transport, place))
        if damaged:
            warn(f"skipped {damaged} damaged lines in the metrics of {run_id}")
        return records

    def follow_metrics(self, run_id: str) -> Iterator[dict[str, Any]]:
        """The records of a run's ``metrics.jsonl`` from its start, as they come, until the run has ended.

        When its job is tried again, those of the next attempt follow; their ``_idx`` begins at 0 again. The server may
        be away meanwhile as in ``wait_for_job``.

        Raises:
            WhirrClientError: there is no such run, or the server cannot be reached.
        """
        with _told():
            for blocks in self._follower(given.run_id(run_id), METRICS).attempts():
                for lines in whole_lines(blocks):
                    yield from decode(lines)[0]

    def follow_log(self, job_id: int) -> Iterator[bytes]:
        """What a job writes, from the start of its present attempt on, as it comes, until it has ended.

        When it is tried again, the output of the next attempt follows. The server may be away meanwhile as in
        ``wait_for_job``.

        Raises:
            WhirrClientError: there is no such job, or the server cannot be reached.
        """
        with _told():
            for blocks in self._follower(run_id_of(given.number(job_id)), OUTPUT).attempts():
                yield from blocks

    def _follower(self, run_id: str, path: str) -> Follower:
        job = JOB_RUN.fullmatch(run_id)

        def look() -> Stage:
            if job is None:
                return Stage(1, self._runs.detail(run_id, curves=False).run.status != "running")
            found = wire.record(Job, self._transport.get(f"/jobs/{job[1]}"))
            return Stage(max(found.attempt, 1), found.status.terminal)

        return Follower(self._runs, run_id, path, look, self._patience())

    # Files

    @_asks
    def list_artifacts(self, run_id: str) -> list[dict[str, Any]]:
        """All files of a run: ``path``, ``size`` in bytes, ``modified`` (a UTC stamp).

        Raises:
            WhirrClientError: there is no such run, or the server cannot be reached.
        """
        return [file._asdict() for file in self._runs.files(given.run_id(run_id))]

    @_asks
    def get_artifact(self, run_id: str, path: str) -> bytes:
        """The content of a file of a run; for one that does not fit into memory there is ``download_artifact``.

        Raises:
            WhirrClientError: there is no such file, the path leaves the run's folder, or the server cannot be reached.
        """
        where = given.run_id(run_id), given.path(path)
        return self._transport.again(lambda: self._runs.read(*where))

    @_asks
    def download_artifact(self, run_id: str, path: str, dest: str | os.PathLike[str], *, resume: bool = True) -> Path:
        """Download a file of a run, of any size.

        What has come so far is in ``dest`` with ``.part`` behind it, and beside that in ``.part.tag`` of what; when the
        connection breaks and does not come back within a few tries, the next call goes on from there.

        Args:
            dest: the file to write; in a folder, it gets its own name.
            resume: False: begin anew.

        Returns:
            The file.

        Raises:
            WhirrClientError: there is no such file, or the connection broke.
            OSError: ``dest`` cannot be written.
        """
        run, file = map(os.fsencode, (given.run_id(run_id), given.path(path)))
        place = f"/runs/{quote(run, safe='')}/files/{quote(file)}"
        with given.meant():
            target = Path(dest)
        if target.is_dir():
            target /= os.path.basename(path)
        download(self._transport, place, target, resume=resume)
        return target

    # Helpers

    def _patience(self) -> Patience:
        return Patience(self._away if self._transport.reached else 0.0)

    def _as_dict(self, job: Job) -> dict[str, Any]:
        if self._root is None:
            self._root = wire.record(wire.ServerInfo, self._transport.get("/server")).root
        found = job.as_dict(f"{self._root}/{RUNS}/{job.run_id}")
        return {**found, "command_argv": found.pop("command"), "config": dict(job.spec.config)}
