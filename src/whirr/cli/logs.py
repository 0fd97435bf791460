"""``whirr logs``: what a job has written."""

from __future__ import annotations

import gc
import time
from contextlib import closing

import click

from whirr.about import ran_s
from whirr.catalog import RunFile
from whirr.cli.common import Place, duration, place_option
from whirr.cli.queue import SILENCE_EVERY_S, JobNumber, queue_of, tell_silence, why_ended
from whirr.cli.screen import clean, emit_bytes, note
from whirr.errors import NotFound, Unreachable
from whirr.folder import ATTEMPTS, META, OUTPUT
from whirr.hub import Hub
from whirr.model import Job, JobStatus
from whirr.waiting import why

BLOCK = 2**18
READ_EVERY_S = 0.1
LOOK_EVERY_S = 0.5
"""How often the state of the job is looked at while its output is followed."""


@click.command()
@click.argument("job", type=JobNumber(), metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@click.option("--tail", "-n", type=click.IntRange(min=0), metavar="N", help="Begin with the last N lines.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="K", help="This attempt (default: the last).")
@place_option
def command(job: int, follow: bool, tail: int | None, attempt: int | None, place: Place) -> None:
    """Print what a job wrote to stdout and stderr, byte for byte.

    With -f what it goes on to write is printed too, through all further attempts (with --attempt only of that one),
    until the job has ended; how it ended is said on stderr.
    """
    with queue_of(place) as hub:
        found = hub.job(job)
        if attempt is not None and attempt > found.attempt:
            raise NotFound(f"job {job} has had {_attempts(found.attempt)}", hint="whirr status ID lists them")
        if follow:
            gc.enable()
            Follower(hub, found, attempt, tail).run()
        else:
            _print(hub, found, attempt or found.attempt, tail)


def _attempts(count: int) -> str:
    return f"{count} attempt{'s' * (count != 1)}"


def _print(hub: Hub, job: Job, attempt: int, tail: int | None) -> None:
    file = open_output(hub, job, attempt) if attempt else None
    if file is None:
        if attempt and not (job.status.active and attempt == job.attempt):
            raise NotFound(
                f"there is no output of attempt {attempt} at job {job.id}", hint=f"look into {hub.run_dir(job.id)}"
            )
        _see_its_folder(hub, job)
        note(f"job {job.id} has written nothing yet: {_state(hub, job)}")
        return
    with closing(file):
        if tail is not None:
            file.seek(tail_start(file, tail))
        copy(file)


def _see_its_folder(hub: Hub, job: Job) -> None:
    try:
        hub.runs.read(job.run_id, META)
    except NotFound:
        raise NotFound(
            f"the folder of job {job.id} is gone, and its output with it: {_state(hub, job)}",
            hint=f"was {hub.run_dir(job.id)} moved or deleted?",
        ) from None


def _state(hub: Hub, job: Job) -> str:
    reason = why(hub, job)
    return f"it is {job.status}" + (f" ({reason})" if reason else "")


def open_output(hub: Hub, job: Job, attempt: int, wait_s: float = 0.0) -> RunFile | None:
    """The output of an attempt; None where there is no such file (yet)."""
    kept = f"{ATTEMPTS}/{attempt}/{OUTPUT}"
    for path in (kept, OUTPUT, kept):
        try:
            file = hub.runs.open(job.run_id, path, wait_s=wait_s)
        except NotFound:
            continue
        # The files of an attempt move when the next one begins: only now it is certain whose this one is.
        if path == kept or hub.job(job.id).attempt == attempt:
            return file
        file.close()
    return None


def tail_start(file: RunFile, lines: int) -> int:
    """Where the last lines of a file begin, found from its end."""
    end = place = file.seek(0, 2)
    if lines == 0:
        return end
    while place > 0:
        start = max(place - BLOCK, 0)
        file.seek(start)
        block = file.read(place - start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            if start + at + 1 == end:  # the newline that ends the last line
                continue
            lines -= 1
            if lines == 0:
                return start + at + 1
        place = start
    return 0


def copy(file: RunFile) -> bool:
    """Print the rest of a file; False when nobody reads it any more."""
    while block := file.read(BLOCK):
        if not emit_bytes(block):
            return False
    return True


class Follower:
    """Prints what a job writes, through its attempts, until it has ended.

    Args:
        only: the one attempt to follow; None: from the last one on.
        tail: begin with so many lines; None: with all.
    """

    def __init__(self, hub: Hub, job: Job, only: int | None, tail: int | None) -> None:
        self._hub = hub
        self._job = job
        self._only = only
        self._attempt = only or job.attempt
        self._tail = tail
        self._file: RunFile | None = None
        self._place = 0
        self._looked = self._listened = float("-inf")
        self._silent = False
        self._away = False

    def run(self) -> None:
        """Go on until the end, or until nobody reads any more."""
        if not self._attempt:
            note(f"job {self._job.id} has written nothing yet: {_state(self._hub, self._job)}")
        try:
            self._follow()
        finally:
            self._close()

    def _follow(self) -> None:
        while True:
            try:
                if self._is_last_turn():
                    return
                self._away = False
            except Unreachable as error:  # what it has is still there when it is back
                if not self._away:
                    note(f"{clean(str(error))}; trying again")
                self._away = True
            time.sleep(READ_EVERY_S)

    def _is_last_turn(self) -> bool:
        """Print what there is; whether there will be no more."""
        if time.monotonic() - self._looked >= LOOK_EVERY_S:
            self._job = self._hub.job(self._job.id)
            if self._file is None:
                self._open()
            self._looked = time.monotonic()
        if not self._silent and time.monotonic() - self._listened >= SILENCE_EVERY_S:
            self._silent = tell_silence(self._hub, self._job)
            self._listened = time.monotonic()
        if not self._copy():
            return True
        if self._job.attempt > self._attempt and self._only is None:
            self._next()
        elif self._over():
            self._tell_end()
            return True
        return False

    def _open(self) -> None:
        file = open_output(self._hub, self._job, self._attempt, wait_s=LOOK_EVERY_S) if self._attempt else None
        if file is None:
            return
        if self._tail is not None:
            self._place, self._tail = tail_start(file, self._tail), None
        file.seek(self._place)
        self._file = file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _copy(self) -> bool:
        """Print what there is; False when nobody reads it any more."""
        if self._file is None:
            return True
        try:
            return copy(self._file)
        except NotFound:  # the next attempt has begun: the file of this one lies elsewhere
            self._place = self._file.seek(0, 1)
            self._close()
            self._open()
            return self._file is None or copy(self._file)

    def _next(self) -> None:
        if self._attempt:
            note(f"-- attempt {self._attempt + 1} --")
        self._close()
        self._attempt += 1
        self._place, self._tail = 0, None
        self._open()

    def _over(self) -> bool:
        """Whether no more will come: the state was read before the file was."""
        if self._only is not None and (self._job.attempt > self._only or not self._job.status.active):
            return True
        return self._job.status.terminal

    def _tell_end(self) -> None:
        job = self._job
        if not job.status.terminal:
            note(f"-- attempt {self._attempt} has ended; job {job.id} is {job.status} --")
            return
        ran, cause = duration(ran_s(self._hub, job)), why_ended(self._hub, job)
        after = f" after {ran}" if ran and job.status is not JobStatus.CANCELLED else ""
        note(f"-- job {job.id} {job.status}{after}{f': {cause}' if cause else ''} --")
