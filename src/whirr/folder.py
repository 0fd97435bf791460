"""The run folder: names and formats of every file of a run, and how they are read.

.whirr/                       or $WHIRR_DIR
  .gitignore                  "*"
  runs/<run id>/
    meta.json                 what the run is and how it ended
    config.json               its configuration
    metrics.jsonl             its metrics, one record a line
    metrics.<writer>.jsonl    the same by a further process (forked child, rank above 0)
    writer.<writer>.json      what a further process has to say: summary, cause of its ending
    system.jsonl              samples of the machine
    heartbeat                 touched while the run lives
    requirements.txt          installed packages
    uncommitted.patch         uncommitted work of the git work tree
    output.log                console output
    artifacts/                saved files
    annotations.json          notes and tags that people gave it afterwards
    code_changes.json         of a job: files that had changed since its submission when it started
    code/                     of a job submitted with --snapshot: the tree it runs in
    result.<attempt>.json     of a job: how the supervisor saw its attempt end
    attempts/<attempt>/       of a job that was started again: the files of an earlier attempt
  queue/                      the queue: database, locks, doorbells
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

import orjson

from whirr import process
from whirr.config import Settings
from whirr.encode import INDEX, NON_FINITE, TIMESTAMP, USER_PREFIX
from whirr.errors import FolderError, NotFound, no_access, warn
from whirr.jsonio import read_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

ROOT = ".whirr"
RUNS = "runs"
CACHE = "cache"
QUEUE = "queue"

META = "meta.json"
CONFIG = "config.json"
METRICS = "metrics.jsonl"
SYSTEM = "system.jsonl"
HEARTBEAT = "heartbeat"
REQUIREMENTS = "requirements.txt"
PATCH = "uncommitted.patch"
OUTPUT = "output.log"
ARTIFACTS = "artifacts"
ATTEMPTS = "attempts"
CODE = "code"
CODE_CHANGES = "code_changes.json"
RESERVE = ".reserve"

LEASE, SENT, SENDING = ".lease", ".sent", ".sending"
"""In the folder of an attempt on a worker's own disk: whose it is, that it was sent, the lock of who sends it."""

OWN = (ATTEMPTS, CODE, RESERVE, LEASE, SENT, SENDING)

CHUNK = 2**20
SIGNS_OF_LIFE = (HEARTBEAT, METRICS, SYSTEM, OUTPUT, META)
FURTHER_WRITER = re.compile(r"writer\.(.+)\.json")


def find_root(settings: Settings, cwd: Path | None = None) -> Path:
    """The ``.whirr`` folder in force, made or not yet made.

    ``WHIRR_DIR``, else the nearest ``.whirr/`` at or above the working directory, else ``.whirr/`` at the
    root of the git work tree, else in the working directory.

    Raises:
        FolderError: the working directory is gone.
    """
    from pathlib import Path

    named = Path(os.path.expanduser(settings.dir)) if settings.dir else None
    if named is not None and named.is_absolute():
        return named
    start = _working_directory() if cwd is None else Path(os.path.abspath(cwd))
    if named is not None:
        return start / named
    above = (start, *start.parents)
    for folder in above:
        if (folder / ROOT).is_dir():
            return folder / ROOT
    for folder in above:
        if (folder / ".git").exists():
            return folder / ROOT
    return start / ROOT


def named_root(folder: Path | None) -> Path:
    """The ``.whirr`` folder that is, holds or lies above a folder that somebody named; with none, the one in force.

    Raises:
        NotFound: it was named, and there is no such ``.whirr`` folder.
        FolderError: it may not be looked into.
    """
    if folder is None:
        return find_root(Settings.from_env())
    try:
        for root in (folder / ROOT, folder):
            if (root / RUNS).is_dir():
                return root
        root = find_root(Settings({}), folder)
        if folder.is_dir() and root.is_dir():
            return root
    except PermissionError as error:
        raise no_access(folder, error) from None
    raise NotFound(f"there is no {ROOT} folder at {folder}", hint="give the folder your script ran in")


def _working_directory() -> Path:
    try:
        from pathlib import Path

        return Path.cwd()
    except OSError:
        raise FolderError(
            "the working directory no longer exists", hint="go to one that does, or set WHIRR_DIR to an absolute path"
        ) from None


def make_root(root: Path, told: Callable[[Path, OSError], FolderError] | None = None) -> None:
    """Make a ``.whirr`` folder that git ignores; an existing folder of another name is left as it is.

    Args:
        told: makes the error (default: that of a run that begins).

    Raises:
        FolderError: it cannot be made.
    """
    try:
        ours = root.name == ROOT or not root.exists()  # WHIRR_DIR may name a folder that holds other things too
        (root / RUNS).mkdir(parents=True, exist_ok=True)
        ignore = root / ".gitignore"
        if ours and not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise (told or cannot_write)(root, error) from None


