"""Killed while it copies an artifact, a process leaves no half file under the artifact's name."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import pytest
from helpers import QUICK, only_run, outputs, program, start, wait_until

import whirr

SIZE = 2**30
"""Takes long enough to copy; the source itself is all holes and takes no space."""


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize("again", [True, False], ids=["again", "first"])
def test_killed_under_way(tmp_path: Path, folder: bool, again: bool) -> None:
    source = tmp_path / "out"
    if folder:
        source.mkdir()
    part = source / "part" if folder else source
    part.write_bytes(b"old")
    script = program(
        tmp_path / "train.py",
        f"""
        import os
        import whirr
        run = whirr.init({QUICK})
        if {again}:
            run.save_artifact("out")
        os.truncate({str(part)!r}, {SIZE})
        run.save_artifact("out")
        print("copied")
        """,
    )
    process = start([sys.executable, script], cwd=tmp_path)
    runs = tmp_path / ".whirr" / "runs"

    def half_way() -> bool:
        drafts = runs.glob("*/artifacts/.*.tmp/**/*" if folder else "*/artifacts/.*.tmp")
        return any(path.is_file() and path.stat().st_size > len(b"old") for path in drafts)

    wait_until(lambda: half_way() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    stdout, stderr = outputs(process)
    if "copied" in stdout:
        pytest.skip("this file system copies in no time (it shares blocks): there is nothing to interrupt")
    assert (process.returncode, stderr) == (-signal.SIGKILL, "")

    run_dir = only_run(tmp_path)
    names = {path.name for path in (run_dir / "artifacts").iterdir()}
    assert len({name for name in names if name.startswith(".")}) == 1
    assert {name for name in names if not name.startswith(".")} == ({"out"} if again else set())
    if again:
        kept = run_dir / "artifacts" / "out"
        assert (kept / "part" if folder else kept).read_bytes() == b"old"
    assert part.stat().st_size == SIZE
    assert whirr.read_meta(run_dir)["cause"]["kind"] == "killed"
    shutil.rmtree(run_dir)
