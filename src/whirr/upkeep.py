"""What goes on beside training for one run: signs of life, samples of the machine, waiting rows, the capture.

All of it happens in background threads, and none of it may raise.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep

import orjson

from whirr.document import Document
from whirr.errors import warn
from whirr.folder import CONFIG, HEARTBEAT, OUTPUT, PATCH, REQUIREMENTS, SYSTEM
from whirr.gate import Gate
from whirr.jsonio import write_all, write_atomic
from whirr.metrics import MetricsWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from whirr.console import ConsoleTee
    from whirr.sampler import Sampler

CAPTURE_LIMIT = 10.0
ROUND_LIMIT = 2.0
SHORTEST_SPAN = 0.03
HEAD_START = 0.02
"""Seconds that the capture lets the training program go ahead, so that ``init`` returns at once."""


class Upkeep:
    """Heartbeat, samples, waiting rows and console output of a run.

    Args:
        folder: the run's folder; set anew when somebody renames it.
        config: the bytes of ``config.json``, to write it again should the folder be deleted.
        sample_every: seconds between two samples of the machine; None takes none.
        capture_output: copy console output to ``output.log``.
    """

    def __init__(
        self,
        folder: Path,
        metrics: MetricsWriter,
        document: Document,
        config: bytes,
        *,
        sample_every: float | None,
        capture_output: bool,
    ) -> None:
        self.folder = folder
        self._metrics = metrics
        self._document = document
        self._config = config
        self._sample_every = sample_every
        self._next_sample = 0.0
        self._sampled = False
        self._cut = False
        self._sampling_since = monotonic()
        self._sampler: Sampler | None = None
        self._console: ConsoleTee | None = None
        self._complained = False
        self._lock = threading.RLock()
        self._dropped = 0
        self.beat()
        if capture_output:
            self._tee()

    def _tee(self) -> None:
        from whirr.console import ConsoleTee

        self._console = ConsoleTee(self.folder / OUTPUT)
        self._console.start()

    def beat(self) -> None:
        """Touch the heartbeat; raises OSError when the folder is gone or cannot be written."""
        path = os.path.join(self.folder, HEARTBEAT)
        try:
            os.utime(path)
        except FileNotFoundError:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))

    @property
    def in_trouble(self) -> bool:
        """Whether something waits to be written."""
        return self._metrics.waiting > 0 or self._document.unsaved

    def tick(self) -> None:
        """One round; called by the background thread."""
        with self._lock:
            for task in (self._mend, self.beat, self._write_waiting, self._sample, self._settle_console):
                try:
                    task()
                except OSError as error:
                    self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            warn(f"{self.folder}: {error.strerror or error}; whirr goes on trying")

    def _mend(self) -> None:
        """Bring the folder back when somebody deleted it under the run: the run lives, and so do its records."""
        if not self._metrics.deleted():
            return
        self._complain(FileNotFoundError(2, "the run's folder was deleted while it runs, and is written anew"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._metrics.restore()
        write_atomic(self.folder / CONFIG, self._config)
        self._document.save()

    def _write_waiting(self) -> None:
        self._metrics.drain()
        if self._metrics.dropped != self._dropped:
            self._dropped = self._metrics.dropped
            self._document.update({"dropped_records": self._dropped})
        elif self._document.unsaved:
            self._document.save()

    def _sample(self) -> None:
        if self._sample_every is None or monotonic() < self._next_sample:
            return
        if self._sampler is None:  # rates need two samples: the first one only starts them
            self._sampler = self._begin_sampling()
            return
        sample = self._sampler.sample()
        self._sampled = True
        self._next_sample = monotonic() + self._sample_every
        if sample:
            self._append_sample(orjson.dumps(sample, option=orjson.OPT_APPEND_NEWLINE))

    def _append_sample(self, line: bytes) -> None:
        """A full disk can cut a line: the next one then begins on a line of its own."""
        path = self.folder / SYSTEM
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            write_all(handle, b"\n" + line if self._cut else line)
            self._cut = False
        except OSError:
            self._cut = True
            raise
        finally:
            os.close(handle)

    def _begin_sampling(self) -> Sampler:
        from whirr.sampler import Sampler

        sampler = Sampler(self.folder)
        sampler.sample()
        self._sampling_since = monotonic()
        return sampler

    def begin_to_close(self) -> None:
        """A run that ends before its first sample was due starts one now, while the capture still works."""
        if self._lock.acquire(blocking=False):
            try:
                if self._sampler is None:
                    self._sample()
            finally:
                self._lock.release()

    def _sample_once(self) -> None:
        sleep(max(SHORTEST_SPAN - (monotonic() - self._sampling_since), 0.0))
        self._sample()

    def _settle_console(self) -> None:
        if self._console is not None:
            self._console.flush_partial()

    def close(self, *, hurried: bool) -> None:
        """The last round: at least one sample a run, unless the process is about to be killed."""
        quiet = self._lock.acquire(timeout=ROUND_LIMIT)  # a round may hang in a driver
        try:
            self._mend()
            if quiet and self._sampler is not None and not self._sampled and not hurried:
                self._sample_once()
        except OSError as error:
            self._complain(error)
        finally:
            self._sample_every = None
            if self._console is not None:
                self._console.stop()
            if self._sampler is not None:
                self._sampler.close()
            if quiet:
                self._lock.release()


class Capture:
    """Records what the run was started from, in a thread that ends when all is on disk.

    Args:
        git: record commit, branch and uncommitted work.
        pip: record the installed packages.
        gate: keeps forks away from what happens here.
    """

    def __init__(self, folder: Path, document: Document, *, git: bool, pip: bool, gate: Gate) -> None:
        self._gate = gate
        self._folder = folder
        self._document = document
        self._tasks: list[Callable[[], None]] = [self._environment]
        if git and "git_info" not in document.content:
            with suppress(OSError):  # a working directory that is gone has no git
                from pathlib import Path

                self._working_folder = Path.cwd()
                self._tasks.append(self._git)
        if pip and not (folder / REQUIREMENTS).exists():
            self._tasks.append(self._packages)
        self._tasks.append(self._gpus)  # last: a driver that hangs costs nothing but itself
        self._go = threading.Event()
        self._thread = threading.Thread(target=self._work, name="whirr-capture", daemon=True)
        self._thread.start()

    def finish(self, patience: float) -> None:
        """Wait until all is on disk, for ``patience`` seconds at most."""
        self._go.set()
        self._thread.join(patience)

    def _work(self) -> None:
        self._go.wait(HEAD_START)
        self._deadline = monotonic() + CAPTURE_LIMIT
        for task in self._tasks:
            try:
                with self._gate:
                    task()
            except Exception as error:
                warn(f"not everything about this run's origin could be recorded: {error}")

    def _left(self) -> float:
        """Seconds left to the capture."""
        return max(self._deadline - monotonic(), 0.1)

    def _gpus(self) -> None:
        from whirr.capture import gpus

        found = self._document.content["environment"]
        devices = {**found["cuda_devices"], **gpus(self._left())}
        self._document.update({"environment": {**found, "cuda_devices": devices}})

    def _environment(self) -> None:
        from whirr.capture import environment

        self._document.update({"environment": environment(with_gpus=False)})

    def _git(self) -> None:
        from whirr.capture import git_info

        found = git_info(self._working_folder, self._folder / PATCH, limit_s=self._left())
        if found is not None:
            self._document.update({"git_info": found})

    def _packages(self) -> None:
        from whirr.capture import packages

        text = "".join(f"{line}\n" for line in packages(limit_s=self._left()))
        write_atomic(self._folder / REQUIREMENTS, text.encode("utf-8", "backslashreplace"))
