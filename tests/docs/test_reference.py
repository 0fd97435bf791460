"""The files reference names every key that a real run writes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import whirr

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "files.md").read_text()
KEYS_ARE_DATA = {"summary", "launcher", "config_conflicts", "cgroup"}


def keys_of(document: dict[str, Any]) -> Iterator[str]:
    """The keys of a document and of the objects in it, but not the names that users choose."""
    for key, value in document.items():
        yield re.sub(r"^gpu_\d+_", "gpu_N_", key)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict) and key not in KEYS_ARE_DATA and key != "oom_kills":
                yield from keys_of(part)


@pytest.fixture
def run_dir(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a failed run in a git work tree with uncommitted work."""
    subprocess.run(["git", "init", "-q", "."], check=True)
    (workplace / "train.py").write_text("print('new')\n")
    monkeypatch.setenv("WHIRR_CAPTURE_OUTPUT", "1")
    run = whirr.init(name="documented", config={"lr": 0.1})
    run.log({"loss": float("nan")}, step=0)
    run.save_artifact("train.py")
    print("hello")
    run.fail(ZeroDivisionError("no steps"))
    return run.run_dir


def test_every_file_is_documented(run_dir: Path) -> None:
    layout = PAGE.split("```")[1]
    files = {path.name + "/" * path.is_dir() for path in run_dir.iterdir()}
    assert {name for name in files if f" {name} " not in layout} == set()
    assert {"meta.json", "config.json", "output.log", "uncommitted.patch", "artifacts/"} <= files


def test_every_key_is_documented(run_dir: Path) -> None:
    keys = set(keys_of(json.loads((run_dir / "meta.json").read_text())))
    for log in ("metrics.jsonl", "system.jsonl"):
        for line in (run_dir / log).read_text().splitlines():
            keys.update(keys_of(json.loads(line)))
    assert {"git_info", "traceback", "_nonfinite", "memory_percent"} <= keys
    assert {key for key in keys - {"loss"} if f"`{key}`" not in PAGE} == set()
