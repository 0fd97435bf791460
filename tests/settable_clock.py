"""The wall clock that tests can set back under live processes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "faults" / "shifted_clock.c"


@pytest.fixture
def settable_clock(tmp_path: Path) -> dict[str, str]:
    """Variables for a process whose clock is set back when the file `shifted` appears."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    library = tmp_path / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(tmp_path / "shifted")}
