"""The program's own hooks and signal handlers work on, whether they were set before or after whirr's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ending_cases import ERROR, PYTHON, Outcome, run_twice
from helpers import QUICK, only_run, outputs, program, run_dirs, start, stored_meta, wait_until

IMPORTS = "import atexit, os, signal, sys, threading, time\nimport whirr\n"
INIT = f'run = whirr.init({QUICK})\nrun.log({{"loss": 0.5}})\n'


def ended(tmp_path: Path, before: str, after: str, **variables: str) -> Outcome:
    """A program that does `before`, begins a run, and does `after`; tracked and untracked do the same."""
    script = program(tmp_path / "train.py", IMPORTS + before + "\n" + INIT + after)
    return run_twice([*PYTHON, script], tmp_path, **variables)


HOOK = """
def hook(kind, error, trace):
    print("own hook:", kind.__name__, error)
sys.excepthook = hook
"""


@pytest.mark.parametrize("early", [True, False], ids=["before init", "after init"])
def test_the_programs_own_excepthook_is_called(early: bool, tmp_path: Path) -> None:
    failing = 'raise ValueError("loss is gone")'
    outcome = ended(tmp_path, HOOK if early else "", failing if early else HOOK + failing)
    assert outcome.code == 1
    assert outcome.out == "own hook: ValueError loss is gone\n"
    meta = outcome.meta()
    assert meta["status"] == "failed"
    if early:
        assert meta["cause"]["type"] == "ValueError"
    else:  # a hook that replaces ours and calls nobody: all that is left to see is the exit status
        assert meta["cause"]["exit_code"] == 1


THREAD_HOOK = """
def hook(args):
    print("own hook:", args.exc_type.__name__)
threading.excepthook = hook
"""
FAILING_THREAD = """
def work():
    raise ValueError("in a thread")
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_the_programs_own_thread_hook_is_called(tmp_path: Path) -> None:
    outcome = ended(tmp_path, THREAD_HOOK, FAILING_THREAD)
    assert outcome.out == "own hook: ValueError\n"
    assert outcome.meta()["status"] == "completed"  # the run belongs to the main program, which went on


HANDLER = """
def handle(number, frame):
    print("handled", signal.Signals(number).name)
    {action}
signal.signal(signal.{name}, handle)
"""
RAISE = "os.kill(os.getpid(), signal.{name})\n"


