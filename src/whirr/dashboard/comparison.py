"""Two runs or more side by side: rows of keys with a value of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whirr.catalog import RunDetail
from whirr.dashboard.run_facts import packages_of

MOST_RUNS = 8
ENVIRONMENT = (
    "command", "python", "implementation", "host", "user", "platform", "cpu_count", "memory_total_bytes", "container",
    "whirr",
)  # fmt: skip
GIT = ("commit", "branch", "dirty", "remote_url")


def flat(value: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A nested config with dotted keys."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            found |= flat(item, f"{above}{key}.")
        else:
            found[above + str(key)] = item
    return found


def rows_of(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each key of any of them; ``missing`` names by their place those that do not have it."""
    keys = dict.fromkeys(key for column in columns for key in column)
    return [_row(key, columns) for key in sorted(keys, key=_natural)]


def _row(key: str, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    missing = [place for place, column in enumerate(columns) if key not in column]
    values = [column.get(key) for column in columns]
    differs = bool(missing) or any(repr(value) != repr(values[0]) for value in values)
    return {"key": key, "values": values, "missing": missing, "differs": differs}


def _natural(key: str) -> tuple[str, str]:
    return key.lower(), key


def results(detail: RunDetail) -> dict[str, Any]:
    """The summary of a run, and what it logged last where that is not in it."""
    logged = {name: metric.last for name, metric in detail.run.metrics.items()}
    return {**logged, **flat(detail.run.summary)}


def environment(detail: RunDetail) -> dict[str, Any]:
    """Where and how a run ran."""
    about = _object(detail.meta.get("environment"))
    git = _object(detail.meta.get("git_info"))
    cuda = _object(about.get("cuda_devices"))
    names = [str(_object(gpu).get("name")) for gpu in cuda.get("gpus") or []]
    found = {key: about[key] for key in ENVIRONMENT if about.get(key) is not None}
    found |= {f"git {key}": git[key] for key in GIT if git.get(key) is not None}
    if names:
        found["GPUs"] = ", ".join(sorted(names))
    if cuda.get("driver"):
        found["GPU driver"] = cuda["driver"]
    return found


def packages(text: str | None) -> dict[str, Any]:
    """The packages of a run by name; nothing where they were not recorded."""
    return dict(packages_of(text)) if text else {}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
