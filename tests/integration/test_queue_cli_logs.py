"""``whirr logs``: bytes as they are, followed through attempts to the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from helpers import outputs, program, start, wait_until
from queue_cli import PYTHON, WHIRR, ask, drain, reaches, submit, worker


def raw(*words: str, cwd: Path) -> bytes:
    """What a command puts out, byte for byte."""
    done = subprocess.run([*WHIRR, *words], cwd=cwd, capture_output=True, timeout=60)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A queue whose job 1 has written every byte there is, and whose job 2 has written nothing."""
    place = tmp_path_factory.mktemp("logs")
    submit(place, "--", PYTHON, "-c", "import os; os.write(1, bytes(range(256)) * 2)")
    submit(place, "--", "true")
    drain(place)
    return place


class TestPrint:
    def test_bytes(self, place: Path) -> None:
        assert raw("logs", "1", cwd=place) == bytes(range(256)) * 2
        assert raw("logs", "2", cwd=place) == b""

    @pytest.mark.parametrize(("text", "lines", "tail"), [
        (b"", 3, b""),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\nc\n", 0, b""),
        (b"a\nb\nc\n", 3, b"a\nb\nc\n"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"),
        (b"\n\n\n", 2, b"\n\n"),
        (b"long" * 200_000 + b"\nlast\n", 1, b"last\n"),
        (b"first\n" + b"long" * 200_000 + b"\n", 1, b"long" * 200_000 + b"\n"),
        (b"x\n" * 300_000, 200_000, b"x\n" * 200_000),
    ])  # fmt: skip
    def test_the_tail(self, tmp_path: Path, text: bytes, lines: int, tail: bytes) -> None:
        from whirr.cli.logs import tail_start

        path = tmp_path / "output.log"
        path.write_bytes(text)
        with path.open("rb", buffering=0) as file:
            file.seek(tail_start(file, lines))
            assert file.read() == tail

    def test_the_tail_of_a_huge_file_is_found_from_its_end(self, place: Path) -> None:
        path = place / ".whirr" / "runs" / "job-2" / "output.log"
        with path.open("r+b") as file:
            file.truncate(2**40)  # a hole of a terabyte: reading all of it would take an hour
            file.seek(0, os.SEEK_END)
            file.write(b"\nlast\n")
        try:
            assert raw("logs", "2", "--tail", "1", cwd=place) == b"last\n"
        finally:
            os.truncate(path, 0)

    def test_an_attempt_that_was_not(self, place: Path) -> None:
        answer = ask("logs", "1", "--attempt", "2", cwd=place)
        assert (answer.code, answer.out) == (3, "")
        assert "job 1 has had 1 attempt" in answer.err
        assert ask("logs", "1", "--attempt", "0", cwd=place).code == 2

    def test_a_reader_that_leaves(self, place: Path) -> None:
        path = place / ".whirr" / "runs" / "job-2" / "output.log"
        path.write_bytes(b"line\n" * 10**6)
        read, write = os.pipe()
        process = subprocess.Popen([*WHIRR, "logs", "2"], cwd=place, stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        assert os.read(read, 5) == b"line\n"
        os.close(read)
        assert process.communicate(timeout=60)[1] == b""
        assert process.returncode == 0
        os.truncate(path, 0)

    def test_a_full_disk(self, place: Path) -> None:
        with open("/dev/full", "wb") as full:
            done = subprocess.run([*WHIRR, "logs", "1"], cwd=place, stdout=full, stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == 1
        assert done.stderr.startswith(b"error: cannot write the output")

    def test_the_folder_of_a_running_job_is_gone(self, tmp_path: Path) -> None:
        number = submit(tmp_path, "--grace", "0", "--", "sleep", "1000")
        with worker(tmp_path):
            reaches(tmp_path, number, "running")
            folder = tmp_path / ".whirr" / "runs" / f"job-{number}"
            wait_until((folder / "output.log").exists, 60)
            shutil.rmtree(folder)
            answer = ask("logs", str(number), cwd=tmp_path)
            assert (answer.code, answer.out) == (3, "")
            assert answer.err.startswith(f"error: the folder of job {number} is gone, and its output with it: ")


class TestFollow:
    def test_from_before_its_start_to_its_end(self, tmp_path: Path) -> None:
        script = """
            import os, sys, time
            print("attempt", os.environ["WHIRR_ATTEMPT"], flush=True)
            while not os.path.exists("go"):
                time.sleep(0.01)
            sys.stdout.write("no newline at the end")
            sys.exit(85 if os.environ["WHIRR_ATTEMPT"] == "1" else 3)
        """
        path = program(tmp_path / "job.py", script)
        number = submit(tmp_path, "--", PYTHON, path)
        process = start([*WHIRR, "logs", "-f", str(number)], tmp_path)
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stderr.readline()
        with worker(tmp_path):
            assert process.stdout.readline() == "attempt 1\n"
            (tmp_path / "go").touch()
            out, said = outputs(process, timeout=120)
        assert process.returncode == 0
        end = "no newline at the end"
        assert out == f"{end}attempt 2\n{end}"
        err = [first.rstrip("\n"), *said.splitlines()]
        assert err[0] == "job 1 has written nothing yet: it is queued (no worker is running)"
        assert err[1] == "-- attempt 2 --"
        assert err[2].startswith("-- job 1 failed after ")
        assert err[2].endswith(": exited with code 3 --")

    def test_what_has_ended(self, place: Path) -> None:
        answer = subprocess.run([*WHIRR, "logs", "-f", "1", "-n", "1"], cwd=place, capture_output=True, timeout=60)
        assert answer.stdout == bytes(range(256))[11:]
        assert answer.stderr.startswith(b"-- job 1 completed after ")

    def test_one_attempt_only(self, tmp_path: Path) -> None:
        number = submit(tmp_path, "--", PYTHON, "-c", "import os; print(os.environ['WHIRR_ATTEMPT']); exit(1)")
        drain(tmp_path)
        ask("retry", str(number), cwd=tmp_path)
        answer = ask("logs", "-f", "--attempt", "1", str(number), cwd=tmp_path)
        assert (answer.code, answer.out) == (0, "1\n")
        assert "attempt 1 has ended; job 1 is queued" in answer.err

    def test_cancelled_while_queued(self, tmp_path: Path) -> None:
        number = submit(tmp_path, "--", "true")
        process = start([*WHIRR, "logs", "-f", str(number)], tmp_path)
        assert process.stderr is not None
        assert "it is queued" in process.stderr.readline()
        ask("cancel", str(number), cwd=tmp_path)
        assert "-- job 1 cancelled: cancelled by " in outputs(process)[1]

    def test_an_interrupt(self, tmp_path: Path) -> None:
        number = submit(tmp_path, "--", "sh", "-c", "echo on; sleep 1000")
        with worker(tmp_path):
            reaches(tmp_path, number, "running")
            process = start([*WHIRR, "logs", "-f", str(number)], tmp_path)
            assert process.stdout is not None
            assert process.stdout.readline() == "on\n"
            process.send_signal(signal.SIGINT)
            assert "Traceback" not in outputs(process)[1]
            assert process.returncode == 130
            assert reaches(tmp_path, number, "running")
