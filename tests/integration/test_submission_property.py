"""Any work on files: the checkout is the folder as it was submitted, and the changes are exactly the difference."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from repositories import checkout, git, write

from whirr.submission import changed_since, record_tree

NAMES = ["a", "b.py", "d/a", "d/e/b.py", "d", "x y", "new\nline", "a/inner", "ignored.log", "*.py", ":top", "é"]
Found = dict[str, tuple[int, bytes]]


def put(top: Path, name: str, text: str) -> None:
    path = top / name
    for above in path.relative_to(top).parents:
        place = top / above
        if place.is_file() or place.is_symlink():
            place.unlink()
    delete(top, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def overwrite(top: Path, name: str, text: str) -> None:
    """In place: the same inode, perhaps of the same size."""
    if (top / name).is_file() and not (top / name).is_symlink():
        (top / name).write_text(text)


def delete(top: Path, name: str, _: str = "") -> None:
    path = top / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def link(top: Path, name: str, text: str) -> None:
    put(top, name, "")
    (top / name).unlink()
    (top / name).symlink_to(text or "nowhere")


def executable(top: Path, name: str, _: str) -> None:
    if (top / name).is_file() and not (top / name).is_symlink():
        (top / name).chmod(0o755)


def stage(top: Path, name: str, _: str) -> None:
    if os.path.lexists(top / name):
        git(top, "--literal-pathspecs", "add", "--", name, check=False)


def unstage(top: Path, name: str, _: str) -> None:
    git(top, "--literal-pathspecs", "rm", "-q", "-r", "--cached", "--ignore-unmatch", "--", name, check=False)


def commit(top: Path, _: str, __: str) -> None:
    git(top, "commit", "-q", "--allow-empty", "-a", "-m", "work")


def hide(top: Path, name: str, _: str) -> None:
    git(top, "update-index", "--skip-worktree", name, check=False)


ACTIONS: list[Callable[[Path, str, str], None]] = [
    put,
    put,
    overwrite,
    overwrite,
    delete,
    link,
    executable,
    stage,
    unstage,
    commit,
    hide,
]
work = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.sampled_from(NAMES), st.sampled_from(["", "1", "2", "longer"])), max_size=8
)


def files(top: Path) -> Found:
    found: Found = {}
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name != ".git"]
        for name in [*names, *(one for one in folders if os.path.islink(os.path.join(folder, one)))]:
            path = Path(folder, name)
            key = str(path.relative_to(top))
            if path.is_symlink():
                found[key] = (0o120000, os.fsencode(os.readlink(path)))
            else:
                found[key] = (path.stat().st_mode & 0o100, path.read_bytes())
    return found


def submitted(top: Path) -> Found:
    """What counts: all but untracked files that are ignored."""
    tracked = git(top, "ls-files", "-z").split("\0")
    return {name: one for name, one in files(top).items() if not name.endswith(".log") or name in tracked}


def difference(before: Found, after: Found) -> dict[str, str]:
    letters = dict.fromkeys(before.keys() - after.keys(), "D") | dict.fromkeys(after.keys() - before.keys(), "A")
    return letters | {name: "M" for name in before.keys() & after.keys() if before[name] != after[name]}


@settings(max_examples=30)
@given(work, work, work)
def test_checkout_and_changes_after_any_work(committed: list, uncommitted: list, later: list) -> None:  # type: ignore[type-arg]
    with TemporaryDirectory() as place:
        top = Path(place, "top")
        top.mkdir()
        git(top, "init", "-q")
        write(top, {".gitignore": "*.log\n", "a": "1", "d/e/b.py": "1"})
        git(top, "add", "-A")
        for action, name, text in committed:
            action(top, name, text)
        commit(top, "", "")
        for action, name, text in uncommitted:
            action(top, name, text)
        before = submitted(top)
        index = (top / ".git/index").read_bytes()
        tree = record_tree(top, limit_s=60)
        assert tree
        assert (top / ".git/index").read_bytes() == index
        assert files(checkout(tree, Path(place, "copy"))) == before
        for action, name, text in later:
            action(top, name, text)
        changed = changed_since(tree, limit_s=60)
        assert changed.unknown is None
        assert {one.path: one.letter for one in changed.names} == difference(before, submitted(top))
