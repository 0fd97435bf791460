"""The GPUs of machines that are not there: a library under the real binding of NVML, described by two text files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parent.parent / "nvml" / "nvml.c"

SCRIPT = """
import json
from dataclasses import asdict
from whirr.errors import WhirrError
from whirr.gpuset import busy, inventory
try:
    print(json.dumps({"there": [asdict(gpu) for gpu in inventory()], "busy": sorted(busy())}))
except WhirrError as error:
    print(json.dumps({"code": error.code, "message": str(error), "hint": error.hint}))
"""

Machine = Callable[..., dict[str, Any]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Looks, in a process of its own, at a machine with these GPUs: ``bus processes instances``, as ``nvml.c`` says.

    ``states`` are ``ok`` unless given; without ``gpus`` no driver is loaded.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in for NVML with")
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    library = tmp_path / "lib" / "libnvidia-ml.so.1"
    library.parent.mkdir()
    subprocess.run([compiler, "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE], check=True)

    def look(*gpus: str, states: tuple[str, ...] = (), script: str = SCRIPT, **variables: str) -> dict[str, Any]:
        if gpus:
            states += ("ok",) * (len(gpus) - len(states))
            (tmp_path / "state").write_text("".join(f"{state} 0 0 81920 0 30 0\n" for state in states))
            (tmp_path / "devices").write_text("".join(f"{gpu}\n" for gpu in gpus))
        paths = {
            "LD_LIBRARY_PATH": str(library.parent),
            "NVML_STATE": str(tmp_path / "state"),
            "NVML_DEVICES": str(tmp_path / "devices"),
            "NVML_LOG": str(tmp_path / "log"),
        }
        done = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, **paths, **variables}, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return look


def test_gpus_are_numbered_in_pci_order(machine: Machine, tmp_path: Path) -> None:
    found = machine("c1 0 -", "0b 0 off", "3b 0 -")
    assert [(gpu["index"], gpu["uuid"]) for gpu in found["there"]] == [(0, "GPU-0b"), (1, "GPU-3b"), (2, "GPU-c1")]
    assert found["there"][0] == {
        "index": 0, "uuid": "GPU-0b", "name": "Stand-in 0b", "memory_mb": 81920, "mig": False,
    }  # fmt: skip
    assert (tmp_path / "log").read_text().split() == ["init", "shutdown"] * 2


def test_gpus_that_others_use_are_busy(machine: Machine) -> None:
    assert machine("01 0 -", "02 1 -", "03 20 off")["busy"] == ["GPU-02", "GPU-03"]


def test_a_gpu_that_is_split_is_there_as_its_instances(machine: Machine) -> None:
    found = machine("02 1 3", "01 0 off", "03 0 0")
    assert [(gpu["index"], gpu["uuid"], gpu["mig"]) for gpu in found["there"]] == [
        (0, "GPU-01", False), (1, "MIG-02-0", True), (1, "MIG-02-1", True), (1, "MIG-02-2", True),
    ]  # fmt: skip
    assert found["busy"] == ["MIG-02-0"]


def test_without_a_driver_there_is_none(machine: Machine, tmp_path: Path) -> None:
    assert machine() == {"there": [], "busy": []}
    shutil.rmtree(tmp_path / "lib")
    assert machine() == {"there": [], "busy": []}


@pytest.mark.parametrize("state", ["lost", "ok lost"])
def test_a_gpu_that_does_not_answer_is_told(machine: Machine, state: str, tmp_path: Path) -> None:
    found = machine("01 0 -", "02 0 -", states=tuple(state.split()))
    assert "lost" in found["message"].lower()
    assert found["hint"]
    assert (tmp_path / "log").read_text().split() == ["init", "shutdown"]


def test_a_driver_that_does_not_answer_is_not_taken_for_none(machine: Machine) -> None:
    """As after an update of the driver: its library and the part in the kernel are of two versions."""
    found = machine("01 0 -", NVML_INIT_ERROR="18")
    assert "driver does not answer" in found["message"]
    assert "--gpus none" in found["hint"]


def test_without_the_binding_the_extra_is_named(machine: Machine) -> None:
    found = machine("01 0 -", script="import sys\nsys.modules['pynvml'] = None\n" + SCRIPT)
    assert found["code"] == "missing-extra"
    assert "metrics" in found["hint"]
