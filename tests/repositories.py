"""Real git repositories for tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from whirr.codestore import LocalCode
from whirr.snapshot import send
from whirr.submission import Tree
from whirr.submission import checkout as checkout_from

CLEAN = {
    **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "a@b.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(top: Path, *arguments: str, check: bool = True) -> str:
    """What one git command prints, run in `top` without the user's settings."""
    done = subprocess.run(["git", *arguments], cwd=top, env=CLEAN, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def write(top: Path, files: dict[str, str | bytes]) -> None:
    """Write files under `top` by name."""
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def checkout(found: Tree, destination: Path) -> Path:
    """A recorded tree sent to a code store of its own, and checked out from there; the work folder."""
    with TemporaryDirectory() as place:
        code = LocalCode(Path(place))
        sent = send(code, found)
        assert sent.sent
        with code.held(sent.sent) as store:
            return checkout_from(sent, destination, store)


def tree(top: Path) -> dict[str, tuple[int, bytes]]:
    """Every file git would see, with its kind, its executable bit and its content."""
    names = git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")[:-1]
    found = {}
    for name in names:
        path = top / name
        if path.is_symlink():
            found[name] = (0o120000, os.readlink(path).encode())
        elif path.is_file():
            found[name] = (path.stat().st_mode & 0o100, path.read_bytes())
    return found


def recreate(top: Path, commit: str | None) -> dict[str, tuple[int, bytes]]:
    """The tree of a fresh checkout of `commit` after `git apply` of `run/uncommitted.patch` beside `top`."""
    copy = top.parent / "copy"
    if commit:
        git(top.parent, "clone", "-q", "--no-checkout", str(top), str(copy))
        git(copy, "checkout", "-q", commit)
    else:
        git(top.parent, "init", "-q", str(copy))
    git(copy, "apply", "--whitespace=nowarn", str(top.parent / "run/uncommitted.patch"))
    return tree(copy)
