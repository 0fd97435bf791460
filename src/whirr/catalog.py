"""``Runs``: the one interface to runs and their files. Programs and faces are given one and never ask where they lie.

``localruns.LocalRuns`` implements it over a ``.whirr`` folder, ``remote_runs.RemoteRuns`` over HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from whirr.derive import Derived
from whirr.errors import NotFound
from whirr.paths import names_of
from whirr.progress import Progress
from whirr.where import Remark

NOTHING: Mapping[str, Any] = {}
STATUSES = ("queued", "running", "completed", "failed", "cancelling", "cancelled", "unknown")
"""The words that ``RunView.status`` can be."""


class RunQuery(NamedTuple):
    """Which runs, and in which order.

    Attributes:
        statuses: one of these words; none: any.
        tags: all of these.
        name: a pattern its name fits (``fnmatch``).
        where: conditions as ``where.parse_condition`` takes them.
        sort: a key, smallest first; with ``-`` before it largest first; None: newest first.
        reverse: the order turned round.
        limit: so many at most; 0: all.
        cursor: go on after the page that gave this.
        glance: read what was logged only as far as that takes bounded time; else all of it.
        filter: an expression (``expression``) that holds for them.
    """

    statuses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    name: str | None = None
    where: tuple[str, ...] = ()
    sort: str | None = None
    reverse: bool = False
    limit: int = 0
    cursor: str | None = None
    glance: bool = False
    filter: str | None = None


class RunView(NamedTuple):
    """A run as a listing shows it.

    Attributes:
        id: its id, the name of its folder.
        path: its folder, on the machine where it lies.
        record: ``meta.json`` as judged now, with ``config`` and ``problems``; non-finite floats spelled out.
        metrics: what whirr derives from the logged rows, by metric.
        logged_problems: what is wrong with its metrics files.
    """

    id: str
    path: str
    record: Mapping[str, Any]
    metrics: Mapping[str, Derived]
    logged_problems: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """``running``, ``completed``, ... or ``unknown`` where ``meta.json`` is broken."""
        return str(self.record.get("status") or "unknown")

    @property
    def name(self) -> str | None:
        """The name given to it, if any."""
        return self.record.get("name")

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        return self.record.get("tags") or []

    @property
    def notes(self) -> str:
        """What people noted on it."""
        return self.record.get("notes") or ""

    @property
    def summary(self) -> Mapping[str, Any]:
        """What the program itself put into the summary."""
        return self.record.get("summary") or {}

    @property
    def config(self) -> Mapping[str, Any]:
        """Its configuration."""
        return self.record.get("config") or {}

    @property
    def problems(self) -> list[str]:
        """What is wrong with its files, one line each."""
        return [*self.record["problems"], *self.logged_problems]

    def as_dict(self) -> dict[str, Any]:
        """As ``whirr runs --json`` and ``WhirrClient.get_runs`` give it."""
        kept = ("cause", "started_at", "finished_at", "last_seen_at", "duration_seconds", "git_info", "job_id")
        return {
            "run_id": self.id,
            "name": self.name,
            "status": self.status,
            **{key: self.record.get(key) for key in kept},
            "tags": self.tags,
            "notes": self.notes,
            "config": self.config,
            "summary": self.summary,
            "metrics": {name: metric.as_dict() for name, metric in self.metrics.items()},
            "path": self.path,
            "problems": self.problems,
        }


class RunPage(NamedTuple):
    """Some of the runs that a query chose.

    Attributes:
        every: how many runs there are.
        chosen: how many of them the query chose.
        now: seconds since 1970 on the clock of the machine where they lie.
        cursor: gives the next page; None: this is the last.
        remarks: where the filter of the query fits no run, what in it may be misspelt.
    """

    runs: tuple[RunView, ...]
    every: int
    chosen: int
    now: float
    cursor: str | None = None
    remarks: tuple[Remark, ...] = ()


class FileEntry(NamedTuple):
    """A file of a run.

    Attributes:
        path: below the run's folder, with ``/``.
        size: bytes.
        modified: UTC stamp.
    """

    path: str
    size: int
    modified: str


class Labels(NamedTuple):
    """What people can change of a run: the notes on it, and its tags, its own ones among them."""

    notes: str
    tags: tuple[str, ...]


class Curve(NamedTuple):
    """The numbers of one metric, to draw.

    Attributes:
        points: pairs of step (or place, where a step is missing) and value.
        values: in the order of the records.
        stepped: every value was logged with a step.
    """

    points: tuple[tuple[float, float], ...]
    values: tuple[float, ...]
    stepped: bool

    def varies(self) -> bool:
        """Whether there are two different values to draw a curve through."""
        return len({value for value in self.values if isfinite(value)}) > 1


class RunDetail(NamedTuple):
    """All about one run.

    Attributes:
        run: as in a listing, read in full.
        now: seconds since 1970 on the clock of the machine where it lies.
        meta: its record with ``environment``, the traceback of its ending, and ``job``.
        curves: by metric; non-finite numbers are gaps.
        sampled: a metrics file was so long that only parts of it were read.
        system: what the samples of the machine come to.
        artifacts: its saved files, by their path below ``artifacts/``.
        code_changes: which files had changed since the submission when the job started; None: none, or nobody looked.
    """

    run: RunView
    now: float
    meta: Mapping[str, Any]
    curves: Mapping[str, Curve] = NOTHING
    sampled: bool = False
    system: Mapping[str, Any] = NOTHING
    artifacts: tuple[FileEntry, ...] = ()
    code_changes: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As ``whirr show --json`` and ``WhirrClient.get_run`` give it."""
        return {
            **self.run.as_dict(),
            **{key: self.meta.get(key) for key in ("cause", "environment", "job")},
            "dropped_records": self.meta.get("dropped_records") or 0,
            "system": self.system,
            "artifacts": [{"path": file.path, "size": file.size} for file in self.artifacts],
        }


