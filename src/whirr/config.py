"""Settings: every ``WHIRR_*`` variable has its home here.

| variable | meaning |
|---|---|
| ``WHIRR_MODE`` | ``disabled`` turns every call into a no-op |
| ``WHIRR_DIR`` | the folder that takes the place of ``.whirr/`` |
| ``WHIRR_RUN_DIR`` | set by a worker: the folder of the job's run |
| ``WHIRR_RUN_ID`` | set by a worker: the run's id |
| ``WHIRR_JOB_ID`` | set by a worker: the job's number |
| ``WHIRR_ATTEMPT`` | set by a worker: which attempt at the job this is, from 1 |
| ``WHIRR_PREVIOUS_DIR`` | set by a worker from the second attempt on: the files of the one before |
| ``WHIRR_MARK`` | set by a worker: by this, processes that a job left behind are found |
| ``WHIRR_DATABASE_URL`` | the queue's database: ``postgresql://...`` in place of SQLite in ``.whirr/`` |
| ``WHIRR_SERVER_URL`` | the server whose queue and runs the commands work on, such as ``http://head-node:8080`` |
| ``WHIRR_TOKEN`` | the token sent to it; without it the credentials file is looked into |
| ``WHIRR_SYSTEM_INTERVAL`` | seconds between two samples of system metrics (default 10) |
| ``WHIRR_CAPTURE_OUTPUT`` | ``1`` copies the console output of direct runs to ``output.log`` |
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from whirr.errors import UsageError

DIR, RUN_DIR, RUN_ID, JOB_ID = "WHIRR_DIR", "WHIRR_RUN_DIR", "WHIRR_RUN_ID", "WHIRR_JOB_ID"
ATTEMPT, PREVIOUS_DIR, MARK = "WHIRR_ATTEMPT", "WHIRR_PREVIOUS_DIR", "WHIRR_MARK"
FOR_JOBS = (RUN_DIR, RUN_ID, JOB_ID, ATTEMPT, PREVIOUS_DIR, MARK)
"""What a worker tells a job; a job's own children inherit it, another job never does."""

MODES = ("enabled", "disabled")
SHORTEST_INTERVAL = 0.1
ON, OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


class Settings:
    """What the environment asks for; frozen.

    Attributes:
        disabled: nothing is recorded.
        dir: the folder in place of ``.whirr/``, or None.
        run_dir: the run folder to adopt, or None.
        run_id: the id of the run to adopt, or None.
        job_id: the job's number, or None outside a worker.
        system_interval: seconds between two samples.
        capture_output: copy console output to ``output.log``.
        database_url: the queue's database, or None for SQLite in the ``.whirr`` folder.
        server_url: the server to work on, or None for the ``.whirr`` folder.
        token: what it is sent, or None for what the credentials file holds.
    """

    __slots__ = (
        "capture_output",
        "database_url",
        "dir",
        "disabled",
        "job_id",
        "run_dir",
        "run_id",
        "server_url",
        "system_interval",
        "token",
    )

    disabled: bool
    dir: str | None
    run_dir: str | None
    run_id: str | None
    job_id: str | None
    system_interval: float
    capture_output: bool
    database_url: str | None
    server_url: str | None
    token: str | None

    def __init__(self, environ: Mapping[str, str]) -> None:
        put = object.__setattr__
        put(self, "disabled", _mode(environ.get("WHIRR_MODE", "")) == "disabled")
        put(self, "dir", environ.get(DIR) or None)
        put(self, "run_dir", environ.get(RUN_DIR) or None)
        put(self, "run_id", _name(RUN_ID, environ))
        put(self, "job_id", _name(JOB_ID, environ))
        put(self, "database_url", _database_url(environ.get("WHIRR_DATABASE_URL", "")))
        put(self, "server_url", server_url(environ.get("WHIRR_SERVER_URL", "")))
        put(self, "token", environ.get("WHIRR_TOKEN", "").strip() or None)
        put(self, "system_interval", _interval(environ.get("WHIRR_SYSTEM_INTERVAL", "")))
        put(self, "capture_output", _flag("WHIRR_CAPTURE_OUTPUT", environ.get("WHIRR_CAPTURE_OUTPUT", "")))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("settings are frozen")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Settings from ``environ`` (default: this process's).

        Raises:
            UsageError: a variable has a value that means nothing.
        """
        return cls(os.environ if environ is None else environ)


def disabled(environ: Mapping[str, str]) -> bool:
    """Whether nothing is to be recorded; never raises, unlike ``Settings``."""
    return environ.get("WHIRR_MODE", "").strip().lower() == "disabled"


def _mode(text: str) -> str:
    mode = text.strip().lower() or "enabled"
    if mode not in MODES:
        raise UsageError(f"WHIRR_MODE={text} is not a mode", hint=f"use one of: {', '.join(MODES)}")
    return mode


def _name(variable: str, environ: Mapping[str, str]) -> str | None:
    """The name of a folder: it must not lead anywhere else."""
    text = environ.get(variable) or None
    if text is not None and (text in (".", "..") or "/" in text):
        raise UsageError(f"{variable}={text} is no name", hint="give a plain name or number, without '/'")
    return text


def _database_url(text: str) -> str | None:
    url = text.strip() or None
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise UsageError(
            "WHIRR_DATABASE_URL is not the address of a PostgreSQL database",
            hint="such as postgresql://user@host/whirr; leave it out for SQLite in the .whirr folder",
        )
    return url


def server_url(text: str) -> str | None:
    """The address of a server as a setting or an option gives it; None where it is empty.

    Raises:
        UsageError: it is no address.
    """
    url = text.strip().rstrip("/") or None
    if url is not None and not url.startswith(("http://", "https://")):
        raise UsageError(
            f"{text} is not the address of a server", hint="give --server or WHIRR_SERVER_URL such as http://head:8080"
        )
    return url


def _interval(text: str) -> float:
    try:
        seconds = float(text or 10)
    except ValueError:
        seconds = -1.0
    if not SHORTEST_INTERVAL <= seconds < float("inf"):
        raise UsageError(
            f"WHIRR_SYSTEM_INTERVAL={text} is not a number of seconds",
            hint=f"give a number from {SHORTEST_INTERVAL} up, or leave it out for 10",
        )
    return seconds


def _flag(name: str, text: str) -> bool:
    word = text.strip().lower()
    if word not in (*ON, *OFF):
        raise UsageError(f"{name}={text} is neither on nor off", hint="use 1 or 0")
    return word in ON
