"""Resident memory and threads of a process with a run, the sampler on and the capture done."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.measure import Effort, Row, absolute, excess, output_of, python, scratch

STATUS = """
def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))
"""
BARE = f"import orjson\n{STATUS}\nprint(status('VmRSS'), status('Threads'))"
TRACKED = f"""
import os, time, whirr
{STATUS}
run = whirr.init(name="benchmark", config={{"lr": 0.01}})
for step in range(1000):
    run.log({{"loss": 1 / (step + 1)}}, step=step)
samples = run.run_dir / "system.jsonl"
patience = time.monotonic() + 30
while time.monotonic() < patience:
    done = samples.exists() and samples.read_bytes().count(b"\\n") >= 5
    if done and (run.run_dir / "requirements.txt").exists() and status("Threads") <= 2:
        break
    time.sleep(0.05)
print(status("VmRSS"), status("Threads"))
run.finish()
"""


def rows(effort: Effort) -> Iterator[Row]:
    """Against a process that only imports orjson."""
    with scratch() as folder:
        bare, tracked = [], []
        for _ in range(max(effort.repeats // 5, 1)):
            bare.append(_numbers(output_of(python(BARE), folder)))
            tracked.append(_numbers(output_of(python(TRACKED), folder, WHIRR_SYSTEM_INTERVAL="0.1")))
    limit, ours = (median(resident for resident, _ in them) / 1024 for them in (bare, tracked))
    yield excess("resident memory over one that imports orjson", "MB", limit, ours, 12)
    yield absolute("further threads after the capture", "", max(threads for _, threads in tracked) - 1, 1)


def _numbers(text: str) -> tuple[int, int]:
    resident, threads = text.split()
    return int(resident), int(threads)
