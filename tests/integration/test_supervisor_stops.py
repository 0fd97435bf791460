"""Why and how an attempt is stopped: asked to, at a time limit, without its worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from executors_helpers import Worker, alive, ending, identity, python, result, started, task
from helpers import wait_until

from whirr.executors.base import StopReason
from whirr.executors.process import ProcessExecutor, ProcessHandle
from whirr.executors.supervisor import boot_clock

LONG = 600.0

POLITE = "trap 'echo warned' USR1; trap 'echo term; exit 3' TERM; touch ready; while :; do sleep 0.02; done"
DEAF = "trap '' TERM; touch ready; while :; do sleep 0.02; done"


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    made = ProcessExecutor()
    yield made
    made.close()


def begun(executor: ProcessExecutor, place: Path, script: str, **more: object) -> ProcessHandle:
    """A job that is a shell script, after it said `ready`."""
    handle = executor.start(task(place, "sh", "-c", script, **more))
    wait_until((place / "ready").exists)
    started(handle)
    return handle


def output(place: Path) -> list[str]:
    """What the job wrote; the shell's word on a `sleep` that was stopped too is left out."""
    return [line for line in (place / "output.log").read_text().splitlines() if line != "Terminated"]


def test_a_job_may_tidy_up_and_choose_its_exit_code(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, POLITE, grace_s=LONG)
    handle.stop(StopReason.CANCEL)
    found = ending(handle)
    assert (found.reason, found.exit_code, found.signal, found.killed) == (StopReason.CANCEL, 3, None, 0)
    assert output(tmp_path) == ["term"]


def test_the_warning_signal_comes_before_sigterm(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, POLITE, grace_s=LONG, warn_signal=signal.SIGUSR1)
    handle.stop(StopReason.SHUTDOWN)
    assert ending(handle).reason is StopReason.SHUTDOWN
    assert output(tmp_path) == ["warned", "term"]


def test_only_who_handles_the_warning_signal_is_sent_it(tmp_path: Path, executor: ProcessExecutor) -> None:
    """It would end any other: here the leader. Whoever stands below one that handles it is not sent it either."""
    below = f'sh -c "{POLITE.replace("warned", "twice")}" & {POLITE}'
    script = tmp_path / "handles.sh"
    script.write_text(below)
    handle = begun(executor, tmp_path, f"sh {script}; echo leader lives", grace_s=LONG, warn_signal=signal.SIGUSR1)
    handle.stop(StopReason.SHUTDOWN)
    ending(handle)
    said = output(tmp_path)
    assert "warned" in said
    assert "twice" not in said


def test_who_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, DEAF)
    handle.stop(StopReason.CANCEL, 0.1)
    found = ending(handle)
    assert (found.reason, found.exit_code, found.signal) == (StopReason.CANCEL, None, "SIGKILL")
    assert found.killed >= 1
    assert found.out_of_memory() is None


def test_a_second_stop_hastens_the_first_and_its_reason_stays(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, DEAF)
    handle.stop(StopReason.SHUTDOWN, LONG)
    handle.stop(StopReason.CANCEL, 0.1)
    assert ending(handle).reason is StopReason.SHUTDOWN


def test_a_second_stop_delays_nothing(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, DEAF)
    handle.stop(StopReason.SHUTDOWN, 0.1)
    handle.stop(StopReason.CANCEL, LONG)
    assert ending(handle).reason is StopReason.SHUTDOWN


def test_a_stopped_job_wakes_to_tidy_up(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, POLITE, grace_s=LONG)
    assert handle.pid is not None
    os.killpg(handle.pid, signal.SIGSTOP)
    handle.stop(StopReason.CANCEL)
    assert (ending(handle).exit_code, output(tmp_path)) == (3, ["term"])


def test_what_is_started_to_tidy_up_gets_the_grace_too(tmp_path: Path, executor: ProcessExecutor) -> None:
    script = "trap 'sh -c \"sleep 0.3; echo saved\"; exit 4' TERM; touch ready; while :; do sleep 0.02; done"
    handle = begun(executor, tmp_path, script, grace_s=LONG)
    handle.stop(StopReason.CANCEL)
    assert (ending(handle).exit_code, output(tmp_path)) == (4, ["saved"])


def test_a_stop_before_the_start(tmp_path: Path) -> None:
    executor = ProcessExecutor(spares=0)  # its supervisor needs a while to come up: the order is there first
    handle = executor.start(task(tmp_path, "sleep", "1000"))
    handle.stop(StopReason.CANCEL)
    found = ending(handle)
    executor.close()
    assert (found.reason, found.exit_code, found.error) == (StopReason.CANCEL, None, None)


