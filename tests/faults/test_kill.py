"""SIGKILL at any moment: no acknowledged record is lost, and every folder stays readable."""

from __future__ import annotations

import json
from pathlib import Path

from ending_cases import PYTHON
from helpers import QUICK, outputs, program, start

import whirr

KILLED_WHILE_LOGGING = 200
KILLED_WHILE_STARTING_OR_ENDING = 150

# Each round is a process of its own, forked from one that has imported everything; it counts in shared memory
# each log() that returned. The parent reads the run's documents all the while, and kills without warning.
ROUNDS = f"""
import json, mmap, os, random, signal, sys, time
from pathlib import Path
import whirr

kind, rounds, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
choose = random.Random(seed)
shared = mmap.mmap(-1, 4096)
runs = Path.cwd() / ".whirr" / "runs"

def log_for_ever():
    run = whirr.init({QUICK})
    shared[8:64] = str(run.run_id).ljust(56).encode()
    n = 0
    while True:
        run.log({{"n": n, "text": "x" * (n % 50)}}, step=n)
        n += 1
        shared[0:8] = n.to_bytes(8, "little")

def begin_and_end():
    run = whirr.init(name="short", config={{"lr": 0.1, "notes": "x" * 5000}}, {QUICK})
    shared[8:64] = str(run.run_id).ljust(56).encode()
    for n in range(3):
        run.log({{"n": n}}, step=n)
        shared[0:8] = (n + 1).to_bytes(8, "little")
    run.summary({{"best": 1}})
    run.finish()

def documents_are_whole(name):
    for document in ("meta.json", "config.json"):
        try:
            text = (runs / name / document).read_bytes()
        except FileNotFoundError:
            continue
        json.loads(text)

def acknowledged():
    return int.from_bytes(shared[0:8], "little")

def watch(child, over):
    while not over():
        name = shared[8:64].decode().strip(" \\0")
        if name:
            documents_are_whole(name)

def one_round(work, over):
    shared[0:64] = bytes(64)
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    watch(child, over)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(json.dumps([shared[8:64].decode().strip(" \\0"), acknowledged()]), flush=True)

def after(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end

for _ in range(rounds):
    if kind == "logging":
        enough, later = choose.randrange(1, 400), choose.random() / 5000
        one_round(log_for_ever, lambda: acknowledged() >= enough and not time.sleep(later))
    else:
        one_round(begin_and_end, after(choose.random() * 0.05))
"""


def rounds(place: Path, kind: str, count: int) -> list[tuple[str, int]]:
    """The run id (empty: killed before it had one) and the acknowledged records of each killed process."""
    script = program(place / "rounds.py", ROUNDS)
    halves = [start([*PYTHON, script, kind, str(count // 2), str(seed)], place / str(seed)) for seed in range(2)]
    found = []
    for seed, process in enumerate(halves):
        out, err = outputs(process, timeout=120)
        assert process.returncode == 0, err
        found += [(f"{seed}/.whirr/runs/{name}" if name else "", n) for name, n in map(json.loads, out.splitlines())]
    assert len(found) == count
    return found


def test_in_a_logging_loop(tmp_path: Path) -> None:
    killed = rounds(tmp_path, "logging", KILLED_WHILE_LOGGING)
    lost = unreadable = 0
    for name, acknowledged in killed:
        records = whirr.read_metrics(tmp_path / name)
        lost += max(acknowledged - len(records), 0)
        assert len(records) <= acknowledged + 1  # the call that was cut off may have written its record
        assert [record["n"] for record in records] == list(range(len(records)))
        assert [record["_idx"] for record in records] == list(range(len(records)))
        meta = whirr.read_meta(tmp_path / name)
        unreadable += bool(meta["problems"])
        assert (meta["status"], meta["cause"]["kind"]) == ("failed", "killed")
    assert (lost, unreadable) == (0, 0), f"of {sum(n for _, n in killed)} records in {len(killed)} rounds"


def test_while_a_run_begins_or_ends(tmp_path: Path) -> None:
    killed = rounds(tmp_path, "short", KILLED_WHILE_STARTING_OR_ENDING)
    known = dict(killed)
    folders = [folder for half in ("0", "1") for folder in (tmp_path / half / ".whirr/runs").glob("*")]
    seen = set()
    for folder in folders:
        meta = whirr.read_meta(folder)
        records = whirr.read_metrics(folder)
        assert len(records) >= known.get(str(folder.relative_to(tmp_path)), 0)
        seen.add(meta["status"])
        if (folder / "meta.json").exists():
            assert meta["status"] in ("completed", "failed")
            assert meta["problems"] == []
        else:  # killed between making the folder and describing it: nothing was acknowledged yet
            assert records == []
        if meta["status"] == "completed":
            assert len(records) == 3
            assert meta["summary"] == {"best": 1}
    assert {"completed", "failed"} <= seen  # the kills came before, during and after the ending