def cannot_write(folder: Path, error: OSError) -> FolderError:
    """The one clear error for a folder that cannot be made or written."""
    return FolderError(
        f"cannot write a run into {folder}: {error.strerror or error}",
        hint="set WHIRR_DIR to a folder that you can write, or WHIRR_MODE=disabled to run without tracking",
    )


def further_writers(run_dir: Path) -> list[Path]:
    """The metrics files of further writers, in the order of their names."""
    return sorted(path for path in run_dir.glob("metrics.*.jsonl"))


def read_metrics(path: Path | str) -> list[dict[str, Any]]:
    """The records of a ``metrics.jsonl``, in order.

    Args:
        path: the file, or the run folder it lies in.

    Returns:
        One dict a record: ``_idx`` (unique, increasing), ``_timestamp``, ``step`` when one was given, and the
        metrics; NaN and infinities are floats. A missing or empty file gives an empty list. A torn last line
        is left out; garbage elsewhere is skipped and reported by one ``WhirrWarning``. Where several processes
        wrote into the run, all their records are merged by time and numbered anew.
    """
    from pathlib import Path

    file = Path(path)
    if file.is_dir():
        file = file / METRICS
    records = _read_records(file)
    if file.name != METRICS:
        return records
    others = [_read_records(other) for other in further_writers(file.parent)]
    return merge([records, *others]) if others else records


