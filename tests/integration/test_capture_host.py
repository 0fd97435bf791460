"""GPUs as NVML and nvidia-smi report them, and the command as really started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from whirr.capture import gpus

NVML = r"""
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory;
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned f) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *out, unsigned n) { strncpy(out, "550.1", n); return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = (void *)(unsigned long)(i + 1); return 0; }
int nvmlDeviceGetName(void *d, char *out, unsigned n) { strncpy(out, "Toy GPU", n); return 0; }
int nvmlDeviceGetUUID(void *d, char *out, unsigned n) { strcpy(out, "GPU-0"); out[4] += (long)d; return 0; }
int nvmlDeviceGetMemoryInfo(void *d, memory *m) { m->total = 1 << 30; return d == (void *)2 ? 3 : 0; }
"""
SMI = """#!/bin/sh
echo "0, Toy GPU, GPU-1, 24576, 550.1"
echo "1, Toy GPU, GPU-2, [N/A], 550.1"
"""


def ask(**env: str) -> dict[str, Any]:
    code = "import json; from whirr.capture import environment; print(json.dumps(environment(limit_s=1.5)))"
    argv = [sys.executable, "-c", code, "--token", "hunter2"]
    done = subprocess.run(argv, env=os.environ | env, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def tool(folder: Path, script: str) -> str:
    (folder / "nvidia-smi").write_text(script)
    (folder / "nvidia-smi").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


needs_no_gpu = pytest.mark.skipif(gpus()["gpus"] is not None, reason="this machine has GPUs of its own")


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_gpus_by_nvml(tmp_path: Path) -> None:
    pytest.importorskip("pynvml")
    (tmp_path / "nvml.c").write_text(NVML)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-w", "-shared", "-fPIC", "-o", library, tmp_path / "nvml.c"], check=True)
    found = ask(LD_LIBRARY_PATH=str(tmp_path), CUDA_VISIBLE_DEVICES="1")["cuda_devices"]
    one = {"name": "Toy GPU", "memory_total_bytes": 1 << 30}
    two = {"name": "Toy GPU", "memory_total_bytes": None}
    assert found == {
        "visible": "1",
        "driver": "550.1",
        "gpus": [{"index": 0, "uuid": "GPU-1"} | one, {"index": 1, "uuid": "GPU-2"} | two],
    }


@needs_no_gpu
def test_gpus_by_nvidia_smi(tmp_path: Path) -> None:
    found = ask(PATH=tool(tmp_path, SMI))["cuda_devices"]
    assert found["driver"] == "550.1"
    assert [(g["uuid"], g["memory_total_bytes"]) for g in found["gpus"]] == [
        ("GPU-1", 24 << 30),
        ("GPU-2", None),
    ]


@needs_no_gpu
@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\nsleep 600\n", "#!/bin/sh\necho what\n"])
def test_a_broken_nvidia_smi_costs_only_the_gpus(tmp_path: Path, script: str) -> None:
    found = ask(PATH=tool(tmp_path, script))
    assert found["cuda_devices"]["gpus"] is None
    assert found["host"]


def test_the_command_is_the_one_really_started() -> None:
    found = ask()
    assert found["command"][:2] == [sys.executable, "-c"]
    assert found["command"][-2:] == ["--token", "***"]
    assert found["script"] is None
