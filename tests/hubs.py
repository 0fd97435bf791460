"""Jobs, workers and clocks for tests of hubs."""

from __future__ import annotations

import itertools
from typing import Any

from whirr import process
from whirr.hub import Hub
from whirr.model import Cause, CauseKind, JobSpec, Outcome, Verdict, WorkerInfo

_numbers = itertools.count(1)
STAMP = "2026-11-25T12:00:00.000000Z"


class Ticker:
    """A clock that goes only when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.era = "this boot"

    def __call__(self) -> float:
        return self.seconds


def spec(*argv: str, workdir: str = "/", **about: Any) -> JobSpec:
    return JobSpec(argv, workdir, **about)


def worker(
    name: str = "w", host: str | None = None, slots: int = 8, gpus: tuple[str, ...] = (), lease_s: float | None = None
) -> WorkerInfo:
    """A worker that has never been there before, in this process."""
    number = next(_numbers)
    identity = process.identity() | ({"host": host, "machine_id": host, "boot_id": host} if host else {})
    return WorkerInfo(
        f"{name}-{number}", name, identity, slots, gpus, lease_s, f"2026-11-25T12:00:00.{number:06}Z", STAMP
    )


def outcome(
    verdict: Verdict, *, kind: CauseKind = CauseKind.EXIT, exit_code: int | None = None, seconds: float = 2.0
) -> Outcome:
    cause = None if verdict is Verdict.COMPLETED else Cause(kind, f"{kind}", exit_code)
    return Outcome(verdict, cause, seconds, STAMP)


def known(hub: Hub, info: WorkerInfo, *folders: str) -> WorkerInfo:
    """A worker registered, which has these work folders (default: that of ``spec``)."""
    hub.register(info)
    hub.tell_folders(info.id, dict.fromkeys(folders or ("/",), True))
    return info


def by_whom(text: str | None) -> str:
    """Who it was, without the name of the token that a server adds."""
    return (text or "").partition("(token ")[0].strip()
