"""Starting: many processes at once in an empty folder, and folders that cannot be written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ending_cases import PYTHON
from helpers import QUICK, outputs, program, run_dirs, start

import whirr

TOGETHER = f"""
import whirr
print("ready", flush=True)
input()
run = whirr.init({QUICK})
for n in range(100):
    run.log({{"n": n}})
run.finish()
print(run.run_id)
"""


@pytest.mark.parametrize("git", [False, True], ids=["empty folder", "fresh git work tree"])
def test_eight_processes_at_once(git: bool, tmp_path: Path) -> None:
    if git:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    script = program(tmp_path / "code/train.py", TOGETHER)
    cwd = tmp_path / "code" if git else tmp_path
    processes = [start([*PYTHON, script], cwd, piped=True) for _ in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [outputs(process) for process in processes]
    assert [err for _, err in ended] == [""] * 8
    assert [process.returncode for process in processes] == [0] * 8
    folders = run_dirs(tmp_path)
    assert sorted(out.strip() for out, _ in ended) == [folder.name for folder in folders]
    for folder in folders:
        assert [record["n"] for record in whirr.read_metrics(folder)] == list(range(100))
        assert whirr.read_meta(folder)["status"] == "completed"


def test_several_threads_begin_runs_at_once(tmp_path: Path) -> None:
    script = program(
        tmp_path / "train.py",
        f"""
        import threading
        import whirr
        all_there = threading.Barrier(8)

        def work(number):
            all_there.wait()
            with whirr.init(name=str(number), {QUICK}) as run:
                for n in range(50):
                    run.log({{"n": n}})

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
    )
    process = start([*PYTHON, script], tmp_path)
    assert outputs(process) == ("", "")
    metas = [whirr.read_meta(folder) for folder in run_dirs(tmp_path)]
    assert sorted(meta["name"] for meta in metas) == [str(number) for number in range(8)]
    assert {meta["status"] for meta in metas} == {"completed"}
    assert {len(whirr.read_metrics(folder)) for folder in run_dirs(tmp_path)} == {50}


BEGIN = f"import whirr\nwhirr.init({QUICK})\nprint('begun')\n"
TELL = f"""
import json, whirr
try:
    whirr.init({QUICK})
except whirr.WhirrError as error:
    print(json.dumps([error.code, str(error), error.hint, isinstance(error, OSError)]))
"""


def check_refusal(out: str, err: str, code: int | None) -> None:
    """An exception like any other: its last line says what is wrong."""
    assert (code, out) == (1, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith("whirr.errors.FolderError: cannot write a run into ")
    assert "During handling" not in err


def read_only_prefix(folder: Path) -> list[str]:
    """A command prefix under which `folder` cannot be written: root needs a read-only mount for that."""
    if os.getuid() != 0:
        folder.chmod(0o555)
        return []
    probe = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o ro whirr-test /mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    return [
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o ro whirr-test {folder} && cd {folder} && exec "$@"',
        "sh",
    ]


@pytest.mark.parametrize("variable", ["", "WHIRR_DIR", "WHIRR_RUN_DIR"])
def test_a_read_only_folder(variable: str, tmp_path: Path) -> None:
    script = program(tmp_path / "train.py", BEGIN)
    folder = tmp_path / "sealed"
    folder.mkdir()
    variables = {variable: str(folder / "inside")} if variable else {}
    process = start([*read_only_prefix(folder), *PYTHON, script], folder, **variables)
    out, err = outputs(process)
    check_refusal(out, err, process.returncode)
    assert "Read-only file system" in err or "Permission denied" in err


def test_the_refusal_says_what_to_do(tmp_path: Path) -> None:
    script = program(tmp_path / "train.py", TELL)
    (tmp_path / "file").write_text("not a folder")
    process = start([*PYTHON, script], tmp_path, WHIRR_DIR=str(tmp_path / "file/deeper"))
    out, err = outputs(process)
    assert err == ""
    assert out.startswith('["folder", "cannot write a run into ')
    assert "WHIRR_DIR" in out
    assert out.endswith("true]\n")


def test_disabled_needs_no_folder(tmp_path: Path) -> None:
    script = program(tmp_path / "train.py", BEGIN)
    folder = tmp_path / "sealed"
    folder.mkdir()
    process = start([*read_only_prefix(folder), *PYTHON, script], folder, WHIRR_MODE="disabled")
    assert outputs(process) == ("begun\n", "")


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    text = f"import os, whirr\nos.rmdir(os.getcwd())\nwhirr.init({QUICK}).log({{'n': 0}})\n"
    script = program(tmp_path / "train.py", text)
    process = start([*PYTHON, script], tmp_path / "gone", WHIRR_DIR=str(tmp_path / ".whirr"))
    _, err = outputs(process)
    assert process.returncode == 0, err
    assert [len(whirr.read_metrics(folder)) for folder in run_dirs(tmp_path)] == [1]
