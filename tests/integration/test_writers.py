"""Several processes and threads log to one run: nothing is lost or doubled, and the run ends once and rightly."""

from __future__ import annotations

from pathlib import Path

import pytest
from ending_cases import PYTHON
from helpers import QUICK, by_writer, only_run, outputs, program, run_dirs, start, stored_meta

import whirr

COUNTED = """
import os, signal, sys, threading, time
import whirr

def log(who, count, run=None):
    for n in range(count):
        (run or whirr).log({"who": who, "n": n})

def meta(run):
    return (run.run_dir / "meta.json").read_bytes()

def settled(run):
    "What meta.json says once the capture has written its part."
    for thread in threading.enumerate():
        if thread.name == "whirr-capture":
            thread.join()
    return meta(run)
"""


def ran(place: Path, text: str, code: int = 0) -> tuple[str, Path]:
    """Run a program to its end; its output, and its one run folder."""
    script = program(place / "train.py", COUNTED + text.replace("QUICK", QUICK))
    process = start([*PYTHON, script], place)
    out, err = outputs(process)
    assert process.returncode == code, err
    return out, only_run(place)


def written(folder: Path) -> dict[str, list[int]]:
    return by_writer(whirr.read_metrics(folder))


FORK = """
def forked(run):
    before = settled(run)
    child = os.fork()
    if child == 0:
        log("child", 5, run)
        {ending}
    else:
        _, status = os.waitpid(child, 0)
        assert meta(run) == before, "the child changed meta.json"
        log("parent", 5, run)
        print("child:", os.waitstatus_to_exitcode(status))

"""
CHILD_ENDINGS = {
    "os._exit(0)": ("os._exit(0)", 0),
    "os._exit(5)": ("os._exit(5)", 5),
    "sys.exit(0)": ("sys.exit(0)", 0),
    "sys.exit(3)": ("sys.exit(3)", 3),
    "raise SystemExit(3)": ("raise SystemExit(3)", 3),
    "falls off the end": ("pass", 0),
    "finish": ("run.finish()", 0),
    "exception": ('raise ValueError("in the child")', 1),
    "inside with": ('\n        with run: raise ValueError("in the child")', 1),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -15),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -2),
}
PARENT = {
    "open": "forked(whirr.init(QUICK))\n",
    "with": "with whirr.init(QUICK) as run:\n    forked(run)\n",
}


@pytest.mark.parametrize("parent", PARENT)
@pytest.mark.parametrize("how", CHILD_ENDINGS)
def test_a_forked_child(how: str, parent: str, tmp_path: Path) -> None:
    ending, code = CHILD_ENDINGS[how]
    out, folder = ran(tmp_path, FORK.format(ending=ending) + PARENT[parent])
    assert out == f"child: {code}\n"
    assert written(folder) == {"child": [0, 1, 2, 3, 4], "parent": [0, 1, 2, 3, 4]}
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["cause"], meta["problems"]) == ("completed", None, [])


def test_a_childs_failure_is_told_under_its_name(tmp_path: Path) -> None:
    text = FORK.format(ending='raise ValueError("in the child")') + PARENT["open"]
    _, folder = ran(tmp_path, text)
    causes = [writer["cause"] for writer in whirr.read_meta(folder)["writers"]]
    assert [(cause["type"], cause["message"]) for cause in causes] == [("ValueError", "in the child")]


def test_a_childs_summary_joins_the_runs(tmp_path: Path) -> None:
    text = FORK.format(ending='run.summary({"child/loss": 0.5})')
    _, folder = ran(tmp_path, text + 'run = whirr.init(QUICK)\nrun.summary({"loss": 1})\nforked(run)\n')
    assert whirr.read_meta(folder)["summary"] == {"loss": 1, "child/loss": 0.5}


def test_a_child_that_outlives_its_parent(tmp_path: Path) -> None:
    text = """
run = whirr.init(QUICK)
log("parent", 3)
out, into = os.pipe()
if os.fork() == 0:
    os.close(into)
    os.read(out, 1)  # ends when the parent has gone
    log("child", 5)
    os._exit(0)
"""
    _, folder = ran(tmp_path, text)  # waits for the child too: it holds the piped output
    assert written(folder) == {"parent": [0, 1, 2], "child": [0, 1, 2, 3, 4]}
    assert whirr.read_meta(folder)["status"] == "completed"


