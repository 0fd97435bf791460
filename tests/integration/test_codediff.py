"""How the code of two runs differs: real repositories, real patches, real snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from repositories import git, write
from run_folders import write_run

from whirr.capture import git_info
from whirr.codediff import CodeDiff, compare, state_of
from whirr.codestore import LocalCode
from whirr.localruns import LocalRuns
from whirr.snapshot import send
from whirr.submission import record_tree


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A work tree with two commits, in which the ``.whirr`` folder lies."""
    place = tmp_path / "work"
    place.mkdir()
    git(place, "init", "-q", "-b", "main", ".")
    write(place, {"train.py": "lr = 0.1\nsteps = 10\n", "data.bin": b"\0\1\2", ".gitignore": ".whirr/\n"})
    commit(place, "one")
    return place


def commit(top: Path, message: str) -> str:
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", message)
    return git(top, "rev-parse", "HEAD").strip()


def run_of(top: Path, run_id: str, **meta: Any) -> None:
    """A run of the work tree as it is now, recorded as a training process records it."""
    folder = write_run(top / ".whirr", run_id)
    write_run(top / ".whirr", run_id, git_info=git_info(top, folder / "uncommitted.patch"), **meta)


def compared(top: Path, one: str = "a", other: str = "b") -> CodeDiff:
    runs = LocalRuns(top / ".whirr")
    states = [state_of(runs, run_id, runs.detail(run_id, curves=False).meta) for run_id in (one, other)]
    return compare(top / ".whirr", *states)


def changed(found: CodeDiff) -> set[str]:
    return {line for line in found.text.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")}


def test_the_same(top: Path) -> None:
    run_of(top, "a")
    run_of(top, "b")
    assert compared(top) == CodeDiff("same")


def test_uncommitted_work_on_one_commit(top: Path) -> None:
    write(top, {"train.py": "lr = 0.1\nsteps = 20\n", "new.py": "x = 1\n"})
    run_of(top, "a")
    write(top, {"train.py": "lr = 0.5\nsteps = 20\n", "new.py": "x = 1\n"})
    run_of(top, "b")
    found = compared(top)
    assert found.how == "files"
    assert changed(found) == {"-lr = 0.1", "+lr = 0.5"}  # what both have says nothing
    assert changed(compared(top, "b", "a")) == {"+lr = 0.1", "-lr = 0.5"}


def test_commits_and_uncommitted_work(top: Path) -> None:
    run_of(top, "a")
    write(top, {"train.py": "lr = 0.2\nsteps = 10\n", "data.bin": b"\0\3"})
    commit(top, "two")
    write(top, {"sub/ü.py": "y = 2\n"})
    run_of(top, "b")
    found = compared(top)
    assert changed(found) == {"-lr = 0.1", "+lr = 0.2", "+y = 2"}
    assert "Binary files a/data.bin and b/data.bin differ" in found.text


def test_work_that_was_committed_meanwhile_is_no_difference(top: Path) -> None:
    write(top, {"train.py": "lr = 0.3\n"})
    run_of(top, "a")
    commit(top, "three")
    run_of(top, "b")
    assert compared(top) == CodeDiff("same")


def test_snapshots_need_no_repository(top: Path, tmp_path: Path) -> None:
    root = tmp_path / "server" / ".whirr"
    trees = []
    for number in (1, 2):
        write(top, {"train.py": f"lr = {number}\n"})
        trees.append(send(LocalCode(root), record_tree(top)))
    for run_id, tree in zip("ab", trees, strict=True):
        write_run(root, run_id, job={"tree": tree.as_dict()})
    runs = LocalRuns(root)
    states = [state_of(runs, run_id, runs.detail(run_id, curves=False).meta) for run_id in "ab"]
    assert changed(compare(root, *states)) == {"-lr = 1", "+lr = 2"}


def test_where_no_repository_has_the_commits_the_patches_are_compared(top: Path, tmp_path: Path) -> None:
    write(top, {"train.py": "lr = 0.4\nsteps = 10\n"})
    run_of(top, "a")
    write(top, {"train.py": "lr = 0.6\nsteps = 10\n"})
    run_of(top, "b")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (top / ".whirr").rename(elsewhere / ".whirr")
    found = compared(elsewhere)
    assert found.how == "patches"
    assert {"-+lr = 0.4", "++lr = 0.6"} <= changed(found)
    assert any("their commit is not here" in note for note in found.notes)


def test_nothing_recorded(top: Path) -> None:
    run_of(top, "a")
    write_run(top / ".whirr", "b")
    assert compared(top).how == "unknown"


def test_nothing_is_written_into_the_repository(top: Path) -> None:
    run_of(top, "a")
    write(top, {"train.py": "lr = 0.9\n"})
    run_of(top, "b")
    before = {path: path.stat().st_mtime_ns for path in (top / ".git").rglob("*")}
    assert compared(top).how == "files"
    assert {path: path.stat().st_mtime_ns for path in (top / ".git").rglob("*")} == before


def test_a_patch_and_names_made_to_harm(top: Path, tmp_path: Path) -> None:
    run_of(top, "a")
    evil = "diff --git a/../../x b/../../x\nnew file mode 100644\n--- /dev/null\n+++ b/../../x\n@@ -0,0 +1 @@\n+pwned\n"
    write(top, {"train.py": "lr = 0.7\n"})
    run_of(top, "b")
    (top / ".whirr/runs/b/uncommitted.patch").write_text(evil)
    assert compared(top).how == "patches"
    assert not list(tmp_path.rglob("x"))
    info = {"commit": "--output=/tmp/whirr-pwned", "patch": {"file": "../../../../etc/passwd"}}
    write_run(top / ".whirr", "b", git_info=info, job={"tree": {"sent": "HEAD", "tree": ["x"]}})
    (top / ".whirr/runs/b/uncommitted.patch").unlink()
    assert compared(top).how == "unknown"
