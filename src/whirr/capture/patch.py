"""The uncommitted work as one patch, made without writing to the repository.

Untracked files are entered into a copy of the index, each with the name of the empty blob, so that
`git diff` reads them from the work tree: no object is written and the user's index is not touched.
"""

from __future__ import annotations

import contextlib
import os
import stat

from whirr.capture.redact import is_secret_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from whirr.capture.git import Repository, Status

FILE_LIMIT = 1 << 20
"""Bytes of an untracked file that is put into the patch at most."""
FILES = 500
"""Untracked files in the patch at most."""
NAMES = 100
"""Names in `left_out` at most."""
_EMPTY_BLOB = {
    40: b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    64: b"473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
}
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
# Against the user's settings: whatever makes a patch that `git apply` does not read.
_DIFF = (
    "diff", "--binary", "--find-renames", "--no-color", "--no-ext-diff", "--no-textconv",
    "--unified=3", "--inter-hunk-context=0", "--ws-error-highlight=none",
    "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=dirty",
)  # fmt: skip


class Plan:
    """Which paths the patch is made of.

    `entered`: untracked files and their modes; `excluded`: tracked files not shown; `left_out`: the names of
    both kinds that are not in the patch, and why.
    """

    def __init__(self) -> None:
        self.entered: list[tuple[bytes, bytes]] = []
        self.excluded: list[bytes] = []
        self.left_out: list[dict[str, str]] = []
        self.unnamed = 0

    def leave_out(self, path: bytes, why: str) -> None:
        """Say that `path` is not in the patch."""
        self.leave_out_all([path], why)

    def leave_out_all(self, paths: Sequence[bytes], why: str) -> None:
        """Say that `paths` are not in the patch; past NAMES only how many more there are is said."""
        room = NAMES - len(self.left_out)
        self.left_out += ({"file": path.decode("utf-8", "replace"), "why": why} for path in paths[:room])
        self.unnamed += max(0, len(paths) - room)

    def without_untracked(self) -> bool:
        """Keep only the tracked files, for when all together are too large; False if that changes nothing."""
        self.leave_out_all([path for path, _ in self.entered], "the patch would have been too large")
        fewer, self.entered = bool(self.entered), []
        return fewer

    def report(self) -> dict[str, Any]:
        """What is not in the patch, for people and for `git_info`."""
        more = {"left_out_unnamed": self.unnamed} if self.unnamed else {}
        return {"left_out": self.left_out} | more


def write_patch(repository: Repository, status: Status, patch: Path | None, limit: int) -> dict[str, Any]:
    """Write the uncommitted work to `patch`, atomically, of `limit` bytes at most; say what was done."""
    if patch is None:
        return {"file": None, "why": "not asked for", "left_out": []}
    if not status.changes and not status.untracked:
        return {"file": None, "why": "nothing uncommitted was found", "left_out": []}
    plan = make_plan(os.fsencode(repository.top), status, limit)
    draft = f"{patch.parent}/.{patch.name}.{os.getpid()}.tmp"
    try:
        why = _draft(repository, status, plan, draft, limit)
        if why == "size" and plan.without_untracked():
            why = _draft(repository, status, plan, draft, limit)
        size = 0 if why else os.path.getsize(draft)
        if size:
            os.replace(draft, patch)
            return {"file": patch.name, "bytes": size} | plan.report()
    except OSError as error:
        why = str(error)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(draft)
    reasons = {
        "size": f"larger than {limit} bytes",
        "time": "git took too long",
        None: "nothing a patch can hold",
    }
    return {"file": None, "why": reasons.get(why, why)} | plan.report()


def make_plan(top: bytes, status: Status, limit: int) -> Plan:
    """Judge every path of `status` by its name, kind and size; `limit` (bytes) is the patch's."""
    plan = Plan()
    for change in status.changes:
        _, why = _judge(top, change.path, limit)
        if why:
            plan.excluded.append(change.path)
            plan.leave_out(change.path, why)
        elif change.inside:
            plan.leave_out(change.path, "a submodule with uncommitted work of its own")
    room = limit
    for path in status.untracked[:FILES]:
        mode, why = _judge(top, path, min(FILE_LIMIT, room))
        if not why and not mode:
            why = "a repository of its own" if path.endswith(b"/") else "gone meanwhile"
        if why:
            plan.leave_out(path, why)
        else:
            plan.entered.append((path, mode))
            room -= os.lstat(os.path.join(top, path)).st_size
    plan.leave_out_all(status.untracked[FILES:], "too many untracked files")
    return plan


def _judge(top: bytes, path: bytes, limit: int) -> tuple[bytes, str]:
    """The mode git gives to the file, b"" for what is no file, and why it is left out, "" where it is not."""
    if is_secret_file(os.fsdecode(path)):
        return b"", "may hold a secret"
    full = os.path.join(top, path)
    try:
        found = os.lstat(full)
    except OSError:
        return b"100644", ""  # deleted, which a patch can say
    if stat.S_ISLNK(found.st_mode):
        return b"120000", ""
    if not stat.S_ISREG(found.st_mode):
        return b"", ""
    if found.st_size > limit:
        return b"", "too large"
    if not os.access(full, os.R_OK):
        return b"", "cannot be read"
    return (b"100755" if found.st_mode & 0o100 else b"100644"), ""


def _draft(repository: Repository, status: Status, plan: Plan, draft: str, limit: int) -> str | None:
    """Write the diff into the file `draft`; why it is not whole ("size", "time", or words), or None."""
    with scratch() as folder:
        index = os.path.join(folder, "index")
        copy_index(repository.index, index)
        if plan.entered:
            lines = os.path.join(folder, "lines")
            _write_lines(lines, plan, status.commit)
            with open(lines, "rb") as stdin:
                entered = repository.git("update-index", "-z", "--index-info", index=index, stdin=stdin)
            if not entered.ok:
                return entered.cut or f"git update-index failed (status {entered.code})"
        paths = [f":(top,exclude,literal){os.fsdecode(path)}" for path in plan.excluded]
        with open(draft, "wb", buffering=0) as file:
            base = status.commit or _EMPTY_TREE
            diff = repository.git(*_DIFF, base, "--", ".", *paths, index=index, limit=limit, sink=file.write)
        return None if diff.ok else diff.cut or f"git diff failed (status {diff.code})"


def _write_lines(path: str, plan: Plan, commit: str | None) -> None:
    blob = _EMPTY_BLOB[len(commit or _EMPTY_TREE)]
    with open(path, "wb") as file:
        for name, mode in plan.entered:
            file.write(b"%b %b 0\t%b\0" % (mode, blob, name))


def copy_index(source: str, target: str) -> None:
    """Copy an index, which may not exist, as it is at this moment (git replaces it, never changes it).

    Its time goes with it: by that git knows which files it cannot trust to be unchanged, because they were
    written within the second in which the index was.
    """
    with (
        contextlib.suppress(FileNotFoundError),
        open(source, "rb") as old,
        open(target, "wb", buffering=0) as new,
    ):
        while piece := old.read(1 << 20):
            new.write(piece)
        found = os.fstat(old.fileno())
        os.utime(new.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))


@contextlib.contextmanager
def scratch() -> Iterator[str]:
    """A private folder of temporary files, removed afterwards with the files in it."""
    folder = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"whirr-{os.getpid()}-{os.urandom(8).hex()}")
    os.mkdir(folder, 0o700)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                os.unlink(os.path.join(folder, name))
            os.rmdir(folder)
