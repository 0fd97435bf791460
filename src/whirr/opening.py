"""Where a new run lives: its own folder, the folder of a worker's job, or the run of rank 0."""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import monotonic, sleep

from whirr import clock, process
from whirr.config import Settings
from whirr.folder import META, RUNS, cannot_write, find_root, judge, make_root
from whirr.jsonio import read_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

RANK_VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
LAUNCH_VARIABLES = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "PMIX_NAMESPACE")
RANK_ZERO_WAIT = 10.0
NEWEST = 20


class Place:
    """Where a run lives and how this process takes part in it.

    Attributes:
        folder: the run folder; it exists.
        run_id: the run's id.
        adopted: somebody else (a worker, rank 0) made the folder.
        rank: this process's rank; 0 outside distributed jobs.
        launch: what the ranks of one distributed job have in common, or None.
    """

    def __init__(self, folder: Path, run_id: str, *, adopted: bool, rank: int, launch: str | None) -> None:
        self.folder = folder
        self.run_id = run_id
        self.adopted = adopted
        self.rank = rank
        self.launch = launch

    def take_back(self) -> None:
        """Delete the folder that was made for a run that cannot begin; a half-made run is none."""
        if not self.adopted:
            import shutil

            shutil.rmtree(self.folder, ignore_errors=True)


def open_place(settings: Settings, environ: Mapping[str, str], nth: int, patience: float = RANK_ZERO_WAIT) -> Place:
    """The place of a run that begins now; makes its folder.

    Args:
        nth: how many runs this process began before, so that the ranks' n-th runs find each other.
        patience: seconds that a rank above 0 waits for the run of rank 0.

    Raises:
        FolderError: the folder cannot be made.
    """
    rank = rank_of(environ)
    job_folder = _job_folder(settings)
    if job_folder is not None:
        if not settings.run_dir:
            make_root(job_folder.parent.parent)
        try:
            job_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(job_folder, error) from None
        run_id = settings.run_id or job_folder.name
        return Place(job_folder, run_id, adopted=True, rank=rank or 0, launch=None)
    root = find_root(settings)
    launch = None if rank is None else f"{_launch(environ)}#{nth}"
    if rank and launch:
        found = _run_of_rank_zero(root, launch, patience)
        if found is not None:
            return Place(found, found.name, adopted=True, rank=rank, launch=launch)
    make_root(root)
    folder = _new_folder(root)
    return Place(folder, folder.name, adopted=False, rank=0, launch=launch)


def _job_folder(settings: Settings) -> Path | None:
    if settings.run_dir:
        from pathlib import Path

        return Path(os.path.abspath(settings.run_dir))
    if settings.job_id or settings.run_id:
        return find_root(settings) / RUNS / (settings.run_id or f"job-{settings.job_id}")
    return None


def _new_folder(root: Path) -> Path:
    while True:
        moment = clock.now().strftime("%Y%m%d-%H%M%S")
        folder = root / RUNS / f"local-{moment}-{os.urandom(3).hex()}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(root, error) from None
        return folder


def rank_of(environ: Mapping[str, str]) -> int | None:
    """This process's rank in a distributed job (torchrun, Slurm, MPI), or None outside one."""
    for name in RANK_VARIABLES:
        text = environ.get(name, "")
        if text.isdecimal():
            return int(text)
    return None


def _launch(environ: Mapping[str, str]) -> str:
    """What all ranks of one job share and no other job has."""
    restart = environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if "SLURM_STEP_ID" in environ:
        return f"slurm-{environ.get('SLURM_JOB_ID')}-{environ['SLURM_STEP_ID']}-{restart}"
    shared = [environ[name] for name in LAUNCH_VARIABLES if name in environ]
    if environ.get("GROUP_WORLD_SIZE", "1") not in ("0", "1"):  # torchrun on several machines
        return "-".join([*shared, restart])
    parent = os.getppid()
    started = process.start_ticks(parent)
    return "-".join([*shared, os.uname().nodename, str(parent), str(started), restart])


def _run_of_rank_zero(root: Path, launch: str, patience: float) -> Path | None:
    """The folder of the live run that rank 0 of the same job began; waits for it, as ranks start in any order."""
    deadline = monotonic() + patience
    while True:
        for folder in _newest(root / RUNS):
            if _is_run_of(folder, launch):
                return folder
        if monotonic() > deadline:
            return None
        sleep(0.02)


def _newest(runs: Path) -> list[Path]:
    try:
        names = sorted((name for name in os.listdir(runs) if name.startswith("local-")), reverse=True)
    except OSError:
        return []
    return [runs / name for name in names[:NEWEST]]


def _is_run_of(folder: Path, launch: str) -> bool:
    try:
        meta: Any = read_document(folder / META)
    except (OSError, ValueError):
        return False
    if not isinstance(meta, dict) or meta.get("launch") != launch:
        return False
    return judge(meta, folder).get("status") == "running" or _ended_in_our_time(meta)


def _ended_in_our_time(meta: dict[str, Any]) -> bool:
    """Whether a run ended after this process started: not the run of an earlier command of the same parent."""
    started = process.started(os.getpid())
    try:
        return started is not None and clock.epoch(meta["finished_at"]) > started
    except (KeyError, TypeError, ValueError):
        return False
