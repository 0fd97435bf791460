"""All runs of a ``.whirr`` folder, newest first, without opening thousands of files.

The run folders are the truth. A pack in ``cache/`` remembers what was read from them. Documents are
replaced by renaming, which changes the modification time of their folder: a listing of unchanged runs
costs one ``stat`` a run and opens nothing. A record is decoded when it is looked at; only then the two
documents themselves are checked (someone may have edited them in place), and the status of a run that
says ``running`` is judged, never remembered.
"""

from __future__ import annotations

import os
import stat
import time
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from whirr import clock
from whirr.derive import Derived, State, ends, problems_of, signature_of, summarise, unread
from whirr.errors import Ambiguous, FolderError, NotFound
from whirr.folder import CACHE, CONFIG, FURTHER_WRITER, META, RUNS, checked, judge
from whirr.pack import Packed, read_pack, write_pack

FORMAT = 2
SETTLED_NS = 2_000_000_000
"""A folder that changed this recently may change again in the same tick of the file system's clock."""

UNSETTLED = 0
"""The signature that no folder has: the record is read anew at the next listing."""

READ_AT_ONCE = 2**24
"""Bytes of metrics a listing reads of one run only to show their last values."""

MANY = 500
"""So many folders to read anew are worth starting threads for."""

READERS = 4

UNKNOWN = "unknown"
"""The status word of a run whose ``meta.json`` cannot be read."""

SEEN = "_seen"
"""The key of a record under which the signature of its documents stands."""


_ORDER = attrgetter("order")

TEXT, OBJECT = (str, "a text"), (dict, "an object")
KINDS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("name", "status", "started_at", "finished_at"), TEXT),
    **dict.fromkeys(("summary", "git_info", "cause", "process", "environment"), OBJECT),
    "tags": (list, "a list of texts"),
    "duration_seconds": (int | float, "a number"),
    "job_id": (str | int, "a text or a number"),
    "dropped_records": (int, "a number"),
}
"""What the keys of ``meta.json`` hold unless someone has edited it: a type, and its name for people."""


class Logged(NamedTuple):
    """What the rows of a run come to.

    Attributes:
        metrics: what whirr derives, by metric.
        problems: what is wrong with the metrics files, one line each.
    """

    metrics: dict[str, Derived]
    problems: list[str]


class RunEntry:
    """One run of a listing; everything but its id is read when asked for.

    Attributes:
        id: the name of its folder.
    """

    def __init__(self, index: RunIndex, run_id: str, packed: Packed) -> None:
        self._index = index
        self._packed = packed
        self.id = run_id

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._index.folder / self.id

    @cached_property
    def record(self) -> dict[str, Any]:
        """``meta.json`` as judged now, with ``config`` and ``problems``; non-finite floats spelled out.

        What ``KINDS`` names is of its kind, or None.
        """
        record = self._index.record(self.id, self._packed.data)
        return judge(record, self.path) if record.get("status") == "running" else record

    @property
    def status(self) -> str:
        """``running``, ``completed``, ``failed``, ... or ``unknown`` where ``meta.json`` is broken."""
        return str(self.record.get("status") or UNKNOWN)

    @property
    def name(self) -> str | None:
        """The name given to the run, if any."""
        name: str | None = self.record.get("name")
        return name

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        return self.record.get("tags") or []

    @property
    def summary(self) -> dict[str, Any]:
        """What the program itself put into the summary."""
        return self.record.get("summary") or {}

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration."""
        return self.record.get("config") or {}

    @cached_property
    def logged(self) -> Logged:
        """What the logged rows come to; read on first use, then only what was added."""
        return self._index.logged(self)

    @property
    def metrics(self) -> dict[str, Derived]:
        """What whirr derives from the logged rows, by metric."""
        return self.logged.metrics

    @property
    def problems(self) -> list[str]:
        """What is wrong with the run's files, one line each."""
        return [*self.record["problems"], *self.logged.problems]


