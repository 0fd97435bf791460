"""Runs that a thread begins and leaves open: they end with the thread's failure, or with the process."""

from __future__ import annotations

from pathlib import Path

from ending_cases import PYTHON, Outcome, run_twice
from helpers import QUICK, outputs, program, start, stored_meta

TEMPLATE = f"""
import os, signal, sys, threading, time
import whirr

def work():
    run = whirr.init({QUICK})
    run.log({{{{"loss": 0.5}}}})
    {{body}}

thread = threading.Thread(target=work)
thread.start()
thread.join()
{{after}}
print("main is done")
"""


def ended(tmp_path: Path, body: str, after: str = "", same_stderr: bool = True) -> Outcome:
    script = program(tmp_path / "train.py", TEMPLATE.format(body=body, after=after))
    return run_twice([*PYTHON, script], tmp_path, same_stderr=same_stderr)


def test_a_thread_that_returns(tmp_path: Path) -> None:
    outcome = ended(tmp_path, "pass")
    assert (outcome.code, outcome.meta()["status"]) == (0, "completed")
    assert len(outcome.metrics()) == 1


def test_an_exception(tmp_path: Path) -> None:
    outcome = ended(tmp_path, 'raise ValueError("loss is gone")')
    assert (outcome.code, outcome.out) == (0, "main is done\n")
    assert outcome.meta()["status"] == "failed"
    assert outcome.meta()["cause"]["type"] == "ValueError"
    assert "in work" in outcome.meta()["cause"]["traceback"]


def test_sys_exit_ends_the_thread_only(tmp_path: Path) -> None:
    outcome = ended(tmp_path, "sys.exit(7)")
    assert (outcome.code, outcome.out, outcome.err) == (0, "main is done\n", "")
    assert outcome.meta()["status"] == "failed"
    assert (outcome.meta()["cause"]["kind"], outcome.meta()["cause"]["exit_code"]) == ("exit", 7)


def test_sys_exit_of_zero(tmp_path: Path) -> None:
    outcome = ended(tmp_path, "sys.exit(0)")
    assert (outcome.code, outcome.meta()["status"]) == (0, "completed")


def test_inside_with(tmp_path: Path) -> None:
    outcome = ended(tmp_path, 'with run: raise ValueError("loss is gone")')
    assert (outcome.code, outcome.meta()["cause"]["type"]) == (0, "ValueError")


def test_sigterm_while_main_waits_for_the_thread(tmp_path: Path) -> None:
    outcome = ended(tmp_path, "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)")
    assert outcome.code == -15
    assert outcome.meta()["cause"]["signal"] == "SIGTERM"


def test_an_interrupt_while_main_waits_for_the_thread(tmp_path: Path) -> None:
    outcome = ended(tmp_path, "os.kill(os.getpid(), signal.SIGINT)", same_stderr=False)
    assert outcome.code == -2
    assert outcome.meta()["status"] == "failed"
    assert outcome.meta()["cause"]["kind"] == "interrupt"


def test_the_main_program_fails_later(tmp_path: Path) -> None:
    outcome = ended(tmp_path, "pass", after="sys.exit(3)")
    assert outcome.code == 3
    assert outcome.meta()["cause"]["exit_code"] == 3


def test_a_failing_thread_ends_its_own_run_only(tmp_path: Path) -> None:
    script = program(
        tmp_path / "train.py",
        f"""
        import threading, whirr
        both = threading.Barrier(2)

        def work(name, fails):
            run = whirr.init(name=name, {QUICK})
            both.wait()
            if fails:
                raise ValueError(name)
            run.log({{"loss": 0.5}})
            run.finish()

        threads = [threading.Thread(target=work, args=pair) for pair in (("bad", True), ("good", False))]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
    )
    outputs(start([*PYTHON, script], tmp_path))
    runs = {meta["name"]: meta for meta in map(stored_meta, (tmp_path / ".whirr/runs").iterdir())}
    assert (runs["bad"]["status"], runs["good"]["status"]) == ("failed", "completed")
    assert runs["bad"]["cause"]["message"] == "bad"


def test_a_thread_pool_future(tmp_path: Path) -> None:
    """A pool keeps an exception for whoever asks: the run inside `with` knows it all the same."""
    script = program(
        tmp_path / "train.py",
        f"""
        from concurrent.futures import ThreadPoolExecutor
        import whirr

        def work():
            with whirr.init({QUICK}) as run:
                run.log({{"loss": 0.5}})
                raise ValueError("loss is gone")

        with ThreadPoolExecutor(2) as pool:
            print(repr(pool.submit(work).exception()))
        """,
    )
    outcome = run_twice([*PYTHON, script], tmp_path)
    assert outcome.out == "ValueError('loss is gone')\n"
    assert outcome.meta()["cause"]["type"] == "ValueError"
