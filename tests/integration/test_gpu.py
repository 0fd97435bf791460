"""GPUs that are not there: a library under the real binding, a program in place of nvidia-smi."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "nvml" / "nvml.c"

THREE = """\
ok 91 8192 81920 600 66 310500
ok 0 3 81920 600 31 58200
plain 0 512 16384 100 40 0
"""

PRELUDE = """
import json, os, sys
from pathlib import Path
from whirr.sampler import Sampler
sampler = Sampler(Path.cwd())
def show():
    found = sampler.sample()
    print(json.dumps({key: value for key, value in found.items() if key.startswith("gpu_")}))
"""

Run = Callable[..., list[dict[str, float]]]


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc")
    if found is None:
        pytest.skip("no C compiler to build the stand-in for NVML with")
    return found


@pytest.fixture
def nvml(tmp_path: Path, compiler: str) -> Callable[..., dict[str, str]]:
    """Builds the library; gives the environment that makes programs load it."""
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")

    def build(state: str | None = THREE, *flags: str) -> dict[str, str]:
        library = tmp_path / "lib" / "libnvidia-ml.so.1"
        library.parent.mkdir()
        subprocess.run([compiler, *flags, "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        if state is not None:
            (tmp_path / "state").write_text(state)
        return {
            "LD_LIBRARY_PATH": str(library.parent),
            "NVML_STATE": str(tmp_path / "state"),
            "NVML_LOG": str(tmp_path / "log"),
        }

    return build


@pytest.fixture
def sampled(tmp_path: Path) -> Run:
    """Runs a script in a process of its own; gives what each ``show()`` of it printed."""

    def run(script: str, env: dict[str, str], *options: str) -> list[dict[str, float]]:
        env = {**os.environ, "PATH": str(tmp_path / "bin"), **env}
        done = subprocess.run(
            [sys.executable, *options, "-c", PRELUDE + script],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> Callable[[str], Path]:
    """Puts a program called nvidia-smi on the PATH; it notes in the file that is given how often it ran."""

    def install(body: str) -> Path:
        starts = tmp_path / "starts"
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$@" >> {starts}\n{body}\n')
        program.chmod(0o755)
        return starts

    return install


def test_every_gpu_that_nvml_sees(nvml: Callable[..., dict[str, str]], sampled: Run) -> None:
    (found,) = sampled("show()", {**nvml(), "CUDA_VISIBLE_DEVICES": "1"})
    assert found == {
        "gpu_0_utilization": 91,
        "gpu_0_memory_used": 8192,
        "gpu_0_memory_total": 81920,
        "gpu_0_temperature": 66,
        "gpu_0_power": 310.5,
        "gpu_1_utilization": 0,
        "gpu_1_memory_used": 3,
        "gpu_1_memory_total": 81920,
        "gpu_1_temperature": 31,
        "gpu_1_power": 58.2,
        "gpu_2_memory_used": 512,
        "gpu_2_memory_total": 16384,
        "gpu_2_temperature": 40,
    }


def test_a_driver_without_the_second_version_of_memory(nvml: Callable[..., dict[str, str]], sampled: Run) -> None:
    (found,) = sampled("show()", nvml(THREE, "-DOLD_DRIVER"))
    assert found["gpu_0_memory_used"] == 8792
    assert found["gpu_0_memory_total"] == 81920


def test_a_gpu_lost_under_way_costs_its_keys_only(
    nvml: Callable[..., dict[str, str]], sampled: Run, tmp_path: Path
) -> None:
    script = """
state = Path(os.environ["NVML_STATE"])
there = state.read_text()
show()
state.write_text(there.replace("ok 91", "lost 91"))
show()
show()
state.write_text(there)
show()
sampler.close()
"""
    before, lost, still_lost, back = sampled(script, nvml())
    assert {key for key in before if key not in lost} == {key for key in before if key.startswith("gpu_0_")}
    assert lost == still_lost
    assert lost["gpu_1_temperature"] == 31
    assert back == before
    assert (tmp_path / "log").read_text().split() == ["init", "shutdown"]


def test_all_gpus_lost_and_back(nvml: Callable[..., dict[str, str]], sampled: Run) -> None:
    script = """
