"""``CurveCache``: the curves of the runs of a ``.whirr`` folder. One may be kept, and be asked by several threads.

What it keeps lies in ``.whirr/cache/curves/<run id>/`` and may be deleted at any time. Where nothing can be written it
works from memory, of which it takes no more than ``budget`` bytes, but for the run that was asked for last.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from enum import StrEnum
from functools import partial
from hashlib import blake2b
from pathlib import Path
from time import monotonic, time
from typing import NamedTuple, TypeVar

from whirr import clock
from whirr.catalog import check_id, no_such_run
from whirr.curves.drawing import Drawn, Stretch, Wanted, draw, rows
from whirr.curves.source import NOTHING, SIZES, Sizes, Snapshot, Source
from whirr.curves.strand import PLACE, STEP, Attempt, strand_of
from whirr.curves.volume import Stale, Volume
from whirr.derive import metrics_files
from whirr.errors import FolderError, NotFound
from whirr.folder import ATTEMPTS, CACHE, META, RUNS, SYSTEM
from whirr.jsonio import read_document
from whirr.paths import open_file, open_folder

T = TypeVar("T")

CURVES = "curves"
BUDGET = 48 * 2**20
TRIES = 5
"""A cache that vanishes under the hands so often is not looked at again."""

SWEEP_EVERY_S = 3600.0
AXES = ("step", "time", "relative")
"""The axes that every metric has; samples of the machine have no steps."""


class Kind(StrEnum):
    """Whose records: those that the program logged, or samples of the machine."""

    METRICS = "metrics"
    SYSTEM = "system"


class Curve(NamedTuple):
    """A curve of a run.

    Attributes:
        drawn: what to draw.
        axis: on which; samples of the machine have no steps, and are then told by the time since the run began.
        zero: when that was, seconds since 1970.
        version: changes when the run's files do.
    """

    drawn: Drawn
    axis: str
    zero: float
    version: str


class Metric(NamedTuple):
    """A metric of some runs.

    Attributes:
        name: its name.
        kind: whose.
        runs: how many of them have it.
        points: how many values there are in all.
    """

    name: str
    kind: Kind
    runs: int
    points: int


class Metrics(NamedTuple):
    """The metrics of some runs in the order in which they were first logged, and the axes that curves can stand on."""

    metrics: list[Metric]
    axes: list[str]


class CurveCache:
    """See the module.

    Args:
        root: the ``.whirr`` folder; it need not exist.
        budget: bytes of memory, about.
        sizes: of what is read and kept at once.
    """

    def __init__(self, root: Path, budget: int = BUDGET, sizes: Sizes = SIZES) -> None:
        self._sizes = sizes
        self._root = root
        self._runs = root / RUNS
        self._home = root / CACHE / CURVES
        self._budget = budget
        self._lock = threading.Lock()
        self._busy = threading.Semaphore()
        self._sources: OrderedDict[tuple[str, str], Source] = OrderedDict()
        self._weights: dict[tuple[str, str], int] = {}
        self._weight = 0
        self._sweep_at = monotonic()

    def curve(self, run_id: str, metric: str, wanted: Wanted, kind: Kind = Kind.METRICS) -> Curve | None:
        """A metric of a run; None where it has no number of that name, or nothing on that axis.

        Raises:
            NotFound: there is no such run.
            FolderError: its files cannot be read.
        """
        wanted = _possible(wanted, kind)

        def drawn(attempts: list[list[Snapshot]], stack: ExitStack) -> Curve | None:
            strands = _strands(attempts, metric, stack)
            zero = self._began(run_id, attempts) if wanted.axis == "relative" else 0.0
            found = draw(strands, wanted, zero)
            return Curve(found, wanted.axis, zero, _version(attempts)) if found else None

        return self._read(run_id, kind, drawn)

    def rows(self, run_id: str, metric: str, wanted: Wanted, kind: Kind = Kind.METRICS) -> Iterator[Stretch]:
        """All that ``curve`` is drawn from, some thousand values at a time.

        Raises:
            NotFound: there is no such run.
            FolderError: its files cannot be read.
        """
        wanted = _possible(wanted, kind)
        with ExitStack() as stack:

            def opened(attempts: list[list[Snapshot]], _: ExitStack) -> tuple[list[Attempt], float]:
                strands = _strands(attempts, metric, stack)
                return strands, self._began(run_id, attempts) if wanted.axis == "relative" else 0.0

            strands, zero = self._read(run_id, kind, opened)
            yield from rows(strands, wanted, zero)

    def metrics(self, run_ids: Iterable[str]) -> Metrics:
        """The metrics of runs; those that are gone, or cannot be read, are left out."""
        counts: dict[tuple[Kind, str], list[int]] = {}
        rising: dict[str, bool] = {}
        for run_id in run_ids:
            for kind in Kind:
                with suppress(NotFound, OSError):
                    volumes = self._read(run_id, kind, lambda attempts, _: _volumes(attempts))
                    _count(volumes, kind, counts)
                    if kind == Kind.METRICS:
                        _note_rising(volumes, rising)
        found = [Metric(name, kind, *counted) for (kind, name), counted in counts.items()]
        return Metrics(found, [*AXES, *(f"metric:{name}" for name, rises in rising.items() if rises)])

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes, about."""
        return self._weight

    def sweep(self) -> None:
        """Remove what is kept of runs that are gone, and drafts of volumes whose writers were killed."""
        with suppress(OSError):  # others may be at it, too
            for name in os.listdir(self._home):
                if not os.path.lexists(self._runs / name):
                    shutil.rmtree(self._home / name, ignore_errors=True)
            for draft in self._home.rglob(".*.tmp"):
                if draft.stat().st_mtime < time() - SWEEP_EVERY_S:
                    draft.unlink()

    def _read(self, run_id: str, kind: Kind, use: Callable[[list[list[Snapshot]], ExitStack], T]) -> T:
        """Do something with the files of a run as they are now; again where the cache vanished meanwhile."""
        self._sweep_sometimes()
        for tried in range(TRIES):
            sources = self._attempts(run_id, kind)
            try:
                with ExitStack() as stack:
                    return use([[self._look(key) for key in keys] for keys in sources], stack)
            except Stale:
                for key in [key for keys in sources for key in keys]:
                    self._source(key).forget(on_disk=tried < TRIES - 2)
        raise NotFound(f"the files of run {run_id} change too fast to be read", hint="try again")

    def _attempts(self, run_id: str, kind: Kind) -> list[list[tuple[str, str]]]:
        """The files of a run by attempt, those of earlier ones first."""
        check_id(run_id)
        try:
            handle = open_folder(self._runs, run_id)
        except NotFound:
            raise no_such_run(run_id) from None
        os.close(handle)
        folders = [f"{ATTEMPTS}/{number}/" for number in self._earlier(run_id)]
        return [[(run_id, above + name) for name in self._names(run_id, above, kind)] for above in (*folders, "")]

    def _earlier(self, run_id: str) -> list[int]:
        """The numbers of the attempts that were set aside."""
        try:
            handle = open_folder(self._runs, f"{run_id}/{ATTEMPTS}")
        except (NotFound, OSError):
            return []
        try:
            return sorted(int(name) for name in os.listdir(handle) if name.isascii() and name.isdigit())
        finally:
            os.close(handle)

    def _names(self, run_id: str, above: str, kind: Kind) -> list[str]:
        if kind == Kind.SYSTEM:
            return [SYSTEM]
        return [entry.name for entry in metrics_files(f"{self._runs}/{run_id}/{above}")]

    def _look(self, key: tuple[str, str]) -> Snapshot:
        source = self._source(key)
        try:
            return source.look()
        except NotFound:  # none, or it was set aside a moment ago
            return NOTHING
        except FolderError:
            raise
        except OSError as error:
            raise FolderError(f"{'/'.join(key)} cannot be read: {error.strerror}", hint="see its disk") from None
        finally:
            self._weigh(key, source.weight)

    def _source(self, key: tuple[str, str]) -> Source:
        with self._lock:
            source = self._sources.get(key)
            if source is None:
                run_id, path = key
                opened = partial(open_file, self._runs, f"{run_id}/{path}")
                source = self._sources[key] = Source(opened, f"{self._home}/{run_id}/{path}", self._busy, self._sizes)
            self._sources.move_to_end(key)
            return source

    def _weigh(self, key: tuple[str, str], weight: int) -> None:
        """Note what a file takes, and let go of those that were not asked for longest where it is too much."""
        with self._lock:
            if key not in self._sources:  # let go of meanwhile
                return
            self._weight += weight - self._weights.get(key, 0)
            self._weights[key] = weight
            while self._weight > self._budget and len(self._sources) > 1:
                gone, _ = self._sources.popitem(last=False)
                self._weight -= self._weights.pop(gone, 0)

    def _began(self, run_id: str, attempts: list[list[Snapshot]]) -> float:
        """When the first attempt began, seconds since 1970; else the first stamp, where no file tells it."""
        for number in (*(f"{ATTEMPTS}/{one}/" for one in self._earlier(run_id)), ""):
            with suppress(OSError, ValueError, TypeError, KeyError):
                return clock.epoch(read_document(self._runs / run_id / number / META)["started_at"])
        times = [group.time for volume in _volumes(attempts) for group in volume.groups if group.time is not None]
        return min(times, default=0.0)

    def _sweep_sometimes(self) -> None:
        with self._lock:
            if monotonic() < self._sweep_at:
                return
            self._sweep_at = monotonic() + SWEEP_EVERY_S
        threading.Thread(target=self.sweep, name="whirr-curves", daemon=True).start()


