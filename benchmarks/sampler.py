"""The share of one processor core that sampling the machine takes at the usual interval of 10 seconds."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import Effort, Row, absolute, output_of, python, scratch

USUAL_INTERVAL = 10.0
INTERVAL = 0.1
SCRIPT = """
import sys, time, whirr
run = whirr.init(name="benchmark", capture_git=False, capture_pip=False)
samples = run.run_dir / "system.jsonl"

def count():
    return samples.read_bytes().count(b"\\n") if samples.exists() else 0

def wait_for(number):
    while count() < number:
        time.sleep(0.5)

wait_for(1)
first, start = count(), time.process_time()
wait_for(first + int(sys.argv[1]))
print((time.process_time() - start) / (count() - first))
run.finish()
"""


def rows(effort: Effort) -> Iterator[Row]:
    """Processor time per sample, from many samples close together."""
    with scratch() as folder:
        command = python(SCRIPT, str(effort.samples))
        cost = float(output_of(command, folder, WHIRR_SYSTEM_INTERVAL=str(INTERVAL)))
    yield absolute("share of a core, a sample each 10 s", "%", cost / USUAL_INTERVAL * 100, 0.1)
