"""What the page of a run shows beyond ``RunDetail``: its ending in words, what happened when, attempts, files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from whirr import clock
from whirr.catalog import FileEntry, RunDetail, RunView
from whirr.errors import NotFound
from whirr.folder import ATTEMPTS, OUTPUT
from whirr.hub import Hub
from whirr.jobrun import JOB_FOLDER
from whirr.model import Attempt, Job
from whirr.progress import Progress

TRACEBACK_LINES = 12
MOST_FILES = 5_000
KINDS = {
    "image": ("png", "jpg", "jpeg", "gif", "webp", "svg", "bmp", "avif"),
    "json": ("json", "jsonl", "ndjson"),
    "csv": ("csv", "tsv"),
    "text": (
        "txt", "log", "md", "py", "sh", "yaml", "yml", "toml", "ini", "cfg", "patch", "diff", "out", "err", "tex",
        "js", "ts", "html", "css", "xml", "c", "h", "cpp", "cu", "rs", "go", "sql", "r", "jl", "rst",
    ),
}  # fmt: skip
"""What a page can show of a file, by the ending of its name."""

KIND_OF = {ending: kind for kind, endings in KINDS.items() for ending in endings}
REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")
WORDS = {
    "queued": "Queued",
    "running": "Running",
    "completed": "Completed",
    "failed": "Failed",
    "cancelling": "Being stopped",
    "cancelled": "Cancelled",
    "unknown": "Unknown",
}


def ending(run: RunView, meta: Mapping[str, Any]) -> dict[str, Any]:
    """How a run ended, or stands: a word, why in a sentence, and the last lines of its traceback if it has one."""
    cause = meta.get("cause") if isinstance(meta.get("cause"), dict) else None
    text, detail = "", None
    if cause is not None and run.status not in ("running", "completed"):
        message = str(cause.get("message") or cause.get("kind") or "")
        text = f"{cause['type']}: {message}" if cause.get("type") else message
        if cause.get("queue") == "gpu-out-of-memory":
            text = f"out of GPU memory: {text}"
        detail = _last_lines(cause.get("traceback"))
    if run.status == "unknown" and run.problems:
        text = run.problems[0]
    return {"word": WORDS.get(run.status, run.status), "text": text, "detail": detail}


def _last_lines(traceback: Any) -> dict[str, Any] | None:
    if not isinstance(traceback, str) or not traceback.strip():
        return None
    lines = traceback.rstrip().split("\n")
    return {"text": "\n".join(lines[-TRACEBACK_LINES:]), "lines": len(lines)}


def job_of(hub: Hub, run: RunView, meta: Mapping[str, Any]) -> Job | None:
    """The job of a run, where this queue has it; a folder that was copied here may be of another queue's."""
    match = JOB_FOLDER.fullmatch(run.id)
    if match is None or len(match[1]) > 15:
        return None
    try:
        job = hub.job(int(match[1]))
    except NotFound:
        return None
    said = (meta.get("job") or {}).get("submitted_at")
    return job if said in (None, job.submitted_at) else None


def attempts(found: Sequence[Attempt], files: Sequence[FileEntry], current: int) -> list[dict[str, Any]]:
    """The attempts at a job and where the files of each are; without a queue, those of which files are kept."""
    kept = _kept(files)
    known = {one.number for one in found}
    rows = [_attempt(one, kept, current) for one in found]
    rows += [{"number": number, "files": paths, **_log(paths)} for number, paths in kept.items() if number not in known]
    return sorted(rows, key=lambda row: row["number"])


def _attempt(one: Attempt, kept: Mapping[int, list[str]], current: int) -> dict[str, Any]:
    paths = kept.get(one.number, [])
    until = clock.epoch(one.finished_at) if one.finished_at else None
    return {
        "number": one.number,
        "worker": one.worker,
        "gpus": list(one.gpus),
        "started_at": one.started_at,
        "finished_at": one.finished_at,
        "seconds": None if until is None else max(until - clock.epoch(one.started_at), 0.0),
        "outcome": one.outcome,
        "cause": one.cause.as_dict() if one.cause else None,
        "usage": dict(one.usage),
        "files": paths,
        "output": OUTPUT if one.number == current and not paths else _log(paths)["output"],
    }