def _possible(wanted: Wanted, kind: Kind) -> Wanted:
    timed = wanted.axis in ("time", "relative")
    return wanted if kind == Kind.METRICS or timed else wanted._replace(axis="relative", start=None, end=None)


def _strands(attempts: list[list[Snapshot]], metric: str, stack: ExitStack) -> list[Attempt]:
    strands = [[strand_of(snapshot.volumes, metric, stack) for snapshot in snapshots] for snapshots in attempts]
    return [found for told in strands if (found := [strand for strand in told if strand])]


def _volumes(attempts: list[list[Snapshot]]) -> list[Volume]:
    return [volume for snapshots in attempts for snapshot in snapshots for volume in snapshot.volumes]


def _version(attempts: list[list[Snapshot]]) -> str:
    told = "/".join(",".join(snapshot.version for snapshot in snapshots) for snapshots in attempts)
    return blake2b(told.encode(), digest_size=8).hexdigest()


def _count(volumes: list[Volume], kind: Kind, counts: dict[tuple[Kind, str], list[int]]) -> None:
    """Add the values of one run."""
    points: dict[str, int] = {}
    for volume in volumes:
        for name, column in volume.columns.items():
            points[name] = points.get(name, 0) + volume.groups[column.group].size
    for name, count in points.items():
        counted = counts.setdefault((kind, name), [0, 0])
        counted[0] += 1
        counted[1] += count


def _note_rising(volumes: list[Volume], rising: dict[str, bool]) -> None:
    """See which metrics of one run are axes to stand on: they grow, and fall only where a program began again."""
    bounds: dict[str, tuple[float, float]] = {}
    for volume in volumes:
        for name, column in volume.columns.items():
            axes = volume.groups[column.group].axes
            again = max(len(axes[axis].turns or ()) for axis in (STEP, PLACE))
            if column.low is None or column.high is None or column.bad or column.falls > again:
                rising[name] = False
                continue
            low, high = bounds.get(name, (column.low, column.high))
            bounds[name] = min(low, column.low), max(high, column.high)
    for name, (low, high) in bounds.items():
        rising[name] = rising.get(name, True) and low < high
