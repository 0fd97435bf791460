"""The state of the git work tree a run was started in."""

from __future__ import annotations

import os
import time

from whirr.capture import child
from whirr.capture.redact import clean_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, BinaryIO

    from whirr.capture.child import Output

STATUS_LIMIT = 4 << 20
"""Bytes of `git status` read at most: some 50,000 names."""
NAMES = 100
"""Names of untracked files kept."""
_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--no-ahead-behind")
_FOREIGN = frozenset(
    (
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_DIFF_OPTS",
        "GIT_LITERAL_PATHSPECS",
        "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
    )
)
_QUIET = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "LC_ALL": "C",
}
_UNSET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
# Off: what would start a daemon, run the user's hooks, write into the repository, or shape the patch.
_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.splitIndex=false",
    "diff.orderFile=/dev/null",
)


class Repository:
    """A work tree (`top`) and its administrative folder, and git asked about them until a deadline."""

    def __init__(self, top: str, admin: str, deadline: float) -> None:
        self.top, self.admin, self.deadline = top, admin, deadline

    @property
    def index(self) -> str:
        """The path of the index file, which need not exist."""
        return os.path.join(self.admin, "index")

    def git(self, *arguments: str, index: str | None = None, stdin: BinaryIO | None = None, **more: Any) -> Output:
        """Run one git command at the top of the tree, on another `index` where one is given.

        Raises OSError when git cannot be started.
        """
        argv = ["git", "--no-pager"]
        for setting in _SETTINGS:
            argv += ("-c", setting)
        env = self.environment()
        if index is not None:
            env["GIT_INDEX_FILE"] = index
        more.setdefault("deadline", self.deadline)
        return child.run([*argv, *arguments], cwd=self.top, env=env, stdin=stdin, **more)

    def environment(self) -> dict[str, str]:
        """The variables git is given."""
        # The program may set and remove variables meanwhile: each is asked for once, and may be gone.
        own = ((name, os.environ.get(name)) for name in os.environ if name not in _FOREIGN)
        return {name: value for name, value in own if value is not None} | _QUIET


class Bare(Repository):
    """A bare repository of whirr's own, where no setting of the user's counts and every owner is trusted."""

    def __init__(self, place: Path, deadline: float) -> None:
        super().__init__(os.fspath(place), os.fspath(place), deadline)

    def git(self, *arguments: str, **more: Any) -> Output:
        """As in `Repository`; named outright, a repository need be no discovery that git may distrust."""
        return super().git(f"--git-dir={self.admin}", *arguments, **more)

    def environment(self) -> dict[str, str]:
        """The variables git is given."""
        own = {name: value for name, value in super().environment().items() if not name.startswith("GIT_")}
        return own | _QUIET | _UNSET


class Change:
    """A tracked path that differs; `inside`: it is a submodule with uncommitted work of its own."""

    __slots__ = ("inside", "path")

    def __init__(self, path: bytes, submodule: bytes) -> None:
        self.path = path
        self.inside = submodule[:1] == b"S" and submodule[2:] != b".."


class Status:
    """What `git status` said: the commit, the branch, the tracked files that differ, the untracked ones."""

    def __init__(self) -> None:
        self.commit: str | None = None
        self.branch: str | None = None
        self.changes: list[Change] = []
        self.untracked: list[bytes] = []
        self.complete = True


def git_info(
    cwd: Path, patch: Path | None, *, limit_s: float = 10.0, patch_limit: int = 10 * 2**20
) -> dict[str, Any] | None:
    """Describe the git work tree that holds `cwd`, and write its uncommitted work to the file `patch`.

    `limit_s` (seconds) bounds the whole, `patch_limit` (bytes) the patch. Returns None outside a work tree
    and without git. Else a dict: `commit` (None before the first), `branch` (None when detached), `dirty`
    (None when it could not be found out), `remote_url` (without credentials), `untracked` (`names`, `count`),
    `patch` (`file` and `bytes`, or `file` None and `why`; `left_out` names what is not in it), and `note`
    where something could not be captured. Files in the folder of `patch` itself do not count. Never raises.
    """
    try:
        repository = find_repository(os.path.realpath(cwd), time.monotonic() + limit_s)
        return _describe(repository, patch, patch_limit) if repository else None
    except FileNotFoundError:
        return None
    except Exception as error:  # tracking never breaks training
        return _plain(None, None) | {"note": f"git was not captured: {error!r}"}


def find_repository(folder: str, deadline: float) -> Repository | None:
    """The work tree that holds `folder`, found without starting git; None where there is none."""
    while True:
        admin = os.path.join(folder, ".git")
        if os.path.isfile(admin):  # a linked work tree, a submodule
            with open(admin, "rb") as file:
                pointer = os.fsdecode(file.read(8192))
            admin = os.path.join(folder, pointer.partition("gitdir:")[2].strip())
        if os.path.lexists(os.path.join(admin, "HEAD")):
            return Repository(folder, admin, deadline)
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _describe(repository: Repository, patch: Path | None, patch_limit: int) -> dict[str, Any]:
    from whirr.capture.patch import write_patch

    config = _config(repository)
    wanted = config.get("status.showuntrackedfiles") not in ("no", "false")
    output, listed = _ask_status(repository, wanted)
    if not output.ok and output.cut != "size":
        commit, branch = read_head(repository.admin)
        why = "took too long" if output.cut else f"failed (status {output.code})"
        note = f"git status {why}: whether there was uncommitted work is not known, and no patch was made"
        return _plain(commit, branch) | {"remote_url": _remote_url(config, branch), "note": note}
    status = parse_status(output.data, complete=output.cut is None)
    _forget_own_folder(status, repository.top, patch)
    info = _plain(status.commit, status.branch)
    info["dirty"] = bool(status.changes or status.untracked) or (False if listed == wanted else None)
    info["remote_url"] = _remote_url(config, status.branch)
    names = [name.decode("utf-8", "replace") for name in status.untracked[:NAMES]]
    info["untracked"] = {"names": names, "count": len(status.untracked) if listed else None}
    if not status.complete:
        info["note"] = "there are more untracked files than were counted"
    elif wanted and not listed:
        info["note"] = "listing the untracked files took too long: they are not counted and not in the patch"
    info["patch"] = write_patch(repository, status, patch, patch_limit)
    return info