def test_a_stop_after_the_end_changes_nothing(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = executor.start(task(tmp_path, "true"))
    found = ending(handle)
    handle.stop(StopReason.CANCEL)
    handle.pulse(0)
    handle.close()
    assert handle.poll() is found
    assert (found.reason, found.exit_code) == (None, 0)


def test_a_handle_that_is_closed_stops_its_job(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, "touch ready; exec sleep 1000")
    handle.close()
    assert result(tmp_path).reason is StopReason.WORKER_LOST
    with pytest.raises(ValueError, match="let go"):
        handle.poll()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_supervisor_that_is_asked_to_end_stops_its_job(
    tmp_path: Path, executor: ProcessExecutor, number: signal.Signals
) -> None:
    handle = begun(executor, tmp_path, POLITE, grace_s=LONG)
    os.kill(handle.supervisor_pid, number)
    found = ending(handle)
    assert (found.reason, found.exit_code) == (StopReason.SHUTDOWN, 3)


def test_time_limit_with_a_warning(tmp_path: Path, executor: ProcessExecutor) -> None:
    limits = {"timeout_s": 1.5, "warn_before_s": 0.5, "warn_signal": signal.SIGUSR1}
    handle = begun(executor, tmp_path, POLITE, grace_s=LONG, **limits)
    wait_until(lambda: output(tmp_path) == ["warned"])
    assert handle.poll() is None
    found = ending(handle)
    assert (found.reason, found.exit_code) == (StopReason.TIMEOUT, 3)
    assert output(tmp_path) == ["warned", "term"]
    assert found.duration_s >= 1.5


def test_time_limit_without_a_warning(tmp_path: Path, executor: ProcessExecutor) -> None:
    limits = {"timeout_s": 0.5, "warn_before_s": 0, "warn_signal": signal.SIGUSR1}
    handle = executor.start(task(tmp_path, "sleep", "1000", **limits))
    found = ending(handle)
    assert (found.reason, found.signal) == (StopReason.TIMEOUT, "SIGTERM")


def test_a_job_that_ends_in_time_is_not_stopped(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = executor.start(task(tmp_path, "sh", "-c", "exit 5", timeout_s=30))
    found = ending(handle)
    assert (found.reason, found.exit_code) == (None, 5)


def test_without_a_pulse_the_lease_ends(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, "touch ready; exec sleep 1000")
    handle.pulse(0.1)
    assert ending(handle).reason is StopReason.LEASE_LOST


def test_a_later_pulse_counts(tmp_path: Path, executor: ProcessExecutor) -> None:
    script = "touch ready; until test -e go; do sleep 0.02; done"
    handle = begun(executor, tmp_path, script)
    os.kill(handle.supervisor_pid, signal.SIGSTOP)
    handle.pulse(0)
    passed = boot_clock()
    handle.pulse(LONG)
    wait_until(lambda: boot_clock() > passed + 0.05)
    os.kill(handle.supervisor_pid, signal.SIGCONT)  # the first deadline is over, but not the last
    (tmp_path / "go").touch()
    assert ending(handle).reason is None


def test_a_pulse_of_none_takes_the_deadline_away(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, "touch ready; until test -e go; do sleep 0.02; done")
    os.kill(handle.supervisor_pid, signal.SIGSTOP)
    handle.pulse(0)
    handle.pulse(None)
    os.kill(handle.supervisor_pid, signal.SIGCONT)
    (tmp_path / "go").touch()
    assert ending(handle).reason is None


def test_orders_wait_for_a_supervisor_that_does_not_read(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = begun(executor, tmp_path, POLITE, grace_s=LONG)
    os.kill(handle.supervisor_pid, signal.SIGSTOP)
    for _ in range(2000):  # more than its socket holds
        handle.pulse(LONG)
    handle.stop(StopReason.CANCEL)
    os.kill(handle.supervisor_pid, signal.SIGCONT)
    assert wait_until(handle.poll).reason is StopReason.CANCEL


def test_a_frozen_worker_loses_its_job_with_its_lease(tmp_path: Path) -> None:
    worker = Worker(task(tmp_path, "sleep", "1000"), pulse_s=1.5)
    job = identity(worker.event("pid"))
    worker.process.send_signal(signal.SIGSTOP)
    assert result(tmp_path).reason is StopReason.LEASE_LOST
    assert not alive(job)
    worker.process.send_signal(signal.SIGCONT)
    assert worker.ending().reason is StopReason.LEASE_LOST
    worker.end()


def test_without_a_deadline_a_frozen_worker_harms_nothing(tmp_path: Path) -> None:
    body = """
        import os, time
        while not os.path.exists("go"):
            time.sleep(0.02)
        print("unharmed")
    """
    worker = Worker(python(tmp_path, body))
    worker.event("pid")
    worker.process.send_signal(signal.SIGSTOP)
    (tmp_path / "go").touch()
    found = result(tmp_path)
    assert (found.reason, found.exit_code, output(tmp_path)) == (None, 0, ["unharmed"])
    worker.process.send_signal(signal.SIGCONT)
    assert worker.ending() == found
    worker.end()
