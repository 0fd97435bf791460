"""Where a new run lives: a folder of its own, a job's, or that of rank 0."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from whirr.config import Settings
from whirr.errors import FolderError
from whirr.jsonio import dumps, write_atomic
from whirr.opening import Place, open_place, rank_of
from whirr.process import identity

RUN_ID = re.compile(r"local-\d{8}-\d{6}-[0-9a-f]{6}")


def place(environ: dict[str, str] | None = None, nth: int = 0, patience: float = 10) -> Place:
    environ = environ or {}
    return open_place(Settings(environ), environ, nth, patience)


def begun(found: Place, **more: Any) -> None:
    """What the process that opened a place writes at once."""
    write_atomic(
        found.folder / "meta.json", dumps({"status": "running", "launch": found.launch, "process": identity(), **more})
    )


def test_a_direct_run_has_a_folder_of_its_own(workplace: Path) -> None:
    found = place()
    assert RUN_ID.fullmatch(found.run_id)
    assert found.folder == workplace / ".whirr" / "runs" / found.run_id
    assert found.folder.is_dir()
    assert (found.adopted, found.rank, found.launch) == (False, 0, None)


def test_ids_are_unique_and_sort_by_time(workplace: Path) -> None:
    ids = [place().run_id for _ in range(50)]
    assert len(set(ids)) == 50
    assert [text[:21] for text in ids] == sorted(text[:21] for text in ids)


def test_many_at_once_in_an_empty_folder(workplace: Path) -> None:
    found: list[Place] = []
    threads = [threading.Thread(target=lambda: found.append(place())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.folder for one in found}) == 16


def test_a_setting_chooses_the_folder(workplace: Path) -> None:
    found = place({"WHIRR_DIR": "elsewhere"})
    assert found.folder.parent == workplace / "elsewhere" / "runs"
    assert os.listdir(workplace) == ["elsewhere"]


@pytest.mark.parametrize("there", [True, False])
def test_a_worker_chooses_the_run_folder(workplace: Path, there: bool) -> None:
    folder = workplace / "store" / "job-7"
    if there:
        folder.mkdir(parents=True)
    found = place({"WHIRR_RUN_DIR": str(folder), "WHIRR_JOB_ID": "7", "WHIRR_RUN_ID": "the-run"})
    assert (found.folder, found.run_id, found.adopted) == (folder, "the-run", True)
    assert folder.is_dir()
    assert os.listdir(workplace) == ["store"]


def test_a_worker_that_names_the_folder_alone(workplace: Path) -> None:
    found = place({"WHIRR_RUN_DIR": "store/job-7"})
    assert (found.folder, found.run_id) == (workplace / "store" / "job-7", "job-7")


@pytest.mark.parametrize(("more", "name"), [({}, "job-7"), ({"WHIRR_RUN_ID": "r-7"}, "r-7")])
def test_a_worker_that_names_the_job_alone(workplace: Path, more: dict[str, str], name: str) -> None:
    found = place({"WHIRR_JOB_ID": "7", **more})
    assert (found.folder, found.run_id, found.adopted) == (workplace / ".whirr" / "runs" / name, name, True)
    assert (workplace / ".whirr" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("environ", [{}, {"WHIRR_RUN_DIR": "file/run"}, {"WHIRR_DIR": "file"}, {"WHIRR_JOB_ID": "1"}])
def test_a_place_that_cannot_be_made_is_one_clear_error(workplace: Path, environ: dict[str, str]) -> None:
    (workplace / "file").write_text("")
    (workplace / ".whirr").mkdir()
    (workplace / ".whirr" / "runs").write_text("")
    with pytest.raises(FolderError, match="cannot write a run") as caught:
        place(environ)
    assert caught.value.hint


def test_a_working_directory_that_is_gone_is_one_clear_error(workplace: Path) -> None:
    gone = workplace / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        with pytest.raises(FolderError, match="working directory"):
            place()
        assert place({"WHIRR_DIR": str(workplace / "w")}).folder.is_dir()
    finally:
        os.chdir(workplace)


@pytest.mark.parametrize(
    ("environ", "rank"),
    [
        ({}, None),
        ({"RANK": "0"}, 0),
        ({"RANK": "3"}, 3),
        ({"SLURM_PROCID": "2"}, 2),
        ({"OMPI_COMM_WORLD_RANK": "1"}, 1),
        ({"RANK": "x", "PMI_RANK": "4"}, 4),
        ({"RANK": "-1"}, None),
    ],
)
def test_rank(environ: dict[str, str], rank: int | None) -> None:
    assert rank_of(environ) == rank


class TestRanks:
    """All ranks of one distributed job share one run."""

    TORCH = {"MASTER_ADDR": "h", "MASTER_PORT": "29500", "WORLD_SIZE": "2"}  # noqa: RUF012 - never changed

    def test_rank_zero_begins_and_others_join(self, workplace: Path) -> None:
        first = place({**self.TORCH, "RANK": "0"})
        begun(first)
        other = place({**self.TORCH, "RANK": "1"})
        assert (first.rank, first.adopted) == (0, False)
        assert (other.folder, other.run_id, other.rank, other.adopted) == (first.folder, first.run_id, 1, True)

    def test_ranks_start_in_any_order(self, workplace: Path) -> None:
        found: list[Place] = []
        joining = threading.Thread(target=lambda: found.append(place({**self.TORCH, "RANK": "1"})))
        joining.start()
        place()
        first = place({**self.TORCH, "RANK": "0"})
        begun(first)
        joining.join()
        assert found[0].folder == first.folder

    @pytest.mark.parametrize(
        ("more", "nth", "meta"),
        [
            ({"MASTER_PORT": "29501"}, 0, {}),
            ({"TORCHELASTIC_RESTART_COUNT": "1"}, 0, {}),
            ({}, 1, {}),
            ({}, 0, {"status": "completed"}),
            ({}, 0, {"process": {**identity(), "start_ticks": 1}}),
        ],
        ids=["another job", "restarted", "the next run", "over", "killed"],
    )
    def test_another_run_is_not_joined(
        self, workplace: Path, more: dict[str, str], nth: int, meta: dict[str, Any]
    ) -> None:
        first = place({**self.TORCH, "RANK": "0"})
        begun(first, **meta)
        other = place({**self.TORCH, **more, "RANK": "1"}, nth, patience=0)
        assert (other.folder != first.folder, other.rank, other.adopted) == (True, 0, False)

    def test_slurm(self, workplace: Path) -> None:
        slurm = {"SLURM_JOB_ID": "9", "SLURM_STEP_ID": "0"}
        first = place({**slurm, "SLURM_PROCID": "0"})
        begun(first)
        assert place({**slurm, "SLURM_PROCID": "1"}).folder == first.folder

    def test_broken_folders_are_passed_over(self, workplace: Path) -> None:
        first = place({**self.TORCH, "RANK": "0"})
        begun(first)
        for text in ("", "[]", "17", "{"):
            (place().folder / "meta.json").write_text(text)
        assert place({**self.TORCH, "RANK": "1"}).folder == first.folder
