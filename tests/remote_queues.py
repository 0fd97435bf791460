"""A server with remote workers and clients, each on its own, and the count of what they did."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from helpers import wait_until
from queues import PYTHON, TRACE, WHIRR, Queue, Worker
from servers import Served

from whirr.client import WhirrClient, WhirrClientError
from whirr.errors import Unreachable
from whirr.folder import OUTPUT, attempt_folder
from whirr.model import JobStatus, Role

WEIGHTS = "weights.bin"
LINES, PAUSE_S = 5, 0.02


class RemoteQueue(Queue):
    """A queue behind a server, whose workers are on machines with disks of their own.

    Attributes:
        server: its process.
        token: what clients have.
    """

    def __init__(self, place: Path, url: str | None = None, *options: str) -> None:
        database = ("--database-url", url) if url else ()
        self.server = Served(place, (*database, *options), {TRACE: str(place)})
        super().__init__(place, url)
        for name in ("WHIRR_DIR", "WHIRR_DATABASE_URL"):
            self.environ.pop(name, None)
        self.environ["WHIRR_TOKEN"] = self.hub.tokens.create("workers", Role.WORKER)
        self.token = self.hub.tokens.create("clients", Role.SUBMIT)

    def worker(
        self, *options: str, at: str = "", machine: str = "", prefix: Sequence[str] = (), **variables: str
    ) -> Worker:
        """Start `whirr worker --server`.

        Args:
            at: an address of the server (default: its own).
            machine: whose disk it has (default: one that no other worker has).
            prefix: of the command.
        """
        state = self.place / "machines" / (machine or str(len(self.workers)))
        command = [*prefix, *WHIRR, "worker", "--server", at or self.server.url, "--gpus", "none", *options]
        return self.run(command, XDG_STATE_HOME=str(state), **variables)

    def ready(self, *workers: Worker) -> None:
        """Wait until these workers listen."""
        for worker in workers:
            worker.says(" works for ")
        wait_until(lambda: len(self.hub.workers()) >= len(workers), 60)

    def client(self, at: str = "") -> WhirrClient:
        return WhirrClient(at or self.server.url, token=self.token)

    def command(self, lines: int = LINES, pause_s: float = PAUSE_S) -> list[str]:
        """The command of a job that writes what `arrived` can tell."""
        return [*PYTHON, str(self._job), str(self.place), "write", str(lines), str(pause_s)]

    def write(self, lines: int = LINES, pause_s: float = PAUSE_S, **about: object) -> int:
        """Submit such a job; its number."""
        return self.submit(*self.command(lines, pause_s), **about)

    def arrived(self, number: int, lines: int = LINES) -> list[str]:
        """A completed job wrote all it had to write, and every byte of that, of earlier attempts too, is here.

        Returns:
            How its attempts ended.
        """
        job, outcomes = self.job(number), self.outcomes(number)
        assert job.status is JobStatus.COMPLETED, (job, outcomes, self.said())
        folder = self.folder(number)
        self._has_output(folder, number, job.attempt, lines, whole=True)
        weights = f"attempt {job.attempt} at job {number}\n".encode() * 10000
        assert (folder / WEIGHTS).read_bytes() == weights
        started = {line.attempt for line in self.journal("start", number)}
        for attempt in range(1, job.attempt):
            if attempt in started:
                self._has_output(attempt_folder(folder, attempt), number, attempt, lines, whole=False)
        assert len(self.journal("start", number)) == len(started)
        assert len(self.journal("end", number, job.attempt)) == 1
        return [str(outcome) for outcome in outcomes]

    def _has_output(self, folder: Path, number: int, attempt: int, lines: int, *, whole: bool) -> None:
        written = (folder / OUTPUT).read_bytes()
        expected = output_of(number, attempt, lines)
        assert written == expected[: None if whole else len(written)], (number, attempt, written[-100:])

    def strays(self) -> list[str]:
        return [stray for stray in super().strays() if not stray.startswith(f"{self.server.process.pid}:")]

    def close(self) -> None:
        self.server.kill()
        super().close()


def output_of(number: int, attempt: int, lines: int) -> bytes:
    """What an attempt at a job of `RemoteQueue.write` writes."""
    return "".join(f"line {count} of attempt {attempt} at job {number}\n" for count in range(lines)).encode()


@contextmanager
def a_remote_queue(place: Path, url: str | None = None, *options: str) -> Iterator[RemoteQueue]:
    """A server's queue whose every process is ended at the end, and which was clean if nothing else was wrong."""
    queue = RemoteQueue(place, url, *options)
    try:
        yield queue
        queue.is_clean()
    finally:
        queue.close()


