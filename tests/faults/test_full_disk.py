"""A disk that is full, and has room again: real, small file systems in memory."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import QUICK, outputs, program, start

HEAD = f"""
import json, os, sys, threading, time, warnings
import whirr
from whirr.metrics import MetricsWriter

warnings.simplefilter("ignore", whirr.WhirrWarning)

def begin():
    return whirr.init({QUICK})

def fill():
    "Take every byte that is left."
    with open("filler", "ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass

def free():
    os.unlink("filler")

def log(run, first, last, **more):
    for n in range(first, last):
        run.log({{"who": "main", "n": n, **more}}, step=n)

def numbers(run, who="main"):
    return [record["n"] for record in whirr.read_metrics(run.run_dir) if record["who"] == who]

def tell(run, **more):
    meta = whirr.read_meta(run.run_dir)
    told = {{"numbers": numbers(run), "problems": meta["problems"], **more}}
    print(json.dumps({{**{{key: meta.get(key) for key in ("status", "cause", "dropped_records")}}, **told}}))

"""


def namespace() -> list[str]:
    """A command prefix for a mount namespace of one's own; skips where none can be had."""
    wrapper = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    probe = ["sh", "-c", "mount -t tmpfs -o size=64k whirr-test /mnt"]
    try:
        subprocess.run([*wrapper, *probe], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system of its own can be mounted here: {error}")
    return wrapper


def on_small_disk(place: Path, body: str, size: str = "1m") -> dict[str, Any]:
    """Run a program in a file system of `size`; what it tells. One that hangs or raises fails the test."""
    script = program(place / "train.py", HEAD + body)
    disk = place / "disk"
    disk.mkdir()
    words = shlex.join([sys.executable, str(script)])
    mount = f"mount -t tmpfs -o size={size} whirr-test {shlex.quote(str(disk))}"
    process = start([*namespace(), "sh", "-c", f"{mount} && cd {shlex.quote(str(disk))} && exec {words}"], place)
    out, err = outputs(process)
    assert process.returncode == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


def test_filled_for_1500_rows_and_freed(tmp_path: Path) -> None:
    told = on_small_disk(
        tmp_path,
        """
run = begin()
log(run, 0, 300)
fill()
log(run, 300, 1800)
while_full = len(numbers(run))
free()
log(run, 1800, 1801)
run.finish()
tell(run, while_full=while_full)
""",
    )
    assert told["numbers"] == list(range(1801))
    assert 300 <= told["while_full"] < 1800  # the disk was really full
    assert (told["status"], told["cause"], told["dropped_records"]) == ("completed", None, None)


def test_freed_while_nothing_is_logged(tmp_path: Path) -> None:
    """The background thread brings the rows out; nobody has to log again."""
    told = on_small_disk(
        tmp_path,
        """
run = begin()
fill()
log(run, 0, 1500)
free()
while len(numbers(run)) < 1500:
    time.sleep(0.01)
tell(run)
""",
    )
    assert told["numbers"] == list(range(1500))
    assert told["status"] == "running"


def test_many_fillings(tmp_path: Path) -> None:
    told = on_small_disk(
        tmp_path,
        """
run = begin()
for episode in range(20):
    log(run, episode * 100, episode * 100 + 50)
    fill()
    log(run, episode * 100 + 50, episode * 100 + 100)
    free()
run.finish()
tell(run)
""",
    )
    assert told["numbers"] == list(range(2000))
    assert told["status"] == "completed"


def test_threads_log_on_a_full_disk(tmp_path: Path) -> None:
    told = on_small_disk(
        tmp_path,
        """
run = begin()
fill()
def work(number):
    for n in range(500):
        run.log({"who": "main", "n": number * 500 + n})
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
free()
for thread in threads: thread.join()
run.finish()
tell(run)
""",
    )
    assert sorted(told["numbers"]) == list(range(2000))


def test_finish_while_full_does_not_hang_and_says_what_is_lost(tmp_path: Path) -> None:
    told = on_small_disk(
        tmp_path,
        """
run = begin()
log(run, 0, 300)
fill()
log(run, 300, 1800)
run.finish()
tell(run)
""",
    )
    written = told["numbers"]
    assert written == list(range(len(written)))
    assert 300 <= len(written) < 1800
    assert told["problems"] == []
    assert (told["status"], told["dropped_records"]) == ("completed", 1800 - len(written))


def test_an_exception_while_full_is_still_told(tmp_path: Path) -> None:
    told = on_small_disk(
        tmp_path,
        """
run = begin()
fill()
log(run, 0, 1500)
try:
    with run:
        raise ValueError("loss is gone")
except ValueError:
    pass
tell(run)
""",
    )
    assert (told["status"], told["cause"]["kind"]) == ("failed", "exception")


def test_summary_and_artifacts_while_full_raise_nothing(tmp_path: Path) -> None:
    told = on_small_disk(
        tmp_path,
        """
run = begin()
with open("/dev/shm/whirr-test-%d" % os.getpid(), "wb") as model:
    model.write(bytes(200_000))
fill()
run.summary({"best": 0.5})
saved = run.save_artifact(model.name, "model.pt")
absent = not saved.exists()
os.unlink(model.name)
left = [str(path) for path in run.run_dir.rglob("*.tmp")]
free()
run.finish()
tell(run, summary=whirr.read_meta(run.run_dir)["summary"], absent=absent, left=left)
""",
    )
    assert (told["status"], told["summary"], told["absent"], told["left"]) == ("completed", {"best": 0.5}, True, [])


def test_waiting_memory_is_bounded_and_what_was_dropped_is_counted(tmp_path: Path) -> None:
    """40 MB of rows for 32 MB of room."""
    told = on_small_disk(
        tmp_path,
        """
run = begin()
log(run, 0, 10)
fill()
log(run, 10, 410, text="x" * 100_000)
free()
log(run, 410, 420)
run.finish()
tell(run)
""",
        size="48m",
    )
    written = told["numbers"]
    assert written == sorted(written)
    assert written[:10] == list(range(10))
    assert 0 < told["dropped_records"] < 400
    assert len(written) + told["dropped_records"] == 420
    assert told["status"] == "completed"


def test_a_tiny_room_of_a_writer(tmp_path: Path) -> None:
    told = on_small_disk(
        tmp_path,
        """
writer = MetricsWriter("metrics.jsonl", room=2000)
for n in range(100): writer.append({"n": n})
fill()
for n in range(100, 1500): writer.append({"n": n})
waiting, dropped = writer.waiting, writer.dropped
free()
while not writer.drain(): pass
for n in range(1500, 1600): writer.append({"n": n})
lost = writer.close()
records = whirr.read_metrics("metrics.jsonl")
print(json.dumps([waiting, dropped, lost, [r["n"] for r in records], [r["_idx"] for r in records]]))
""",
    )
    waiting, dropped, lost, numbers, indices = told
    assert waiting > 0
    assert dropped == lost > 0
    assert len(numbers) + dropped == 1600
    assert numbers == sorted(set(numbers))
    assert numbers[-100:] == list(range(1500, 1600))
    assert indices == sorted(set(indices))


def test_a_child_forked_while_rows_wait_doubles_none(tmp_path: Path) -> None:
    told = on_small_disk(
        tmp_path,
        """
run = begin()
fill()
log(run, 0, 1500)
child = os.fork()
if child == 0:
    for n in range(50): run.log({"who": "child", "n": n})
    sys.exit(0)
free()
os.waitpid(child, 0)
run.finish()
tell(run, child=numbers(run, "child"))
""",
    )
    assert told["numbers"] == list(range(1500))
    assert told["child"] == list(range(50))


def test_a_full_disk_at_init_is_one_clear_error(tmp_path: Path) -> None:
    told = on_small_disk(
        tmp_path,
        """
import pathlib
pathlib.Path(".whirr/runs").mkdir(parents=True)
pathlib.Path(".whirr/.gitignore").touch()
fill()
try:
    begin()
except OSError as error:
    left = [str(path) for path in pathlib.Path(".").glob("**/runs/*")]
    print(json.dumps([type(error).__name__, str(error), error.hint, left]))
""",
    )
    name, message, hint, left = told
    assert name == "FolderError"
    assert "No space left" in message
    assert "WHIRR_DIR" in hint
    assert left == []
