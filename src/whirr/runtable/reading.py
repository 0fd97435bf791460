"""Keeps the rows up to date, in a thread that runs only while somebody asks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from itertools import islice
from time import monotonic

from whirr.catalog import NOTHING, RunView
from whirr.derive import signature_of
from whirr.errors import WhirrError
from whirr.folder import judge
from whirr.index import Logged, RunIndex
from whirr.pack import Packed
from whirr.roster import Roster
from whirr.runtable.rows import Rows
from whirr.runtable.views import Reading

LOOK_EVERY_S, REST = 0.5, 5
"""A look at the runs is not older than this when somebody asks, or than so many times as long as a look takes."""

BATCH, SMALL_BATCH = 500, 100
LIVE = frozenset(("queued", "running", "cancelling"))
"""What the documents of a run say that is yet to change."""

REST_S = 3.0
"""Between two runs of which very much has to be read: others need the machine, too."""

AGAIN = 100
"""So many runs that have ended are looked at at each look, one after the other: what they logged may come late."""


class Reader:
    """See the module.

    Args:
        look_every_s: as ``LOOK_EVERY_S``.
        rest_s: as ``REST_S``.

    Attributes:
        rows: what it keeps up to date; for those who hold ``lock``.
        version: counts the changes of the rows.
    """

    def __init__(
        self, index: RunIndex, roster: Roster, *, look_every_s: float = LOOK_EVERY_S, rest_s: float = REST_S
    ) -> None:
        self._index, self._roster = index, roster
        self._look_every_s, self._rest_s = look_every_s, rest_s
        self.rows = Rows(self.view)
        self.lock = threading.Lock()
        self.version = 0
        self._changing = threading.Condition()
        self._thread: threading.Thread | None = None
        self._looking = False
        self._asked = self._looks = self._every = self._place = 0
        self._look_at = float("-inf")
        self._patient_until = 0.0
        self._error: WhirrError | None = None
        self._packs: dict[str, Packed] = {}
        self._signatures: dict[str, int] = {}
        self._live: dict[str, str] = {}
        self._due: dict[str, None] = {}
        self._deep: dict[str, None] = {}

    # For those who ask

    def refresh(self, wait_s: float, first_wait_s: float) -> None:
        """See that the rows are as fresh as they should be; where that takes longer, go on with what there is.

        Args:
            wait_s: seconds to wait for a look at most.
            first_wait_s: so many seconds after the first question it is also waited until all is read.

        Raises:
            FolderError: the runs cannot be read.
        """
        with self._changing:
            now = monotonic()
            self._patient_until = self._patient_until or now + first_wait_s
            if now >= self._look_at:
                wanted = self._ask()
                self._changing.wait_for(lambda: self._looks >= wanted, wait_s)
            if self._thread is not None:
                self._changing.wait_for(
                    lambda: not self._due and self._looks, max(self._patient_until - monotonic(), 0)
                )
            if self._error is not None:
                raise self._error.with_traceback(None)

    def verify(self, run_ids: Sequence[str], wait_s: float) -> bool:
        """Look closely at some runs; whether anything had changed, which then has been taken in."""
        changed = [run_id for run_id in run_ids if self._has_changed(run_id)]
        if changed:
            with self._changing:
                wanted = self._ask()
                self._changing.wait_for(lambda: self._looks >= wanted, wait_s)
        return bool(changed)

    def settle(self, wait_s: float) -> bool:
        """Wait until all there is has been read; whether it was."""
        with self._changing:
            wanted = self._ask()
            return self._changing.wait_for(lambda: self._looks >= wanted and not self._due and not self._deep, wait_s)

    def _ask(self) -> int:
        """Have a look begun; the number of looks when it is done."""
        self._asked = max(self._asked, self._looks + self._looking + 1)
        self._changing.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="whirr-runtable", daemon=True)
            self._thread.start()
        return self._asked

    @property
    def progress(self) -> Reading | None:
        """How many runs have been read, of how many; None: all there are, and their values."""
        there, read = max(self._every, len(self._packs)), len(self._packs) - len(self._due)
        return None if self._looks and read >= there else Reading(read, there)

    def view(self, run_id: str, *, record: bool, metrics: bool) -> RunView:
        """A run as it was read last, or a part of that."""
        found = self._index.remembered(run_id) if record else NOTHING
        return RunView(run_id, "", found, self._index.remembered_metrics(run_id) if metrics else NOTHING)

    # The thread

    def _work(self) -> None:
        try:
            while self._goes_on():
                began = monotonic()
                try:
                    self._look()
                    self._error = None
                except WhirrError as error:  # whoever asks is told
                    self._error = error
                with self._changing:
                    self._looks += 1
                    self._looking = False
                    self._look_at = monotonic() + max(self._look_every_s, REST * (monotonic() - began))
                    self._changing.notify_all()
                self._read_on()
        finally:
            with self._changing:
                if (
                    self._thread is threading.current_thread()
                ):  # something broke: the next one who asks has it tried anew
                    self._thread, self._looking = None, False
                self._changing.notify_all()

    def _goes_on(self) -> bool:
        with self._changing:
            self._looking = self._asked > self._looks
            if not self._looking:
                self._thread = None
            return self._looking

    def _read_on(self) -> None:
        """Read what runs have logged, until all is read or somebody asks for another look."""
        while self._due and self._asked <= self._looks:
            self._read_metrics(list(islice(self._due, SMALL_BATCH)))
        with self._changing:
            self._changing.notify_all()
        self._roster.keep()
        while self._deep and not self._due:
            with self._changing:
                self._changing.notify_all()
                if self._changing.wait_for(lambda: self._asked > self._looks, self._rest_s):
                    return
            run_id = next(iter(self._deep))
            self._put_metrics([(run_id, self._index.logged(self._index.entry(run_id)))])
            self._deep.pop(run_id, None)
        with self._changing:
            self._changing.notify_all()

    def _look(self) -> None:
        """Take in what changed: all documents, and what those have logged that may log."""
        run_ids = [run_id for _, run_id in self._roster.order(whole=True)]
        self._every = len(run_ids)
        packs = self._packs
        for run_id in [*self._live, *self._some(run_ids)]:
            if run_id in packs:
                self._has_changed(run_id)  # has the index read it anew
                if signature_of(self._path(run_id)) != self._signatures.get(run_id):
                    self._due[run_id] = None
        changed = [run_id for run_id in run_ids if self._differs(run_id)]
        changed += [run_id for run_id in self._live if self._is_judged_anew(run_id)]
        if gone := packs.keys() - set(run_ids):
            self._forget(gone, run_ids)
        for start in range(0, len(changed), BATCH):
            self._take_in(changed[start : start + BATCH], run_ids)
        if len(self._due) <= SMALL_BATCH:
            self._read_metrics(list(self._due))

    def _differs(self, run_id: str) -> bool:
        """Whether the index has another record of a run than the rows; one that says the same is none."""
        packed, known = self._index.packed(run_id), self._packs.get(run_id)
        if packed is None or packed is known:
            return False
        if known is not None and packed.data == known.data:
            self._packs[run_id] = packed
            return False
        return True

    def _some(self, run_ids: Sequence[str]) -> Sequence[str]:
        """The next ones of all, one look after the other."""
        start = self._place if self._place < len(run_ids) else 0
        self._place = start + AGAIN
        return run_ids[start : self._place]

    def _has_changed(self, run_id: str) -> bool:
        """Whether the documents of a run are not those that the rows have."""
        packed, known = self._index.packed(run_id), self._packs.get(run_id)
        if packed is not None and packed is known:
            self._index.record(run_id, packed.data)  # reads it anew where a document was changed in place
            packed = self._index.packed(run_id)
        return packed is not known

    def _is_judged_anew(self, run_id: str) -> bool:
        packed = self._packs.get(run_id)
        return packed is not None and self._record(run_id, packed)[0].get("status") != self._live[run_id]

    def _record(self, run_id: str, packed: Packed) -> tuple[dict[str, object], bool]:
        """A record as judged now, and whether its own word is that it may log."""
        record = self._index.record(run_id, packed.data)
        said = record.get("status")
        return judge(record, self._index.folder / run_id) if said == "running" else record, said in LIVE

    def _take_in(self, run_ids: Sequence[str], order: Sequence[str]) -> None:
        """Take in the records of runs."""
        runs = []
        for run_id in run_ids:
            if (packed := self._index.packed(run_id)) is None:
                continue
            record, live = self._record(run_id, packed)
            runs.append(RunView(run_id, self._path(run_id), record, NOTHING))
            if run_id not in self._packs:
                self._due[run_id] = None
            self._packs[run_id] = self._index.packed(run_id) or packed
            self._live.pop(run_id, None)
            if live:
                self._live[run_id] = str(record.get("status"))
        with self.lock:
            self.rows.put(runs, metrics=False)
            self.rows.arrange(order)
            self.version += 1

    def _read_metrics(self, run_ids: Sequence[str]) -> None:
        if run_ids:
            self._put_metrics([(run_id, self._glance(run_id)) for run_id in run_ids])
        for run_id in run_ids:
            self._due.pop(run_id, None)

    def _glance(self, run_id: str) -> Logged:
        """What a run has logged, in bounded time; where that is not all of it, it is read in full later."""
        signature = self._signatures[run_id] = signature_of(self._path(run_id))
        if self._index.has_read(run_id, signature):
            return Logged(self._index.remembered_metrics(run_id), [])
        if self._index.lacks_much(run_id):
            self._deep[run_id] = None
        return self._index.glance(self._index.entry(run_id))

    def _put_metrics(self, found: Iterable[tuple[str, Logged]]) -> None:
        runs = [RunView(run_id, "", NOTHING, logged.metrics) for run_id, logged in found if run_id in self._packs]
        with self.lock:
            self.rows.put(runs, metrics=True)
            self.version += 1

    def _forget(self, gone: set[str], order: Sequence[str]) -> None:
        with self.lock:
            self.rows.remove(gone)
            self.rows.arrange(order)
            self.version += 1
        for run_id in gone:
            self._packs.pop(run_id, None)
            self._signatures.pop(run_id, None)
            for names in (self._due, self._deep):
                names.pop(run_id, None)
            self._live.pop(run_id, None)

    def _path(self, run_id: str) -> str:
        return os.fspath(self._index.folder / run_id)
