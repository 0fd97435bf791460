"""Submit, work, look, cancel, retry: the queue's commands as real processes on a real queue."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import QUICK, outputs, program, start, wait_until
from queue_cli import PYTHON, WHIRR, ask, drain, job, reaches, submit, worker, workers

import whirr

PLAIN = ("submit", "--json")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with an empty queue."""
    assert ask("init", cwd=tmp_path).code == 0
    return tmp_path


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty queue, for commands that must change nothing."""
    place = tmp_path_factory.mktemp("untouched")
    assert ask("init", cwd=place).code == 0
    return place


def is_untouched(place: Path) -> bool:
    return list((place / ".whirr" / "runs").iterdir()) == []


class TestInit:
    def test_makes_a_queue_and_says_what_is_next(self, tmp_path: Path) -> None:
        answer = ask("init", cwd=tmp_path)
        assert (answer.code, answer.out) == (0, f"{tmp_path}/.whirr\n")
        assert "whirr submit" in answer.err
        assert (tmp_path / ".whirr" / ".gitignore").read_text() == "*\n"

    def test_again_is_harmless(self, place: Path) -> None:
        number = submit(place, "--", "true")
        answer = ask("init", cwd=place)
        assert (answer.code, job(place, number)["status"]) == (0, "queued")
        assert "there already" in answer.err

    def test_elsewhere(self, tmp_path: Path) -> None:
        there = tmp_path / "there"
        assert ask("init", "--dir", there, cwd=tmp_path).out == f"{there}/.whirr\n"
        assert ask("status", "--dir", there, cwd=tmp_path).code == 0
        assert not (tmp_path / ".whirr").exists()


class TestSubmit:
    def test_the_answer(self, tmp_path: Path) -> None:
        answer = ask("submit", "--", "true", cwd=tmp_path)
        assert (answer.code, answer.out) == (0, "job 1  job-1  queued\n")
        assert "no worker is running; start one with: whirr worker" in answer.err

    def test_json(self, place: Path) -> None:
        words = ["--name", "a", "--tags", "x,y", "--tag", "z", "--priority", "-3", "--gpus", "0", "--timeout", "1h30m"]
        words += ["--grace", "0", "--retries", "2", "--env", "SEED=1"]
        found = ask(*PLAIN, *words, "--", "python", "t.py", cwd=place).json()
        assert found["run_dir"] == str(place / ".whirr" / "runs" / "job-1")
        assert Path(found["run_dir"], "meta.json").exists()
        assert (found["job_id"], found["run_id"], found["status"]) == (1, "job-1", "queued")
        assert (found["name"], found["tags"]) == ("a", ["x", "y", "z"])
        assert (found["priority"], found["gpus"], found["retries"]) == (-3, 0, 2)
        assert (found["timeout_seconds"], found["grace_seconds"], found["env"]) == (5400, 0, {"SEED": "1"})
        assert (found["command"], found["workdir"]) == (["python", "t.py"], str(place))

    @pytest.mark.parametrize(
        "argv",
        [
            ["python", "-c", "print('a b')", "--name", "x", "-f", "--", "y"],
            ["echo", "", " ", "*", "$HOME", "`id`", 'a"b', "a\nb"],
            ["echo", "ünï", "🦊"],
        ],
    )
    @pytest.mark.parametrize("mark", [["--"], []])
    def test_the_command_is_kept_word_for_word(self, place: Path, argv: list[str], mark: list[str]) -> None:
        assert ask(*PLAIN, *mark, *argv, cwd=place).json()["command"] == argv

    def test_words_reach_the_program_unchanged(self, place: Path) -> None:
        words = ["", "a b", "$HOME", "*", "x\ny", "-f", "--"]
        number = submit(place, "--", PYTHON, "-c", "import sys; print(sys.argv[1:])", *words)
        drain(place)
        assert ask("logs", str(number), cwd=place).out == f"{words}\n"

    def test_a_word_that_is_no_text_reaches_the_program_unchanged(self, place: Path) -> None:
        assert submit(place, "--", "printf", os.fsdecode(b"a\xff")) == 1
        assert job(place, 1)["command"] == ["printf", "a\\udcff"]
        drain(place)
        done = subprocess.run([*WHIRR, "logs", "1"], cwd=place, capture_output=True, timeout=60)
        assert done.stdout == b"a\xff"

    def test_env(self, place: Path) -> None:
        words = ["--env", "A=1=2", "--env", "TAKEN", "--env", "API_TOKEN=hush", "--env", "EMPTY="]
        script = "import os; print([os.environ[n] for n in ('A', 'TAKEN', 'API_TOKEN', 'EMPTY')])"
        number = submit(place, *words, "--", PYTHON, "-c", script, TAKEN="from here")
        assert job(place, number)["env"] == {"A": "1=2", "TAKEN": "from here", "API_TOKEN": "***", "EMPTY": ""}
        assert "hush" not in ask("status", str(number), cwd=place).out
        drain(place)
        assert ask("logs", str(number), cwd=place).out == "['1=2', 'from here', 'hush', '']\n"

    def test_workdir(self, place: Path) -> None:
        (place / "sub dir").mkdir()
        number = submit(place, "--workdir", "sub dir", "--", "pwd")
        drain(place)
        assert ask("logs", str(number), cwd=place).out == f"{place}/sub dir\n"

    def test_a_program_that_is_not_here_is_queued_with_a_warning(self, place: Path) -> None:
        answer = ask("submit", "--", "no-such-program", cwd=place)
        assert (answer.code, answer.out) == (0, "job 1  job-1  queued\n")
        assert "there is no program no-such-program on the PATH of the submission" in answer.err
        drain(place)
        assert job(place, 1)["cause"]["kind"] == "command-not-found"

    def test_a_file_that_is_not_executable_is_queued_with_a_warning(self, place: Path) -> None:
        program(place / "a run.sh", "true")
        answer = ask("submit", "--", "./a run.sh", cwd=place)
        assert (answer.code, answer.out) == (0, "job 1  job-1  queued\n")
        assert answer.err.startswith("./a run.sh is not executable: chmod +x './a run.sh'\n")
        answer = ask("submit", "--", "./missing.sh", cwd=place)
        assert answer.err.startswith("there is no program ./missing.sh\n")

    @pytest.mark.parametrize(
        ("words", "problem"),
        [
            ([], "there is no command to run"),
            (["--"], "there is no command to run"),
            (["--name", "x", "--", ""], "there is no command to run"),
            (["--timeout", "soon", "--", "true"], "'soon' is no duration"),
            (["--timeout", "0", "--", "true"], "it must be longer than nothing"),
            (["--timeout", "-5", "--", "true"], "'-5' is no duration"),
            (["--timeout", "9999999d", "--", "true"], "is longer than ten years"),
            (["--timeout", "1h 30", "--", "true"], "is no duration"),
            (["--gpus", "-1", "--", "true"], "invalid value for '--gpus'"),
            (["--retries", "x", "--", "true"], "invalid value for '--retries'"),
            (["--priority", "99999999999", "--", "true"], "invalid value for '--priority'"),
            (["--after", "1,,2", "--", "true"], "'' is no job"),
            (["--after", "job-x", "--", "true"], "'job-x' is no job"),
            (["--env", "=1", "--", "true"], "--env '=1' names no variable"),
            (["--env", "NOT_SET_HERE", "--", "true"], "--env NOT_SET_HERE: it is not set here"),
            (["--workdir", "missing", "--", "true"], "there is no folder"),
            (["--tags", "a,\udcff", "--", "true"], "the tag '\\udcff' is no valid text"),
            (["--nope", "--", "true"], "no such option"),
        ],
    )
    def test_misuse(self, untouched: Path, words: list[str], problem: str) -> None:
        answer = ask("submit", *words, cwd=untouched)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("error: ")
        assert problem in answer.err
        assert is_untouched(untouched)

    def test_a_snapshot_needs_a_git_work_tree(self, untouched: Path) -> None:
        assert ask("submit", "--snapshot", "--", "true", cwd=untouched).code == 2
        assert is_untouched(untouched)

    def test_after_an_unknown_job(self, untouched: Path) -> None:
        answer = ask("submit", "--after", "7", "--", "true", cwd=untouched)
        assert (answer.code, answer.out) == (3, "")
        assert "there is no job 7" in answer.err
        assert is_untouched(untouched)

    def test_after_a_job_that_has_failed(self, place: Path) -> None:
        submit(place, "--", "false")
        drain(place)
        answer = ask("submit", "--after", "1", "--", "true", cwd=place)
        assert (answer.code, answer.out) == (1, "job 2  job-2  failed\n")
        assert "job 1, which it needs, did not complete" in answer.err
        assert submit(place, "--after-any", "job-1", "--", "true") == 3
        assert job(place, 3)["status"] == "queued"

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / ".whirr").write_text("not a folder")
        answer = ask("submit", "--", "true", cwd=tmp_path, WHIRR_DIR=str(tmp_path / ".whirr"))
        assert (answer.code, answer.out) == (1, "")
        assert answer.err.startswith("error: cannot write")


class TestWithoutPermission:
    @pytest.fixture
    def forbidden(self, place: Path) -> Iterator[Path]:
        (place / ".whirr").chmod(0)
        yield place
        (place / ".whirr").chmod(0o755)

    @pytest.mark.parametrize("words", [["status"], ["worker"], ["submit", "--", "true"], ["init"], ["logs", "1"]])
    def test_a_folder_that_may_not_be_entered(self, forbidden: Path, words: list[str]) -> None:
        for named in ([], ["--dir", str(forbidden)]):
            command, *rest = words
            answer = ask(command, *named, *rest, cwd=forbidden, bound=True)
            assert (answer.code, answer.out) == (1, "")
            assert "Permission denied\nhint: mend its permissions" in answer.err
            assert "run" not in answer.err.replace(str(forbidden), "")

    def test_doctor_tells_it(self, forbidden: Path) -> None:
        answer = ask("doctor", "--json", cwd=forbidden, bound=True)
        assert answer.code == 1
        told = [finding["text"] for finding in answer.json() if finding["state"] == "problem"]
        assert any(f"cannot look into {forbidden}/.whirr: Permission denied" in text for text in told)

    @pytest.mark.parametrize("part", ["queue", "queue/bells"])
    def test_a_worker_in_a_queue_that_cannot_be_written(self, place: Path, part: str) -> None:
        folder = place / ".whirr" / part
        folder.mkdir(exist_ok=True)
        folder.chmod(0o555)
        answer = ask("worker", "--drain", cwd=place, bound=True)
        folder.chmod(0o755)
        assert answer.code == 1
        assert f"error: cannot write into {folder}: Permission denied\nhint: mend its permissions" in answer.err

    def test_a_submission(self, place: Path) -> None:
        runs = place / ".whirr" / "runs"
        runs.chmod(0o555)
        answer = ask("submit", "--", "true", cwd=place, bound=True)
        runs.chmod(0o755)
        assert (answer.code, answer.out) == (1, "")
        assert answer.err.startswith(f"error: cannot write into {runs}: Permission denied\nhint: mend its permissions")

    def test_a_place_where_no_folder_can_be_made(self, tmp_path: Path) -> None:
        for words in (["init"], ["worker"], ["submit", "--", "true"]):
            command, *rest = words
            answer = ask(command, "--dir", "/proc/x", *rest, cwd=tmp_path)
            assert (answer.code, answer.out) == (1, "")
            assert "error: cannot write into /proc/x/.whirr: " in answer.err
            assert "WHIRR_MODE" not in answer.err

    @pytest.mark.parametrize("drain", [["--drain"], ["--idle-timeout", "0"]])
    def test_a_worker_that_makes_a_queue_says_so(self, tmp_path: Path, drain: list[str]) -> None:
        root = tmp_path / "typo" / ".whirr"
        assert f"works on {root}, a new, empty queue, with" in ask("worker", "--dir", "typo", *drain, cwd=tmp_path).err
        assert f"works on {root} with" in ask("worker", "--dir", "typo", *drain, cwd=tmp_path).err


class TestSnapshotAndChanges:
    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        program(tmp_path / "train.py", "print('first')")
        for command in ("git init -q .", "git add -A", "git commit -qm first"):
            subprocess.run(shlex.split(command), cwd=tmp_path, check=True)
        return tmp_path

    def test_a_snapshot_runs_what_was_submitted(self, repository: Path) -> None:
        number = submit(repository, "--snapshot", "--", PYTHON, "train.py")
        program(repository / "train.py", "print('second')")
        drain(repository)
        assert ask("logs", str(number), cwd=repository).out == "first\n"

    @pytest.mark.parametrize(
        ("file", "why"), [(None, "it has none"), ("cache", "git ignores it"), (".env", "left out")]
    )
    def test_a_snapshot_without_a_file_of_its_folder_is_refused(
        self, repository: Path, file: str | None, why: str
    ) -> None:
        (repository / ".gitignore").write_text("cache\n")
        empty = repository / "empty"
        empty.mkdir()
        if file:
            (empty / file).touch()
        answer = ask("submit", "--snapshot", "--", "true", cwd=empty)
        assert (answer.code, answer.out) == (2, "")
        assert f"error: {empty} would not be in the snapshot: no file of the work folder is recorded:" in answer.err
        assert f"{why}\n" in answer.err
        assert ask("submit", "--", "true", cwd=empty).code == 0

    def test_what_has_changed_is_named(self, repository: Path) -> None:
        number = submit(repository, "--", PYTHON, "train.py")
        program(repository / "train.py", "print('second')")
        said = drain(repository).err
        assert f"job {number}: its code has changed since it was submitted: M train.py" in said
        assert ask("logs", str(number), cwd=repository).out == "second\n"
        assert job(repository, number)["code_changes"]["names"] == [["M", "train.py"]]
        assert "M  train.py" in ask("status", str(number), cwd=repository).out
        assert "M train.py  (since the submission)" in ask("show", f"job-{number}", cwd=repository).out

    def test_what_is_left_out_is_named(self, repository: Path) -> None:
        (repository / ".env").write_text("TOKEN=1")
        assert "not recorded: .env" in ask("submit", "--", "true", cwd=repository).err
        assert ".env" not in ask("submit", "--include", ".env", "--", "true", cwd=repository).err


class TestWorker:
    def test_drain(self, place: Path) -> None:
        first = submit(place, "--name", "one", "--", "true")
        second = submit(place, "--after", str(first), "--", PYTHON, "-c", "raise SystemExit(3)")
        said = drain(place, "--name", "smith").err.splitlines()
        assert "smith works on" in said[0]
        assert "1 slot, no GPU" in said[0]
        assert f"job {first} (one) completed" in "\n".join(said)
        assert (job(place, first)["status"], job(place, second)["cause"]["exit_code"]) == ("completed", 3)
        assert workers(place) == []

    def test_drain_says_what_it_leaves_to_others(self, place: Path) -> None:
        submit(place, "--", "true")
        assert "queued" not in drain(place).err
        wide = [submit(place, "--gpus", "64", "--", "true") for _ in range(2)]
        assert drain(place).err.endswith("  2 jobs stay queued, which this worker cannot run: whirr status says why\n")
        assert ask("cancel", str(wide[0]), cwd=place).code == 0
        assert "  1 job stays queued, which" in drain(place).err

    def test_quiet(self, place: Path) -> None:
        submit(place, "--", "true")
        answer = drain(place, "--quiet")
        assert (answer.out, answer.err) == ("", "")

    def test_the_idle_timeout(self, tmp_path: Path) -> None:
        answer = ask("worker", "--gpus", "none", "--idle-timeout", "0.1", cwd=tmp_path)
        assert answer.code == 0
        assert "no job for" in answer.err

    def test_an_interrupt_lets_jobs_finish(self, place: Path) -> None:
        script = "import os, time; print('on', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)"
        number = submit(place, "--", PYTHON, "-c", script)
        with worker(place) as process:
            wait_until(lambda: ask("logs", str(number), cwd=place).out == "on\n", 60)
            process.send_signal(signal.SIGINT)
            queued = submit(place, "--", "true")
            (place / "go").touch()
            assert process.wait(60) == 0
        assert (job(place, number)["status"], job(place, queued)["status"]) == ("completed", "queued")

    def test_slots(self, place: Path) -> None:
        numbers = [submit(place, "--", "sleep", "100") for _ in range(3)]
        with worker(place, "--slots", "2", "--name", "w"):
            wait_until(lambda: len(ask("status", "--json", cwd=place).json()["running"]) == 2, 60)
            out = ask("status", cwd=place).out
            assert "1 worker, 0 of 2 slots idle" in out
            assert "next, for a free slot" in out
            ask("cancel", *map(str, numbers), cwd=place)
            reaches(place, numbers[0], "cancelled")

    @pytest.mark.parametrize(
        ("words", "problem"),
        [
            (["--slots", "0"], "invalid value for '--slots'"),
            (["--gpus", "7"], "there is no GPU 7"),
            (["--name", "../x"], "--name '../x' is no name"),
            (["--idle-timeout", "x"], "'x' is no duration"),
            (["--lease", "0"], "longer than nothing"),
        ],
    )
    def test_misuse(self, untouched: Path, words: list[str], problem: str) -> None:
        answer = ask("worker", *words, cwd=untouched)
        assert (answer.code, answer.out) == (2, "")
        assert problem in answer.err


TRAIN = f"""
    import os, time, whirr
    with whirr.init(name="vit", config={{"epochs": 10}}, {QUICK}) as run:
        for epoch in range(4):
            run.log({{"loss": 1 / (epoch + 1)}}, step=epoch)
        while not os.path.exists("go"):
            time.sleep(0.01)
        raise ValueError("diverged")