def _ask_status(repository: Repository, wanted: bool) -> tuple[Output, bool]:
    """`git status`, with the untracked files if `wanted` and half the time is enough; whether it has them."""
    if wanted:
        now = time.monotonic()
        half = now + (repository.deadline - now) / 2
        output = repository.git(*_STATUS, "--untracked-files=all", limit=STATUS_LIMIT, deadline=half)
        if output.cut != "time":
            return output, True
    return repository.git(*_STATUS, "--untracked-files=no", limit=STATUS_LIMIT), False


def _plain(commit: str | None, branch: str | None) -> dict[str, Any]:
    why = "what is uncommitted is not known"
    return {
        "commit": commit,
        "branch": branch,
        "dirty": None,
        "remote_url": None,
        "untracked": {"names": [], "count": None},
        "patch": {"file": None, "why": why, "left_out": []},
    }


def parse_status(data: bytes, *, complete: bool = True) -> Status:
    """Read what `git status --porcelain=v2 --branch -z --no-renames` wrote, cut short if not `complete`."""
    status = Status()
    status.complete = complete
    data = b"\0" + data[: data.rfind(b"\0")] if b"\0" in data else b""
    tracked, _, untracked = data.partition(b"\0? ")  # they come last, and may be a hundred thousand
    status.untracked = untracked.split(b"\0? ") if untracked else []
    for record in tracked.split(b"\0"):
        if record[:2] == b"1 ":
            fields = record.split(b" ", 8)
            status.changes.append(Change(fields[8], fields[2]))
        elif record[:2] == b"u ":
            fields = record.split(b" ", 10)
            status.changes.append(Change(fields[10], fields[2]))
        elif record.startswith(b"# branch.oid ") and record[13:] != b"(initial)":
            status.commit = record[13:].decode()
        elif record.startswith(b"# branch.head ") and record[14:] != b"(detached)":
            status.branch = record[14:].decode("utf-8", "replace")
    return status


def _forget_own_folder(status: Status, top: str, patch: Path | None) -> None:
    """Drop the files of the run itself, where its folder lies in the work tree and is not ignored."""
    if patch is None:
        return
    own = os.fsencode(os.path.relpath(os.path.realpath(patch.parent), os.path.realpath(top)) + os.sep)
    if not own.startswith(b".."):
        status.untracked = [name for name in status.untracked if not name.startswith(own)]


def _config(repository: Repository) -> dict[str, str]:
    """The few settings that matter here, the first value of each, in the order git lists them."""
    wanted = r"^(remote\..*\.url|branch\..*\.remote|status\.showuntrackedfiles)$"
    output = repository.git("config", "-z", "--get-regexp", wanted)
    settings: dict[str, str] = {}
    for record in output.data.decode("utf-8", "replace").split("\0")[:-1]:
        key, _, value = record.partition("\n")
        if key.startswith("status."):
            settings[key] = value  # the last one counts
        else:
            settings.setdefault(key, value)
    return settings


def _remote_url(config: dict[str, str], branch: str | None) -> str | None:
    """Of the remote that `branch` follows, else of origin, else of the first."""
    for name in (config.get(f"branch.{branch}.remote"), "origin"):
        if url := config.get(f"remote.{name}.url"):
            return clean_url(url)
    urls = (value for key, value in config.items() if key.startswith("remote."))
    return next(map(clean_url, urls), None)


def read_head(admin: str) -> tuple[str | None, str | None]:
    """Commit and branch read from the files of the administrative folder, for when git gives no answer."""
    try:
        with open(os.path.join(admin, "HEAD"), encoding="utf-8", errors="replace") as file:
            head = file.read(4096).strip()
    except OSError:
        return None, None
    if not head.startswith("ref: "):
        return head or None, None
    reference = head[5:].strip()
    return _resolve(admin, reference), reference.removeprefix("refs/heads/")


def _resolve(admin: str, reference: str) -> str | None:
    """The commit that `reference` names: its own file, else its line in packed-refs."""
    common = admin
    try:
        with open(os.path.join(admin, "commondir"), encoding="utf-8") as file:
            common = os.path.join(admin, file.read(4096).strip())
    except OSError:
        pass
    try:
        with open(os.path.join(common, reference), encoding="ascii") as file:
            return file.read(100).strip() or None
    except (OSError, UnicodeDecodeError):
        pass
    try:
        with open(os.path.join(common, "packed-refs"), encoding="utf-8", errors="replace") as file:
            for line in file.read(STATUS_LIMIT).splitlines():
                if line.endswith(f" {reference}"):
                    return line.partition(" ")[0]
    except OSError:
        pass
    return None