def _log(paths: list[str]) -> dict[str, Any]:
    return {"output": next((path for path in paths if path.endswith(f"/{OUTPUT}")), None)}


def _kept(files: Sequence[FileEntry]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for file in files:
        above, _, rest = file.path.partition("/")
        number, _, name = rest.partition("/")
        if above == ATTEMPTS and name and number.isdecimal():
            found.setdefault(int(number), []).append(file.path)
    return found


def events(detail: RunDetail, job: Job | None, found: Sequence[Attempt]) -> list[dict[str, Any]]:
    """What happened to a run and when, oldest first: ``queued``, ``started``, ``requeued``, ``ended``, ``seen``."""
    rows = list(_of_job(job, found) if job and found else _of_meta(detail))
    if job:
        rows.append(_event("queued", job.submitted_at, f"queued by {job.spec.submitted_by or 'somebody'}"))
    return sorted((row for row in rows if row), key=lambda row: row["at"])


def _of_job(job: Job, found: Sequence[Attempt]) -> Iterator[dict[str, Any] | None]:
    for one in found:
        number = f"attempt {one.number} " if len(found) > 1 else ""
        yield _event("started", one.started_at, f"{number}started on {_worker(one.worker)}")
        last = one.number == found[-1].number and job.status.terminal
        why = f": {one.cause.message}" if one.cause else ""
        again = "" if last else ", queued again"
        yield _event("ended" if last else "requeued", one.finished_at, f"{number}{one.outcome or 'ended'}{why}{again}")
    if not found and job.finished_at:
        yield _event("ended", job.finished_at, str(job.status))


def _worker(label: str) -> str:
    name, _, host = label.rpartition("@")
    return host if name == host else label


def _of_meta(detail: RunDetail) -> Iterator[dict[str, Any] | None]:
    meta = detail.meta
    yield _event("started", meta.get("started_at"), "started")
    yield _event("ended", meta.get("finished_at"), str(detail.run.status))
    if detail.run.status != "running" and not meta.get("finished_at"):
        yield _event("seen", meta.get("last_seen_at"), "last seen alive")


def _event(kind: str, stamp: Any, text: str) -> dict[str, Any] | None:
    try:
        return {"kind": kind, "at": clock.epoch(stamp), "text": text}
    except (TypeError, ValueError):
        return None


def files_shown(files: Sequence[FileEntry]) -> list[dict[str, Any]]:
    """Files with what a page can show of them."""
    return [{**file._asdict(), "kind": kind_of(file.path)} for file in files[:MOST_FILES]]


def kind_of(path: str) -> str:
    """``text``, ``image``, ``json``, ``csv`` or ``other``."""
    name = path.rpartition("/")[2].lower()
    return KIND_OF.get(name.rpartition(".")[2], "other") if "." in name else "other"


def packages_of(text: str) -> list[tuple[str, str]]:
    """Name and version of the packages that ``requirements.txt`` names; of one that is no release, where it is from."""
    found = []
    for line in text.splitlines():
        match = REQUIREMENT.fullmatch(line.strip())
        if match:
            found.append((match[1], match[2]))
        elif line.strip() and not line.startswith("#"):
            name, at, place = line.partition(" @ ")
            found.append((name, f"@ {place}") if at else _editable(line))
    return found


def _editable(line: str) -> tuple[str, str]:
    egg = re.search(r"#egg=([\w.-]+)", line)
    return (egg[1] if egg else line.removeprefix("-e ").strip(), line.strip())


def share_of(progress: Progress) -> float | None:
    """How much of a run is done, from 0 to 1; None where nobody knows."""
    if not progress.total or progress.done is None:
        return None
    return min(max(progress.done / progress.total, 0.0), 1.0)