state = Path(os.environ["NVML_STATE"])
there = state.read_text()
show()
state.write_text(there.replace("ok", "lost").replace("plain", "lost"))
show()
state.write_text(there)
show()
show()
"""
    before, lost, _, back = sampled(script, nvml())
    assert lost == {}
    assert back == before != {}


def test_a_driver_that_comes_later(nvml: Callable[..., dict[str, str]], sampled: Run, tmp_path: Path) -> None:
    script = f"""
show(), show(), show()
Path(os.environ["NVML_STATE"]).write_text({THREE!r})
show(), show(), show()
"""
    found = sampled(script, nvml(None))
    assert found[0] == {}
    assert found[-1]["gpu_0_utilization"] == 91
    # A driver that stays away is asked less and less often.
    assert (tmp_path / "log").read_text().split() == ["init"] * 3


def test_a_forked_child_leaves_nvml_alone(nvml: Callable[..., dict[str, str]], sampled: Run, tmp_path: Path) -> None:
    script = """
show()
child = os.fork()
if child == 0:
    assert sampler.sample() == {}
    sampler.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
show()
sampler.close()
"""
    before, after = sampled(script, nvml())
    assert after == before
    assert (tmp_path / "log").read_text().split() == ["init", "shutdown"]


def test_nvidia_smi_where_nvml_is_missing(nvidia_smi: Callable[[str], Path], sampled: Run) -> None:
    starts = nvidia_smi("""echo '0, 95, 8192, 81920, 66, 310.52'; echo '1, [N/A], 3, 81920, 31, [N/A]'""")
    first, second = sampled("show(), show()", {})
    assert first == second
    assert first == {
        "gpu_0_utilization": 95,
        "gpu_0_memory_used": 8192,
        "gpu_0_memory_total": 81920,
        "gpu_0_temperature": 66,
        "gpu_0_power": 310.52,
        "gpu_1_memory_used": 3,
        "gpu_1_memory_total": 81920,
        "gpu_1_temperature": 31,
    }
    asked = starts.read_text().splitlines()
    assert len(asked) == 2
    assert all("--format=csv,noheader,nounits" in line for line in asked)


def test_nvidia_smi_where_the_binding_is_missing(
    nvml: Callable[..., dict[str, str]], nvidia_smi: Callable[[str], Path], sampled: Run, tmp_path: Path
) -> None:
    starts = nvidia_smi("echo '0, 95, 8192, 81920, 66, 310.52'")
    (found,) = sampled("sys.modules['pynvml'] = None\nshow()", nvml())
    assert found["gpu_0_utilization"] == 95
    assert len(starts.read_text().splitlines()) == 1
    assert not (tmp_path / "log").exists()


def test_nvidia_smi_that_fails_is_started_less_and_less_often(nvidia_smi: Callable[[str], Path], sampled: Run) -> None:
    starts = nvidia_smi("echo 'NVIDIA-SMI has failed'; exit 9")
    found = sampled("for _ in range(16): show()", {})
    assert found == [{}] * 16
    assert len(starts.read_text().splitlines()) == 4  # at samples 1, 3, 6 and 11


def test_nvidia_smi_that_hangs_is_given_up(nvidia_smi: Callable[[str], Path], sampled: Run) -> None:
    nvidia_smi("exec /bin/sleep 600")
    script = "from whirr.gpu import Gpus\nprint(json.dumps(Gpus(smi_time_limit=0.1).sample()))"
    assert sampled(script, {}) == [{}]


def test_nothing_is_decided_once(sampled: Run) -> None:
    script = """
starts = []
sys.addaudithook(lambda event, _: starts.append(event) if event == "subprocess.Popen" else None)
show(), show(), show()
print(json.dumps({"starts": len(starts)}))
"""
    assert sampled(script, {}) == [{}, {}, {}, {"starts": 1}]


def test_without_psutil_and_gpu_there_is_no_sample(sampled: Run) -> None:
    script = "sys.modules['psutil'] = None\nprint(json.dumps(sampler.sample()))"
    assert sampled(script, {}) == [{}]


def test_without_psutil_there_are_gpus(nvml: Callable[..., dict[str, str]], sampled: Run) -> None:
    script = "sys.modules['psutil'] = None\nprint(json.dumps(sampler.sample()))"
    (found,) = sampled(script, nvml())
    assert "_timestamp" in found
    assert all(key.startswith("gpu_") for key in found if key != "_timestamp")