def test_a_child_may_begin_a_run_of_its_own(tmp_path: Path) -> None:
    text = """
run = whirr.init(name="parent", QUICK)
child = os.fork()
if child == 0:
    own = whirr.init(name="child", QUICK)
    log("child", 5)
    sys.exit(3)
os.waitpid(child, 0)
log("parent", 5)
"""
    script = program(tmp_path / "train.py", COUNTED + text.replace("QUICK", QUICK))
    outputs(start([*PYTHON, script], tmp_path))
    metas = {meta["name"]: (meta, written(folder)) for folder in run_dirs(tmp_path) for meta in [stored_meta(folder)]}
    assert metas["parent"][0]["status"] == "completed"
    assert metas["parent"][1] == {"parent": [0, 1, 2, 3, 4]}
    assert (metas["child"][0]["status"], metas["child"][0]["cause"]["exit_code"]) == ("failed", 3)
    assert metas["child"][1] == {"child": [0, 1, 2, 3, 4]}


OWN_RUNS = """
import multiprocessing

def train(who, ending):
    run = whirr.init(name=who, QUICK)
    log(who, 5)
    exec(ending)

if __name__ == "__main__":
    {opening}
    context = multiprocessing.get_context("{method}")
    endings = {"good": "pass", "bad": "raise ValueError('loss is gone')", "exits": "sys.exit(3)"}
    endings["stopped"] = "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
    children = [context.Process(target=train, args=pair) for pair in endings.items()]
    for child in children: child.start()
    for child in children: child.join()
    print([child.exitcode for child in children])
"""


@pytest.mark.parametrize("opening", ["pass", 'outer = whirr.init(name="outer", QUICK)'], ids=["", "within a run"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_with_runs_of_their_own(method: str, opening: str, tmp_path: Path) -> None:
    text = OWN_RUNS.replace("{method}", method).replace("{opening}", opening)
    script = program(tmp_path / "train.py", COUNTED + text.replace("QUICK", QUICK))
    out, _ = outputs(start([*PYTHON, script], tmp_path))
    assert out == "[0, 1, 3, -15]\n"
    metas = {meta["name"]: meta for meta in map(stored_meta, run_dirs(tmp_path))}
    metas.pop("outer", None)
    endings = {name: (meta["status"], (meta["cause"] or {}).get("kind")) for name, meta in metas.items()}
    assert endings == {
        "good": ("completed", None),
        "bad": ("failed", "exception"),
        "exits": ("failed", "exit"),
        "stopped": ("failed", "signal"),
    }


def test_children_of_children(tmp_path: Path) -> None:
    text = """
run = whirr.init(QUICK)
for depth in range(4):
    log(f"depth {depth}", 3)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        break
else:
    log("leaf", 3)
"""
    _, folder = ran(tmp_path, text)
    assert written(folder) == {**{f"depth {n}": [0, 1, 2] for n in range(4)}, "leaf": [0, 1, 2]}
    assert whirr.read_meta(folder)["status"] == "completed"


def test_a_thread_logs_while_children_are_forked(tmp_path: Path) -> None:
    text = """
run = whirr.init(QUICK)
going = True

def train():
    n = 0
    while going:
        run.log({"who": "thread", "n": n})
        n += 1
    print(n)

thread = threading.Thread(target=train)
thread.start()
for number in range(40):
    child = os.fork()
    if child == 0:
        log(f"child {number}", 20)
        os._exit(0)
    os.waitpid(child, 0)
going = False
thread.join()
"""
    out, folder = ran(tmp_path, text)
    found = written(folder)
    assert found.pop("thread") == list(range(int(out)))
    assert found == {f"child {n}": list(range(20)) for n in range(40)}


def test_children_forked_while_the_capture_imports_modules(tmp_path: Path) -> None:
    """A module that a background thread is importing at a fork would stay locked in the child for ever."""
    text = """
run = whirr.init()
children = []
for number in range(30):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        import importlib.metadata, platform, shutil, subprocess, tempfile, urllib.parse
        log(f"child {number}", 1)
        os._exit(0)
    children.append(child)
    time.sleep(0.002)
print({os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children})
"""
    out, folder = ran(tmp_path, text)
    assert out == "{0}\n"
    assert len(written(folder)) == 30


MULTIPROCESSING = """
import multiprocessing

def work(run, who, ending):
    log(who, 50, run)
    exec(ending)

if __name__ == "__main__":
    run = whirr.init(QUICK)
    before = settled(run)
    context = multiprocessing.get_context("{method}")
    endings = ["pass", "sys.exit(2)", "raise ValueError('in a child')", "os._exit(4)", "run.finish()"]
    children = [context.Process(target=work, args=(run, str(n), text)) for n, text in enumerate(endings)]
    for child in children: child.start()
    log("parent", 50)
    for child in children: child.join()
    assert meta(run) == before, "a child changed meta.json"
    print([child.exitcode for child in children])
"""
METHODS = ["fork", "spawn", "forkserver"]


@pytest.mark.parametrize("method", METHODS)
def test_multiprocessing(method: str, tmp_path: Path) -> None:
    out, folder = ran(tmp_path, MULTIPROCESSING.replace("{method}", method))
    assert out == "[0, 2, 1, 4, 0]\n"
    assert written(folder) == {who: list(range(50)) for who in ("parent", "0", "1", "2", "3", "4")}
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["cause"]) == ("completed", None)
    kinds = sorted(writer["cause"]["kind"] for writer in meta["writers"] if writer.get("cause"))
    assert kinds == ["exception", "exit"]


POOL = """
import multiprocessing

def begin(given):
    global run
    run = given

def load(item):
    run.log({"who": f"item {item}", "n": item})
    return os.getpid()

if __name__ == "__main__":
    begin(whirr.init(QUICK))
    with multiprocessing.get_context("{method}").Pool(4, begin, [run]) as pool:  # ends its workers by SIGTERM
        for epoch in range(3):
            pids = pool.map(load, range(epoch * 100, epoch * 100 + 100), chunksize=5)
            run.log({"who": "epochs", "n": epoch})
    assert os.getpid() not in pids
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_of_workers_as_data_loaders_use(method: str, tmp_path: Path) -> None:
    _, folder = ran(tmp_path, POOL.replace("{method}", method))
    found = written(folder)
    assert found.pop("epochs") == [0, 1, 2]
    assert found == {f"item {n}": [n] for n in range(300)}
    assert whirr.read_meta(folder)["status"] == "completed"


def test_a_pool_of_futures(tmp_path: Path) -> None:
    text = """
from concurrent.futures import ProcessPoolExecutor
import multiprocessing

def load(run, item):
    run.log({"who": f"item {item}", "n": item})

if __name__ == "__main__":
    run = whirr.init(QUICK)
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(load, run, item) for item in range(60)]:
            future.result()
    run.finish()
