"""The example trains, and the README shows what it really prints."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import whirr

ROOT = Path(__file__).parents[2]
WHIRR = Path(sys.executable).with_name("whirr")


@pytest.fixture
def trained(workplace: Path) -> Path:
    subprocess.run([sys.executable, ROOT / "examples" / "digits.py"], check=True, capture_output=True)
    [run_dir] = (workplace / ".whirr" / "runs").iterdir()
    return run_dir


def labels(text: str) -> set[str]:
    """The words of an output without its values, which differ from machine to machine."""
    return set(re.findall(r"(?<![\w/.@-])[a-z_]{3,}(?![\w/.@-])", text))


def test_example_is_tracked(trained: Path) -> None:
    meta = whirr.read_meta(trained)
    assert (meta["status"], meta["config"]["lr"]) == ("completed", 0.001)
    records = whirr.read_metrics(trained)
    assert [record["step"] for record in records] == list(range(30))
    assert meta["summary"]["best_val_accuracy"] == max(record["val_accuracy"] for record in records) > 0.9

    scaler, model = pickle.loads((trained / "artifacts" / "model.pkl").read_bytes())
    assert model.predict(scaler.transform([[0.0] * 64])).shape == (1,)


def test_readme_shows_what_the_demo_prints(trained: Path) -> None:
    shown = next(block for block in (ROOT / "README.md").read_text().split("```") if "==> whirr show" in block)
    printed = "text ==> whirr runs show git main clean\n"  # the demo's own lines, and the work tree it runs in
    for arguments in (["runs"], ["show", "-"]):
        printed += subprocess.run([WHIRR, *arguments], check=True, capture_output=True, text=True).stdout
    assert labels(shown) - labels(printed) == set()
    assert {"val_loss", "best_val_accuracy", "artifacts"} <= labels(shown)
    assert "█" in shown
    assert "⣀" in shown
