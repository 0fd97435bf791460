"""A queue with real workers: started and killed as processes, with jobs that keep a journal of their own lives."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import program, wait_until

from whirr.connect import open_hub
from whirr.executors.supervisor import Process, descendants, lookup, processes
from whirr.folder import read_meta
from whirr.local import LocalHub
from whirr.model import Attempt, Job, JobSpec, JobStatus

WHIRR = [sys.executable, "-c", "from whirr.cli import main; main()"]
PYTHON = [sys.executable, "-I", "-S"]
TRACE = "QUEUE_UNDER_TEST"
"""The variable that workers, supervisors and jobs inherit, so that the last of them can be found."""

JOB = """
import fcntl, os, signal, sys, time

place, kind, *words = sys.argv[1:]
number, attempt = os.environ["WHIRR_JOB_ID"], os.environ["WHIRR_ATTEMPT"]
journal = os.open(place + "/journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

def note(what):
    os.write(journal, f"{what} {number} {attempt} {os.getpid()} {os.getppid()}\\n".encode())

# Whatever descends from this process holds the lock too, other programs included.
alone = os.open(f"{place}/job-{number}.alone", os.O_RDWR | os.O_CREAT, 0o644)
os.set_inheritable(alone, True)
try:
    fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("overlap")
    sys.exit(99)

def stay():
    while True:
        time.sleep(1000)

def deaf():
    for deadly in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(deadly, signal.SIG_IGN)

def other():
    "Another program, without the environment by which it could be found."
    deaf()
    os.setsid()
    os.execve("/bin/sleep", [place, "1000"], {})

def daemon():
    os.setsid()
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)

def hidden():
    "A daemon that is another program: it has no environment, and no descriptor of the output."
    daemon()
    other()

ways = {"plain": lambda: None, "nohup": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN), "deaf": deaf,
        "setsid": os.setsid, "daemon": daemon, "other": other, "hidden": hidden}

def bear(*kinds):
    for name in kinds:
        if not os.fork():
            ways[name]()
            stay()

def until(name):
    while not os.path.exists(f"{place}/{name}"):
        time.sleep(0.02)

note("start")
if kind == "sleep":  # seconds, kinds of children
    bear(*words[1:])
    time.sleep(float(words[0]))
elif kind == "until":  # name of a file, kinds of children
    bear(*words[1:])
    note("ready")
    until(words[0])
elif kind == "first":  # the first attempt stays until it is ended
    if attempt == "1":
        bear(*words)
        note("ready")
        stay()
elif kind == "exit":  # an exit code for each attempt
    note("end")
    sys.exit(int(words[min(int(attempt), len(words)) - 1]))
elif kind == "write":  # a number of lines, seconds between two; a file of its own at the end
    for count in range(int(words[0])):
        os.write(1, f"line {count} of attempt {attempt} at job {number}\\n".encode())
        time.sleep(float(words[1]))
    with open(os.environ["WHIRR_RUN_DIR"] + "/weights.bin", "wb") as file:
        file.write(f"attempt {attempt} at job {number}\\n".encode() * 10000)
elif kind == "kill":  # kills its worker
    parent = os.getppid()
    with open(f"/proc/{parent}/stat") as file:
        os.kill(int(file.read().rpartition(")")[2].split()[1]), signal.SIGKILL)
    stay()
note("end")
"""


PARTS = """
import json, os, sys
from pathlib import Path
from whirr.connect import open_hub
from whirr.executors.process import ProcessExecutor
from whirr.gpuset import Gpu
from whirr.worker import Options, Worker

