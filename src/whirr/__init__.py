"""whirr: tracks machine-learning experiments, local-first.

import whirr

run = whirr.init(name="baseline", config={"lr": 0.01})
run.log({"loss": 0.5}, step=0)
run.finish()
"""

from __future__ import annotations

from whirr.errors import WhirrError, WhirrWarning
from whirr.run import Run, finish, init, log, read_meta, read_metrics, save_artifact, summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from whirr.columns import read_columns as read_columns

__version__ = "0.1.0"

__all__ = [
    "Run",
    "WhirrError",
    "WhirrWarning",
    "finish",
    "init",
    "log",
    "read_columns",
    "read_meta",
    "read_metrics",
    "save_artifact",
    "summary",
]


def __getattr__(name: str) -> object:
    """Bring in what needs heavy packages only when it is asked for."""
    if name == "read_columns":
        from whirr.columns import read_columns

        return read_columns
    raise AttributeError(f"module 'whirr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
