"""How far a run has come: the last step it logged, of how many where its configuration says so."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from whirr.derive import metrics_files
from whirr.encode import RESERVED, STEP, TIMESTAMP
from whirr.folder import CONFIG, decode
from whirr.jsonio import plain_file, read_document
from whirr.values import spell

TAIL = 2**16
"""Bytes at the end of a metrics file that are read."""

HEAD = 2**12

EPOCHS = ("epochs", "num_epochs", "max_epochs", "n_epochs", "total_epochs", "num_train_epochs")
STEPS = (
    "steps",
    "num_steps",
    "max_steps",
    "n_steps",
    "total_steps",
    "train_steps",
    "num_train_steps",
    "max_train_steps",
    "iterations",
    "num_iterations",
    "max_iterations",
    "n_iterations",
    "iters",
    "num_iters",
    "max_iters",
    "total_timesteps",
)
"""Keys of a configuration that say how long a run will be."""


class Progress(NamedTuple):
    """How far a run has come.

    Attributes:
        step: the last step it logged; None where it logged none.
        done: how many steps, or epochs, are done of ``total``; None where no total is known.
        total: how many there will be.
        latest: the last value of each metric in the last records, newest first.
    """

    step: float | None
    done: float | None
    total: float | None
    latest: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The ``progress`` of ``--json``."""
        latest = {name: spell(value) if isinstance(value, float) else value for name, value in self.latest.items()}
        return {"step": self.step, "done": self.done, "total": self.total, "latest": latest}


def read_progress(run_dir: Path) -> Progress:
    """How far a run has come; nothing of it is known where its files are missing or damaged."""
    records, first = _last_records(run_dir)
    latest: dict[str, Any] = {}
    for record in reversed(records):
        for name, value in record.items():
            if name not in RESERVED:
                latest.setdefault(name, value)
    step = next((record[STEP] for record in reversed(records) if _is_count(record.get(STEP))), None)
    done, total = _measure(_config(run_dir), step, latest, first)
    return Progress(step, done, total, latest)


def _last_records(run_dir: Path) -> tuple[list[dict[str, Any]], float]:
    """The last records of all writers by time, and the first step that any of them logged."""
    records: list[dict[str, Any]] = []
    firsts = []
    for entry in metrics_files(os.fspath(run_dir)):
        with suppress(OSError), open(entry.path, "rb", opener=plain_file) as file:
            head = decode(file.read(HEAD).rpartition(b"\n")[0])[0]
            firsts += [record[STEP] for record in head[:1] if _is_count(record.get(STEP))]
            start = max(os.fstat(file.fileno()).st_size - TAIL, 0)
            file.seek(start)
            block = file.read(TAIL)
            first_whole = block.find(b"\n") + 1 if start else 0
            records += decode(block[first_whole : max(block.rfind(b"\n"), first_whole)])[0]
    return sorted(records, key=lambda record: str(record.get(TIMESTAMP, "")).rstrip("Z")), min(firsts, default=1)


def _config(run_dir: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = read_document(run_dir / CONFIG)
        if isinstance(found, dict):
            return found
    return {}


def _measure(
    config: dict[str, Any], step: float | None, latest: dict[str, Any], first: float
) -> tuple[float | None, float | None]:
    """What is done, and of how much: steps by a number of steps, else epochs by a number of epochs."""
    found = dict(_counts(config))
    steps = next((found[key] for key in STEPS if key in found), None)
    epochs = next((found[key] for key in EPOCHS if key in found), None)
    counted = 1 if first == 0 else 0  # the step numbered 0 is the first
    if steps is not None and step is not None and step <= steps:
        return min(step + counted, steps), steps
    if epochs is None:
        return None, None
    epoch = latest.get("epoch")
    if _is_count(epoch) and epoch <= epochs:
        return epoch, epochs
    if steps is None and step is not None and step <= epochs:
        return min(step + counted, epochs), epochs
    return None, None


def _counts(config: Mapping[str, Any], depth: int = 3) -> Iterator[tuple[str, float]]:
    """The counts of a configuration and what it nests, by key in lower case; the outermost come last."""
    for value in config.values():
        if isinstance(value, dict) and depth:
            yield from _counts(value, depth - 1)
    for key, value in config.items():
        if _is_count(value) and value > 0:
            yield str(key).lower().replace("-", "_"), value


def _is_count(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