words = json.loads(sys.argv[1])
gpus = tuple(Gpu(number, f"GPU-{number}", "a GPU", 80000, words["mig"]) for number in range(words["gpus"]))
hub = open_hub(Path(os.environ["WHIRR_DIR"]))
executor = ProcessExecutor(python=words["python"])
executor.adopt_orphans()
options = Options("parts", slots=words["slots"], gpus=gpus, drain=True)
Worker(hub, executor, options, hub.queue, os.environ, lambda text: print(text, file=sys.stderr, flush=True)).run()
hub.close()
"""


@dataclass(frozen=True)
class Line:
    """A line of the journal: what an attempt says of itself."""

    what: str
    job: int
    attempt: int
    pid: int
    supervisor: int


class Worker:
    """A worker as a process of its own."""

    def __init__(self, command: list[str], environ: dict[str, str], log: Path, cwd: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                cwd=cwd,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        """All it has said so far."""
        return self.log.read_text()

    def says(self, text: str, timeout: float = 60) -> None:
        """Wait until it has said this."""
        wait_until(lambda: text in self.said() or self._lives(text), timeout)

    def _lives(self, text: str) -> bool:
        assert self.process.poll() is None, f"ended without saying {text!r}: {self.said()}"
        return False

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self.process.kill()
        self.process.wait(30)

    def ends(self, timeout: float = 60, *, code: int = 0) -> str:
        """Wait until it ends in order, with this exit code; what it said."""
        try:
            found = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.said()}") from None
        assert found == code, (found, self.said())
        assert "Traceback" not in self.said(), self.said()
        return self.said()


class Queue:
    """A queue in a folder and, where there is a `url`, a PostgreSQL database."""

    def __init__(self, place: Path, url: str | None = None) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place, self.url = place, url
        self.hub: LocalHub = open_hub(place / ".whirr", url)
        self.environ = {**os.environ, TRACE: str(place), "WHIRR_DIR": str(self.hub.root)}
        self.environ |= {"WHIRR_DATABASE_URL": url} if url else {}
        self.workers: list[Worker] = []
        self._numbers = itertools.count(1)
        self._job = program(place / "job.py", JOB)

    def submit(self, *argv: str | Path, **about: Any) -> int:
        """Submit a command that ends soon when it is stopped; its number."""
        about = {"workdir": str(self.place), "grace_s": 0.3, **about}
        return self.hub.submit(JobSpec(tuple(map(str, argv)), **about)).id

    def record(self, kind: str, *words: object, **about: Any) -> int:
        """Submit a job that keeps the journal, see JOB; its number."""
        return self.submit(*PYTHON, self._job, self.place, kind, *map(str, words), **about)

    def worker(self, *options: str, **variables: str) -> Worker:
        """Start `whirr worker`."""
        return self.run([*WHIRR, "worker", *options], **variables)

    def worker_of_parts(
        self, gpus: int = 0, slots: int = 1, *, mig: bool = False, python: str = sys.executable
    ) -> Worker:
        """Start a worker that drains the queue, with GPUs that the machine need not have, or another Python."""
        script = program(self.place / "parts.py", PARTS)
        words = json.dumps({"gpus": gpus, "slots": slots, "mig": mig, "python": python})
        return self.run([sys.executable, str(script), words])

    def run(self, command: list[str], **variables: str) -> Worker:
        """Start a worker by this command."""
        log = self.place / f"worker-{next(self._numbers)}.log"
        self.workers.append(Worker(command, {**self.environ, **variables}, log, self.place))
        return self.workers[-1]

    def worker_of(self, job: Job) -> Worker | None:
        """The worker that has a job now."""
        pids = {info.id: info.process["pid"] for info in self.hub.workers()}
        return next((worker for worker in self.workers if worker.pid == pids.get(job.worker or "")), None)

    def job(self, number: int) -> Job:
        return self.hub.job(number)

    def attempts(self, number: int) -> list[Attempt]:
        return self.hub.attempts(number)

    def outcomes(self, number: int) -> list[str | None]:
        """How the attempts at a job ended."""
        return [attempt.outcome for attempt in self.attempts(number)]

    def folder(self, number: int) -> Path:
        return self.hub.run_dir(number)

    def meta(self, number: int) -> dict[str, Any]:
        return read_meta(self.folder(number))

    def output(self, number: int) -> str:
        return (self.folder(number) / "output.log").read_text()

    def becomes(self, number: int, status: JobStatus, timeout: float = 60) -> Job:
        """Wait until a job is in a state; another terminal one fails the test."""

        def look() -> Job | None:
            job = self.job(number)
            if job.status is status:
                return job
            assert not job.status.terminal, (job, self.said())
            return None

        try:
            return wait_until(look, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.job(number)}, {self.attempts(number)}, {self.said()}") from None

    def completes(self, *numbers: int, timeout: float = 60) -> None:
        for number in numbers:
            self.becomes(number, JobStatus.COMPLETED, timeout)

    def said(self) -> str:
        """What all workers said, for messages."""
        return "\n".join(f"{worker.log.name}: {worker.said()}" for worker in self.workers)

    def journal(self, what: str = "", job: int = 0, attempt: int = 0) -> list[Line]:
        """The lines of the journal that say `what`, of one job or attempt where that is named."""
        path = self.place / "journal"
        words = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        found = [Line(word, *map(int, numbers)) for word, *numbers in words]
        return [
            line for line in found if what in ("", line.what) and job in (0, line.job) and attempt in (0, line.attempt)
        ]

    def tells(self, what: str, job: int, attempt: int = 1) -> Line:
        """Wait for a line of the journal."""
        try:
            return wait_until(lambda: self.journal(what, job, attempt), 60)[0]
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.job(job)}, {self.attempts(job)}, {self.said()}") from None

    def let(self, name: str) -> None:
        """Let the jobs go on that wait for this file."""
        (self.place / name).touch()

    def processes(self) -> list[Process]:
        """Every process of this queue: those of jobs, supervisors, and workers."""
        own = {os.getpid(), os.getppid()}
        trace = os.fsencode(str(self.place))
        return [found for found in processes() if found.pid not in own and not found.ended and _has(found.pid, trace)]

    def strays(self) -> list[str]:
        """The processes that are neither workers nor supervisors."""
        workers = {worker.pid for worker in self.workers}
        found = [each for each in self.processes() if each.pid not in workers and not _is_supervisor(each)]
        return [f"{each.pid}: {_command(each.pid)!r}" for each in found if _lives(each)]

    def is_clean(self) -> None:
        """What must hold when no job runs: none ran beside itself, and nothing is left of any."""
        assert self.journal("overlap") == [], self.said()
        assert self.strays() == [], self.said()
        workers = {worker.pid for worker in self.workers if worker.process.poll() is None}
        # The supervisor of a worker that is gone ends by itself, a moment later.
        wait_until(lambda: all(each.parent in workers for each in self.processes() if _is_supervisor(each)), 30)

    def close(self) -> None:
        """End every process."""
        for worker in self.workers:
            below = descendants(worker.pid) if worker.process.poll() is None else []
            worker.kill()
            for process in below:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

        def none_left() -> bool:
            left = self.processes()
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            return not left

        wait_until(none_left, 30)
        self.hub.close()


def _has(pid: int, trace: bytes) -> bool:
    try:
        return trace in _command(pid) or trace in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_supervisor(process: Process) -> bool:
    return b"whirr-supervisor" in _command(process.pid)


def _lives(process: Process) -> bool:
    """Whether it is still there, and not a zombie; a moment ago it was."""
    now = lookup(process.pid)
    return now is not None and now.key == process.key and not now.ended


def whirr(queue: Queue, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of whirr on the queue."""
    command = [*WHIRR, *words]
    return subprocess.run(command, env=queue.environ, cwd=queue.place, capture_output=True, text=True, timeout=60)


@contextmanager
def a_queue(place: Path, url: str | None = None) -> Iterator[Queue]:
    """A queue whose every process is ended at the end, and which was clean if nothing else was wrong."""
    queue = Queue(place, url)
    try:
        yield queue
        queue.is_clean()
    finally:
        queue.close()


def told(queue: Queue, number: int) -> Any:
    """The JSON that a job printed."""
    return json.loads(queue.output(number))
