"""Recording the files of a git work tree, against git's own commands for it and a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from benchmarks.measure import Effort, Row, in_turns, ratio, scratch
from benchmarks.worktree import SOURCE
from whirr.codestore import LocalCode
from whirr.snapshot import send
from whirr.submission import Tree, changed_since, checkout, record_tree

FILES, CHANGED = 2_000, 10
BARE = """
cp -p .git/index "$GIT_INDEX_FILE" && git add --all && tree=$(git write-tree) &&
git -c user.name=b -c user.email=b@localhost commit-tree -p HEAD -m submitted "$tree"
"""


def rows(effort: Effort) -> Iterator[Row]:
    """The record, the look for changes before a job starts, and a clone and a checkout for comparison."""
    with scratch() as folder:
        count = min(FILES, effort.folders)
        top = _make_tree(folder / "tree", count)
        tree = _record(top)

        def bare() -> None:
            with TemporaryDirectory() as place:
                _run(["sh", "-c", BARE], top, GIT_INDEX_FILE=f"{place}/index")

        contestants = {"bare": bare, "record": lambda: _record(top), "changes": lambda: changed_since(tree)}
        times = {name: 1000 * spent for name, spent in in_turns(effort.repeats, contestants).items()}
        what = f"{count:,} files"
        yield ratio(f"record the tree, {what}; limit: bare git", "ms", times["bare"], times["record"], 1.5)
        yield ratio(f"look for changes, {what}; limit: bare git", "ms", times["bare"], times["changes"], 1.5)
        yield _copies(folder, top, tree, max(effort.repeats // 5, 1), what)


def _copies(folder: Path, top: Path, tree: Tree, repeats: int, what: str) -> Row:
    """A checkout against a clone, each with the removal of what it made."""

    def clone() -> None:
        _run(["git", "clone", "--quiet", str(top), str(folder / "clone")], folder)
        shutil.rmtree(folder / "clone")

    def own() -> None:
        with code.held(sent.sent or "") as store:
            shutil.rmtree(checkout(sent, folder / "checkout", store))

    code = LocalCode(folder / "store")
    sent = send(code, tree)
    times = in_turns(repeats, {"clone": clone, "own": own})
    return ratio(f"check it out, {what}; limit: git clone", "ms", 1000 * times["clone"], 1000 * times["own"], None)


def _record(top: Path) -> Tree:
    tree = record_tree(top)
    assert tree is not None
    return tree


def _make_tree(folder: Path, count: int) -> Path:
    """A committed work tree with a few changed and untracked files, older than git's index of it."""
    past = time() - 60
    for number in range(count):
        file = folder / f"package_{number % 20}" / f"module_{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"NUMBER = {number}\n{SOURCE}")
        os.utime(file, (past, past))
    _run(["git", "init", "--quiet", "--initial-branch=main"], folder)
    _run(["git", "add", "--all"], folder)
    _run(["git", "-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "--quiet", "--message=all"], folder)
    for number in range(min(CHANGED, count)):
        (folder / f"package_{number}" / f"module_{number}.py").write_text(f"NUMBER = -{number}\n{SOURCE}")
        (folder / f"new_{number}.py").write_text(SOURCE)
    return folder


def _run(command: list[str], cwd: Path, **variables: str) -> None:
    subprocess.run(command, cwd=cwd, env={**os.environ, **variables}, check=True, stdout=subprocess.DEVNULL)