@pytest.mark.parametrize("early", [True, False], ids=["before init", "after init"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_that_the_program_handles_ends_nothing(name: str, early: bool, tmp_path: Path) -> None:
    handler = HANDLER.format(name=name, action="pass")
    go_on = RAISE.format(name=name) + 'run.log({"loss": 0.25})\n'
    outcome = ended(tmp_path, handler if early else "", go_on if early else handler + go_on)
    assert outcome.code == 0
    assert outcome.out == f"handled {name}\n"
    assert outcome.meta()["status"] == "completed"
    assert outcome.meta()["cause"] is None
    assert [record["loss"] for record in outcome.metrics()] == [0.5, 0.25]


@pytest.mark.parametrize("early", [True, False], ids=["before init", "after init"])
def test_a_signal_handler_that_exits(early: bool, tmp_path: Path) -> None:
    handler = HANDLER.format(name="SIGTERM", action="sys.exit(143)")
    leave = RAISE.format(name="SIGTERM")
    outcome = ended(tmp_path, handler if early else "", leave if early else handler + leave)
    assert outcome.code == 143
    assert outcome.meta()["status"] == "failed"
    cause = outcome.meta()["cause"]
    if early:
        assert (cause["kind"], cause["signal"]) == ("signal", "SIGTERM")
    else:
        assert (cause["kind"], cause["exit_code"]) == ("exit", 143)


def test_a_signal_handler_that_raises(tmp_path: Path) -> None:
    handler = HANDLER.format(name="SIGTERM", action='raise ValueError("loss is gone")')
    script = program(tmp_path / "train.py", IMPORTS + handler + INIT + RAISE.format(name="SIGTERM"))
    process = start([*PYTHON, script], tmp_path)
    outputs(process)
    assert process.returncode == 1
    cause = stored_meta(only_run(tmp_path))["cause"]
    assert {key: cause[key] for key in ERROR} == ERROR


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As under nohup."""
    outcome = ended(tmp_path, "signal.signal(signal.SIGHUP, signal.SIG_IGN)", RAISE.format(name="SIGHUP"))
    assert outcome.code == 0
    assert outcome.meta()["status"] == "completed"


def test_getsignal_before_init_shows_the_programs_own_handlers(tmp_path: Path) -> None:
    """A handler set before the import is still reached by a program that chains to what it finds."""
    chain = """
    previous = signal.getsignal(signal.SIGTERM)
    def chained(number, frame):
        print("chained")
        signal.signal(number, previous)
        os.kill(os.getpid(), number)
    signal.signal(signal.SIGTERM, chained)
    """
    lines = "\n".join(line.strip() if "def" in line else line[4:] for line in chain.splitlines())
    outcome = ended(tmp_path, "", lines + "\n" + RAISE.format(name="SIGTERM") + "time.sleep(60)")
    assert outcome.code == -15
    assert outcome.out == "chained\n"
    assert outcome.meta()["cause"]["signal"] == "SIGTERM"


def test_what_the_program_does_at_exit_can_still_log(tmp_path: Path) -> None:
    at_exit = 'atexit.register(lambda: run.log({"loss": 0.125}))\n'
    outcome = ended(tmp_path, "", at_exit)
    assert [record["loss"] for record in outcome.metrics()] == [0.5, 0.125]
    assert outcome.meta()["status"] == "completed"


def test_a_thread_that_logs_after_the_main_program_ended(tmp_path: Path) -> None:
    """Python waits for threads that are no daemons; so does the end of the run."""
    late = """
    def work():
        threading.main_thread().join()
        run.log({"loss": 0.25})
    threading.Thread(target=work).start()
    raise ValueError("loss is gone")
    """
    lines = "\n".join(line[4:] for line in late.splitlines())
    outcome = ended(tmp_path, "", lines)
    assert outcome.code == 1
    assert [record["loss"] for record in outcome.metrics()] == [0.5, 0.25]
    assert outcome.meta()["cause"]["type"] == "ValueError"


def test_a_caught_failure_can_be_told(tmp_path: Path) -> None:
    caught = 'try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    getattr(run, "fail")(error)\nprint("on")'
    outcome = ended(tmp_path, "", caught)
    assert (outcome.code, outcome.out) == (0, "on\n")
    assert outcome.meta()["cause"]["type"] == "ZeroDivisionError"


def test_every_open_run_of_a_process_ends(tmp_path: Path) -> None:
    script = program(
        tmp_path / "train.py",
        f"""
        import whirr
        first = whirr.init(name="first", {QUICK})
        second = whirr.init(name="second", {QUICK})
        third = whirr.init(name="third", {QUICK})
        whirr.log({{"loss": 3}})
        third.finish()
        whirr.log({{"loss": 2}})
        first.log({{"loss": 1}})
        raise ValueError("loss is gone")
        """,
    )
    outputs(start([*PYTHON, script], tmp_path))
    runs = {meta["name"]: meta for meta in map(stored_meta, (tmp_path / ".whirr/runs").iterdir())}
    assert {name: meta["status"] for name, meta in runs.items()} == {
        "first": "failed",
        "second": "failed",
        "third": "completed",
    }
    assert runs["third"]["cause"] is None
    assert runs["first"]["cause"]["type"] == runs["second"]["cause"]["type"] == "ValueError"


def test_sigterm_from_another_process_while_training_computes(tmp_path: Path) -> None:
    script = program(tmp_path / "train.py", IMPORTS + INIT + "while True:\n    run.log({'loss': 0.5})\n")
    process = start([*PYTHON, script], tmp_path)
    wait_until(lambda: (tmp_path / ".whirr").exists() and list((tmp_path / ".whirr/runs").glob("*/metrics.jsonl")))
    wait_until(lambda: (only_run(tmp_path) / "metrics.jsonl").stat().st_size > 1000)
    process.terminate()
    outputs(process)
    assert process.returncode == -15
    meta = stored_meta(only_run(tmp_path))
    assert (meta["status"], meta["cause"]["signal"]) == ("failed", "SIGTERM")


STRUCK = """
for number in range({moments}):
    if os.fork() == 0:
        run = whirr.init({quick})
        for thread in threading.enumerate():  # what is captured is on disk: the ending waits for nobody
            if thread.name == "whirr-capture":
                thread.join()

        def strike(frame, event, argument, left=[number]):
            left[0] -= event == "call"
            if left[0] < 0:
                sys.setprofile(None)
                os.kill(os.getpid(), signal.{name})

        sys.setprofile(strike)
        run.finish()
        break
    os.wait()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_at_any_moment_of_finish_leaves_an_ending(name: str, tmp_path: Path) -> None:
    """It strikes at each call of a Python function in turn."""
    moments = 30
    script = program(tmp_path / "train.py", IMPORTS + STRUCK.format(moments=moments, quick=QUICK, name=name))
    outputs(start([*PYTHON, script], tmp_path))
    metas = [stored_meta(run_dir) for run_dir in run_dirs(tmp_path)]
    assert len(metas) == moments
    for meta in metas:
        assert meta["status"] == ("failed" if meta["cause"] else "completed"), meta
        assert (meta["cause"] or {}).get("kind") in (None, "signal", "interrupt"), meta


@pytest.mark.parametrize("mode", ["disabled", "enabled"])
def test_disabled_leaves_the_signals_alone(mode: str, tmp_path: Path) -> None:
    code = "import signal, whirr; whirr.init().finish(); print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    environ = {**os.environ, "WHIRR_MODE": mode, "WHIRR_DIR": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(mode == "disabled")


def test_a_signal_that_the_program_heard_is_kept_beside_its_exit_code(tmp_path: Path) -> None:
    heard = "signal.signal(signal.SIGTERM, lambda number, frame: None)"
    outcome = ended(tmp_path, heard, "os.kill(os.getpid(), signal.SIGTERM)\nsys.exit(3)")
    cause = outcome.meta()["cause"]
    assert outcome.code == 3
    assert (cause["kind"], cause["signal"], cause["exit_code"]) == ("signal", "SIGTERM", 3)