class Clients:
    """Users who submit a job, wait for its end, and submit the next, each in a thread.

    Attributes:
        acknowledged: the numbers of the jobs they were told of.
        ended: those of which they saw the end, and how.
    """

    def __init__(self, queue: RemoteQueue, count: int, at: str, poll_s: float) -> None:
        self.acknowledged: list[int] = []
        self.ended: dict[int, str] = {}
        self._queue, self._at, self._poll_s = queue, at, poll_s
        self._stopped = threading.Event()
        self._troubles: list[BaseException] = []
        self._threads = [threading.Thread(target=self._guarded) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def do_more(self, count: int = 1) -> None:
        """Wait until so many further jobs have been acknowledged; the next one has to come within a minute."""
        there = len(self.acknowledged)
        for goal in range(there + 1, there + count + 1):
            wait_until(lambda goal=goal: len(self.acknowledged) >= goal or self._troubles, 60)
            assert not self._troubles, self._troubles

    def stop(self) -> None:
        """Wait until each has seen the end of its last job."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(120)
        assert not self._troubles, self._troubles
        assert not any(thread.is_alive() for thread in self._threads), (self._unseen(), self._queue.said())

    def _unseen(self) -> set[int]:
        return set(self.acknowledged) - self.ended.keys()

    def _guarded(self) -> None:
        try:
            with self._queue.client(self._at) as client:
                while not self._stopped.is_set():
                    self._one(client)
        except BaseException as error:
            self._troubles.append(error)

    def _one(self, client: WhirrClient) -> None:
        number = submitted(client, self._queue.command(), str(self._queue.place))
        self.acknowledged.append(number)
        self.ended[number] = client.wait_for_job(number, poll_interval=self._poll_s)["status"]


def submitted(client: WhirrClient, command: list[str], workdir: str) -> int:
    """The number of a job that is submitted, however often that takes."""
    key = uuid.uuid4().hex
    while True:
        try:
            return int(client.submit_job(command, workdir, key=key)["job_id"])
        except WhirrClientError as error:
            if error.code != Unreachable.code:
                raise


@contextmanager
def clients(queue: RemoteQueue, count: int, at: str = "", poll_s: float = 0.1) -> Iterator[Clients]:
    """Users at work; at the end each has seen the end of its last job."""
    made = Clients(queue, count, at, poll_s)
    try:
        yield made
    finally:
        made.stop()


def counted(queue: RemoteQueue, done: Clients, *allowed: str) -> Counter[str]:
    """Every acknowledged job ran to its one right ending, no other is there, and every byte has arrived.

    Args:
        allowed: how an attempt before the last may have ended.

    Returns:
        How many attempts ended how.
    """
    numbers = sorted(done.acknowledged)
    assert len(set(numbers)) == len(numbers)
    assert [job.id for job in reversed(queue.hub.jobs())] == numbers
    wrong = {number: queue.job(number) for number in numbers if done.ended.get(number) != "completed"}
    assert not wrong, (wrong, queue.said())
    assert queue.journal("overlap") == []
    outcomes: Counter[str] = Counter()
    for number in numbers:
        found = queue.arrived(number)
        assert set(found[:-1]) <= set(allowed), (number, found)
        assert found[-1] == "completed"
        outcomes.update(found)
    return outcomes
