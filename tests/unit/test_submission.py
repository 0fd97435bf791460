"""Names, records and choices of a submission, without git."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from helpers import strict_json
from hypothesis import given
from hypothesis import strategies as st

from whirr import jsonio
from whirr.capture.git import Status
from whirr.codestore import LocalCode
from whirr.errors import FolderError, NotFound, UsageError, WhirrError
from whirr.snapshot import send
from whirr.submission import Change, Changes, LeftOut, Submission, Tree, changed_since, record, remove
from whirr.submission import find_program as find
from whirr.submission.checkout import require
from whirr.submission.parallel import both
from whirr.submission.scan import Look, Rules, choose, is_secret

TREE = Tree(top="/somewhere", prefix="exp", tree="1" * 40, commit="2" * 40, snapshot="3" * 40, branch="main")
paths = st.binary(min_size=1, max_size=20).map(os.fsdecode)


@given(path=paths, prefix=paths, notes=st.lists(st.text(), max_size=2))
def test_a_tree_comes_back_from_json_whatever_its_names(path: str, prefix: str, notes: list[str]) -> None:
    tree = Tree(
        "/" + path, prefix, "1" * 40, left_out=(LeftOut(path, "large", 1, 2),), include=(path,), notes=tuple(notes)
    )
    submission = Submission(None, tree, "/" + path, {"PATH": path}, notes=tuple(notes))
    plain = strict_json(jsonio.dumps(submission.as_dict()))
    assert Submission.from_dict(plain) == submission


def test_a_record_of_a_later_version_is_read_and_garbage_is_refused() -> None:
    assert Tree.from_dict({**TREE.as_dict(), "new_key": 1}) == TREE
    for garbage in ({}, {"top": "/x"}, {**TREE.as_dict(), "left_out": [1]}):
        with pytest.raises(WhirrError, match="no record of a work tree"):
            Tree.from_dict(garbage)


def test_changes_come_back_from_json() -> None:
    changes = Changes((Change("M", "a b"), Change("D", "é")), 200, note="more")
    assert Changes.from_dict(json.loads(json.dumps(changes.as_dict()))) == changes
    assert not changes.same
    assert not Changes(unknown="git is gone").same
    assert Changes().same


@pytest.mark.parametrize(
    "name", [".env", ".env.local", "a/.envrc", "x.pem", "b/x.key", "id_rsa", "id_ed25519.bak", "credentials-1.json"]
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", [".env.example", "env.py", "keys.py", "credentials.py", "id.json", "train.py"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret(name)


def untracked(top: Path, sizes: dict[str, int]) -> Look:
    status = Status()
    for name, size in sizes.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"x" * size)
        status.untracked.append(name.encode())
    return Look(status, True, (), frozenset(), (), b"0" * 40)


def test_the_smallest_untracked_files_are_taken_up_to_the_limit(tmp_path: Path) -> None:
    seen = untracked(tmp_path, {"data": 900, "more": 800, "train.py": 50, "model.py": 100})
    choice = choose(os.fsencode(tmp_path), seen, Rules((), None, 1000))
    assert choice.enter == (b"train.py", b"model.py", b"more")
    assert [(one.path, one.size) for one in choice.left_out] == [("data", 900)]
    known = choose(os.fsencode(tmp_path), seen, Rules((), None, 100, frozenset([b"data"])))
    assert set(known.enter) == {b"data", b"train.py"}, "what was submitted is compared whatever came since"


def test_files_of_whirr_itself_do_not_count(tmp_path: Path) -> None:
    seen = untracked(tmp_path, {".whirr/a": 1, "sub/.whirr/b": 1, "out/runs/c": 1, "output": 1})
    choice = choose(os.fsencode(tmp_path), seen, Rules((), b"out", 1000))
    assert choice.enter == (b"output",)
    assert choice.left_out == ()


def test_the_program_is_the_one_the_shell_would_start(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "train").mkdir(parents=True)
    (tmp_path / "one" / "tool").write_text("not executable")
    (tmp_path / "two" / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "two" / "tool").chmod(0o755)
    environ = {"PATH": f"{tmp_path}/one:two"}
    assert find("tool", tmp_path, environ) == f"{tmp_path}/two/tool"
    assert find("./two/tool", tmp_path, environ) == f"{tmp_path}/two/tool"
    assert find("train", tmp_path, environ) is None, "a folder is no program"
    assert find("tool", tmp_path, {"PATH": f"{tmp_path}/one"}) is None
    assert find("sh", tmp_path, {}) == "/bin/sh"


def test_outside_of_git_all_else_is_recorded_and_said(tmp_path: Path) -> None:
    found = record([sys.executable], tmp_path, tmp_path, environ={"PATH": "/nowhere", "SECRET": "x"})
    assert (found.git_info, found.tree) == (None, None)
    assert found.executable == sys.executable
    assert found.variables == {"PATH": "/nowhere"}
    assert any("not in a git work tree" in note for note in found.notes)
    assert "orjson==" in (tmp_path / "requirements.txt").read_text()


def test_the_packages_are_those_of_the_environment_that_runs(tmp_path: Path) -> None:
    other = tmp_path / "env"
    information = other / "lib/python3.12/site-packages/torch-9.9.dist-info/METADATA"
    information.parent.mkdir(parents=True)
    information.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9\n")
    (other / "pyvenv.cfg").touch()
    (other / "bin").mkdir()
    for name in ("python", "torchrun"):
        (other / "bin" / name).write_text("#!/bin/sh\n")
        (other / "bin" / name).chmod(0o755)
    for command in ("python", "torchrun", "/bin/sh"):
        record([command], tmp_path, tmp_path, environ={"PATH": f"{other}/bin"})
        assert (tmp_path / "requirements.txt").read_text() == "torch==9.9\n", command


def test_what_cannot_be_recorded_is_a_note(tmp_path: Path) -> None:
    found = record(["no-such-program"], tmp_path, tmp_path / "missing", environ=dict(os.environ))
    assert (found.executable, found.requirements) == (None, None)
    assert any("no-such-program" in note for note in found.notes)
    assert any("packages could not be recorded" in note for note in found.notes)


def test_a_snapshot_needs_a_git_work_tree(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no git work tree") as raised:
        record(["sh"], tmp_path, tmp_path, environ={}, snapshot=True)
    assert "git init" in (raised.value.hint or "")
    assert require(TREE, tmp_path) is TREE


def test_a_repository_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = Tree(str(tmp_path / "gone"), "", "1" * 40)
    changes = changed_since(gone)
    assert "no git work tree" in (changes.unknown or "")
    assert not changes.same
    with pytest.raises(NotFound):
        send(LocalCode(tmp_path / "store"), gone)
    assert list(tmp_path.iterdir()) == []


def test_remove_takes_all_a_job_wrote_and_follows_no_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    folder = tmp_path / "job"
    (folder / "locked" / "deeper").mkdir(parents=True)
    (folder / "locked" / "deeper" / "file").touch()
    (folder / "link").symlink_to(kept)
    (folder / "locked" / "deeper").chmod(0o500)
    (folder / "locked").chmod(0)
    (tmp_path / ".job.checkout-12ab" / "half").mkdir(parents=True)
    remove(folder)
    remove(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").exists()
    with pytest.raises(FolderError, match="cannot remove"):
        remove(kept / "file")
    assert (kept / "file").exists()


def test_both_answers_or_the_error_of_one() -> None:
    assert both(lambda: 1, lambda: "a") == (1, "a")

    def fail() -> None:
        raise WhirrError("no")

    with pytest.raises(WhirrError):
        both(fail, lambda: 1)
    with pytest.raises(WhirrError):
        both(lambda: 1, fail)