"""
    _, folder = ran(tmp_path, text)
    assert written(folder) == {f"item {n}": [n] for n in range(60)}
    files = list(folder.glob("metrics.*.jsonl"))
    assert 1 <= len(files) <= 3  # one a worker, not one a task


def test_a_run_that_a_childs_message_brings_home(tmp_path: Path) -> None:
    """A run that travels to a child and back is still the one that the parent has open."""
    text = """
import multiprocessing

def work(run):
    return run

if __name__ == "__main__":
    run = whirr.init(QUICK)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        back = pool.apply(work, (run,))
    log("parent", 2, run)
    log("back", 2, back)
    run.finish()
"""
    _, folder = ran(tmp_path, text)
    assert written(folder) == {"parent": [0, 1], "back": [0, 1]}
    assert whirr.read_meta(folder)["status"] == "completed"


def test_threads(tmp_path: Path) -> None:
    text = """
run = whirr.init(QUICK)
both = threading.Barrier(8)

def work(who):
    both.wait()
    log(who, 500, run)

threads = [threading.Thread(target=work, args=(str(n),)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    _, folder = ran(tmp_path, text)
    assert written(folder) == {str(n): list(range(500)) for n in range(8)}
    assert list(folder.glob("metrics.*.jsonl")) == []


def test_a_child_process_that_knows_nothing_of_the_run(tmp_path: Path) -> None:
    """A program started by the training program begins a run of its own."""
    text = f"""
import subprocess
run = whirr.init(name="outer", QUICK)
inner = 'import whirr; whirr.init(name="inner", {QUICK}).log({{"who": "inner", "n": 0}})'
subprocess.run([sys.executable, "-c", inner], check=True)
log("outer", 1)
"""
    script = program(tmp_path / "train.py", COUNTED + text.replace("QUICK", QUICK))
    outputs(start([*PYTHON, script], tmp_path))
    found = {stored_meta(folder)["name"]: written(folder) for folder in run_dirs(tmp_path)}
    assert found == {"outer": {"outer": [0]}, "inner": {"inner": [0]}}


def test_exec_replaces_the_program_and_not_the_process(tmp_path: Path) -> None:
    """`os.execv` keeps pid and start time: the run reads as running while the new program lives, then as failed."""
    text = """
run = whirr.init(QUICK)
log("before", 3)
os.execv(sys.executable, [sys.executable, "-c", "print('another program', flush=True); input()"])
"""
    script = program(tmp_path / "train.py", COUNTED + text.replace("QUICK", QUICK))
    process = start([*PYTHON, script], tmp_path, piped=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "another program\n"
    folder = only_run(tmp_path)
    assert whirr.read_meta(folder)["status"] == "running"
    outputs(process, "\n")
    assert process.returncode == 0
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["cause"]["kind"]) == ("failed", "killed")
    assert written(folder) == {"before": [0, 1, 2]}


def test_descriptors_are_not_inherited_by_programs(tmp_path: Path) -> None:
    text = """
import subprocess
run = whirr.init(QUICK)
log("parent", 1)
listing = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False).stdout
print(str(run.run_dir) in listing)
"""
    out, _ = ran(tmp_path, text)
    assert out == "False\n"
