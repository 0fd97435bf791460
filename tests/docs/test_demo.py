"""The demo runs as it stands in the repository, and the README shows what it really prints."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import whirr

ROOT = Path(__file__).parents[2]
RATES = (0.0003, 0.003, 0.03)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed copy of the demo and the example, in which all is installed already."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("scripts/demo", "examples/digits.py"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "scripts" / "install").write_text("#!/bin/sh\n")
    for script in (folder / "scripts").iterdir():
        script.chmod(0o755)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".gitignore").write_text(".venv\n.whirr/\n")
    identity = ("-c", "user.name=A Researcher", "-c", "user.email=researcher@example.org")
    for command in (("init", "-q", "-b", "main"), ("add", "."), (*identity, "commit", "-q", "-m", "demo")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def printed(clone: Path) -> str:
    """What the demo prints."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WHIRR_")}
    done = subprocess.run(
        [clone / "scripts" / "demo"],
        cwd="/",
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def labels(text: str) -> set[str]:
    """The words of an output without its values, which differ from machine to machine."""
    return set(re.findall(r"(?<![\w/.@-])[a-z_]{3,}(?![\w/.@-])", text))


def test_example_is_tracked(clone: Path, printed: str) -> None:
    [folder] = (clone / ".whirr" / "runs").glob("local-*")
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["config"]["lr"]) == ("completed", 0.001)
    records = whirr.read_metrics(folder)
    assert [record["step"] for record in records] == list(range(30))
    assert meta["summary"]["best_val_accuracy"] == max(record["val_accuracy"] for record in records) > 0.9

    scaler, model = pickle.loads((folder / "artifacts" / "model.pkl").read_bytes())
    assert model.predict(scaler.transform([[0.0] * 64])).shape == (1,)


def test_three_learning_rates_ran_from_the_queue(clone: Path, printed: str) -> None:
    runs = [whirr.read_meta(clone / ".whirr" / "runs" / f"job-{number}") for number in (1, 2, 3)]
    assert [(meta["status"], meta["config"]["lr"]) for meta in runs] == [("completed", rate) for rate in RATES]

    table = printed.rpartition("==> whirr runs")[2]
    shown = re.findall(r"^job-\d .*?lr-([\d.]+)", table, re.MULTILINE)
    best_first = sorted(runs, key=lambda meta: -meta["summary"]["best_val_accuracy"])
    assert [float(rate) for rate in shown] == [meta["config"]["lr"] for meta in best_first]


def test_readme_shows_what_the_demo_prints(printed: str) -> None:
    shown = next(block for block in (ROOT / "README.md").read_text().split("```") if "==> whirr show" in block)
    assert labels(shown) - labels(printed) <= {"text", "lab"}  # the kind of the block, and a host
    assert re.findall("^==> .*", shown, re.MULTILINE) == re.findall("^==> .*", printed, re.MULTILINE)
    assert {"val_loss", "best_val_accuracy", "artifacts", "queued", "started"} <= labels(shown)
    assert "█" in shown
    assert "⣀" in shown