class RunIndex:
    """The runs below one ``.whirr`` folder.

    Args:
        root: the ``.whirr`` folder; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / RUNS
        self._folder = os.fspath(self.folder)
        self._runs_file = root / CACHE / f"runs-index.{FORMAT}"
        self._metrics_file = root / CACHE / f"metrics-index.{FORMAT}"
        self._runs: dict[str, Packed] = {}
        self._runs_changed = False
        self._metrics: dict[str, Packed] | None = None
        self._metrics_changed = False

    def runs(self) -> list[RunEntry]:
        """Every run, newest first; a folder with broken files is among them, with its problems.

        Raises:
            FolderError: the folder of the runs exists and cannot be read.
        """
        kept = read_pack(self._runs_file)
        found, fresh = _refresh(self._folder, kept)
        # Written in this order, a pack comes back sorted but for what is new.
        order = sorted(zip(map(_ORDER, found.values()), found, strict=True), reverse=True)
        self._runs = {name: found[name] for _, name in order}
        self._runs_changed = fresh > 0 or len(found) != len(kept)
        self.save()
        return [RunEntry(self, name, packed) for name, packed in self._runs.items()]

    def record(self, run_id: str, data: bytes | memoryview) -> dict[str, Any]:
        """A record decoded, read anew where a document was changed in place."""
        folder = f"{self._folder}/{run_id}"
        record = _decoded(data)
        if record.pop(SEEN, None) != _documents_signature(folder):
            self._runs[run_id] = _read(folder, UNSETTLED)
            self._runs_changed = True
            record = _decoded(self._runs[run_id].data)
            del record[SEEN]
        return record

    def logged(self, entry: RunEntry) -> Logged:
        """What the rows of one run come to; what was read is remembered until ``save``."""
        path = os.fspath(entry.path)
        signature = signature_of(path)
        state, known = self._state(entry.id)
        metrics, grown = summarise(path, state, unchanged=known == signature)
        if grown is not None and (grown or state):
            readable = not any(known["error"] for known in grown.values())
            self._packed[entry.id] = Packed(signature if readable else UNSETTLED, "", orjson.dumps(grown))
            self._metrics_changed = True
        return Logged(metrics, problems_of(state if grown is None else grown))

    def glance(self, entry: RunEntry) -> Logged:
        """What the rows of one run come to, in bounded time; only the last values mean anything.

        Where much was never read, only the end of the files is looked at: a metric that was not logged
        for a long time is then missing, and so is damage before it.
        """
        path = os.fspath(entry.path)
        if unread(path, self._state(entry.id)[0]) <= READ_AT_ONCE:
            return entry.logged
        metrics, state = ends(path)
        return Logged(metrics, problems_of(state, "at least "))

    def _state(self, run_id: str) -> tuple[State, int | None]:
        packed = self._packed.get(run_id)
        state = _decoded(packed.data) if packed else {}
        return state, packed.signature if packed and state else None

    @property
    def _packed(self) -> dict[str, Packed]:
        if self._metrics is None:
            self._metrics = read_pack(self._metrics_file)
        return self._metrics

    def save(self) -> None:
        """Keep what was read for the next listing; where the folder is read-only nothing is kept."""
        if self._runs_changed:
            write_pack(self._runs_file, self._runs)
            self._runs_changed = False
        if self._metrics is not None and self._metrics_changed:
            alive = {name: packed for name, packed in self._metrics.items() if name in self._runs}
            write_pack(self._metrics_file, alive)
            self._metrics_changed = False

    def find(self, reference: str) -> RunEntry:
        """The run meant by an id, the start or the last part of an id, an exact name, or ``-`` (the newest).

        Raises:
            NotFound: no run fits.
            Ambiguous: several do.
        """
        entries = self.runs()
        if not entries:
            raise NotFound(f"there are no runs in {self.root}", hint="start one with whirr.init() in your script")
        if reference == "-":
            return entries[0]
        fitting: list[RunEntry] = []
        # Names come last: to know them every record must be decoded.
        for fits in (_is_id, _is_part, _is_name):
            matches = [entry for entry in entries if fits(entry, reference)]
            if len(matches) == 1:
                return matches[0]
            fitting += matches
        if fitting:
            raise Ambiguous(f"{reference!r} fits {len(fitting)} runs", hint=_candidates(fitting))
        raise NotFound(f"no run fits {reference!r} in {self.root}", hint="whirr runs lists them")


def _is_id(entry: RunEntry, reference: str) -> bool:
    return entry.id == reference


def _is_part(entry: RunEntry, reference: str) -> bool:
    return bool(reference) and (entry.id.startswith(reference) or entry.id.endswith(f"-{reference}"))


def _is_name(entry: RunEntry, reference: str) -> bool:
    return entry.name == reference


def _candidates(entries: list[RunEntry], shown: int = 8) -> str:
    names = [f"{entry.id} ({entry.name})" if entry.name else entry.id for entry in entries[:shown]]
    more = f" and {len(entries) - shown} more" if len(entries) > shown else ""
    return f"say which: {', '.join(names)}{more}"


def _decoded(data: bytes | memoryview) -> dict[str, Any]:
    """A remembered record; empty where the cache was damaged."""
    try:
        found = orjson.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refresh(folder: str, kept: dict[str, Packed]) -> tuple[dict[str, Packed], int]:
    """The records of all run folders, the kept ones first, and how many were read anew."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return {}, 0
    except OSError as error:
        raise FolderError(f"cannot read {folder}: {error.strerror}") from None
    found: dict[str, Packed] = {}
    changed: dict[str, int] = {}
    look = os.stat
    try:
        there = dict.fromkeys(os.listdir(handle))
        for name in [name for name in kept if name in there] + [name for name in there if name not in kept]:
            try:
                status = look(name, dir_fd=handle)
            except OSError:
                continue
            packed = kept.get(name)
            if packed is not None and packed.signature == status.st_mtime_ns:
                found[name] = packed
            elif stat.S_ISDIR(status.st_mode) and _is_run_id(name):
                changed[name] = status.st_mtime_ns
    finally:
        os.close(handle)
    found.update(_read_all(folder, changed))
    return found, len(changed)


