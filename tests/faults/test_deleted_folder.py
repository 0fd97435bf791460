"""The folder is deleted under a live run: nothing is raised, and its records come back."""

from __future__ import annotations

from pathlib import Path

import pytest
from ending_cases import PYTHON
from helpers import QUICK, only_run, outputs, program, start

import whirr

TEMPLATE = f"""
import os, shutil, sys, time, warnings
import whirr
warnings.simplefilter("ignore", whirr.WhirrWarning)

def log(first, last):
    for n in range(first, last):
        run.log({{{{"n": n}}}}, step=n)

def restored():
    while not (run.run_dir / "meta.json").exists() or not whirr.read_metrics(run.run_dir):
        time.sleep(0.01)

run = whirr.init(name="deleted", config={{{{"lr": 0.1}}}}, {QUICK})
log(0, 500)
{{body}}
run.finish()
print("done")
"""
DELETED = {
    "run folder": "shutil.rmtree(run.run_dir)",
    "all of .whirr": 'shutil.rmtree(".whirr")',
    "the metrics file": 'os.unlink(run.run_dir / "metrics.jsonl")',
    "moved away": 'os.rename(".whirr", "elsewhere"); shutil.rmtree("elsewhere")',
}


def check(place: Path, body: str, rows: int) -> None:
    script = program(place / "train.py", TEMPLATE.format(body=body))
    process = start([*PYTHON, script], place, WHIRR_SYSTEM_INTERVAL="0.1")
    out, err = outputs(process)
    assert (process.returncode, out, err) == (0, "done\n", "")
    folder = only_run(place)
    assert [record["n"] for record in whirr.read_metrics(folder)] == list(range(rows))
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["name"], meta["config"], meta["problems"]) == ("completed", "deleted", {"lr": 0.1}, [])


@pytest.mark.parametrize("what", DELETED)
def test_training_goes_on(what: str, tmp_path: Path) -> None:
    check(tmp_path, f"{DELETED[what]}\nlog(500, 1000)\nrestored()\nlog(1000, 1500)", 1500)


@pytest.mark.parametrize("what", DELETED)
def test_right_before_the_end(what: str, tmp_path: Path) -> None:
    check(tmp_path, f"log(500, 1000)\n{DELETED[what]}", 1000)


def test_again_and_again(tmp_path: Path) -> None:
    turns = ["shutil.rmtree(run.run_dir)", "log(turn * 500, turn * 500 + 500)", "restored()"]
    body = "\n    ".join(["for turn in range(1, 6):", *turns])
    check(tmp_path, body, 3000)


def test_summary_and_artifacts_right_after(tmp_path: Path) -> None:
    body = 'shutil.rmtree(".whirr")\nrun.summary({"best": 1})\nrun.save_artifact("model.pt")'
    (tmp_path / "model.pt").write_text("weights")
    check(tmp_path, body, 500)
    assert whirr.read_meta(only_run(tmp_path))["summary"] == {"best": 1}
    assert (only_run(tmp_path) / "artifacts/model.pt").read_text() == "weights"