def merge(writers: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """All writers' records by time, with ``_idx`` numbered anew; records of the same writer keep their order."""
    stamped = sorted((pair for records in writers for pair in _in_order(records)), key=itemgetter(0))
    together = [record for _, record in stamped]
    for index, record in enumerate(together):
        record[INDEX] = index
    return together


def _in_order(records: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records with the latest stamp up to each: a clock that was set back must not shuffle a writer's records."""
    latest = ""
    for record in records:
        # Without its Z a whole second sorts before its fractions.
        latest = max(latest, str(record.get(TIMESTAMP, "")).removesuffix("Z"))
        yield latest, record


def _read_records(file: Path) -> list[dict[str, Any]]:
    try:
        handle = file.open("rb")
    except FileNotFoundError:
        return []
    records: list[dict[str, Any]] = []
    garbage = 0
    with handle:
        rest = b""
        while block := handle.read(CHUNK):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                found, bad = decode(whole)
                records += found
                garbage += bad
    if rest:  # without its newline: whole or torn
        records += decode(rest)[0]
    if garbage:
        warn(f"{file}: {garbage} line(s) are no records and were skipped")
    return records


def decode(block: bytes) -> tuple[list[dict[str, Any]], int]:
    """The records of whole lines, and how many lines were none."""
    try:
        # One call for the whole block. The counts agree unless a broken line joined its neighbour, for which
        # only a line that holds several records could make up.
        records = orjson.loads(b"[" + block.replace(b"\n", b",") + b"]")
        bad = -1 if len(records) != block.count(b"\n") + 1 or SEVERAL.search(block) else 0
    except orjson.JSONDecodeError:
        bad = -1
    if bad or not set(map(type, records)) <= {dict}:
        records, bad = _decode_lines(block)
    if NON_FINITE_KEY in block:
        for record in records:
            if NON_FINITE in record:
                _restore_non_finite(record)
    return records, bad


NON_FINITE_KEY = b'"' + NON_FINITE.encode() + b'"'
SPELLED = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
SEVERAL = re.compile(rb"\}\s*,")


def _decode_lines(block: bytes) -> tuple[list[dict[str, Any]], int]:
    records, bad = [], 0
    for line in block.split(b"\n"):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            record = None
        if type(record) is dict:
            records.append(record)
        elif line.strip():
            bad += 1
    return records, bad


def _restore_non_finite(record: dict[str, Any]) -> None:
    spelled = record.pop(NON_FINITE)
    if not isinstance(spelled, dict):  # a number that the program logged under this very name
        record[USER_PREFIX + NON_FINITE] = spelled
        return
    for name, text in spelled.items():
        if isinstance(text, str) and text in SPELLED:
            record[name] = SPELLED[text]


def is_draft(name: str) -> bool:
    """Whether a file or folder of this name is not whole yet, or was left so by a process that was killed."""
    return name.startswith(".") and name.endswith(".tmp")


def is_own(path: str) -> bool:
    """Whether what lies at a path below a run's folder is whirr's own: it is not sent to a server, nor taken by one."""
    names = path.split("/")
    return names[0] in OWN or any(map(is_draft, names))


def result_name(attempt: int) -> str:
    """The file in which a supervisor leaves how an attempt at a job ended."""
    return f"result.{attempt}.json"


def attempt_folder(run_dir: Path, attempt: int) -> Path:
    """Where the files of an earlier attempt at a job are kept."""
    return run_dir / ATTEMPTS / str(attempt)


def signs_of_life(run_dir: Path) -> float | None:
    """When the run's files were last written, seconds since 1970."""
    return process.last_seen(run_dir, SIGNS_OF_LIFE)


def judge(meta: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    """``meta`` with an honest status and cause (see ``process.judge``)."""
    return process.judge(meta, lambda: signs_of_life(run_dir))


def is_live(run_dir: Path) -> bool:
    """Whether a run is still running, as far as can be told."""
    try:
        meta = read_document(run_dir / META)
    except (OSError, ValueError):
        return False
    return isinstance(meta, dict) and judge(meta, run_dir).get("status") == "running"


def read_meta(run_dir: Path | str) -> dict[str, Any]:
    """What is known of a run.

    Returns:
        The content of ``meta.json`` with ``config`` (from ``config.json``) beside it. The status is judged: a
        run whose process is gone reads ``failed`` with its ``cause``, never ``running`` for ever; ``last_seen_at``
        then says when it was last alive. What further processes of the run had to say is merged into ``summary``
        and listed under ``writers``. ``tags`` are those that people left it, ``notes`` what they noted on it.
        ``problems`` lists files that could not be read.

    Raises:
        NotFound: there is no such folder.
    """
    from pathlib import Path

    folder = Path(run_dir)
    if folder.name == META:
        folder = folder.parent
    if not folder.is_dir():
        raise NotFound(f"there is no run folder {folder}", hint="whirr runs lists the runs there are")
    problems: list[str] = []
    meta = {"run_id": folder.name, "status": "unknown", **_document(folder / META, problems)}
    meta = judge(meta, folder)
    config = _document(folder / CONFIG, problems) if (folder / CONFIG).exists() else {}
    meta = {**meta, "config": config, "problems": problems}
    _merge_writers(meta, folder, problems)
    return {**meta, **_annotated(meta, folder, problems)}


def _annotated(meta: dict[str, Any], folder: Path, problems: list[str]) -> dict[str, Any]:
    """What people gave the run afterwards."""
    from whirr.annotations import ANNOTATIONS, annotations_of

    there = (folder / ANNOTATIONS).exists()
    given = annotations_of(_document(folder / ANNOTATIONS, problems) if there else {})
    own = meta.get("tags")
    tags = {"tags": given.tags(own if isinstance(own, list) else [])} if there else {}
    return {**tags, "notes": given.notes}


def _document(path: Path, problems: list[str]) -> dict[str, Any]:
    return checked(lambda: read_document(path), path.name, problems)


def checked(read: Callable[[], Any], name: str, problems: list[str]) -> dict[str, Any]:
    """What ``read`` gives for the file ``name``; a file that is no JSON object adds a line to ``problems``."""
    try:
        document = read()
    except FileNotFoundError:
        problems.append(f"{name} is missing")
    except OSError as error:
        problems.append(f"{name} cannot be read: {error.strerror}")
    except ValueError as error:
        problems.append(f"{name} is not JSON: {error}")
    else:
        if isinstance(document, dict):
            return document
        problems.append(f"{name} holds no JSON object")
    return {}


def _merge_writers(meta: dict[str, Any], folder: Path, problems: list[str]) -> None:
    writers = []
    for path in sorted(folder.glob("writer.*.json")):
        match = FURTHER_WRITER.fullmatch(path.name)
        if match:
            writers.append({"writer": match[1], **_document(path, problems)})
    if writers:
        meta["writers"] = writers
        for writer in writers:
            meta["summary"] = {**(writer.get("summary") or {}), **(meta.get("summary") or {})}


def inside(base: Path, name: str) -> Path | None:
    """``base/name`` when that stays inside ``base`` (``..``, absolute names and links considered), else None."""
    if os.path.isabs(name) or "\0" in name:
        return None
    target = base / name
    if target == base or ".." in target.parts[len(base.parts) :]:
        return None
    home = os.path.realpath(base)
    return target if under(os.path.realpath(target.parent), home) else None


def under(path: str, home: str) -> bool:
    """Whether a real path is ``home`` or lies inside it."""
    return path == home or path.startswith(home + os.sep)
