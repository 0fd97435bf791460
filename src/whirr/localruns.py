"""``LocalRuns``: the runs of a ``.whirr`` folder. One object may be kept, and be asked by several threads."""

from __future__ import annotations

import os
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import compress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import orjson

from whirr import clock
from whirr.annotations import Edit, annotate
from whirr.catalog import STATUSES, FileEntry, Labels, RunDetail, RunPage, RunQuery, RunView, check_id, no_such_run
from whirr.derive import metrics_files
from whirr.detail import code_changes, detail_of, files_below
from whirr.errors import NotFound, UsageError
from whirr.folder import METRICS, RUNS
from whirr.index import Place, RunEntry, RunIndex
from whirr.paths import names_of, open_file, open_folder
from whirr.progress import Progress, read_progress
from whirr.records import own_tags
from whirr.roster import REST, Roster
from whirr.where import Remark, Selection, lookup, parse_condition, sort_by

if TYPE_CHECKING:
    from whirr.runtable import RunTable

KEPT_CHOICES = 8


class Choice(NamedTuple):
    """What a query chose among many runs, used again for a while.

    Attributes:
        order: start and id of the runs, in the order that was asked for.
        until: on the monotonic clock.
    """

    order: list[Place]
    until: float


class LocalRuns:
    """Implements ``catalog.Runs``; its docstrings say what each method does.

    What is shown of a run is what its files say now. Among many runs, what a condition sees of those that it leaves
    out may be some seconds old (``roster``).

    Args:
        root: the ``.whirr`` folder; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._index = RunIndex(root)
        self._roster = Roster(self._index)
        self._choices: OrderedDict[RunQuery, Choice] = OrderedDict()
        self._choosing = threading.Lock()
        self._table: RunTable | None = None

    def page(self, query: RunQuery) -> RunPage:
        every, chosen = self._choose(query)
        start = _after(chosen, query)
        end = min(start + query.limit, len(chosen)) if query.limit else len(chosen)
        views = tuple(self._view(self._index.entry(run_id), glance=query.glance) for _, run_id in chosen[start:end])
        if not self._roster.many:
            self._roster.keep()
        cursor = _cursor(end, chosen[end - 1]) if 0 < end < len(chosen) else None
        remarks = tuple(self._remarks(query.filter)) if query.filter and not chosen else ()
        return RunPage(views, every, len(chosen), clock.now().timestamp(), cursor, remarks)

    def _choose(self, query: RunQuery) -> tuple[int, list[Place]]:
        """How many runs there are, and those that a query chooses, in its order."""
        selection = Selection(query.statuses, query.tags, query.name, tuple(map(parse_condition, query.where)))
        matches = _matcher(query.filter) if query.filter else None
        if not any(selection) and not matches and not query.sort:
            order = self._roster.order()
            return len(order), order[::-1] if query.reverse else order
        with self._choosing:  # who wants the same a moment later is given it
            order = self._roster.order(whole=True)
            wanted = query._replace(limit=0, cursor=None, glance=False)
            kept = self._choices.get(wanted)
            if kept is None or monotonic() > kept.until:
                began = monotonic()
                kept = Choice(self._chosen(order, selection, matches, query), began)
                if self._roster.many:
                    self._choices[wanted] = kept = kept._replace(until=monotonic() + REST * (monotonic() - began))
                    self._choices.move_to_end(wanted)
                    while len(self._choices) > KEPT_CHOICES:
                        self._choices.popitem(last=False)
            return len(order), kept.order

    def _chosen(
        self, order: list[Place], selection: Selection, matches: Callable[[RunEntry], bool] | None, query: RunQuery
    ) -> list[Place]:
        """An entry remembers what it has read: none is kept, since there may be very many."""
        if any(selection) or matches:
            entries = (self._index.entry(run_id) for _, run_id in order)
            admits = [selection.admits(entry) and (matches is None or matches(entry)) for entry in entries]
            order = list(compress(order, admits))
        if not query.sort:
            return order[::-1] if query.reverse else order
        key = query.sort.removeprefix("-")
        if not key:
            raise UsageError("--sort needs a key", hint="such as --sort val_loss, or --sort -val_loss")
        descending = query.sort.startswith("-") is not query.reverse
        return sort_by(order, key, descending=descending, look=self._lookup)

    @property
    def table(self) -> RunTable:
        """These runs as a table that is answered from memory; made when it is first asked for."""
        from whirr.runtable import RunTable

        with self._choosing:
            if self._table is None:
                self._table = RunTable(self._index, self._roster)
            return self._table

    def _remarks(self, expression: str) -> list[Remark]:
        from whirr.expression.remarks import remarks_among

        entries = [self._index.entry(run_id) for _, run_id in self._roster.order()]
        return remarks_among(entries, expression, STATUSES)

    def _lookup(self, place: Place, key: str) -> Any:
        return lookup(self._index.entry(place[1]), key)

    def _view(self, run: RunEntry, *, glance: bool) -> RunView:
        logged = self._index.glance(run) if glance else run.logged
        return RunView(run.id, os.path.abspath(run.path), run.record, logged.metrics, tuple(logged.problems))

    def walk(self, after: str | None = None) -> tuple[int, int, Iterator[tuple[str, RunEntry]]]:
        """The runs, newest first, of which nothing is read before it is asked for.

        Args:
            after: start and id of one, joined by ``/``: go on after it.

        Returns:
            How many there are, how many come before the first that is given, and those with their start.
        """
        order = self._roster.order()
        start = 0
        if after is not None:
            began, _, run_id = after.partition("/")
            start = sum(place >= (began, run_id) for place in order)
        return len(order), start, ((began, self._index.entry(run_id)) for began, run_id in order[start:])

    def find(self, reference: str) -> str:
        return self._index.find(reference, self._roster.order())

    def detail(self, run_id: str, *, curves: bool = True) -> RunDetail:
        self._folder(run_id)
        view = self._view(self._index.entry(run_id), glance=False)
        self._roster.keep()
        return detail_of(view, curves=curves)

    def progress(self, run_id: str) -> Progress:
        return read_progress(self._path(run_id))

    @contextmanager
    def metrics(self, run_id: str) -> Iterator[Path]:
        yield self._folder(run_id)

    def code_changes(self, run_id: str) -> dict[str, Any] | None:
        return code_changes(self._folder(run_id))

    def files(self, run_id: str) -> list[FileEntry]:
        return files_below(self._folder(run_id))

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
        folder = self._folder(run_id)
        edit = Edit(notes, over, None if tags is None else tuple(tags), tuple(add), tuple(remove))
        own = own_tags(folder)
        given = annotate(folder, own, edit)
        return Labels(given.notes, tuple(given.tags(own)))

    def read(self, run_id: str, path: str) -> bytes:
        with self.open(run_id, path) as file:
            return file.read()

    def open(self, run_id: str, path: str, *, wait_s: float = 0.0) -> BinaryIO:
        check_id(run_id)
        names_of(path)
        try:
            handle = open_file(self.root / RUNS, f"{run_id}/{path}")
        except NotFound:
            self._folder(run_id)  # which says so where there is no such run
            raise
        return open(handle, "rb", buffering=0)

    def open_metrics(self, run_id: str) -> list[BinaryIO]:
        """The metrics files of a run, of its own process first.

        Raises:
            NotFound: there is no such run.
        """
        names = [entry.name for entry in metrics_files(os.fspath(self._folder(run_id)))]
        found = []
        for name in sorted(names, key=lambda name: name != METRICS):
            with suppress(NotFound):  # no file, or gone
                found.append(self.open(run_id, name))
        return found

    def _path(self, run_id: str) -> Path:
        check_id(run_id)
        return self.root / RUNS / run_id

    def _folder(self, run_id: str) -> Path:
        """The folder of a run; it must be one, and no link to another place."""
        path = self._path(run_id)
        try:
            os.close(open_folder(self.root / RUNS, run_id))
        except NotFound:
            raise no_such_run(run_id) from None
        return path


def _matcher(expression: str) -> Callable[[RunEntry], bool]:
    from whirr.expression import matcher

    return matcher(expression, clock.now().timestamp())


def _cursor(end: int, last: Place) -> str:
    return urlsafe_b64encode(orjson.dumps([end, *last])).decode().rstrip("=")


def _after(chosen: list[Place], query: RunQuery) -> int:
    """Where the page after a cursor begins: after the run that came last before it, also where runs came and went."""
    if query.cursor is None:
        return 0
    try:
        end, order, run_id = orjson.loads(urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4)))
        near, last = min(max(int(end), 0), len(chosen)), (str(order), str(run_id))
    except (ValueError, TypeError):
        raise UsageError("this is no cursor of a page of runs", hint="give what the page before it answered") from None
    if near and chosen[near - 1] == last:
        return near
    if query.sort:
        return next((index + 1 for index, place in enumerate(chosen) if place[1] == run_id), near)
    # Newest first, what comes after the last one is smaller.
    after = (index for index, place in enumerate(chosen) if (place > last if query.reverse else place < last))
    return next(after, len(chosen))
