"""GPU metrics of every GPU that NVML sees, by its Python binding, or by ``nvidia-smi`` where that is missing.

What is asked, for GPU number N of NVML (``CUDA_VISIBLE_DEVICES`` plays no part): ``gpu_N_utilization``
(percent), ``gpu_N_memory_used`` and ``gpu_N_memory_total`` (MB of 2**20 bytes), ``gpu_N_temperature``
(Celsius), ``gpu_N_power`` (watts). A reading that a GPU does not support is left out; a GPU lost under way
costs that GPU's keys only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen
    from typing import Any, Protocol

    class Source(Protocol):
        """One way to read GPUs."""

        def read(self) -> dict[str, float]:
            """The keys of all GPUs. Raises any exception when nothing can be read for now."""

        def close(self) -> None:
            """Release what is held; never raises."""


MB = 2**20
SMI_TIME_LIMIT = 5.0
"""Seconds ``nvidia-smi`` may take; it can hang on a broken GPU."""
LONGEST_PAUSE = 64
"""Samples left out at most between two tries of a source that keeps failing."""
QUERY = "index,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw"
NAMES = ("utilization", "memory_used", "memory_total", "temperature", "power")


class Missing(Exception):
    """This way to read GPUs does not exist on this machine and will not come."""


class Gpus:
    """All GPUs by the first of the ways to read them that exists; chosen once, at the first sample."""

    def __init__(self, smi_time_limit: float = SMI_TIME_LIMIT) -> None:
        self._sources: list[Callable[[], Source]] = [Nvml, lambda: NvidiaSmi(smi_time_limit)]
        self._source: Source | None = None
        self._pause = 0
        self._wait = 1

    def sample(self) -> dict[str, float]:
        """The keys of every GPU that answers; never raises. A failing source is asked less and less often."""
        if self._pause > 0:
            self._pause -= 1
            return {}
        try:
            found = self._read()
        except Exception:
            self.close()
            self._pause, self._wait = self._wait, min(self._wait * 2, LONGEST_PAUSE)
            return {}
        self._wait = 1
        return found

    def _read(self) -> dict[str, float]:
        while self._sources:
            try:
                if self._source is None:
                    self._source = self._sources[0]()
                return self._source.read()
            except Missing:
                self._source = None
                del self._sources[0]
        return {}

    def close(self) -> None:
        """Shut the source down; a later sample opens it again."""
        source, self._source = self._source, None
        if source is not None:
            source.close()


class Nvml:
    """NVML through ``pynvml`` of nvidia-ml-py.

    Raises:
        Missing: there is no NVML library, or no binding.
    """

    def __init__(self) -> None:
        require_library()
        try:
            import pynvml
        except Exception as error:  # not there, or not fit for this Python
            raise Missing from error
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError_LibraryNotFound as error:
            raise Missing from error
        self._nvml: Any = pynvml
        self._handles: list[Any] = [None] * pynvml.nvmlDeviceGetCount()

    def read(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for index in range(len(self._handles)):
            keys = self._device(index)
            if not keys:
                self._handles[index] = None  # perhaps lost: asked for anew at the next sample
            found.update(keys)
        if not found and self._handles:
            raise OSError("no GPU answers")  # the driver may have been reloaded: start over
        return found

    def _device(self, index: int) -> dict[str, float]:
        nvml, found = self._nvml, {}
        with suppress(nvml.NVMLError):
            handle = self._handles[index] = self._handles[index] or nvml.nvmlDeviceGetHandleByIndex(index)
            for reading in (self._utilization, self._memory, self._temperature, self._power):
                with suppress(Exception):
                    for name, value in reading(handle):
                        found[f"gpu_{index}_{name}"] = value
        return found

    def _utilization(self, handle: Any) -> Iterator[tuple[str, float]]:
        yield "utilization", self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu

    def _memory(self, handle: Any) -> Iterator[tuple[str, float]]:
        nvml = self._nvml
        try:
            # Version 2 does not count what the driver reserves for itself, as nvidia-smi does not.
            memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        except (nvml.NVMLError, AttributeError, TypeError):
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        yield "memory_used", round(memory.used / MB)
        yield "memory_total", round(memory.total / MB)

    def _temperature(self, handle: Any) -> Iterator[tuple[str, float]]:
        yield "temperature", self._nvml.nvmlDeviceGetTemperature(handle, self._nvml.NVML_TEMPERATURE_GPU)

    def _power(self, handle: Any) -> Iterator[tuple[str, float]]:
        yield "power", round(self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000, 1)

    def close(self) -> None:
        with suppress(Exception):
            self._nvml.nvmlShutdown()


def require_library() -> None:
    """On Linux, look for the library before the binding, which takes 3 MB: for nothing without a GPU."""
    import sys

    if not sys.platform.startswith("linux"):
        return
    try:
        import ctypes

        ctypes.CDLL("libnvidia-ml.so.1")
    except (ImportError, OSError) as error:
        raise Missing from error


class NvidiaSmi:
    """One ``nvidia-smi`` process per sample, of ``time_limit`` seconds at most."""

    def __init__(self, time_limit: float = SMI_TIME_LIMIT) -> None:
        self._time_limit = time_limit
        self._stuck: Popen[bytes] | None = None

    def read(self) -> dict[str, float]:
        """The keys of all GPUs.

        Raises:
            Missing: there is no such program.
            OSError: it failed or took too long.
        """
        if self._stuck is not None and self._stuck.poll() is None:
            raise OSError("an earlier nvidia-smi cannot be ended")
        output, exit_code = self._ask()
        found = parse_smi(output.decode(errors="replace"))
        if exit_code != 0 and not found:
            raise OSError(f"nvidia-smi ended with {exit_code}")
        return found

    def _ask(self) -> tuple[bytes, int]:
        import subprocess

        command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        try:
            process = subprocess.Popen(command, stdin=null, stdout=pipe, stderr=null)
        except (FileNotFoundError, PermissionError) as error:
            raise Missing from error
        try:
            output, _ = process.communicate(timeout=self._time_limit)
        except subprocess.TimeoutExpired as error:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()
            # Stuck in the driver it may not even die of SIGKILL: never waited for without a limit.
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
            self._stuck = process
            raise OSError("nvidia-smi took too long") from error
        return output, process.returncode

    def close(self) -> None:
        """Nothing is held between two samples but the memory of a process that could not be ended."""


def parse_smi(text: str) -> dict[str, float]:
    """The keys in an answer of ``nvidia-smi``, one GPU a line; what is no number is left out."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        index, *fields = [field.strip() for field in line.split(",")]
        if not index.isdecimal() or len(fields) != len(NAMES):
            continue
        for name, field in zip(NAMES, fields, strict=True):
            with suppress(ValueError):
                value = float(field)
                if value == value and abs(value) != float("inf"):  # "[N/A]" is no number, "nan" would be one
                    found[f"gpu_{index}_{name}"] = int(value) if value.is_integer() else value
    return found