"""


class TestStatus:
    @pytest.mark.parametrize("words", [["status"], ["logs", "1"], ["watch"]])
    def test_without_a_queue(self, tmp_path: Path, words: list[str]) -> None:
        answer = ask(*words, cwd=tmp_path)
        assert (answer.code, answer.out) == (3, "")
        assert answer.err.startswith("error: there is no queue in ")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("words", [["status"], ["logs", "-f"], ["cancel"], ["retry"]])
    @pytest.mark.parametrize(("job", "code"), [("7", 3), ("job-", 2), ("9" * 30, 2)])
    def test_no_such_job(self, untouched: Path, words: list[str], job: str, code: int) -> None:
        answer = ask(*words, job, cwd=untouched)
        assert (answer.code, answer.out) == (code, "")
        assert "hint: " in answer.err

    def test_an_empty_queue(self, place: Path) -> None:
        answer = ask("status", cwd=place)
        assert (answer.code, answer.out) == (0, "no jobs   no worker is running: whirr worker\n")
        assert "whirr submit" in answer.err

    def test_a_job_that_tracks(self, place: Path) -> None:
        program(place / "train.py", TRAIN)
        number = submit(place, "--name", "the vit", "--", PYTHON, "train.py")
        waits = submit(place, "--after", str(number), "--", "true")
        with worker(place, "--name", "smith"):
            view = wait_until(lambda: found if (found := ask("status", cwd=place).out).count("4/10") else None, 60)
            heading, row = view.splitlines()[:2]
            assert heading.split() == ["id", "name", "state", "progress", "elapsed", "loss", "worker"]
            assert row.split()[:5] == ["1", "the", "vit", "running", "4/10"]
            assert row.split()[-2:] == ["0.25", "smith"]
            assert f"after job {number} (running)" in view
            one = ask("status", str(waits), cwd=place).out
            assert f"waits      after job {number} (running)" in one
            document = job(place, number)
            assert document["progress"]["done"] == 4
            assert document["attempts"][0]["outcome"] is None
            (place / "go").touch()
            reaches(place, number, "failed")
        view = ask("status", cwd=place).out
        assert "failed" in view
        assert "ValueError: diverged" in view
        assert f"job {number}, which it needs, did not complete" in view
        one = ask("status", str(number), cwd=place).out
        assert "cause      ValueError: diverged" in one
        assert "exited with code 1" in one

    def test_the_order(self, place: Path) -> None:
        numbers = [submit(place, "--priority", priority, "--", "true") for priority in ("0", "5", "0", "9")]
        document = ask("status", "--json", cwd=place).json()
        assert [each["job_id"] for each in document["queued"]] == [4, 2, 1, 3]
        assert {each["why"] for each in document["queued"]} == {"no worker is running"}
        assert document["counts"] == {"queued": len(numbers)}

    def test_limits(self, place: Path) -> None:
        for _ in range(4):
            submit(place, "--", "true")
        answer = ask("status", "--limit", "2", cwd=place).out
        assert "and 2 more queued (--all)" in answer
        assert answer.count("no worker is running\n") == 2
        for words in ["--all"], ["--limit", "0"]:
            assert ask("status", *words, cwd=place).out.count("no worker is running\n") == 4

    def test_hostile_names(self, place: Path) -> None:
        number = submit(place, "--name", "\033[31mred\nline", "--tag", "\033[0m", "--", "echo", "\033[2J")
        for words in (["status"], ["status", str(number)], ["runs"], ["show", f"job-{number}"]):
            answer = ask(*words, cwd=place)
            assert answer.code == 0
            assert "\033" not in answer.out + answer.err
            assert "\\x1b[31mred\\nline" in answer.out

    @pytest.mark.parametrize("harm", ["missing", "empty", "garbage"])
    def test_a_broken_run_folder(self, place: Path, harm: str) -> None:
        number = submit(place, "--", "false")
        drain(place)
        folder = Path(job(place, number)["run_dir"])
        for name in os.listdir(folder):
            path = folder / name
            if harm == "missing" or name in ("requirements.txt", "uncommitted.patch"):
                path.unlink()
            else:
                path.write_bytes(b"" if harm == "empty" else b"\x00[{")
        (folder / "code_changes.json").write_bytes(b"{") if harm == "garbage" else None
        folder.rmdir() if harm == "missing" else None
        for words in (["status"], ["status", str(number)], ["status", "--json"], ["status", str(number), "--json"]):
            answer = ask(*words, cwd=place)
            assert answer.code == 0
            assert "exited with code 1" in answer.out
        assert ask("logs", str(number), cwd=place).code == (3 if harm == "missing" else 0)
        assert ask("doctor", cwd=place).code == (0 if harm == "missing" else 1)

    def test_a_reader_that_leaves(self, place: Path) -> None:
        for _ in range(3):
            submit(place, "--", "true")
        words = shlex.join([*WHIRR, "status", "--all"])
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {words} | true"], cwd=place, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
    def test_closed_streams(self, place: Path, closed: str) -> None:
        for words in ("status", "submit -- true", "logs 1", "doctor", "watch --help"):
            line = f"{shlex.join(WHIRR)} {words} {closed}"
            assert subprocess.run(["bash", "-c", line], cwd=place, capture_output=True, timeout=60).returncode == 0
        assert ask("status", "--json", cwd=place).json()["counts"] == {"queued": 1}
        assert ask("doctor", cwd=place).code == 0

    def test_a_job_without_a_name_is_called_as_its_program_called_the_run(self, place: Path) -> None:
        program(place / "train.py", f"import whirr\nwhirr.init(name='own name', {QUICK}).finish()")
        submit(place, "--", PYTHON, "train.py")
        submit(place, "--name", "given name", "--", PYTHON, "train.py")
        submit(place, "--", "true")
        assert "own name" not in ask("status", cwd=place).out
        drain(place)
        rows = ask("status", cwd=place).out.splitlines()[1:4]
        assert [row.split("  ")[1].strip() for row in rows] == ["true", "given name", "own name"]


def test_runs_and_show_tell_the_command_of_a_program_that_tracks_nothing(place: Path) -> None:
    submit(place, "--", "sh", "-c", "echo one")
    submit(place, "--name", "named", "--", "true")
    drain(place)
    listed = ask("runs", cwd=place).out
    assert "sh -c 'echo one'" in listed
    assert "named" in listed
    assert "true" not in listed
    shown = ask("show", "job-1", cwd=place).out
    assert "command   sh -c 'echo one'\n" in shown
    assert f"in        {place}\n" in shown


class TestPriority:
    def test_queued_jobs_get_another_place(self, place: Path) -> None:
        first, second, third = (submit(place, "--", "true") for _ in range(3))
        answer = ask("priority", str(third), f"job-{second}", "7", cwd=place)
        assert (answer.code, answer.out) == (
            0,
            "job 3  priority 7  nothing before it\njob 2  priority 7  nothing before it\n",
        )
        assert ask("priority", str(third), "-2", cwd=place).out == "job 3  priority -2  2 before it\n"
        queued = ask("status", "--json", cwd=place).json()["queued"]
        assert [(each["job_id"], each["priority"]) for each in queued] == [(second, 7), (first, 0), (third, -2)]

    def test_one_that_waits_for_others(self, place: Path) -> None:
        first = submit(place, "--", "true")
        number = submit(place, "--after", str(first), "--", "true")
        assert ask("priority", str(number), "1", cwd=place).out == "job 2  priority 1  waits for others\n"

    def test_what_waits_no_longer(self, place: Path) -> None:
        first, second = submit(place, "--", "true"), submit(place, "--", "true")
        ask("cancel", str(first), cwd=place)
        answer = ask("priority", str(first), "99", str(second), "3", cwd=place)
        assert (answer.code, answer.out) == (1, f"job {second}  priority 3  nothing before it\n")
        assert f"job {first} is cancelled: only a queued job has a place in the order" in answer.err
        assert "there is no job 99" in answer.err
        codes = [each.get("error") for each in ask("priority", "1", "99", "2", "4", "--json", cwd=place).json()]
        assert codes == [None, "illegal-transition", "not-found"]

    @pytest.mark.parametrize("words", [[], ["1"], ["x", "1"], ["1", "soon"], ["1", "9999999"], ["1", "--now"]])
    def test_what_cannot_be_understood(self, untouched: Path, words: list[str]) -> None:
        assert ask("priority", *words, cwd=untouched).code == 2


class TestAgain:
    def test_the_same_once_more(self, place: Path) -> None:
        words = ["--name", "n", "--tags", "a", "--priority", "2", "--retries", "1", "--env", "API_TOKEN=hush"]
        first = submit(place, *words, "--", PYTHON, "-c", "import os; print(os.environ['API_TOKEN'])")
        drain(place)
        answer = ask("again", str(first), cwd=place)
        assert (answer.code, answer.out) == (0, "job 2  job-2  queued\n")
        assert "no worker is running" in answer.err
        found, before = job(place, 2), job(place, first)
        same = ("command", "workdir", "name", "tags", "priority", "retries", "env", "grace_seconds", "snapshot")
        assert [found[key] for key in same] == [before[key] for key in same]
        assert found["env"] == {"API_TOKEN": "***"}
        meta = json.loads((place / ".whirr" / "runs" / "job-2" / "meta.json").read_text())
        assert meta["job"]["again_of"] == first
        drain(place)
        assert ask("logs", "2", cwd=place).out == "hush\n"

    def test_with_changes(self, place: Path) -> None:
        first = submit(place, "--name", "n", "--tags", "a", "--env", "A=1", "--env", "B=2", "--", "true")
        words = ["--name", "m", "--tags", "b,c", "--priority", "-1", "--gpus", "0", "--timeout", "90", "--retries", "3"]
        words += ["--env", "A=3", "--without-env", "B", "--", "echo", "--name", "a b"]
        found = ask("again", str(first), *words, "--json", cwd=place)
        assert found.code == 0, found.err  # what follows -- is the command
        assert job(place, 2)["command"] == ["echo", "--name", "a b", "--json"]
        found = job(place, 2)
        assert (found["name"], found["tags"], found["priority"], found["gpus"]) == ("m", ["b", "c"], -1, 0)
        assert (found["timeout_seconds"], found["retries"], found["env"]) == (90, 3, {"A": "3"})
        assert job(place, first)["command"] == ["true"]

    def test_the_submitted_files_stay(self, place: Path) -> None:
        subprocess.run(["git", "init", "-q", "."], cwd=place, check=True)
        (place / "train.py").write_text("print('old')\n")
        first = submit(place, "--snapshot", "--", PYTHON, "train.py")
        (place / "train.py").write_text("print('new')\n")
        assert ask("again", str(first), "--json", cwd=place).json()["snapshot"] is True
        drain(place)
        assert [ask("logs", number, cwd=place).out for number in ("1", "2")] == ["old\n", "old\n"]

    def test_one_whose_need_has_failed_fails_at_once(self, place: Path) -> None:
        first = submit(place, "--", "true")
        second = submit(place, "--after", str(first), "--", "true")
        ask("cancel", str(first), cwd=place)
        answer = ask("again", str(second), cwd=place)
        assert (answer.code, answer.out) == (1, "job 3  job-3  failed\n")
        assert "job 1, which it needs, did not complete" in answer.err

    @pytest.mark.parametrize(
        ("words", "code"), [([], 2), (["1"], 3), (["x"], 2), (["1", "--", ""], 2), (["1", "--gpus", "-1"], 2)]
    )
    def test_what_cannot_be_done(self, untouched: Path, words: list[str], code: int) -> None:
        assert ask("again", *words, cwd=untouched).code == code
        assert is_untouched(untouched)


class TestCancelAndRetry:
    def test_a_queued_job(self, place: Path) -> None:
        number = submit(place, "--", "true")
        answer = ask("cancel", str(number), cwd=place)
        assert (answer.code, answer.out) == (0, "job 1  cancelled\n")
        found = job(place, number)
        assert found["status"] == "cancelled"
        assert found["cancelled_by"].endswith(f"@{os.uname().nodename}")
        assert ask("cancel", "job-1", cwd=place).out == "job 1  cancelled already\n"
        assert "cancelled by" in ask("runs", cwd=place).out

    def test_a_running_job(self, place: Path) -> None:
        number = submit(place, "--", "sleep", "1000")
        with worker(place):
            reaches(place, number, "running")
            answer = ask("cancel", "--wait", str(number), cwd=place)
            assert (answer.code, answer.out) == (0, "job 1  stopping\njob 1  cancelled\n")
            assert job(place, number)["status"] == "cancelled"

    def test_a_job_whose_worker_was_killed(self, place: Path) -> None:
        number = submit(place, "--", "sleep", "1000")
        with worker(place) as process:
            reaches(place, number, "running")
            process.kill()
            process.wait()
            assert "dead worker, with job 1: " in ask("status", cwd=place).out
            answer = ask("cancel", "--wait", str(number), cwd=place)
        assert (answer.code, answer.out.splitlines()[-1]) == (0, "job 1  cancelled")
        assert workers(place) == []

    def test_several_go_on_past_a_failure(self, place: Path) -> None:
        first = submit(place, "--", "true")
        drain(place)
        second = submit(place, "--", "true")
        answer = ask("cancel", str(first), "99", str(second), cwd=place)
        assert (answer.code, answer.out) == (1, f"job {second}  cancelled\n")
        assert "there is no job 99" in answer.err
        assert f"job {first} has ended: completed" in answer.err
        codes = [each.get("error") for each in ask("cancel", "1", "99", "--json", cwd=place).json()]
        assert codes == ["not-found", "illegal-transition"]
        assert ask("cancel", "99", cwd=place).code == 3

    def test_all_queued_with_dependents(self, place: Path) -> None:
        first = submit(place, "--", "true")
        submit(place, "--after", str(first), "--", "true")
        answer = ask("cancel", "--all-queued", cwd=place)
        assert (answer.code, answer.out) == (0, "job 2  cancelled\njob 1  cancelled\n")
        assert "nothing to cancel" in ask("cancel", "--all-queued", cwd=place).err

    def test_by_tag(self, place: Path) -> None:
        numbers = [submit(place, "--tags", tags, "--", "true") for tags in ("a", "b", "a,b")]
        assert ask("cancel", "--tag", "a", cwd=place).out == "job 3  cancelled\njob 1  cancelled\n"
        assert job(place, numbers[1])["status"] == "queued"

    @pytest.mark.parametrize("words", [["cancel"], ["retry"]])
    def test_nothing_named(self, untouched: Path, words: list[str]) -> None:
        assert ask(*words, cwd=untouched).code == 2

    def test_retry_keeps_the_job_and_its_files(self, place: Path) -> None:
        number = submit(place, "--", PYTHON, "-c", "import os; print('attempt', os.environ['WHIRR_ATTEMPT']); exit(1)")
        needs = submit(place, "--after", str(number), "--", "true")
        drain(place)
        answer = ask("retry", "--failed", cwd=place)
        assert (answer.code, answer.out) == (0, f"job {number}  queued\njob {needs}  queued\n")
        assert "no worker is running" in answer.err
        drain(place)
        assert [each["number"] for each in job(place, number)["attempts"]] == [1, 2]
        assert ask("logs", str(number), cwd=place).out == "attempt 2\n"
        assert ask("logs", str(number), "--attempt", "1", cwd=place).out == "attempt 1\n"
        assert whirr.read_meta(place / ".whirr" / "runs" / f"job-{number}")["status"] == "failed"
        assert "; the files of earlier ones are in " in ask("show", f"job-{number}", cwd=place).out

    def test_retry_of_what_cannot_be(self, place: Path) -> None:
        queued = submit(place, "--", "true")
        answer = ask("retry", str(queued), "99", cwd=place)
        assert (answer.code, answer.out) == (1, "")
        assert "job 1 is queued" in answer.err
        assert "no job has failed" in ask("retry", "--failed", cwd=place).err
        drain(place)
        assert "whirr again 1 submits it once more" in ask("retry", "1", cwd=place).err

    def test_retry_without_what_it_needs(self, place: Path) -> None:
        submit(place, "--", "false")
        submit(place, "--after", "1", "--", "true")
        drain(place)
        answer = ask("retry", "2", cwd=place)
        assert (answer.code, answer.out) == (1, "")
        assert "job 2 has failed again at once" in answer.err


class TestOnPostgres:
    def test_the_way_of_a_job(self, tmp_path: Path, postgres_url: str) -> None:
        variables = {"WHIRR_DATABASE_URL": postgres_url}
        number = submit(tmp_path, "--", "echo", "hi", **variables)
        waits = submit(tmp_path, "--", "sleep", "1000", **variables)
        with worker(tmp_path, **variables):
            reaches(tmp_path, number, "completed", **variables)
            reaches(tmp_path, waits, "running", **variables)
            assert ask("logs", str(number), cwd=tmp_path, **variables).out == "hi\n"
            assert ask("cancel", "--wait", str(waits), cwd=tmp_path, **variables).code == 0
            assert "1 worker" in ask("status", cwd=tmp_path, **variables).out
        answer = ask("doctor", "--json", cwd=tmp_path, **variables)
        assert answer.code == 0
        databases = [each["text"] for each in answer.json() if each["about"] == "database"]
        assert databases[0].startswith("postgresql://")

    def test_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        url = "postgresql://user:hush@127.0.0.1:1/none"
        answer = ask("status", cwd=tmp_path, WHIRR_DATABASE_URL=url)
        assert answer.code == 1
        assert answer.err.startswith("error: ")
        assert "hush" not in answer.err


def test_json_is_one_document(place: Path) -> None:
    """Remarks never get between the data."""
    done = start([*WHIRR, "submit", "--json", "--", "no-such-program"], place)
    out, err = outputs(done)
    assert json.loads(out)["job_id"] == 1
    assert err
