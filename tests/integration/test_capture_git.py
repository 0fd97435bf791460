"""Real repositories: what is recorded re-creates the work, and nothing in them is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import wait_until
from repositories import git, recreate, tree, write

from whirr.capture import git_info


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository of one commit, its run folder outside."""
    top = tmp_path / "repo"
    top.mkdir()
    (tmp_path / "run").mkdir()
    git(top, "init", "-q", "-b", "main")
    lines = "".join(f"line {i}\n" for i in range(60))
    files: dict[str, str | bytes] = {
        name: f"{name}\n{lines}" for name in ("a.py", "b.py", "sub/c.py", "gone.py", "old.py")
    }
    write(
        top,
        {**files, "data.bin": bytes(range(256)) * 20, "run.sh": "#!/bin/sh\n", ".gitignore": "ignored/\n"},
    )
    git(top, "add", "-A")
    git(top, "commit", "-qm", "first")
    return top


def capture(top: Path, **more: Any) -> dict[str, Any]:
    info = git_info(top, top.parent / "run/uncommitted.patch", **more)
    assert info is not None
    assert [p.name for p in (top.parent / "run").iterdir() if p.name != "uncommitted.patch"] == []
    return info


def everything(top: Path) -> dict[str, tuple[int, bytes]]:
    """Each file of the administrative folder: a write of any kind to it would show."""
    files = [p for p in sorted((top / ".git").rglob("*")) if p.is_file()]
    # Whoever reads a split index sets the time of its shared part, plain `git status` too.
    times = {p: 0 if p.name.startswith("sharedindex.") else p.stat().st_mtime_ns for p in files}
    return {str(p): (times[p], p.read_bytes()) for p in files}


def change_in_every_way(top: Path) -> None:
    with open(top / "a.py", "a") as file:
        file.write("staged\n")
    git(top, "add", "a.py")
    with open(top / "a.py", "a") as file:
        file.write("and then more, without a last newline")
    write(top, {"sub/c.py": "other\n", "data.bin": bytes(reversed(range(256))) * 9, "new staged.py": "x\n"})
    git(top, "add", "new staged.py")
    edited = (top / "a.py").read_text()
    (top / "a.py").write_text(edited.replace("line 20", "edited").replace("line 40\n", ""))
    (top / "gone.py").unlink()
    git(top, "mv", "old.py", "renamed.py")
    git(top, "rm", "-q", "--cached", "b.py")
    (top / "run.sh").chmod(0o755)
    write(
        top,
        {"loose/ünïcode \n name.txt": "u\n", "loose/tool": "t\n", "pic.png": b"\x89PNG\0\1\2", "empty": ""},
    )
    (top / "loose/tool").chmod(0o755)
    (top / "link").symlink_to("a.py")
    write(top, {"ignored/big": "not seen"})


def test_a_clean_tree(repo: Path) -> None:
    info = capture(repo)
    commit = git(repo, "rev-parse", "HEAD").strip()
    assert {k: info[k] for k in ("commit", "branch", "dirty", "remote_url")} == {
        "commit": commit,
        "branch": "main",
        "dirty": False,
        "remote_url": None,
    }
    assert info["untracked"] == {"names": [], "count": 0}
    assert info["patch"]["file"] is None
    assert not (repo.parent / "run/uncommitted.patch").exists()
    assert git_info(repo / "sub", None) == {**info, "patch": {**info["patch"], "why": "not asked for"}}


def test_the_patch_recreates_the_work(repo: Path) -> None:
    change_in_every_way(repo)
    info = capture(repo)
    patch = repo.parent / "run/uncommitted.patch"
    assert info["dirty"] is True
    assert info["patch"] == {"file": "uncommitted.patch", "bytes": patch.stat().st_size, "left_out": []}
    assert recreate(repo, info["commit"]) == tree(repo)


def test_the_patch_does_not_depend_on_the_users_settings(repo: Path) -> None:
    change_in_every_way(repo)
    settings = {
        "diff.external": "false",
        "diff.submodule": "log",
        "diff.context": "0",
        "diff.orderFile": "/no",
    }
    settings |= {
        "color.ui": "always",
        "core.pager": "false",
        "core.quotePath": "false",
        "diff.renames": "copies",
    }
    for name in (
        "diff.noprefix",
        "diff.mnemonicPrefix",
        "diff.relative",
        "status.short",
        "status.relativePaths",
    ):
        settings[name] = "true"
    for name, value in settings.items():
        git(repo, "config", name, value)
    info = git_info(repo / "sub", repo.parent / "run/uncommitted.patch")
    assert info is not None
    assert recreate(repo, info["commit"]) == tree(repo)


