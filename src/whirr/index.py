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
from collections.abc import Iterable, Iterator
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from whirr.derive import Derived, State, ends, problems_of, signature_of, summarise, unread
from whirr.errors import Ambiguous, FolderError, NotFound
from whirr.folder import CACHE, RUNS, judge
from whirr.pack import Packed, packed_json, read_pack, write_pack
from whirr.records import SEEN, UNKNOWN, documents_signature, read_record

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

_ORDER = attrgetter("order")
Place = tuple[str, str]
"""Where a run stands among the others: the start of it, and its id."""


class Logged(NamedTuple):
    """What the rows of a run come to.

    Attributes:
        metrics: what whirr derives, by metric.
        problems: what is wrong with the metrics files, one line each.
    """

    metrics: dict[str, Derived]
    problems: list[str]


class Survey(NamedTuple):
    """What a look at all run folders has found.

    Attributes:
        found: the records, by run.
        changed: they are not those that were remembered.
    """

    found: dict[str, Packed]
    changed: bool


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

        What ``records.KINDS`` names is of its kind, or None.
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
    def notes(self) -> str:
        """What people noted on it."""
        return self.record.get("notes") or ""

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
        order = self.take_in(self.survey())
        self.save()
        return [self.entry(name) for _, name in order]

    def survey(self) -> Survey:
        """Look at every run folder. Changes nothing, so that it may be done beside other work.

        Raises:
            FolderError: the folder of the runs exists and cannot be read.
        """
        kept = dict(self._runs) or read_pack(self._runs_file)
        found, fresh = _refresh(self._folder, kept)
        return Survey(found, fresh > 0 or len(found) != len(kept))

    def take_in(self, survey: Survey) -> list[Place]:
        """Remember what a look has found; the order and the id of every run, newest first."""
        found = survey.found
        order = sorted(zip(map(_ORDER, found.values()), found, strict=True), reverse=True)
        # Written in this order, a pack comes back sorted but for what is new.
        self._runs = {name: found[name] for _, name in order}
        self._runs_changed |= survey.changed
        return order

    def look_for_new(self) -> tuple[list[Place], set[str]]:
        """Take in which run folders came and which went, without a look at the others.

        Returns:
            The order and the id of those that came, the ids of those that went.

        Raises:
            FolderError: the folder of the runs exists and cannot be read.
        """
        there = _names(self._folder)
        gone = self._runs.keys() - there
        came = _read_all(self._folder, dict(_folders(self._folder, there - self._runs.keys())))
        for name in gone:
            del self._runs[name]
        self._runs.update(came)
        self._runs_changed |= bool(came or gone)
        return [(packed.order, name) for name, packed in came.items()], gone

    def record(self, run_id: str, data: bytes | memoryview) -> dict[str, Any]:
        """A record decoded, read anew where a document was changed in place."""
        folder = f"{self._folder}/{run_id}"
        record = _decoded(data)
        if record.pop(SEEN, None) != documents_signature(folder):
            packed = read_record(folder, UNSETTLED)
            if run_id in self._runs:
                self._runs[run_id] = packed
                self._runs_changed = True
            record = _decoded(packed.data)
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
            self._packed[entry.id] = Packed(signature if readable else UNSETTLED, "", packed_json(grown))
            self._metrics_changed = True
        return Logged(metrics, problems_of(state if grown is None else grown))

    def glance(self, entry: RunEntry) -> Logged:
        """What the rows of one run come to, in bounded time; only the last values mean anything.

        Where much was never read, only the end of the files is looked at: a metric that was not logged
        for a long time is then missing, and so is damage before it.
        """
        if not self.lacks_much(entry.id):
            return entry.logged
        metrics, state = ends(os.fspath(entry.path))
        return Logged(metrics, problems_of(state, "at least "))

    def lacks_much(self, run_id: str) -> bool:
        """Whether so much of what a run has logged was never read that a listing does not read it."""
        return unread(f"{self._folder}/{run_id}", self._state(run_id)[0]) > READ_AT_ONCE

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
        runs = dict(self._runs)  # others may read on meanwhile
        if self._runs_changed:
            self._runs_changed = False
            write_pack(self._runs_file, runs)
        if self._metrics is not None and self._metrics_changed:
            self._metrics_changed = False
            write_pack(self._metrics_file, {name: kept for name, kept in dict(self._metrics).items() if name in runs})

    def entry(self, run_id: str) -> RunEntry:
        """One run, without a look at the others; its folder must be there."""
        return RunEntry(self, run_id, self._runs.get(run_id) or read_record(f"{self._folder}/{run_id}", UNSETTLED))

    def packed(self, run_id: str) -> Packed | None:
        """What is remembered of a run: the same object as long as no change was seen; None where there is none."""
        return self._runs.get(run_id)

    def remembered(self, run_id: str) -> dict[str, Any]:
        """The record of a run as it was read last, not judged; no file is looked at."""
        packed = self._runs.get(run_id)
        return _decoded(packed.data) if packed else {}

    def remembered_metrics(self, run_id: str) -> dict[str, Derived]:
        """What the rows of a run came to when they were read last; no file is looked at."""
        return summarise("", self._state(run_id)[0], unchanged=True)[0]

    def has_read(self, run_id: str, signature: int) -> bool:
        """Whether that is all there is now that the metrics files have this signature."""
        return self._state(run_id)[1] == signature

    def find(self, reference: str, order: list[Place] | None = None) -> str:
        """The id of the run meant by an id, the start or the last part of one, an exact name, or ``-`` (the newest).

        Args:
            order: what ``take_in`` gave; None: look at the folders.

        Raises:
            NotFound: no run fits.
            Ambiguous: several do.
        """
        if order is None:
            order = self.take_in(self.survey())
        if not order:
            raise NotFound(f"there are no runs in {self.root}", hint="start one with whirr.init() in your script")
        if reference == "-":
            return order[0][1]
        if reference in self._runs:
            return reference
        fitting: list[str] = []
        # Names come last: to know them every record must be decoded.
        for fits in (_is_part, self._is_name):
            matches = [name for _, name in order if fits(name, reference)]
            if len(matches) == 1:
                return matches[0]
            fitting += matches
        if fitting:
            raise Ambiguous(f"{reference!r} fits {len(fitting)} runs", hint=self._candidates(fitting))
        raise NotFound(f"no run fits {reference!r} in {self.root}", hint="whirr runs lists them")

    def _is_name(self, run_id: str, reference: str) -> bool:
        return self.entry(run_id).name == reference

    def _candidates(self, run_ids: list[str], shown: int = 8) -> str:
        entries = [self.entry(run_id) for run_id in run_ids[:shown]]
        names = [f"{entry.id} ({entry.name})" if entry.name else entry.id for entry in entries]
        more = f" and {len(run_ids) - shown} more" if len(run_ids) > shown else ""
        return f"say which: {', '.join(names)}{more}"


