"""How the code of two runs differs, from what was recorded of it: trees, commits, patches.

The states of both are put together in a repository of their own that is thrown away afterwards. It sees the objects of
the store of submitted trees, and of the git work tree in which the ``.whirr`` folder lies, if there is one. Nothing is
asked of other repositories: where they lie is said by files that a job can write. Where a state cannot be put together,
the two patches are compared.
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from whirr.capture.git import Bare, find_repository
from whirr.catalog import Runs
from whirr.codestore import TREE, LocalCode, stacked
from whirr.errors import NotFound, WhirrError
from whirr.folder import PATCH

LIMIT_S = 20.0
DIFF_LIMIT, PATCH_LIMIT = 2 << 20, 12 << 20
"""Bytes of a difference that is given at most; of a patch that is looked at."""

DIFF = (
    "diff", "--find-renames", "--no-color", "--no-ext-diff", "--no-textconv", "--unified=3",
    "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short",
)  # fmt: skip


class State(NamedTuple):
    """The code of a run, as far as it was recorded.

    Attributes:
        sent: the tree that it ran from; None: it ran from a folder.
        tree: the files of the work tree at submission.
        commit: the commit that was checked out.
        patch: the uncommitted work on top of it.
        notes: what is not known of it, for people.
    """

    sent: str | None = None
    tree: str | None = None
    commit: str | None = None
    patch: bytes = b""
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether anything was recorded."""
        return bool(self.sent or self.tree or self.commit or self.patch)


class CodeDiff(NamedTuple):
    """How the code of one run differs from that of another.

    Attributes:
        how: ``same``; ``files``: ``text`` leads from the one to the other; ``patches``: only their uncommitted work is
            compared; ``unknown``: nothing was recorded of one of them.
        text: a unified diff.
        cut: it is longer than what is given.
        notes: what to know about it, for people.
    """

    how: str
    text: str = ""
    cut: bool = False
    notes: tuple[str, ...] = ()


def state_of(runs: Runs, run_id: str, meta: Mapping[str, Any]) -> State:
    """What was recorded of the code of a run.

    Args:
        meta: as in ``RunDetail.meta``.
    """
    git, job = _object(meta.get("git_info")), _object(meta.get("job"))
    tree, patch = _object(job.get("tree")), _object(git.get("patch"))
    notes: list[str] = []
    data = b""
    if patch.get("file"):
        data = _patch(runs, run_id, notes)
    elif git.get("dirty") and not tree:
        notes.append(f"the uncommitted work of {run_id} was not recorded: {patch.get('why') or 'nobody knows why'}")
    if left_out := patch.get("left_out"):
        notes.append(f"{len(left_out)} uncommitted files of {run_id} are not in its patch")
    commit = _name(git.get("commit") or tree.get("commit"))
    return State(_name(tree.get("sent")), _name(tree.get("tree")), commit, data, tuple(notes))


def _patch(runs: Runs, run_id: str, notes: list[str]) -> bytes:
    try:
        file = runs.open(run_id, PATCH)
    except NotFound:
        notes.append(f"the patch of {run_id} is missing")
        return b""
    try:
        data = b"".join(iter(lambda: file.read(1 << 20), b""))
    finally:
        file.close()
    return data[:PATCH_LIMIT]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and TREE.fullmatch(value) else None


def compare(root: Path, one: State, other: State) -> CodeDiff:
    """How the code of ``other`` differs from that of ``one``.

    Args:
        root: the ``.whirr`` folder.
    """
    notes = (*one.notes, *other.notes)
    if not (one.known and other.known):
        return CodeDiff("unknown", notes=(*notes, "of one of them no code was recorded"))
    if one._replace(notes=()) == other._replace(notes=()):
        return CodeDiff("same", notes=notes)
    try:
        with TemporaryDirectory(prefix="whirr-diff-") as place:
            return _of_files(Path(place), root, one, other)._replace(notes=notes)
    except (WhirrError, OSError):
        return _of_patches(one, other, notes)


def _of_files(place: Path, root: Path, one: State, other: State) -> CodeDiff:
    """Raises WhirrError where one of the states cannot be put together."""
    name = one.commit or one.tree or one.sent
    if name is None:
        raise NotFound("only a patch was recorded")
    store = stacked(place / "git", _objects(root, name), name)
    store.deadline = time.monotonic() + LIMIT_S
    both_sent = bool(one.sent and other.sent)
    before = _tree(store, place / "index-before", one, sent=both_sent)
    after = _tree(store, place / "index-after", other, sent=both_sent)
    if before == after:
        return CodeDiff("same")
    output = store.git(*DIFF, before, after, "--", limit=DIFF_LIMIT)
    if not output.ok and output.cut != "size":
        raise NotFound("git cannot compare the two")
    return CodeDiff("files", output.data.decode("utf-8", "replace"), output.cut == "size")


def _objects(root: Path, name: str) -> list[Path]:
    """The folders of git objects that may be looked into."""
    found = [LocalCode(root).place(name) / "objects"]
    repository = find_repository(os.path.realpath(root.parent), time.monotonic() + LIMIT_S)
    if repository is not None:
        admin = Path(repository.admin)
        common = admin / "commondir"
        place = admin / common.read_text().strip() if common.is_file() else admin
        found.append(place / "objects")
    return [Path(os.path.realpath(folder)) for folder in found if folder.is_dir()]


def _tree(store: Bare, index: Path, state: State, *, sent: bool) -> str:
    """The name of a tree that holds the files of a state; NotFound where it cannot be put together."""
    for name in (state.sent if sent else None, state.tree):
        if name and store.git("cat-file", "-e", f"{name}^{{tree}}").ok:
            return name
    if state.commit is None or not store.git("read-tree", state.commit, index=str(index)).ok:
        raise NotFound("its commit is not here")
    if state.patch:
        file = index.with_suffix(".patch")
        file.write_bytes(state.patch)
        if not store.git("apply", "--cached", "--whitespace=nowarn", str(file), index=str(index)).ok:
            raise NotFound("its patch does not fit its commit")
    output = store.git("write-tree", index=str(index))
    if not output.ok:
        raise NotFound("its files cannot be put together")
    return output.data.decode().strip()


def _of_patches(one: State, other: State, notes: tuple[str, ...]) -> CodeDiff:
    same = one.commit == other.commit
    why = "the commits differ, and not both are here" if not same else "their commit is not here"
    told = (*notes, f"{why}: this compares only the uncommitted work of the two")
    before, after = (state.patch.decode("utf-8", "replace").splitlines(True)[:20_000] for state in (one, other))
    text = "".join(difflib.unified_diff(before, after, f"a/{PATCH}", f"b/{PATCH}", n=3))
    return CodeDiff("patches", text[:DIFF_LIMIT], len(text) > DIFF_LIMIT, told)