def _read_all(folder: str, changed: dict[str, int]) -> dict[str, Packed]:
    """The records of changed folders; many are read side by side, because a cold disk lets each reader wait."""

    def read(names: list[str]) -> dict[str, Packed]:
        return {name: _read(f"{folder}/{name}", _settled(changed[name])) for name in names}

    if len(changed) < MANY:
        return read(list(changed))
    from concurrent.futures import ThreadPoolExecutor

    # A share for each, not a queue of folders: handing over ten thousand would cost more than reading them.
    names, size = list(changed), -(-len(changed) // READERS)
    shares = [names[start : start + size] for start in range(0, len(names), size)]
    with ThreadPoolExecutor(READERS) as pool:
        return {name: packed for share in pool.map(read, shares) for name, packed in share.items()}


def _is_run_id(name: str) -> bool:
    """Whether a folder may be a run: hidden ones and names that are not text (no whirr made those) are not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not name.startswith(".")


def _settled(changed: int) -> int:
    return changed if changed < time.time_ns() - SETTLED_NS else UNSETTLED


def _documents_signature(folder: str) -> int:
    """A number that changes when ``meta.json`` or ``config.json`` does."""
    found = []
    for name in (META, CONFIG):
        try:
            status = os.stat(f"{folder}/{name}")
        except OSError:
            found.append(0)
            continue
        found += [status.st_mtime_ns, status.st_size, status.st_ino]
    return hash(tuple(found))


def _read(folder: str, signature: int) -> Packed:
    """The record of one run, small: what only judging a live process needs is left out of ended ones."""
    problems: list[str] = []
    # Looked at before they are read: a change in between is then seen the next time.
    seen = _documents_signature(folder)
    record = {"run_id": os.path.basename(folder), **_checked(f"{folder}/{META}", problems)}
    record["status"] = record.get("status") or UNKNOWN
    record.pop("environment", None)
    if record["status"] != "running":
        record.pop("process", None)
    if record.get("cause"):
        record["cause"].pop("traceback", None)
    _read_others(folder, record, problems)
    record |= {"problems": problems, SEEN: seen}
    return Packed(signature, record.get("started_at") or _changed_at(folder), orjson.dumps(record))


def _read_others(folder: str, record: dict[str, Any], problems: list[str]) -> None:
    """Add the config, and what further processes of the run put into the summary."""
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    record["config"] = _document(f"{folder}/{CONFIG}", problems) if CONFIG in names else {}
    for name in sorted(filter(FURTHER_WRITER.fullmatch, names)):
        said = _checked(f"{folder}/{name}", problems)
        record["summary"] = {**(said.get("summary") or {}), **(record.get("summary") or {})}


def _checked(path: str, problems: list[str]) -> dict[str, Any]:
    """A document in which every key of ``KINDS`` holds what it should, or null."""
    found = _document(path, problems)
    for key, (_, what) in KINDS.items():
        value = found.get(key)
        if not _fits(key, value):
            problems.append(f"{os.path.basename(path)}: {key} is not {what}")
            found[key] = (
                [tag for tag in value if isinstance(tag, str)] if key == "tags" and type(value) is list else None
            )
    return found


def _fits(key: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return value is None
    return isinstance(value, KINDS[key][0]) and (key != "tags" or all(isinstance(tag, str) for tag in value))


def _document(path: str, problems: list[str]) -> dict[str, Any]:
    """A document as it stands in the file: non-finite floats stay spelled out."""
    return checked(lambda: _raw(path), os.path.basename(path), problems)


def _raw(path: str) -> Any:
    with open(path, "rb", buffering=0) as file:
        return orjson.loads(file.read())


def _changed_at(folder: str) -> str:
    try:
        return clock.stamp(clock.at(os.stat(folder).st_mtime))
    except OSError:
        return ""