def _is_part(run_id: str, reference: str) -> bool:
    return bool(reference) and (run_id.startswith(reference) or run_id.endswith(f"-{reference}"))


def _decoded(data: bytes | memoryview) -> dict[str, Any]:
    """A remembered record; empty where the cache was damaged."""
    try:
        found = orjson.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refresh(folder: str, kept: dict[str, Packed]) -> tuple[dict[str, Packed], int]:
    """The records of all run folders, the kept ones first, and how many were read anew."""
    there = _names(folder)
    found: dict[str, Packed] = {}
    changed: dict[str, int] = {}
    for name, signature in _folders(folder, [*(name for name in kept if name in there), *(there - kept.keys())]):
        packed = kept.get(name)
        if packed is not None and packed.signature == signature:
            found[name] = packed
        else:
            changed[name] = signature
    found.update(_read_all(folder, changed))
    return found, len(changed)


def _names(folder: str) -> set[str]:
    """What there is in the folder of the runs; nothing where that is missing."""
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise FolderError(f"cannot read {folder}: {error.strerror}") from None


def _folders(folder: str, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Those that are run folders, and when they changed."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    look = os.stat
    try:
        for name in names:
            try:
                status = look(name, dir_fd=handle, follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode) and _is_run_id(name):
                yield name, status.st_mtime_ns
    finally:
        os.close(handle)


def _read_all(folder: str, changed: dict[str, int]) -> dict[str, Packed]:
    """The records of changed folders; many are read side by side, because a cold disk lets each reader wait."""

    def read(names: list[str]) -> dict[str, Packed]:
        return {name: read_record(f"{folder}/{name}", _settled(changed[name])) for name in names}

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
