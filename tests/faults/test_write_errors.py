"""Write errors that the kernel reports: EIO injected into the metrics file's own system calls."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ending_cases import PYTHON
from helpers import QUICK, outputs, program, start, stored_meta

import whirr

LOGS = f"""
import warnings
import whirr
warnings.simplefilter("ignore", whirr.WhirrWarning)
run = whirr.init({QUICK})
for n in range(200):
    run.log({{"n": n}}, step=n)
run.finish()
print("done")
"""


def injected(place: Path, *injections: str) -> tuple[list[int], dict[str, Any]]:
    """Run a training program whose metrics file has `injections`; the rows that are there, and `meta.json`."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if subprocess.run([strace, "-qq", "true"], capture_output=True, check=False).returncode:
        pytest.skip("processes cannot be traced here")
    folder = place / "run"
    script = program(place / "train.py", LOGS)
    watched = ["-f", "-qq", "-o", place / "trace", "-P", folder / "metrics.jsonl"]
    words = [word for injection in injections for word in ("-e", f"inject={injection}")]
    folder.mkdir()
    (folder / "metrics.jsonl").touch()  # strace knows a path once it exists
    process = start([strace, *watched, *words, *PYTHON, script], place, WHIRR_RUN_DIR=str(folder))
    out, err = outputs(process)
    assert (process.returncode, out) == (0, "done\n"), err
    assert "(INJECTED)" in (place / "trace").read_text()
    return [record["n"] for record in whirr.read_metrics(folder)], stored_meta(folder)


@pytest.mark.parametrize(
    "injection",
    [f"write:error={text}" for text in ("EIO:when=4..6", "EIO:when=4+3", "ENOSPC:when=4..9", "EIO:when=1")],
)
def test_errors_that_pass(injection: str, tmp_path: Path) -> None:
    rows, meta = injected(tmp_path, injection)
    assert rows == list(range(200))
    assert (meta["status"], meta["cause"], meta.get("dropped_records")) == ("completed", None, None)


def test_a_file_that_can_never_be_written_again(tmp_path: Path) -> None:
    rows, meta = injected(tmp_path, "write:error=EIO:when=4+")
    assert rows == [0, 1, 2]
    assert (meta["status"], meta["dropped_records"]) == ("completed", 197)


def test_a_disk_that_cannot_be_synced(tmp_path: Path) -> None:
    rows, meta = injected(tmp_path, "fsync,fdatasync:error=EIO")
    assert rows == list(range(200))
    assert meta["status"] == "completed"


def test_writes_that_stop_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """A limit on the size of files: the kernel writes the part that fits, then refuses."""
    limit = 4321
    script = program(
        tmp_path / "train.py",
        f"""
        import resource, signal, warnings
        import whirr
        warnings.simplefilter("ignore", whirr.WhirrWarning)
        run = whirr.init({QUICK})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, hard))
        for n in range(100):
            run.log({{"n": n}}, step=n)
        torn = (run.run_dir / "metrics.jsonl").read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        run.finish()
        print(len(torn), torn.endswith(b"\\n"))
        """,
    )
    process = start([*PYTHON, script], tmp_path, WHIRR_RUN_DIR=str(tmp_path / "run"))
    out, err = outputs(process)
    assert (process.returncode, out) == (0, f"{limit} False\n"), err
    assert [record["n"] for record in whirr.read_metrics(tmp_path / "run")] == list(range(100))
    assert os.path.getsize(tmp_path / "run/metrics.jsonl") > limit
