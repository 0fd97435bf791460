"""What was submitted, in real git repositories: recorded without a trace, compared, checked out."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from helpers import outputs, program, start, wait_until
from repositories import checkout, git, tree, write

from whirr.capture import git_info
from whirr.codestore import LocalCode
from whirr.errors import FolderError, UsageError, WhirrError
from whirr.snapshot import send
from whirr.submission import Tree, changed_since, forget, keep, record, record_tree, remove

PATIENCE = 60.0
"""Seconds: these tests are about what is right on a machine that may be busy."""
compared = partial(changed_since, limit_s=PATIENCE)
FILES = {"train.py": "x = 1\n", "lib/model.py": "y = 1\n", "lib/old.py": "z = 1\n", ".gitignore": "*.log\ndata/\n"}


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    write(folder, FILES)
    commit(folder)
    return folder


def commit(top: Path) -> None:
    git(top, "add", "-A")
    git(top, "commit", "-q", "--allow-empty", "-m", "work")


def recorded(top: Path, **more: object) -> Tree:
    found = record_tree(top, **{"limit_s": PATIENCE, **more})  # type: ignore[arg-type]
    assert found is not None
    return found


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file under a folder, git's own left out, as `repositories.tree` gives them."""
    found: dict[str, tuple[int, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = (0o120000, os.fsencode(os.readlink(path)))
        elif path.is_file() and ".git" not in name.split("/"):
            found[name] = (path.stat().st_mode & 0o100, path.read_bytes())
    return found


def changes(tree: Tree) -> dict[str, str]:
    found = compared(tree)
    assert found.unknown is None
    assert found.count == len(found.names)
    return {change.path: change.letter for change in found.names}


def state(top: Path) -> dict[str, tuple[int, int, bytes]]:
    """All of a work tree and of git's folder but the objects: time, mode and content."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in top.rglob("*")
        if ".git/objects" not in str(path)
    }


def test_nothing_of_the_users_is_touched(top: Path, tmp_path: Path) -> None:
    write(top, {"train.py": "x = 22\n", "new.py": "", "lib/old.py": "staged"})
    git(top, "add", "lib/old.py")
    git(top, "stash", "push", "-q", "lib/old.py")
    hook = program(top / ".git/hooks/post-index-change", f"#!/bin/sh\ntouch {tmp_path}/hook\n")
    for name in ("reference-transaction", "post-checkout", "fsmonitor"):
        shutil.copy(hook, hook.with_name(name))
        hook.with_name(name).chmod(0o755)
    hook.chmod(0o755)
    git(top, "config", "core.fsmonitor", str(hook.with_name("fsmonitor")))
    (tmp_path / "hook").unlink(missing_ok=True)
    before = state(top)
    found = recorded(top)
    compared(found)
    checkout(found, tmp_path / "copy")
    assert state(top) == before
    keep(found, "job-1")
    added = {name for name in state(top) if name not in before}
    assert added == {f"{top}/.git/refs/whirr", f"{top}/.git/refs/whirr/job-1"}
    assert not (tmp_path / "hook").exists()
    assert git(top, "log", "-1", "--format=%an %ae %P", found.snapshot or "") == (
        f"whirr whirr@localhost {found.commit}\n"
    )


def test_what_is_recorded_is_what_is_there(top: Path, tmp_path: Path) -> None:
    (top / "lib/old.py").unlink()
    write(top, {"train.py": "x = 2\n", "with space/new\nline.py": "a", "run.log": "ignored", "data/big": "ignored"})
    write(top, {".gitattributes": "*.py export-ignore export-subst\n", "stamp.py": "$Format:%H$"})
    (top / "run.sh").write_text("#!/bin/sh\n")
    (top / "run.sh").chmod(0o755)
    (top / "link").symlink_to("nowhere")
    expected = tree(top)
    odd = os.fsdecode(b"caf\xe9.py")
    (top / odd).write_text("latin")
    expected[odd] = (0, b"latin")
    found = recorded(top)
    assert (found.top, found.prefix, found.branch, found.dirty) == (str(top), "", "main", True)
    assert found.commit == git(top, "rev-parse", "HEAD").strip()
    assert found.left_out == ()
    place = checkout(found, tmp_path / "copy")
    assert content(place) == expected
    assert not (place / ".git").exists()
    (top / odd).write_text("other")
    assert changes(found) == {odd: "M"}


def test_changes_are_named_and_a_commit_is_none(top: Path) -> None:
    write(top, {"train.py": "x = 2\n", "new.py": "n"})
    found = recorded(top)
    assert compared(found).same
    commit(top)
    git(top, "checkout", "-q", "-b", "other")
    assert compared(found).same, "the same files on another commit and branch"
    write(top, {"train.py": "x = 3\n", "added.py": "a", "more.log": "ignored"})
    (top / "new.py").unlink()
    git(top, "mv", "lib/old.py", "lib/renamed.py")
    expected = {"train.py": "M", "added.py": "A", "new.py": "D", "lib/old.py": "D", "lib/renamed.py": "A"}
    assert changes(found) == expected
    commit(top)
    assert changes(found) == expected
    git(top, "checkout", "-q", "--detach", "main")
    assert compared(found).same
    assert recorded(top).branch is None


def test_a_change_of_the_same_size_in_the_same_second_is_seen(top: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for number in range(2, 6):
        before = recorded(top)
        write(top, {"train.py": f"x = {number}\n"})
        assert changes(before) == {"train.py": "M"}
        described = git_info(top, tmp_path / "run/uncommitted.patch")
        assert described
        assert described["patch"]["file"], "the patch sees it too"
        commit(top)


def test_many_changes_are_counted_and_a_hundred_named(top: Path) -> None:
    found = recorded(top)
    write(top, {f"{number:03}.py": "" for number in range(150)})
    changed = compared(found)
    assert (len(changed.names), changed.count) == (100, 150)


def test_a_folder_in_the_place_of_a_file_and_the_reverse(top: Path, tmp_path: Path) -> None:
    git(top, "rm", "-q", "--cached", "lib/old.py")
    for name in ("train.py", "lib/old.py"):
        (top / name).unlink()
        write(top, {f"{name}/inner.py": "i"})
    found = recorded(top)
    assert content(checkout(found, tmp_path / "copy")) == content(top)
    shutil.rmtree(top / "train.py")
    write(top, {"train.py": "x = 1\n"})
    assert changes(found) == {"train.py": "A", "train.py/inner.py": "D"}


def test_a_kept_tree_outlives_collection_and_a_forgotten_one_does_not(top: Path, tmp_path: Path) -> None:
    write(top, {"train.py": "x = 2\n", "new.py": "n"})
    expected = content(top)
    found = recorded(top)
    keep(found, "local-1")
    keep(found, "local-1")
    git(top, "checkout", "-q", "--force", "main")
    git(top, "clean", "-q", "--force")
    git(top, "gc", "-q", "--prune=now")
    assert content(checkout(found, tmp_path / "copy")) == expected
    assert changes(found) == {"train.py": "M", "new.py": "D"}
    with pytest.raises(WhirrError):
        keep(recorded(top), "local-1")  # the name is another tree's
    forget(found.top, "local-1")
    forget(found.top, "local-1")
    git(top, "gc", "-q", "--prune=now")
    with pytest.raises(WhirrError):
        checkout(found, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert "but not which" in (compared(found).unknown or "")


def test_secrets_and_large_files_are_left_out_and_watched(top: Path, tmp_path: Path) -> None:
    write(top, {".env": "KEY=1", "server.pem": "k", "weights.bin": b"w" * 5000, "small.py": "s", "lib/.env": "OLD=1"})
    git(top, "add", "--force", "lib/.env")
    git(top, "commit", "-q", "-m", "a secret is in it")
    write(top, {"lib/.env": "NEW=1"})
    found = recorded(top, untracked_limit=1000)
    reasons = {one.path: one.why for one in found.left_out}
    assert reasons.keys() == {".env", "server.pem", "weights.bin", "lib/.env"}
    with pytest.raises(UsageError, match=r"holds lib/\.env, which may be secret"):
        checkout(found, tmp_path / "copy")
    copy = content(checkout(found._replace(include=("lib/.env",)), tmp_path / "copy"))
    assert copy["lib/.env"] == (0, b"OLD=1"), "the committed state"
    assert {".env", "server.pem", "weights.bin"}.isdisjoint(copy)
    assert compared(found).same
    write(top, {".env": "KEY=22", "weights.bin": b"v" * 5001, "new.key": "k"})
    (top / "server.pem").unlink()
    assert changes(found) == {".env": "M", "weights.bin": "M", "server.pem": "D", "new.key": "A"}


def test_what_is_included_by_name_is_taken(top: Path, tmp_path: Path) -> None:
    write(top, {".env": "KEY=1", "data/a/one.bin": b"1" * 5000, "data/two.log": "2", "lib/own.key": "k"})
    found = recorded(top / "lib", include=["../.env", "../data", "own.key"], untracked_limit=1000)
    copy = checkout(found, tmp_path / "copy")
    assert copy == tmp_path / "copy/lib"
    assert {".env", "data/a/one.bin", "data/two.log", "lib/own.key"} <= content(tmp_path / "copy").keys()
    assert compared(found).same
    write(top, {".env": "KEY=2"})
    shutil.rmtree(top / "data/a")
    assert changes(found) == {".env": "M", "data/a/one.bin": "D"}
    for wrong in ("missing.py", "../../outside", "/etc/passwd", "../.git/config", ".."):
        with pytest.raises(UsageError, match="cannot be included"):
            recorded(top / "lib", include=[wrong])


def test_files_hidden_from_git_status_are_recorded_as_they_are(top: Path, tmp_path: Path) -> None:
    git(top, "update-index", "--skip-worktree", "train.py")
    git(top, "update-index", "--assume-unchanged", "lib/model.py")
    git(top, "update-index", "--skip-worktree", "lib/old.py")
    write(top, {"train.py": "x = 2\n", "lib/model.py": "y = 2\n"})
    (top / "lib/old.py").unlink()
    found = recorded(top)
    assert content(checkout(found, tmp_path / "copy")) == content(top)
    write(top, {"train.py": "x = 3\n"})
    assert changes(found) == {"train.py": "M"}


def test_a_sparse_checkout_is_the_files_that_are_there(top: Path, tmp_path: Path) -> None:
    write(top, {"other/x.py": "", "other/deep/y.py": ""})
    commit(top)
    git(top, "sparse-checkout", "set", "--cone", "--sparse-index", "lib")
    assert not (top / "other").exists()
    found = recorded(top)
    assert not found.dirty
    assert content(checkout(found, tmp_path / "copy")) == content(top)
    assert compared(found).same


def test_before_the_first_commit_and_with_no_file(tmp_path: Path) -> None:
    top = tmp_path / "fresh"
    top.mkdir()
    git(top, "init", "-q", "-b", "main")
    empty = recorded(top)
    assert (empty.commit, empty.branch, empty.dirty) == (None, "main", False)
    assert content(checkout(empty, tmp_path / "nothing")) == {}
    write(top, {"train.py": "x"})
    found = recorded(top)
    assert content(checkout(found, tmp_path / "copy")) == content(top)
    assert changes(empty) == {"train.py": "A"}
    keep(found, "first")
    git(top, "gc", "-q", "--prune=now")
    assert compared(found).same


def test_linked_work_trees_and_subfolders(top: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(top, "worktree", "add", "-q", "-b", "other", str(linked))
    write(linked, {"lib/new.py": "n"})
    (tmp_path / "by-name").symlink_to(linked)
    found = recorded(tmp_path / "by-name" / "lib")
    assert (found.top, found.prefix, found.branch) == (str(linked), "lib", "other")
    keep(found, "job-1")
    worktrees = git(top, "worktree", "list")
    assert content(checkout(found, tmp_path / "copy").parent) == content(linked)
    assert git(top, "worktree", "list") == worktrees


def test_a_work_folder_that_git_ignores_is_no_snapshot(top: Path, tmp_path: Path) -> None:
    write(top, {"data/train.py": "x"})
    found = recorded(top / "data")
    assert any("ignores it" in note for note in found.notes)
    with pytest.raises(UsageError, match="no file of the work folder"):
        checkout(found, tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["repository"]


def test_submodules_come_along(top: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    write(inner, {"kernel.py": "k = 1\n"})
    commit(inner)
    git(top, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    commit(top)
    write(top, {"sub/kernel.py": "k = 2\n"})
    commit(top / "sub")
    found = recorded(top)
    assert found.submodules == ("sub",)
    assert content(checkout(found, tmp_path / "copy"))["sub/kernel.py"] == (0, b"k = 2\n")
    write(top, {"sub/kernel.py": "k = 3\n"})
    assert changes(found) == {"sub": "M"}
    dirty = recorded(top)
    assert [one.path for one in dirty.left_out] == ["sub"]
    assert compared(dirty).same, "what a submodule's uncommitted work is, is not known"
    git(top, "submodule", "deinit", "-q", "--force", "sub")
    assert content(checkout(recorded(top), tmp_path / "without")).keys() == content(top).keys()


def test_a_repository_inside_is_left_out(top: Path) -> None:
    nested = top / "nested"
    nested.mkdir()
    git(nested, "init", "-q")
    write(nested, {"a.py": "a"})
    commit(nested)
    found = recorded(top)
    assert [(one.path, one.why) for one in found.left_out] == [("nested", "a repository of its own")]
    assert compared(found).same


def test_a_filter_stores_and_what_git_lfs_keeps_is_sent_as_content(top: Path, tmp_path: Path) -> None:
    git(top, "config", "filter.lfs.clean", "tr a-z A-Z")
    git(top, "config", "filter.lfs.smudge", "tr A-Z a-z")
    write(top, {".gitattributes": "*.bin filter=lfs\n", "weights.bin": "weights\n"})
    commit(top)
    write(top, {"more.bin": "more\n"})
    found = recorded(top)
    assert found.lfs == ("more.bin", "weights.bin")
    assert git(top, "show", f"{found.tree}:more.bin") == "MORE\n"
    assert content(checkout(found, tmp_path / "copy"))["more.bin"] == (0, b"more\n")


def test_a_user_who_has_git_ignore_untracked_files_is_told(top: Path) -> None:
    git(top, "config", "status.showUntrackedFiles", "no")
    write(top, {"new.py": "n", "train.py": "x = 2\n"})
    found = recorded(top)
    assert "new.py" not in git(top, "ls-tree", "--name-only", found.tree)
    assert any("untracked" in note for note in found.notes)


def test_an_index_lock_of_another_git_is_no_obstacle(top: Path) -> None:
    write(top, {"train.py": "x = 2\n"})
    (top / ".git/index.lock").touch()
    found = recorded(top)
    keep(found, "job-1")
    assert compared(found).same


def test_a_merge_that_is_not_finished(top: Path, tmp_path: Path) -> None:
    git(top, "checkout", "-q", "-b", "other")
    write(top, {"train.py": "x = 2\n"})
    commit(top)
    git(top, "checkout", "-q", "main")
    write(top, {"train.py": "x = 3\n"})
    commit(top)
    git(top, "merge", "other", check=False)
    found = recorded(top)
    assert content(checkout(found, tmp_path / "copy")) == content(top)


def test_submissions_at_once_while_git_adds_and_commits(top: Path, tmp_path: Path) -> None:
    write(top, {"train.py": "x = 2\n", "new.py": "n"})
    expected = content(top)
    script = (
        "while test ! -e ../stop; do git add -A; git commit -q -m more; git reset -q --soft HEAD^; touch ../going; done"
    )
    user = start(["sh", "-c", script], top)
    found: list[Tree] = []
    try:
        wait_until((tmp_path / "going").exists)
        threads = [threading.Thread(target=lambda: found.extend(recorded(top) for _ in range(5))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        (tmp_path / "stop").touch()
        outputs(user)
    assert len(found) == 15
    assert {one.tree for one in found} == {found[0].tree}
    assert content(checkout(found[0], tmp_path / "copy")) == expected


def test_a_killed_checkout_leaves_nothing_that_looks_like_one(top: Path, tmp_path: Path) -> None:
    waiting = tmp_path / "waiting"
    write(top, {".gitattributes": "last.bin filter=slow\n", "last.bin": "b"})
    kept = LocalCode(tmp_path / "kept")
    sent = send(kept, recorded(top))
    store = kept.place(sent.tree)
    git(store, "config", "filter.slow.smudge", f"touch {waiting}; cat; sleep 60")
    code = f"""
        from pathlib import Path
        from whirr.submission import Tree, checkout
        checkout(Tree.from_dict({sent.as_dict()!r}), Path({str(tmp_path / "job")!r}), Path({str(store)!r}))
    """
    other = start([sys.executable, program(tmp_path / "checkout.py", code)], tmp_path)
    wait_until(waiting.exists)
    other.kill()
    end_orphan(tmp_path)
    outputs(other)
    assert not (tmp_path / "job").exists()
    assert content(checkout(recorded(top), tmp_path / "job")) == content(top)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".job")] == []


def end_orphan(place: Path) -> None:
    """End the git that a killed checkout left at work in `place`: the leader of a group, its filter in it."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_bytes().split(b"\0")
            if b"read-tree" in words and any(word.startswith(b"--work-tree=" + bytes(place)) for word in words):
                os.killpg(int(entry.parent.name), signal.SIGKILL)
                return
    raise AssertionError("no git is at work there")


def test_a_checkout_never_writes_into_a_folder_that_exists(top: Path, tmp_path: Path) -> None:
    found = recorded(top)
    (tmp_path / "job").mkdir()
    with pytest.raises(FolderError, match="exists already"):
        checkout(found, tmp_path / "job")
    assert list((tmp_path / "job").iterdir()) == []
    with pytest.raises(FolderError, match="cannot write"):
        checkout(found, Path("/proc/job"))


def test_jobs_of_the_same_tree_do_not_see_each_others_files(top: Path, tmp_path: Path) -> None:
    found = recorded(top)
    one, two = (checkout(found, tmp_path / name) for name in ("one", "two"))
    (one / "train.py").write_text("changed by job one")
    assert (two / "train.py").read_text() == FILES["train.py"]
    remove(one)
    assert two.exists()


def test_git_that_cannot_be_started_is_said(top: Path, tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        from whirr.submission import Tree, changed_since, record
        found = record(["sh"], Path({str(top)!r}), Path({str(tmp_path)!r}), environ={{"PATH": "/bin"}})
        print(found.tree, found.notes)
        print(changed_since(Tree({str(top)!r}, "", "1" * 40)).unknown)
    """
    process = start([sys.executable, program(tmp_path / "no_git.py", code)], tmp_path, PATH="/nowhere")
    out, errors = outputs(process)
    assert errors == ""
    recorded_line, compared_line = out.splitlines()
    assert recorded_line.startswith("None")
    assert "git cannot be started" in recorded_line
    assert "git cannot be started" in compared_line


def test_too_slow_is_an_error_and_with_record_a_note(top: Path, tmp_path: Path) -> None:
    git(top, "config", "filter.slow.clean", "sleep 60")
    write(top, {".gitattributes": "*.bin filter=slow\n", "a.bin": "b"})
    with pytest.raises(WhirrError, match="took too long"):
        recorded(top, limit_s=0.5)
    found = record(["sh"], top, tmp_path, environ={"PATH": "/bin"}, limit_s=0.5)
    assert found.tree is None
    assert any("not recorded" in note for note in found.notes)
    with pytest.raises(WhirrError):
        record(["sh"], top, tmp_path, environ={"PATH": "/bin"}, snapshot=True, limit_s=0.5)


def test_a_whole_record(top: Path) -> None:
    write(top, {"train.py": "x = 2\n"})
    staging = top / ".whirr" / "runs" / "local-1"
    staging.mkdir(parents=True)
    found = record(["./run.sh"], top / "lib", staging, environ=dict(os.environ), snapshot=True, limit_s=PATIENCE)
    assert found.tree
    assert found.tree.prefix == "lib"
    assert found.git_info
    assert (found.git_info["commit"], found.git_info["dirty"]) == (found.tree.commit, True)
    assert "+x = 2" in (staging / "uncommitted.patch").read_text()
    assert found.requirements == "requirements.txt"
    assert (staging / "requirements.txt").exists()
    assert compared(found.tree).same, "the staging folder does not count"
