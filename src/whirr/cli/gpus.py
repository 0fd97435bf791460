"""Short names of GPUs for people."""

from __future__ import annotations

from whirr.errors import WhirrError

SHORT = 12


class GpuNames:
    """Gives the number of a GPU of this machine, the beginning of the UUID of any other; looks once, when needed."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] | None = None

    def __call__(self, uuid: str) -> str:
        """The name of the GPU of this UUID."""
        if self._numbers is None:
            self._numbers = _numbers()
        return self._numbers.get(uuid, uuid[:SHORT])


def _numbers() -> dict[str, str]:
    from whirr.gpuset import inventory

    try:
        return {gpu.uuid: f"{gpu.index}:{gpu.uuid[:SHORT]}" if gpu.mig else str(gpu.index) for gpu in inventory()}
    except WhirrError:  # the binding is missing: names, not numbers
        return {}
