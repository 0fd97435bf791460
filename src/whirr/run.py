"""``whirr.init`` and ``Run``: what a training script sees."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from time import monotonic

from whirr import artifacts, beginning, causes, clock, session
from whirr.config import Settings
from whirr.document import Document
from whirr.endings import is_multiprocessing_child
from whirr.errors import FolderError, NoActiveRun, NotAMapping, RunFinished, warn
from whirr.folder import METRICS, is_live, read_meta, read_metrics
from whirr.metrics import MetricsWriter
from whirr.opening import open_place
from whirr.upkeep import CAPTURE_LIMIT, Capture, Upkeep
from whirr.values import as_config, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

__all__ = [
    "Run",
    "finish",
    "init",
    "log",
    "open_runs",
    "read_meta",
    "read_metrics",
    "save_artifact",
    "summary",
]

FINISH_PATIENCE = 5.0
"""Seconds that ``finish`` waits for a disk that cannot be written."""
HURRIED_PATIENCE = 1.0

_session = session.start()


class Run:
    """One tracked experiment. ``whirr.init()`` makes it; use it as a context manager or call ``finish()``.

    Args:
        name: a name for people.
        config: hyperparameters: a dict, ``argparse.Namespace``, dataclass, pydantic or attrs object, OmegaConf.
        tags: tags for organizing runs.

    Raises:
        FolderError: the run folder cannot be written.
        UsageError: ``tags`` are none, or a ``WHIRR_*`` variable has a value that means nothing.
    """

    def __init__(self, name: str | None = None, config: Any = None, tags: Iterable[str] | None = None) -> None:
        self._begin(name, config, tags)

    def _begin(
        self,
        name: str | None,
        config: Any,
        tags: Iterable[str] | None,
        *,
        system_metrics: bool = True,
        capture_git: bool = True,
        capture_pip: bool = True,
    ) -> None:
        settings = Settings.from_env()
        self._thread = threading.current_thread()
        self._lock = threading.RLock()
        self._ended = False
        self._disabled = self._told = settings.disabled
        self._metrics: MetricsWriter | None = None
        self._upkeep: Upkeep | None = None
        self._capture: Capture | None = None
        self._append = _append_nowhere
        self._config = as_config(config)
        labels = beginning.as_tags(tags)
        if self._disabled:
            self._run_id, self._folder = "disabled", None
            _session.join(self, watched=False)
            return
        place = open_place(settings, os.environ, _session.next_number())
        self._run_id, self._folder = place.run_id, place.folder
        try:
            self._metrics = None if place.rank else beginning.own_metrics(place.folder)
        except FolderError:
            place.take_back()
            raise
        if self._metrics is None:
            self._become_further_writer(f"rank{place.rank}" if place.rank else f"p{os.getpid()}")
            _session.join(self)
            return
        self._append = self._metrics.append
        try:
            start = beginning.write(place, settings, name, self._config, labels)
        except FolderError:
            self._metrics.close()
            place.take_back()
            raise
        self._config, self._document, self._started = start.config, start.document, start.monotonic
        self._upkeep = Upkeep(
            place.folder,
            self._metrics,
            self._document,
            start.config_bytes,
            sample_every=settings.system_interval if system_metrics else None,
            capture_output=settings.capture_output and settings.job_id is None,
        )
        _session.begin(self, settings.system_interval)
        self._capture = Capture(place.folder, self._document, git=capture_git, pip=capture_pip, gate=_session.gate)

    @property
    def run_id(self) -> str:
        """The run's unique id: ``local-<UTC date>-<time>-<random>``, or ``job-<id>`` in a worker."""
        return self._run_id

    @property
    def run_dir(self) -> Path:
        """The folder that holds everything about the run."""
        if self._folder is None:  # disabled: a program that writes here itself goes on working
            import tempfile
            from pathlib import Path

            self._folder = Path(tempfile.mkdtemp(prefix="whirr-disabled-"))
        return self._folder

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as given (read-only); values are the very objects that the program passed."""
        return self._config

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics. When this returns, the record survives a kill of the process.

        Args:
            metrics: names to numbers (Python, numpy, torch, jax), bools or texts. Nested mappings become
                ``a/b``; a value that cannot be kept costs its key and one warning.
            step: step or epoch; may go back.

        Raises:
            NotAMapping: (a ``TypeError``) ``metrics`` is not a mapping.
            RunFinished: (a ``RuntimeError``) the run has ended.
        """
        if not self._append(metrics, step):
            self._log_after_all(metrics, step)

    def _log_after_all(self, metrics: Mapping[str, Any], step: int | None) -> None:
        """The run's own file is not open: the run is disabled or over, or this process is a further writer."""
        if self._disabled:
            return
        self._refuse_when_over("log()")
        with self._lock:
            if self._metrics is None or self._metrics.closed:
                path = f"{self.run_dir}/{METRICS.replace('.', f'.{self._writer}.', 1)}"
                try:
                    self._metrics = MetricsWriter(path, primary=False)
                except OSError as error:
                    warn(f"{path} cannot be written ({error.strerror}): this process's records are lost")
                    return
                self._append = self._metrics.append
        self._append(metrics, step)

    def _refuse_when_over(self, what: str) -> None:
        if self._ended:
            raise RunFinished(
                f"{what} after the run {self._run_id} was finished",
                hint="call finish() last, or begin another run with whirr.init()",
            )

    def summary(self, metrics: Mapping[str, Any]) -> None:
        """Record final metrics, kept in ``meta.json`` under ``summary``; a further call adds to them.

        Raises:
            NotAMapping: (a ``TypeError``) ``metrics`` is not a mapping.
            RunFinished: (a ``RuntimeError``) the run has ended.
        """
        if self._disabled:
            return
        if not isinstance(metrics, Mapping):
            raise NotAMapping(
                f"summary() takes a mapping of names to values, not {type(metrics).__name__}",
                hint='write run.summary({"best_loss": best})',
            )
        self._refuse_when_over("summary()")
        with self._lock:
            self._follow()
            known = self._document.content.get("summary") or {}
            self._document.update({"summary": {**known, **to_plain(metrics)}})

    def save_artifact(
        self, source_path: str | os.PathLike[str], artifact_name: str | os.PathLike[str] | None = None
    ) -> Path:
        """Copy a file or folder to the run's ``artifacts/``; the same name again replaces the earlier copy.

        A folder saved again joins the earlier one: equal names are replaced, others stay. A file appears whole
        or not at all; the source is not changed. A full disk costs a warning.

        Args:
            source_path: the file or folder.
            artifact_name: its name among the artifacts, sub-folders allowed (default: the source's own name).

        Returns:
            The path of the copy.

        Raises:
            ArtifactNameError: (a ``ValueError``) the name leaves the run's folder, or no file can have it, or a file
                would take the place of a folder or a folder that of a file.
            FileNotFoundError: there is no such source.
        """
        from pathlib import Path

        source = Path(source_path)
        self._follow()
        target = artifacts.target_of(self.run_dir, source, artifact_name)
        if self._disabled:
            return target
        os.stat(source_path)  # not of ``source``: the path of no name at all is the working directory
        try:
            artifacts.save(source, target)
        except OSError as error:
            if not os.access(source, os.R_OK):
                raise
            warn(f"the artifact {target.name} is not saved: {error.strerror or error}")
        return target

    def finish(self) -> None:
        """Mark the run as completed. Safe to call again; takes a bounded time even when the disk is full."""
        self._end(None)

    def fail(self, error: BaseException) -> None:
        """Mark the run as failed by an exception that the program has caught; the exception is kept as its cause."""
        self._end(causes.of_exception(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(causes.of_exception(error) if error is not None else None)

    def _end(self, cause: dict[str, Any] | None, *, hurried: bool = False) -> None:
        """End the run: completed without a cause, else failed. Only the first call counts.

        Args:
            cause: why it failed, as ``causes`` describes it.
            hurried: the process is about to be killed: wait as little as possible.
        """
        with self._lock:
            self._ended = True
            ending = {} if self._told else self._tell(cause)
            over, self._told = self._told, True  # over also where a signal ended it while it was told
        _session.forget(self)  # not before: whoever ends the process meanwhile ends the run
        if over:
            return
        if self._capture is not None:
            if self._upkeep is not None and not hurried:
                self._upkeep.begin_to_close()
            self._capture.finish(HURRIED_PATIENCE if hurried else CAPTURE_LIMIT)
        self._close(ending, hurried)

    def _tell(self, cause: dict[str, Any] | None) -> dict[str, Any]:
        """Write how the run ends, should the process be killed while the rest is written."""
        self._follow()
        if self._upkeep is None:
            return {"cause": cause}
        ending = {"status": "failed" if cause else "completed", **self._times(), "cause": cause}
        self._document.update(ending)
        return ending

    def _times(self) -> dict[str, Any]:
        return {"finished_at": clock.stamp(), "duration_seconds": round(monotonic() - self._started, 6)}

    def _follow(self) -> None:
        """Whoever renames the folder of a live run takes the run along: the kept descriptor knows where it is."""
        if self._upkeep is None or self._metrics is None:
            return
        from pathlib import Path

        folder = Path(self._metrics.follow()).parent
        if folder != self._folder:
            self._folder = self._upkeep.folder = folder
            self._document.move(folder)

    def _close(self, ending: dict[str, Any], hurried: bool) -> None:
        if self._upkeep is not None:
            self._upkeep.close(hurried=hurried)
        lost = 0
        if self._metrics is not None:
            lost = self._metrics.close(HURRIED_PATIENCE if hurried else FINISH_PATIENCE, durable=not hurried)
        if lost:
            ending = {**ending, "dropped_records": lost}
            warn(f"run {self._run_id}: {lost} record(s) could not be written and are lost")
        if self._upkeep is not None or lost or ending["cause"] or self._document.content.get("summary"):
            self._document.end(ending, durable=not hurried)

    @property
    def _in_trouble(self) -> bool:
        """Whether something waits to be written."""
        return self._upkeep is not None and self._upkeep.in_trouble

    @property
    def _own_meta(self) -> Path | None:
        """The ``meta.json`` that this process answers for; None when another process does."""
        return None if self._upkeep is None else self._document.path

    def _tick(self) -> None:
        """One round of the background thread."""
        if self._upkeep is not None and not self._ended:
            self._follow()
            self._upkeep.tick()

    def _note(self, cause: dict[str, Any]) -> None:
        """Keep a cause that will count should the process vanish before it can end the run."""
        if self._upkeep is not None:
            self._document.update({"cause": cause})

    def _become_further_writer(self, label: str) -> None:
        """This process takes part in a run that another process keeps; files of its own are made when needed."""
        self._writer = f"{label}-{os.urandom(3).hex()}"
        self._append = _append_nowhere
        self._upkeep = self._capture = None
        path = self.run_dir / f"writer.{self._writer}.json"
        self._document = Document(path, {"pid": os.getpid(), "host": os.uname().nodename})

    def _leave_to_parent(self) -> None:
        """In a forked child: the run stays the parent's; what this process logs goes to files of its own."""
        self._lock = threading.RLock()
        if self._metrics is not None:
            self._metrics.leave_to_parent()
        if not self._disabled:
            self._become_further_writer(f"p{os.getpid()}")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """A copied model that holds its run holds the same run."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self._run_id, self._folder, dict(self._config), self._disabled, self._ended)

    def __repr__(self) -> str:
        return f"<whirr.Run {self._run_id}>"


def _append_nowhere(metrics: Mapping[str, Any], step: int | None = None) -> bool:
    return False


def _unpickle(run_id: str, folder: Path | None, config: dict[str, Any], disabled: bool, ended: bool) -> Run:
    """A run that came here by pickle.

    As the argument of a process of a live run it makes this process a further writer, and in a multiprocessing
    child, which has no run of its own, the current run. From an old checkpoint it is a run that is over.
    """
    for known in open_runs():  # every task of a pool brings the run along
        if known.run_id == run_id and known._folder == folder and not disabled:
            return known
    run = Run.__new__(Run)
    run._run_id, run._folder, run._disabled = run_id, folder, disabled
    run._ended = ended or (folder is not None and not is_live(folder))
    run._told = run._ended or disabled
    run._config = as_config(config)
    run._lock, run._thread, run._metrics = threading.RLock(), threading.current_thread(), None
    run._append = _append_nowhere
    run._upkeep = run._capture = None
    if not (run._disabled or run._ended):
        run._become_further_writer(f"p{os.getpid()}")
        if is_multiprocessing_child():
            _session.join(run)
    return run


def init(
    name: str | None = None,
    config: Any = None,
    tags: Iterable[str] | None = None,
    system_metrics: bool = True,
    capture_git: bool = True,
    capture_pip: bool = True,
) -> Run:
    """Begin a run; it is the current one of this process until it is finished or another one begins.

    Inside a whirr worker (``WHIRR_JOB_ID``) this is the job's run; else a new folder under ``.whirr/runs/``.

    Args:
        name: a name for people.
        config: hyperparameters: a dict, ``argparse.Namespace``, dataclass, pydantic or attrs object, OmegaConf.
        tags: tags for organizing runs.
        system_metrics: sample CPU, memory and GPUs every 10 seconds into ``system.jsonl``.
        capture_git: record commit, branch, remote and uncommitted work.
        capture_pip: record the installed packages in ``requirements.txt``.

    Raises:
        FolderError: (an ``OSError``) the run folder cannot be written.
        UsageError: ``tags`` are none, or a ``WHIRR_*`` variable has a value that means nothing.
    """
    run = Run.__new__(Run)
    run._begin(name, config, tags, system_metrics=system_metrics, capture_git=capture_git, capture_pip=capture_pip)
    return run


def open_runs() -> list[Run]:
    """The runs of this process that have not ended, oldest first."""
    return _session.open_runs


def _current(what: str) -> Run:
    run: Run | None = _session.current
    if run is None:
        raise NoActiveRun(f"whirr.{what}() without an active run", hint="call whirr.init() first")
    return run


def log(metrics: Mapping[str, Any], step: int | None = None) -> None:
    """``Run.log`` of the current run; raises NoActiveRun without one."""
    _current("log").log(metrics, step)


def summary(metrics: Mapping[str, Any]) -> None:
    """``Run.summary`` of the current run; raises NoActiveRun without one."""
    _current("summary").summary(metrics)


def save_artifact(source_path: str | os.PathLike[str], artifact_name: str | os.PathLike[str] | None = None) -> Path:
    """``Run.save_artifact`` of the current run; raises NoActiveRun without one."""
    return _current("save_artifact").save_artifact(source_path, artifact_name)


def finish() -> None:
    """``Run.finish`` of the current run; without one there is nothing to finish."""
    run: Run | None = _session.current
    if run is not None:
        run.finish()