@pytest.mark.parametrize("index", ["plain", "split", "cached"])
def test_the_repository_is_not_touched(repo: Path, index: str) -> None:
    if index == "split":
        git(repo, "config", "core.splitIndex", "true")
        git(repo, "config", "splitIndex.maxPercentChange", "0")
    elif index == "cached":
        git(repo, "update-index", "--force-untracked-cache")
    change_in_every_way(repo)
    os.utime(repo / "run.sh")  # a plain git status would refresh the index now
    hook = repo / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hook-ran\n")
    hook.chmod(0o755)
    before = everything(repo)
    assert capture(repo)["patch"]["file"]
    assert everything(repo) == before
    assert not (repo / "hook-ran").exists()
    assert not (repo / ".git/hook-ran").exists()


def test_before_the_first_commit(tmp_path: Path) -> None:
    top = tmp_path / "repo"
    (tmp_path / "run").mkdir()
    git(tmp_path, "init", "-q", "-b", "trunk", "repo")
    write(top, {"staged.py": "s\n", "loose.py": "l\n"})
    git(top, "add", "staged.py")
    info = capture(top)
    assert (info["commit"], info["branch"], info["dirty"]) == (None, "trunk", True)
    assert recreate(top, None) == tree(top)


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    top = tmp_path / "repo"
    (tmp_path / "run").mkdir()
    git(tmp_path, "init", "-q", "--object-format=sha256", "repo")
    write(top, {"a.py": "a\n"})
    git(top, "add", "a.py")
    git(top, "commit", "-qm", "first")
    write(top, {"a.py": "changed\n", "new.bin": b"\0\1"})
    info = capture(top)
    assert len(info["commit"]) == 64
    assert recreate(top, info["commit"]) == tree(top)


def test_a_detached_head_and_a_linked_work_tree(repo: Path) -> None:
    linked = repo.parent / "linked"
    git(repo, "worktree", "add", "-q", "--detach", str(linked))
    write(linked, {"a.py": "changed\n", "new.py": "n\n"})
    info = capture(linked)
    assert (info["branch"], info["dirty"]) == (None, True)
    assert info["commit"] == git(repo, "rev-parse", "HEAD").strip()
    assert recreate(linked, info["commit"]) == tree(linked)


def test_a_merge_in_conflict(repo: Path) -> None:
    git(repo, "checkout", "-qb", "other")
    write(repo, {"a.py": "theirs\n", "gone.py": "theirs\n"})
    git(repo, "commit", "-qam", "theirs")
    git(repo, "checkout", "-q", "main")
    write(repo, {"a.py": "ours\n"})
    git(repo, "rm", "-q", "gone.py")
    git(repo, "commit", "-qam", "ours")
    git(repo, "merge", "other", check=False)
    assert "<<<<<<<" in (repo / "a.py").read_text()
    info = capture(repo)
    assert recreate(repo, info["commit"]) == tree(repo)


def test_submodules(repo: Path) -> None:
    inner = repo.parent / "inner"
    git(repo.parent, "clone", "-q", str(repo), str(inner))
    git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "dep")
    git(repo, "commit", "-qm", "with a submodule")
    assert capture(repo)["dirty"] is False
    write(repo, {"dep/a.py": "changed inside\n", "b.py": "changed\n"})
    info = capture(repo)
    assert [one["file"] for one in info["patch"]["left_out"]] == ["dep"]
    patch = repo.parent / "run/uncommitted.patch"
    assert "b/b.py" in patch.read_text()
    assert "dep" not in patch.read_text()
    git(repo / "dep", "commit", "-qam", "a newer dependency")
    git(repo, "config", "diff.submodule", "log")
    assert capture(repo)["patch"]["left_out"] == []
    git(repo, "stash", "-q")
    git(repo, "apply", "--index", str(patch))
    moved = git(repo / "dep", "rev-parse", "HEAD").strip()
    assert git(repo, "ls-files", "-s", "dep").split()[1] == moved


def test_secrets_stay_out(repo: Path) -> None:
    write(repo, {"conf/.env": "KEY=tracked-1\n"})
    git(repo, "add", "-f", "conf/.env")
    git(repo, "commit", "-qm", "oops")
    write(
        repo,
        {"conf/.env": "KEY=hunter2\n", ".env": "KEY=hunter2\n", "id_rsa": "hunter2\n", "k/x.pem": "hunter2"},
    )
    write(repo, {"a.py": "changed\n", "b.key": "hunter2"})
    info = capture(repo)
    out = {one["file"]: one["why"] for one in info["patch"]["left_out"]}
    assert out == dict.fromkeys(("conf/.env", ".env", "id_rsa", "k/x.pem", "b.key"), "may hold a secret")
    patch = (repo.parent / "run/uncommitted.patch").read_text()
    assert "b/a.py" in patch
    assert "hunter2" not in patch
    assert "tracked-1" not in patch


def test_large_files_are_left_out_by_name(repo: Path) -> None:
    write(repo, {"big.bin": os.urandom((1 << 20) + 1), "small.txt": "s\n"})
    git(repo, "init", "-q", "nested")
    write(repo, {"nested/x": "x"})
    info = capture(repo)
    assert {o["file"]: o["why"] for o in info["patch"]["left_out"]} == {
        "big.bin": "too large",
        "nested/": "a repository of its own",
    }
    assert info["untracked"]["count"] == 3
    (repo / "big.bin").unlink()
    assert set(recreate(repo, info["commit"])) == set(tree(repo)) - {"nested/"}


