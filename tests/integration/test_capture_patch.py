"""Whatever was done to a work tree, the patch re-creates it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

import pytest
from repositories import git, recreate, tree

from whirr.capture import git_info

NAMES = ["a", "b.txt", "d/x", "d/y", "d/e/z", "-dash", " space", 'q"uote', "ta\tb", "new\nline", "ünï", "*.py"]
NAMES += [":(top)x", "d2/x", "[a]", "back\\slash", "d2", "b'.txt"]


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


def content(random: Random) -> bytes:
    lines = [b"%d" % random.randrange(50) for _ in range(random.randrange(60))]
    return random.choice([b"", b"no newline", random.randbytes(300), b"\r\n".join(lines), b"\n".join([*lines, b""])])


def clear(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def put(top: Path, name: str, random: Random) -> None:
    """A file or a link in place of whatever was at that path or above it."""
    path = top / name
    clear(path)
    for parent in reversed(path.relative_to(top).parents):
        if (top / parent).is_symlink() or (top / parent).is_file():
            clear(top / parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    if random.random() < 0.12:
        path.symlink_to(random.choice(["a", "/nowhere", "d"]))
    else:
        path.write_bytes(content(random))
        path.chmod(random.choice([0o644, 0o644, 0o755]))


def edit(top: Path, random: Random) -> None:
    name = random.choice(NAMES)
    what = random.choice(["put", "put", "put", "clear", "stage", "note", "forget"])
    if what == "put":
        put(top, name, random)
    elif what == "clear":
        clear(top / name)
    elif what == "forget":
        git(top, "rm", "-q", "--cached", "-r", "--", f":(literal){name}", check=False)
    else:
        git(top, "add", *(["-N"] if what == "note" else ["-A"]), ".")


@pytest.mark.parametrize("seed", range(16))
def test_any_edits(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    top, run = tmp_path / "repo", tmp_path / "run"
    run.mkdir()
    git(tmp_path, "init", "-q", "repo")
    for name in random.sample(NAMES, 9):
        put(top, name, random)
    git(top, "add", "-A")
    git(top, "commit", "-qm", "first")
    for _ in range(random.randrange(1, 12)):
        edit(top, random)
    info = git_info(top, run / "uncommitted.patch")
    assert info is not None
    assert info["dirty"] is bool(git(top, "status", "--porcelain"))
    if info["patch"]["file"] is None:  # the work tree is that of the commit, whatever the index says
        git(tmp_path, "clone", "-q", str(top), str(tmp_path / "copy"))
        assert tree(tmp_path / "copy") == tree(top)
    else:
        assert recreate(top, info["commit"]) == tree(top)
