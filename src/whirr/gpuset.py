"""The GPUs of a machine as a worker gives them out: which there are, and how a job is told its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from whirr.errors import MissingExtra, UsageError, WhirrError, how_to_install

LOOK = "nvidia-smi says more; whirr worker --gpus none works without GPUs"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, or one MIG instance of one.

    Attributes:
        index: its place in PCI order, as CUDA_DEVICE_ORDER=PCI_BUS_ID counts.
        uuid: its identity, the same after a restart.
        memory_mb: its memory in MB of 2**20 bytes.
        mig: whether it is a MIG instance, which CUDA knows by UUID only.
    """

    index: int
    uuid: str
    name: str
    memory_mb: int
    mig: bool = False


def inventory() -> list[Gpu]:
    """The GPUs of this machine in PCI order; empty where there is no NVIDIA driver.

    Raises:
        MissingExtra: there is a driver, but NVML's binding is not installed.
        WhirrError: the driver or a GPU does not answer.
    """
    with _nvml() as nvml:
        return [] if nvml is None else [_gpu(nvml, *device) for device in _devices(nvml)]


def busy() -> set[str]:
    """The UUIDs of GPUs on which some process computes now; raises as ``inventory`` does."""
    with _nvml() as nvml:
        if nvml is None:
            return set()
        devices = [handle for _, handle, _ in _devices(nvml)]
        return {_text(nvml.nvmlDeviceGetUUID(each)) for each in devices if _computes(nvml, each)}


@contextmanager
def _nvml() -> Iterator[Any]:
    """NVML, begun; None where the machine has no driver. What NVML raises is told as a ``WhirrError``."""
    from whirr.gpu import Missing, require_library

    try:
        require_library()
    except Missing:
        yield None
        return
    try:
        import pynvml as nvml
    except ImportError:
        raise MissingExtra("giving out GPUs needs nvidia-ml-py", hint=how_to_install("metrics")) from None
    try:
        nvml.nvmlInit()
    except (nvml.NVMLError_DriverNotLoaded, nvml.NVMLError_LibraryNotFound):
        yield None
        return
    except nvml.NVMLError as error:
        raise WhirrError(f"the NVIDIA driver does not answer: {error}", hint=LOOK) from error
    try:
        yield nvml
    except nvml.NVMLError as error:
        raise WhirrError(f"a GPU does not answer: {error}", hint=LOOK) from error
    finally:
        nvml.nvmlShutdown()


def _devices(nvml: Any) -> list[tuple[int, Any, bool]]:
    """Index, handle, whether it is a MIG instance; a GPU that is split is there as its instances only."""
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    handles.sort(key=lambda handle: _text(nvml.nvmlDeviceGetPciInfo(handle).busId))
    found: list[tuple[int, Any, bool]] = []
    for index, handle in enumerate(handles):
        instances = _instances(nvml, handle)
        found += [(index, handle, False)] if instances is None else [(index, each, True) for each in instances]
    return found


def _instances(nvml: Any, handle: Any) -> list[Any] | None:
    """The MIG instances of a GPU that is split; None: it is not."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
        return None
    if not current:
        return None
    found = []
    for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(nvml.NVMLError_NotFound):
            found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place))
    return found


def _gpu(nvml: Any, index: int, handle: Any, mig: bool) -> Gpu:
    memory = 0
    with suppress(nvml.NVMLError_NotSupported):
        memory = round(nvml.nvmlDeviceGetMemoryInfo(handle).total / 2**20)
    return Gpu(index, _text(nvml.nvmlDeviceGetUUID(handle)), _text(nvml.nvmlDeviceGetName(handle)), memory, mig)


def _computes(nvml: Any, handle: Any) -> bool:
    with suppress(nvml.NVMLError_NotSupported):
        return bool(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return False


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def chosen(text: str, there: Sequence[Gpu]) -> list[Gpu]:
    """The GPUs meant by ``--gpus``: ``all``, or numbers and UUIDs with commas; ``""`` or ``none``: none.

    Raises:
        UsageError: one of them is not there, or is named twice.
    """
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    if wanted == ["all"]:
        return list(there)
    if wanted in ([], ["none"]):
        return []
    found: list[Gpu] = []
    for word in wanted:
        fits = [gpu for gpu in there if word in (gpu.uuid, str(gpu.index))]
        if not fits:
            names = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in there) or "none"
            raise UsageError(f"there is no GPU {word} on this machine", hint=f"there are: {names}")
        found += fits
    if len({gpu.uuid for gpu in found}) < len(found):
        raise UsageError(f"--gpus {text} names a GPU twice", hint="name each once")
    return found


def variables(gpus: Sequence[Gpu]) -> Mapping[str, str]:
    """What tells a job its GPUs, and only those: numbers in PCI order, UUIDs where one is a MIG instance."""
    by_uuid = any(gpu.mig for gpu in gpus)
    names = [gpu.uuid if by_uuid else str(gpu.index) for gpu in gpus]
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(names)}
