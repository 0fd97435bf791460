"""The command, the interpreter, the machine and its GPUs."""

from __future__ import annotations

import os
import sys
import time
from functools import partial

from whirr.capture import child
from whirr.capture.redact import hide_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

HINTS = (
    "CONDA_DEFAULT_ENV",
    "GROUP_RANK",
    "HOSTNAME",
    "JOB_COMPLETION_INDEX",
    "KUBERNETES_SERVICE_HOST",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "LSB_JOBID",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMP_NUM_THREADS",
    "PBS_JOBID",
    "RANK",
    "RAY_JOB_ID",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_CLUSTER_NAME",
    "SLURM_JOB_ID",
    "SLURM_JOB_NAME",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_PARTITION",
    "SLURM_LOCALID",
    "SLURM_NNODES",
    "SLURM_NODEID",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "TORCHELASTIC_RESTART_COUNT",
    "TORCHELASTIC_RUN_ID",
    "VIRTUAL_ENV",
    "WORLD_SIZE",
)
"""Variables of schedulers and launchers that say which part of which job a process is."""
_SMI_FIELDS = "index,name,uuid,memory.total,driver_version"


def environment(
    *,
    argv: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
    with_gpus: bool = True,
    limit_s: float = 10.0,
) -> dict[str, Any]:
    """What the program was started with and where: plain values, ready for JSON.

    Keys: `command` (the arguments as started, secrets hidden), `script`, `python`, `implementation`,
    `executable`, `platform`, `os`, `host`, `user`, `cwd`, `pid`, `cpu_count` (of the machine) and
    `cpus_usable` (by this process), `memory_total_bytes`, `cuda_devices`, `container`, `launcher` (the HINTS
    that are set) and `whirr` (its version). `cuda_devices` holds `visible` (CUDA_VISIBLE_DEVICES as given)
    and what `gpus` returns, within `limit_s` seconds; `with_gpus=False` leaves that out. What cannot be found
    out is None. `argv` and `environ` default to those of this process. Never raises.
    """
    environ = os.environ if environ is None else environ
    machine = os.uname()
    return {
        "command": hide_arguments(sys.orig_argv if argv is None else argv),
        "script": _known(_script),
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "executable": sys.executable or None,
        "platform": f"{machine.sysname}-{machine.release}-{machine.machine}",
        "os": _known(_os_name),
        "host": machine.nodename,
        "user": _known(lambda: _user(environ)),
        "cwd": _known(os.getcwd),
        "pid": os.getpid(),
        "cpu_count": os.cpu_count(),
        "cpus_usable": _known(lambda: len(os.sched_getaffinity(0))),
        "memory_total_bytes": _known(lambda: os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
        "cuda_devices": {"visible": environ.get("CUDA_VISIBLE_DEVICES")} | (gpus(limit_s) if with_gpus else {}),
        "container": _known(lambda: _container(environ)),
        "launcher": {name: environ[name] for name in HINTS if name in environ},
        "whirr": _known(_version),
    }


def _known(ask: Callable[[], Any]) -> Any:
    """The answer of `ask`, None where there is none."""
    try:
        return ask()
    except Exception:  # tracking never breaks training
        return None


def _script() -> str | None:
    """The program's file, absolute; None for an interactive session and for code given by -c."""
    script = sys.argv[0]
    return os.path.abspath(script) if script and script != "-c" else None


def _version() -> str:
    from whirr import __version__

    return __version__


def _os_name() -> str | None:
    with open("/etc/os-release", encoding="utf-8") as file:
        lines = file.read(1 << 16).splitlines()
    return next((line[12:].strip("\"'") for line in lines if line.startswith("PRETTY_NAME=")), None)


def _user(environ: Mapping[str, str]) -> str:
    for name in ("LOGNAME", "USER"):
        if user := environ.get(name):
            return user
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _container(environ: Mapping[str, str]) -> str | None:
    """The kind of container the process is in, None outside one."""
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "kubernetes"
    if "APPTAINER_CONTAINER" in environ or "SINGULARITY_CONTAINER" in environ:
        return "apptainer"
    if os.path.exists("/run/.containerenv"):
        return "podman"
    if os.path.exists("/.dockerenv"):
        return "docker"
    return environ.get("container")  # set by systemd-nspawn and others


def gpus(limit_s: float = 10.0) -> dict[str, Any]:
    """The GPUs of this machine: `driver`, and `gpus`: dicts of `index`, `name`, `uuid`, `memory_total_bytes`.

    Asked of NVML where its library and binding are there, else of nvidia-smi, ended after `limit_s` seconds.
    Without both, each is None. Never raises.
    """
    for ask in (_ask_nvml, lambda: _ask_smi(time.monotonic() + limit_s)):
        answer = _known(ask)
        if answer is not None:
            return dict(answer)
    return {"driver": None, "gpus": None}


def _ask_nvml() -> dict[str, Any]:
    import ctypes

    ctypes.CDLL("libnvidia-ml.so.1")  # far cheaper to find missing than the binding is to import
    import pynvml

    pynvml.nvmlInit()
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            device = pynvml.nvmlDeviceGetHandleByIndex(index)
            one = {
                "index": index,
                "name": _text(pynvml.nvmlDeviceGetName(device)),
                "uuid": _text(pynvml.nvmlDeviceGetUUID(device)),
                "memory_total_bytes": _known(partial(_nvml_memory, device)),
            }
            found.append(one)
        return {"driver": _text(pynvml.nvmlSystemGetDriverVersion()), "gpus": found}
    finally:
        pynvml.nvmlShutdown()


def _nvml_memory(device: object) -> int:
    import pynvml

    return int(pynvml.nvmlDeviceGetMemoryInfo(device).total)


def _text(value: str | bytes) -> str:
    """Older bindings answer in bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _ask_smi(deadline: float) -> dict[str, Any] | None:
    query = ["nvidia-smi", f"--query-gpu={_SMI_FIELDS}", "--format=csv,noheader,nounits"]
    output = child.run(query, deadline=deadline)
    if not output.ok:
        return None
    rows = [line.split(", ") for line in output.data.decode("utf-8", "replace").splitlines() if line]
    found = [
        {"index": int(index), "name": name, "uuid": uuid, "memory_total_bytes": _mebibytes(memory)}
        for index, name, uuid, memory, _ in rows
    ]
    return {"driver": rows[0][4] if rows else None, "gpus": found}


def _mebibytes(text: str) -> int | None:
    """A number of MiB in bytes; None for "[N/A]"."""
    return int(text) << 20 if text.isdigit() else None