def test_the_limit_of_the_patch_holds(repo: Path) -> None:
    write(repo, {f"noise{i}.bin": os.urandom(30_000) for i in range(3)} | {"a.py": "changed\n"})
    info = capture(repo, patch_limit=95_000)  # the files fit, their text form does not: tracked work goes first
    assert info["patch"]["file"] == "uncommitted.patch"
    assert info["patch"]["bytes"] < 95_000
    assert {o["file"] for o in info["patch"]["left_out"]} == {f"noise{i}.bin" for i in range(3)}
    (repo.parent / "run/uncommitted.patch").unlink()
    info = capture(repo, patch_limit=50)
    assert info["patch"]["file"] is None
    assert "50 bytes" in info["patch"]["why"]
    assert not (repo.parent / "run/uncommitted.patch").exists()


def test_many_untracked_files_are_counted_not_listed(repo: Path) -> None:
    write(repo, {f"out/{i:04}": "" for i in range(700)})
    info = capture(repo)
    assert info["untracked"]["count"] == 700
    assert len(info["untracked"]["names"]) == 100
    assert len(info["patch"]["left_out"]) == 100
    assert info["patch"]["left_out_unnamed"] == 100


def test_untracked_files_the_user_does_not_want_listed(repo: Path) -> None:
    git(repo, "config", "status.showUntrackedFiles", "no")
    write(repo, {"loose": "x"})
    assert capture(repo)["dirty"] is False


def test_the_run_folder_inside_the_tree_does_not_count(repo: Path) -> None:
    own = repo / "runs/job-1"
    write(own, {"metrics.jsonl": "{}\n"})
    info = git_info(repo, own / "uncommitted.patch")
    assert info is not None
    assert (info["dirty"], info["untracked"]["count"]) == (False, 0)


def test_the_remote_is_the_branchs_then_origin_then_the_first(repo: Path) -> None:
    git(repo, "remote", "add", "zz", "https://me:secret@zz.test/r.git")
    assert capture(repo)["remote_url"] == "https://zz.test/r.git"
    git(repo, "remote", "add", "origin", "git@github.com:user/repo.git")
    assert capture(repo)["remote_url"] == "git@github.com:user/repo.git"
    git(repo, "config", "branch.main.remote", "zz")
    assert capture(repo)["remote_url"] == "https://zz.test/r.git"


def test_foreign_git_variables_are_ignored(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    write(repo, {"a.py": "changed\n"})
    assert capture(repo)["patch"]["file"]


def test_without_git_there_is_no_information(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repo))
    assert git_info(repo, None) is None


@pytest.mark.parametrize("stuck", [" status ", " diff ", "--untracked-files=all"])
def test_a_git_that_hangs_is_ended_with_its_children(repo: Path, monkeypatch: pytest.MonkeyPatch, stuck: str) -> None:
    write(repo, {"a.py": "changed\n"})
    commit = git(repo, "rev-parse", "HEAD").strip()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    bin_folder, pids = repo.parent / "bin", repo.parent / "pids"
    script = f'case " $* " in *"{stuck}"*) sleep 600 & echo $! $$ >{pids}; wait;; esac\nexec {real} "$@"\n'
    write(bin_folder, {"git": f"#!/bin/sh\n{script}"})
    (bin_folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    info = capture(repo, limit_s=2.5)
    assert (info["commit"], info["branch"]) == (commit, "main")
    assert info["dirty"] is (None if stuck == " status " else True)
    assert "too long" in (info["patch"]["why"] if stuck == " diff " else info["note"])
    assert info["patch"]["file"] == ("uncommitted.patch" if "=" in stuck else None)
    # On a busy machine a process that was sent SIGKILL is there a moment longer.
    wait_until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_repository_git_refuses_still_gives_its_commit(repo: Path) -> None:
    commit = git(repo, "rev-parse", "HEAD").strip()
    (repo / ".git/config").write_text("[broken\n")
    info = capture(repo)
    assert (info["commit"], info["branch"], info["dirty"]) == (commit, "main", None)
    assert "failed" in info["note"]


def test_the_time_limit_is_not_needed_for_a_fork_that_holds_the_pipe() -> None:
    """A child of the training program, forked while git runs, inherits the pipe and outlives it."""
    code = """if True:
        import os, sys, threading, time
        from whirr.capture import child
        forked = threading.Event()
        def fork_meanwhile():
            time.sleep(0.3)
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        threading.Thread(target=fork_meanwhile).start()
        out = child.run(["sh", "-c", "echo told; sleep 1"], deadline=time.monotonic() + 30)
        print(out.ok, out.data)
        sys.stdout.flush()
        import signal; os.killpg(0, signal.SIGTERM)
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=25,
        check=False,
    )
    assert done.stdout == "True b'told\\n'\n", done.stderr