class RunFile(Protocol):
    """A file of a run, open for reading."""

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes at most; empty at the end, for now."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""

    def close(self) -> None:
        """Let go of it."""


class Runs(Protocol):
    """See the module."""

    def page(self, query: RunQuery) -> RunPage:
        """The runs that a query chooses.

        Raises:
            UsageError: a condition, a key or the filter cannot be understood; of the filter ``at`` says where.
        """

    def find(self, reference: str) -> str:
        """The id of the run meant by an id, the start or last part of one, an exact name, or ``-`` (the newest).

        Raises:
            NotFound, Ambiguous: none fits, several do.
        """

    def detail(self, run_id: str, *, curves: bool = True) -> RunDetail:
        """All about one run; without its curves where they are not wanted.

        Raises:
            NotFound: there is no such run.
        """

    def progress(self, run_id: str) -> Progress:
        """How far a run has come."""

    def metrics(self, run_id: str) -> AbstractContextManager[Path]:
        """Where ``read_metrics`` finds all that a run has logged, while the context lasts.

        Raises:
            NotFound: there is no such run.
        """

    def code_changes(self, run_id: str) -> dict[str, Any] | None:
        """As in ``RunDetail``; of one that cannot be read, ``damaged`` says why.

        Raises:
            NotFound: there is no such run.
        """

    def files(self, run_id: str) -> list[FileEntry]:
        """All files of a run, by path.

        Raises:
            NotFound: there is no such run.
        """

    def annotate(
        self,
        run_id: str,
        *,
        notes: str | None = None,
        over: str | None = None,
        tags: Sequence[str] | None = None,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> Labels:
        """Change what people noted on a run, or its tags; without a change: what they are.

        Args:
            notes: the new notes, as a whole.
            over: the notes that these are an edit of: where others are there by now, nothing is changed.
            tags: the tags that the run is to have, no others.
            add: tags that it is to have, too.
            remove: tags that it is not to have.

        Raises:
            NotFound: there is no such run.
            UsageError: a tag is none, or there is too much of something.
            EditConflict: the notes are not those of ``over`` any more.
            FolderError: the run's folder cannot be written.
        """

    def read(self, run_id: str, path: str) -> bytes:
        """The content of a small file.

        Raises:
            NotFound: there is no such run or file, or the path leaves the run's folder.
        """

    def open(self, run_id: str, path: str, *, wait_s: float = 0.0) -> RunFile:
        """Open a file of any size.

        Args:
            wait_s: a read at its end waits so long for more before it comes back empty; only where asking costs more.

        Raises:
            NotFound: there is no such run or file, or the path leaves the run's folder.
        """


def no_such_run(run_id: str) -> NotFound:
    """The error for an id that no run has."""
    return NotFound(f"there is no run {run_id[:200]}", hint="whirr runs lists the runs there are")


def check_id(run_id: str) -> None:
    """See that an id may be one, and leads to no other place.

    Raises:
        NotFound: no run can have it.
    """
    try:
        one = len(names_of(run_id)) == 1
    except NotFound:
        one = False
    if not one or run_id.startswith("."):
        raise no_such_run(run_id)
